"""Restore, renew and failover against model hosts: what is answered is so there, what fails leaves all as it was."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.control import ANN, FailingStore, fill, interface, machine, open_in
from tests.cluster.host_agent import Rack
from tests.unit.control.copies import address, controller, mac, prepare, quick, rack
from tests.unit.control.machines import power
from tests.waiting import soon
from weft.control.controller import Controller
from weft.control.restarts import UNDER_WAY
from weft.core.changes import Commit
from weft.core.commands import Batch, Decision, RenewMac, SetPower
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.model.errors import Conflict, NotReady, StoreUnavailable
from weft.model.leases import MAC_SCOPE
from weft.model.records import PortBinding
from weft.store.store import Answer

__all__ = ["controller", "quick", "rack"]


def marks(controller: Controller) -> list[str]:
    return [one.resource_id for one in controller.state.all("checkpoints") if UNDER_WAY in one.resource_id]


async def restore(controller: Controller, if_taken: str = "refuse", addresses: str = "captured"):
    return await controller.machines.checkpoints.restore("a", "before", addresses, if_taken, ANN)


async def renew(controller: Controller, force: bool = False, wanted: str = ""):
    return await controller.machines.checkpoints.renew("a", "a-eth0", wanted, force, ANN)


def powers(controller: Controller) -> list[str]:
    """The machine's power as it changes from now on."""
    told, seen = controller.writer.on_commit, [power(controller)]

    def committed(commit) -> None:
        if power(controller) != seen[-1]:
            seen.append(power(controller))
        told(commit)

    controller.writer.on_commit = committed
    return seen


