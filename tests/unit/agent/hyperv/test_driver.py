"""The driver on fake Hyper-V hosts: what fails half-way, what another hand does meanwhile, clusters, moves, names."""

import asyncio

import msgspec
import pytest

from tests.contract.hyperv_world import HyperVWorld
from tests.contract.hypervisor_worlds import DB, DB_PORTS, START, WEB, WEB_PORTS, do, expect, make, power, run
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hypervisors import (
    CarryOut,
    Define,
    Disconnect,
    HypervisorFailure,
    Migrate,
    Prepare,
    Remove,
    SetMacs,
    SetRange,
    Start,
    Stop,
)
from weft.core.hyperv import machines_facts as reading
from weft.fakes.hyperv.machine import Vlan
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell
from weft.model.hypervisor import Disk
from weft.model.records import Errand

DISK = r"\\files\machines\web.vhdx"


@pytest.fixture
def world():
    return HyperVWorld()


def host(world, name="host1"):
    return world.datacenter.hosts[name]


def files(world):
    return sorted(one.path for one in host(world).files.below(r"\\files\machines") if one.path.endswith(".vhdx"))


FAILS = (
    "Set-VM",
    "New-VHD",
    "Add-VMHardDiskDrive",
    "Set-VMFirmware",
    "Remove-VMNetworkAdapter",
    "Add-VMNetworkAdapter",
    "Add-VMSwitchExtensionPortFeature",
)


@pytest.mark.parametrize("cmdlet", FAILS)
@pytest.mark.parametrize("how", ["failing", "half_way"])
async def test_what_fails_while_a_machine_is_made_leaves_nothing(world, cmdlet, how):
    getattr(host(world).trouble, how)[cmdlet] = "not enough of everything"
    with pytest.raises(HypervisorFailure, match=f"^host1: Define of web: {cmdlet}: not enough of everything"):
        await make(world, "host1")
    assert (host(world).vms, files(world)) == ([], [])
    getattr(host(world).trouble, how).clear()
    await make(world, "host1")
    assert await power(world, "host1") == "Off"


@pytest.mark.parametrize("cmdlet", ["Add-VMNetworkAdapter", "Add-VMSwitchExtensionPortFeature"])
async def test_a_cmdlet_that_says_nothing_and_does_nothing_is_found_by_reading_back(world, cmdlet):
    host(world).trouble.ineffective.add(cmdlet)
    with pytest.raises(HypervisorFailure, match="^host1: Define of web: "):
        await make(world, "host1")
    assert host(world).vms == []


async def test_a_disk_that_was_there_before_stays_when_making_fails(world):
    Console(world.datacenter, "host1").create("other", disk=True)
    own = next(one for one in host(world).files.below("C:") if one.path.endswith(".vhdx")).path
    hardware = msgspec.structs.replace(world.hardware("web"), disks=(Disk(own), Disk(DISK, 1)))
    host(world).trouble.failing["Add-VMNetworkAdapter"] = "no"
    with pytest.raises(HypervisorFailure):
        await make(world, "host1", hardware=hardware)
    assert world.has_file("host1", own)
    assert not world.has_file("host1", DISK)


async def test_what_a_dead_session_left_half_made_is_removed_at_the_next_attempt(world):
    trouble = host(world).trouble
    trouble.failing |= {"Add-VMNetworkAdapter": "the line went dead", "Remove-VM": "the line went dead"}
    with pytest.raises(HypervisorFailure, match="could not be removed"):
        await make(world, "host1")
    assert (len(host(world).vms), files(world)) == (1, [DISK])
    assert await power(world, "host1") == ""
    trouble.failing.clear()
    await make(world, "host1")
    assert (len(host(world).vms), await power(world, "host1")) == (1, "Off")
    await do(world, "host1", Remove("web", with_files=True))
    assert files(world) == []


async def test_an_unbound_port_keeps_the_machine_off(world):
    await make(world, "host1")
    world.vm("host1", "web").nics[1].profile = None
    with pytest.raises(HypervisorFailure, match="Start of web: Get-VMSwitchExtensionPortFeature: .* is not bound"):
        await do(world, "host1", START)
    assert await power(world, "host1") == "Off"
    await do(world, "host1", Prepare(WEB, WEB_PORTS), START)
    assert await power(world, "host1") == "Running"


