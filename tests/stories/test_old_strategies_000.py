"""Stories of MAC strategies on a cluster, as the models of weft.sim live them; beside each its absence under Weft.

Named by their ids.
"""

import random

import pytest

from tests.stories.simulated import Worlds
from weft.core.commands import Path, Put
from weft.core.macs import why_forbidden
from weft.model.errors import InvalidMacAddress
from weft.model.resources import Resource
from weft.model.values import GROUP_BIT, Mac, parse_mac
from weft.model.workload import NetworkInterfaceProperties
from weft.sim.address_range import plan_bounds
from weft.sim.assignments import (
    HostRangePlan,
    LeftToHost,
    RandomOnNode,
    draw_by_starting,
    make_static,
    mimic_decimal,
    mimic_hex,
)
from weft.sim.hyperv import Host, Machine


@pytest.fixture
def worlds() -> Worlds:
    """Addresses left to the hosts."""
    return Worlds(LeftToHost())


def test_story_0_1_a_changed_mac_leaves_the_policy_behind(worlds: Worlds) -> None:
    worlds.nodes()
    worlds.run("web")
    bound = {side: side.mac("web") for side in (worlds.old, worlds.ours)}
    worlds.move("web", "node2")
    worlds.power_cycle("web")
    assert worlds.old.mac("web") != bound[worlds.old]
    assert worlds.ours.mac("web") == bound[worlds.ours]
    worlds.check_ours()


class EquallySeeded:
    """A script on each node, its generator seeded alike, as generators seeded by the time of boot are."""

    def __init__(self) -> None:
        self._scripts: dict[str, RandomOnNode] = {}

    def host_added(self, host: Host) -> None:
        self._scripts[host.name] = RandomOnNode(random.Random(7))

    def created(self, host: Host, machine: Machine) -> None:
        self._scripts[host.name].created(host, machine)

    def cloned(self, host: Host, source: Machine, name: str) -> Machine:
        return self._scripts[host.name].cloned(host, source, name)


def test_story_0_3_random_twins_are_unseen_until_a_migration_brings_them_together() -> None:
    worlds = Worlds(EquallySeeded())
    worlds.nodes()
    worlds.run("a", "node1")
    worlds.run("b", "node2")
    assert worlds.old.twins == [("a", "b")]
    assert not worlds.switch_events()
    worlds.move("a", "node2")
    assert [event.id for event in worlds.switch_events()] == [28]
    worlds.check_ours()


def test_story_0_4_a_forbidden_draw_is_refused_and_blindly_repeated() -> None:
    script = RandomOnNode(random.Random(1))
    worlds = Worlds(script)
    worlds.nodes()
    for number in range(40):
        worlds.create(f"vm{number}")
    assert script.refused > 10
    asked = NetworkInterfaceProperties(private_mac_address="25B684178C63", private_mac_allocation_method="Static")
    with pytest.raises(InvalidMacAddress, match="group address"):
        worlds.weft.do(Put(Path("networkInterfaces", "n1"), Resource(resource_id="n1", properties=asked)))
    worlds.check_ours()


def test_story_0_5_the_generator_never_gives_f_and_half_of_it_is_multicast() -> None:
    script = RandomOnNode(random.Random(1))
    drawn = [script.draw() for _ in range(2000)]
    assert not any("F" in f"{mac:012X}" for mac in drawn)
    assert 0.4 < sum(bool(mac & GROUP_BIT) for mac in drawn) / 2000 < 0.53
    worlds = Worlds(script)
    worlds.nodes()
    for number in range(300):
        worlds.create(f"vm{number}")
        assert not why_forbidden(worlds.ours.mac(f"vm{number}"))
    ours = {worlds.ours.mac(f"vm{number}") for number in range(300)}
    assert len(ours) == 300
    assert {mac & 0xF for mac in ours} == set(range(16)), "every digit comes"


def test_story_0_9_between_stop_and_make_static_another_machine_gets_the_address(worlds: Worlds) -> None:
    node, _ = worlds.nodes(size=2)
    worlds.run("old")
    worlds.create("new")
    drawn = draw_by_starting(node, worlds.machine("new"))
    worlds.run("thief")
    assert worlds.old.mac("thief") == drawn[0]
    make_static(node, worlds.machine("new"), drawn)
    worlds.start("new")
    assert worlds.old.twins == [("new", "thief")]
    worlds.check_ours()


