"""One run of a script: its variables, functions, cmdlets, errors. Made by run.py.

The rooms of this package call each other by way of `value` and `output`, which look at the kind of a node; run.py
gives both their tables.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from tree_sitter import Node

from weft.fakes.hyperv.powershell.errors import (
    CONTINUE,
    IGNORE,
    SILENTLY_CONTINUE,
    STOP,
    NotUnderstood,
    PowerShellError,
)
from weft.fakes.hyperv.powershell.tree import inner, line
from weft.fakes.hyperv.powershell.values import NOTHING, Record, ScriptBlock, collected, plain

ValueOf = Callable[["Session", Node], Any]
OutputOf = Callable[["Session", Node], Iterator[Any]]


class Cmdlet(msgspec.Struct, frozen=True):
    """A command that a script may call. `run` is asked once for each object that comes down the pipeline, or once
    where nothing is piped; `run_all` instead gets the whole pipeline. Either raises PowerShellError.
    """

    name: str
    parameters: tuple[str, ...]
    switches: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    piped: tuple[str, ...] = ()
    """Parameters that take an object from the pipeline by value; a parameter that is bound already is passed over."""
    takes: Callable[[str, Any], bool] = lambda parameter, value: True
    """Whether a parameter of `piped` takes this object."""
    mandatory: tuple[str, ...] = ()
    documented: tuple[str, ...] = ()
    """Parameters that exist but that the fake does not know: NotUnderstood."""
    loud: bool = False
    """Any other parameter is NotUnderstood, not PowerShell's refusal."""
    nulls: bool = False
    """$null may be given to a parameter."""
    run: Callable[["Call"], Iterable[Any]] | None = None
    run_all: Callable[["Call", Iterator[Any] | None], Iterable[Any]] | None = None


class Call:
    """One call of a cmdlet: its parameters as bound, by the names that Cmdlet.parameters has."""

    def __init__(self, session: "Session", cmdlet: Cmdlet, bound: Mapping[str, Any]) -> None:
        self.session = session
        self.cmdlet = cmdlet
        self.bound = bound

    def has(self, parameter: str) -> bool:
        return parameter in self.bound

    def get(self, parameter: str, default: Any = None) -> Any:
        return plain(self.bound.get(parameter, default))

    def texts(self, parameter: str) -> list[str]:
        """A parameter that takes one text or several."""
        found = self.get(parameter)
        return [] if found is None else [str(one) for one in (found if isinstance(found, list) else [found])]


class Session:
    """Variables are looked up from the innermost scope outwards and set in the innermost, as PowerShell does."""

    def __init__(self, cmdlets: Mapping[str, Cmdlet], values: Mapping[str, ValueOf], outputs: Mapping[str, OutputOf]):
        self.cmdlets = {name.lower(): cmdlet for name, cmdlet in cmdlets.items()}
        self.functions: dict[str, ScriptBlock] = {}
        self.scopes: list[dict[str, Any]] = [{"erroractionpreference": "Continue"}]
        self.errors: list[PowerShellError] = []
        """Errors that did not end the script, oldest first."""
        self.tries = 0
        """How many `try` blocks the running statement is in."""
        self._values = values
        self._outputs = outputs

    # -- evaluation

    def value(self, node: Node) -> Any:
        """What an expression is; of a pipeline or statement, what a variable would get of its output."""
        node = inner(node)
        handler = self._values.get(node.type)
        if handler is not None:
            return handler(self, node)
        return collected(self.output(node))

    def output(self, node: Node) -> Iterator[Any]:
        """What a statement writes, one by one."""
        node = inner(node)
        handler = self._outputs.get(node.type)
        if handler is not None:
            return handler(self, node)
        if node.type in self._values:
            return self._values_written(node)
        raise NotUnderstood(f"{node.type.replace('_', ' ')}", line(node))

    def _values_written(self, node: Node) -> Iterator[Any]:
        found = self._values[node.type](self, node)
        if found is NOTHING:
            return
        yield from found if isinstance(found, list) else [found]

    # -- variables

    def variable(self, name: str) -> Any:
        """Raises NotUnderstood where nobody set it: PowerShell would read $null, and a misspelt name for ever."""
        folded = name.lower()
        for scope in reversed(self.scopes):
            if folded in scope:
                return scope[folded]
        raise NotUnderstood(f"the variable ${name}, which nothing has set")

    def has_variable(self, name: str) -> bool:
        return any(name.lower() in scope for scope in self.scopes)

    def set_variable(self, name: str, value: Any) -> None:
        self.scopes[-1][name.lower()] = value

    @contextmanager
    def underscore(self, value: Any) -> Iterator[None]:
        """$_ for a while, in the scope that is there: script blocks of ForEach-Object and catch open none."""
        scope = self.scopes[-1]
        before = scope.get("_", NOTHING)
        scope["_"] = value
        try:
            yield
        finally:
            if before is NOTHING:
                scope.pop("_", None)
            else:
                scope["_"] = before

    # -- errors

    def preference(self, given: Any = None) -> str:
        """-ErrorAction where it is given, else $ErrorActionPreference."""
        found = str(given if given is not None else self.variable("ErrorActionPreference")).lower()
        if found not in (STOP, CONTINUE, SILENTLY_CONTINUE, IGNORE):
            raise NotUnderstood(f"the error action {found}")
        return found

    def report(self, error: PowerShellError, action: str) -> None:
        """A cmdlet's error: raised where the action is Stop, noted where it is Continue."""
        if action == STOP:
            error.stops = True
            raise error
        if action == CONTINUE:
            self.errors.append(error)


def error_record(error: PowerShellError) -> Record:
    """$_ in a catch block."""
    if isinstance(error.target, Record) and error.target.kind == "ErrorRecord":
        return error.target
    exception = Record({"Message": error.message}, "Exception")
    command = Record({"Name": error.command}, "CommandInfo")
    properties = {
        "Exception": exception,
        "FullyQualifiedErrorId": f"{error.id},{error.command}" if error.command else error.id,
        "CategoryInfo": Record({"Category": error.category, "Activity": error.command}, "ErrorCategoryInfo"),
        "InvocationInfo": Record({"MyCommand": command, "ScriptLineNumber": error.line}, "InvocationInfo"),
        "TargetObject": error.target,
    }
    return Record(properties, "ErrorRecord", error)
