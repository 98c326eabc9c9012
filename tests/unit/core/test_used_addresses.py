"""What hosts send a network's packets from, worked out for all subnets at once: the same as for one after the other."""

import pytest

from tests.unit.core.test_decide_in_use import peered
from tests.unit.core.test_decide_provider_addresses import change_of, goes_on, placed, world_of
from tests.unit.core.world import World, virtual_network
from weft.core import provider_places
from weft.core.peerings import routed
from weft.core.provider_places import UsedAddresses, provider_address
from weft.model.values import PackedIp

SUBNETS = {f"s{n}": f"10.1.{n}.0/24" for n in range(3, 12)} | {"web": "10.1.1.0/24", "db": "10.1.2.0/24"}

BLUE = virtual_network(SUBNETS, ("10.1.0.0/16",))


def one_by_one(world: World, server: str) -> set[PackedIp]:
    blue = world.get("/virtualNetworks/blue")
    senders = [blue, *(remote for _, _, remote in routed(world.state, blue))]
    found = {
        provider_address(world.state, server, one, subnet)
        for one in senders
        for subnet in (None, *one.properties.subnets)
    }
    return {one for one in found if one is not None}


def agree(world: World) -> None:
    used = UsedAddresses(world.state, world.get("/virtualNetworks/blue"))
    for name in ("h1", "h2"):
        assert used.of(world.get(f"/servers/{name}")) == one_by_one(world, name)


@pytest.mark.parametrize(
    ("policy", "count", "most"),
    [("perHost", 1, 1), ("several", 3, 3), ("perVirtualSubnet", 1, 3), ("perHostInUse", 1, 1)],
)
def test_all_at_once_is_one_by_one(policy: str, count: int, most: int) -> None:
    world = world_of(policy, count)
    agree(world)
    world.put("/virtualNetworks/blue", BLUE)
    placed(world, "vm1")
    placed(world, "vm2", "db")
    placed(world, "vm3", "s5", "h2")
    assert len(one_by_one(world, "h1")) == most
    agree(world)
    for name, other in (("red", "blue"), ("blue", "red")):
        body = BLUE if name == "blue" else virtual_network({"far": "10.8.1.0/24"}, ("10.8.0.0/16",))
        world.put(f"/virtualNetworks/{name}", body | peered(other))
    world.interface("vm4-nic", "/virtualNetworks/red/subnets/far")
    world.machine("vm4", "h1", "Off", "vm4-nic")
    assert len(one_by_one(world, "h1")) == most + (policy == "perVirtualSubnet")
    agree(world)


def test_while_they_change_those_in_use_count() -> None:
    world = world_of("several", 3)
    world.put("/virtualNetworks/blue", BLUE)
    placed(world, "vm1")
    world.power("vm1", "Running")
    own = world.get("/servers/h1").properties
    texts = ["192.168.1.19", *own.provider_addresses[1:]]
    adapters = [
        {"resourceId": "a", "properties": {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}}
    ]
    world.put("/servers/h1", {"networkInterfaces": adapters, "providerAddresses": texts})
    assert change_of(world).coming == ("192.168.1.19",)
    agree(world)
    before = one_by_one(world, "h1")
    goes_on(world, "switched")
    agree(world)
    assert one_by_one(world, "h1") != before


def test_which_subnet_falls_to_which_of_several_is_worked_out_once() -> None:
    """It is asked for every host of a network at every revision, as long as something waits for tunnels."""
    world = world_of("several", 3)
    agree(world)
    misses = provider_places.addresses_of_all.cache_info().misses
    placed(world, "vm1")
    agree(world)
    assert provider_places.addresses_of_all.cache_info().misses == misses
