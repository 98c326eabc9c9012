"""What a chart says, read from the text that an SVG keeps beside its shapes."""

import re
from pathlib import Path

import pytest

from weft.sim.chart import draw
from weft.sim.life import DAY, Scale
from weft.sim.run import Outcome
from weft.sim.world import Sample


def outcome(strategy: str, *duplicates: int) -> Outcome:
    samples = tuple(Sample(day * DAY, 9, count, 0, 0, 5, 10, 0.5) for day, count in enumerate(duplicates, 1))
    return Outcome(strategy, strategy, max(duplicates), 0, 0, 0, 0, 0.5, samples)


def texts(folder: Path, *outcomes: Outcome) -> list[str]:
    draw(Scale(days=3, seed=9), outcomes, folder / "life.svg")
    return re.findall(r"<!-- (.*?) -->", (folder / "life.svg").read_text())


def test_lines_are_named_at_their_ends_and_equal_ones_together(tmp_path: Path) -> None:
    found = texts(tmp_path, outcome("hyperv", 3, 7, 5), outcome("hostRange", 0, 0, 0), outcome("weft", 0, 0, 0))
    assert "5  hyperv" in found
    assert "0  hostRange, weft" in found


def test_lines_far_apart_are_on_a_logarithmic_scale(tmp_path: Path) -> None:
    near = texts(tmp_path, outcome("hyperv", 30, 50, 40), outcome("scvmm", 100, 300, 200))
    far = texts(tmp_path, outcome("hyperv", 3, 5, 4), outcome("scvmm", 100, 300, 200))
    assert not any("logarithmic" in text for text in near)
    assert [text for text in far if "logarithmic" in text] == [
        "pairs of running machines with one MAC address in one L2 domain, now; logarithmic"
    ]
    assert {"1", "10", "100"} <= set(far)


@pytest.mark.parametrize("days", [1, 400])
def test_short_and_long_lives_have_whole_days_below(tmp_path: Path, days: int) -> None:
    draw(Scale(days=days), [outcome("weft", 0)], tmp_path / "life.svg")
    text = (tmp_path / "life.svg").read_text()
    assert f"<!-- day {days} -->" in text
