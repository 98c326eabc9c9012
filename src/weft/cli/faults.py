"""What is wrong with a file: one message per fault with its place, raised all together before anything is done."""

import difflib
from collections.abc import Iterable

import msgspec

from weft.model.errors import Invalid


class Fault(msgspec.Struct, frozen=True, order=True):
    """`message` says what is wrong and, after a semicolon, what to do."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class BadFile(Invalid):
    """A file with faults; `so` says what did not come of it."""

    code = "BadFile"

    def __init__(self, faults: Iterable[Fault], so: str = "nothing was applied") -> None:
        self.faults = tuple(sorted(set(faults)))
        self.so = so
        super().__init__("\n".join(str(fault) for fault in self.faults))


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that was probably meant, compared without case."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean X?` where a known word is near, else `otherwise`."""
    guess = nearest(word, known)
    return f"did you mean {guess}?" if guess else otherwise
