"""ConvertTo-Json and ConvertFrom-Json as Windows PowerShell 5.1 has them. Pure.

5.1 cuts off below -Depth (2 unless given) and writes the text of what is there, writes an enumeration as its number,
and writes {} for a variable that got nothing from a pipeline; the last is refused here, for nobody wants it.
"""

import json
from typing import Any

from weft.fakes.hyperv.powershell.conversion import as_text
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.values import NOTHING, EnumValue, Guid, Moment, Record, Table

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


def to_json(value: Any, depth: int, *, compress: bool) -> str:
    made = _plain(value, depth)
    if compress:
        return json.dumps(made, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)
    return json.dumps(made, ensure_ascii=False, separators=(",", ":  "), indent=4).translate(_ESCAPED)


def _plain(value: Any, depth: int) -> Any:
    if value is NOTHING:
        raise NotUnderstood("ConvertTo-Json of what a pipeline did not write: 5.1 makes {} of it; use @() or $null")
    match value:
        case None | bool() | int() | float() | str():
            return value
        case EnumValue():
            return value.number
        case Guid():
            return value.digits
        case Moment():
            return f"/Date({int(value.seconds * 1000)})/"
        case list():
            return [_plain(one, depth - 1) for one in value] if depth >= 0 else as_text(value)
        case Table() | Record():
            return _object(value, depth)
    raise NotUnderstood(f"ConvertTo-Json of a {type(value).__name__}")


def _object(value: Table | Record, depth: int) -> Any:
    if isinstance(value, Record) and not value.custom:
        raise NotUnderstood(f"ConvertTo-Json of a whole {value.kind}: choose its properties")
    if depth < 0:
        return as_text(value)
    return {as_text(key): _plain(one, depth - 1) for key, one in value.items()}


def from_json(text: str) -> Any:
    """A list stays one object in the pipeline; an object that names one key twice, but for case, is an error."""
    try:
        return json.loads(text, object_pairs_hook=_record)
    except json.JSONDecodeError as error:
        raise PowerShellError(
            f"Invalid JSON primitive: {text[error.pos : error.pos + 20]}.", id="ArgumentException"
        ) from None


def _record(pairs: list[tuple[str, Any]]) -> Record:
    seen: dict[str, str] = {}
    for key, _ in pairs:
        if key.lower() in seen:
            raise PowerShellError(
                f"Cannot convert the JSON string because a dictionary that was converted from the string contains the "
                f"duplicated keys '{seen[key.lower()]}' and '{key}'.",
                id="DuplicateKeysInJsonString",
            )
        seen[key.lower()] = key
    return Record(dict(pairs))
