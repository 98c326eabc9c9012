"""The session is lost, or a cmdlet fails after it acted, while a machine is made: the next attempt, or the removal,
leaves what was asked for and nothing else."""

import msgspec
import pytest

from tests.contract.hyperv_world import HyperVWorld
from tests.contract.hypervisor_worlds import DB, WEB_PORTS, do, make, power
from weft.agent.hypervisors import CarryOut, HypervisorFailure, Remove
from weft.fakes.hyperv.people import Console
from weft.model.records import Errand

MAKING = (
    "New-Item",
    "New-VM",
    "Set-VM",
    "New-VHD",
    "Add-VMHardDiskDrive",
    "Set-VMFirmware",
    "Remove-VMNetworkAdapter",
    "Add-VMNetworkAdapter",
    "Add-VMSwitchExtensionPortFeature",
    "Remove-Item",
)
COPYING = ("New-Item", "Export-VM", "Import-VM", "Set-VM", "Rename-VM", "Set-VMNetworkAdapter", "Remove-Item")


@pytest.fixture
def world():
    return HyperVWorld()


def host(world):
    return world.datacenter.hosts["host1"]


def files(world):
    """All that is no folder and no configuration of a machine that is there."""
    own = {vm.id.lower() for vm in host(world).vms}
    every = [*host(world).files.below("C:"), *host(world).files.below(r"\\files\machines")]
    every = [one.path for one in every if not one.folder]
    return sorted(path for path in every if not any(one in path.lower() for one in own))


def folders(world):
    return sorted(one.path for one in host(world).files.below("C:") if one.folder and "copy" in one.path)


async def lose(world, cmdlet, doing):
    host(world).trouble.lost.add(cmdlet)
    with pytest.raises(HypervisorFailure, match=r"^host1: .*the session was lost"):
        await doing()
    assert not host(world).trouble.lost


@pytest.mark.parametrize("cmdlet", MAKING)
async def test_the_next_attempt_makes_one_whole_machine(world, cmdlet):
    other = Console(world.datacenter, "host1").create("web")
    await lose(world, cmdlet, lambda: make(world, "host1"))
    await make(world, "host1")
    assert await power(world, "host1") == "Off"
    assert len(host(world).vms) == 2 and host(world).vm(other.id) is not None, "what was called so before stays"
    assert files(world) == [r"\\files\machines\web.vhdx"]


@pytest.mark.parametrize("cmdlet", MAKING)
async def test_what_is_not_wanted_any_more_goes(world, cmdlet):
    await lose(world, cmdlet, lambda: make(world, "host1"))
    await do(world, "host1", Remove("web", with_files=True))
    assert (host(world).vms, files(world)) == ([], [])


@pytest.mark.parametrize("cmdlet", ["New-Item", "Get-ChildItem", "Get-Content"])
async def test_where_no_claim_can_be_kept_machines_are_made_all_the_same(world, cmdlet):
    host(world).trouble.failing[cmdlet] = "Access to the path is denied."
    await make(world, "host1")
    assert await power(world, "host1") == "Off"
    assert files(world) == [r"\\files\machines\web.vhdx"]


@pytest.mark.parametrize("cmdlet", ["Add-ClusterVirtualMachineRole", "Get-Service"])
async def test_a_role_that_was_made_for_it_is_no_second_one(world, cmdlet):
    cluster = world.datacenter.add_cluster("cl1", "host1")
    await lose(world, cmdlet, lambda: make(world, "host1"))
    await make(world, "host1")
    assert ([one.name for one in cluster.roles], len(host(world).vms)) == (["web"], 1)
    await do(world, "host1", Remove("web", with_files=True))
    assert (cluster.roles, files(world)) == ([], [])


@pytest.mark.parametrize("how", ["half_way", "failing"])
async def test_a_machine_that_new_vm_made_and_disowned_is_removed_at_once(world, how):
    getattr(host(world).trouble, how)["New-VM"] = "the folder cannot be secured"
    with pytest.raises(HypervisorFailure, match="^host1: Define of web: New-VM: the folder cannot be secured"):
        await make(world, "host1")
    assert (host(world).vms, files(world)) == ([], [])


async def test_a_machine_that_somebody_made_since_is_not_taken_for_ours(world):
    await lose(world, "New-Item", lambda: make(world, "host1"))
    theirs = Console(world.datacenter, "host1").create("web", disk=True)
    theirs.settings = msgspec.structs.replace(theirs.settings, notes="of the shop")
    await make(world, "host1")
    assert len(host(world).vms) == 2 and host(world).vm(theirs.id) is not None


async def copying(world):
    own = next(vm.id.lower() for vm in host(world).vms if vm.name == "web")
    record = msgspec.structs.replace(DB, machine="copy", power="Off", instance_ids=(), errand=Errand(2, "copy", own))
    ports = tuple(msgspec.structs.replace(one, mac=one.mac + 0x50) for one in WEB_PORTS)
    await do(world, "host1", CarryOut(record, ports))


@pytest.mark.parametrize("cmdlet", COPYING)
async def test_a_copy_that_was_cut_off_is_made_anew_and_its_original_stays(world, cmdlet):
    await make(world, "host1")
    await lose(world, cmdlet, lambda: copying(world))
    await copying(world)
    assert (await power(world, "host1"), await power(world, "host1", "copy")) == ("Off", "Off")
    assert len(host(world).vms) == 2
    assert len([path for path in files(world) if path.endswith("vhdx")]) == 2


@pytest.mark.parametrize("cmdlet", COPYING)
async def test_a_copy_that_was_cut_off_goes_with_its_files_and_no_others(world, cmdlet):
    await make(world, "host1")
    await lose(world, cmdlet, lambda: copying(world))
    await do(world, "host1", Remove("copy", with_files=True))
    assert [vm.name for vm in host(world).vms] == ["web"]
    assert files(world) == [r"\\files\machines\web.vhdx"]
    # before the last it was whole: what a machine leaves of its folder is nobody's
    assert cmdlet == "Remove-Item" or folders(world) == []


async def test_an_import_that_fails_after_it_made_the_copy_is_undone(world):
    await make(world, "host1")
    host(world).trouble.half_way["Import-VM"] = "the configuration is locked"
    with pytest.raises(HypervisorFailure, match="Import-VM: the configuration is locked"):
        await copying(world)
    assert [vm.name for vm in host(world).vms] == ["web"]
    assert (files(world), folders(world)) == ([r"\\files\machines\web.vhdx"], [])
