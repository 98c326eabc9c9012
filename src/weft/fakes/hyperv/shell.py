"""The shell of a fake host: it fulfils weft.agent.hyperv.shell.Shell, without a wire."""

import asyncio
import json
from typing import Any

import msgspec

from weft.agent.hyperv.shell import CredentialsRefused, HostUnreachable, ScriptFailed, told_by_script
from weft.core.hyperv.script import Script
from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.host import FakeHost
from weft.fakes.hyperv.powershell.conversion import as_text
from weft.fakes.hyperv.powershell.errors import PowerShellError, SessionLost
from weft.fakes.hyperv.powershell.run import run


class FakeShell:
    """Each script runs at once and to its end, between two turns of the loop: no two scripts run together."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.ran: list[str] = []
        """Names of the scripts that ran, oldest first."""
        self._cmdlets = cmdlets_of(host)

    async def run(self, script: Script, arguments: Any) -> Any:
        await asyncio.sleep(0)
        host = self.host
        if host.trouble.unreachable or not host.alive:
            raise HostUnreachable(host.name, "cannot be reached by WinRM over HTTPS: connection refused")
        if host.trouble.refused:
            raise CredentialsRefused(host.name, "the credentials are refused: WinRM answers HTTP 401")
        self.ran.append(script.name)
        try:
            outcome = run(script.text, {"Json": json.dumps(msgspec.to_builtins(arguments))}, self._cmdlets)
        except PowerShellError as error:
            raise _failure(host.name, script, error) from None
        except SessionLost:
            raise HostUnreachable(host.name, "the session was lost while the script ran") from None
        if outcome.errors:
            raise _failure(host.name, script, outcome.errors[-1])
        written = "".join(as_text(one) for one in outcome.output)
        try:
            return json.loads(written)
        except ValueError:
            raise ScriptFailed(host.name, script.name, f"it wrote no JSON but {written[:200]!r}") from None

    async def close(self) -> None:
        """Nothing is open."""


def _failure(host: str, script: Script, error: PowerShellError) -> ScriptFailed:
    cmdlet, message = told_by_script(error.message, error.command)
    return ScriptFailed(host, script.name, message, cmdlet=cmdlet, line=error.line)
