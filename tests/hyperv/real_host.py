"""The world of the contract of agent.hypervisors.Hypervisor on a Hyper-V host of somebody's: `make test-hyperv`.

Everything goes over a Shell, other hands too, so that the same world runs on the fake host (tests/contract) and is
known to work before it meets a real one. It makes machines whose names begin with PREFIX and files below one folder,
sees no other machine, and takes away all it made.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from weft.agent.hyperv.credentials import read_credentials
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.psrp import Endpoint, PsrpShell
from weft.agent.hypervisors import Migrate
from weft.core.hyperv.script import PROLOGUE, Script
from weft.model.hypervisor import Disk, Hardware, HypervisorState

PREFIX = "weft-contract-"
ENVIRONMENT = "WEFT_TEST_HYPERV_"

FORGET = Script(
    "another hand: forget",
    PROLOGUE
    + """
$ConfirmPreference = 'None'
foreach ($machine in @(Get-VM | Where-Object { $_.Name -like $arguments.names })) {
    if ([string]$machine.State -ne 'Off' -and [string]$machine.State -ne 'Saved') {
        Stop-VM -VM $machine -TurnOff -Force
    }
    if ($machine.IsClustered) {
        Remove-ClusterGroup -VMId $machine.Id -RemoveResources -Force | Out-Null
    }
    Remove-VM -VM $machine -Force
}
$left = @(Get-VM | Where-Object { $_.Name -like $arguments.names } | ForEach-Object { [string]$_.Name })
[pscustomobject]@{ left = $left } | ConvertTo-Json -Depth 8 -Compress
""",
)
RENAME = Script(
    "another hand: rename",
    PROLOGUE
    + """
$machines = @(Get-VM | Where-Object { $_.Name -eq $arguments.name })
Rename-VM -VM $machines[0] -NewName $arguments.other
[pscustomobject]@{ renamed = $machines.Count } | ConvertTo-Json -Depth 8 -Compress
""",
)
CLONE = Script(
    "another hand: clone",
    PROLOGUE
    + """
