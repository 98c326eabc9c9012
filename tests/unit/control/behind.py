"""One machine "a" on host1 of a rack whose hosts tell their hypervisors' facts, and what tests ask of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, fill, interface, machine, open_in
from tests.cluster.host_agent import Rack
from tests.waiting import soon
from weft.control.controller import Controller
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac

FREE = int(parse_mac("00-15-5D-01-05-07"))
WEB = "/virtualNetworks/blue/subnets/web"


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await fill(opened, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    async with opened.running():
        yield opened
    opened.close()


@pytest.fixture
async def rack(controller: Controller) -> AsyncIterator[Rack]:
    async with Rack("host1", "host2") as made:
        for host in made.hosts.values():
            host.hypervisor = "libvirt"
            host.states = {}
        made.hosts["host1"].states["id-a"] = MachineState("a", "Off", adapters=(AdapterState(mac_of(controller)),))
        made.hosts["host1"].machines["a"] = "Off"
        made.connect(controller.publisher)
        await soon(lambda: p(controller).hypervisor is not None)
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.02)
    monkeypatch.setattr("weft.control.waits.RECHECK_S", 0.02)


def p(controller: Controller, name: str = "a"):
    return controller.state.get("virtualMachines", name).properties


def mac_of(controller: Controller, name: str = "a-eth0") -> int:
    return int(parse_mac(controller.state.get("networkInterfaces", name).properties.private_mac_address))


def holders(controller: Controller, mac: int) -> list[str]:
    lease = controller.state.lease(MAC_SCOPE, mac)
    return sorted(one.ref for one in lease.holders) if lease is not None and lease.state != "cooling" else []


def found(controller: Controller) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.kind, one.address[-5:], one.holders) for one in controller.conflicts()]


def tell(host, own: str = "id-a", name: str = "a", **more) -> None:
    """The host's hypervisor says this of a machine from now on."""
    host.states[own] = MachineState(name, more.pop("power", "Off"), **more)


async def quiet(controller: Controller) -> int:
    """Long enough for several rounds; the revision afterwards."""
    await asyncio.sleep(0.2)
    return controller.state.revision


async def run(controller: Controller, name: str = "a") -> None:
    await controller.machines.start(name, ANN)


async def fill_one(controller: Controller, name: str) -> None:
    await controller.submit(interface(f"{name}-eth0"), ANN)
    await controller.submit(machine(name, "host1", f"{name}-eth0"), ANN)
