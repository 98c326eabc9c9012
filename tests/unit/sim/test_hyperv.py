"""The rules of a Hyper-V host's dynamic addresses, one by one."""

import pytest

from tests.unit.sim.hosts import mac, machine_on, small, started_on
from weft.model.errors import InvalidMacAddress
from weft.model.values import Mac
from weft.sim.address_range import default_bounds, plan_bounds
from weft.sim.hyperv import OFF, RUNNING, SAVED, Adapter, Host, Machine, StartFailed


@pytest.fixture
def host() -> Host:
    return Host("node1", "10.0.1.133")


@pytest.fixture
def other() -> Host:
    return Host("node2", "10.0.1.134")


# The range


def test_the_range_has_the_last_two_octets_of_the_first_ipv4_address(host: Host) -> None:
    assert default_bounds("10.0.1.133") == (0x00155D018500, 0x00155D0185FF)
    assert (host.range.first, host.range.last, host.range.size) == (0x00155D018500, 0x00155D0185FF, 256)


def test_the_range_is_made_when_first_needed_and_kept_when_the_address_changes(host: Host) -> None:
    host.ipv4 = "10.0.7.9"
    assert host.range.first == 0x00155D070900
    host.ipv4 = "10.0.8.9"
    started = started_on(host, "vm1")
    assert mac(started) == 0x00155D070900


def test_an_image_copies_range_and_cursor_and_sysprep_does_not_help(host: Host) -> None:
    started_on(host, "vm1")
    host.sysprep()
    copy = host.image("node3", "10.0.1.200")
    assert (copy.range.first, copy.range.last) == (host.range.first, host.range.last)
    assert mac(started_on(copy, "vm2")) == mac(started_on(host, "vm3"))


def test_an_image_of_a_host_whose_role_was_never_used_makes_its_own_range(host: Host) -> None:
    assert host.image("node3", "10.0.1.200").range.first == 0x00155D01C800


def test_deleting_the_registry_values_makes_the_range_anew(host: Host) -> None:
    started = started_on(host, "vm1")
    copy = host.image("node3", "10.0.1.200")
    copy.forget_range()
    assert copy.range.first == 0x00155D01C800
    assert mac(started) == 0x00155D018500


def test_another_range_changes_no_address_that_is_given(host: Host) -> None:
    started = started_on(host, "vm1")
    before = mac(started)
    host.set_range(*plan_bounds(2, 0))
    assert mac(started) == before
    assert mac(started_on(host, "vm2")) == 0x00155D020000


def test_a_plan_gives_sixteen_hosts_4096_addresses_each_and_checks_nothing() -> None:
    assert plan_bounds(0x02, 0xF) == (0x00155D02F000, 0x00155D02FFFF)
    assert plan_bounds(0x02, 16) == plan_bounds(0x03, 0)


# Giving


def test_an_address_is_given_at_the_first_start_and_zeros_are_shown_before(host: Host) -> None:
    machine = machine_on(host, "vm1")
    assert mac(machine) == 0
    host.start(machine)
    assert mac(machine) == 0x00155D018500
    assert machine.power == RUNNING


def test_the_cursor_goes_upward_wraps_and_skips_what_machines_use(host: Host) -> None:
    small(host, 4)
    first, second = started_on(host, "vm1"), started_on(host, "vm2")
    host.stop(second)
    host.remove(second)
    third, fourth, fifth = (started_on(host, name) for name in ("vm3", "vm4", "vm5"))
    offsets = [mac(each) - host.range.first for each in (first, second, third, fourth, fifth)]
    assert offsets == [0, 1, 2, 3, 1]


def test_only_machines_of_this_host_are_looked_at(host: Host, other: Host) -> None:
    moved = started_on(host, "vm1")
    small(host, 1)
    host.live_migrate(moved, other)
    assert mac(started_on(host, "vm2")) == mac(moved)


def test_a_full_host_takes_the_address_of_a_machine_that_is_off(host: Host) -> None:
    small(host, 2)
    victim, running = started_on(host, "vm1"), started_on(host, "vm2")
    host.stop(victim)
    thief = started_on(host, "vm3")
    assert mac(thief) == mac(victim)
    assert mac(thief) != mac(running)


def test_the_victim_of_a_theft_is_given_another_address_or_does_not_start(host: Host) -> None:
    small(host, 2)
    victim, running = started_on(host, "vm1"), started_on(host, "vm2")
    host.stop(victim)
    before = mac(victim)
    started_on(host, "vm3")
    with pytest.raises(StartFailed):
        host.start(victim)
    host.stop(running)
    host.start(victim)
    assert mac(victim) == mac(running) != before


def test_a_start_fails_with_the_known_text_when_every_address_runs(host: Host) -> None:
    small(host, 2)
    started_on(host, "vm1")
    started_on(host, "vm2")
    machine = machine_on(host, "vm3")
    with pytest.raises(StartFailed, match="'vm3'.*Failed to power on with Error 'Attempt to access invalid address'"):
        host.start(machine)
    assert (mac(machine), machine.power) == (0, OFF)


def test_a_start_that_fails_at_the_second_adapter_changes_neither(host: Host) -> None:
    small(host, 1)
    machine = Machine("vm1", (Adapter("eth0"), Adapter("eth1")))
    host.add(machine)
    with pytest.raises(StartFailed):
        host.start(machine)
    assert [each.mac for each in machine.adapters] == [0, 0]
    assert host.range.used == 0


def test_two_adapters_of_one_machine_never_steal_the_same_address(host: Host) -> None:
    small(host, 2)
    for name in ("vm1", "vm2"):
        host.stop(started_on(host, name))
    machine = Machine("vm3", (Adapter("eth0"), Adapter("eth1")))
    host.add(machine)
    host.start(machine)
    assert len({each.mac for each in machine.adapters}) == 2


