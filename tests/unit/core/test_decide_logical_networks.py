"""PUT and DELETE of logicalNetworks."""

import copy
from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, provider_network

BLUE = "/virtualNetworks/blue"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    return world


def office(**changes: Any) -> dict[str, Any]:
    pool = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.20"}
    properties = {
        "addressPrefix": "172.16.0.0/24",
        "vlanID": 5,
        "defaultGateways": ["172.16.0.1"],
        "dnsServers": ["8.8.8.8"],
        "ipPools": [{"resourceId": "pool", "properties": pool}],
    }
    return {"subnets": [{"resourceId": "lan", "properties": {**properties, **changes}}]}


def pools(*bounds: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"resourceId": f"pool{at}", "properties": {"startIpAddress": first, "endIpAddress": last}}
        for at, (first, last) in enumerate(bounds)
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"vlanID": -1}, "InvalidParameterValue"),
        ({"vlanID": 4096}, "InvalidParameterValue"),
        ({"addressPrefix": "172.16.0.1/24"}, "InvalidIPPrefix"),
        ({"addressPrefix": ""}, "InvalidIPPrefix"),
        ({"defaultGateways": ["172.16.1.1"]}, "InvalidParameterValue"),
        ({"defaultGateways": ["fd00::1"]}, "InvalidParameterValue"),
        ({"defaultGateways": ["gateway"]}, "InvalidParameterValue"),
        ({"dnsServers": ["dns"]}, "InvalidParameterValue"),
        ({"ipPools": pools(("172.16.0.20", "172.16.0.10"))}, "InvalidParameterValue"),
        ({"ipPools": pools(("172.16.0.20", "172.16.1.10"))}, "InvalidParameterValue"),
        ({"ipPools": pools(("fd00::1", "fd00::2"))}, "InvalidParameterValue"),
        ({"ipPools": pools(("", "172.16.0.10"))}, "InvalidParameterValue"),
        ({"ipPools": pools(("172.16.0.2", "172.16.0.5"), ("172.16.0.5", "172.16.0.9"))}, "IpPoolsOverlap"),
    ],
)
def test_a_wrong_logical_subnet_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    refusal = world.refused("/logicalNetworks/office", office(**changes))
    assert refusal.status in (400, 409)
    assert not code or refusal.code == code


def provider(*routes: tuple[str, str], **more: Any) -> dict[str, Any]:
    made = [
        {"resourceId": f"r{at}", "properties": {"destination": to, "nextHop": hop}}
        for at, (to, hop) in enumerate(routes)
    ]
    subnet = {"addressPrefix": "172.16.0.0/24", "routes": made}
    return {"networkVirtualizationEnabled": True, "subnets": [{"resourceId": "lan", "properties": subnet}], **more}


@pytest.mark.parametrize(
    ("routes", "code", "said"),
    [
        ([("x", "172.16.0.1")], "InvalidIPPrefix", "'x' is no prefix"),
        ([("10.0.0.0/8", "10.0.0.1")], "InvalidParameterValue", "nextHop 10.0.0.1 does not lie in 172.16.0.0/24"),
        ([("10.0.0.0/8", "")], "InvalidNextHopIpAddress", ""),
        ([("0.0.0.0/0", "172.16.0.1")], "InvalidIPPrefix", "no default route"),
        ([("::/0", "172.16.0.1")], "InvalidIPPrefix", "no default route"),
        ([("fd00:2::/64", "172.16.0.1")], "InvalidIPPrefix", "the other family"),
        ([("172.16.0.0/24", "172.16.0.1")], "InvalidIPPrefix", "in its subnet 172.16.0.0/24 itself"),
        ([("172.16.0.128/25", "172.16.0.1")], "InvalidIPPrefix", "in its subnet 172.16.0.0/24 itself"),
        ([("10.0.0.1/32", "172.16.0.1")], "InvalidIPPrefix", "a single address"),
        ([("169.254.0.0/16", "172.16.0.1")], "InvalidIPPrefix", "link-local"),
        (
            [("10.0.0.0/8", "172.16.0.1"), ("10.0.0.0/8", "172.16.0.2")],
            "RouteConflict",
            "Routes r0 and r1 of subnet lan",
        ),
    ],
)
def test_a_wrong_route_of_a_provider_subnet_is_refused(
    world: World, routes: list[tuple[str, str]], code: str, said: str
) -> None:
    refusal = world.refused("/logicalNetworks/provider", provider(*routes))
    assert refusal.code == code
    assert said in refusal.message


def test_a_route_may_sum_up_more_than_hosts_have(world: World) -> None:
    world.put("/logicalNetworks/provider", provider(("128.0.0.0/1", "172.16.0.1")))


def test_routes_may_sum_up_and_are_for_provider_networks_alone(world: World) -> None:
    world.put("/logicalNetworks/provider", provider(("172.16.0.0/12", "172.16.0.1"), ("10.0.0.0/8", "172.16.0.2")))
    office = provider(("10.0.0.0/8", "172.16.0.2"), networkVirtualizationEnabled=False)
    assert "networkVirtualizationEnabled" in world.refused("/logicalNetworks/office", office).message


