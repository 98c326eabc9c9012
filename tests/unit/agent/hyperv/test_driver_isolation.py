"""Machines that the Hyper-V driver takes off the network and brings back."""

import pytest

from tests.contract.hyperv_world import HyperVWorld
from tests.contract.hypervisor_worlds import DB, DB_PORTS, do, run
from weft.agent.hypervisors import Disconnect, HypervisorFailure, Reconnect
from weft.fakes.hyperv.people import Console


@pytest.fixture
def world():
    return HyperVWorld()


def host(world, name="host1"):
    return world.datacenter.hosts[name]


async def test_a_machine_is_taken_off_the_network_while_it_runs(world):
    await run(world, "host1")
    await do(world, "host1", Disconnect(world.vm("host1", "web").id))
    (told,) = (await world.hypervisors["host1"].facts()).machines
    assert (told.power, [one.switch for one in told.adapters]) == ("Running", ["", ""])
    host(world).trouble.ineffective.add("Disconnect-VMNetworkAdapter")
    await run(world, "host1", DB, DB_PORTS)
    with pytest.raises(HypervisorFailure, match="Disconnect-VMNetworkAdapter: .* is still connected to Virtual Switch"):
        await do(world, "host1", Disconnect(world.vm("host1", "db").id))


async def test_what_was_disconnected_comes_back_and_what_another_hand_disconnected_does_not(world):
    await run(world, "host1")
    vm = world.vm("host1", "web")
    Console(world.datacenter, "host1").annotate(vm, before := f"{vm.settings.notes}\r\na line of a person")
    vm.nics[0].switch = ""
    await do(world, "host1", Disconnect(vm.id), Disconnect(vm.id))
    (told,) = (await world.hypervisors["host1"].facts()).machines
    assert told.isolated and told.machine == "web" and vm.settings.notes.startswith(before)
    copied = Console(world.datacenter, "host1").clone(vm, "copy", at="host1")
    states = {one.name: one for one in (await world.hypervisors["host1"].facts()).machines}
    assert (states["web"].isolated, states["copy"].isolated) == (True, False), "its notes came along with a copy"
    assert copied.settings.notes == vm.settings.notes
    await do(world, "host1", Reconnect(vm.id), Reconnect(vm.id))
    states = {one.name: one for one in (await world.hypervisors["host1"].facts()).machines}
    assert not states["web"].isolated and vm.settings.notes == before
    assert [one.switch for one in states["web"].adapters] == ["", "Virtual Switch"]


async def test_what_a_person_connected_elsewhere_meanwhile_stays_there(world):
    await run(world, "host1")
    vm = world.vm("host1", "web")
    await do(world, "host1", Disconnect(vm.id))
    vm.nics[0].switch = "another"
    await do(world, "host1", Reconnect(vm.id))
    assert [nic.switch for nic in vm.nics] == ["another", "Virtual Switch"]
