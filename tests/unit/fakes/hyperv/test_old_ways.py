"""The fake host gives MAC addresses as the old system does, through cmdlets and through other hands: the stories' old
ways, which the sources tell. The rules themselves are those of `weft simulate` (tests/unit/sim).
"""

import pytest

from tests.unit.fakes.hyperv.world import World
from weft.fakes.hyperv.host import HyperVError
from weft.fakes.hyperv.machine import Nic
from weft.fakes.hyperv.people import DesktopPool
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.sim.hyperv import StartFailed

GET_MAC = "(Get-VMNetworkAdapter -VMName {}).MacAddress"


@pytest.fixture
def world():
    return World()


def test_1_5_a_machine_that_never_ran_shows_zeros(world):
    made = world.type("New-VM -Name web1 -Generation 2 -MemoryStartupBytes 4GB -SwitchName 'Virtual Switch' | Out-Null")
    assert made == []
    assert world.type(GET_MAC.format("web1")) == ["000000000000"]
    world.type("Start-VM -Name web1")
    assert world.type(GET_MAC.format("web1")) == ["00155D010A00"]
    assert world.type("(Get-VM web1).State -eq 'Running'") == [True]


def fill(world, count=256):
    """So many running machines on the first host."""
    return [_started(world, f"vm{number}") for number in range(count)]


def _started(world, name):
    vm = world.console.create(name)
    world.console.start(vm)
    return vm


def test_1_1_and_1_8_the_257th_dynamic_address_cannot_be_had(world):
    fill(world)
    world.console.create("one-more")
    with pytest.raises(PowerShellError, match="Failed to power on with Error 'Attempt to access invalid address'"):
        world.type("Start-VM -Name one-more")
    assert world.type("(Get-VM one-more).State -eq 'Off'") == [True]
    assert world.type(GET_MAC.format("one-more")) == ["000000000000"]


def test_1_9_with_none_left_an_address_of_a_stopped_machine_is_taken(world):
    victim, *_ = fill(world)
    world.type("Stop-VM -Name vm0 -TurnOff -Force")
    thief = world.console.create("thief")
    world.type("Start-VM -Name thief")
    assert world.macs(thief) == world.macs(victim) == ["00155D010A00"]


def test_2_1_a_machine_draws_again_when_it_is_restarted_after_a_move(world):
    vm = _started(world, "web1")
    world.type("Move-VM -Name web1 -DestinationHost hv2")
    assert (world.host1.vms, world.host2.vms) == ([], [vm])
    assert world.macs(vm) == ["00155D010A00"]
    world.type("Stop-VM web1 -TurnOff -Force; Start-VM web1", world.host2)
    assert world.macs(vm) == ["00155D021400"]


def test_2_3_the_host_that_a_machine_left_gives_its_address_again(world):
    vm = _started(world, "web1")
    world.console.move(vm, "hv2")
    for _ in range(256):
        newest = _started(world, f"vm{_}")
        if world.macs(newest) == world.macs(vm):
            return
    pytest.fail("the address never came again")


def test_2_4_a_rolled_back_desktop_has_the_address_that_its_old_host_gave_to_another(world):
    template = world.console.create("template")
    pool = DesktopPool(world.console, template)
    desktop = pool.make("desk1")
    taken = pool.log_on_first("desk1")
    first = world.macs(desktop)
    assert taken.name == "RDV_ROLLBACK - desk1"
    pool.move("desk1", "hv2")
    world.type("Stop-VM desk1 -TurnOff -Force; Start-VM desk1", world.host2)
    assert world.macs(desktop) != first
    fill(world)
    assert first in [world.macs(vm) for vm in world.host1.vms]
    pool.log_off("desk1")
    assert world.macs(desktop) == first
    assert desktop.state == "Running"


def test_2_5_a_template_with_a_static_address_is_refused(world):
    template = world.console.create("template")
    world.console.set_static(template, 0x001DD8B71C01)
    with pytest.raises(HyperVError, match="static MAC address"):
        DesktopPool(world.console, template)


def test_2_6_a_blanked_checkpoint_cuts_a_running_machine_off(world):
    template = world.console.create("template")
    pool = DesktopPool(world.console, template)
    desktop = pool.make("desk1")
    pool.log_on_first("desk1")
    world.type("Get-VM desk1 | Get-VMSnapshot | Get-VMNetworkAdapter | Set-VMNetworkAdapter -DynamicMacAddress")
    assert world.type("(Get-VMSnapshot desk1 | Get-VMNetworkAdapter).MacAddress") == ["000000000000"]
    pool.log_off("desk1")
    assert desktop.nics[0].cut_off
    assert desktop.nics[0].mac != 0


