"""Which subnets are one L2 domain, as adapters and VLANs come and go."""

import copy

import pytest

from tests.unit.core.subnets import adapters, ref, subnet
from tests.unit.core.world import World, static_interface
from weft.core.l2 import subnet_on


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    world.network("blue")
    world.put("/logicalNetworks/a", {"subnets": [subnet("lan", 10, 1), subnet("dmz", 20, 2), subnet("raw", 0, 3)]})
    world.put("/logicalNetworks/b", {"subnets": [subnet("lan", 10, 1), subnet("raw", 0, 3)]})
    world.put("/logicalNetworks/c", {"subnets": [subnet("lan", 10, 1)]})
    return world


def meet(world: World, one: str, other: str) -> bool:
    return world.state.meet(ref(one).lower(), ref(other).lower())


def test_a_subnet_meets_itself_and_what_has_none_meets_everyone(world: World) -> None:
    assert meet(world, "a/lan", "a/lan")
    assert world.state.meet("", ref("a/lan").lower())
    assert world.state.meet(ref("a/lan").lower(), "")
    assert not meet(world, "a/lan", "b/lan")
    assert not world.state.meet("/virtualnetworks/blue/subnets/web", ref("a/lan").lower())


def test_one_adapter_joins_subnets_of_one_vlan(world: World) -> None:
    world.put("/servers/s1", adapters("a/lan a/dmz b/lan a/raw b/raw"))
    assert meet(world, "a/lan", "b/lan")
    assert meet(world, "a/raw", "b/raw")
    assert not meet(world, "a/lan", "a/dmz")
    assert not meet(world, "a/lan", "a/raw")
    assert not meet(world, "b/lan", "c/lan")


def test_two_adapters_join_nothing(world: World) -> None:
    world.put("/servers/s1", adapters("a/lan", "b/lan"))
    assert not meet(world, "a/lan", "b/lan")


def test_domains_reach_over_hosts_and_end_with_what_joined_them(world: World) -> None:
    before = copy.deepcopy(world.state)
    first = world.put("/servers/s1", adapters("a/lan b/lan"))
    second = world.put("/servers/s2", adapters("b/lan c/lan"))
    third = world.put("/servers/s3", adapters("b/lan c/lan"))
    assert meet(world, "a/lan", "c/lan")
    assert world.state != before
    world.delete("/servers/s2")
    assert meet(world, "a/lan", "c/lan")
    world.put("/servers/s3", adapters("c/lan"))
    assert not meet(world, "a/lan", "c/lan")
    assert meet(world, "a/lan", "b/lan")
    assert [one.outcome for one in (first, second, third)] == ["created"] * 3


def test_turning_back_a_server_turns_back_its_domains(world: World) -> None:
    before = copy.deepcopy(world.state)
    decision = world.put("/servers/s1", adapters("a/lan b/lan", "a/raw b/raw"))
    for change in reversed(decision.changes):
        world.state.revert(change)
    assert world.state == before
    assert not meet(world, "a/lan", "b/lan")


def test_a_long_chain_is_one_domain() -> None:
    world = World()
    names = [f"n{at}" for at in range(12)]
    for name in names:
        world.put(f"/logicalNetworks/{name}", {"subnets": [subnet("lan", 5, 1)]})
    for at in (0, 4, 2, 8, 10, 6, 1, 3, 5, 7, 9):
        world.put(f"/servers/s{at}", adapters(f"n{at}/lan n{at + 1}/lan"))
    assert all(meet(world, f"{one}/lan", "n11/lan") for one in names)


def test_a_vlan_changes_only_while_no_adapter_carries_it(world: World) -> None:
    world.put("/servers/s1", adapters("a/lan b/lan"))
    changed = {"subnets": [subnet("lan", 11, 1), subnet("raw", 0, 3)]}
    assert world.refused("/logicalNetworks/b", changed).code == "InUseSubnetCannotBeUpdated"
    world.delete("/servers/s1")
    world.put("/logicalNetworks/b", changed)
    world.put("/servers/s1", adapters("a/lan b/lan"))
    assert not meet(world, "a/lan", "b/lan")


def test_the_same_mac_is_refused_once_its_subnets_can_meet(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", ref("a/lan"), "172.16.1.5"))
    world.put("/networkInterfaces/n2", static_interface("101010101105", ref("b/lan"), "172.16.1.5"))
    world.put("/servers/s1", adapters("b/lan c/lan"))
    refusal = world.refused("/networkInterfaces/n3", static_interface("101010101105", ref("c/lan"), "172.16.1.5"))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n2" in refusal.message


def test_the_subnet_of_a_port_follows_from_its_vlan(world: World) -> None:
    world.put("/servers/s1", adapters("a/lan a/raw", "b/lan"))
    server = world.get("/servers/s1")
    segments = world.state.addresses.segments
    assert subnet_on(segments, server, 10) == "/logicalnetworks/a/subnets/lan"
    assert subnet_on(segments, server, 0) == "/logicalnetworks/a/subnets/raw"
    assert subnet_on(segments, server, 20) == ""
    assert subnet_on(segments, world.put("/servers/s2", {}).resource, 10) == ""


def test_domains_compare_with_domains_alone(world: World) -> None:
    assert world.state.domains != 5
    with pytest.raises(TypeError):
        hash(world.state.domains)
