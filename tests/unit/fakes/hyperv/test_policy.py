"""What Weft writes for Hyper-V Network Virtualization, run on fake hosts: scripts for people, and the driver's two."""

import pytest

from tests.unit.core.hyperv.worlds import source_004
from tests.unit.fakes.hyperv.world import World
from weft.core.hyperv.differences import difference
from weft.core.hyperv.found import read_found
from weft.core.hyperv.network_scripts import APPLY, FOUND
from weft.core.hyperv.policy_script import desired_of, script_of
from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.powershell.run import run
from weft.fakes.hyperv.shell import FakeShell

HOSTS = {"host1": ("BlueVM1", 0x101010101105), "host2": ("BlueVM2", 0x101010101107)}
READ = "@(Get-NetVirtualizationLookupRecord).Count; @(Get-NetVirtualizationCustomerRoute).Count"


@pytest.fixture
def world():
    made = World()
    made.hosts = {"host1": made.host1, "host2": made.host2}
    for server, console in (("host1", made.console), ("host2", made.console2)):
        name, mac = HOSTS[server]
        vm = console.create(name)
        console.set_static(vm, mac)
        console.start(vm)
    made.state = source_004().state
    return made


def play(world, server, version="v1", **parameters):
    """What the policy script prints on its host."""
    return run(script_of(world.state, server, version), parameters, cmdlets_of(world.hosts[server])).output


@pytest.mark.parametrize("server", HOSTS)
def test_the_script_of_a_host_puts_all_there_and_the_second_time_nothing(world, server):
    printed = play(world, server)
    assert [line for line in printed if "customer route" in line] == [
        "added customer route 10.1.1.0/24 of virtual subnet 6001"
    ]
    assert world.type(READ, world.hosts[server]) == [3, 1]
    assert world.hosts[server].vms[0].nics[0].virtual_subnet_id == 6001
    assert world.hosts[server].net_adapters[0].bindings["ms_netwnv"]
    assert play(world, server) == []


def test_4_18_after_a_restart_the_same_script_puts_all_there_again(world):
    first = play(world, "host1")
    world.host1.restart()
    again = play(world, "host1")
    assert [line for line in again if "route" in line or "record" in line or "address" in line] == [
        line for line in first if "route" in line or "record" in line or "address" in line
    ]


def test_4_9_an_adapter_with_another_address_is_told_and_not_passed_over(world):
    vm = world.host1.vms[0]
    world.console.stop(vm)
    world.console.set_static(vm, 0x101010101199)
    with pytest.raises(PowerShellError, match="Not all of the policy is in place"):
        play(world, "host1")
    assert vm.nics[0].virtual_subnet_id == 0


def test_the_second_version_binds_ports(world):
    assert play(world, "host1", "v2") == ["added the port profile of BlueVM1-eth0 of BlueVM1"]
    assert play(world, "host1", "v2") == []
    assert world.type(READ) == [0, 0]


async def test_the_drivers_scripts_leave_no_difference(world):
    shell, desired = FakeShell(world.host1), desired_of(world.state, "host1")

    async def found():
        return read_found(await shell.run(FOUND, {"Adapter": "Ethernet"}))

    for _ in range(2):
        first = difference(desired, await found())
        assert first.changes and not first.problems
        assert await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": first.changes}) == {"Done": True}
        assert not difference(desired, await found()).changes
        world.host1.restart()


async def test_a_change_that_fails_half_way_is_finished_by_the_next(world):
    shell, desired = FakeShell(world.host1), desired_of(world.state, "host1")
    world.host1.trouble.failing["New-NetVirtualizationCustomerRoute"] = "The device is not ready."
    changes = difference(desired, read_found(await shell.run(FOUND, {"Adapter": "Ethernet"}))).changes
    with pytest.raises(Exception, match="New-NetVirtualizationCustomerRoute: The device is not ready."):
        await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": changes})
    assert world.type(READ) == [3, 0]
    world.host1.trouble.failing.clear()
    rest = difference(desired, read_found(await shell.run(FOUND, {"Adapter": "Ethernet"}))).changes
    assert not rest.add_lookup_records
    await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": rest})
    assert world.type(READ) == [3, 1]
