"""What there is to document, asked of the code. Called by test_docs.py.

Error codes are read from the syntax tree: a class's `code = "..."`, and every literal that goes into a parameter or
field named `code` (or `detail_code`), by name or by position, also by way of a module's constant.
"""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import inspect

import weft
from weft.api import actions, bodies, openapi, words
from weft.cli import desk
from weft.model.kinds import Kind
from weft.model.resources import Resource

SOURCE = Path(weft.__file__).parent
_CODE = re.compile(r"^[A-Z][A-Za-z]+$")
_PARAMETERS = ("code", "detail_code")
_TELLING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Call)


def _trees() -> Iterator[ast.Module]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield ast.parse(path.read_text())


# Error codes


@functools.cache
def error_codes() -> frozenset[str]:
    """Every code that an error or a problem of a host can carry."""
    constants: dict[str, str] = {}
    nodes: list[ast.AST] = []
    for tree in _trees():
        constants.update(_constants(tree))
        nodes += (node for node in ast.walk(tree) if isinstance(node, _TELLING))
    places = dict(place for node in nodes for place in _places(node))
    values = (value for node in nodes for value in _values(node, places))
    codes = {code for value in values for code in _literals(value, constants)}
    return frozenset(code for code in codes if _CODE.match(code))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[target], value=value):
                yield from _named_texts(target, value)


def _named_texts(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str]]:
    match target, value:
        case ast.Name(id=name), ast.Constant(value=str(text)):
            yield name, text
        case ast.Tuple(elts=targets), ast.Tuple(elts=values):
            for each, own in zip(targets, values, strict=True):
                yield from _named_texts(each, own)


def _places(node: ast.AST) -> Iterator[tuple[str, int]]:
    """A function or struct with a parameter or field for a code, and its position."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [argument.arg for argument in node.args.args if argument.arg != "self"]
        yield from ((node.name, at) for at, name in enumerate(names) if name in _PARAMETERS)
    elif isinstance(node, ast.ClassDef):
        fields = [each.target.id for each in node.body if isinstance(each, ast.AnnAssign) and _is_name(each.target)]
        yield from ((node.name, at) for at, name in enumerate(fields) if name in _PARAMETERS)


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def _values(node: ast.AST, places: dict[str, int]) -> Iterator[ast.expr]:
    """The expressions that become a code here."""
    match node:
        case ast.ClassDef(body=body):
            for each in body:
                match each:
                    case ast.Assign(targets=[ast.Name(id="code")], value=value):
                        yield value
        case ast.Call(func=func, args=arguments, keywords=keywords):
            yield from (keyword.value for keyword in keywords if keyword.arg in _PARAMETERS)
            name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
            if name in places and places[name] < len(arguments):
                yield arguments[places[name]]
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            given = [*arguments.args[len(arguments.args) - len(arguments.defaults) :], *arguments.kwonlyargs]
            for parameter, default in zip(given, [*arguments.defaults, *arguments.kw_defaults], strict=True):
                if parameter.arg in _PARAMETERS and default is not None:
                    yield default


def _literals(value: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) if name in constants:
            yield constants[name]
        case ast.IfExp(body=one, orelse=other):
            yield from _literals(one, constants)
            yield from _literals(other, constants)


# Routes, metrics


def _class(path: str, name: str) -> ast.ClassDef:
    tree = ast.parse((SOURCE / path).read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def words_of_routes() -> set[str]:
    """The path segments that weft.api.routes compares with or looks up."""
    texts: set[str] = set()
    for node in ast.walk(_class("api/routes.py", "Routes")):
        if isinstance(node, ast.Compare | ast.Dict):
            parts = node.comparators if isinstance(node, ast.Compare) else [key for key in node.keys if key is not None]
            texts |= {each.value for part in parts for each in ast.walk(part) if isinstance(each, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"[a-z][a-z0-9.]*", text)} - _ANSWERS


_ANSWERS = {"status", "reason", "revision", "generation", "path"}
"""Keys of dicts in that class that are no path segments."""


def words_of_actions() -> set[str]:
    """What machines can be asked for."""
    return set(actions.NAMES)


def members_of_actions() -> set[str]:
    """Members of all bodies of actions, those inside them too."""
    asked = (bodies.Release, bodies.Reserve, *(action.body for action in actions.ACTIONS.values()))
    return {name for body in asked for name in _members(inspect.type_info(body))}


def queries() -> set[str]:
    """Query parameters: those of the description, and every literal that is looked up in one."""
    names = {
        parameter["name"]
        for path in openapi.document("")["paths"].values()
        for verb in path.values()
        if isinstance(verb, dict)
        for parameter in verb.get("parameters", ())
        if parameter["in"] == "query"
    }
    for path in sorted((SOURCE / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="get", value=ast.Attribute(attr="query")), args=[name, *_]):
                    names |= {name.value} if isinstance(name, ast.Constant) else set()
                case ast.Call(func=ast.Attribute(attr="flag" | "number"), args=[ast.Constant(value=name), *_]):
                    names.add(name)
    return names


def metric_labels() -> set[str]:
    """Labels of all metric families."""
    found: set[str] = set()
    for node in ast.walk(_class("api/metrics.py", "Metrics")):
        if isinstance(node, ast.keyword) and node.arg == "labels":
            found |= {each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)}
    return found


# Properties


def members(kind: Kind) -> set[str]:
    """Names of all members below `properties`, those of children and inner structs too; not the envelope's."""
    return set(_members(inspect.type_info(kind.type)))


def _members(info: inspect.Type) -> Iterator[str]:
    match info:
        case inspect.StructType():
            owner: Any = getattr(info.cls, "__origin__", info.cls)
            if owner is Resource:
                yield from _members(next(each.type for each in info.fields if each.name == "properties"))
                return
            for field in info.fields:
                if (owner, field.name) not in words.HIDDEN and field.encode_name != "resourceRef":
                    yield field.encode_name
                    yield from _members(field.type)
        case inspect.VarTupleType():
            yield from _members(info.item_type)
        case inspect.UnionType():
            for each in info.types:
                yield from _members(each)


# Command line


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every command and group by its words. typer may bring its own click, so types are not asked for."""
    yield " ".join(path), command
    for name, below in below_of(command).items():
        yield from commands(below, (*path, name))


def below_of(command: Any) -> dict[str, Any]:
    """A group's commands; of a command none."""
    return getattr(command, "commands", {})


def options(command: Any) -> dict[str, bool]:
    """All spellings of a command's own options, and whether each takes a value."""
    return {
        spelling: not parameter.is_flag
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }


def exit_codes() -> set[int]:
    return {desk.DONE, desk.REFUSED, desk.BAD_USAGE, desk.UNREACHABLE, desk.HOSTS_LAG, desk.INTERRUPTED, desk.UNREAD}


def weft_calls(line: str, prompted: bool) -> Iterator[list[str]]:
    """The words after each `weft` that a line of a shell block runs; of a block with prompts, only lines with one."""
    if prompted:
        if not line.lstrip().startswith(("$ ", "# ")):
            return
        line = line.lstrip()[2:]
    for part in re.split(r"\||&&|;|\$\(|\)|<\(", line.partition(" #")[0]):
        try:
            found = shlex.split(part, comments=True)
        except ValueError:
            continue
        if found and found[0] in ("sudo", "time", "exec"):
            found = found[1:]
        if found and (found[0] == "weft" or found[0].endswith("/bin/weft")):
            yield [word for word in found[1:] if word not in ("...", "&", ">", "2>&1")]
