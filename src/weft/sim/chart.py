"""Draws a simulation: four panels over time, a line per strategy. Needs matplotlib, which only this module imports.

Called by sim.commands, which imports it when a chart is asked for. The same outcomes give the same file, byte for byte.
"""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import msgspec
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from weft.sim.life import DAY, Scale
from weft.sim.report import percent, title
from weft.sim.run import Outcome
from weft.sim.strategies import BY_NAME
from weft.sim.world import Sample

INK, MUTED, GRID = "#1a1a1a", "#5f5f5f", "#e6e6e6"
LINE = 0.066
"""Height of a label's line, as a share of a panel's height."""
FAR_APART = 12
"""Times between the greatest and the smallest line from which on a scale is logarithmic."""
LABEL_WIDTH = 19
"""Characters."""
ROOM = 0.34
"""Room for labels right of the lines, as a share of the time shown."""

STYLES: dict[str, tuple[str, Any]] = {
    "hyperv": ("#d55e00", "-"),
    "blanked": ("#e69f00", (0, (5, 1.5))),
    "scvmm": ("#cc79a7", (0, (7, 1.5, 1.5, 1.5))),
    "random": ("#009e73", (0, (1, 1.3))),
    "hostRange": ("#56b4e9", (0, (3, 1.2))),
    "weft": ("#003f77", "-"),
}
"""Okabe and Ito's colours, which differ for every kind of colour vision, and dashes for those who see or print none."""


class Panel(msgspec.Struct, frozen=True):
    title: str
    note: str
    value: Callable[[Sample], float]
    text: Callable[[float], str]
    top: float
    """The scale reaches at least to here."""


def _count(value: float) -> str:
    return f"{value:,.0f}"


PANELS = (
    Panel(
        "Duplicates",
        "pairs of running machines with one MAC address in one L2 domain, now",
        lambda s: s.duplicates,
        _count,
        4,
    ),
    Panel(
        "Changed identities",
        "starts and rollbacks that gave a machine another address, so far",
        lambda s: s.changed,
        _count,
        4,
    ),
    Panel("Failed starts", "no address was left to start with, so far", lambda s: s.failed, _count, 4),
    Panel("Fullest pool", "share of the addresses of the fullest pool in use, now", lambda s: s.fullest, percent, 1.0),
)


def draw(scale: Scale, outcomes: Sequence[Outcome], file: Path) -> None:
    """Write a chart; the ending of the file says of which kind. Raises OSError; ValueError for an unknown ending."""
    with matplotlib.rc_context({"svg.hashsalt": "weft", "font.family": "DejaVu Sans", "font.size": 9.5}):
        figure = Figure(figsize=(12.5, 8.8), facecolor="white")
        figure.subplots_adjust(left=0.06, right=0.985, top=0.775, bottom=0.065, wspace=0.13, hspace=0.4)
        _head(figure, scale, outcomes)
        for panel, axes in zip(PANELS, figure.subplots(2, 2).flat, strict=True):
            _panel(axes, panel, scale, outcomes)
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix.lower() == ".svg" else None)


def _head(figure: Figure, scale: Scale, outcomes: Sequence[Outcome]) -> None:
    figure.text(0.06, 0.957, "Who keeps MAC addresses apart?", fontsize=17, fontweight="bold", color=INK)
    figure.text(0.06, 0.93, f"One simulated life under each strategy: {title(scale)}", fontsize=10.5, color=MUTED)
    handles = []
    for one in outcomes:
        colour, dashes = STYLES[one.strategy]
        text = f"{one.strategy}: {BY_NAME[one.strategy.lower()].means}"
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=2.4, label=text))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.054, 0.918),
        ncols=2,
        frameon=False,
        handlelength=3.2,
        columnspacing=1.6,
        fontsize=10,
    )