# Drawing again


def test_an_address_is_kept_at_home(host: Host) -> None:
    machine = started_on(host, "vm1")
    before = mac(machine)
    host.stop(machine)
    host.start(machine)
    host.reset(machine)
    assert mac(machine) == before


def test_live_migration_keeps_it_and_the_next_power_on_elsewhere_does_not(host: Host, other: Host) -> None:
    machine = started_on(host, "vm1")
    before = mac(machine)
    host.live_migrate(machine, other)
    other.reset(machine)
    assert (mac(machine), machine.power) == (before, RUNNING)
    other.stop(machine)
    other.start(machine)
    assert mac(machine) == other.range.first


def test_from_saved_state_only_an_address_used_here_is_drawn_again(host: Host, other: Host) -> None:
    """Quick migration: it seems fine until the next power-on."""
    machine = started_on(host, "vm1")
    before = mac(machine)
    host.stop(machine, SAVED)
    host.live_migrate(machine, other)
    other.start(machine)
    assert mac(machine) == before
    other.stop(machine, SAVED)
    machine_on(other, "vm2", before, dynamic=False)
    other.start(machine)
    assert mac(machine) == other.range.first


def test_a_static_address_is_never_changed(host: Host, other: Host) -> None:
    machine = machine_on(host, "vm1", 0x001DD8B71C00, dynamic=False)
    host.start(machine)
    host.live_migrate(machine, other)
    other.stop(machine)
    other.start(machine)
    assert mac(machine) == 0x001DD8B71C00


@pytest.mark.parametrize("wrong", [0, 0x25B684178C63, 0xFFFFFFFFFFFF])
def test_a_group_address_or_zeros_cannot_be_set(host: Host, wrong: int) -> None:
    machine = machine_on(host, "vm1")
    with pytest.raises(InvalidMacAddress, match="Synthetic Ethernet Port"):
        host.set_static(machine, machine.adapters[0], Mac(wrong))


def test_a_static_address_becomes_dynamic_with_zeros_until_the_next_start(host: Host) -> None:
    machine = machine_on(host, "vm1", 0x001DD8B71C00, dynamic=False)
    host.set_dynamic(machine, machine.adapters[0])
    assert mac(machine) == 0
    host.start(machine)
    assert mac(machine) == host.range.first


# Checkpoints and copies


def test_applying_a_checkpoint_brings_its_address_back_wherever_the_machine_is(host: Host, other: Host) -> None:
    machine = started_on(host, "vm1")
    captured = mac(machine)
    machine.checkpoint("clean")
    host.live_migrate(machine, other)
    other.stop(machine)
    other.start(machine)
    assert mac(machine) != captured
    other.apply(machine, "clean")
    assert (mac(machine), machine.power) == (captured, RUNNING)


def test_a_checkpoint_of_a_machine_that_was_off_leaves_it_off(host: Host) -> None:
    machine = machine_on(host, "vm1")
    machine.checkpoint("new")
    host.start(machine)
    host.apply(machine, "new")
    assert (mac(machine), machine.power) == (0, OFF)


def test_a_blanked_checkpoint_draws_while_it_runs_and_cuts_the_network_until_power_on(host: Host) -> None:
    machine = started_on(host, "vm1")
    before = mac(machine)
    machine.checkpoint("clean")
    machine.blank("clean")
    host.apply(machine, "clean")
    assert mac(machine) not in (0, before)
    assert machine.adapters[0].cut_off
    host.reset(machine)
    assert machine.adapters[0].cut_off
    host.stop(machine)
    host.start(machine)
    assert not machine.adapters[0].cut_off


def test_an_import_keeps_what_was_recorded(host: Host, other: Host) -> None:
    machine = started_on(host, "vm1")
    export = machine.export()
    host.stop(machine)
    host.remove(machine)
    again = export.machine()
    host.add(again)
    assert (again.name, mac(again)) == ("vm1", mac(machine))
    copy = export.machine("vm2")
    other.add(copy)
    assert mac(copy) == mac(machine)
    other.start(copy)
    assert mac(copy) == other.range.first


def test_a_copy_on_the_same_host_is_drawn_again_at_its_start(host: Host) -> None:
    machine = started_on(host, "vm1")
    copy = machine.export().machine("vm2")
    host.add(copy)
    assert mac(copy) == mac(machine)
    host.start(copy)
    assert mac(copy) != mac(machine)


# The switch


def test_two_ports_with_one_address_are_event_28_and_the_newcomer_loses(host: Host, other: Host) -> None:
    machine = started_on(host, "vm1")
    twin = machine_on(other, "vm2", mac(machine), dynamic=False)
    other.start(twin)
    assert not host.events + other.events
    host.live_migrate(machine, other)
    (event,) = other.events
    assert event.id == 28
    assert event.message == (
        "Port 'vm1/eth0' was prevented from using MAC address '00-15-5D-01-85-00' because it is pinned to port "
        "'vm2/eth0'."
    )
    assert machine.adapters[0].cut_off
    assert not twin.adapters[0].cut_off


def test_counts_follow_machines_that_come_and_go(host: Host, other: Host) -> None:
    machines = [started_on(host, f"vm{number}") for number in range(5)]
    assert host.range.used == 5
    host.live_migrate(machines[0], other)
    host.stop(machines[1])
    host.remove(machines[1])
    assert (host.range.used, other.range.used) == (3, 0)
    assert other.range.users(mac(machines[0])) == other.range.running(mac(machines[0])) == 1
