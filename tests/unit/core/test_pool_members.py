"""What pools and subnets take besides their bounds: strategy, warning, owners, exclusions, and what keeps them."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface, virtual_network
from weft.core.commands import MarkMachine
from weft.core.copy_commands import TakeCheckpoint
from weft.model.values import Now


def pool(**more: Any) -> dict[str, Any]:
    return {"startMacAddress": "020000000000", "endMacAddress": "02000000000F", **more}


def lan(**more: Any) -> dict[str, Any]:
    one = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.19", **more}
    return {"addressPrefix": "172.16.0.0/24", "ipPools": [{"resourceId": "p", "properties": one}]}


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric(("02-00-00-00-00-00", "02-00-00-00-00-0F"))
    world.network("blue")
    world.put("/logicalNetworks/office", {})
    return world


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({"warnAtPercent": -1}, "warnAtPercent"),
        ({"warnAtPercent": 101}, "warnAtPercent"),
        ({"strategy": "hostRange"}, "strategy"),
        ({"strategy": "any"}, "strategy"),
        ({"releaseInactiveAfterSeconds": -1}, "releaseInactiveAfterSeconds"),
    ],
)
def test_a_member_out_of_bounds_is_refused(world: World, more: dict[str, Any], target: str) -> None:
    refusal = world.refused("/macPools/p1", pool(**more))
    assert (refusal.status, refusal.target) == (400, target)


def test_a_hosts_range_is_pointed_to_where_it_comes_from(world: World) -> None:
    assert "addressPlan" in world.refused("/macPools/p1", pool(strategy="hostRange")).message
    assert world.put("/macPools/p1", pool(strategy="")).resource.properties.strategy == "central"


def test_subnets_and_their_pools_check_their_warning_too(world: World) -> None:
    assert world.refused("/logicalNetworks/office/subnets/lan", lan(warnAtPercent=101)).target == "warnAtPercent"
    body = virtual_network({"web": {"addressPrefix": "10.1.1.0/24", "warnAtPercent": -1}})
    assert world.refused("/virtualNetworks/blue", body).target == "warnAtPercent"


def test_a_pool_warns_from_its_percentage_on_and_no_more_below(world: World) -> None:
    world.put("/macPools/p1", pool(warnAtPercent=25, coolDownSeconds=0))
    held = world.state.space("/macpools/p1")
    assert held is not None
    for at in range(3):
        world.interface(f"n{at}", None)
    assert not held.warns
    world.interface("n3", None)
    assert held.warns
    world.delete("/networkInterfaces/n3")
    assert not held.warns
    world.put("/macPools/p1", pool(warnAtPercent=10, coolDownSeconds=0))
    assert held.warns
    world.put("/macPools/p1", pool(warnAtPercent=0, coolDownSeconds=0))
    assert not held.warns


def test_excluded_addresses_of_a_virtual_subnet_are_granted_to_nobody(world: World) -> None:
    excluded = [{"first": "10.1.1.2", "last": "10.1.1.4", "reason": "old printers"}, {"first": "10.1.1.6"}]
    world.put("/virtualNetworks/blue", virtual_network({"web": {"addressPrefix": "10.1.1.0/24", "excluded": excluded}}))
    got = [world.interface(f"n{at}").properties.ip_configurations[0].properties.private_ip_address for at in range(2)]
    assert got == ["10.1.1.5", "10.1.1.7"]
    refusal = world.refused("/networkInterfaces/s", static_interface("101010101105", ip="10.1.1.3"))
    assert refusal.code == "PrivateIPAddressInReservedRange"
    assert "old printers" in refusal.message
    stored = world.get("/virtualNetworks/blue/subnets/web").properties.excluded
    assert [(one.first, one.last) for one in stored] == [("10.1.1.2", "10.1.1.4"), ("10.1.1.6", "10.1.1.6")]


@pytest.mark.parametrize(
    "one", [{"first": "10.1.2.1"}, {"first": "10.1.1.9", "last": "10.1.1.8"}, {"first": "fd00::1"}]
)
def test_an_exclusion_outside_of_its_subnet_is_refused(world: World, one: dict[str, str]) -> None:
    body = virtual_network({"web": {"addressPrefix": "10.1.1.0/24", "excluded": [one]}})
    assert world.refused("/virtualNetworks/blue", body).target == "excluded"


# -- what keeps a pool or a subnet


def test_a_checkpoint_keeps_the_subnets_and_pools_of_what_it_would_bring_back(world: World) -> None:
    world.put("/logicalNetworks/office/subnets/lan", lan())
    world.put("/networkInterfaces/n1", dynamic_interface("/logicalNetworks/office/subnets/lan"))
    world.interface("n2")
    world.machine("m1", "h1", "Off", "n1", "n2")
    world.do(TakeCheckpoint("m1", "c1"))
    world.machine("m1", "h1", "Off")
    for name in ("n1", "n2"):
        world.delete(f"/networkInterfaces/{name}")
    assert world.counts("/macpools/p1") == {"retained": 2, "free": 14}
    owner = "/weft/virtualMachines/m1/checkpoints/c1"
    refusal = world.refused_delete("/macPools/p1")
    assert (refusal.code, owner in refusal.message) == ("InUseMacPoolCannotBeDeleted", True)
    refusal = world.refused_delete("/logicalNetworks/office/subnets/lan")
    assert (refusal.code, owner in refusal.message) == ("InUseSubnetCannotBeDeleted", True)
    refusal = world.refused_delete("/logicalNetworks/office/subnets/lan/ipPools/p")
    assert (refusal.code, owner in refusal.message) == ("InUseIpPoolCannotBeDeleted", True)
    refusal = world.refused_delete("/virtualNetworks/blue/subnets/web")
    assert (refusal.code, owner in refusal.message) == ("InUseSubnetCannotBeDeleted", True)
    assert world.refused_delete("/virtualNetworks/blue").code == "ResourceInUse"


def test_a_full_pool_says_what_retained_and_inactive_addresses_would_give_back(world: World) -> None:
    world.put("/macPools/p1", pool(releaseInactiveAfterSeconds=100))
    for at in range(16):
        world.interface(f"n{at}", None)
    world.machine("m1", "h1", "Off", "n0", "n1")
    world.machine("m2", "h1", "Off", "n2")
    world.do(TakeCheckpoint("m2", "c1"))
    world.machine("m2", "h1", "Off")
    world.delete("/networkInterfaces/n2")
    world.do(MarkMachine("m1", "deleted on h1"))
    message = world.refused("/networkInterfaces/more", dynamic_interface(None)).message
    assert "15 assigned, 1 retained" in message
    assert "release the 2 that inactive machines hold" in message
    assert "delete checkpoints and exports that keep 1" in message


def test_inactive_addresses_are_due_by_the_rule_of_their_pool(world: World) -> None:
    world.put("/macPools/p1", pool(releaseInactiveAfterSeconds=100))
    held = world.state.space("/macpools/p1")
    assert held is not None
    for at, name in enumerate(("m1", "m2")):
        world.interface(f"n{at}", None)
        world.machine(name, "h1", "Off", f"n{at}")
        world.do(MarkMachine(name, "gone"))
        world.now = Now(world.now.ledger + 10, world.now.wall)
    now = world.now.ledger
    assert held.inactive_due(now + 79, 10) == []
    assert held.inactive_due(now + 80, 10) == [0x020000000000]
    assert held.inactive_due(now + 90, 10) == [0x020000000000, 0x020000000001]
    assert held.inactive_due(now + 90, 1) == [0x020000000000]
    world.do(MarkMachine("m1", ""))
    assert held.inactive_due(now + 90, 10) == [0x020000000001]
    world.put("/macPools/p1", pool())
    assert held.inactive_due(now + 9000, 10) == []


def test_a_pool_takes_over_inactive_addresses_that_lay_outside(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", None))
    world.put("/networkInterfaces/n2", static_interface("101010101106", None))
    world.machine("m1", "h1", "Off", "n1")
    world.do(MarkMachine("m1", "gone"))
    body = {"startMacAddress": "101010101100", "endMacAddress": "1010101011FF", "releaseInactiveAfterSeconds": 5}
    world.put("/macPools/p2", body)
    held = world.state.space("/macpools/p2")
    assert held is not None
    assert held.inactive_due(world.now.ledger + 5, 10) == [0x101010101105]