def test_2_8_an_applied_checkpoint_is_an_event_that_names_the_machine_by_id(world):
    vm = _started(world, "a name with spaces")
    taken = world.console.checkpoint(vm, "one")
    with pytest.raises(PowerShellError, match="No events were found that match"):
        world.type("Get-WinEvent -FilterHashtable @{ LogName = 'Microsoft-Windows-Hyper-V-Worker-Admin'; Id = 18596 }")
    world.console.roll_back(vm, taken)
    world.console.roll_back(vm, taken)
    read = (
        "Get-WinEvent -FilterHashtable @{{ LogName = 'Microsoft-Windows-Hyper-V-Worker-Admin'; Id = {} }} |"
        " ForEach-Object {{ $_.RecordId; $_.Properties[1].Value }}"
    )
    assert world.type(read.format(18596)) == [2, vm.id.upper(), 1, vm.id.upper()]
    with pytest.raises(PowerShellError, match="No events were found"):
        world.type(read.format(1))


def test_2_10_two_machines_with_one_address_are_an_event_of_the_switch(world):
    one, other = (world.console.create(name) for name in ("one", "other"))
    for vm in (one, other):
        world.console.set_static(vm, 0x001DD8B71C01)
        world.console.start(vm)
    assert other.nics[0].cut_off
    assert world.type("(Get-WinEvent -FilterHashtable @{ LogName = 'System'; Id = 28 }).Message") == [
        f"Port '{other.nics[0].port}' was prevented from using MAC address '00-1D-D8-B7-1C-01' because it is pinned to "
        f"port '{one.nics[0].port}'."
    ]


def test_1_7_a_clone_of_a_static_machine_has_its_address(world):
    vm = world.console.create("web1", disk=True)
    world.console.set_static(vm, 0x001DD8B71C01)
    world.console.annotate(vm, "a note")
    clone = world.console.clone(vm, "web2")
    world.console.start(clone)
    assert world.macs(clone) == world.macs(vm) == ["001DD8B71C01"]
    assert clone.id != vm.id
    assert clone.settings.notes == "a note"
    assert clone.settings.disks[0].path != vm.settings.disks[0].path


def test_1_6_a_clone_of_a_dynamic_machine_shows_its_address_and_draws_when_it_meets_it(world):
    vm = _started(world, "web1")
    clone = world.console.clone(vm, "web2")
    assert world.macs(clone) == world.macs(vm)
    world.console.start(clone)
    assert world.macs(clone) != world.macs(vm)


def test_x14_a_machine_that_is_resumed_where_its_address_is_used_draws_another(world):
    vm = _started(world, "web1")
    world.type("Save-VM web1")
    other = world.console.create("other")
    world.host1.add_adapter(other, Nic(world.datacenter.new_id(), mac=vm.nics[0].mac))
    world.type("Start-VM web1")
    assert world.macs(vm) != ["00155D010A00"]


def test_0_1_a_dynamic_address_is_changed_by_nobody_while_the_machine_runs(world):
    _started(world, "web1")
    with pytest.raises(PowerShellError, match="cannot be performed while the virtual machine is in its current state"):
        world.type("Set-VMNetworkAdapter -VMName web1 -StaticMacAddress 001DD8B71C01")


def test_4_18_a_restart_of_the_host_loses_its_records_and_starts_what_ran(world):
    runs, rests, never = (world.console.create(name) for name in ("runs", "rests", "never"))
    for vm in (runs, never):
        world.console.start(vm)
    world.type("Set-VM never -AutomaticStartAction Nothing; Set-VM rests -AutomaticStartAction Start")
    world.type(
        "New-NetVirtualizationCustomerRoute -RoutingDomainID '{11111111-2222-3333-4444-000000000000}' "
        "-VirtualSubnetID 6001 -DestinationPrefix '10.1.1.0/24' -NextHop '0.0.0.0' -Metric 255 | Out-Null"
    )
    boot = world.type("[string](Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime")
    world.datacenter.pass_time(60)
    world.host1.restart()
    assert world.type("@(Get-NetVirtualizationCustomerRoute).Count") == [0]
    assert world.type("[string](Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime") != boot
    assert [vm.state for vm in (runs, rests, never)] == ["Running", "Running", "Off"]


def test_0_2_a_node_that_dies_gives_its_roles_to_others_with_addresses_of_theirs(world):
    cluster = world.datacenter.add_cluster("cl1", "hv1", "hv2")
    vm = _started(world, "web1")
    world.console.create("not a role")
    world.type("Add-ClusterVirtualMachineRole -VMName web1 | Out-Null")
    world.datacenter.die("hv1")
    assert [each.name for each in world.host2.vms] == ["web1"]
    assert vm.state == "Running"
    assert world.macs(vm) == ["00155D021400"]
    assert cluster.owner(cluster.roles[0]) is world.host2
    world.host1.boot()
    assert [(each.name, each.state) for each in world.host1.vms] == [("not a role", "Off")]


def test_a_full_pool_stops_what_a_restarted_host_would_start(world):
    fill(world, 256)
    extra = world.console.create("extra")
    world.type("Set-VM extra -AutomaticStartAction Start")
    with pytest.raises(StartFailed):
        world.console.start(extra)
    world.host1.restart()
    assert extra.state == "Off"
