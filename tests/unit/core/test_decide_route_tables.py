"""PUT and DELETE of routeTables: each rule of 3.1.5.10 with its code, and the subnets that name one."""

from typing import Any

import pytest

from tests.unit.core.world import World, virtual_network

TABLE = "/routeTables/hub"


def routes(*wanted: dict[str, Any]) -> dict[str, Any]:
    """Routes r0, r1 ..."""
    return {"routes": [{"resourceId": f"r{at}", "properties": one} for at, one in enumerate(wanted)]}


def route(
    prefix: str = "10.9.0.0/16", hop: str = "VirtualAppliance", address: str | None = "10.1.1.4"
) -> dict[str, Any]:
    return {"addressPrefix": prefix, "nextHopType": hop, "nextHopIpAddress": address}


def routed(prefix: str = "10.1.1.0/24", ref: str = TABLE) -> dict[str, Any]:
    return {"addressPrefix": prefix, "routeTable": {"resourceRef": ref}}


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    world.network()
    return world


def test_routes_are_stored_in_canonical_form(world: World) -> None:
    world.put(
        TABLE,
        routes(route("FD00:9::/32", "virtualappliance", "FD00:0::4"), route("0.0.0.0/0", "internet", None)),
    )
    first, second = (one.properties for one in world.get(TABLE).properties.routes)
    assert (first.address_prefix, first.next_hop_type, first.next_hop_ip_address) == (
        "fd00:9::/32",
        "VirtualAppliance",
        "fd00::4",
    )
    assert (second.address_prefix, second.next_hop_type, second.next_hop_ip_address) == ("0.0.0.0/0", "Internet", None)


@pytest.mark.parametrize(
    ("one", "code", "target"),
    [
        (route(""), "InvalidRouteAddressPrefix", "addressPrefix"),
        (route("10.9.0.1/16"), "InvalidRouteAddressPrefix", "addressPrefix"),
        (route("LAN"), "InvalidRouteAddressPrefix", "addressPrefix"),
        (route("224.0.0.0/4"), "AddressPrefixInRestrictedAddressSpace", "addressPrefix"),
        (route("127.0.0.0/8"), "AddressPrefixInRestrictedAddressSpace", "addressPrefix"),
        (route("fe80::/64", address="fd00::1"), "AddressPrefixInRestrictedAddressSpace", "addressPrefix"),
        (route(hop=""), "InvalidParameterValue", "nextHopType"),
        (route(hop="Blackhole"), "InvalidParameterValue", "nextHopType"),
        (route(address=None), "MissingNextHopIpAddress", "nextHopIpAddress"),
        (route(address=""), "MissingNextHopIpAddress", "nextHopIpAddress"),
        (route(address="10.1.1"), "InvalidNextHopIpAddress", "nextHopIpAddress"),
        (route(address="fd00::4"), "InvalidNextHopIpAddress", "nextHopIpAddress"),
        (route(address="224.0.0.5"), "InvalidNextHopIpAddress", "nextHopIpAddress"),
        (route(hop="VnetLocal"), "NextHopIpAddressNotAllowed", "nextHopIpAddress"),
        (route(hop="None"), "NextHopIpAddressNotAllowed", "nextHopIpAddress"),
        (route(hop="VirtualNetworkGateway"), "NextHopIpAddressNotAllowed", "nextHopIpAddress"),
        (route("10.9.0.0/16", "Internet", None), "AddressPrefixMustBeInPublicAddressSpace", "addressPrefix"),
    ],
)
def test_a_wrong_route_is_refused_with_its_code(world: World, one: dict[str, Any], code: str, target: str) -> None:
    refusal = world.refused(TABLE, routes(one))
    assert (refusal.code, refusal.target) == (code, target)


@pytest.mark.parametrize(
    "one",
    [
        route("0.0.0.0/0"),
        route("::/0", address="fd00::4"),
        route("8.8.8.0/24", "Internet", None),
        route("10.9.0.0/16", "VnetLocal", ""),
        route("10.9.0.0/16", "None", None),
        route("10.1.1.7/32", "none", None),
    ],
)
def test_routes_of_every_kind_are_taken(world: World, one: dict[str, Any]) -> None:
    assert world.put(TABLE, routes(one)).outcome == "created"


def test_two_routes_cannot_be_for_one_prefix(world: World) -> None:
    refusal = world.refused(TABLE, routes(route(), route(hop="None", address=None)))
    assert refusal.code == "RouteConflict"
    assert "r0 and r1" in refusal.message
    world.put(TABLE, routes(route()))
    assert world.refused(f"{TABLE}/routes/again", route()).code == "RouteConflict"


def test_a_subnet_names_a_table_that_exists(world: World) -> None:
    web = "/virtualNetworks/blue/subnets/web"
    for ref in (TABLE, "/accessControlLists/hub", f"{TABLE}/routes/r0"):
        refusal = world.refused(web, routed(ref=ref))
        assert (refusal.code, refusal.target) == ("InvalidResourceReference", "routeTable")
    world.put(TABLE, {})
    world.put(web, routed(ref=TABLE.lower()))
    ((network, subnet),) = world.state.subnets_with_table(TABLE)
    assert (network.resource_id, subnet.resource_id) == ("blue", "web")
    assert subnet.properties.route_table.resource_ref == TABLE


def test_a_table_in_use_cannot_be_deleted(world: World) -> None:
    world.put(TABLE, {})
    world.put("/virtualNetworks/blue/subnets/web", routed())
    refusal = world.refused_delete(TABLE)
    assert refusal.code == "InUseRouteTableCannotBeDeleted"
    assert "/virtualNetworks/blue/subnets/web" in refusal.message
    world.put("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24"}))
    assert world.delete(TABLE).outcome == "deleted"


@pytest.mark.parametrize(
    ("address", "code"),
    [("10.2.1.4", "RouteNextHopIpAddressNotFound"), ("10.1.1.1", "InvalidNextHopIpAddress")],
)
def test_an_appliance_is_where_a_machine_of_the_network_could_be(world: World, address: str, code: str) -> None:
    web = "/virtualNetworks/blue/subnets/web"
    world.put("/routeTables/wrong", routes(route(address=address)))
    assert world.refused(web, routed(ref="/routeTables/wrong")).code == code
    world.put(TABLE, routes(route()))
    world.put(web, routed())
    assert world.refused(TABLE, routes(route(address=address))).code == code


def test_an_appliance_may_be_in_another_subnet_of_the_network(world: World) -> None:
    world.put(TABLE, routes(route(address="10.1.2.4")))
    body = virtual_network({"web": routed(), "edge": "10.1.2.0/24"})
    assert world.put("/virtualNetworks/blue", body).outcome == "replaced"
    assert world.refused("/virtualNetworks/blue", virtual_network({"web": routed()})).code == (
        "RouteNextHopIpAddressNotFound"
    )
