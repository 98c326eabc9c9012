"""Source 004's first host, as the fake, and what our scripts of Network Virtualization do to it."""

import json
from typing import Any

import msgspec

from tests.unit.fakes.hyperv.world import World
from weft.core.hyperv import network_scripts
from weft.core.hyperv.differences import Changes, Difference, difference
from weft.core.hyperv.found import Found, read_found
from weft.core.hyperv.network_virtualization import Desired
from weft.core.hyperv.policy_script import Subject, policy_script
from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.powershell.run import run
from weft.fakes.hyperv.powershell.session import Call, Cmdlet


class NetworkHost:
    """`warned` and `failed` are of the policy script's last run."""

    def __init__(self, *machines: str) -> None:
        self.world = World()
        self.host = self.world.host1
        self.console = self.world.console
        self.machines = {name: self.console.create(name) for name in machines}
        self.warned: list[str] = []
        self.failed = ""

    def script(self, desired: Desired, version: str = "v1", **parameters: Any) -> list[str]:
        """Run the policy script: what it printed."""
        return self.run_script(policy_script(Subject("host1", 1), desired, version), **parameters)

    def run_script(self, text: str, **parameters: Any) -> list[str]:
        """The same of a script that was made elsewhere."""
        self.warned, self.failed = [], ""
        cmdlets = {**cmdlets_of(self.host), "Write-Warning": Cmdlet("Write-Warning", ("Message",), run=self._warn)}
        cmdlets["Write-Warning"] = msgspec.structs.replace(cmdlets["Write-Warning"], positional=("Message",))
        try:
            return [str(line) for line in run(text, parameters, cmdlets).output]
        except PowerShellError as error:
            self.failed = error.message
            return []

    def _warn(self, call: Call) -> list[object]:
        self.warned.append(str(call.get("Message")))
        return []

    def found(self) -> Found:
        return read_found(self._run(network_scripts.FOUND.text, {"Adapter": "Ethernet"}))

    def difference(self, desired: Desired, before: Desired | None = None) -> Difference:
        return difference(desired, self.found(), before)

    def apply(self, changes: Changes) -> None:
        arguments = {"Adapter": "Ethernet", "Changes": msgspec.to_builtins(changes)}
        assert self._run(network_scripts.APPLY.text, arguments) == {"Done": True}

    def _run(self, text: str, arguments: Any) -> Any:
        (written,) = run(text, {"Json": json.dumps(arguments)}, cmdlets_of(self.host)).output
        return json.loads(str(written))
