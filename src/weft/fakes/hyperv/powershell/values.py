"""What a variable can hold. None, bool, int, float, str and list are Python's own; the rest is here. No evaluation.

NOTHING is what a command that wrote no output leaves in a variable: it compares as $null, but there is no element in
it, where $null in a pipeline is one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.errors import NotUnderstood


class Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = Nothing()


class Guid:
    """A System.Guid; `digits` in the form D, in lower case."""

    def __init__(self, digits: str) -> None:
        self.digits = digits.strip("{}()").lower()

    def __str__(self) -> str:
        return self.digits

    def __repr__(self) -> str:
        return f"Guid({self.digits})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Guid) and other.digits == self.digits

    def __hash__(self) -> int:
        return hash(self.digits)


class EnumValue:
    """A name of a .NET enumeration. It compares by name, and ConvertTo-Json writes its number."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"EnumValue({self.name})"


class Moment:
    """A System.DateTime in UTC; seconds since 1970."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Table:
    """A hashtable: keys without case. It is walked in the order of insertion, which Windows promises for [ordered]
    only."""

    def __init__(self, pairs: Iterable[tuple[Any, Any]] = ()) -> None:
        self._items: dict[Any, tuple[Any, Any]] = {}
        for key, value in pairs:
            self[key] = value

    def __contains__(self, key: Any) -> bool:
        return _folded(key) in self._items

    def __getitem__(self, key: Any) -> Any:
        """$null where there is no such key."""
        return self._items.get(_folded(key), (None, None))[1]

    def __setitem__(self, key: Any, value: Any) -> None:
        folded = _folded(key)
        old = self._items.get(folded)
        self._items[folded] = (key if old is None else old[0], value)

    def __len__(self) -> int:
        return len(self._items)

    def remove(self, key: Any) -> None:
        self._items.pop(_folded(key), None)

    def items(self) -> Iterator[tuple[Any, Any]]:
        return iter(list(self._items.values()))

    def keys(self) -> list[Any]:
        return [key for key, _ in self._items.values()]

    def values(self) -> list[Any]:
        return [value for _, value in self._items.values()]


class Record:
    """An object with properties. `kind` is PSCustomObject, or what a cmdlet gave; of the latter, reading a property
    that it does not have is NotUnderstood, for a misspelt name would read as $null for ever."""

    def __init__(self, properties: Mapping[str, Any], kind: str = "PSCustomObject", subject: Any = None) -> None:
        self.kind = kind
        self.subject = subject
        """What it stands for, of a cmdlet's object."""
        self._properties = Table(properties.items())

    @property
    def custom(self) -> bool:
        return self.kind == "PSCustomObject"

    def has(self, name: str) -> bool:
        return name in self._properties

    def get(self, name: str) -> Any:
        if not self.custom and name not in self._properties:
            raise NotUnderstood(f"the fake's {self.kind} has no property {name}")
        return self._properties[name]

    def set(self, name: str, value: Any, *, add: bool = False) -> None:
        if name not in self._properties and not add:
            raise KeyError(name)
        self._properties[name] = value

    def items(self) -> Iterator[tuple[str, Any]]:
        return self._properties.items()

    def names(self) -> list[str]:
        return self._properties.keys()


class ScriptBlock:
    """{ ... } as a value."""

    def __init__(self, node: Node) -> None:
        self.node = node


class TypeName:
    """[name] as a value, in lower case and without System."""

    def __init__(self, name: str) -> None:
        folded = name.lower()
        self.name = folded.removeprefix("system.")


def _folded(key: Any) -> Any:
    return key.lower() if isinstance(key, str) else key


def plain(value: Any) -> Any:
    """$null for what a command did not write."""
    return None if value is NOTHING else value


def unrolled(value: Any) -> list[Any]:
    """What goes down a pipeline: a list one by one, $null as one, NOTHING as none. A hashtable is one object."""
    if value is NOTHING:
        return []
    return value if isinstance(value, list) else [value]


def collected(outputs: Iterable[Any]) -> Any:
    """What a variable gets of a pipeline: nothing, the one object, or a list."""
    found = list(outputs)
    if not found:
        return NOTHING
    return found[0] if len(found) == 1 else found
