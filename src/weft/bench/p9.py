"""P9: grants per second from a pool of 16 M addresses that is empty, half full or all but full, fragmented at random.

The rules alone, decided and applied on a state: HTTP and disk cost the same at any fill and would hide a difference.
"""

import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

from weft.bench.filled import Desk, put_command
from weft.bench.rows import Row, Size, alternate

FIRST, WIDTH = 0x001DD8000000, 1 << 24

EXCLUDED = {0.5: 64, 0.999: 4096}
"""Fill, and the longest run that is excluded in one piece; what lies between is short and of random length."""


def run(size: Size) -> Iterator[Row]:
    """A row per fill, each beside the empty pool in turn."""
    width = size.pick(1 << 14, WIDTH)
    names = itertools.count()
    empty = desk(width, 0.0)
    for fill in (0.0, *EXCLUDED):
        full = desk(width, fill)
        grants, pairs = size.pick(4, 300), size.pick(2, 20)
        ours, other, ratio = alternate(
            lambda: _rate(full, names, grants),  # noqa: B023 - called in this round of the loop only
            lambda: _rate(empty, names, grants),  # noqa: B023
            pairs,
        )
        yield Row("P9", f"{width:,} addresses, {fill:.1%} full", ours, "grants/s", "the same pool empty", other, ratio)


def desk(width: int, fill: float) -> Desk:
    desk = Desk()
    properties: dict[str, Any] = {
        "startMacAddress": f"{FIRST:012X}",
        "endMacAddress": f"{FIRST + width - 1:012X}",
        "excluded": list(_exclusions(width, fill)) if fill else [],
    }
    desk.do([put_command("/macPools/bench", {"resourceId": "bench", "properties": properties})])
    return desk


def _exclusions(width: int, fill: float) -> Iterator[dict[str, str]]:
    """Runs of random length over the whole pool, leaving 1 - fill of it free in pieces of random length."""
    drawn = random.Random(9)
    longest = min(EXCLUDED[fill], width // 8)
    gap = longest * (1 - fill) / fill
    at = 0
    while at < width:
        last = min(width - 1, at + drawn.randint(1, longest) - 1)
        yield {"first": f"{FIRST + at:012X}", "last": f"{FIRST + last:012X}", "reason": "bench"}
        # so that gaps of less than one address on average come out right in sum
        free = drawn.uniform(0, gap)
        at = last + 1 + int(free) + (drawn.random() < free % 1)


def _rate(desk: Desk, names: "itertools.count[int]", grants: int) -> float:
    """Grants per second, one command each, as one PUT of an interface with a Dynamic MAC address."""
    dynamic = {"privateMacAllocationMethod": "Dynamic"}
    commands = [
        put_command(f"/networkInterfaces/{name}", {"resourceId": name, "properties": dynamic})
        for name in (f"n{next(names)}" for _ in range(grants))
    ]
    started = time.perf_counter()
    for command in commands:
        desk.one(command)
    return grants / (time.perf_counter() - started)
