"""Prints what a simulation came to: a table with a row per strategy, the same over time, JSON, CSV. Called by
sim.commands.

Nothing here depends on when or where it was run, so equal outcomes print equal bytes.
"""

import csv
import json
import sys
from collections.abc import Sequence

import msgspec

from weft.cli import show
from weft.sim.life import DAY, Scale
from weft.sim.run import Outcome

HEADS = (
    "strategy",
    "duplicates at once",
    "ever",
    "machines hit",
    "changed identities",
    "failed starts",
    "fullest pool",
)


def title(scale: Scale) -> str:
    """What was simulated, with the seed that repeats it."""
    copies = f", {scale.cloned_hosts} from another's disk image" if scale.cloned_hosts else ""
    return f"{scale.hosts} hosts{copies}, {scale.machines:,} machines, {scale.days} days, seed {scale.seed}"


def table(scale: Scale, outcomes: Sequence[Outcome]) -> None:
    print(title(scale))
    print()
    show.table(
        HEADS,
        [
            (
                one.strategy,
                one.duplicates_peak,
                one.duplicates_ever,
                one.machines_hit,
                one.changed,
                one.failed,
                percent(one.fullest_peak),
            )
            for one in outcomes
        ],
    )


def over_time(outcomes: Sequence[Outcome], rows: int = 6) -> None:
    """A table per strategy, at `rows` times evenly apart."""
    heads = (
        "day",
        "running",
        "duplicates now",
        "changed identities",
        "failed starts",
        "fullest pool",
        "addresses used",
    )
    for one in outcomes:
        print()
        print(f"{one.strategy}: {one.title}")
        count = len(one.samples)
        picked = [one.samples[at * count // rows - 1] for at in range(1, rows + 1)] if count >= rows else one.samples
        lines = [
            (
                f"{sample.at / DAY:g}",
                sample.running,
                sample.duplicates,
                sample.changed,
                sample.failed,
                percent(sample.fullest),
                sample.used,
            )
            for sample in picked
        ]
        show.table(heads, lines)


def as_json(scale: Scale, outcomes: Sequence[Outcome]) -> None:
    document = {"scale": msgspec.to_builtins(scale), "strategies": msgspec.to_builtins(outcomes)}
    print(json.dumps(document, indent=2))


def as_csv(outcomes: Sequence[Outcome]) -> None:
    """One line per strategy and sample."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    members = [field.encode_name for field in msgspec.structs.fields(type(outcomes[0].samples[0]))]
    writer.writerow(["strategy", *members])
    for one in outcomes:
        for sample in one.samples:
            writer.writerow([one.strategy, *msgspec.structs.astuple(sample)])


def percent(share: float) -> str:
    """A share as people write it; what is too small to see is not rounded to nothing."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{share * 100:.1f} %"
