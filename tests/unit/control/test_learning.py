"""What hosts tell of addresses that their guests bring: into the ledger, to its next owner, or a conflict."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.cluster.control import ANN, FailingStore, fill, interface, machine, open_in, put
from tests.cluster.host_agent import Rack
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import Delete, SetPower
from weft.core.commands import Path as Name
from weft.core.conflicts import GUEST_ADDRESS
from weft.model.leases import ip_scope
from weft.model.tenancy import GuestSpecifiedAddresses

VIP = "10.1.1.200"
SCOPE = ip_scope("/virtualNetworks/blue", 4)
A, B = ("a-eth0", VIP), ("b-eth0", VIP)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.learning.RETRY_S", 0.02)
    monkeypatch.setattr("weft.control.waits.RECHECK_S", 0.02)


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await fill(
        opened,
        interface("a-eth0"),
        machine("a", "host1", "a-eth0"),
        interface("b-eth0"),
        machine("b", "host2", "b-eth0"),
        interface("given", address="10.1.1.77"),
    )
    await let_guests_bring(opened)
    async with opened.running():
        for name in ("a", "b"):
            await opened.submit(SetPower(name, "Running"), ANN)
        yield opened
    opened.close()


async def let_guests_bring(controller: Controller, **settings: int) -> None:
    network = controller.state.get("virtualNetworks", "blue")
    own = GuestSpecifiedAddresses(enabled=True, **settings)
    subnets = tuple(
        replace(one, properties=replace(one.properties, guest_specified_addresses=own))
        for one in network.properties.subnets
    )
    await controller.submit(put("virtualNetworks", "blue", replace(network.properties, subnets=subnets)), ANN)


@pytest.fixture
async def rack(controller: Controller) -> AsyncIterator[Rack]:
    async with Rack("host1", "host2") as made:
        made.connect(controller.publisher)
        yield made


def learnt(controller: Controller, name: str) -> list[str]:
    found = controller.state.get("networkInterfaces", name)
    return [one.ip_address for one in found.properties.learned_ip_addresses]


def conflicts(controller: Controller, machine: str = "") -> list[tuple[str, tuple[str, ...]]]:
    return [(one.address, one.holders) for one in controller.conflicts(machine) if one.kind == GUEST_ADDRESS]


async def test_what_a_guest_brings_is_its_interfaces(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    (row,) = controller.history(SCOPE, int.from_bytes(bytes((10, 1, 1, 200))))
    assert (row.event, row.machine, row.host, row.actor) == ("learnt", "a", "host1", "agent of host1")
    assert conflicts(controller) == []


async def test_an_announcement_from_another_host_moves_it_and_what_the_first_sends_then_is_a_conflict(
    controller: Controller, rack: Rack
) -> None:
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    rack.hosts["host2"].brought[B] = 0
    both = (VIP, ("/networkInterfaces/a-eth0", "/networkInterfaces/b-eth0"))
    await soon(lambda: conflicts(controller) == [both])
    assert conflicts(controller, "b") == conflicts(controller, "a") == [both]
    assert learnt(controller, "b-eth0") == []
    rack.hosts["host2"].brought[B] = 4711
    await soon(lambda: learnt(controller, "b-eth0") == [VIP])
    assert learnt(controller, "a-eth0") == []
    await soon(lambda: conflicts(controller) == [(VIP, ("/networkInterfaces/b-eth0", "/networkInterfaces/a-eth0"))])
    del rack.hosts["host1"].brought[A]
    await soon(lambda: conflicts(controller) == [])


async def test_one_that_is_followed_once_is_no_announcement_for_ever(controller: Controller, rack: Rack) -> None:
    """Both announced it once: the last has it, and the first one's old word does not bring it back."""
    rack.hosts["host1"].brought[A] = 1
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    rack.hosts["host2"].brought[B] = 1
    await soon(lambda: learnt(controller, "b-eth0") == [VIP])
    await soon(lambda: conflicts(controller) != [])
    revision = controller.state.revision
    host = rack.hosts["host1"]
    for at in range(5):
        host.failures["other"] = (0, f"something else is news, {at}")
        await soon(lambda at=at: str(at) in controller.publisher.session("host1").facts.machines[-1].failure)
    assert controller.state.revision == revision
    assert learnt(controller, "b-eth0") == [VIP]


async def test_who_does_not_answer_loses_it_to_who_uses_it(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    rack.hosts["host1"].unused[A] = False
    rack.hosts["host2"].brought[B] = 0
    del rack.hosts["host1"].brought[A]
    await soon(lambda: learnt(controller, "b-eth0") == [VIP])


async def test_what_is_not_used_for_too_long_is_released(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    del rack.hosts["host1"].brought[A]
    rack.hosts["host1"].unused[A] = True
    await soon(lambda: learnt(controller, "a-eth0") == [])
    lease = controller.state.lease(SCOPE, int.from_bytes(bytes((10, 1, 1, 200))))
    assert lease is not None
    assert (lease.state, lease.reason) == ("cooling", "learnt: its guest does not use it any more")


async def test_a_given_address_is_refused_once_and_had_when_it_is_free(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].brought["a-eth0", "10.1.1.77"] = 1
    await soon(lambda: conflicts(controller) != [])
    assert conflicts(controller) == [("10.1.1.77", ("/networkInterfaces/given", "/networkInterfaces/a-eth0"))]
    before = controller.state.revision

    def refusals() -> list[int]:
        rows = controller.history(SCOPE, int.from_bytes(bytes((10, 1, 1, 77))))
        return [row.times for row in rows if row.event == "refused"]

    await soon(lambda: refusals() != [])
    await asyncio.sleep(0.05)  # for more of them, which there are not
    assert refusals() == [1]
    assert controller.state.revision == before
    await controller.submit(Delete(Name("networkInterfaces", "given")), ANN)
    await soon(lambda: "cooling" in controller.conflicts()[0].remedy)


async def test_no_more_than_the_limit(controller: Controller, rack: Rack) -> None:
    await let_guests_bring(controller, maximum_per_interface=1)
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
    rack.hosts["host1"].brought["a-eth0", "10.1.1.201"] = 1
    await soon(lambda: conflicts(controller) == [("10.1.1.201", ("/networkInterfaces/a-eth0",))])
    await let_guests_bring(controller, maximum_per_interface=2)
    await soon(lambda: learnt(controller, "a-eth0") == [VIP, "10.1.1.201"])
    assert conflicts(controller) == []


async def test_a_host_that_goes_takes_its_conflicts_along(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].brought["a-eth0", "10.1.1.77"] = 1
    await soon(lambda: conflicts(controller) != [])
    await rack.hosts["host1"].disconnect()
    await soon(lambda: conflicts(controller) == [])


async def test_a_disk_that_is_full_is_tried_again(controller: Controller, rack: Rack) -> None:
    store = FailingStore(controller.writer._store)
    controller.writer._store, store.fails = store, True
    rack.hosts["host1"].brought[A] = 0
    await soon(lambda: controller.writer.failure != "")
    store.fails = False
    await soon(lambda: learnt(controller, "a-eth0") == [VIP])
