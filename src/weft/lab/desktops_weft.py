"""The story of weft.lab.desktops with Weft: a controller of its own in this process, and its agents on the fake hosts.

All that Weft is told is which servers' desktops to take in; the rest its agents see.
"""

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from weft.agent.hyperv.driver import PULSE_SECONDS
from weft.fakes.hyperv.machine import Vm
from weft.lab.demo_simulated import SimulatedService
from weft.lab.demo_watch import check
from weft.lab.desktops import HV1, HV2, Watch, nic_of
from weft.model.values import parse_mac
from weft.wire.client import NETWORKING, WEFT, Client

SETTLED_SECONDS = 20.0
LOOKS = 5
"""Of the agents at their hosts that are counted one by one after the logoffs; each is PULSE_SECONDS of the fake's."""
VSID = 6001
SUBNET = {"resourceRef": "/virtualNetworks/desktops/subnets/web"}
FABRIC: dict[str, Any] = {
    "virtualNetworkManager/configuration": {"networkVirtualizationProtocol": "NVGRE"},
    "macPools/pool1": {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1F-FF"},
    "logicalNetworks/hnvpa": {
        "networkVirtualizationEnabled": True,
        "subnets": [
            {
                "resourceId": "pa",
                "properties": {
                    "addressPrefix": "192.168.1.0/24",
                    "defaultGateways": ["192.168.1.1"],
                    "ipPools": [
                        {
                            "resourceId": "pool",
                            "properties": {"startIpAddress": "192.168.1.9", "endIpAddress": "192.168.1.99"},
                        }
                    ],
                },
            }
        ],
    },
    "virtualNetworks/desktops": {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": VSID}}],
    },
}
ADOPTION = {"mode": "pin", "subnets": [SUBNET], "exceptions": ["gold"]}
"""What Weft is told: take in machines whose addresses a host would draw, while they are off; not the template."""


class WeftWatches(Watch):
    """Its agents look at what people did, and its ledger follows."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def is_served(self, vm: Vm) -> bool:
        nic = nic_of(vm)
        return nic.virtual_subnet_id == VSID and nic.profile is not None

    async def settled(self) -> None:
        """Every desktop is the ledger's, as it is; its port is bound, and the hosts have nothing left to do. Raises
        NotSo."""
        until = asyncio.get_running_loop().time() + SETTLED_SECONDS
        while missing := await self._unsettled():
            check(asyncio.get_running_loop().time() < until, f"{missing} was not seen within {SETTLED_SECONDS:g} s")
            await self._look()

    async def _unsettled(self) -> str:
        """What is still to come; empty if nothing is."""
        for server in (HV1, HV2):
            state = await self._client.get(f"{WEFT}/servers/{server}/state")
            if not state["connected"] or state["lag"]:
                return f"that {server} has applied its policy"
        differ = [name for name, vm in self.pool.desktops.items() if not await self._agrees(name, vm)]
        return f"that ledger and host agree on {', '.join(differ)}" if differ else ""

    async def _agrees(self, name: str, vm: Vm) -> bool:
        machine = await self._client.find(f"{WEFT}/virtualMachines/{name}")
        found = self.center.find(vm.id)
        if machine is None or found is None:
            return False
        interface = (await self._client.get(f"{NETWORKING}/networkInterfaces/{name}-eth0"))["properties"]
        known, nic = machine["properties"], nic_of(vm)
        return (
            known["server"]["resourceRef"] == f"/servers/{found[0].name}"
            and known["powerState"] == vm.power
            and len(known["checkpoints"]) == len(vm.checkpoints)
            and parse_mac(interface["privateMacAddress"]) == nic.mac
            and not nic.dynamic
            and self.is_served(vm)
        )

    async def logged_off(self) -> None:
        for _ in range(LOOKS):
            self.pass_time(int(PULSE_SECONDS))
            await self._look()

    async def _look(self) -> None:
        """Every agent has looked at its host once more."""
        seen = {shell: shell.ran.count("pulse") for shell in self.hosts.shells.values()}
        while any(shell.ran.count("pulse") == before for shell, before in seen.items()):
            await asyncio.sleep(0.01)

    async def duplicates(self) -> list[Any]:
        """What the controller says of addresses that two running machines have."""
        return list((await self._client.get(f"{WEFT}/conflicts", kind="activeTwin"))["value"])

    def starts_and_stops(self) -> int:
        """Scripts of the agents that start or stop a machine."""
        return sum(name in ("start", "stop") for shell in self.hosts.shells.values() for name in shell.ran)


@contextlib.asynccontextmanager
async def weft_watches() -> AsyncIterator[WeftWatches]:
    """A controller of its own in this process, and an agent for each host."""
    with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
        service = SimulatedService(Path(folder))
        try:
            await service.begin()
            watch = WeftWatches(service.client)
            for path, properties in FABRIC.items():
                await service.client.put(f"{NETWORKING}/{path}", {"properties": properties})
            for number, (name, host) in enumerate(watch.center.hosts.items()):
                properties = {"providerAddresses": [host.ipv4], "adoption": ADOPTION}
                await service.client.put(f"{NETWORKING}/servers/{name}", {"properties": properties})
                service.employ(watch.hosts.agent(name, f"{random.Random(number).getrandbits(64):x}"))
            await service.await_agents()
            yield watch
        finally:
            await service.close()
