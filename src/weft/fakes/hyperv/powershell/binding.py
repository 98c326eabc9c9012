"""How the words of a command become parameters: splatting, switches, positions, param() blocks."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from tree_sitter import Node

from weft.fakes.hyperv.powershell.conversion import as_text, cast, truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.expressions import sized, type_name, variable_name
from weft.fakes.hyperv.powershell.session import Cmdlet, Session
from weft.fakes.hyperv.powershell.tree import inner, line, part, parts, text
from weft.fakes.hyperv.powershell.values import Table, plain

COMMON = {"erroraction": "ErrorAction", "warningaction": "WarningAction", "confirm": "Confirm"}
"""Parameters that every cmdlet has; -Confirm:$false only, for nobody is there to ask."""


_SIZE = re.compile(r"\d+[kmgtp]b", re.IGNORECASE)


class Words(msgspec.Struct):
    """A command's arguments: `named` as (name, value, given): a switch without a value is not given one."""

    named: list[tuple[str, Any, bool]]
    positional: list[Any]


class _Bare(msgspec.Struct, frozen=True):
    """A name whose value may be the next word."""

    name: str


def words(session: Session, node: Node | None, switches: Mapping[str, str]) -> Words:
    """`switches` by name in lower case: these take no value unless a colon joins it."""
    found = Words([], [])
    waiting: _Bare | None = None
    for child in node.children if node is not None else ():
        if child.type == "command_parameter":
            _flush(found, waiting)
            waiting = _Bare(text(child).lstrip("-"))
            continue
        if child.type == "command_argument_sep":
            if waiting is not None and waiting.name.lower() in switches and ":" not in text(child):
                _flush(found, waiting)
                waiting = None
            continue
        if inner(child).type == "variable" and text(child).startswith("@"):
            _flush(found, waiting)
            waiting = None
            _splat(session, inner(child), found)
            continue
        value = _argument(session, child)
        if waiting is None:
            found.positional.append(value)
        else:
            found.named.append((waiting.name, value, True))
            waiting = None
    _flush(found, waiting)
    return found


def _flush(found: Words, waiting: _Bare | None) -> None:
    if waiting is not None:
        found.named.append((waiting.name, True, False))


def _splat(session: Session, node: Node, found: Words) -> None:
    value = plain(session.variable(variable_name(node)))
    if isinstance(value, Table):
        found.named += [(as_text(key), one, True) for key, one in value.items()]
    elif isinstance(value, list):
        found.positional += value
    else:
        raise NotUnderstood(f"splatting {text(node)}, which is no hashtable or array", line(node))


def _argument(session: Session, node: Node) -> Any:
    match node.type:
        case "generic_token":
            return sized(text(node)) if _SIZE.fullmatch(text(node)) else text(node)
        case "redirection" | "stop_parsing":
            raise NotUnderstood(node.type, line(node))
    return session.value(node)


def bind(cmdlet: Cmdlet, given: Words) -> dict[str, Any]:
    """By the names that the cmdlet has. Raises PowerShellError as the parameter binder does."""
    names = {one.lower(): one for one in cmdlet.parameters} | COMMON
    bound: dict[str, Any] = {}
    for name, value, has_value in given.named:
        known = names.get(name.lower())
        if known is None:
            raise _no_parameter(cmdlet, name)
        if known in bound:
            raise PowerShellError(
                f"Cannot bind parameter because parameter '{known}' is specified more than once.",
                id="ParameterAlreadyBound",
                category="InvalidArgument",
            )
        bound[known] = _checked(cmdlet, known, value, has_value)
    free = [one for one in cmdlet.positional if one not in bound]
    for at, value in enumerate(given.positional):
        if at >= len(free):
            raise PowerShellError(
                f"A positional parameter cannot be found that accepts argument '{as_text(value)}'.",
                id="PositionalParameterNotFound",
                category="InvalidArgument",
            )
        bound[free[at]] = _checked(cmdlet, free[at], value, True)
    return bound


def _no_parameter(cmdlet: Cmdlet, name: str) -> Exception:
    if cmdlet.loud or name.lower() in {one.lower() for one in cmdlet.documented}:
        return NotUnderstood(f"the parameter -{name} of {cmdlet.name}")
    return PowerShellError(
        f"A parameter cannot be found that matches parameter name '{name}'.",
        id="NamedParameterNotFound",
        category="InvalidArgument",
    )


