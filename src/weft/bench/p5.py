"""P5: memory per interface, with its machine, addresses and indexes; and START: seconds from file to state.

Each load runs in a process of its own, as a controller starts; its yardstick runs on the same file.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from weft.bench.filled import STORES
from weft.bench.memory import Taken
from weft.bench.rows import Row, Size, alternate

NOTE = (
    "P5: resident memory of a fresh process before and after it loads; the yardstick keeps the same fields in tuples."
)


def counts(size: Size) -> tuple[int, ...]:
    return (100_000, 1_000_000) if size.full else (1_000,)


def run(size: Size) -> Iterator[Row]:
    """Bytes per interface at each count."""
    for count in counts(size):
        folder = STORES.of(count)
        ours, other = taken("state", folder), taken("tuples", folder)
        mine, its = ours.resident / ours.count, other.resident / other.count
        yield Row("P5", f"{count:,} interfaces with machine and addresses", mine, "bytes", "tuples", its, mine / its)


def run_start(size: Size) -> Iterator[Row]:
    """Seconds to open and load, beside reading and parsing the same rows."""
    for count in counts(size):
        folder = STORES.of(count)
        ours, other, ratio = alternate(
            lambda: taken("state", folder).seconds,  # noqa: B023 - called in this round of the loop only
            lambda: taken("rows", folder).seconds,  # noqa: B023
            size.pick(1, 3),
        )
        yield Row("START", f"{count:,} interfaces with machine", ours, "s", "reading the rows", other, ratio)


def taken(what: str, folder: Path) -> Taken:
    """What a fresh process says that it took."""
    command = [sys.executable, "-m", "weft.bench.memory", what, str(folder)]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    return msgspec.json.decode(said, type=Taken)
