"""What a bench answers, how two rates are compared, and how it is printed and kept."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One figure beside its yardstick. `ratio` is value / yardstickValue; both are medians where runs alternated."""

    id: str
    case: str
    value: float
    unit: str
    yardstick: str
    yardstick_value: float
    ratio: float


class Missing(Exception):
    """A bench cannot run here; the message says what is missing and which command helps."""


class Size(msgspec.Struct, frozen=True):
    """How much is measured: `small` runs in seconds and shows that a bench works, `full` gives the figures."""

    name: str

    @property
    def full(self) -> bool:
        return self.name == "full"

    def pick(self, small: int, full: int) -> int:
        return full if self.full else small


def alternate(ours: Callable[[], float], yardstick: Callable[[], float], pairs: int) -> tuple[float, float, float]:
    """Measure both in turn, each pair in the other order, and answer the medians: ours, yardstick, ratio of a pair.

    The machine is shared: what a neighbour does hits both sides of a pair alike, so the ratio is the steadier figure.
    """
    found: list[tuple[float, float]] = []
    for i in range(pairs):
        if i % 2:
            other = yardstick()
            found.append((ours(), other))
        else:
            found.append((ours(), yardstick()))
    ratio = statistics.median(mine / other for mine, other in found)
    return statistics.median(m for m, _ in found), statistics.median(o for _, o in found), ratio


def show(rows: Sequence[Row], notes: Iterable[str], console: Console) -> None:
    """The one table, then what could not be measured and why."""
    drawn = Table("bench", "case", "value", "unit", "yardstick", "its value", "ratio", title="weft bench")
    for column in (2, 5, 6):
        drawn.columns[column].justify = "right"
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.yardstick else "-"
        other = figure(row.yardstick_value) if row.yardstick else "-"
        drawn.add_row(row.id, row.case, figure(row.value), row.unit, row.yardstick or "-", other, ratio)
    console.print(drawn)
    for note in notes:
        console.print(note, markup=False)


def figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(rows: Sequence[Row], path: Path) -> None:
    """Write bench/results.json, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(msgspec.to_builtins(rows), indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)
