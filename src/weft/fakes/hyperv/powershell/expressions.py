"""What has a value: literals, variables, operators, arrays, hashtables, casts."""

from collections.abc import Callable
from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.arithmetic import calculate, counted, formatted, matched, on_text
from weft.fakes.hyperv.powershell.comparison import compare
from weft.fakes.hyperv.powershell.conversion import as_text, cast, number, truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Session, ValueOf
from weft.fakes.hyperv.powershell.strings import string_literal
from weft.fakes.hyperv.powershell.tree import descend, inner, line, part, parts, text
from weft.fakes.hyperv.powershell.values import ScriptBlock, Table, TypeName, plain

_SIZES = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "pb": 2**50}
_TEXT_OPERATORS = ("join", "split", "csplit", "isplit", "replace", "creplace", "ireplace")
_MATCHES = ("match", "notmatch", "cmatch", "cnotmatch", "imatch", "inotmatch")


def variable_name(node: Node) -> str:
    """Of $name or ${name}. Raises NotUnderstood for a scope or drive other than none."""
    name = text(node).lstrip("$@").strip("{}")
    if ":" in name:
        raise NotUnderstood(f"the variable ${name}", line(node))
    return name


def _variable(session: Session, node: Node) -> Any:
    name = variable_name(node)
    match name.lower():
        case "true" | "false":
            return name.lower() == "true"
        case "null":
            return None
        case "args" | "input" | "this" | "psitem" | "host" | "error" | "lastexitcode" | "?" | "profile" | "home":
            raise NotUnderstood(f"the automatic variable ${name}", line(node))
    return session.variable(name)


def _integer(session: Session, node: Node) -> int:
    return sized(text(node))


def sized(written: str) -> int:
    """12, 0x1F, 4GB."""
    digits = written.lower()
    factor = next((size for suffix, size in _SIZES.items() if digits.endswith(suffix)), 1)
    digits = digits[:-2] if factor > 1 else digits.removesuffix("l")
    return int(digits, 16 if digits.startswith("0x") else 10) * factor


def _real(session: Session, node: Node) -> float:
    return float(text(node))


def _list(session: Session, node: Node) -> list[Any]:
    """1, 2"""
    return [plain(session.value(one)) for one in parts(node)]


def _array(session: Session, node: Node) -> list[Any]:
    """@( ... ): always a list of what was written."""
    statements = part(node, "statement_list")
    return [] if statements is None else list(session.output(statements))


def _sub_expression(session: Session, node: Node) -> Any:
    statements = part(node, "statement_list")
    return None if statements is None else session.value(statements)


def _parenthesized(session: Session, node: Node) -> Any:
    held = parts(node)
    if len(held) != 1:
        raise NotUnderstood("these parentheses", line(node))
    only = inner(held[0])
    if only.type == "assignment_expression":
        list(session.output(only))
        target = inner(only.children[0].children[0])
        return session.value(target)
    return session.value(only)


def _hashtable(session: Session, node: Node) -> Table:
    table = Table()
    body = part(node, "hash_literal_body")
    for entry in parts(body) if body is not None else ():
        key_node, value_node = parts(entry)
        table[_key(session, key_node)] = session.value(value_node)
    return table


def _key(session: Session, node: Node) -> Any:
    held = inner(node.children[0])
    return text(held) if held.type == "simple_name" else session.value(held)


def type_name(node: Node) -> str:
    """Of [name]."""
    found = text(node).strip()
    return found[1:-1].strip() if found.startswith("[") and found.endswith("]") else found


def _type_literal(session: Session, node: Node) -> TypeName:
    return TypeName(type_name(node))


def _cast(session: Session, node: Node) -> Any:
    kind, operand = parts(node)
    return cast(type_name(kind), session.value(operand))


def _unary(session: Session, node: Node) -> Any:
    """-not, !, -, + and the lone comma; a cast comes wrapped in the same kind of node."""
    if node.child_count == 1:
        return session.value(node.children[0])
    operator, operand = text(node.children[0]).lower(), node.children[-1]
    match operator:
        case "-not" | "!":
            return not truth(session.value(operand))
        case ",":
            return [plain(session.value(operand))]
        case "-":
            return calculate("-", 0, number(session.value(operand)))
        case "+":
            return number(session.value(operand))
        case "-join":
            return on_text("join", session.value(operand), "")
    raise NotUnderstood(f"the operator {operator}", line(node))


def _logical(session: Session, node: Node) -> bool:
    left, right = node.children[0], node.children[-1]
    operator = text(node.children[1]).lower()
    match operator:
        case "-and":
            return truth(session.value(left)) and truth(session.value(right))
        case "-or":
            return truth(session.value(left)) or truth(session.value(right))
        case "-xor":
            return truth(session.value(left)) != truth(session.value(right))
    raise NotUnderstood(f"the operator {operator}", line(node))


def _bits(session: Session, node: Node) -> int:
    left, right = (int(number(session.value(one))) for one in (node.children[0], node.children[-1]))
    operator = text(node.children[1]).lower()
    found = {"-band": left & right, "-bor": left | right, "-bxor": left ^ right}.get(operator)
    if found is None:
        raise NotUnderstood(f"the operator {operator}", line(node))
    return found


def _comparison(session: Session, node: Node) -> Any:
    operator = text(node.children[1])
    name = operator.lower().lstrip("-")
    left, right = session.value(node.children[0]), session.value(node.children[-1])
    if name in _TEXT_OPERATORS:
        return on_text(operator, left, right)
    if name in _MATCHES:
        answer, groups = matched(operator, left, right)
        if groups is not None:
            session.set_variable("Matches", groups)
        return answer
    return compare(operator, left, right)


def _arithmetic(session: Session, node: Node) -> Any:
    return calculate(text(node.children[1]), session.value(node.children[0]), session.value(node.children[-1]))


def _format(session: Session, node: Node) -> str:
    return formatted(session.value(node.children[0]), session.value(node.children[-1]))


def _range(session: Session, node: Node) -> list[int]:
    return counted(session.value(node.children[0]), session.value(node.children[-1]))


def _script_block(session: Session, node: Node) -> ScriptBlock:
    """`using`, begin, process and end blocks are refused when it runs."""
    return ScriptBlock(node)


def block_statements(node: Node) -> Node | None:
    """The statements of a script block or of a function's body."""
    body = descend(node, "script_block", "script_block_body")
    if body is None:
        return None
    statements = part(body, "statement_list")
    if statements is None and body.named_child_count:
        raise NotUnderstood("begin, process and end blocks", line(node))
    return statements


def as_key(value: Any) -> Any:
    return as_text(value) if not isinstance(value, int | str) else value


EXPRESSIONS: dict[str, ValueOf] = {
    "variable": _variable,
    "braced_variable": _variable,
    "integer_literal": _integer,
    "real_literal": _real,
    "string_literal": string_literal,
    "array_literal_expression": _list,
    "array_expression": _array,
    "sub_expression": _sub_expression,
    "parenthesized_expression": _parenthesized,
    "hash_literal_expression": _hashtable,
    "type_literal": _type_literal,
    "cast_expression": _cast,
    "expression_with_unary_operator": _unary,
    "script_block_expression": _script_block,
}
_LEVELS: dict[str, Callable[[Session, Node], Any]] = {
    "logical": _logical,
    "bitwise": _bits,
    "comparison": _comparison,
    "additive": _arithmetic,
    "multiplicative": _arithmetic,
    "format": _format,
    "range": _range,
}
for _level, _handler in _LEVELS.items():
    EXPRESSIONS[f"{_level}_expression"] = EXPRESSIONS[f"{_level}_argument_expression"] = _handler
