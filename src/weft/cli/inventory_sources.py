"""What the readers of inventories share: a file at hand, and what was found in it with its place.

Called by weft.cli.inventory and the readers (inventory_hyperv, inventory_libvirt and so on).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from weft.cli.faults import Fault
from weft.model.inventory import Adapter, AddressPool, Host, Machine, MachineCheckpoint

T = TypeVar("T")


class Source(msgspec.Struct, frozen=True):
    """A file as text. `host` is what the caller says its machines are on (HOST=FILE); may be empty."""

    path: Path
    """What was opened."""
    file: str
    """The same for people, as it stands before a fault."""
    text: str
    host: str = ""
    folder: str = ""
    """Name of the folder that was asked for as a whole, or that the file lies in."""
    whole_folder: bool = False
    stem: str = ""
    """Name of the file without its suffix."""

    def line_of(self, offset: int) -> int:
        """The line, from 1, of a place in the text."""
        return self.text.count("\n", 0, offset) + 1

    def line_with(self, word: str) -> int:
        """The first line that has a word in it; 1 if none has."""
        at = self.text.find(word) if word else -1
        return self.line_of(at) if at >= 0 else 1

    def fault(self, line: int, message: str) -> Fault:
        return Fault(self.file, line, message)


class Origin(msgspec.Struct, frozen=True):
    """Where something was read. `line` 0: look for the word at fault when it comes to that."""

    source: Source
    line: int = 0


class ByFile(Generic[T]):
    """Things by keys that are unique in one file only, as vCenters number theirs: a file's own come first."""

    def __init__(self) -> None:
        self._there: dict[str, dict[str, T]] = {}

    def put(self, key: str, source: Source, thing: T) -> None:
        self._there.setdefault(key.lower(), {})[source.file] = thing

    def get(self, key: str, source: Source) -> T | None:
        """The file's own, else the only one that there is."""
        there = self._there.get(key.lower(), {})
        return next(iter(there.values())) if len(there) == 1 else there.get(source.file)

    def all(self) -> Iterator[T]:
        return (thing for there in self._there.values() for thing in there.values())


class Found(msgspec.Struct):
    """What files hold, each with its origin; faults beside it."""

    hosts: list[tuple[Host, Origin]] = []
    machines: list[tuple[Machine, Origin]] = []
    pools: list[tuple[AddressPool, Origin]] = []
    faults: list[Fault] = []
    files: list[Path] = []
    """Every file that was opened."""


def checkpoints_of(held: Mapping[str, Iterable[Adapter]]) -> tuple[MachineCheckpoint, ...]:
    """Of what each of them holds, by name."""
    return tuple(MachineCheckpoint(name=name, interfaces=tuple(adapters)) for name, adapters in held.items())
