"""Run a script. The one door of this package."""

from collections.abc import Mapping
from typing import Any

import msgspec

from weft.fakes.hyperv.powershell.binding import Words, declared, fill
from weft.fakes.hyperv.powershell.builtins import BUILTINS
from weft.fakes.hyperv.powershell.errors import LoopContinued, LoopLeft, PowerShellError, Returned
from weft.fakes.hyperv.powershell.expressions import EXPRESSIONS
from weft.fakes.hyperv.powershell.members import MEMBERS
from weft.fakes.hyperv.powershell.pipeline import COMMANDS
from weft.fakes.hyperv.powershell.session import Cmdlet, Session
from weft.fakes.hyperv.powershell.statements import STATEMENTS
from weft.fakes.hyperv.powershell.tree import parse, part


class Outcome(msgspec.Struct, frozen=True):
    """What a script wrote, and the errors that did not end it."""

    output: list[Any]
    errors: list[PowerShellError]


def run(script: str, arguments: Mapping[str, Any], cmdlets: Mapping[str, Cmdlet]) -> Outcome:
    """Run a script with these parameters. PowerShell's own cmdlets are there; `cmdlets` come on top.

    Raises PowerShellError where an error ended the script, NotUnderstood for what this package does not know.
    """
    program = parse(script).root_node
    session = Session({**BUILTINS, **cmdlets}, EXPRESSIONS | MEMBERS, STATEMENTS | COMMANDS)
    given = Words([(name, value, True) for name, value in arguments.items()], [])
    session.scopes[0].update(fill(session, declared(part(program, "param_block")), given))
    statements = part(program, "statement_list")
    written: list[Any] = []
    if statements is not None:
        try:
            for one in session.output(statements):
                written.append(one)
        except (Returned, LoopLeft, LoopContinued):
            pass
    return Outcome(written, session.errors)
