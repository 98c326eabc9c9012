"""Statements: assignment, if, foreach, while, try, throw, return, function."""

from collections.abc import Iterator
from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.arithmetic import calculate
from weft.fakes.hyperv.powershell.conversion import as_text, cast, truth
from weft.fakes.hyperv.powershell.errors import (
    STOP,
    LoopContinued,
    LoopLeft,
    NotUnderstood,
    PowerShellError,
    Returned,
    SessionLost,
)
from weft.fakes.hyperv.powershell.expressions import type_name, variable_name
from weft.fakes.hyperv.powershell.members import assign
from weft.fakes.hyperv.powershell.session import OutputOf, Session, error_record
from weft.fakes.hyperv.powershell.tree import descend, inner, line, part, parts, text
from weft.fakes.hyperv.powershell.values import NOTHING, Record, ScriptBlock, unrolled

_LOOP_BOUND = 10_000
"""A `while` that is not over by then never ends: nothing outside the script changes the fake meanwhile."""


def _list(session: Session, node: Node) -> Iterator[Any]:
    for statement in parts(node):
        try:
            yield from session.output(statement)
        except PowerShellError as error:
            error.line = error.line or line(statement)
            if error.stops or session.tries or session.preference() == STOP:
                raise
            session.errors.append(error)


def _block(session: Session, node: Node) -> Iterator[Any]:
    statements = part(node, "statement_list")
    if statements is not None:
        yield from session.output(statements)


def _assignment(session: Session, node: Node) -> Iterator[Any]:
    left, operator, right = inner(node.children[0].children[0]), text(node.children[1]), node.children[2]
    value = session.value(right)
    if operator != "=":
        value = calculate(operator[0], session.value(left), value)
    _assign(session, left, value)
    return iter(())


def _assign(session: Session, left: Node, value: Any) -> None:
    left = inner(left)
    while left.type == "expression_with_unary_operator" and left.child_count == 1:
        left = inner(left.children[0])
    if left.type == "cast_expression":
        kind, target = parts(left)
        _assign(session, target, cast(type_name(kind), value))
    elif left.type == "variable":
        name = variable_name(left)
        if name.lower() != "null":
            session.set_variable(name, value)
    elif not assign(session, left, value):
        raise NotUnderstood(f"assigning to {text(left)}", line(left))


def _step(session: Session, node: Node) -> Iterator[Any]:
    """$i++ and $i--"""
    left = inner(node.children[0])
    _assign(session, left, calculate(text(node.children[1])[0], session.value(left), 1))
    return iter(())


def _if(session: Session, node: Node) -> Iterator[Any]:
    clauses = part(node, "elseif_clauses")
    for clause in (node, *(parts(clauses) if clauses is not None else ())):
        if truth(session.value(clause.children[2])):
            yield from _block_of(session, clause)
            return
    otherwise = part(node, "else_clause")
    if otherwise is not None:
        yield from _block_of(session, otherwise)


def _block_of(session: Session, node: Node) -> Iterator[Any]:
    block = part(node, "statement_block")
    if block is None:
        raise NotUnderstood("a statement without a block", line(node))
    return session.output(block)


def _foreach(session: Session, node: Node) -> Iterator[Any]:
    variable = part(node, "variable")
    if variable is None:
        raise NotUnderstood("foreach", line(node))
    name, after = variable_name(variable), node.children.index(variable) + 2
    value = session.value(node.children[after])
    for one in unrolled(value) if value is not None else ():
        session.set_variable(name, one)
        try:
            yield from _block_of(session, node)
        except LoopContinued:
            continue
        except LoopLeft:
            return


def _while(session: Session, node: Node) -> Iterator[Any]:
    condition = part(node, "while_condition")
    if condition is None:
        raise NotUnderstood("while", line(node))
    for _ in range(_LOOP_BOUND):
        if not truth(session.value(condition)):
            return
        try:
            yield from _block_of(session, node)
        except LoopContinued:
            continue
        except LoopLeft:
            return
    raise NotUnderstood("a loop without end", line(node))


def _flow(session: Session, node: Node) -> Iterator[Any]:
    operand = next(iter(parts(node)), None)
    match text(node.children[0]).lower():
        case "return":
            if operand is not None:
                yield from session.output(operand)
            raise Returned
        case "throw":
            raise _thrown(session, session.value(operand) if operand is not None else NOTHING)
        case "break":
            raise LoopLeft
        case "continue":
            raise LoopContinued
    raise NotUnderstood(text(node), line(node))


def _thrown(session: Session, value: Any) -> PowerShellError:
    """Of a caught record the same error again."""
    if value is NOTHING:
        value = session.variable("_") if session.has_variable("_") else None
        if not isinstance(value, Record):
            return PowerShellError("ScriptHalted", id="ScriptHalted", stops=True)
    if isinstance(value, Record) and value.kind == "ErrorRecord" and isinstance(value.subject, PowerShellError):
        value.subject.stops = True
        return value.subject
    error = PowerShellError(as_text(value), id=as_text(value), category="OperationStopped", stops=True)
    error.target = value
    return error


def _try(session: Session, node: Node) -> Iterator[Any]:
    """The block runs as a whole before its output goes on, so that whoever reads that is not inside the `try`."""
    last, caught = part(node, "finally_clause"), _catch_clause(node)
    try:
        written, left = _tried(session, node)
        yield from written
        if isinstance(left, PowerShellError) and caught is not None:
            yield from _caught(session, caught, left)
        elif left is not None:
            raise left
    except SessionLost:
        last = None
        raise
    finally:
        # its output would be written while an error passes, which no script of ours does
        if last is not None and list(_block_of(session, last)):
            raise NotUnderstood("a finally block that writes output", line(last))


def _tried(session: Session, node: Node) -> tuple[list[Any], Exception | None]:
    """What the block wrote, and what left it early."""
    written: list[Any] = []
    session.tries += 1
    try:
        for one in _block_of(session, node):
            written.append(one)
    except (PowerShellError, Returned, LoopLeft, LoopContinued) as left:
        return written, left
    finally:
        session.tries -= 1
    return written, None


def _catch_clause(node: Node) -> Node | None:
    """The only one, for errors of all types; None where there is none."""
    clauses = part(node, "catch_clauses")
    found = parts(clauses) if clauses is not None else []
    if len(found) > 1 or any(part(one, "catch_type_list") is not None for one in found):
        raise NotUnderstood("a catch for one type of error", line(found[0]))
    return found[0] if found else None


def _caught(session: Session, clause: Node, error: PowerShellError) -> Iterator[Any]:
    written: list[Any] = []
    with session.underscore(error_record(error)):
        written += _block_of(session, clause)
    yield from written


def _function(session: Session, node: Node) -> Iterator[Any]:
    name = part(node, "function_name")
    if name is None or text(node.children[0]).lower() != "function":
        raise NotUnderstood(text(node.children[0]), line(node))
    if descend(node, "function_parameter_declaration") is not None:
        raise NotUnderstood("parameters after a function's name: use param()", line(node))
    session.functions[text(name).lower()] = ScriptBlock(node)
    return iter(())


STATEMENTS: dict[str, OutputOf] = {
    "statement_list": _list,
    "statement_block": _block,
    "assignment_expression": _assignment,
    "post_increment_expression": _step,
    "post_decrement_expression": _step,
    "if_statement": _if,
    "foreach_statement": _foreach,
    "while_statement": _while,
    "flow_control_statement": _flow,
    "try_statement": _try,
    "function_statement": _function,
}