@pytest.mark.parametrize(("untag", "mode"), [(True, "Untagged"), (False, "Access")])
async def test_in_version_2_what_is_bound_leaves_its_vlan(world, untag, mode):
    await make(world, "host1")
    nics = world.vm("host1", "web").nics
    driver = HyperVDriver("host1", FakeShell(host(world)), untag=untag)
    for verb in (Prepare(WEB, WEB_PORTS), SetMacs(WEB, WEB_PORTS)):
        nics[1].vlan = Vlan("Access", 7)
        await driver.carry_out(verb)
        assert [nic.vlan.mode for nic in nics] == ["Untagged", mode]


async def test_two_adapters_where_one_was_meant(world):
    await make(world, "host1")
    vm = world.vm("host1", "web")
    Console(world.datacenter, "host1").set_static(vm, int(WEB_PORTS[0].mac), 1)
    words = "Start of web: Get-VMNetworkAdapter: web has 2 network adapters with the MAC address 001DD8B71C01 where one"
    with pytest.raises(HypervisorFailure, match=words):
        await do(world, "host1", START)
    with pytest.raises(HypervisorFailure, match="Prepare of web: Get-VMNetworkAdapter: web has 2 network adapters"):
        await do(world, "host1", Prepare(WEB, WEB_PORTS))
    await do(world, "host1", SetMacs(WEB, WEB_PORTS), START)
    assert await power(world, "host1") == "Running"


async def test_one_more_adapter_than_the_record_says_is_an_error_for_people(world):
    own = (await self_made(world)).lower()
    before = [nic.mac for nic in world.vm("host1", "somebody's").nics]
    with pytest.raises(
        HypervisorFailure, match="SetMacs of db: Get-VMNetworkAdapter: it has 2 network adapters where 1 was meant"
    ):
        await do(world, "host1", SetMacs(DB, DB_PORTS, own))
    assert [nic.mac for nic in world.vm("host1", "somebody's").nics] == before


async def self_made(world):
    return Console(world.datacenter, "host1").create("somebody's", adapters=2).id


async def test_a_machine_that_is_deleted_between_two_cmdlets(world):
    await make(world, "host1")
    vm = world.vm("host1", "web")
    host(world).trouble.before["Start-VM"] = lambda: Console(world.datacenter, "host1").delete(vm)
    with pytest.raises(HypervisorFailure, match="^host1: Start of web: Start-VM: "):
        await do(world, "host1", START)
    assert host(world).vms == []


async def test_a_machine_that_is_renamed_between_two_cmdlets_is_the_same(world):
    await make(world, "host1")
    vm = world.vm("host1", "web")
    host(world).trouble.before["Start-VM"] = lambda: Console(world.datacenter, "host1").rename(vm, "other")
    await do(world, "host1", START)
    assert (vm.name, vm.power) == ("other", "Running")


async def test_a_machine_that_is_deleted_while_the_host_is_read_is_left_out(world):
    await make(world, "host1")
    await run(world, "host1", DB, DB_PORTS)
    vm = world.vm("host1", "web")
    host(world).trouble.before["Get-VMNetworkAdapter"] = lambda: Console(world.datacenter, "host1").delete(vm)
    facts = await world.hypervisors["host1"].facts()
    assert [one.machine for one in facts.machines] == ["db"]


@pytest.mark.parametrize("name", ["it's", '"quoted"', "$(Stop-VM *)", "`n", "a\nb", "\u202egnp.exe", "{0}", "-x"])
async def test_names_of_every_kind_are_only_names(world, name):
    await make(world, "host1")
    await do(world, "host1", errand("checkpoint", name), errand("restore", name), Stop("web"))
    facts = await world.hypervisors["host1"].facts()
    assert [one.name for one in facts.machines[0].checkpoints] == [name]
    await do(world, "host1", errand("deleteCheckpoint", name))
    world.vm("host1", "web").name = name
    await do(world, "host1", START)
    facts = await world.hypervisors["host1"].facts()
    assert (facts.machines[0].name, facts.machines[0].machine) == (name, "web")


def errand(kind, name, **more):
    return CarryOut(msgspec.structs.replace(WEB, errand=Errand(1, kind, name, **more)), WEB_PORTS)


async def test_two_checkpoints_of_one_name_are_told_apart_by_id_alone(world):
    await make(world, "host1")
    console, vm = Console(world.datacenter, "host1"), world.vm("host1", "web")
    first = console.checkpoint(vm, "same")
    console.checkpoint(vm, "same")
    with pytest.raises(
        HypervisorFailure, match="restore 'same' of web: Get-VMSnapshot: web has 2 checkpoints \"same\""
    ):
        await do(world, "host1", errand("restore", "same"))
    await do(world, "host1", errand("restore", "same", id=first.id.lower()))
    assert vm.parent == first.id


