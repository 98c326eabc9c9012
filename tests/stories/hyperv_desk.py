"""A desk whose hosts are fake Hyper-V hosts: the real agent, driver and plane, whose scripts the fakes run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.stories.desk import Desk, new_id
from weft.agent.agent import Agent, Identity
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.plane import HyperVPlane
from weft.agent.memory import Memory
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.host import FakeHost
from weft.fakes.hyperv.machine import Vm
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell
from weft.model.values import mac_digits

PULSE_S = 0.02
LOOK_S = 1.0
FOLDER = "\\\\files\\machines"
WEB = {"resourceRef": "/virtualNetworks/blue/subnets/web"}


class Center(HyperVDatacenter):
    """As Desk.cluster fills it; each host's first address is its provider address."""

    def add_host(self, name: str, addresses: Any) -> FakeHost:
        return super().add_host(name, addresses if isinstance(addresses, str) else addresses[0])


class HyperVDesk(Desk):
    center: Any

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.center = Center()
        self.shells: dict[str, FakeShell] = {}

    async def start_agent(self, host: str) -> None:
        shell = self.shells.setdefault(host, FakeShell(self.center.hosts[host]))
        plane = HyperVPlane(host, shell, "Ethernet", look_seconds=LOOK_S)
        driver = HyperVDriver(host, shell, pulse=PULSE_S)
        agent = Agent(Identity(host, new_id(), "hyperv"), plane, driver, Memory(self._folder / host))
        self._agents[host] = asyncio.create_task(self._run_agent(agent), name=f"agent of {host}")
        await self.eventually(lambda: self._connected(host))

    def host(self, name: str) -> FakeHost:
        found: FakeHost = self.center.hosts[name]
        return found

    def console(self, host: str) -> Console:
        return Console(self.center, host)

    def vm(self, name: str) -> Vm:
        (found,) = (vm for host in self.center.hosts.values() for vm in host.vms if vm.name == name)
        return found

    def host_of(self, name: str) -> str:
        return next(key for key, host in self.center.hosts.items() if self.vm(name) in host.vms)

    def shows(self, name: str) -> list[tuple[str, bool]]:
        """(MAC, dynamic) of each adapter, as Hyper-V has it."""
        return [(mac_digits(nic.mac), nic.dynamic) for nic in self.vm(name).nics]

    def disk(self, name: str) -> str:
        return f"{FOLDER}\\{name}.vhdx"

    def body(self, name: str, server: str = "host1") -> dict[str, Any]:
        """What a machine in Blue is made of as a whole."""
        made = {"resourceId": name, "server": server, "cpu": 2, "memoryMiB": 1024, "path": FOLDER}
        return made | {"disks": [{"path": self.disk(name), "sizeGib": 1}], "networks": [{"subnet": WEB}]}

    async def make(self, name: str, server: str = "host1") -> str:
        """Its MAC address."""
        await self.post("/weft/v1/virtualMachines", self.body(name, server))
        return await self.mac(f"{name}-eth0")

    def starts(self) -> int:
        """How often a host was asked to start something."""
        return sum(shell.ran.count("start") for shell in self.shells.values())

    async def all_applied(self) -> bool:
        return all([await self.applied(host) for host in self.center.hosts])


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[HyperVDesk]:
    # a path of its own, since a unix socket's may have 107 bytes
    with TemporaryDirectory(prefix="weft-") as folder:
        made = HyperVDesk(Path(folder))
        await made.open()
        try:
            yield made
        finally:
            await made.close()
