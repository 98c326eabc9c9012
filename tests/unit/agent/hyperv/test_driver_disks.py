"""Disks of a machine that is made, beside those that other machines of the host have."""

import msgspec
import pytest

from tests.contract.hyperv_world import HyperVWorld
from tests.contract.hypervisor_worlds import DB, DB_PORTS, binding, machine, make
from weft.agent.hypervisors import HypervisorFailure
from weft.fakes.hyperv.people import Console
from weft.model.hypervisor import Disk


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


@pytest.mark.parametrize(("asked", "becomes"), [(0, 1), (1, 1), (3, 3)])
async def test_a_copy_is_as_large_as_its_source_or_as_was_asked(world, asked, becomes):
    await make(world, "host1")
    await make_copy(world, asked)
    assert world.datacenter.hosts["host1"].files.get(COPY).size == becomes << 30


async def test_a_copy_that_would_be_cut_off_is_refused_with_nothing_made(world):
    await make(world, "host1", hardware=with_disk(world, "web", Disk(r"\\files\machines\web.vhdx", 2)))
    with pytest.raises(HypervisorFailure, match="is to have 1073741824 bytes, its source .* has 2147483648: ask"):
        await make_copy(world, 1)
    assert not world.has_file("host1", COPY)
    assert [one.machine for one in (await world.hypervisors["host1"].facts()).machines] == ["web"]


COPY = r"\\files\machines\copy.vhdx"


def with_disk(world, name, disk):
    return msgspec.structs.replace(world.hardware(name), disks=(disk,))


async def make_copy(world, gib):
    """Machine db, whose disk is a copy of web's."""
    (source,) = world.hardware("web").disks
    await make(world, "host1", DB, DB_PORTS, with_disk(world, "db", Disk(COPY, gib, source.path)))