@pytest.mark.parametrize(
    "excluded",
    [
        {"first": "172.16.0.9", "last": "172.16.0.11"},
        {"first": "172.16.0.15", "last": "172.16.0.21"},
        {"first": "172.16.0.15", "last": "172.16.0.14"},
    ],
)
def test_an_exclusion_outside_of_its_pool_is_refused(world: World, excluded: dict[str, str]) -> None:
    pool = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.20", "excluded": [excluded]}
    refusal = world.refused("/logicalNetworks/office", office(ipPools=[{"resourceId": "p", "properties": pool}]))
    assert refusal.target == "excluded"


def test_subnets_of_one_logical_network_do_not_overlap_but_those_of_two_may(world: World) -> None:
    two = office()
    two["subnets"].append({"resourceId": "lan2", "properties": {"addressPrefix": "172.16.0.128/25"}})
    assert world.refused("/logicalNetworks/office", two).code == "InvalidIPPrefix"
    world.put("/logicalNetworks/office", office())
    world.put("/logicalNetworks/branch", office())


def test_gateways_and_network_addresses_in_a_pool_are_reserved(world: World) -> None:
    excluded = [{"first": "172.16.0.7", "last": "172.16.0.8", "reason": "printers"}, {"first": "172.16.0.250"}]
    pool = {"startIpAddress": "172.16.0.0", "endIpAddress": "172.16.0.255", "excluded": excluded}
    world.put("/logicalNetworks/office", office(ipPools=[{"resourceId": "p", "properties": pool}]))
    assert world.counts("/logicalnetworks/office/subnets/lan/ippools/p") == {"reserved": 6, "free": 250}


def test_an_ip_pools_bounds_are_fixed_and_the_rest_is_not(world: World) -> None:
    world.put("/logicalNetworks/office", office())
    path = "/logicalNetworks/office/subnets/lan/ipPools/pool"
    wider = {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.21"}
    assert "fixed for life" in world.refused(path, wider).message
    world.put(path, {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.20", "coolDownSeconds": 7})
    world.put(
        "/logicalNetworks/office/subnets/lan/ipPools/more",
        {"startIpAddress": "172.16.0.21", "endIpAddress": "172.16.0.21"},
    )


def test_what_is_used_in_a_logical_network_stays(world: World) -> None:
    world.put("/logicalNetworks/office", office())
    lan = "/logicalNetworks/office/subnets/lan"
    world.put("/networkInterfaces/n1", dynamic_interface(lan))
    assert world.refused_delete(f"{lan}/ipPools/pool").code == "InUseIpPoolCannotBeDeleted"
    assert world.refused_delete(lan).code == "InUseSubnetCannotBeDeleted"
    assert world.refused_delete("/logicalNetworks/office").code == "InUseSubnetCannotBeDeleted"
    for changes in ({"vlanID": 6}, {"addressPrefix": "172.16.0.0/25"}):
        assert world.refused("/logicalNetworks/office", office(**changes)).code == "InUseSubnetCannotBeUpdated"
    taken = office(defaultGateways=["172.16.0.10"])
    assert world.refused("/logicalNetworks/office", taken).code == "PrivateIPAddressInUse"
    world.delete("/networkInterfaces/n1")
    world.delete(f"{lan}/ipPools/pool")
    world.put("/logicalNetworks/office", office(vlanID=6))
    world.delete("/logicalNetworks/office")


def test_a_provider_subnet_is_used_by_servers_and_by_adapters(world: World) -> None:
    pa1 = "/logicalNetworks/hnvpa/subnets/pa1"
    refusal = world.refused_delete(pa1)
    assert refusal.code == "InUseSubnetCannotBeDeleted"
    assert "/servers/h1" in refusal.message
    assert "/servers/h2" in world.refused_delete("/logicalNetworks/hnvpa/subnets/pa2").message
    world.put(
        "/logicalNetworks/mgmt", {"subnets": [{"resourceId": "m", "properties": {"addressPrefix": "10.9.0.0/24"}}]}
    )
    adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/mgmt/subnets/m"}]}
    world.put("/servers/h3", {"networkInterfaces": [{"resourceId": "mgmt", "properties": adapter}]})
    refusal = world.refused_delete("/logicalNetworks/mgmt/subnets/m")
    assert "/servers/h3/networkInterfaces/mgmt" in refusal.message


def test_network_virtualization_cannot_be_switched_off_while_it_is_used(world: World) -> None:
    off = copy.deepcopy(provider_network()) | {"networkVirtualizationEnabled": False}
    assert world.refused("/logicalNetworks/hnvpa", off).code == "InUseSubnetCannotBeUpdated"
    world.network("blue")
    refusal = world.refused("/logicalNetworks/hnvpa", off)
    assert refusal.code == "ResourceInUse"
    assert BLUE in refusal.message
    assert world.refused_delete("/logicalNetworks/hnvpa").code == "ResourceInUse"
