"""Where the addresses of an interface come from: owners, drain, chance, a host's range."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface
from weft.core.decide.draft import Draft
from weft.core.decide.granting import ANYWHERE, anywhere_in, next_mac
from weft.core.pools import Pool, PoolSpec


def pool(first: int, last: int, **more: Any) -> dict[str, Any]:
    return {"startMacAddress": f"{first:012X}", "endMacAddress": f"{last:012X}", **more}


def mac_of(world: World, name: str, tenant: str = "", **more: Any) -> str:
    envelope = {"resourceMetadata": {"tenantId": tenant}} if tenant else {}
    stored = world.put(f"/networkInterfaces/{name}", dynamic_interface(None, **more), **envelope).resource
    return stored.properties.private_mac_address


def on(server: str, **more: Any) -> dict[str, Any]:
    return {"server": {"resourceRef": f"/servers/{server}"}, **more}


@pytest.fixture
def owned() -> World:
    """Pools for everybody (e), for tenant T, for host group G, for both (b), two addresses each."""
    world = World()
    for at, (name, owners) in enumerate(
        {
            "a-everybody": {},
            "tenant": {"tenantId": "Acme "},
            "group": {"hostGroup": "rack1"},
            "both": {"tenantId": "acme", "hostGroup": "Rack1"},
        }.items()
    ):
        world.put(f"/macPools/{name}", pool(0x020000000000 + 16 * at, 0x020000000001 + 16 * at, **owners))
    world.put("/servers/h1", {"hostGroup": "rack1"})
    world.put("/servers/h2", {})
    return world


def test_an_owners_pools_come_first_by_id_then_everybodys(owned: World) -> None:
    macs = [mac_of(owned, f"n{at}", "ACME", **on("h1"))[-2:] for at in range(8)]
    assert macs == ["30", "31", "20", "21", "10", "11", "00", "01"]


def test_a_tenants_pool_is_for_that_tenant_and_a_groups_for_that_group(owned: World) -> None:
    assert [mac_of(owned, f"t{at}", "acme", **on("h2"))[-2:] for at in range(3)] == ["10", "11", "00"]
    assert [mac_of(owned, f"g{at}", "other", **on("h1"))[-2:] for at in range(3)] == ["20", "21", "01"]
    refusal = owned.refused("/networkInterfaces/x", dynamic_interface(None))
    assert "/macPools/a-everybody (2 addresses: 2 assigned)" in refusal.message
    assert "tenant" not in refusal.message


def test_an_interface_of_a_machine_is_where_its_machine_is(owned: World) -> None:
    owned.put("/networkInterfaces/n1", static_interface("101010101105", None))
    owned.machine("m1", "h1", "Off", "n1")
    owned.delete("/weft/virtualMachines/m1")
    owned.machine("m1", None, "Off", "n1")
    assert owned.put("/networkInterfaces/n1", static_interface("101010101105", None)).outcome == "unchanged"


def test_a_pool_that_changes_its_owner_grants_to_the_new_one(owned: World) -> None:
    owned.put("/macPools/tenant", pool(0x020000000010, 0x020000000011, tenantId="zeta"))
    assert mac_of(owned, "z1", "zeta") == "020000000010"
    assert mac_of(owned, "t1", "acme") == "020000000000"
    owned.delete("/networkInterfaces/z1")
    owned.delete("/macPools/tenant")
    assert mac_of(owned, "z1", "zeta") == "020000000001"


def test_pools_that_are_all_for_others_are_named() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x020000000001, tenantId="acme", hostGroup="rack1"))
    refusal = world.refused("/networkInterfaces/n1", dynamic_interface(None))
    assert refusal.code == "MacPoolIsFull"
    assert "/macPools/p is for tenant acme and host group rack1" in refusal.message


def test_a_drained_pool_grants_nothing_and_keeps_what_it_gave() -> None:
    world = World()
    world.put("/macPools/a", pool(0x020000000000, 0x020000000001))
    assert mac_of(world, "n1") == "020000000000"
    world.put("/macPools/a", pool(0x020000000000, 0x020000000001, drain=True))
    refusal = world.refused("/networkInterfaces/n2", dynamic_interface(None))
    assert "1 assigned, drained, so it grants nothing" in refusal.message
    world.put("/macPools/b", pool(0x020000000010, 0x020000000011))
    assert mac_of(world, "n2") == "020000000010"
    assert world.put("/networkInterfaces/n1", dynamic_interface(None)).outcome == "unchanged"


def test_a_drained_ip_pool_grants_nothing_to_interfaces_and_servers() -> None:
    world = World()
    world.fabric()
    network = world.get("/logicalNetworks/hnvpa").properties
    first = network.subnets[0].properties
    drained = {
        "addressPrefix": first.address_prefix,
        "ipPools": [
            {"resourceId": "pool", "properties": {"startIpAddress": "192.168.1.10", "endIpAddress": "192.168.1.20"}},
            {"resourceId": "b", "properties": {"startIpAddress": "192.168.1.30", "endIpAddress": "192.168.1.30"}},
        ],
    }
    drained["ipPools"][0]["properties"]["drain"] = True
    world.put("/logicalNetworks/hnvpa/subnets/pa1", drained)
    adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}
    body = {"networkInterfaces": [{"resourceId": "nic1", "properties": adapter}]}
    assert world.put("/servers/h3", body).resource.properties.provider_addresses == ("192.168.1.30",)
    assert world.refused("/servers/h4", body).code == "PAIpAddressExhausted"
    office = {"addressPrefix": "172.16.0.0/24", "ipPools": drained["ipPools"]}
    for one in office["ipPools"]:
        one["properties"] = {
            key: str(value).replace("192.168.1", "172.16.0") for key, value in one["properties"].items()
        }
        one["properties"].pop("drain", None)
    office["ipPools"][0]["properties"]["drain"] = True
    world.put("/logicalNetworks/office", {"subnets": [{"resourceId": "lan", "properties": office}]})
    got = world.interface("n1", "/logicalNetworks/office/subnets/lan").properties.ip_configurations[0].properties
    assert got.private_ip_address == "172.16.0.30"


def test_random_grants_reach_every_address_and_never_one_twice() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x0200000000FF, strategy="Random"))
    assert world.get("/macPools/p").properties.strategy == "random"
    macs = [mac_of(world, f"n{at}") for at in range(256)]
    assert len(set(macs)) == 256
    assert macs != sorted(macs)
    assert world.state.cursors.get("/macpools/p") is None
    assert world.refused("/networkInterfaces/more", dynamic_interface(None)).code == "MacPoolIsFull"


def test_an_interface_may_ask_for_a_random_address_of_any_pool() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x02000000FFFF))
    macs = [mac_of(world, f"n{at}", strategy="random") for at in range(4)]
    assert macs != [f"{0x020000000000 + at:012X}" for at in range(4)]
    assert world.get("/networkInterfaces/n0").properties.strategy == "random"
    assert mac_of(world, "plain", strategy="Central") == "020000000000"


def test_a_generator_that_repeats_itself_gives_no_address_twice() -> None:
    """S9: the same draw again is no reason to try again: the next free address is taken."""
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x0200000000FF, strategy="random"))
    held = Pool(PoolSpec("k", "K", "mac", 0x020000000000, 0x0200000000FF))
    start = anywhere_in(held, lambda: "always the same")
    world.put("/networkInterfaces/s", static_interface(f"{start:012X}", None))
    found = next_mac(Draft(world.state, world.now, lambda: "always the same"), ANYWHERE)
    assert found == (start + 1 if start < held.spec.last else held.spec.first)


def test_every_address_of_a_pool_can_be_where_a_random_grant_begins() -> None:
    held = Pool(PoolSpec("k", "K", "mac", 10, 25))
    assert {anywhere_in(held, lambda at=at: f"id {at}") for at in range(400)} == set(range(10, 26))


@pytest.mark.parametrize(("strategy", "target"), [("round-robin", "strategy")])
def test_a_strategy_that_nobody_knows_is_refused(strategy: str, target: str) -> None:
    refusal = World().refused("/networkInterfaces/n1", dynamic_interface(None, strategy=strategy))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", target)


def test_an_interface_on_a_server_that_is_not_there_is_refused() -> None:
    refusal = World().refused("/networkInterfaces/n1", dynamic_interface(None, **on("none")))
    assert (refusal.code, refusal.target) == ("InvalidResourceReference", "server")


# -- hosts' ranges


@pytest.fixture
def planned() -> World:
    world = World()
    world.fabric()
    world.put("/weft/addressPlans/hv", {})
    for name in ("h1", "h2"):
        body = {"addressPlan": {"resourceRef": "/weft/addressPlans/hv"}, "clusterNumber": 3}
        world.put(f"/servers/{name}", body)
    return world


def test_a_hosts_interface_is_granted_from_the_hosts_range_alone(planned: World) -> None:
    assert mac_of(planned, "n1", strategy="hostRange", **on("h2")) == "00155D031000"
    assert mac_of(planned, "n2", strategy="hostrange", **on("h1")) == "00155D030000"
    assert mac_of(planned, "n3") == "020000000000"
    stored = planned.get("/networkInterfaces/n2").properties
    assert (stored.strategy, stored.server.resource_ref) == ("hostRange", "/servers/h1")


def test_without_a_host_there_is_no_address_until_it_is_bound(planned: World) -> None:
    assert mac_of(planned, "n1", strategy="hostRange") is None
    planned.machine("m1", "h2", "Off", "n1")
    assert planned.get("/networkInterfaces/n1").properties.private_mac_address == "00155D031000"


def test_a_machine_without_a_server_leaves_the_word_to_its_interface(planned: World) -> None:
    assert mac_of(planned, "n1", strategy="hostRange") is None
    planned.machine("m1", None, "Off", "n1")
    assert mac_of(planned, "n1", strategy="hostRange", **on("h1")) == "00155D030000"


def test_a_host_without_a_range_is_said_so(planned: World) -> None:
    planned.put("/servers/h3", {})
    refusal = planned.refused("/networkInterfaces/n1", dynamic_interface(None, strategy="hostRange", **on("h3")))
    assert refusal.code == "NoHostRange"
    assert "/servers/h3 has no macRange" in refusal.message


def test_a_full_host_range_says_what_to_do() -> None:
    world = World()
    world.put("/weft/addressPlans/small", {"prefix": "00-15-5D-00", "interfaceDigits": 1})
    world.put("/servers/h1", {"addressPlan": {"resourceRef": "/weft/addressPlans/small"}})
    for at in range(16):
        mac_of(world, f"n{at}", strategy="hostRange", **on("h1"))
    refusal = world.refused("/networkInterfaces/n16", dynamic_interface(None, strategy="hostRange", **on("h1")))
    assert refusal.code == "MacPoolIsFull"
    assert (
        "No address is free in /servers/h1/macRange (16 addresses: 16 assigned). Use strategy central"
        in refusal.message
    )