async def test_other_lines_of_the_notes_stay_and_a_mark_may_be_taken_away(world):
    await make(world, "host1")
    vm = world.vm("host1", "web")
    Console(world.datacenter, "host1").annotate(vm, f"of the shop\n{vm.settings.notes}\nask Ann")
    assert await power(world, "host1") == "Off"
    Console(world.datacenter, "host1").annotate(vm, "of the shop")
    assert await power(world, "host1") == ""
    # its record still names it
    await do(world, "host1", Start(WEB, WEB_PORTS, id=vm.id.lower()))
    assert vm.power == "Running"


async def test_a_machine_of_a_cluster_is_a_role_and_moves_as_one(world):
    world.datacenter.add_cluster("c1", "host1", "host2")
    await run(world, "host1")
    facts = await world.hypervisors["host1"].facts()
    assert facts.machines[0].clustered
    await expect(world, "host2")
    await do(world, "host1", Migrate("web", "host2"))
    assert (await power(world, "host1"), await power(world, "host2")) == ("", "Running")
    await do(world, "host2", Remove("web"))
    assert world.datacenter.clusters[0].roles == {} or not world.datacenter.clusters[0].roles


async def test_a_machine_with_local_disks_is_no_role_and_moves_with_them(world):
    world.datacenter.add_cluster("c1", "host1", "host2")
    hardware = msgspec.structs.replace(world.hardware("web"), path="D:\\vms", disks=(Disk("D:\\vms\\web.vhdx", 1),))
    await make(world, "host1", hardware=hardware)
    facts = await world.hypervisors["host1"].facts()
    assert not facts.machines[0].clustered
    await do(world, "host1", START)
    await expect(world, "host2")
    await do(world, "host1", Migrate("web", "host2"))
    assert await power(world, "host2") == "Running"
    (disk,) = world.vm("host2", "web").settings.disks
    assert world.has_file("host2", disk.path)


async def test_a_move_by_the_address_of_the_other_host(world):
    await run(world, "host1")
    await do(world, "host1", Migrate("web", "server-of-another-name", "192.168.2.20"))
    assert await power(world, "host2") == "Running"


async def test_a_move_that_fails_leaves_it_running_where_it_is(world):
    await run(world, "host1")
    host(world, "host2").trouble.unreachable = True
    with pytest.raises(HypervisorFailure, match="^host1: Migrate of web: Move-VM: "):
        await do(world, "host1", Migrate("web", "host2"))
    assert await power(world, "host1") == "Running"


async def test_a_host_without_the_machines_switch_says_so_before_the_move(world):
    coming = msgspec.structs.replace(WEB, power="Incoming")
    hardware = msgspec.structs.replace(world.hardware("web"), switch="of another cluster")
    words = "^host2: Prepare of web: Get-VMSwitch: there is no virtual switch of another cluster$"
    with pytest.raises(HypervisorFailure, match=words):
        await do(world, "host2", Prepare(msgspec.structs.replace(coming, hardware=hardware), WEB_PORTS))
    assert await power(world, "host2") == ""


async def test_the_range_of_dynamic_addresses_is_another_and_read_back(world):
    await do(world, "host1", SetRange(0x00155D020600, 0x00155D0206FF))
    facts = await world.hypervisors["host1"].facts()
    assert facts.dynamic_range == (0x00155D020600, 0x00155D0206FF)
    host(world).trouble.ineffective.add("Set-VMHost")
    with pytest.raises(HypervisorFailure, match="^host1: SetRange of the host: Set-VMHost: the range is "):
        await do(world, "host1", SetRange(0x00155D020700, 0x00155D0207FF))


async def test_a_rollback_that_leaves_everything_as_it_was_is_an_event_too(world, caplog):
    await run(world, "host1")
    console, vm = Console(world.datacenter, "host1"), world.vm("host1", "web")
    taken = console.checkpoint(vm, "RDV_ROLLBACK - 1")
    console.roll_back(vm, taken)
    driver = world.hypervisors["host1"]
    await driver.facts()
    events = driver.events()
    caplog.set_level("INFO", "weft.agent.hyperv.driver")
    await asyncio.wait_for(anext(events), 30)
    assert "a checkpoint was applied" not in caplog.text, "before the first look"
    waiting = asyncio.create_task(anext(events))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    console.roll_back(vm, taken)
    await asyncio.wait_for(waiting, 30)
    assert f"a checkpoint was applied to machine {vm.id.lower()}" in caplog.text
    await events.aclose()


