"""Objects that management tools write as JSON: their members in any case, and who of the readers knows which object.

Called by weft.cli.inventory and the readers of Hyper-V's, VMM's and vCenter's exports. What no reader knows, and holds
nothing that one knows, is a fault with its path: an object that is passed over in silence is a machine that is missed.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from weft.cli.faults import Fault
from weft.cli.inventory_sources import Source

Members = dict[str, Any]
"""An object, its keys in lower case."""

Path = tuple[Any, ...]
"""The path of the object that it lies in, and the key or the place in it; empty at the top."""

_CUT = re.compile(r"System\.|@\{|Microsoft\.HyperV\.|Microsoft\.SystemCenter\.|VMware\.")
"""How text begins that stands for an object: ConvertTo-Json goes two levels deep, unless it is told more."""
_NESTED = (dict, list)
_TOLD = 5
"""So many unknown objects of a file are told one by one."""


class Taker(Protocol):
    """A reader of one tool's objects."""

    looks_inside: bool
    """What an object of it holds is offered to it too."""

    def take(self, said: Members, source: Source) -> bool:
        """Keep an object. False: not one of its kind."""
        ...


def hand_out(value: Any, source: Source, takers: Sequence[Taker]) -> tuple[int, list[Fault]]:
    """Offer every object to the readers, the first that takes it has it. How many were taken, and what nobody knew."""
    walk = _Walk(source, takers)
    walk.over(value, ())
    faults = [source.fault(source.line_with(word), f"{path}: {_UNKNOWN}") for path, word in walk.unknown[:_TOLD]]
    if len(walk.unknown) > _TOLD:
        faults.append(source.fault(1, f"and {len(walk.unknown) - _TOLD} more objects that are not known"))
    return walk.taken, faults


_UNKNOWN = "is no object that is known here; leave it out, or write it with the lines of docs/inventory.md"


class _Walk:
    def __init__(self, source: Source, takers: Sequence[Taker]) -> None:
        self.taken = 0
        self.unknown: list[tuple[str, str]] = []
        """Paths, and a word to find them by."""
        self._source = source
        self._takers = takers

    def over(self, value: Any, path: Path) -> bool:
        """Whether it is, or holds, an object that somebody took."""
        if isinstance(value, list):
            return any([self.over(each, (path, at)) for at, each in enumerate(value) if each.__class__ in _NESTED])
        if not isinstance(value, dict):
            return False
        said = lower(value)
        for taker in self._takers:
            if taker.take(said, self._source):
                self.taken += 1
                if taker.looks_inside:
                    self._inside(said, taker)
                return True
        before = len(self.unknown)
        below = [(name, each) for name, each in value.items() if each.__class__ in _NESTED]
        known = any([self.over(each, (path, name)) for name, each in below])
        if not known and any(each.__class__ not in _NESTED for each in value.values()):
            # it says something itself, so it is not only what others are grouped by
            del self.unknown[before:]
            self.unknown.append((_path_text(path), next(f'"{name}"' for name in value)))
        return known

    def _inside(self, said: Members, taker: Taker) -> None:
        waiting = [each for each in said.values() if each.__class__ in _NESTED]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                inner = lower(each)
                self.taken += taker.take(inner, self._source)
                waiting += reversed([below for below in inner.values() if below.__class__ in _NESTED])
            else:
                waiting += reversed([below for below in each if below.__class__ in _NESTED])


def _path_text(path: Path) -> str:
    words = ""
    while path:
        path, step = path
        words = (f"[{step}]" if isinstance(step, int) else f".{step}") + words
    return words.lstrip(".") or "the file"


def cut_text(value: Any) -> str:
    """The first text in it that stands where an object or a list was; empty if nothing was cut off."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict | list):
            waiting += reversed(list(each.values()) if isinstance(each, dict) else each)
        elif isinstance(each, str) and _CUT.match(each):
            return each
    return ""


@functools.lru_cache(1024)
def _lower_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Remembered, since a hundred thousand objects have the same members."""
    return tuple(name.lower() for name in names)


def lower(said: Members) -> Members:
    """The same with its keys in lower case."""
    return dict(zip(_lower_names(tuple(said)), said.values(), strict=True))


def inner(said: Members, *names: str) -> Members:
    """The object that is reached by these members, one below the other; empty if there is none."""
    found: Any = said
    for name in names:
        found = lower(found).get(name) if isinstance(found, dict) else None
    return lower(found) if isinstance(found, dict) else {}


def text(said: Members, *names: str) -> str:
    """The first of these members that says something. Windows PowerShell writes some GUIDs as {"value": ..., "Guid":
    ...}."""
    for name in names:
        value = said.get(name)
        if value.__class__ is str:
            if value:
                return str(value)
        elif value.__class__ is int:
            return str(value)
        elif value.__class__ is dict and (within := text(lower(value), "value")):
            return within
    return ""


def name_of(said: Members, *names: str) -> str:
    """As text; of an object its name."""
    for name in names:
        value = said.get(name)
        found = text(lower(value), "name", "value") if isinstance(value, dict) else text(said, name)
        if found:
            return found
    return ""


def is_true(value: Any) -> bool:
    """True as JSON has it, or as text."""
    return value is True or (value.__class__ is str and value.lower() == "true")


def items(value: Any) -> list[Any]:
    """A list, whatever ConvertTo-Json made of it: {"value": [...], "Count": n}, a single one bare, or null."""
    if isinstance(value, dict) and "value" in (wrapped := lower(value)):
        value = wrapped["value"]
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def objects(value: Any) -> Iterator[Members]:
    """The objects of a list."""
    return (lower(each) for each in items(value) if isinstance(each, dict))


def addresses(*values: Any) -> tuple[str, ...]:
    """IP addresses; too deep for ConvertTo-Json, they are one text with spaces between."""
    return tuple(word for value in values for each in items(value) for word in str(each).split())


def vlan_of(tag: str) -> int | None:
    return int(tag) if tag.isdecimal() and 0 < int(tag) <= 4094 else None
