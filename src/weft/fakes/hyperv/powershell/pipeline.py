"""Commands and pipelines: each object goes through all of them before the next, as in PowerShell."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.arithmetic import counted
from weft.fakes.hyperv.powershell.binding import bind, declared, fill, missing, words
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError, Returned
from weft.fakes.hyperv.powershell.expressions import block_statements, sized
from weft.fakes.hyperv.powershell.session import Call, Cmdlet, OutputOf, Session
from weft.fakes.hyperv.powershell.tree import descend, inner, line, part, parts, text
from weft.fakes.hyperv.powershell.values import ScriptBlock, unrolled


def _chain(session: Session, node: Node) -> Iterator[Any]:
    """a | b | c: all are looked up and bound before the first one runs."""
    stages = [inner(child) for child in node.children if text(child) != "|"]
    source: Iterator[Any] | None = None
    for at, stage in enumerate(stages):
        if stage.type == "command":
            source = _stage(session, stage, source)
        elif at == 0:
            source = session.output(stage)
        else:
            raise NotUnderstood("an expression after |", line(stage))
    return source or iter(())


def _command(session: Session, node: Node) -> Iterator[Any]:
    return _stage(session, node, None)


_NUMBER = re.compile(r"\d+([kmgtp]b)?|\d+\.\.\d+", re.IGNORECASE)
"""What the grammar takes for a command where a statement begins with it: 4GB, 1..3."""


def _stage(session: Session, node: Node, source: Iterator[Any] | None) -> Iterator[Any]:
    name_node = part(node, "command_name")
    if name_node is None or node.children[0].type == "command_invokation_operator":
        raise NotUnderstood(f"the call {text(node)[:60]!r}", line(node))
    name, elements = text(name_node), part(node, "command_elements")
    if _NUMBER.fullmatch(name) and source is None and not (elements and parts(elements)):
        return iter(unrolled(_number(name)))
    try:
        return _resolved(session, name, elements, source)
    except PowerShellError as error:
        error.command, error.line = error.command or name, error.line or line(node)
        raise
    except NotUnderstood as error:
        raise NotUnderstood(error.what, error.line or line(node)) from None


def _number(name: str) -> Any:
    first, dots, last = name.partition("..")
    return counted(first, last) if dots else sized(first)


def _resolved(session: Session, name: str, elements: Node | None, source: Iterator[Any] | None) -> Iterator[Any]:
    function = session.functions.get(name.lower())
    if function is not None:
        if source is not None:
            raise NotUnderstood(f"piping into the function {name}")
        return iter(_call_function(session, function, elements))
    cmdlet = session.cmdlets.get(name.lower())
    if cmdlet is None:
        raise PowerShellError(
            f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
            "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
            id="CommandNotFoundException",
            category="ObjectNotFound",
        )
    bound = bind(cmdlet, words(session, elements, _flags(cmdlet)))
    return _run(session, cmdlet, bound, source)


def _flags(cmdlet: Cmdlet) -> dict[str, str]:
    return {one.lower(): one for one in (*cmdlet.switches, "Confirm")}


def _run(session: Session, cmdlet: Cmdlet, bound: dict[str, Any], source: Iterator[Any] | None) -> Iterator[Any]:
    action = session.preference(bound.pop("ErrorAction", None))
    bound.pop("WarningAction", None)
    if cmdlet.run_all is not None:
        yield from _guarded(session, cmdlet, cmdlet.run_all(Call(session, cmdlet, bound), source), action)
        return
    if cmdlet.run is None:
        raise NotUnderstood(f"the cmdlet {cmdlet.name}")
    calls = [bound] if source is None else (_with_piped(cmdlet, bound, one) for one in source)
    for one in calls:
        lacking = [name for name in cmdlet.mandatory if name not in one]
        if lacking:
            raise _named(missing(lacking), cmdlet)
        yield from _guarded(session, cmdlet, cmdlet.run(Call(session, cmdlet, one)), action)


def _with_piped(cmdlet: Cmdlet, bound: dict[str, Any], value: Any) -> dict[str, Any]:
    for name in cmdlet.piped:
        if name not in bound and cmdlet.takes(name, value):
            return bound | {name: value}
    raise _named(
        PowerShellError(
            "The input object cannot be bound to any parameters for the command either because the command does not "
            "take pipeline input or the input and its properties do not match any of the parameters that take pipeline "
            "input.",
            id="InputObjectNotBound",
            category="InvalidArgument",
        ),
        cmdlet,
    )


def _guarded(session: Session, cmdlet: Cmdlet, outputs: Iterable[Any], action: str) -> Iterator[Any]:
    """A cmdlet's own error is what -ErrorAction says; one that a script block inside it raised passes."""
    try:
        yield from outputs
    except PowerShellError as error:
        if error.stops:
            raise
        session.report(_named(error, cmdlet), action)


def _named(error: PowerShellError, cmdlet: Cmdlet) -> PowerShellError:
    error.command = error.command or cmdlet.name
    return error


def _call_function(session: Session, function: ScriptBlock, elements: Node | None) -> list[Any]:
    wanted = declared(descend(function.node, "script_block", "param_block"))
    flags = {one.name.lower(): one.name for one in wanted if one.type.lower() == "switch"}
    scope = fill(session, wanted, words(session, elements, flags))
    session.scopes.append(scope)
    try:
        return run_block(session, function)
    finally:
        session.scopes.pop()


def run_block(session: Session, block: ScriptBlock) -> list[Any]:
    """What it writes, in the scope that is there."""
    statements = block_statements(block.node)
    written: list[Any] = []
    if statements is not None:
        try:
            for one in session.output(statements):
                written.append(one)
        except Returned:
            pass
    return written


COMMANDS: dict[str, OutputOf] = {"pipeline_chain": _chain, "command": _command}
