"""Who picks addresses in the old systems: VMM, the random script, the plan with its trick, addresses that mimic IPs."""

import random

import pytest

from tests.unit.sim.hosts import mac, machine_on, small, started_on
from weft.model.errors import InvalidMacAddress
from weft.model.values import GROUP_BIT, parse_mac
from weft.sim.assignments import (
    VMM_POOL,
    HostRangePlan,
    LeftToHost,
    NoAddress,
    RandomOnNode,
    Vmm,
    mimic_decimal,
    mimic_hex,
)
from weft.sim.hyperv import Host


@pytest.fixture
def host() -> Host:
    return Host("node1", "10.0.1.133")


def test_left_to_the_host_nothing_is_picked(host: Host) -> None:
    machine = machine_on(host, "vm1")
    LeftToHost().created(host, machine)
    assert mac(machine) == 0


def test_vmm_has_3998720_addresses_of_its_own_and_asks_no_host(host: Host) -> None:
    assert VMM_POOL[1] - VMM_POOL[0] + 1 == 3_998_720
    vmm = Vmm(lambda name: False)
    machine = machine_on(host, "vm1")
    vmm.created(host, machine)
    assert (mac(machine), machine.adapters[0].dynamic, vmm.used) == (VMM_POOL[0], False, 1)
    assert host.range.used == 0


def test_vmm_leaves_pooled_desktops_to_the_host(host: Host) -> None:
    vmm = Vmm(lambda name: name.startswith("desktop"))
    machine = machine_on(host, "desktop1")
    vmm.created(host, machine)
    assert (mac(machine), vmm.used) == (0, 0)
    host.start(machine)
    assert mac(machine) in host.range


def test_vmm_clones_of_static_machines_have_their_address_for_good(host: Host) -> None:
    vmm = Vmm(lambda name: False)
    source = machine_on(host, "vm1")
    vmm.created(host, source)
    clone = vmm.cloned(host, source, "vm2")
    host.start(clone)
    assert mac(clone) == mac(source)


@pytest.mark.parametrize("zeros", [False, True])
def test_vmm_clones_of_dynamic_machines_show_the_source_or_zeros_until_they_start(host: Host, zeros: bool) -> None:
    vmm = Vmm(lambda name: True, clones_show_zeros=zeros)
    source = started_on(host, "vm1")
    clone = vmm.cloned(host, source, "vm2")
    assert mac(clone) == (0 if zeros else mac(source))
    host.stop(source)
    host.start(source)
    assert mac(source) == host.range.first, "what a clone only shows disturbs nobody"
    host.start(clone)
    assert mac(clone) == host.range.first + 1


def test_the_random_script_never_draws_f_and_nearly_half_are_group_addresses() -> None:
    script = RandomOnNode(random.Random(1))
    drawn = [script.draw() for _ in range(20_000)]
    assert not any("F" in f"{each:012X}" for each in drawn)
    assert sum(1 for each in drawn if each & GROUP_BIT) / len(drawn) == pytest.approx(7 / 15, abs=0.02)
    locally_administered = sum(1 for each in drawn if each >> 40 & 3 == 2)
    assert locally_administered / len(drawn) == pytest.approx(4 / 15, abs=0.02)


def test_the_random_script_tries_again_until_the_host_takes_one(host: Host) -> None:
    script = RandomOnNode(random.Random(1))
    for number in range(100):
        machine = machine_on(host, f"vm{number}")
        script.created(host, machine)
        assert not mac(machine) & GROUP_BIT
    assert script.refused == pytest.approx(100 * 7 / 8, abs=40)


class Stuck:
    """Always draws the same digit."""

    def __init__(self, digit: int) -> None:
        self._digit = digit

    def randrange(self, stop: int, /) -> int:
        return self._digit


def test_the_random_script_gives_up_after_its_tries(host: Host) -> None:
    script = RandomOnNode(Stuck(1))
    with pytest.raises(NoAddress):
        script.created(host, machine_on(host, "vm1"))
    assert script.refused == RandomOnNode.ATTEMPTS


def test_a_plan_gives_each_host_a_range_and_machines_a_static_address_of_it() -> None:
    plan = HostRangePlan()
    hosts = [Host(f"node{number}", f"10.0.0.{number}") for number in range(18)]
    for each in hosts:
        plan.host_added(each)
    assert [each.range.first for each in (hosts[1], hosts[15], hosts[16])] == [
        0x00155D001000,
        0x00155D00F000,
        0x00155D010000,
    ]
    machine = machine_on(hosts[17], "vm1")
    plan.created(hosts[17], machine)
    assert (mac(machine), machine.adapters[0].dynamic, machine.power) == (0x00155D011000, False, "Off")
    clone = plan.cloned(hosts[17], machine, "vm2")
    assert mac(clone) == 0x00155D011001


def test_the_trick_fails_where_the_host_has_no_address(host: Host) -> None:
    small(host, 1)
    started_on(host, "vm1")
    machine = machine_on(host, "vm2")
    with pytest.raises(NoAddress, match="Attempt to access invalid address"):
        HostRangePlan().created(host, machine)


def test_addresses_that_mimic_ips() -> None:
    assert mimic_decimal("10.1.0.15") == "00-00-10-01-00-15"
    assert mimic_hex("172.16.0.253") == "00-00-AC-10-00-FD"
    assert mimic_hex("16.1.0.21") == mimic_decimal("10.1.0.15")
    with pytest.raises(InvalidMacAddress):
        parse_mac(mimic_decimal("172.16.0.253"))
