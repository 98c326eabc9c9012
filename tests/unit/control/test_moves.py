"""Moves against model hosts: make before break, and what becomes of one whose hosts or controller fail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, FailingStore, machine, open_in
from tests.cluster.host_agent import Host, Rack
from tests.unit.control.machines import controller, lookups, place, quick, rack, with_both
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.changes import Commit
from weft.core.commands import Delete
from weft.core.commands import Path as Name
from weft.model.errors import NotReady, StoreUnavailable, WaitTimedOut
from weft.model.records import PortBinding

__all__ = ["controller", "quick", "rack"]


async def test_a_move_makes_before_it_breaks(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    phases: list[tuple[str, str]] = []
    controller.writer.on_commit = watch_moves(controller, phases)
    source = rack.hosts["host1"]
    moved = await controller.machines.migrate("a", "host3", ANN)
    assert moved.properties.server.resource_ref.lower() == "/servers/host3"
    assert rack.hosts["host3"].machines == {"a": "Running"}
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)
    await soon(lambda: not source.records(PortBinding))
    assert [phase for phase, _ in phases] == ["preparing", "switching", "switched", ""]
    before, after = phases[0][1], phases[-1][1]
    assert [pa for _, pa in phases] == [before, before, after, after]
    assert before != after


def watch_moves(controller: Controller, phases: list[tuple[str, str]]):
    own = controller.state.get("networkInterfaces", "a-eth0").properties.ip_configurations[0].properties
    told = controller.writer.on_commit

    def committed(commit) -> None:
        move = controller.state.get("virtualMachines", "a").properties.move
        phases.append((move.phase if move is not None else "", lookups(controller)[own.private_ip_address]))
        told(commit)

    return committed


async def test_nothing_switches_before_a_slow_peer_has_acked(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    peer = rack.hosts["host2"]
    peer.gate.clear()
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN))
    await asyncio.sleep(0.3)
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "preparing"
    peer.gate.set()
    await moving
    assert rack.hosts["host3"].machines == {"a": "Running"}


async def test_a_dead_peer_holds_a_move_up_only_shortly(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await rack.hosts["host2"].disconnect()
    await controller.machines.migrate("a", "host3", ANN, timeout=30)
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)


@pytest.mark.parametrize("broken", ["destination cannot bind", "source refuses", "source is stuck"])
async def test_a_move_that_fails_leaves_the_machine_where_it_was(
    controller: Controller, rack: Rack, broken: str
) -> None:
    await controller.machines.start("a", ANN)
    if broken == "destination cannot bind":
        rack.hosts["host3"].binds_ports = False
    elif broken == "source refuses":
        rack.hosts["host1"].refuses = "live migration is not allowed"
    else:
        rack.hosts["host1"].stuck = True
    with pytest.raises(NotReady, match="stays on host1"):
        await controller.machines.migrate("a", "host3", ANN, timeout=0.5)
    assert place(controller) == "/servers/host1"
    assert controller.state.get("virtualMachines", "a").properties.move is None
    await soon(lambda: not rack.hosts["host3"].records(PortBinding))
    assert rack.hosts["host1"].machines == {"a": "Running"}
    await fixed(rack, controller)


@pytest.mark.parametrize("ends", ["it arrives", "it fails"])
async def test_a_move_that_the_hypervisor_is_still_at_is_not_undone(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("weft.control.moves.WITHDRAW_S", 0.1)
    await controller.machines.start("a", ANN)
    source, destination = rack.hosts["host1"], rack.hosts["host3"]
    source.copies = True
    with pytest.raises(WaitTimedOut, match="still at work"):
        await controller.machines.migrate("a", "host3", ANN, timeout=1)
    await asyncio.sleep(0.2)
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "withdrawing"
    assert destination.records(PortBinding)
    source.refuses = "the target ran out of memory" if ends == "it fails" else ""
    source.copies = False
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)
    where = "host3" if ends == "it arrives" else "host1"
    assert place(controller) == f"/servers/{where}"
    assert {name: host.machines for name, host in rack.hosts.items() if host.machines} == {where: {"a": "Running"}}
    assert destination.removed == []


async def test_a_withdrawn_machine_that_runs_nowhere_is_not_given_up(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.moves.WITHDRAW_S", 0.1)
    await controller.machines.start("a", ANN)
    source = rack.hosts["host1"]
    source.copies = True
    with pytest.raises(WaitTimedOut):
        await controller.machines.migrate("a", "host3", ANN, timeout=1)
    source.copying.clear()
    del source.machines["a"]
    await asyncio.sleep(0.3)
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "withdrawing"
    assert source.machines == {}
    rack.hosts["host3"].machines["a"] = "Running"
    await soon(lambda: place(controller) == "/servers/host3")


@pytest.mark.parametrize("ends", ["it is resumed here", "it runs there"])
async def test_a_move_whose_source_is_stranded_says_what_somebody_has_to_do(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("weft.control.moves.WITHDRAW_S", 0.1)
    source = rack.hosts["host1"]
    await controller.machines.start("a", ANN)
    source.keep("a")
    source.copies = True
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN, timeout=2))
    await soon(lambda: "a" in source.copying)
    del source.copying["a"]
    words = "a on host1 stands paused: `virsh resume a` or `virsh destroy a`"
    source.stranded["a"] = words
    with pytest.raises(WaitTimedOut, match=f"still waiting for somebody to end it: {words}"):
        await moving
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "withdrawing"
    if ends == "it is resumed here":
        source.stranded.clear()
    else:
        rack.hosts["host3"].machines["a"] = "Running"
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)
    assert place(controller) == f"/servers/{'host1' if ends == 'it is resumed here' else 'host3'}"


async def fixed(rack: Rack, controller: Controller) -> None:
    rack.hosts["host3"].binds_ports, rack.hosts["host1"].refuses, rack.hosts["host1"].stuck = True, "", False
    await controller.machines.migrate("a", "host3", ANN)
    assert rack.hosts["host3"].machines == {"a": "Running"}


async def test_a_destination_that_is_gone_is_refused(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await rack.hosts["host3"].disconnect()
    with pytest.raises(NotReady, match="host3"):
        await controller.machines.migrate("a", "host3", ANN)
    assert controller.state.get("virtualMachines", "a").properties.move is None


@pytest.mark.parametrize("force", [False, True])
async def test_from_a_source_that_is_gone_is_refused_at_once(controller: Controller, rack: Rack, force: bool) -> None:
    await controller.machines.start("a", ANN)
    await rack.hosts["host1"].disconnect()
    async with asyncio.timeout(10):
        with pytest.raises(NotReady, match="agent of 'host1' is not connected.* failover to 'host3'"):
            await controller.machines.migrate("a", "host3", ANN, force=force)
    assert controller.state.get("virtualMachines", "a").properties.move is None
    assert place(controller) == "/servers/host1"


async def test_to_an_unmanaged_server_only_by_force(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    controller.publisher.managed.pop("host3")
    await rack.hosts["host3"].disconnect()
    with pytest.raises(NotReady, match="force"):
        await controller.machines.migrate("a", "host3", ANN)
    await controller.machines.migrate("a", "host3", ANN, force=True)
    assert place(controller) == "/servers/host3"


async def test_a_silent_source_leaves_the_move_open_until_it_is_back(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    source = rack.hosts["host1"]
    source.stuck = True
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN, timeout=1.5))
    await soon(lambda: (m := controller.state.get("virtualMachines", "a").properties.move) and m.phase == "switching")
    await source.disconnect()
    with pytest.raises(WaitTimedOut, match="nobody says where"):
        await moving
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "switching"
    source.stuck = False
    source.connect(controller.publisher)
    await soon(lambda: place(controller) == "/servers/host3")
    assert rack.hosts["host3"].machines == {"a": "Running"}


async def test_a_move_that_the_store_held_up_goes_on_by_itself(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    store = FailingStore(controller._store)
    controller.writer._store = store
    tell = controller.writer.on_commit

    def fail_from_now(commit: Commit) -> None:
        tell(commit)
        store.fails = True

    # the disk fills between the move's first phase and its second, whoever is quicker
    controller.writer.on_commit = fail_from_now
    with pytest.raises(StoreUnavailable):
        await controller.machines.migrate("a", "host3", ANN)
    assert place(controller) == "/servers/host1"
    assert controller.state.get("virtualMachines", "a").properties.move.phase == "preparing"
    controller.writer.on_commit, store.fails = tell, False
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)
    assert place(controller) == "/servers/host3"
    assert rack.hosts["host3"].machines == {"a": "Running"}


@contextlib.asynccontextmanager
async def ended_in(folder: Path, phase: str) -> AsyncIterator[Rack]:
    """Hosts whose controller ended while machine a moves from host1 to host3, in this phase."""
    first = await with_both(folder)
    async with Rack("host1", "host2", "host3") as rack:
        rack.connect(first.publisher)
        async with first.running():
            await first.machines.start("a", ANN)
            stop_at(first, phase)
            moving = asyncio.create_task(first.machines.migrate("a", "host3", ANN))
            await soon(lambda: (m := first.state.get("virtualMachines", "a").properties.move) and m.phase == phase)
            for host in rack.hosts.values():
                await host.disconnect()
        await asyncio.gather(moving, return_exceptions=True)
        first.close()
        yield rack


@pytest.mark.parametrize("phase", ["preparing", "switching", "switched"])
async def test_a_move_goes_on_after_a_restart(tmp_path: Path, phase: str) -> None:
    async with ended_in(tmp_path, phase) as rack:
        second = open_in(tmp_path)
        async with second.running():
            rack.connect(second.publisher)
            # the caller, who had no answer, asks again and is told when it has arrived
            moved = await second.machines.migrate("a", "HOST3", ANN)
            assert moved.properties.server.resource_ref == "/servers/host3"
            assert rack.hosts["host3"].machines == {"a": "Running"}
            await soon(lambda: second.state.get("virtualMachines", "a").properties.move is None)
            assert place(second) == "/servers/host3"
        second.close()


@pytest.mark.parametrize("phase", ["preparing", "switched"])
async def test_after_a_restart_a_move_waits_for_its_peers_to_come_back(
    tmp_path: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.moves.RESUME_GRACE_S", 30)
    async with ended_in(tmp_path, phase) as rack:
        second = open_in(tmp_path)
        async with second.running():
            for name in ("host1", "host3"):
                rack.hosts[name].connect(second.publisher)
            await asyncio.sleep(0.3)
            move = second.state.get("virtualMachines", "a").properties.move
            assert move is not None and move.phase == phase
            rack.connect(second.publisher)
            await soon(lambda: second.state.get("virtualMachines", "a").properties.move is None)
            assert place(second) == "/servers/host3"
        second.close()


async def test_a_sick_host_of_other_tenants_holds_no_move_up(controller: Controller, rack: Rack) -> None:
    await controller.submit(Delete(Name("virtualMachines", "b")), ANN)
    await controller.machines.start("a", ANN)
    sick = rack.hosts["host2"]
    sick.gate.clear()
    await controller.submit(machine("c", "host2"), ANN)
    await controller.machines.migrate("a", "host3", ANN, timeout=30)
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)
    assert controller.host("host2").lag


async def test_a_move_that_a_failover_ended_takes_nothing_of_the_next_one_away(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that the first still waits for, and the next does not, may ack whenever it likes."""
    monkeypatch.setattr("weft.control.moves.DEAD_AFTER_S", 30)
    monkeypatch.setattr("weft.control.moves.RESUME_GRACE_S", 30)
    source, peer, destination = rack.hosts.values()
    await controller.machines.start("a", ANN)
    slow_once_switched(controller, peer)
    await controller.machines.migrate("a", "host3", ANN)
    await soon(lambda: controller.machines.late("a") == ["host2"])
    await controller.submit(Delete(Name("virtualMachines", "b")), ANN)
    await destination.disconnect()
    await controller.machines.failover("a", "host1", False, ANN)
    destination.connect(controller.publisher)
    slow_once_switched(controller, source)
    await controller.machines.migrate("a", "host3", ANN)
    peer.gate.set()
    await soon(lambda: not controller.host("host2").lag)
    await soon(lambda: sum(one.get_name() == "end of the move of a" for one in asyncio.all_tasks()) == 1)
    assert controller.machines.late("a") == ["host1"]
    controller.machines.sweep()
    assert not controller.machines.alone.is_busy("a"), "it is carried already"
    source.gate.set()
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)


def slow_once_switched(controller: Controller, host: Host) -> None:
    """It takes nothing from the moment on at which machine a belongs to its destination."""
    told = controller.writer.on_commit

    def committed(commit: Commit) -> None:
        move = controller.state.get("virtualMachines", "a").properties.move
        if move is not None and move.phase == "switched":
            host.gate.clear()
            controller.writer.on_commit = told
        told(commit)

    controller.writer.on_commit = committed


def stop_at(controller: Controller, phase: str) -> None:
    """Nothing that the hosts say reaches a controller that is at this phase of the move."""
    received = controller.publisher.received

    def deaf(session, message) -> None:
        move = controller.state.get("virtualMachines", "a").properties.move
        if move is None or move.phase != phase:
            received(session, message)

    controller.publisher.received = deaf
