"""-eq, -like, -in and their kin. Pure.

The left operand says how the two are compared; a list on the left is filtered.
"""

import re
from collections.abc import Callable
from typing import Any

from weft.fakes.hyperv.powershell.conversion import as_text, cast, number, truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.values import EnumValue, Guid, Moment, Record, Table, TypeName, plain

Test = Callable[[Any, Any, bool], bool]


def compare(operator: str, left: Any, right: Any) -> Any:
    """The value of `left operator right`; `operator` as written, such as -ne or -CEQ."""
    name = operator.lower().lstrip("-")
    left, right = plain(left), plain(right)
    if name in ("is", "isnot"):
        return _is(left, right) == (name == "is")
    sensitive = name.startswith("c") and name[1:] in _TESTS | _SETS
    base = name[1:] if sensitive or (name.startswith("i") and name[1:] in _TESTS | _SETS) else name
    if base in _SETS:
        return _SETS[base](left, right, sensitive)
    test = _TESTS.get(base)
    if test is None:
        raise NotUnderstood(f"the operator {operator}")
    if isinstance(left, list):
        return [one for one in left if test(plain(one), right, sensitive)]
    return test(left, right, sensitive)


def equal(left: Any, right: Any, sensitive: bool = False) -> bool:
    """`left -eq right` of two single values: the right one is made what the left one is; what cannot be is unequal."""
    match left:
        case None:
            return right is None
        case bool():
            return left is truth(right)
        case int() | float() | str() | Guid() | EnumValue():
            return right is not None and _same(left, right, sensitive)
        case list() | Table() | Record():
            return left is right
        case Moment():
            return isinstance(right, Moment) and left.seconds == right.seconds
    raise NotUnderstood(f"comparing a {type(left).__name__}")


def _same(left: Any, right: Any, sensitive: bool) -> bool:
    if isinstance(right, list):
        return False
    try:
        if isinstance(left, str):
            return _fold(left, sensitive) == _fold(as_text(right), sensitive)
        if isinstance(left, Guid):
            return bool(left == cast("guid", right))
        if isinstance(left, EnumValue) and isinstance(right, str):
            return left.name.lower() == right.lower()
        return number(left) == number(right)
    except PowerShellError:
        return False


def order(left: Any, right: Any, sensitive: bool = False) -> int:
    """Below 0, 0 or above. Raises PowerShellError where the two have no order."""
    left, right = plain(left), plain(right)
    if isinstance(left, str):
        one, other = _fold(left, sensitive), _fold(as_text(right), sensitive)
        return (one > other) - (one < other)
    if isinstance(left, Moment) and isinstance(right, Moment):
        return (left.seconds > right.seconds) - (left.seconds < right.seconds)
    if left is None and right is None:
        return 0
    first, second = number(left), number(right)
    return (first > second) - (first < second)


def _fold(text: str, sensitive: bool) -> str:
    return text if sensitive else text.lower()


def wildcard(pattern: str, *, sensitive: bool = False) -> re.Pattern[str]:
    """-like's pattern: * any text, ? any one character, [a-c] one of these, ` takes the meaning away."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if char == "`" and at + 1 < len(pattern):
            at += 1
            out += re.escape(pattern[at])
        elif char == "[" and "]" in pattern[at + 2 :]:
            end = pattern.index("]", at + 2)
            out += "[" + pattern[at + 1 : end].replace("\\", "\\\\").replace("^", "\\^") + "]"
            at = end
        else:
            out += {"*": ".*", "?": "."}.get(char) or re.escape(char)
        at += 1
    return re.compile(out, re.DOTALL | (0 if sensitive else re.IGNORECASE))


def _like(left: Any, right: Any, sensitive: bool) -> bool:
    return wildcard(as_text(right), sensitive=sensitive).fullmatch(as_text(left)) is not None


def _contains(left: Any, right: Any, sensitive: bool) -> bool:
    return any(equal(plain(one), right, sensitive) for one in (left if isinstance(left, list) else [left]))


_TESTS: dict[str, Test] = {
    "eq": equal,
    "ne": lambda left, right, sensitive: not equal(left, right, sensitive),
    "lt": lambda left, right, sensitive: order(left, right, sensitive) < 0,
    "le": lambda left, right, sensitive: order(left, right, sensitive) <= 0,
    "gt": lambda left, right, sensitive: order(left, right, sensitive) > 0,
    "ge": lambda left, right, sensitive: order(left, right, sensitive) >= 0,
    "like": _like,
    "notlike": lambda left, right, sensitive: not _like(left, right, sensitive),
}
_SETS: dict[str, Test] = {
    "contains": _contains,
    "notcontains": lambda left, right, sensitive: not _contains(left, right, sensitive),
    "in": lambda left, right, sensitive: _contains(right, left, sensitive),
    "notin": lambda left, right, sensitive: not _contains(right, left, sensitive),
}

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "int32": (int,),
    "bool": (bool,),
    "boolean": (bool,),
    "double": (float,),
    "array": (list,),
    "object[]": (list,),
    "hashtable": (Table,),
    "collections.hashtable": (Table,),
    "collections.idictionary": (Table,),
    "guid": (Guid,),
    "datetime": (Moment,),
}


def _is(left: Any, right: Any) -> bool:
    if not isinstance(right, TypeName):
        raise NotUnderstood("-is without a [type] on its right")
    if right.name in ("pscustomobject", "management.automation.pscustomobject"):
        return isinstance(left, Record) and left.custom
    known = _KINDS.get(right.name)
    if known is None:
        raise NotUnderstood(f"-is [{right.name}]")
    return isinstance(left, known) and not (bool not in known and isinstance(left, bool))
