"""Disks of a machine that is made, beside those that other machines of the host have."""

import msgspec
import pytest

from tests.contract.hyperv_world import HyperVWorld
from tests.contract.hypervisor_worlds import DB, DB_PORTS, binding, machine, make
from weft.agent.hypervisors import HypervisorFailure
from weft.fakes.hyperv.people import Console


@pytest.fixture
def world():
    return HyperVWorld()


async def test_a_machine_that_is_deleted_while_others_disks_are_read_is_in_nobodys_way(world):
    await make(world, "host1")
    await make(world, "host1", DB, DB_PORTS)
    vm = world.vm("host1", "web")
    world.datacenter.hosts["host1"].trouble.before["Get-VMHardDiskDrive"] = lambda: Console(
        world.datacenter, "host1"
    ).delete(vm)
    (disk,) = world.hardware("db").disks
    other, ports = machine("app", binding("app", 4)), (binding("app", 4),)
    with pytest.raises(HypervisorFailure, match="in use by machine db"):
        await make(world, "host1", other, ports, msgspec.structs.replace(world.hardware("app"), disks=(disk,)))
    await make(world, "host1", other, ports)
    facts = await world.hypervisors["host1"].facts()
    assert {one.machine for one in facts.machines} == {"db", "app"}