def _panel(axes: Axes, panel: Panel, scale: Scale, outcomes: Sequence[Outcome]) -> None:
    peaks = [max(panel.value(sample) for sample in one.samples) for one in outcomes]
    logarithmic = panel.text is _count and _are_far_apart(peaks)
    for place, one in enumerate(outcomes):
        colour, dashes = STYLES[one.strategy]
        axes.plot(
            [sample.at / DAY for sample in one.samples],
            [panel.value(sample) for sample in one.samples],
            color=colour,
            linestyle=dashes,
            linewidth=2.6 if one.strategy == "weft" else 1.7,
            zorder=3 + place,
            solid_capstyle="butt",
            clip_on=False,
        )
    axes.set_title(panel.title, loc="left", fontsize=12.5, fontweight="bold", color=INK, pad=20)
    note = f"{panel.note}; logarithmic" if logarithmic else panel.note
    axes.text(0, 1.035, note, transform=axes.transAxes, fontsize=9.5, color=MUTED)
    top = max(panel.top, *peaks)
    if logarithmic:
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, top * 1.5)
        axes.set_yticks([0, *(10**power for power in range(len(str(int(top)))))])
        axes.minorticks_off()
    else:
        axes.set_ylim(0, top * 1.04)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=panel.text is _count))
    _scales(axes, panel, scale)
    _labels(axes, panel, outcomes)


def _are_far_apart(peaks: Sequence[float]) -> bool:
    """Whether the small ones could not be told from nothing beside the great ones."""
    some = [peak for peak in peaks if peak]
    return bool(some) and max(some) > FAR_APART * min(some)


def _scales(axes: Axes, panel: Panel, scale: Scale) -> None:
    axes.set_xlim(0, scale.days * (1 + ROOM))
    axes.set_xticks([tick for tick in MaxNLocator(6, integer=True).tick_values(0, scale.days) if tick <= scale.days])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"day {day:.0f}" if day else "0"))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.0%}" if panel.text is percent else _count(value))
    )
    axes.hlines(axes.get_yticks(), 0, scale.days, color=GRID, linewidth=0.8, zorder=1)
    axes.tick_params(length=0, labelcolor=MUTED)
    axes.spines[:].set_visible(False)


def _labels(axes: Axes, panel: Panel, outcomes: Sequence[Outcome]) -> None:
    """Each line's last value and name at its end, apart where they would cover each other; equal values share one."""
    ends: dict[str, list[Outcome]] = {}
    heights: dict[str, float] = {}
    to_share = axes.transData - axes.transAxes
    for one in outcomes:
        value = panel.value(one.samples[-1])
        ends.setdefault(panel.text(value), []).append(one)
        heights[panel.text(value)] = float(to_share.transform((0, value))[1])
    labels = []
    for value_text in sorted(ends, key=heights.__getitem__):
        who = ends[value_text]
        lines = textwrap.wrap(f"{value_text}  {', '.join(one.strategy for one in who)}", LABEL_WIDTH)
        colour = _dark(STYLES[who[0].strategy][0]) if len(who) == 1 else INK
        labels.append((heights[value_text], "\n".join(lines), colour))
    x = 1 / (1 + ROOM)
    for (at, text, colour), height in zip(labels, _apart([(at, text) for at, text, _ in labels]), strict=True):
        ends_at, label_at = (x + 0.004, x + 0.02), (at, height)
        axes.plot(ends_at, label_at, transform=axes.transAxes, color="#b0b0b0", linewidth=0.8, clip_on=False)
        axes.text(x + 0.026, height, text, transform=axes.transAxes, va="center", fontweight="bold", color=colour)


def _apart(labels: list[tuple[float, str]]) -> list[float]:
    """Where labels, given from the lowest up, have their middles: none covers another, none leaves the panel."""
    halves = [LINE * (text.count("\n") + 1) / 2 for _, text in labels]
    placed: list[float] = []
    floor = -LINE / 2
    for (height, _), half in zip(labels, halves, strict=True):
        placed.append(max(height, floor + half))
        floor = placed[-1] + half
    ceiling = 1.0 + LINE / 2
    for at in reversed(range(len(placed))):
        placed[at] = min(placed[at], ceiling - halves[at])
        ceiling = placed[at] - halves[at]
    return placed


def _dark(colour: str) -> tuple[float, ...]:
    """A colour as text can have it on white."""
    return tuple(part * 0.72 for part in to_rgb(colour))
