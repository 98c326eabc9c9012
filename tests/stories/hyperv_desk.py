"""A desk whose hosts are fake Hyper-V hosts: the real agent, driver and plane, whose scripts the fakes run."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest_asyncio

from tests.stories.desk import Desk, new_id
from weft.agent.agent import Agent
from weft.agent.memory import Memory
from weft.fakes.hyperv.host import FakeHost
from weft.fakes.hyperv.machine import Vm
from weft.fakes.hyperv.people import Console, DesktopPool
from weft.lab.hyperv_hosts import HyperVHosts
from weft.model.values import mac_digits, parse_mac

PULSE_S = 0.05
FOLDER = "\\\\files\\machines"
BLUE = 6001
WEB = {"resourceRef": "/virtualNetworks/blue/subnets/web"}


class HyperVDesk(Desk):
    """Each host's first address is its provider address."""

    center: Any

    def __init__(self, folder: Path, pulse: float = PULSE_S) -> None:
        super().__init__(folder)
        self._hosts = HyperVHosts(pulse)
        self.center = self._hosts.center
        self.shells = self._hosts.shells

    def _add_host(self, host: str, provider_address: str) -> None:
        self._hosts.add(host, provider_address)

    def _new_agent(self, host: str, memory: Memory) -> Agent:
        return self._hosts.agent(host, new_id(), memory)

    def host(self, name: str) -> FakeHost:
        found: FakeHost = self.center.hosts[name]
        return found

    def console(self, host: str) -> Console:
        return self._hosts.console(host)

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

    def body(self, name: str, server: str = "host1", **more: Any) -> dict[str, Any]:
        """What a machine in Blue is made of as a whole."""
        made = {"resourceId": name, "server": server, "cpu": 2, "memoryMiB": 1024, "path": FOLDER}
        return made | {"disks": [{"path": self.disk(name), "sizeGib": 1}], "networks": [{"subnet": WEB}]} | more

    async def make(self, name: str, server: str = "host1", **more: Any) -> str:
        """Its MAC address."""
        await self.post("/weft/v1/virtualMachines", self.body(name, server, **more))
        return await self.mac(f"{name}-eth0")

    def profile(self, name: str, adapter: int = 0) -> str:
        """The interface id in an adapter's port profile; empty if it has none."""
        found = self.vm(name).nics[adapter].profile
        return str(found.value("ProfileId")).strip("{}") if found is not None else ""

    def at_starts(self, host: str, name: str) -> list[tuple[str, bool, str, int, int]]:
        """What a machine had whenever its host was asked to start something: MAC, dynamic, profile, virtual subnet of
        its first adapter, and the lookup records of the host."""
        seen = []

        def look() -> None:
            for vm in [vm for vm in self.host(host).vms if vm.name == name]:
                nic, count = vm.nics[0], len(self.host(host).records.lookups)
                seen.append((mac_digits(nic.mac), nic.dynamic, self.profile(name), nic.virtual_subnet_id, count))
            self.host(host).trouble.before["Start-VM"] = look

        self.host(host).trouble.before["Start-VM"] = look
        return seen

    def starts(self) -> int:
        """How often a host was asked to start something."""
        return sum(shell.ran.count("start") for shell in self.shells.values())

    def running_with(self, mac: str) -> list[str]:
        """Names of the machines that run with an address, on any host."""
        every = (vm for host in self.center.hosts.values() for vm in host.vms if vm.power == "Running")
        return sorted(vm.name for vm in every for nic in vm.nics if nic.mac == parse_mac(mac))

    async def properties(self, machine: str) -> Any:
        return (await self.get(f"/weft/v1/virtualMachines/{machine}"))["properties"]

    async def says(self, machine: str, **wanted: Any) -> None:
        """Its properties come to be these."""

        async def so() -> bool:
            answer = await self._call("GET", f"/weft/v1/virtualMachines/{machine}")
            found = answer.json()["properties"] if answer.status_code == 200 else {}
            return all(name in found and found[name] == value for name, value in wanted.items())

        await self.eventually(so)

    async def lives_on(self, machine: str, host: str) -> None:
        """Its record comes to have it there, running."""
        await self.says(machine, server={"resourceRef": f"/servers/{host}"}, powerState="Running")

    async def has_mac(self, interface: str, mac: str) -> None:
        async def so() -> bool:
            return await self.mac(interface) == mac

        await self.eventually(so)

    async def clashes(self, *kinds: str) -> list[Any]:
        """The present conflicts, once they are of these kinds."""
        found: list[Any] = []

        async def so() -> bool:
            found[:] = (await self.get("/weft/v1/conflicts"))["value"]
            return sorted(one["kind"] for one in found) == sorted(kinds)

        await self.eventually(so)
        return found

    async def looked(self, host: str) -> None:
        """The host's agent has read anew all that is there, and told it."""
        before = self.shells[host].ran.count("facts")

        async def so() -> bool:
            return self.shells[host].ran.count("facts") > before

        await self.eventually(so)

    async def problem(self, host: str, words: str) -> str:
        """A problem of the server that says these words, once there is one."""
        found: list[str] = []

        async def so() -> bool:
            problems = (await self.get(f"/weft/v1/servers/{host}/state")).get("problems") or []
            found[:] = [one["message"] for one in problems if words in one["message"]]
            return bool(found)

        await self.eventually(so)
        return found[0]

    # Remote Desktop Services.

    async def take_in(self, *hosts: str, exceptions: Sequence[str] = ("gold*",), subnet: Any = WEB) -> None:
        """Let these servers take in machines with dynamic addresses while they are off, templates excepted."""
        for host in hosts:
            path = f"/networking/v1/servers/{host}"
            properties = (await self.get(path))["properties"]
            wanted = {"mode": "pin", "subnets": [subnet], "exceptions": list(exceptions)}
            await self.put(path, {"properties": properties | {"adoption": wanted}})

    def collection(self, host: str, template: str = "gold") -> DesktopPool:
        """A pool of desktops, of a template that is made on this host."""
        console = self.console(host)
        return DesktopPool(console, console.create(template))

    async def pinned(self, machine: str, name: str = "") -> str:
        """The desktop comes to be Weft's, static on its host with an address of its own: that address. `name` is the
        machine's on the host, where it is another."""

        async def so() -> bool:
            if not await self.exists(f"/weft/v1/virtualMachines/{machine}"):
                return False
            (nic,) = self.vm(name or machine).nics
            own = (mac_digits(nic.mac), nic.dynamic) == (await self.mac(f"{machine}-eth0"), False)
            return own and nic.profile is not None and nic.virtual_subnet_id == BLUE

        await self.eventually(so)
        return await self.mac(f"{machine}-eth0")

    async def macs(self) -> dict[str, str]:
        """By interface, as the ledger has them."""
        found: dict[str, str] = {}
        path = "/networking/v1/networkInterfaces"
        while path:
            page = await self.get(path)
            found |= {one["resourceId"]: one["properties"]["privateMacAddress"] for one in page["value"]}
            path = page.get("nextLink") or ""
        return found

    async def all_applied(self) -> bool:
        return all([await self.applied(host) for host in self.center.hosts])


@contextlib.asynccontextmanager
async def opened(pulse: float = PULSE_S) -> AsyncIterator[HyperVDesk]:
    # a path of its own, since a unix socket's may have 107 bytes
    with TemporaryDirectory(prefix="weft-") as folder:
        made = HyperVDesk(Path(folder), pulse)
        await made.open()
        try:
            yield made
        finally:
            await made.close()


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        yield made