def test_story_0_10_a_static_address_inside_a_dynamic_range_is_given_again_when_its_machine_is_away() -> None:
    worlds = Worlds(HostRangePlan())
    worlds.nodes(size=3)
    worlds.run("traveller")
    worlds.move("traveller", "node2")
    for number in range(3):
        worlds.run(f"vm{number}")
    assert worlds.old.twins == [("traveller", "vm2")]
    worlds.check_ours()


def test_story_0_12_the_seventeenth_host_of_a_cluster_falls_into_the_next_one(worlds: Worlds) -> None:
    worlds.host("a17", "10.0.0.1").set_range(*plan_bounds(0, 16))
    worlds.host("b1", "10.0.0.2").set_range(*plan_bounds(1, 0))
    worlds.run("a", "a17")
    worlds.run("b", "b1")
    assert worlds.old.twins == [("a", "b")]
    worlds.check_ours()


def test_story_0_13_a_node_left_on_its_default_range_lies_in_another_clusters_plan(worlds: Worlds) -> None:
    planned = worlds.host("planned", "10.0.0.1")
    planned.set_range(*plan_bounds(0x03, 0))
    planned.range.cursor = 0x500
    worlds.host("forgotten", "10.0.3.5")
    worlds.run("a", "planned")
    worlds.run("b", "forgotten")
    assert worlds.old.mac("b") == 0x00155D030500
    assert worlds.old.twins == [("a", "b")]
    worlds.check_ours()


def test_story_0_14_a_machine_away_from_home_is_given_another_address_at_power_on(worlds: Worlds) -> None:
    _, node2 = worlds.nodes()
    worlds.run("web")
    worlds.move("web", "node2")
    assert worlds.old.mac("web") not in node2.range
    worlds.power_cycle("web")
    assert worlds.old.mac("web") in node2.range
    assert worlds.old.world.changed == 1
    worlds.check_ours()


def test_story_0_c1_a_dhcp_reservation_is_lost_when_the_machine_starts_on_another_node(worlds: Worlds) -> None:
    worlds.nodes()
    worlds.run("web")
    reserved = {side: side.ip("web") for side in (worlds.old, worlds.ours)}
    worlds.stop("web")
    worlds.move("web", "node2")
    worlds.start("web")
    assert worlds.old.ip("web") != reserved[worlds.old]
    assert worlds.ours.ip("web") == reserved[worlds.ours]
    worlds.check_ours()


def test_story_0_c2_two_sites_have_hosts_with_the_same_last_octets(worlds: Worlds) -> None:
    first, second = worlds.host("site1", "10.1.3.5"), worlds.host("site2", "10.2.3.5")
    assert first.range.first == second.range.first
    worlds.run("a", "site1")
    worlds.run("b", "site2")
    assert worlds.old.twins == [("a", "b")]
    worlds.check_ours()


def test_story_0_c3_one_range_for_all_nodes(worlds: Worlds) -> None:
    for node in worlds.nodes():
        node.set_range(*plan_bounds(0, 0))
    for number in range(10):
        worlds.run(f"a{number}", "node1")
        worlds.run(f"b{number}", "node2")
    assert worlds.old.world.duplicates == 10
    worlds.check_ours()


def test_story_0_c4_addresses_that_mimic_ips_clash_between_two_encodings(worlds: Worlds) -> None:
    node, _ = worlds.nodes()
    for name, text in (("decimal", mimic_decimal("10.1.0.15")), ("hex", mimic_hex("16.1.0.21"))):
        worlds.create(name)
        node.set_static(worlds.machine(name), worlds.machine(name).adapters[0], Mac(parse_mac(text)))
        worlds.start(name)
    assert worlds.old.twins == [("decimal", "hex")]
    assert len(worlds.switch_events()) == 1
    with pytest.raises(InvalidMacAddress):
        parse_mac(mimic_decimal("172.16.0.253"))
    worlds.check_ours()
