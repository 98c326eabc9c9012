"""$x.Name, $x[0], $x.Method(...), [type]::Member: what objects of each kind answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.conversion import as_text, number
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.session import Session, ValueOf
from weft.fakes.hyperv.powershell.tree import inner, line, part, parts, text
from weft.fakes.hyperv.powershell.values import NOTHING, EnumValue, Guid, Moment, Record, Table, TypeName, plain

_MISSING = object()


# -- properties


def property_of(value: Any, name: str) -> Any:
    """$value.name; of a list the property of each element, as one value or a list."""
    value = plain(value)
    found = _own_property(value, name)
    if found is not _MISSING:
        return found
    if isinstance(value, list):
        return _of_each(value, name)
    return None


def _of_each(value: list[Any], name: str) -> Any:
    found: list[Any] = []
    for one in value:
        each = _own_property(plain(one), name)
        if each is not _MISSING:
            found += each if isinstance(each, list) else [each]
    if len(found) == 1:
        return found[0]
    return found or None


def _own_property(value: Any, name: str) -> Any:
    folded = name.lower()
    match value:
        case Record():
            return _of_record(value, name, folded)
        case Table():
            return _of_table(value, name, folded)
        case list():
            return len(value) if folded in ("count", "length") else _MISSING
        case str() if folded == "length":
            return len(value)
        case Guid() if folded == "guid":
            return value.digits
        case EnumValue() if folded == "value__":
            return value.number
    if folded in ("count", "length"):
        return 0 if value is None else 1
    if isinstance(value, str | int | float | Guid | EnumValue | Moment):
        raise NotUnderstood(f"the property {name} of a {type(value).__name__}")
    return _MISSING


def _of_record(value: Record, name: str, folded: str) -> Any:
    if value.has(name):
        return value.get(name)
    if folded == "psobject":
        return Record({"Properties": [_shown(key, one) for key, one in value.items()]}, "PSObject")
    if folded in ("count", "length"):
        return 1
    if not value.custom:
        value.get(name)
    return _MISSING


def _shown(name: str, value: Any) -> Record:
    return Record({"Name": name, "Value": value})


def _of_table(value: Table, name: str, folded: str) -> Any:
    if name in value:
        return value[name]
    match folded:
        case "keys":
            return value.keys()
        case "values":
            return value.values()
        case "count":
            return len(value)
    return None


def set_property(target: Any, name: str, value: Any) -> None:
    """$target.name = value. Raises PowerShellError where there is no such property."""
    target = plain(target)
    if isinstance(target, Table):
        target[name] = value
        return
    if isinstance(target, Record):
        try:
            target.set(name, value)
        except KeyError:
            if not target.custom:
                raise NotUnderstood(f"setting {name} of the fake's {target.kind}") from None
        else:
            return
    raise PowerShellError(
        f"The property '{name}' cannot be found on this object. Verify that the property exists and can be set.",
        id="PropertyAssignmentException",
        stops=True,
    )


# -- elements


def element_of(value: Any, index: Any) -> Any:
    """$value[index]"""
    value, index = plain(value), plain(index)
    if value is None:
        raise PowerShellError("Cannot index into a null array.", id="NullArray", stops=True)
    if isinstance(value, Table):
        return value[index] if not isinstance(index, list) else [value[one] for one in index]
    if isinstance(index, list):
        return [found for found in (element_of(value, one) for one in index) if found is not None]
    if isinstance(value, list) and value and isinstance(index, str) and _are_properties(value):
        return next((one for one in value if one.get("Name").lower() == index.lower()), None)
    at = int(number(index))
    if isinstance(value, list | str):
        return value[at] if -len(value) <= at < len(value) else None
    if isinstance(value, Record) and not value.custom:
        return value if at in (0, -1) else None
    raise PowerShellError(
        f"Unable to index into an object of type {type(value).__name__}.", id="CannotIndex", stops=True
    )


def _are_properties(value: list[Any]) -> bool:
    return all(isinstance(one, Record) and one.has("Name") and one.has("Value") for one in value)


def set_element(target: Any, index: Any, value: Any) -> None:
    target = plain(target)
    if isinstance(target, Table):
        target[plain(index)] = value
        return
    at = int(number(index))
    if not isinstance(target, list) or not -len(target) <= at < len(target):
        raise PowerShellError("Index was outside the bounds of the array.", id="OutOfRange", stops=True)
    target[at] = value


# -- methods


def call_method(session: Session, value: Any, name: str, arguments: list[Any]) -> Any:
    value, folded = plain(value), name.lower()
    if value is None:
        raise PowerShellError(
            "You cannot call a method on a null-valued expression.", id="InvokeMethodOnNull", stops=True
        )
    methods = _METHODS.get(type(value), {})
    if folded in methods:
        return methods[folded](value, *arguments)
    if folded == "tostring" and not arguments:
        return as_text(value)
    raise NotUnderstood(f"the method {name} of a {type(value).__name__}")


def _substring(value: str, begin: int, length: int | None = None) -> str:
    return value[begin:] if length is None else value[begin : begin + length]


def _split_text(value: str, *separators: Any) -> list[str]:
    marks = "".join(as_text(one) for one in separators)
    return re.split("[" + re.escape(marks) + "]", value) if marks else value.split()


def _guid_text(value: Guid, form: str = "D") -> str:
    match form.upper():
        case "D":
            return value.digits
        case "N":
            return value.digits.replace("-", "")
        case "B":
            return "{" + value.digits + "}"
    raise NotUnderstood(f"a Guid in the form {form}")


def _set_key(table: Table, key: Any, value: Any) -> Any:
    if key in table:
        raise PowerShellError(
            f"Item has already been added. Key in dictionary: '{key}'", id="ArgumentException", stops=True
        )
    table[key] = value
    return NOTHING


def _remove_key(table: Table, key: Any) -> Any:
    table.remove(key)
    return NOTHING


def _number_text(value: int, form: str = "") -> str:
    if form and (form[0] not in "xX" or not form[1:].isdigit()):
        raise NotUnderstood(f"a number in the form {form}")
    return f"{value:0{form[1:]}{form[0]}}" if form else str(value)


def _moment_text(value: Moment, form: str = "") -> str:
    if form not in ("o", "O"):
        raise NotUnderstood(f"a time in the form {form or 'of the language of the host'}: use 'o'")
    return datetime.fromtimestamp(value.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


_METHODS: dict[type, dict[str, Callable[..., Any]]] = {
    str: {
        "toupper": str.upper,
        "toupperinvariant": str.upper,
        "tolower": str.lower,
        "tolowerinvariant": str.lower,
        "trim": lambda value, marks="": value.strip(marks or None),
        "trimstart": lambda value, marks="": value.lstrip(marks or None),
        "trimend": lambda value, marks="": value.rstrip(marks or None),
        "replace": lambda value, old, new: value.replace(as_text(old), as_text(new)),
        "startswith": lambda value, start: value.startswith(start),
        "endswith": lambda value, end: value.endswith(end),
        "contains": lambda value, part: part in value,
        "indexof": lambda value, part: value.find(part),
        "lastindexof": lambda value, part: value.rfind(part),
        "substring": _substring,
        "split": _split_text,
    },
    Table: {
        "containskey": lambda table, key: key in table,
        "contains": lambda table, key: key in table,
        "add": _set_key,
        "remove": _remove_key,
        "getenumerator": lambda table: [_entry(key, value) for key, value in table.items()],
    },
    Guid: {"tostring": _guid_text},
    int: {"tostring": _number_text},
    Moment: {"tostring": _moment_text, "touniversaltime": lambda value: value},
    list: {"contains": lambda value, one: one in value},
}


def _entry(key: Any, value: Any) -> Record:
    return Record({"Key": key, "Name": key, "Value": value}, "DictionaryEntry")


def _static(session: Session, kind: str, name: str, arguments: list[Any]) -> Any:
    folded = name.lower()
    match kind, folded:
        case "string", "isnullorempty":
            return not as_text(arguments[0])
        case "string", "isnullorwhitespace":
            return not as_text(arguments[0]).strip()
        case "string", "join":
            return as_text(arguments[0]).join(as_text(one) for one in arguments[1])
        case "string", "empty":
            return ""
        case "guid", "empty":
            return Guid("00000000-0000-0000-0000-000000000000")
        case "math", ("max" | "min"):
            return (max if folded == "max" else min)(number(one) for one in arguments)
    raise NotUnderstood(f"[{kind}]::{name}")


# -- nodes


def _name(session: Session, node: Node) -> str:
    held = inner(node.children[0])
    return text(held) if held.type == "simple_name" else as_text(session.value(held))


def _target(session: Session, node: Node) -> tuple[Any, Node]:
    member = part(node, "member_name")
    if member is None:
        raise NotUnderstood("this member", line(node))
    return session.value(node.children[0]), member


def _member(session: Session, node: Node) -> Any:
    target, member = _target(session, node)
    name = _name(session, member)
    if isinstance(target, TypeName):
        return _static(session, target.name, name, [])
    return property_of(target, name)


def _element(session: Session, node: Node) -> Any:
    return element_of(session.value(node.children[0]), session.value(node.children[2]))


def _invocation(session: Session, node: Node) -> Any:
    target, member = _target(session, node)
    given = part(node, "argument_list")
    listed = part(given, "argument_expression_list") if given is not None else None
    arguments = [plain(session.value(one)) for one in parts(listed)] if listed is not None else []
    name = _name(session, member)
    if isinstance(target, TypeName):
        return _static(session, target.name, name, arguments)
    return call_method(session, target, name, arguments)


def assign(session: Session, node: Node, value: Any) -> bool:
    """Into $x.Name or $x[0]; False where the node is neither."""
    if node.type == "member_access":
        target, member = _target(session, node)
        set_property(target, _name(session, member), value)
        return True
    if node.type == "element_access":
        set_element(session.value(node.children[0]), session.value(node.children[2]), value)
        return True
    return False


MEMBERS: dict[str, ValueOf] = {
    "member_access": _member,
    "element_access": _element,
    "invokation_expression": _invocation,
}
