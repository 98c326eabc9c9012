"""Failover against model hosts: a dead host's machine runs on another as it was, and never on both."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.control import ANN, open_in
from tests.cluster.host_agent import Rack
from tests.unit.control.copies import address, controller, mac, prepare, quick, rack
from tests.unit.control.machines import place, power
from tests.waiting import soon
from weft.control.controller import Controller
from weft.model.errors import Conflict, NotReady, WaitTimedOut

__all__ = ["controller", "quick", "rack"]


async def test_a_dead_host_s_machine_runs_on_another_as_it_was(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    had = (address(controller), mac(controller))
    dead = rack.hosts["host1"]
    await dead.disconnect()
    moved = await controller.machines.failover("a", "host2", False, ANN)
    assert moved.properties.server.resource_ref == "/servers/host2"
    assert rack.hosts["host2"].machines == {"a": "Running"}
    assert ((address(controller), mac(controller)), power(controller)) == (had, "Running")
    # it comes back and hears that the machine is another's
    dead.connect(controller.publisher)
    await soon(lambda: dead.machines == {})
    assert dead.removed == ["a"]


async def test_a_host_that_answers_keeps_its_machine_unless_it_is_fenced(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    with pytest.raises(
        NotReady, match="'host1' is connected.*migrate.* with fenced \\(weft vm failover a --to host2 --fenced\\)"
    ) as refused:
        await controller.machines.failover("a", "host2", False, ANN)
    assert (refused.value.code, refused.value.target, place(controller)) == (
        "ServerNotReady",
        "/servers/host1",
        "/servers/host1",
    )
    await controller.machines.failover("a", "host2", True, ANN)
    assert rack.hosts["host2"].machines == {"a": "Running"}
    await soon(lambda: rack.hosts["host1"].machines == {})


async def test_to_where_it_is_already_nothing_fails_over(controller: Controller, rack: Rack) -> None:
    """Said first, also of a dead host: that its agent should come back would be no answer."""
    await controller.machines.start("a", ANN)
    await rack.hosts["host1"].disconnect()
    with pytest.raises(Conflict, match="is on /servers/host1 already") as refused:
        await controller.machines.failover("a", "HOST1", False, ANN)
    assert refused.value.code == "AlreadyThere"


async def test_to_a_host_that_is_gone_too_or_has_no_driver_nothing_fails_over(
    controller: Controller, rack: Rack
) -> None:
    await controller.machines.start("a", ANN)
    for name in ("host1", "host2"):
        await rack.hosts[name].disconnect()
    with pytest.raises(NotReady, match="host2"):
        await controller.machines.failover("a", "host2", False, ANN)
    rack.hosts["host2"].hypervisor = ""
    rack.hosts["host2"].connect(controller.publisher)
    with pytest.raises(NotReady, match="no hypervisor"):
        await controller.machines.failover("a", "host2", False, ANN)
    assert place(controller) == "/servers/host1"


async def test_a_new_host_that_cannot_start_it_keeps_it_and_says_so(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await rack.hosts["host1"].disconnect()
    rack.hosts["host2"].refuses = "no memory"
    with pytest.raises(WaitTimedOut, match="belongs to host2 now, but it is not Running there: no memory"):
        await controller.machines.failover("a", "host2", False, ANN)
    rack.hosts["host2"].refuses = ""
    await soon(lambda: rack.hosts["host2"].machines == {"a": "Running"})


async def test_a_machine_that_is_off_fails_over_without_being_started(controller: Controller, rack: Rack) -> None:
    await rack.hosts["host1"].disconnect()
    await controller.machines.failover("a", "host2", False, ANN)
    assert (place(controller), power(controller), rack.hosts["host2"].machines) == ("/servers/host2", "Off", {})


@pytest.mark.parametrize("phase", ["preparing", "switching"])
async def test_a_move_whose_source_died_ends_with_the_failover(controller: Controller, rack: Rack, phase: str) -> None:
    await controller.machines.start("a", ANN)
    source, destination = rack.hosts["host1"], rack.hosts["host3"]
    if phase == "preparing":
        destination.gate.clear()
    else:
        source.stuck = True
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN))
    await soon(lambda: (m := controller.state.get("virtualMachines", "a").properties.move) and m.phase == phase)
    await source.disconnect()
    if phase == "switching":
        # it may have arrived there: nobody knows but that host
        with pytest.raises(NotReady, match="host3"):
            await controller.machines.failover("a", "host2", False, ANN)
        await destination.disconnect()
    async with asyncio.timeout(30):
        await controller.machines.failover("a", "host2", False, ANN)
        with pytest.raises(Conflict) as ended:
            await moving
    assert ended.value.code == "MoveIsOver"
    assert rack.hosts["host2"].machines == {"a": "Running"}
    assert controller.state.get("virtualMachines", "a").properties.move is None
    destination.gate.set()
    await asyncio.sleep(0.2)
    assert place(controller) == "/servers/host2"
    assert not controller.machines.alone.is_busy("a")


async def test_a_failover_holds_the_machine_after_the_move_that_it_ended_has_let_go(
    controller: Controller, rack: Rack
) -> None:
    await controller.machines.start("a", ANN)
    rack.hosts["host3"].gate.clear()
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN))
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is not None)
    await rack.hosts["host1"].disconnect()
    rack.hosts["host2"].stuck = True
    failing = asyncio.create_task(controller.machines.failover("a", "host2", False, ANN))
    await asyncio.gather(moving, return_exceptions=True)
    with pytest.raises(Conflict) as refused:
        await controller.machines.stop("a", ANN)
    assert refused.value.code == "AnotherOperationInProgress"
    rack.hosts["host2"].stuck = False
    await failing
    assert not controller.machines.alone.is_busy("a")
    rack.hosts["host3"].gate.set()


async def test_of_two_failovers_of_a_machine_on_the_move_one_is_told_to_wait(
    controller: Controller, rack: Rack
) -> None:
    await controller.machines.start("a", ANN)
    rack.hosts["host3"].gate.clear()
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN))
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is not None)
    await rack.hosts["host1"].disconnect()
    both = (controller.machines.failover("a", "host2", False, ANN) for _ in range(2))
    done, refused = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(refused, Conflict) and refused.code == "AnotherOperationInProgress"
    assert done.properties.server.resource_ref == "/servers/host2"
    await asyncio.gather(moving, return_exceptions=True)
    rack.hosts["host3"].gate.set()


async def test_a_controller_that_begins_gives_hosts_time_before_it_takes_them_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_in(tmp_path)
    await prepare(first)
    async with Rack("host1", "host2") as rack:
        rack.connect(first.publisher)
        async with first.running():
            await first.machines.start("a", ANN)
            for host in rack.hosts.values():
                await host.disconnect()
        first.close()
        second = open_in(tmp_path)
        async with second.running():
            rack.hosts["host2"].connect(second.publisher)
            with pytest.raises(
                NotReady,
                match="host1.* no time to come back.* with fenced \\(weft vm failover a --to host2 --fenced\\)",
            ):
                await second.machines.failover("a", "host2", False, ANN)
            with pytest.raises(NotReady, match=r"host1', where machines \(a\) may run.*remove host1 --force --fenced"):
                second.machines.check_removal("host1", fenced=False)
            second.machines.check_removal("host1", fenced=True)
            monkeypatch.setattr("weft.control.failover.RESUME_S", 0.0)
            second.machines.check_removal("host1", fenced=False)
            await second.machines.failover("a", "host2", False, ANN)
            assert rack.hosts["host2"].machines == {"a": "Running"}
        second.close()


async def test_a_host_is_not_removed_from_under_machines_that_may_run_there(controller: Controller, rack: Rack) -> None:
    may_go = controller.machines.check_removal
    may_go("host1", fenced=False)
    await controller.machines.start("a", ANN)
    words = r"'host1' is connected, and machines \(a\) may run there.*evacuate host1.*remove host1 --force --fenced"
    with pytest.raises(NotReady, match=words) as refused:
        may_go("HOST1", fenced=False)
    assert (refused.value.code, refused.value.target) == ("ServerNotReady", "/servers/host1")
    may_go("host1", fenced=True)
    # while it moves to another it may run at either end
    rack.hosts["host2"].gate.clear()
    moving = asyncio.create_task(controller.machines.migrate("a", "host2", ANN))
    await soon(lambda: move_of(controller) is not None)
    may_go("host2", fenced=False)
    with pytest.raises(NotReady, match="machines .a. may run there"):
        may_go("host1", fenced=False)
    rack.hosts["host2"].gate.set()
    await moving
    may_go("host1", fenced=False)
    with pytest.raises(NotReady, match="'host2' is connected"):
        may_go("host2", fenced=False)
    await rack.hosts["host2"].disconnect()
    may_go("host2", fenced=False)


def move_of(controller: Controller):
    return controller.state.get("virtualMachines", "a").properties.move
