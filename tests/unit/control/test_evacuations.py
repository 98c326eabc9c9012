"""Every machine off a server in one call, against model hosts: 500 of them, some that fail, a restart in the middle."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, fabric_commands, interface, machine, open_in
from tests.cluster.host_agent import Rack
from tests.unit.control.machines import quick, rack
from weft.control.controller import Controller
from weft.core.changes import Commit
from weft.core.policy_places import server_of
from weft.model.errors import Invalid, InvalidReference, NotFound, NotReady
from weft.model.records import PortBinding

__all__ = ["quick", "rack"]

MACHINES = 500


async def made(folder: Path, count: int) -> Controller:
    opened = open_in(folder)
    commands = [*fabric_commands()]
    for number in range(count):
        commands.append(interface(f"n{number}", "/virtualNetworks/blue/subnets/db"))
        commands.append(machine(f"m{number}", "host1", f"n{number}"))
    await asyncio.gather(*(opened.submit(command, ANN) for command in commands))
    return opened


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = await made(tmp_path, 4)
    async with opened.running():
        yield opened
    opened.close()


def places(controller: Controller) -> dict[str, str]:
    return {one.resource_id: server_of(one) for one in controller.state.all("virtualMachines")}


def addresses(controller: Controller) -> dict[str, tuple[str | None, str | None]]:
    return {
        one.resource_id: (
            one.properties.private_mac_address,
            one.properties.ip_configurations[0].properties.private_ip_address,
        )
        for one in controller.state.all("networkInterfaces")
    }


async def started(controller: Controller) -> None:
    names = list(places(controller))
    for first in range(0, len(names), 50):
        await asyncio.gather(*(controller.machines.start(name, ANN) for name in names[first : first + 50]))


async def evacuated(controller: Controller, *to: str, at_once: int = 8):
    found = controller.evacuations.begin("host1", to, at_once, ANN)
    await controller.evacuations.wait("host1", 300)
    assert found.ended and not found.under_way
    return found


async def test_all_machines_of_a_host_go_to_the_others_in_one_call(tmp_path: Path) -> None:
    controller = await made(tmp_path, MACHINES)
    async with controller.running(), Rack("host1", "host2", "host3") as rack:
        rack.connect(controller.publisher)
        await started(controller)
        before = addresses(controller)
        found = await evacuated(controller, at_once=32)
        assert (found.total, len(found.moved), found.failed) == (MACHINES, MACHINES, {})
        assert rack.hosts["host1"].machines == {}
        loads = [len(rack.hosts[name].machines) for name in ("host2", "host3")]
        assert sum(loads) == MACHINES and abs(loads[0] - loads[1]) <= 1
        assert addresses(controller) == before
        assert {name: to for name, to in found.moved.items()} == places(controller)
        assert (await evacuated(controller)).total == 0
    controller.close()


async def test_what_one_host_refuses_another_takes_and_what_all_refuse_stays_and_is_named(
    controller: Controller, rack: Rack
) -> None:
    await started(controller)
    await rack.hosts["host2"].disconnect()
    found = await evacuated(controller, "host2", "host3")
    assert set(found.moved.values()) == {"host3"} and len(found.moved) == 4
    rack.hosts["host2"].connect(controller.publisher)
    rack.hosts["host3"].refuses = "no memory there"
    there = controller.evacuations.begin("host3", ("host2",), 2, ANN)
    await controller.evacuations.wait("host3", 60)
    assert (there.total, there.moved, set(there.failed)) == (4, {}, {"m0", "m1", "m2", "m3"})
    assert "no memory" in there.failed["m0"].message
    assert set(places(controller).values()) == {"host3"}
    assert len(rack.hosts["host3"].machines) == 4, "and they run"


async def test_it_has_not_ended_while_the_host_still_forwards_to_a_machine_that_left(
    controller: Controller, rack: Rack
) -> None:
    await controller.submit(interface("peer"), ANN)
    await controller.submit(machine("peer", "host2", "peer"), ANN)
    await controller.machines.start("peer", ANN)
    await controller.machines.start("m1", ANN)
    told, peer = controller.writer.on_commit, rack.hosts["host2"]

    def slow_from_there(commit: Commit) -> None:
        move = controller.state.get("virtualMachines", "m1").properties.move
        if move is not None and move.phase == "switched":
            peer.gate.clear()
        told(commit)

    controller.writer.on_commit = slow_from_there
    found = controller.evacuations.begin("host1", ("host3",), 8, ANN)
    async with asyncio.timeout(30):
        while not found.leaving:
            await asyncio.sleep(0.005)
    assert (len(found.moved), found.under_way, found.leaving) == (4, {}, {"m1": "host3"})
    async with asyncio.timeout(30):
        while found.waits_for != {"m1": ["host2"]}:
            await asyncio.sleep(0.005)
    await controller.evacuations.wait("host1", 0.2)
    assert not found.ended and rack.hosts["host1"].records(PortBinding)
    peer.gate.set()
    await controller.evacuations.wait("host1", 30)
    assert (found.ended, found.leaving, found.waits_for) == (True, {}, {})
    assert controller.state.get("virtualMachines", "m1").properties.move is None


async def test_a_machine_that_does_not_run_goes_too(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("m1", ANN)
    found = await evacuated(controller, "host2")
    assert found.moved == dict.fromkeys(("m0", "m1", "m2", "m3"), "host2")
    assert rack.hosts["host2"].machines == {"m1": "Running"}


async def test_a_second_call_joins_the_first(controller: Controller, rack: Rack) -> None:
    await started(controller)
    rack.hosts["host1"].copies = True
    first = controller.evacuations.begin("host1", ("host2",), 2, ANN)
    async with asyncio.timeout(30):
        while len(first.under_way) < 2:
            await asyncio.sleep(0.005)
    assert controller.evacuations.begin("host1", ("host3",), 8, ANN) is first
    assert len(first.under_way) == 2, "no more than were asked for move together"
    rack.hosts["host1"].copies = False
    await controller.evacuations.wait("host1", 30)
    assert controller.evacuations.of("HOST1") is first and first.ended
    assert set(places(controller).values()) == {"host2"}


async def test_after_a_restart_in_the_middle_it_goes_on_with_what_is_left(tmp_path: Path) -> None:
    controller = await made(tmp_path, 12)
    async with Rack("host1", "host2", "host3") as rack:
        async with controller.running():
            rack.connect(controller.publisher)
            await started(controller)
            controller.evacuations.begin("host1", (), 2, ANN)
            async with asyncio.timeout(30):
                while len(controller.evacuations.of("host1").moved) < 3:
                    await asyncio.sleep(0.001)
        for host in rack.hosts.values():
            await host.disconnect()
        controller.close()
        again = open_in(tmp_path)
        async with again.running():
            rack.connect(again.publisher)
            assert "host1" in places(again).values()
            while "host1" in places(again).values():
                found = await evacuated(again)
                assert not found.failed or set(found.failed) <= set(places(again))
            assert rack.hosts["host1"].machines == {}
            assert sum(len(host.machines) for host in rack.hosts.values()) == 12
        again.close()


async def test_what_cannot_begin_says_why(controller: Controller, rack: Rack) -> None:
    evacuations = controller.evacuations
    for to, fault in ((("host1",), Invalid), (("nowhere",), InvalidReference)):
        with pytest.raises(fault):
            evacuations.begin("host1", to, 8, ANN)
    with pytest.raises(NotFound):
        evacuations.begin("nowhere", (), 8, ANN)
    with pytest.raises(NotFound, match="was not evacuated"):
        evacuations.of("host1")
    for name in ("host2", "host3"):
        await rack.hosts[name].disconnect()
    with pytest.raises(NotReady, match="no other agent is connected"):
        evacuations.begin("host1", (), 8, ANN)