def _checked(cmdlet: Cmdlet, name: str, value: Any, given: bool) -> Any:
    value = plain(value)
    if name in cmdlet.switches or name == "Confirm":
        flag = truth(value)
        if name == "Confirm" and flag:
            raise NotUnderstood(f"-Confirm of {cmdlet.name}: nobody is there to answer")
        return flag
    if not given:
        raise PowerShellError(
            f"Missing an argument for parameter '{name}'. Specify a parameter of type 'System.Object' and try again.",
            id="MissingArgument",
            category="InvalidArgument",
        )
    if value is None and not cmdlet.nulls:
        raise PowerShellError(
            f"Cannot validate argument on parameter '{name}'. The argument is null. Provide a valid value for the "
            "argument, and then try running the command again.",
            id="ParameterArgumentValidationError",
            category="InvalidData",
        )
    return value


def missing(names: list[str]) -> PowerShellError:
    listed = " ".join(names)
    return PowerShellError(
        f"Cannot process command because of one or more missing mandatory parameters: {listed}.",
        id="MissingMandatoryParameter",
        category="InvalidArgument",
    )


# -- param() blocks


class Declared(msgspec.Struct, frozen=True):
    """One parameter of a function or script."""

    name: str
    type: str = ""
    mandatory: bool = False
    default: Node | None = None


def declared(block: Node | None) -> list[Declared]:
    """Of a param_block."""
    listed = part(block, "parameter_list") if block is not None else None
    return [_parameter(one) for one in parts(listed)] if listed is not None else []


def _parameter(node: Node) -> Declared:
    variable, attributes = part(node, "variable"), part(node, "attribute_list")
    if node.type != "script_parameter" or variable is None:
        raise NotUnderstood("this parameter", line(node))
    kind, mandatory = "", False
    for attribute in parts(attributes) if attributes is not None else ():
        literal = part(attribute, "type_literal")
        if literal is not None:
            kind = type_name(literal)
        else:
            mandatory = mandatory or _is_mandatory(attribute)
    default = part(node, "script_parameter_default")
    return Declared(variable_name(variable), kind, mandatory, parts(default)[0] if default is not None else None)


def _is_mandatory(attribute: Node) -> bool:
    shown = text(attribute).replace(" ", "").lower()
    match shown:
        case "[parameter(mandatory)]" | "[parameter(mandatory=$true)]":
            return True
        case "[parameter()]" | "[cmdletbinding()]" | "[allownull()]" | "[allowemptystring()]":
            return False
    raise NotUnderstood(f"the attribute {text(attribute)}", line(attribute))


def fill(session: Session, wanted: list[Declared], given: Words) -> dict[str, Any]:
    """The variables of a function's scope."""
    switches = tuple(one.name for one in wanted if one.type.lower() == "switch")
    names = tuple(one.name for one in wanted)
    shape = Cmdlet("", names, switches, tuple(name for name in names if name not in switches), nulls=True)
    values = {name.lower(): value for name, value in bind(shape, given).items()}
    lacking = [one.name for one in wanted if one.mandatory and one.name.lower() not in values]
    if lacking:
        raise missing(lacking)
    return {one.name.lower(): _filled(session, one, values) for one in wanted}


def _filled(session: Session, wanted: Declared, values: Mapping[str, Any]) -> Any:
    name = wanted.name.lower()
    if name in values:
        value = values[name]
        if wanted.mandatory and (value is None or value == ""):
            what = "null" if value is None and wanted.type.lower() != "string" else "an empty string"
            raise PowerShellError(
                f"Cannot bind argument to parameter '{wanted.name}' because it is {what}.",
                id="ParameterArgumentValidationErrorNullNotAllowed",
                category="InvalidData",
            )
    elif wanted.default is not None:
        value = session.value(wanted.default)
    else:
        value = _unset(wanted.type)
    return cast(wanted.type, value) if wanted.type and value is not None else _null_of(wanted.type, value)


def _unset(kind: str) -> Any:
    return False if kind.lower() in ("switch", "bool") else None


def _null_of(kind: str, value: Any) -> Any:
    """What $null becomes in a variable of that type."""
    if value is not None:
        return value
    return {"string": "", "int": 0, "long": 0}.get(kind.lower())
