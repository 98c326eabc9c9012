"""The address space as SVG: every range at its place, what is used in it, and which ranges lie on top of each other.

Called by weft.cli.audit_page. Ranges that overlap share one axis, so that what they have in common stands one above the
other; a range that is alone has an axis of its own. Colours are classes of the page's style sheet.
"""

import itertools
from collections.abc import Iterator, Sequence
from html import escape

from weft.cli.show import clean
from weft.core.audit.findings import RangeUse
from weft.model.values import parse_mac

ROWS = 150
"""More are left out, and that is said: the fullest picture is no picture."""
_WIDTH, _LEFT, _BAR, _ROW, _GAP = 1000, 232, 560, 20, 10

Panel = list[tuple[RangeUse, int, int]]
"""Ranges that hang together by overlaps, with their bounds."""


def picture(ranges: Sequence[RangeUse]) -> str:
    """One svg element, and a line where it does not show all; empty without ranges."""
    if not ranges:
        return ""
    shown = ranges[:ROWS]
    body: list[str] = []
    top = _GAP
    for panel in _panels(shown):
        height = len(panel) * _ROW
        if len(panel) > 1:
            body.append(f'<rect class="clash" x="2" y="{top - 3}" width="{_WIDTH - 4}" height="{height + 6}" rx="6"/>')
        for at, (use, first, last) in enumerate(panel):
            body += _row(use, (first, last), (panel[0][1], max(end for _, _, end in panel)), top + at * _ROW)
        top += height + _GAP
    said = f"Ranges of hosts and pools, {len(shown)} of {len(ranges)}"
    svg = (
        f'<svg viewBox="0 0 {_WIDTH} {top}" role="img" aria-label="{said}">'
        f'<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        f'<rect width="5" height="5" class="hatch-ground"/><line x1="0" y1="0" x2="0" y2="5" class="hatch-line"/>'
        f"</pattern></defs>{''.join(body)}</svg>"
    )
    left_out = len(ranges) - len(shown)
    return svg + (
        f"<p class=note>{left_out} more ranges are not drawn; the JSON report has them.</p>" if left_out else ""
    )


def _panels(ranges: Sequence[RangeUse]) -> Iterator[Panel]:
    """Hosts' ranges and pools in the order of the address space; blocks, which surround them, by themselves below."""
    placed: Panel = [(use, parse_mac(use.first), parse_mac(use.last)) for use in ranges]
    panel: Panel = []
    for use, first, last in sorted((each for each in placed if each[0].kind != "block"), key=lambda each: each[1:]):
        if panel and first > max(end for _, _, end in panel):
            yield panel
            panel = []
        panel.append((use, first, last))
    if panel:
        yield panel
    yield from ([each] for each in placed if each[0].kind == "block")


def _row(use: RangeUse, bounds: tuple[int, int], axis: tuple[int, int], top: int) -> Iterator[str]:
    """Name, bar, and how much of it is used."""
    name = clean(use.owner if use.kind != "pool" else f"pool {use.owner}")
    scale = _BAR / (axis[1] - axis[0] + 1)
    left = _LEFT + (bounds[0] - axis[0]) * scale
    width = max(2.0, (bounds[1] - bounds[0] + 1) * scale)
    share = f"{use.used * 100 // use.capacity} %" if use.kind != "block" else ""
    told = f"{use.used} of {use.capacity:,} used" if use.kind != "block" else f"{use.used:,} outside of any range"
    title = f"{name}: {use.first} to {use.last}, {told}, {use.away} away, {use.captured} in checkpoints only"
    title += f", {use.duplicates} duplicate"
    shown = name if len(name) <= 30 else f"{name[:29]}…"
    yield f'<g><title>{escape(title)}</title><text x="{_LEFT - 8}" y="{top + 14}" class="name">{escape(shown)}</text>'
    yield f'<rect class="free" x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="{_ROW - 6}" rx="2"/>'
    yield from _cells(use.cells, left, width, top)
    text = f"{told if use.kind == 'block' else f'{use.used} / {use.capacity:,}'} {share and f'({share})'}".strip()
    yield f'<text x="{_LEFT + _BAR + 8}" y="{top + 14}" class="count">{escape(text)}</text></g>'


def _cells(cells: Sequence[str], left: float, width: float, top: int) -> Iterator[str]:
    """Equal neighbours as one piece; what is free is the ground already drawn."""
    step = width / len(cells)
    at = 0
    for state, run in itertools.groupby(cells):
        length = len(list(run))
        if state != "free":
            # a single address of a wide range would be too thin to be seen
            wide = max(1.5, length * step)
            x = min(left + at * step, left + width - wide)
            yield f'<rect class="{state}" x="{x:.1f}" y="{top + 3}" width="{wide:.1f}" height="{_ROW - 6}"/>'
        at += length