$machines = @(Get-VM | Where-Object { $_.Name -eq $arguments.name })
$source = $machines[0]
Export-VM -VM $source -Path $arguments.folder
$wanted = '{0}.vmcx' -f $source.Id
$files = @(Get-ChildItem -LiteralPath $arguments.folder -Recurse -File | Where-Object { $_.Name -eq $wanted })
$places = @{ VirtualMachinePath = $arguments.folder; VhdDestinationPath = $arguments.folder }
$machine = Import-VM -Path $files[0].FullName -Copy -GenerateNewId @places
Rename-VM -VM $machine -NewName $arguments.other
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
CREATE = Script(
    "another hand: create",
    PROLOGUE
    + """
$small = @{ MemoryStartupBytes = [long]67108864; Generation = 2; Path = $arguments.folder }
$machine = New-VM -Name $arguments.name -NoVHD @small
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
FILES = Script(
    "another hand: files",
    PROLOGUE
    + """
$there = Test-Path -LiteralPath $arguments.path
if ($there -and $arguments.delete) {
    Remove-Item -LiteralPath $arguments.path -Recurse -Force
}
[pscustomobject]@{ there = $there } | ConvertTo-Json -Depth 8 -Compress
""",
)
BELOW = Script(
    "another hand: what is below",
    PROLOGUE
    + """
$all = @(Get-ChildItem -LiteralPath $arguments.path | ForEach-Object { [string]$_.FullName })
[pscustomobject]@{ paths = $all } | ConvertTo-Json -Depth 8 -Compress
""",
)
SCRIPTS = (FORGET, RENAME, CLONE, CREATE, FILES, BELOW)


class Place(msgspec.Struct, frozen=True):
    """Where on the host the machines are made."""

    switch: str
    folder: str


class Renamed:
    """A driver for machines that are called otherwise on the host than in the tests; it knows no others."""

    def __init__(self, driver, names):
        self._driver = driver
        self._names = names

    async def facts(self):
        state = await self._driver.facts()
        own = [one for one in state.machines if one.name.startswith(PREFIX) or one.awaited]
        return msgspec.structs.replace(state, machines=tuple(self._here(one) for one in own))

    def _here(self, one):
        return msgspec.structs.replace(
            one, machine=one.machine.removeprefix(PREFIX), name=one.name.removeprefix(PREFIX)
        )

    async def carry_out(self, verb):
        if "machine" in verb.__struct_fields__:
            named = verb.machine
            if isinstance(named, str):
                named = PREFIX + named
            else:
                named = msgspec.structs.replace(named, machine=PREFIX + named.machine)
            verb = msgspec.structs.replace(verb, machine=named)
        if isinstance(verb, Migrate):
            verb = msgspec.structs.replace(verb, address=self._names.get(verb.server.lower(), verb.server))
        await self._driver.carry_out(verb)

    def events(self):
        return self._driver.events()


class Nobody:
    """Stands for a second host where there is none."""

    async def facts(self):
        return HypervisorState()

    async def carry_out(self, verb):
        pytest.skip("needs a second host: HOST2=")

    async def events(self):
        pytest.skip("needs a second host: HOST2=")
        yield None


class RealWorld:
    """`shells` makes a shell for a host of the tests, host1 and perhaps host2; `names` is what they call each other."""

    prepares = False
    patience = 30

    def __init__(self, shells, names, place, pulse=2.0):
        self._shells = shells
        self._place = place
        self.hypervisors = {"host1": Nobody(), "host2": Nobody()}
        self._open = []
        for host in names:
            self.hypervisors[host] = Renamed(HyperVDriver(host, self._shell(host), pulse), names)
        self._hosts = tuple(names)
        self._clear()

    def _shell(self, host):
        self._open.append(self._shells(host))
        return self._open[-1]

    def hardware(self, name):
        path = f"{self._place.folder}\\{PREFIX}{name}.vhdx"
        return Hardware(1, 64, (Disk(path, 1),), self._place.switch, path=self._place.folder)

    def _ask(self, host, script, **arguments):
        """Another session, and another loop: for callers that cannot wait, and for what goes on while they do."""

        async def ask():
            shell = self._shells(host)
            try:
                return await shell.run(script, arguments)
            finally:
                await shell.close()

        with ThreadPoolExecutor(1) as beside:
            return beside.submit(lambda: asyncio.run(ask())).result()

    def ports(self, host):
        """(interface, MAC) of the adapters whose port is bound, as another session sees them."""
        if host not in self._hosts:
            return set()

        async def look():
            shell = self._shells(host)
            try:
                return await Renamed(HyperVDriver(host, shell), {}).facts()
            finally:
                await shell.close()

        with ThreadPoolExecutor(1) as beside:
            facts = beside.submit(lambda: asyncio.run(look())).result()
        return {(one.instance_id, one.mac) for machine in facts.machines for one in machine.adapters if one.instance_id}

    async def forget(self, host, name):
        self._ask(host, FORGET, names=PREFIX + name)

    async def rename(self, host, name, other):
        self._ask(host, RENAME, name=PREFIX + name, other=PREFIX + other)

    async def clone(self, host, name, other):
        folder = f"{self._place.folder}\\{PREFIX}{other}"
        self._ask(host, CLONE, name=PREFIX + name, other=PREFIX + other, folder=folder)

    async def stranger(self, host, name):
        return self._ask(host, CREATE, name=PREFIX + name, folder=self._place.folder)["id"].lower()

    def has_file(self, host, path):
        return self._ask(host, FILES, path=path, delete=False)["there"]

    def delete_file(self, host, path):
        assert path.startswith(f"{self._place.folder}\\{PREFIX}")
        self._ask(host, FILES, path=path, delete=True)

    def _clear(self):
        """No machine and no file of ours is there; those of a test that died go too."""
        for host in self._hosts:
            left = self._ask(host, FORGET, names=f"{PREFIX}*")["left"]
            assert left == [], f"{host} still has {left}"
            if self.has_file(host, self._place.folder):
                for path in self._ask(host, BELOW, path=self._place.folder)["paths"]:
                    if path.startswith(f"{self._place.folder}\\{PREFIX}"):
                        self.delete_file(host, path)

    def close(self):
        self._clear()

        async def end():
            for shell in self._open:
                await shell.close()

        with ThreadPoolExecutor(1) as beside:
            beside.submit(lambda: asyncio.run(end())).result()


def setting(name, default=""):
    return os.environ.get(ENVIRONMENT + name, "") or default


def is_asked_for():
    return bool(setting("HOST"))


def real_world():
    """As the environment says: WEFT_TEST_HYPERV_HOST, HOST2, SWITCH, FOLDER, AUTHENTICATION, AUTHORITIES, VERIFY."""
    names = {"host1": setting("HOST"), **({"host2": setting("HOST2")} if setting("HOST2") else {})}
    file = setting("CREDENTIALS")
    credentials = read_credentials(os.environ, Path(file) if file else None)

    def shell(host):
        name, _, port = names[host].partition(":")
        authentication = setting("AUTHENTICATION", "negotiate")
        verify = setting("VERIFY", "1") != "0"
        return PsrpShell(Endpoint(name, int(port or 5986), authentication, verify, setting("AUTHORITIES")), credentials)

    return RealWorld(shell, {host: name.partition(":")[0] for host, name in names.items()}, place())


def place():
    return Place(setting("SWITCH"), setting("FOLDER", "C:\\weft-contract").rstrip("\\"))
