"""PUT and DELETE of gatewayPools, gateways and virtualGateways."""

from typing import Any

import pytest

from tests.unit.core.gateway_world import (
    VIPS,
    VLAN,
    GatewayWorld,
    gateway,
    gre,
    l3,
    pool,
    ref,
    subnet,
    virtual_gateway,
)
from weft.core.commands import RemoveServer

# Pools and gateways


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (pool("s2sIPsec"), "OperationNotSupported"),
        (pool("nothing"), "InvalidParameterValue"),
        ({"type": "s2sGre"}, "RequiredParamMissing"),
        ({"type": "All"}, "RequiredParamMissing"),
        (pool(redundantGatewayCount=-1), "InvalidParameterValue"),
        (pool(gatewayCapacityKiloBitsPerSecond=-1), "InvalidParameterValue"),
        (
            pool() | {"ipConfiguration": {"greVipSubnets": [ref("/virtualNetworks/blue/subnets/web")]}},
            "InvalidResourceReference",
        ),
        (
            pool() | {"ipConfiguration": {"greVipSubnets": [ref("/logicalNetworks/hnvpa/subnets/pa1")]}},
            "InvalidParameterValue",
        ),
    ],
)
def test_what_cannot_be_a_pool_is_refused(body: dict[str, Any], code: str) -> None:
    assert GatewayWorld().refused("/gatewayPools/other", body).code == code


def test_near_ends_of_tunnels_are_ipv4() -> None:
    world = GatewayWorld()
    world.put("/logicalNetworks/six", {"subnets": [subnet("s", "2001:db8::/64", 0, ("2001:db8::10", "2001:db8::20"))]})
    vips = {"greVipSubnets": [ref("/logicalNetworks/six/subnets/s")]}
    assert "no IPv4 prefix" in world.refused("/gatewayPools/other", pool() | {"ipConfiguration": vips}).message


def test_a_forwarding_pool_needs_no_outer_addresses() -> None:
    world = GatewayWorld()
    assert world.put("/gatewayPools/other", {"type": "FORWARDING"}).resource.properties.type == "forwarding"


def test_a_pool_with_a_gateway_is_not_deleted() -> None:
    world = GatewayWorld()
    refusal = world.refused_delete("/gatewayPools/gp")
    assert (refusal.code, "/gateways/g1" in refusal.message) == ("ResourceInUse", True)


def test_a_pool_goes_on_serving_what_draws_on_it() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", gre()))
    assert world.refused("/gatewayPools/gp", pool("forwarding")).code == "ResourceInUse"
    assert world.refused("/gatewayPools/gp", pool() | {"ipConfiguration": {"greVipSubnets": [ref(VLAN)]}}).code == (
        "ResourceInUse"
    )


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "RequiredParamMissing"),
        ({"pool": ref("/gatewayPools/gp")}, "RequiredParamMissing"),
        (gateway("h1", "none"), "InvalidResourceReference"),
        (gateway("none"), "InvalidResourceReference"),
        (gateway("h1"), "ServerInUse"),
    ],
)
def test_what_cannot_be_a_gateway_is_refused(body: dict[str, Any], code: str) -> None:
    assert GatewayWorld().refused("/gateways/g3", body).code == code


def test_a_gateway_stays_where_it_is_and_keeps_its_server() -> None:
    world = GatewayWorld()
    world.put("/gatewayPools/other", pool())
    assert world.put("/gateways/g1", gateway("H1", "GP")).outcome == "unchanged"
    assert world.refused("/gateways/g1", gateway("h1", "other")).target == "pool"
    assert world.refused("/gateways/g1", gateway("h2")).target == "server"
    for refusal in (world.refused_delete("/servers/h1"), world.refuses(RemoveServer("h1"))):
        assert refusal.code == "InUseServerCannotBeDeleted"
        assert "delete that first (weft delete gateways/g1)" in refusal.message
    world.delete("/gateways/g1")
    world.delete("/servers/h1")


# Which gateways serve


def test_the_gateway_that_carries_least_comes_first_and_others_stand_by() -> None:
    world = GatewayWorld(redundant=1)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.put("/virtualGateways/w", virtual_gateway("red"))
    assert world.gateways_of("v") == ["/gateways/g1", "/gateways/g2"]
    assert world.gateways_of("w") == ["/gateways/g2", "/gateways/g1"]


def test_the_order_stays_when_something_else_changes() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(), gateways=[ref("/gateways/g2")]))
    assert world.gateways_of("v") == ["/gateways/g1"]


def test_a_gateway_that_is_deleted_hands_over_and_the_last_is_not_deleted() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.delete("/gateways/g1")
    assert world.gateways_of("v") == ["/gateways/g2"]
    refusal = world.refused_delete("/gateways/g2")
    assert (refusal.code, "/virtualGateways/v" in refusal.message) == ("ResourceInUse", True)
    world.delete("/virtualGateways/v")
    world.delete("/gateways/g2")


def test_a_virtual_gateway_without_a_gateway_is_given_the_first_that_comes() -> None:
    world = GatewayWorld()
    world.delete("/gateways/g1")
    world.delete("/gateways/g2")
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    assert world.gateways_of("v") == []
    world.put("/gateways/g3", gateway("h2"))
    assert world.gateways_of("v") == ["/gateways/g3"]


