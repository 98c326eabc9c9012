"""Truth, text and casts. Pure; messages are PowerShell's."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.values import (
    EnumValue,
    Guid,
    Moment,
    Record,
    ScriptBlock,
    Table,
    TypeName,
    plain,
)

_INTEGERS = {
    "byte": ("Byte", 0, 0xFF),
    "uint16": ("UInt16", 0, 0xFFFF),
    "int": ("Int32", -(2**31), 2**31 - 1),
    "int32": ("Int32", -(2**31), 2**31 - 1),
    "uint32": ("UInt32", 0, 2**32 - 1),
    "long": ("Int64", -(2**63), 2**63 - 1),
    "int64": ("Int64", -(2**63), 2**63 - 1),
    "uint64": ("UInt64", 0, 2**64 - 1),
}
_GUID = re.compile(r"[{(]?([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})[)}]?", re.I)


def truth(value: Any) -> bool:
    """As `if` sees it: a list of one is its element, a longer one is true."""
    value = plain(value)
    if isinstance(value, list):
        if len(value) == 1:
            return bool(value[0]) if isinstance(value[0], list) else truth(value[0])
        return bool(value)
    if isinstance(value, bool | int | float | str):
        return bool(value)
    if isinstance(value, EnumValue):
        return bool(value.number)
    return value is not None


def as_text(value: Any) -> str:
    """[string]$value, and what "$value" shows: a time in the form that has no language."""
    value = plain(value)
    match value:
        case None:
            return ""
        case bool():
            return "True" if value else "False"
        case float():
            return f"{value:g}" if value % 1 else str(int(value))
        case list():
            return " ".join(as_text(one) for one in value)
        case Table():
            return "System.Collections.Hashtable"
        case Record():
            return _record_text(value)
        case ScriptBlock():
            return (value.node.text or b"").decode().strip("{}")
        case Moment():
            return datetime.fromtimestamp(value.seconds, UTC).strftime("%m/%d/%Y %H:%M:%S")
        case TypeName():
            raise NotUnderstood("the text of a type")
    return str(value)


def _record_text(value: Record) -> str:
    if value.custom:
        return "@{" + "; ".join(f"{name}={as_text(one)}" for name, one in value.items()) + "}"
    if value.kind == "ErrorRecord":
        return as_text(value.get("Exception").get("Message"))
    raise NotUnderstood(f"the text of a {value.kind}: choose one of its properties")


def cast(name: str, value: Any) -> Any:
    """[name]$value. Raises PowerShellError where it cannot be, NotUnderstood for another type."""
    folded = name.lower().removeprefix("system.")
    value = plain(value)
    if folded.endswith("[]") and folded != "object[]":
        return None if value is None else [cast(folded[:-2], one) for one in _listed(value)]
    if folded in _INTEGERS:
        return _integer(folded, value)
    known = _CASTS.get(folded)
    if known is None:
        raise NotUnderstood(f"the type [{name}]")
    return known(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def number(value: Any, kind: str = "Int32") -> int | float:
    """For arithmetic and comparison. Raises PowerShellError."""
    value = plain(value)
    match value:
        case None:
            return 0
        case bool():
            return int(value)
        case int() | float():
            return value
        case EnumValue():
            return value.number
        case str():
            return _number_of_text(value, kind)
    raise _no_cast(value, kind)


def _number_of_text(value: str, kind: str) -> int | float:
    digits = value.strip()
    if not digits:
        return 0
    try:
        if digits.lower().startswith("0x"):
            return int(digits, 16)
        return int(digits) if re.fullmatch(r"[+-]?\d+", digits) else float(digits)
    except ValueError:
        raise _no_cast(value, kind, '"Input string was not in a correct format."') from None


def _integer(folded: str, value: Any) -> int:
    kind, lowest, highest = _INTEGERS[folded]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    whole = round(number(value, kind))
    if not lowest <= whole <= highest:
        raise _no_cast(value, kind, f'"Value was either too large or too small for {_article(kind)} {kind}."')
    return whole


def _article(kind: str) -> str:
    return "an" if kind[0] in "IU" else "a"


def _no_cast(value: Any, kind: str, why: str = "") -> PowerShellError:
    shown = f'"{value}"' if isinstance(value, str | int | float) else f'the "{type(value).__name__}" value'
    reason = f" Error: {why}" if why else ""
    return PowerShellError(f'Cannot convert value {shown} to type "System.{kind}".{reason}', id="InvalidCast")


def _guid(value: Any) -> Guid:
    if isinstance(value, Guid):
        return value
    found = _GUID.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise _no_cast(value, "Guid", '"Unrecognized Guid format."')
    digits = found[1].replace("-", "")
    return Guid("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))


def _custom(value: Any) -> Any:
    return Record({as_text(key): one for key, one in value.items()}) if isinstance(value, Table) else value


def _table(value: Any) -> Table | None:
    if value is None or isinstance(value, Table):
        return value
    raise _no_cast(value, "Collections.Hashtable")


_CASTS: dict[str, Callable[[Any], Any]] = {
    "string": as_text,
    "bool": truth,
    "boolean": truth,
    "switch": truth,
    "double": lambda value: float(number(value, "Double")),
    "guid": _guid,
    "pscustomobject": _custom,
    "psobject": lambda value: value,
    "object": lambda value: value,
    "array": lambda value: None if value is None else _listed(value),
    "object[]": lambda value: None if value is None else _listed(value),
    "hashtable": _table,
    "ordered": _table,
    "scriptblock": lambda value: value,
    "void": lambda value: None,
}
