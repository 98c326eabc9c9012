"""The demo's step about pooled desktops: the same day on two pairs of fake Hyper-V hosts, one left to itself, one with
Weft's agents beside it. Called by demo_steps.

A desktop is made, used, and moved by the cluster; its old host goes on giving addresses away; at logoff the desktop is
rolled back. Nobody tells Weft of any of it: Remote Desktop Services and the cluster do it by themselves.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from weft.agent.agent import Agent
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.plane import HyperVPlane
from weft.agent.link import Identity
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.machine import Vm
from weft.fakes.hyperv.people import Console, DesktopPool
from weft.fakes.hyperv.shell import FakeShell
from weft.lab.demo_simulated import SimulatedService, new_id
from weft.lab.demo_stage import NotSo
from weft.lab.demo_watch import See, check
from weft.model.values import Mac, mac_dashes
from weft.wire.client import NETWORKING, WEFT, Client

HOSTS = {"hv1": "192.168.1.10", "hv2": "192.168.1.20"}
"""With their addresses, of which they make their ranges."""
ROOM = 6
"""Addresses of a host's range here, so that it comes round within the demo; 256 by itself."""
PULSE_SECONDS = 0.02
SOON_SECONDS = 15.0
WEB = "/virtualNetworks/desktops/subnets/web"


class Day(msgspec.Struct):
    """What came of it."""

    first: str
    """The desktop's MAC address at its first logon."""
    last: str
    """After its rollback."""
    twin: str
    """Who runs with that address too; empty if nobody does."""
    lives: bool
    """It runs, and its adapter has a network."""


async def desktops_roll_back(see: See) -> None:
    """On hosts of its own: those of the stage have no part in it. Raises NotSo."""
    old = await _day(HyperVDatacenter(), _at_once)
    check(old.twin, "left to themselves, the hosts made no duplicate")
    see(f"without Weft: hv1 gave desk1 {old.first}; desk1 moved to hv2, and hv1 gave {old.first} to {old.twin};")
    see(f"logoff rolled desk1 back to {old.last}: two machines run with one MAC address")
    async with _with_weft(center := HyperVDatacenter()) as (shells, client):
        new = await _day(center, lambda desktop: _taken_in(client, desktop))
        check(not new.twin, f"{new.twin} has {new.last} too")
        check(new.last == new.first, f"desk1 had {new.first} and has {new.last}")
        asked = [name for shell in shells for name in shell.ran if name in ("start", "stop", "save", "restore")]
        check(new.lives and not asked, f"desk1 does not run on as it was: its host was asked to {asked}")
        await _no_clash(client)
    see(f"with Weft: desk1 got {new.first} for life before its first logon, static; hv1 gave it to nobody;")
    see("logoff rolled desk1 back: it runs on with its address, no duplicate, no restart")


async def _day(center: HyperVDatacenter, made: Callable[[Vm], Awaitable[None]]) -> Day:
    """From the making of the desktop to its logoff; `made` returns when it may be used."""
    for name, address in HOSTS.items():
        host = center.hosts.get(name) or center.add_host(name, address)
        host.set_range(host.range.first, Mac(host.range.first + ROOM - 1))
        host.changed()
    first_host, second_host = (Console(center, name) for name in HOSTS)
    pool = DesktopPool(first_host, first_host.create("template"))
    desktop = pool.make("desk1")
    await made(desktop)
    pool.log_on_first("desk1")
    first = desktop.nics[0].mac
    pool.move("desk1", "hv2")
    second_host.stop(desktop)
    await made(desktop)
    second_host.start(desktop)
    others = []
    for number in range(ROOM):
        others.append(first_host.create(f"vm{number}"))
        first_host.start(others[-1])
    await made(desktop)
    pool.log_off("desk1")
    await made(desktop)
    last = desktop.nics[0].mac
    twin = next((vm.name for vm in others if vm.nics[0].mac == last), "")
    lives = desktop.state == "Running" and not desktop.nics[0].cut_off
    return Day(mac_dashes(first), mac_dashes(last), twin, lives)


async def _at_once(desktop: Vm) -> None:
    """Nobody is asked."""


async def _taken_in(client: Client, desktop: Vm) -> None:
    """Weft has it, and it has the address that Weft has for it, static."""
    async with asyncio.timeout(SOON_SECONDS):
        while not await _agree(client, desktop):
            await asyncio.sleep(PULSE_SECONDS)


async def _no_clash(client: Client) -> None:
    """What was found before the desktop was taken in is gone at the controller's next look. Raises NotSo."""
    until = asyncio.get_running_loop().time() + SOON_SECONDS
    while clashes := (await client.get(f"{WEFT}/conflicts"))["value"]:
        check(asyncio.get_running_loop().time() < until, f"{clashes[0]['kind']}: {clashes[0]['remedy']}")
        await asyncio.sleep(PULSE_SECONDS)


async def _agree(client: Client, desktop: Vm) -> bool:
    machines: list[Any] = await client.list_all(f"{WEFT}/virtualMachines")
    for machine in machines:
        p = machine["properties"]
        if p.get("hypervisor", {}).get("id", "").lower() == desktop.id.lower() and p["powerState"] == desktop.state:
            name = p["networkInterfaces"][0]["resourceRef"]
            found = (await client.get(f"{NETWORKING}{name}"))["properties"]
            mac = mac_dashes(desktop.nics[0].mac)
            return found["privateMacAddress"].replace("-", "") == mac.replace("-", "") and not desktop.nics[0].dynamic
    return False


@contextlib.asynccontextmanager
async def _with_weft(center: HyperVDatacenter) -> AsyncIterator[tuple[list[FakeShell], Client]]:
    """A controller of its own, and an agent for each host. Raises NotSo if the agents do not connect."""
    shells = []
    with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
        service = SimulatedService(Path(folder))
        try:
            await service.begin()
            await _fabric(service.client)
            for name, address in HOSTS.items():
                shell = FakeShell(center.add_host(name, address))
                shells.append(shell)
                plane = HyperVPlane(name, shell, "Ethernet")
                driver = HyperVDriver(name, shell, pulse=PULSE_SECONDS)
                service.employ(Agent(Identity(name, new_id(), "hyperv"), plane, driver))
            try:
                await service.await_agents()
            except TimeoutError:
                raise NotSo("the agents of the Hyper-V hosts did not connect") from None
            yield shells, service.client
        finally:
            await service.close()


async def _fabric(client: Client) -> None:
    """A pool, a network, and two servers that take in whatever machine is made there, but for the template."""
    pool = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
    await client.put(f"{NETWORKING}/macPools/pool1", {"properties": pool})
    addresses = {"startIpAddress": "192.168.1.10", "endIpAddress": "192.168.1.99"}
    provider = {"addressPrefix": "192.168.1.0/24", "ipPools": [{"resourceId": "p", "properties": addresses}]}
    fabric = {"networkVirtualizationEnabled": True, "subnets": [{"resourceId": "pa", "properties": provider}]}
    await client.put(f"{NETWORKING}/logicalNetworks/hnvpa", {"properties": fabric})
    network = {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}],
    }
    await client.put(f"{NETWORKING}/virtualNetworks/desktops", {"properties": network})
    adoption = {"mode": "pin", "subnets": [{"resourceRef": WEB}], "exceptions": ["template", "vm*"]}
    for name, address in HOSTS.items():
        server = {"providerAddresses": [address], "adoption": adoption}
        await client.put(f"{NETWORKING}/servers/{name}", {"properties": server})