async def test_a_running_machine_is_stopped_restored_and_started_again(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    seen = powers(controller)
    restored, report = await restore(controller)
    assert [(one.network_interface, one.outcome) for one in report] == [("/networkInterfaces/a-eth0", "restored")]
    assert (address(controller), restored.properties.power_state) == ("10.1.1.50", "Running")
    assert rack.hosts["host1"].machines == {"a": "Running"}
    assert (seen, marks(controller)) == (["Running", "Off", "Running"], [])
    lease = controller.state.lease("ip4/virtualnetworks/blue", int.from_bytes(bytes((10, 1, 1, 60)), "big"))
    assert lease is not None and lease.state == "cooling"


async def test_a_machine_that_is_off_or_keeps_its_addresses_is_not_stopped(controller: Controller, rack: Rack) -> None:
    seen = powers(controller)
    _, report = await restore(controller)
    assert (seen, report[0].outcome, address(controller)) == (["Off"], "restored", "10.1.1.50")
    await controller.machines.start("a", ANN)
    _, report = await restore(controller)
    assert (seen, report[0].outcome) == (["Off", "Running"], "kept")


async def test_what_cannot_be_restored_stops_nothing(controller: Controller, rack: Rack) -> None:
    await restore(controller)
    await controller.submit(Clone("a", "b", "keep"), ANN)
    await controller.submit(interface("a-eth0", address="10.1.1.60"), ANN)
    await renew(controller)
    for name in ("a", "b"):
        await controller.machines.start(name, ANN)
    seen, before = powers(controller), controller.state.revision
    with pytest.raises(Conflict) as refused:
        await restore(controller)
    assert (refused.value.code, seen, controller.state.revision) == ("AddressesTaken", ["Running"], before)
    _, report = await restore(controller, if_taken="remap")
    assert (report[0].outcome, seen) == ("remapped", ["Running", "Off", "Running"])


async def test_a_dry_run_says_what_would_become_of_a_running_machine(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    before = controller.state.revision
    decision = controller.machines.checkpoints.dry_run(Restore("a", "before"))
    assert [one.outcome for one in decision.report] == ["restored"]
    assert (controller.state.revision, address(controller)) == (before, "10.1.1.60")


@pytest.mark.parametrize("what", ["restore", "renew"])
async def test_a_machine_that_does_not_start_with_it_gets_back_what_it_had(
    controller: Controller, rack: Rack, what: str
) -> None:
    await controller.machines.start("a", ANN)
    host, had = rack.hosts["host1"], (address(controller), mac(controller))

    def refuse_the_new() -> str:
        [binding] = host.records(PortBinding)
        return "" if (host_address(binding), int(binding.mac)) == had else "its licence hangs on its address"

    host.objects = refuse_the_new
    with pytest.raises(NotReady, match="licence.* its addresses of before"):
        await (restore(controller) if what == "restore" else renew(controller, force=True))
    assert ((address(controller), mac(controller)), power(controller)) == (had, "Running")
    assert (host.machines, marks(controller)) == ({"a": "Running"}, [])


def host_address(binding: PortBinding) -> str:
    return ".".join(map(str, binding.addresses[0]))


async def test_a_host_that_cannot_stop_it_leaves_it_running(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    rack.hosts["host1"].refuses = "it hangs"
    with pytest.raises(NotReady, match="it hangs"):
        await restore(controller)
    assert (power(controller), address(controller), marks(controller)) == ("Running", "10.1.1.60", [])


async def test_a_store_that_fails_in_the_middle_leaves_it_running(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    store = FailingStore(controller._store)

    def is_the_restore(one: Commit) -> bool:
        return any(getattr(change, "kind", "") == "networkInterfaces" for change in one.changes)

    store.fails_at = is_the_restore
    controller.writer._store = store
    with pytest.raises(StoreUnavailable):
        await restore(controller)
    assert (power(controller), address(controller), marks(controller)) == ("Running", "10.1.1.60", [])
    assert rack.hosts["host1"].machines == {"a": "Running"}


async def test_a_mark_that_the_store_kept_goes_later_and_starts_nothing(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    store = FailingStore(controller._store)

    def is_the_end(one: Commit) -> bool:
        gone = [getattr(change, "after", "") for change in one.changes if getattr(change, "kind", "") == "checkpoints"]
        return gone == [None]

    store.fails_at = is_the_end
    controller.writer._store = store
    await restore(controller)
    assert marks(controller)
    await controller.machines.stop("a", ANN)
    store.fails_at = None
    await soon(lambda: not marks(controller))
    assert (power(controller), address(controller)) == ("Off", "10.1.1.50")


@pytest.mark.parametrize("reached", ["marked", "stopped", "restored"])
async def test_a_restore_that_a_crash_interrupted_ends_with_the_machine_running(tmp_path: Path, reached: str) -> None:
    first = open_in(tmp_path)
    await prepare(first)
    async with Rack("host1") as rack:
        rack.connect(first.publisher)
        async with first.running():
            await first.machines.start("a", ANN)
            await first.submit(TakeCheckpoint("a", UNDER_WAY), ANN)
            if reached != "marked":
                await first.machines.stop("a", ANN)
            if reached == "restored":
                await first.submit(Restore("a", "before"), ANN)
            await rack.hosts["host1"].disconnect()
        first.close()
        second = open_in(tmp_path)
        async with second.running():
            # its host comes back after the controller
            await asyncio.sleep(0.2)
            rack.connect(second.publisher)
            await soon(lambda: not marks(second))
            assert address(second) == ("10.1.1.50" if reached == "restored" else "10.1.1.60")
            await soon(lambda: rack.hosts["host1"].machines == {"a": "Running"})
        second.close()


@pytest.mark.parametrize("both", [False, True])
async def test_one_that_does_not_start_after_the_crash_gets_its_old_addresses(tmp_path: Path, both: bool) -> None:
    first = open_in(tmp_path)
    await prepare(first)
    await first.submit(TakeCheckpoint("a", UNDER_WAY), ANN)
    await first.submit(Restore("a", "before"), ANN)
    first.close()
    second = open_in(tmp_path)
    async with Rack("host1") as rack, second.running():
        host = rack.hosts["host1"]

        def refuse() -> str:
            [binding] = host.records(PortBinding)
            return "no memory" if both or host_address(binding) == "10.1.1.50" else ""

        host.objects = refuse
        rack.connect(second.publisher)
        await soon(lambda: not marks(second))
        assert address(second) == "10.1.1.60"
        assert power(second) == ("Off" if both else "Running")
    second.close()


async def test_renewing_a_running_machine_needs_force_and_restarts_it(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    before = mac(controller)
    with pytest.raises(Conflict) as refused:
        await renew(controller)
    assert refused.value.code == "MachineIsRunning"
    seen = powers(controller)
    renewed, _ = await renew(controller, force=True)
    assert mac(controller) != before and renewed.properties.power_state == "Running"
    assert seen == ["Running", "Off", "Running"]
    lease = controller.state.lease(MAC_SCOPE, before)
    assert [holder.ref for holder in lease.holders] == ["/weft/virtualMachines/a/checkpoints/before"]
    assert [int(one.mac) for one in rack.hosts["host1"].records(PortBinding)] == [mac(controller)]


async def test_on_an_unmanaged_server_renewing_is_a_fact_at_once(controller: Controller) -> None:
    await controller.machines.start("a", ANN)
    seen = powers(controller)
    await renew(controller, force=True, wanted="00-1D-D8-B7-F0-01")
    assert (mac(controller), seen) == (0x001DD8B7F001, ["Running"])


async def test_one_action_at_a_time(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].stuck = True
    starting = asyncio.create_task(controller.machines.start("a", ANN))
    await asyncio.sleep(0.05)
    for action in (restore(controller), renew(controller), controller.machines.failover("a", "host2", True, ANN)):
        with pytest.raises(Conflict) as refused:
            await action
        assert refused.value.code == "AnotherOperationInProgress"
    rack.hosts["host1"].stuck = False
    await starting


async def test_a_thousand_desktops_are_restored_in_one_transaction(tmp_path: Path) -> None:
    controller = open_in(tmp_path)
    await fill(controller)
    many = range(1000)
    names = [f"d{number}" for number in many]
    subnet = "/virtualNetworks/blue/subnets/db"
    await controller.submit(Batch(tuple(interface(f"{name}-eth0", subnet) for name in names[:1000])), ANN)
    await controller.submit(Batch(tuple(machine(name, "host1", f"{name}-eth0") for name in names)), ANN)
    await controller.submit(Batch(tuple(TakeCheckpoint(name, "clean") for name in names)), ANN)
    had = [mac(controller, f"{name}-eth0") for name in names]
    await controller.submit(Batch(tuple(RenewMac(name, f"{name}-eth0") for name in names)), ANN)
    before = controller.state.revision
    submitted = await controller.submit(Batch(tuple(Restore(name, "clean") for name in names)), ANN)
    assert submitted.revision == before + 1
    assert [part.report[0].outcome for part in submitted.decision.parts] == ["restored"] * 1000
    assert [mac(controller, f"{name}-eth0") for name in names] == had
    controller.close()


async def test_a_request_id_has_one_answer_for_every_new_command(controller: Controller) -> None:
    made: list[Decision] = []

    def encode(decision: Decision) -> Answer:
        made.append(decision)
        return Answer(f"r{len(made)}", 200, b"made")

    commands = (Clone("a", "b"), TakeCheckpoint("a", "c"), RenewMac("a", "a-eth0"), Restore("a", "before"))
    for number, command in enumerate(commands, 1):
        first, second = await asyncio.gather(*(controller.submit(command, ANN, f"r{number}", encode) for _ in range(2)))
        assert (first.answer, second.decision) == (second.answer, None)
    assert len(made) == len(commands)


async def test_one_whose_addresses_are_in_use_after_the_crash_stays_off_and_is_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    first = open_in(tmp_path)
    await prepare(first)
    await first.submit(TakeCheckpoint("a", UNDER_WAY), ANN)
    await first.submit(Clone("a", "b", "keep"), ANN)
    await first.submit(SetPower("b", "Running"), ANN)
    first.close()
    second = open_in(tmp_path)
    async with second.running():
        await soon(lambda: not marks(second))
        assert (power(second), power(second, "b")) == ("Off", "Running")
        assert not second.machines._restarts.unfinished
    second.close()


async def test_a_fault_of_ours_in_the_middle_leaves_no_mark_and_the_machine_running(
    controller: Controller, rack: Rack
) -> None:
    await controller.machines.start("a", ANN)
    submit = controller.writer.submit

    async def faulty(command: object, *more: object) -> object:
        if isinstance(command, Restore):
            controller.writer.submit = submit
            raise RuntimeError("a fault of ours")
        return await submit(command, *more)

    controller.writer.submit = faulty
    with pytest.raises(RuntimeError):
        await restore(controller)
    await soon(lambda: not marks(controller))
    assert (power(controller), address(controller)) == ("Running", "10.1.1.60")
