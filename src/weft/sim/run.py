"""Runs strategies through one life each and sums up what was seen. Called by sim.commands."""

from collections.abc import Callable, Sequence

import msgspec

from weft.sim.life import DAY, Life, Scale
from weft.sim.strategies import Strategy
from weft.sim.world import Sample, World

SAMPLES = 240

Progress = Callable[[str, float], None]
"""Called now and then with a strategy's name and the share of the life that is over, 0 to 1."""


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """One strategy's life."""

    strategy: str
    title: str
    duplicates_peak: int
    """Pairs at one time."""
    duplicates_ever: int
    """Times that two running machines met in one L2 domain with one address."""
    machines_hit: int
    """Machines that were ever one of a pair."""
    changed: int
    failed: int
    fullest_peak: float
    samples: tuple[Sample, ...]
    """In order of time, at the same times for every strategy."""


def run(scale: Scale, strategies: Sequence[Strategy], progress: Progress = lambda name, share: None) -> list[Outcome]:
    """One outcome per strategy, in the order given. The same scale gives the same outcomes."""
    return [_live(scale, strategy, progress) for strategy in strategies]


def _live(scale: Scale, strategy: Strategy, progress: Progress) -> Outcome:
    world = World(strategy.make(scale))
    samples: list[Sample] = []
    step = max(1, scale.days * DAY // SAMPLES)
    due = step
    for event in Life(scale).events():
        while event.at >= due:
            samples.append(world.sample(due))
            progress(strategy.name, due / (scale.days * DAY))
            due += step
        world.live(event)
    while due <= scale.days * DAY:
        samples.append(world.sample(due))
        due += step
    progress(strategy.name, 1.0)
    return Outcome(
        strategy.name,
        strategy.title,
        world.duplicates_peak,
        world.duplicates_ever,
        len(world.hit),
        world.changed,
        world.failed,
        max((sample.fullest for sample in samples), default=0.0),
        tuple(samples),
    )