def test_more_standby_is_given_at_once() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.put("/gatewayPools/gp", pool(redundantGatewayCount=1))
    assert world.gateways_of("v") == ["/gateways/g1", "/gateways/g2"]
    world.put("/gatewayPools/gp", pool(redundantGatewayCount=0))
    assert world.gateways_of("v") == ["/gateways/g1"]


def test_handing_over_spreads_what_a_gateway_carried() -> None:
    world = GatewayWorld()
    world.delete("/gateways/g2")
    for name, network in (("v", "blue"), ("w", "red")):
        world.put(f"/virtualGateways/{name}", virtual_gateway(network))
    world.put("/servers/h3")
    for name, server in (("g2", "h2"), ("g3", "h3")):
        world.put(f"/gateways/{name}", gateway(server))
    assert (world.gateways_of("v"), world.gateways_of("w")) == (["/gateways/g1"], ["/gateways/g1"])
    world.delete("/gateways/g1")
    assert (world.gateways_of("v"), world.gateways_of("w")) == (["/gateways/g2"], ["/gateways/g3"])


# Virtual gateways


def test_a_virtual_gateway_has_a_mac_and_an_address_in_its_subnet_for_life() -> None:
    world = GatewayWorld()
    p = world.put("/virtualGateways/v", virtual_gateway("blue")).resource.properties
    assert (p.gateway_mac_address, p.gateway_addresses) == ("020000000000", ("10.1.2.2",))
    again = world.put("/virtualGateways/v", virtual_gateway("blue", l3())).resource.properties
    assert (again.gateway_mac_address, again.gateway_addresses) == (p.gateway_mac_address, p.gateway_addresses)
    assert world.counts("/virtualnetworks/blue/subnets/gw/4")["assigned"] == 1
    world.delete("/virtualGateways/v")
    assert world.counts("/virtualnetworks/blue/subnets/gw/4")["cooling"] == 1
    assert world.counts("/macpools/p1")["cooling"] == 1


def test_another_gateway_subnet_of_the_network_gives_another_address() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    other = virtual_gateway("blue", gatewaySubnets=[ref("/virtualNetworks/blue/subnets/web")])
    assert world.put("/virtualGateways/v", other).resource.properties.gateway_addresses == ("10.1.1.2",)
    assert "assigned" not in world.counts("/virtualnetworks/blue/subnets/gw/4")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (virtual_gateway("blue", GatewayPools=[]), "RequiredParamMissing"),
        (virtual_gateway("blue", GatewayPools=[ref("/gatewayPools/none")]), "InvalidResourceReference"),
        (virtual_gateway("blue", gatewaySubnets=[]), "RequiredParamMissing"),
        (virtual_gateway("none"), "InvalidResourceReference"),
        (virtual_gateway("blue", gatewaySubnets=[ref(VLAN)]), "InvalidResourceReference"),
        (
            virtual_gateway("blue", gatewaySubnets=[ref(f"/virtualNetworks/blue/subnets/{n}") for n in ("gw", "web")]),
            "InvalidSubnet",
        ),
        (virtual_gateway("blue", nat={"enabled": True}), "PublicIPAddressMissing"),
        (
            virtual_gateway("blue", nat={"enabled": True, "publicIPAddress": ref("/publicIPAddresses/none")}),
            "InvalidResourceReference",
        ),
    ],
)
def test_what_cannot_be_a_virtual_gateway_is_refused(body: dict[str, Any], code: str) -> None:
    assert GatewayWorld().refused("/virtualGateways/v", body).code == code


def test_a_network_has_one_virtual_gateway_and_that_stays_with_it() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    refusal = world.refused("/virtualGateways/w", virtual_gateway("blue"))
    assert (refusal.code, "/virtualGateways/v" in refusal.message) == ("MultipleGatwaysUseSameVnet", True)
    assert world.refused("/virtualGateways/v", virtual_gateway("red")).target == "gatewaySubnets"


def test_nat_holds_its_public_address() -> None:
    world = GatewayWorld()
    world.put("/publicIPAddresses/a")
    nat = {"enabled": True, "publicIPAddress": ref("/PUBLICIPADDRESSES/A")}
    p = world.put("/virtualGateways/v", virtual_gateway("blue", nat=nat)).resource.properties
    assert (p.nat.enabled, p.nat.public_ip_address.resource_ref) == (True, "/publicIPAddresses/a")
    assert world.refused_delete("/publicIPAddresses/a").code == "ResourceInUse"
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.delete("/publicIPAddresses/a")


def test_what_a_virtual_gateway_is_in_is_not_deleted() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", l3()))
    assert world.refused_delete("/virtualNetworks/blue").code == "ResourceInUse"
    assert world.refused_delete("/virtualNetworks/blue/subnets/gw").code == "InUseSubnetCannotBeDeleted"
    assert world.refused_delete(VLAN).code == "InUseSubnetCannotBeDeleted"
    assert world.refused_delete(VIPS).code == "InUseSubnetCannotBeDeleted"
    assert world.refused_delete("/gatewayPools/gp").code == "ResourceInUse"
