"""Machines a and b on model hosts, and what tests ask of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import fill, interface, machine, open_in
from tests.cluster.host_agent import Rack
from weft.control.controller import Controller
from weft.core.policy import network_stream
from weft.model.records import LookupRecord
from weft.model.values import ip_text


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = await with_both(tmp_path)
    async with opened.running():
        yield opened
    opened.close()


async def with_both(folder: Path) -> Controller:
    """Not yet running, and its machines are off: a on host1, b on host2."""
    opened = open_in(folder)
    machines = machine("a", "host1", "a-eth0"), machine("b", "host2", "b-eth0")
    await fill(opened, interface("a-eth0"), interface("b-eth0"), *machines)
    return opened


@pytest.fixture
async def rack(controller: Controller) -> AsyncIterator[Rack]:
    async with Rack("host1", "host2", "host3") as made:
        made.connect(controller.publisher)
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of real hosts, shortened: what counts is their order."""
    monkeypatch.setattr("weft.control.moves.DEAD_AFTER_S", 0.1)
    monkeypatch.setattr("weft.control.moves.RESUME_GRACE_S", 5.0)
    monkeypatch.setattr("weft.control.moves.RECHECK_S", 0.02)
    monkeypatch.setattr("weft.control.waits.RECHECK_S", 0.02)
    monkeypatch.setattr("weft.control.verdicts.LATE_FACTS_S", 0.1)
    monkeypatch.setattr("weft.control.clockwork.TICK_S", 0.05)


def power(controller: Controller, name: str = "a") -> str:
    return controller.state.get("virtualMachines", name).properties.power_state


def place(controller: Controller, name: str = "a") -> str:
    return controller.state.get("virtualMachines", name).properties.server.resource_ref


def lookups(controller: Controller) -> dict[str, str]:
    """Customer address to provider address, of the network blue."""
    rdid = controller.state.get("virtualNetworks", "blue").properties.routing_domain_number
    return {
        ip_text(one.customer_address): ip_text(one.provider_address)
        for one in network_stream(controller.state, rdid).values()
        if isinstance(one, LookupRecord)
    }
