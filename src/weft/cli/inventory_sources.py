"""What the readers of inventories share: a file at hand, and what was found in it with its place.

Called by weft.cli.inventory and the readers (inventory_hyperv, inventory_libvirt, inventory_csv, inventory_json).
"""

import msgspec

from weft.cli.faults import Fault
from weft.model.inventory import AddressPool, Host, Machine


class Source(msgspec.Struct, frozen=True):
    """A file as text. `host` is what the caller says its machines are on (HOST=FILE); may be empty."""

    file: str
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


class Found(msgspec.Struct):
    """What files hold, each with its origin; faults beside it."""

    hosts: list[tuple[Host, Origin]] = []
    machines: list[tuple[Machine, Origin]] = []
    pools: list[tuple[AddressPool, Origin]] = []
    faults: list[Fault] = []
