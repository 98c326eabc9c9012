"""Public addresses, pools and gateways as they are answered, and the gates before what has no effect yet."""

from typing import Any

import pytest

from tests.unit.api.conftest import Api, N, interface_in


def ref(text: str) -> dict[str, str]:
    return {"resourceRef": text}


@pytest.fixture
async def outside(fabric: Api) -> Api:
    pools = [{"resourceId": "p", "properties": {"startIpAddress": "203.0.113.10", "endIpAddress": "203.0.113.20"}}]
    public = {"addressPrefix": "203.0.113.0/24", "vlanID": 200, "isPublic": True, "ipPools": pools}
    await fabric.made(f"{N}/logicalNetworks/internet", {"subnets": [{"resourceId": "public", "properties": public}]})
    await fabric.made(f"{N}/publicIPAddresses/out", {})
    vips = {"greVipSubnets": [ref("/logicalNetworks/internet/subnets/public")], "publicIPAddresses": []}
    pool = {"type": "all", "ipConfiguration": vips, "gatewayCapacityKiloBitsPerSecond": 1000}
    await fabric.made(f"{N}/gatewayPools/gp", pool)
    await fabric.made(f"{N}/gateways/g1", {"pool": ref("/gatewayPools/gp"), "server": ref("/servers/host1")})
    return fabric


GATEWAY: dict[str, Any] = {
    "GatewayPools": [ref("/gatewayPools/gp")],
    "gatewaySubnets": [ref("/virtualNetworks/blue/subnets/web")],
    "nat": {"enabled": True, "publicIPAddress": ref("/publicIPAddresses/out")},
    "networkConnections": [
        {
            "resourceId": "site",
            "properties": {
                "connectionType": "gre",
                "destinationIPAddress": "198.51.100.9",
                "outboundKiloBitsPerSecond": 300,
                "greConfiguration": {"GreKey": 77},
                "Routes": [{"DestinationPrefix": "10.9.0.0/16"}],
            },
        }
    ],
}


async def test_an_interface_has_a_public_address_or_none(outside: Api) -> None:
    body = interface_in()
    configuration = body["ipConfigurations"][0]["properties"]
    configuration["publicIPAddress"] = ref("/publicIPAddresses/out")
    assert (await outside.put(f"{N}/networkInterfaces/n1", body)).is_success
    for nothing in (None, {}, ""):
        configuration["publicIPAddress"] = nothing
        assert (await outside.put(f"{N}/networkInterfaces/n1", body)).is_success, nothing


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("gateways", {"virtualServer": ref("/virtualServers/v")}),
        ("gateways", {"networkInterfaces": {"externalNetworkInterface": ref("/networkInterfaces/n")}}),
        ("gateways", {"bgpConfig": {"extASNumber": "0.65000"}}),
        ("publicIPAddresses", {"dnsSettings": {"domainNameLabel": "web"}}),
    ],
)
async def test_what_would_have_no_effect_is_refused(outside: Api, kind: str, member: dict[str, Any]) -> None:
    body = {"pool": ref("/gatewayPools/gp"), "server": ref("/servers/host2")} if kind == "gateways" else {}
    assert (await outside.put(f"{N}/{kind}/x", body | member)).status_code == 400
    assert (await outside.put(f"{N}/{kind}/x", body)).status_code == 201


@pytest.mark.parametrize("policy", ["perHost", "several", "perVirtualSubnet"])
async def test_each_policy_of_provider_addresses_is_served(api: Api, policy: str) -> None:
    for place in ("logicalNetworks/pa", "servers/h"):
        assert (await api.put(f"{N}/{place}", {"providerAddressPolicy": policy.lower()})).is_success, place
        assert (await api.body(f"{N}/{place}"))["properties"]["providerAddressPolicy"] == policy


async def test_pools_gateways_and_their_server_know_each_other(outside: Api) -> None:
    pool = await outside.body(f"{N}/GatewayPools/gp")
    assert (pool["properties"]["type"], pool["properties"]["gateways"]) == ("All", [ref("/gateways/g1")])
    gateway = (await outside.body(f"{N}/gateways/g1"))["properties"]
    assert (gateway["type"], gateway["totalCapacity"], gateway["VirtualGateways"]) == ("All", 1000, [])
    assert (await outside.body(f"{N}/servers/host1"))["properties"]["gateway"] == ref("/gateways/g1")
    subnet = (await outside.body(f"{N}/logicalNetworks/internet/subnets/public"))["properties"]
    assert subnet["GatewayPools"] == [ref("/gatewayPools/gp")]


async def test_a_virtual_gateway_is_answered_with_what_it_was_given(outside: Api) -> None:
    p = (await outside.made(f"{N}/virtualGateways/v", GATEWAY))["properties"]
    assert (p["GatewayPools"], p["gateways"], p["routingType"]) == (
        [ref("/gatewayPools/gp")],
        [ref("/gateways/g1")],
        "Static",
    )
    connection = p["networkConnections"][0]["properties"]
    assert connection["greConfiguration"] == {"greKey": "77"}
    assert connection["routes"] == [{"destinationPrefix": "10.9.0.0/16", "metric": 0, "protocol": "static"}]
    assert (connection["sourceIPAddress"], connection["gateway"]) == ("203.0.113.11", ref("/gateways/g1"))
    assert (await outside.body(f"{N}/publicIPAddresses/out"))["properties"]["ipConfiguration"] == (
        ref("/virtualGateways/v")
    )
    gateway = (await outside.body(f"{N}/gateways/g1"))["properties"]
    assert (gateway["availableCapacity"], gateway["VirtualGateways"][0]["virtualGateway"]) == (
        700,
        ref("/virtualGateways/v"),
    )


async def test_without_a_gateway_a_connection_says_why_it_is_down(outside: Api) -> None:
    assert (await outside.send("DELETE", f"{N}/gateways/g1", b"")).is_success
    p = (await outside.made(f"{N}/virtualGateways/v", GATEWAY))["properties"]
    assert p["gateways"] == []
    assert p["networkConnections"][0]["properties"]["unreachabilityReason"].startswith("no gateway")


@pytest.mark.parametrize("has_gateway", [True, False])
async def test_a_connection_alone_says_what_its_virtual_gateway_says_of_it(outside: Api, has_gateway: bool) -> None:
    if not has_gateway:
        assert (await outside.send("DELETE", f"{N}/gateways/g1", b"")).is_success
    await outside.made(f"{N}/virtualGateways/v", GATEWAY)
    among = (await outside.body(f"{N}/virtualGateways/v"))["properties"]["networkConnections"]
    assert (among[0]["properties"]["connectionState"], "gateway" in among[0]["properties"]) == (
        "Disconnected",
        has_gateway,
    )
    assert await outside.body(f"{N}/virtualGateways/v/networkConnections/site") == among[0]
    assert (await outside.body(f"{N}/virtualGateways/v/networkConnections"))["value"] == among