async def test_what_changed_and_changed_back_between_two_looks_is_an_event(world):
    await run(world, "host1")
    driver, vm = world.hypervisors["host1"], world.vm("host1", "web")
    events = driver.events()
    await driver.facts()
    host(world).stop(vm)
    await anext(events)
    await driver.facts()
    host(world).start(vm)
    await driver.facts()
    host(world).stop(vm)
    await asyncio.wait_for(anext(events), 30)
    await events.aclose()


async def test_both_ways_to_look_at_a_host_see_the_same(world):
    await run(world, "host1")
    console, vm = Console(world.datacenter, "host1"), world.vm("host1", "web")
    console.checkpoint(vm, "a {0} b")
    console.create("never started", adapters=2)
    shell = FakeShell(host(world))
    looked = reading.pulse_fingerprint(await shell.run(reading.PULSE, {"since": 0}))
    assert reading.fingerprint(await shell.run(reading.FACTS, {})) == looked


async def test_an_export_is_a_copy_in_a_folder_of_its_name(world):
    await make(world, "host1")
    await do(world, "host1", errand("export", "backup", path=r"\\files\exports"))
    assert any(one.path.startswith(r"\\files\exports\web") for one in host(world).files.below(r"\\files\exports"))
    with pytest.raises(HypervisorFailure, match="^host1: export 'backup' of web: Export-VM: "):
        await do(world, "host1", errand("export", "backup", path=r"\\files\exports"))


async def test_a_copy_that_fails_half_way_leaves_nothing_of_it(world):
    await run(world, "host1")
    own = world.vm("host1", "web").id.lower()
    copy = msgspec.structs.replace(DB, power="Off", instance_ids=(), errand=Errand(2, "copy", own))
    two = tuple(msgspec.structs.replace(one, mac=one.mac + 0x50) for one in WEB_PORTS)
    host(world).trouble.failing["Set-VMNetworkAdapter"] = "no"
    with pytest.raises(HypervisorFailure, match="of db: Set-VMNetworkAdapter: no"):
        await do(world, "host1", CarryOut(copy, two))
    assert [vm.name for vm in host(world).vms] == ["web"]
    assert [one.path for one in host(world).files.below("C:") if "db" in one.path or "copy" in one.path] == []
    with pytest.raises(HypervisorFailure, match="has 2 network adapters where 1 were meant"):
        await do(world, "host1", CarryOut(copy, two[:1]))


async def test_a_strangers_machine_is_named_by_its_id_in_a_failure(world):
    own = (await self_made(world)).lower()
    host(world).trouble.failing |= {"Stop-VM": "access is denied", "Disconnect-VMNetworkAdapter": "access is denied"}
    Console(world.datacenter, "host1").start(world.vm("host1", "somebody's"))
    for verb, cmdlet in ((Stop("", own), "Stop-VM"), (Disconnect(own), "Disconnect-VMNetworkAdapter")):
        words = f"^host1: {type(verb).__name__} of machine {own}: {cmdlet}: access is denied"
        with pytest.raises(HypervisorFailure, match=words):
            await do(world, "host1", verb)


async def test_a_copy_of_a_running_machine_is_off_and_may_run_beside_it(world):
    await run(world, "host1")
    ports = tuple(
        msgspec.structs.replace(one, mac=one.mac + 0x50, instance_id=f"5eedface-0000-4000-8000-{place:012x}")
        for place, one in enumerate(WEB_PORTS, 80)
    )
    errand = Errand(2, "copy", world.vm("host1", "web").id.lower())
    copy = msgspec.structs.replace(WEB, machine="copy", errand=errand)
    await do(world, "host1", CarryOut(copy, ports))
    assert (await power(world, "host1", "copy"), await power(world, "host1")) == ("Off", "Running")
    await do(world, "host1", Start(copy, ports))
    assert await power(world, "host1", "copy") == "Running"


async def test_define_needs_a_switch_it_can_tell(world):
    host(world).switches.append("second")
    with pytest.raises(HypervisorFailure, match="Define of web: Get-VMSwitch: there are 2 virtual switches where one"):
        await make(world, "host1")
    await make(world, "host1", hardware=msgspec.structs.replace(world.hardware("web"), switch="second"))
    assert {nic.switch for nic in world.vm("host1", "web").nics} == {"second"}
    await do(world, "host1", Define(msgspec.structs.replace(WEB, hardware=world.hardware("web")), WEB_PORTS))
    assert len(host(world).vms) == 1
