"""What the reading scripts ask of a host with many machines: a cmdlet takes its time, so none is asked machine by
machine, or adapter by adapter."""

from collections import Counter

import pytest

from tests.unit.fakes.hyperv.world import World
from weft.agent.hyperv.shell import ScriptFailed
from weft.core.hyperv.differences import BoundPort, Changes
from weft.core.hyperv.found import read_found
from weft.core.hyperv.machines_facts import FACTS, PULSE, found
from weft.core.hyperv.network_scripts import APPLY, FOUND
from weft.fakes.hyperv.machine import Profile
from weft.fakes.hyperv.shell import FakeShell

READING = {"facts": (FACTS, {}), "pulse": (PULSE, {"since": 0}), "found": (FOUND, {"Adapter": "Ethernet"})}


def own(number):
    return f"00000000-0000-4000-8000-{number:012x}"


def profile(number):
    return Profile((("ProfileId", f"{{{own(number)}}}"),))


def machines(world, count, adapters=2):
    """Each with its ports bound but for the last, and with one checkpoint, which has other profiles."""
    made = [world.console.create(f"vm{number}", adapters=adapters) for number in range(count)]
    for number, vm in enumerate(made):
        for place, nic in enumerate(vm.nics[:-1]):
            nic.profile = profile(1000 * (number + 1) + place)
        world.console.checkpoint(vm, "before")
        for place, nic in enumerate(vm.nics):
            nic.profile = profile(1000 * (number + 1) + 500 + place) if place else nic.profile
    return made


async def calls(script, arguments, count, adapters=2):
    world = World()
    machines(world, count, adapters)
    await FakeShell(world.host1).run(script, arguments)
    return world.host1.calls


@pytest.mark.parametrize("name", READING)
async def test_as_many_calls_for_many_machines_as_for_few(name):
    few, many = await calls(*READING[name], 2), await calls(*READING[name], 12)
    by_checkpoint = Counter({"Get-VMNetworkAdapter": 10} if name == "facts" else {})
    assert many - by_checkpoint == few
    assert await calls(*READING[name], 2, adapters=7) == few


async def test_each_adapter_has_its_own_profile_and_each_checkpoint_the_one_it_kept():
    world = World()
    machines(world, 3, adapters=3)
    told = found(await FakeShell(world.host1).run(FACTS, {})).state.machines
    assert [[one.instance_id for one in machine.adapters] for machine in told] == [
        [own(1000 * n), own(1000 * n + 501), own(1000 * n + 502)] for n in (1, 2, 3)
    ]
    assert [[one.instance_id for one in machine.checkpoints[0].adapters] for machine in told] == [
        [own(1000 * n), own(1000 * n + 1), ""] for n in (1, 2, 3)
    ]


async def test_settings_with_ids_of_another_form_are_asked_for_adapter_by_adapter():
    world = World()
    machines(world, 3)
    shell = FakeShell(world.host1)
    facts, records = await shell.run(FACTS, {}), await shell.run(FOUND, {"Adapter": "Ethernet"})
    world.host1.feature_ids = "Microsoft:0F0F0F0F-0000-4000-8000-000000000000\\Default"
    assert await shell.run(FACTS, {}) == facts
    assert await shell.run(FOUND, {"Adapter": "Ethernet"}) == records
    assert [one.instance_id for one in read_found(records).adapters][:2] == [own(1000), own(1501)]


async def test_a_machine_that_is_deleted_while_all_are_read_is_left_out():
    world = World()
    gone, stays, _ = machines(world, 3)
    world.host1.trouble.before["Get-VMSnapshot"] = lambda: world.console.delete(gone)
    told = found(await FakeShell(world.host1).run(FACTS, {})).state.machines
    assert [(one.name, len(one.adapters), len(one.checkpoints)) for one in told] == [("vm1", 2, 1), ("vm2", 2, 1)]
    assert stays.id.lower() == told[0].id


async def test_what_cannot_be_read_is_an_error_and_no_machine_less():
    world = World()
    machines(world, 2)
    world.host1.trouble.failing["Get-VMSnapshot"] = "access is denied"
    with pytest.raises(ScriptFailed, match="Get-VMSnapshot: access is denied"):
        await FakeShell(world.host1).run(FACTS, {})


async def test_ports_are_set_with_one_reading_of_the_adapters():
    world = World()
    machines(world, 4)
    shell = FakeShell(world.host1)
    adapters = read_found(await shell.run(FOUND, {"Adapter": "Ethernet"})).adapters
    ports = [BoundPort(one.machine_id, one.id, 6000 + number) for number, one in enumerate(adapters)]
    world.host1.calls.clear()
    await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": Changes(set_ports=tuple(ports))})
    assert [nic.virtual_subnet_id for vm in world.host1.vms for nic in vm.nics] == list(range(6000, 6008))
    assert (world.host1.calls["Get-VM"], world.host1.calls["Get-VMNetworkAdapter"]) == (1, 1)
    gone = BoundPort(ports[0].machine_id, "Microsoft:gone", 6000)
    with pytest.raises(ScriptFailed, match="has no adapter Microsoft:gone any more"):
        await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": Changes(set_ports=(gone,))})
