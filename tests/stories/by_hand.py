"""Somebody at the hypervisors' own tools, and what comes of it by the public API."""

from typing import Any

import pytest

from tests.stories.desk import Desk
from weft.agent.hypervisors import Start
from weft.fakes.console import Console

M = "00-15-5D-01-05-07"
"""Of a host's own range, in no pool."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of real hosts, shortened."""
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.1)


async def consoles(desk: Desk, *hosts: str, **more: Any) -> list[Console]:
    """A cluster whose hosts say which boot it is, and somebody's hand at each of them."""
    await desk.cluster(hosts=len(hosts), **more)
    for host in hosts:
        desk.center.hypervisors[host].boot = "boot 1"
        desk.center.hypervisors[host].changed()
    return [Console(desk.center, host) for host in hosts]


def starts(desk: Desk) -> int:
    every = desk.center.hypervisors.values()
    return sum(isinstance(verb, Start) for one in every for verb in one.carried_out)


async def says(desk: Desk, machine: str, **wanted: Any) -> None:
    """Its properties come to be these."""

    async def so() -> bool:
        found = (await desk.get(f"/weft/v1/virtualMachines/{machine}"))["properties"]
        return all(found.get(name) == value for name, value in wanted.items())

    await desk.eventually(so)


async def has_mac(desk: Desk, interface: str, mac: str) -> None:
    async def so() -> bool:
        return await desk.mac(interface) == mac

    await desk.eventually(so)


async def clashes(desk: Desk, *kinds: str) -> list[Any]:
    """The present conflicts, once they are of these kinds."""
    found: list[Any] = []

    async def so() -> bool:
        found[:] = (await desk.get("/weft/v1/conflicts"))["value"]
        return [one["kind"] for one in found] == list(kinds)

    await desk.eventually(so)
    return found


async def clash_of(desk: Desk, holders: set[str]) -> None:
    """The one conflict that there is comes to be of these."""

    async def so() -> bool:
        found = (await desk.get("/weft/v1/conflicts"))["value"]
        return [set(refs(one)) for one in found] == [holders]

    await desk.eventually(so)


def refs(conflict: Any) -> list[str]:
    return [one["resourceRef"] for one in conflict["holders"]]


async def renewed(desk: Desk, machine: str) -> str:
    """Give a machine another address; it is restarted for that."""
    interface = f"/networkInterfaces/{machine}-eth0"
    await desk.act(machine, "renewMac", {"networkInterface": interface, "force": True})
    return await desk.mac(f"{machine}-eth0")
