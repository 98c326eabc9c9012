"""Blanked checkpoints on the fake host, by the driver: what they are good for (2.4), and where they do harm (2.6)."""

import pytest

from tests.unit.fakes.hyperv.world import World
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hypervisors import Blank
from weft.core.blanking import is_blank, why_not
from weft.fakes.hyperv.shell import FakeShell


@pytest.fixture
def world():
    return World()


def driver(host):
    return HyperVDriver(host.name, FakeShell(host), pulse=0.01)


async def desk(host):
    """The only machine there, as its driver tells it."""
    (machine,) = (await driver(host).facts()).machines
    return machine


def made(world, adapters=1):
    """A machine with a name in two words that has drawn its addresses and is off."""
    vm = world.console.create("desk 1", adapters=adapters)
    world.console.start(vm)
    world.console.stop(vm)
    return vm


async def test_2_4_a_desktop_that_moved_draws_of_the_host_that_it_is_on_after_its_rollback(world):
    vm = made(world)
    for name in ("clean", "clean", "Prüfpunkt"):
        world.type(f"Checkpoint-VM -Name 'desk 1' -SnapshotName '{name}'")
    for point in (await desk(world.host1)).checkpoints[:2]:
        assert not is_blank(point)
        await driver(world.host1).carry_out(Blank(vm.id, point.id))
    told = (await desk(world.host1)).checkpoints
    assert [is_blank(point) for point in told] == [True, True, False]
    assert [point.adapters[0].dynamic for point in told] == [True, True, True]
    # carried out again, it is no error and changes nothing
    await driver(world.host1).carry_out(Blank(vm.id, told[0].id))
    assert (await desk(world.host1)).checkpoints == told
    first = world.macs(vm)
    thief = world.console.create("thief")
    world.type("Restore-VMSnapshot -VMSnapshot (Get-VMSnapshot -VMName 'desk 1')[0] -Confirm:$false")
    assert world.macs(vm) == ["000000000000"]
    world.console.start(thief)
    world.console.start(vm)
    assert world.macs(vm) != world.macs(thief)
    assert first != ["000000000000"]


async def test_static_adapters_keep_what_they_have(world):
    vm = made(world, 2)
    world.console.set_static(vm, 0x020000000007)
    world.type("Checkpoint-VM -Name 'desk 1' -SnapshotName c")
    (point,) = (await desk(world.host1)).checkpoints
    await driver(world.host1).carry_out(Blank(vm.id, point.id))
    (point,) = (await desk(world.host1)).checkpoints
    assert sorted((one.mac, one.dynamic) for one in point.adapters) == [(0, True), (0x020000000007, False)]


async def test_2_6_one_that_holds_a_running_machine_is_not_to_be_blanked(world):
    vm = made(world)
    world.console.start(vm)
    world.type("Checkpoint-VM -Name 'desk 1' -SnapshotName c")
    machine = await desk(world.host1)
    (point,) = machine.checkpoints
    assert "in the middle of its run" in why_not(machine, point)
    # what would come of it, if it were done all the same
    before = world.macs(vm)
    await driver(world.host1).carry_out(Blank(vm.id, point.id))
    world.type("Restore-VMSnapshot -VMName 'desk 1' -Name c -Confirm:$false")
    machine = await desk(world.host1)
    assert machine.power == "Running"
    assert world.macs(vm) not in (before, ["000000000000"])
