"""Network connections of virtualGateways: what they hold, and what cannot be one."""

from typing import Any

import msgspec
import pytest

from tests.unit.core.gateway_world import (
    PUBLIC,
    VLAN,
    GatewayWorld,
    gre,
    l3,
    ref,
    subnet,
    virtual_gateway,
)
from tests.unit.core.world import put_command
from weft.core import policy
from weft.core.changes import ResourceChange
from weft.model.leases import ip_scope

PHYSICAL = ip_scope("/logicalNetworks/physical", 4)


def connections(world: GatewayWorld, name: str = "v") -> dict[str, Any]:
    found = world.get(f"/virtualGateways/{name}").properties.network_connections
    return {one.resource_id: one.properties for one in found}


def test_an_l3_connection_holds_its_address_in_the_vlan() -> None:
    world = GatewayWorld()
    routes = [{"destinationPrefix": "10.9.0.0/16"}]
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(peerIPAddresses=["10.100.0.1"], routes=routes)))
    assert set(world.state.leases(PHYSICAL)) == {0x0A640005}
    refusal = world.refused("/virtualGateways/w", virtual_gateway("red", l3()))
    assert (refusal.code, "/virtualGateways/v" in refusal.message) == ("PrivateIPAddressInUse", True)
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(address="10.100.0.6")))
    held = {a: lease.state for a, lease in world.state.leases(PHYSICAL).items()}
    assert held == {0x0A640006: "assigned"}, "outside of an ipPool nothing cools down"


@pytest.mark.parametrize(
    "to",
    [
        {"peerIPAddresses": ["10.100.0.5"]},
        {
            "peerIPAddresses": ["10.100.0.1"],
            "routes": [{"destinationPrefix": "10.9.0.0/16", "nextHop": "10.100.0.5"}],
        },
    ],
)
def test_an_l3_connection_sends_to_no_gateway_of_another_network(to: dict[str, Any]) -> None:
    """Whoever routes to that would be among the other network's machines."""
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", l3()))
    mine = virtual_gateway("red", l3(address="10.100.0.6", **to))
    refusal = world.refused("/virtualGateways/w", mine)
    assert refusal.code == "PrivateIPAddressInUse"
    assert "10.100.0.5" in refusal.message and "held by /virtualGateways/v" in refusal.message
    world.delete("/virtualGateways/v")
    world.put("/virtualGateways/w", mine)
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue", l3()))
    assert "a router that /virtualGateways/w/networkConnections/vlan sends to" in refusal.message
    world.put("/virtualGateways/w", mine)
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(address="10.100.0.7")))


def test_nor_to_another_connection_of_its_own_but_to_an_address_that_it_gives_up() -> None:
    world = GatewayWorld()
    to_b = virtual_gateway("blue", l3("a", peerIPAddresses=["10.100.0.6"]), l3("b", "10.100.0.6"))
    assert "held by connection b of /virtualGateways/v itself" in world.refused("/virtualGateways/v", to_b).message
    world.put("/virtualGateways/v", virtual_gateway("blue", l3()))
    moved = virtual_gateway("blue", l3(address="10.100.0.7", peerIPAddresses=["10.100.0.5"]))
    for _ in range(2):
        world.put("/virtualGateways/v", moved)


def test_a_limit_is_one_that_a_gateway_can_keep() -> None:
    world = GatewayWorld()
    fastest = {"outboundKiloBitsPerSecond": 100_000_000, "inboundKiloBitsPerSecond": 100_000_000}
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(**fastest)))
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue", l3(outboundKiloBitsPerSecond=2_000_000_000)))
    assert "above 100000000 (100 Gbit/s)" in refusal.message and "0 is unlimited" in refusal.message


def test_a_subnet_with_an_l3_connection_does_not_become_public() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", l3()))
    vlan = subnet("vlan100", "10.100.0.0/24", 100, ("10.100.0.10", "10.100.0.20"), isPublic=True)
    vips = subnet("gre", "192.0.2.0/24", 300, ("192.0.2.10", "192.0.2.11"), isPublic=True)
    refusal = world.refused("/logicalNetworks/physical", {"subnets": [vlan, vips]})
    assert refusal.code == "InUseSubnetCannotBeUpdated" and "/networkConnections/vlan" in refusal.message
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    world.put("/logicalNetworks/physical", {"subnets": [vlan, vips]})


def test_a_gre_connection_is_given_its_near_end_and_keeps_it() -> None:
    world = GatewayWorld()
    body = virtual_gateway(
        "blue", gre(greConfiguration={"greKey": "077"}, ipAddresses=[{"ipAddress": "172.16.0.1", "prefixLength": 30}])
    )
    world.put("/virtualGateways/v", body)
    found = connections(world)["site"]
    assert (found.source_ip_address, found.gre_configuration.gre_key) == ("192.0.2.10", "77")
    assert world.put("/virtualGateways/v", body).outcome == "unchanged"
    world.put("/virtualGateways/w", virtual_gateway("red", gre()))
    assert connections(world, "w")["site"].source_ip_address == "192.0.2.11"
    refusal = world.refused("/virtualGateways/w", virtual_gateway("red", gre(), gre("second")))
    assert refusal.code == "SubnetIsFull"
    world.put("/virtualGateways/w", virtual_gateway("red"))
    assert world.counts("/logicalnetworks/physical/subnets/gre/ippools/p") == {"assigned": 1, "cooling": 1}


def test_a_near_end_may_be_asked_for() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", gre(sourceIPAddress="192.0.2.11")))
    world.put("/virtualGateways/v", virtual_gateway("blue", gre(), gre("second")))
    found = {name: p.source_ip_address for name, p in connections(world).items()}
    assert found == {"site": "192.0.2.11", "second": "192.0.2.10"}


def test_a_near_end_that_another_connection_asks_for_is_its_own() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", gre()))
    world.put("/virtualGateways/v", virtual_gateway("blue", gre(), gre("second", sourceIPAddress="192.0.2.10")))
    found = {name: p.source_ip_address for name, p in connections(world).items()}
    assert found == {"site": "192.0.2.11", "second": "192.0.2.10"}


@pytest.mark.parametrize(
    ("connection", "code"),
    [
        (gre(connectionType="IPSec"), "OperationNotSupported"),
        (gre(connectionType=""), "InvalidParameterValue"),
        (gre(far=""), "RequiredParamMissing"),
        (gre(far="nowhere"), "InvalidIPAddress"),
        (gre(far="2001:db8::9"), "InvalidParameterValue"),
        (gre(far="192.168.1.77"), "InvalidParameterValue"),
        (gre(far="192.0.2.10", sourceIPAddress="192.0.2.10"), "InvalidParameterValue"),
        (gre(sourceIPAddress="198.51.100.1"), "PrivateIPAddressNotInSubnet"),
        (gre(greConfiguration={"greKey": "4294967296"}), "InvalidParameterValue"),
        (gre(greConfiguration={"greKey": "blue"}), "InvalidParameterValue"),
        (gre(l3Configuration={"vlanSubnet": ref(VLAN)}), "InvalidParameterValue"),
        (gre(ipAddresses=[{"ipAddress": "172.16.0.1"}]), "InvalidIPPrefix"),
        (gre(routes=[{"destinationPrefix": "10.9.0.0/16", "nextHop": "172.16.0.2"}]), "NextHopIpAddressNotAllowed"),
        (gre(routes=[{"destinationPrefix": "10.9.0.1/16"}]), "InvalidIPPrefix"),
        (gre(routes=[{"destinationPrefix": "10.9.0.0/16", "metric": -1}]), "InvalidParameterValue"),
        (gre(routes=[{"destinationPrefix": "10.1.1.0/24"}]), "RouteConflict"),
        (gre(routes=[{"destinationPrefix": "10.1.1.64/26"}]), "RouteConflict"),
        (gre(ipAddresses=[{"ipAddress": "10.1.1.9", "prefixLength": 30}]), "PrivateIPAddressInUse"),
        (gre(peerIPAddresses=["10.1.2.9"]), "PrivateIPAddressInUse"),
        (gre(outboundKiloBitsPerSecond=-1), "InvalidParameterValue"),
        (gre(inboundKiloBitsPerSecond=-1), "InvalidParameterValue"),
        (gre(outboundKiloBitsPerSecond=100_000_001), "InvalidParameterValue"),
        (l3(inboundKiloBitsPerSecond=99_999_999_999_999), "InvalidParameterValue"),
        (gre(connectionStatus="Sometimes"), "InvalidParameterValue"),
        (l3(l3Configuration=None), "RequiredParamMissing"),
        (l3(l3Configuration={"vlanSubnet": ref("/logicalNetworks/hnvpa/subnets/pa1")}), "InvalidResourceReference"),
        (l3(l3Configuration={"vlanSubnet": ref("/virtualNetworks/red/subnets/web")}), "InvalidResourceReference"),
        (l3(ipAddresses=[]), "RequiredParamMissing"),
        (l3(address="10.101.0.5"), "PrivateIPAddressNotInSubnet"),
        (l3(address="10.100.0.1"), "PrivateIPAddressInReservedRange"),
        (l3(address="10.100.0.255"), "PrivateIPAddressInReservedRange"),
        (l3(ipAddresses=[{"ipAddress": "10.100.0.5", "prefixLength": 25}]), "InvalidIPPrefix"),
        (l3(peerIPAddresses=["10.101.0.1"]), "PrivateIPAddressNotInSubnet"),
        (l3(routes=[{"destinationPrefix": "10.9.0.0/16"}]), "MissingNextHopIpAddress"),
        (l3(routes=[{"destinationPrefix": "10.9.0.0/16", "nextHop": "10.101.0.1"}]), "PrivateIPAddressNotInSubnet"),
        (l3(routes=[{"destinationPrefix": "fd09::/16", "nextHop": "10.100.0.1"}]), "InvalidNextHopIpAddress"),
        (
            l3(peerIPAddresses=["10.100.0.1"], routes=[{"destinationPrefix": "fd09::/16"}]),
            "InvalidNextHopIpAddress",
        ),
        (l3(destinationIPAddress="198.51.100.9"), "InvalidParameterValue"),
        (l3(address="203.0.113.5", l3Configuration={"vlanSubnet": ref(PUBLIC)}), "InvalidParameterValue"),
        (l3(peerIPAddresses=["10.100.0.5"]), "PrivateIPAddressInUse"),
    ],
)
def test_what_cannot_be_a_connection_is_refused(connection: dict[str, Any], code: str) -> None:
    world = GatewayWorld()
    assert world.refused("/virtualGateways/v", virtual_gateway("blue", connection)).code == code


@pytest.mark.parametrize(
    ("connection", "target"),
    [
        (gre("second", ipAddresses=[{"ipAddress": "10.1.1.9", "prefixLength": 30}]), "ipAddresses"),
        (gre("second", peerIPAddresses=["10.1.2.9"]), "peerIPAddresses"),
        (gre("second", ipAddresses=[{"ipAddress": "172.16.0.1", "prefixLength": 30}]), "ipAddresses"),
        (gre("second", peerIPAddresses=["172.16.0.1"]), "peerIPAddresses"),
    ],
)
def test_an_address_of_a_tunnel_that_is_another_s_is_named_where_it_stands(
    connection: dict[str, Any], target: str
) -> None:
    world = GatewayWorld()
    first = gre(ipAddresses=[{"ipAddress": "172.16.0.1", "prefixLength": 30}])
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue", first, connection))
    assert (refusal.code, refusal.target) == ("PrivateIPAddressInUse", target)


def test_the_far_end_of_an_earlier_tunnel_is_not_the_near_end_of_a_later_one() -> None:
    world, far = GatewayWorld(), "172.16.0.2"
    second = gre("second", ipAddresses=[{"ipAddress": far, "prefixLength": 30}])
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue", gre(peerIPAddresses=[far]), second))
    assert (refusal.code, refusal.target) == ("PrivateIPAddressInUse", "ipAddresses")
    assert f"Connections site and second both have {far}" in refusal.message
    both = gre(ipAddresses=[{"ipAddress": far, "prefixLength": 30}], peerIPAddresses=[far])
    refusal = world.refused("/virtualGateways/v", virtual_gateway("blue", both))
    assert (refusal.code, refusal.target) == ("PrivateIPAddressInUse", "peerIPAddresses")
    assert f"Both ends of connection site have {far}" in refusal.message
    ways = gre(peerIPAddresses=[far]), gre("second", peerIPAddresses=[far])
    world.put("/virtualGateways/v", virtual_gateway("blue", *ways))


def test_every_pool_must_serve_every_connection() -> None:
    world = GatewayWorld()
    world.put("/gatewayPools/fwd", {"type": "forwarding"})
    pools = [ref("/gatewayPools/gp"), ref("/gatewayPools/fwd")]
    assert world.refused("/virtualGateways/v", virtual_gateway("blue", gre(), GatewayPools=pools)).target == (
        "connectionType"
    )
    world.put("/virtualGateways/v", virtual_gateway("blue", l3(), GatewayPools=pools))


def test_two_connections_do_not_share_an_address_or_a_route() -> None:
    world = GatewayWorld()
    inside = [{"ipAddress": "172.16.0.1", "prefixLength": 30}]
    body = virtual_gateway("blue", gre(ipAddresses=inside), gre("second", ipAddresses=inside))
    assert world.refused("/virtualGateways/v", body).code == "PrivateIPAddressInUse"
    body = virtual_gateway("blue", l3(), l3("second"))
    assert world.refused("/virtualGateways/v", body).code == "PrivateIPAddressInUse"
    route = {"destinationPrefix": "10.9.0.0/16", "metric": 5}
    body = virtual_gateway("blue", gre(routes=[route]), gre("second", routes=[route]))
    assert world.refused("/virtualGateways/v", body).code == "RouteConflict"
    world.put(
        "/virtualGateways/v",
        virtual_gateway("blue", gre(routes=[route]), gre("second", routes=[route | {"metric": 6}])),
    )
    everywhere = {"destinationPrefix": "10.0.0.0/8"}
    world.put("/virtualGateways/v", virtual_gateway("blue", gre(routes=[everywhere])))


def test_a_connection_is_put_and_deleted_alone() -> None:
    world = GatewayWorld()
    world.put("/virtualGateways/v", virtual_gateway("blue", l3()))
    world.put("/virtualGateways/v/networkConnections/site", gre()["properties"])
    assert set(connections(world)) == {"vlan", "site"}
    world.delete("/virtualGateways/v/networkConnections/vlan")
    assert set(connections(world)) == {"site"}


def test_what_an_earlier_release_let_in_stays_and_is_mended_before_it_is_written_again() -> None:
    """One tunnel's near end is the far end of an earlier one."""
    world, far = GatewayWorld(), "172.16.0.2"
    near = [{"ipAddress": "172.16.0.9", "prefixLength": 30}]
    body = virtual_gateway("blue", gre(peerIPAddresses=[far]), gre("second", ipAddresses=near))
    world.put("/virtualGateways/v", body)
    stored = world.get("/virtualGateways/v")
    first, second = stored.properties.network_connections
    ends = tuple(msgspec.structs.replace(one, ip_address=far) for one in second.properties.ip_addresses)
    second = msgspec.structs.replace(second, properties=msgspec.structs.replace(second.properties, ip_addresses=ends))
    properties = msgspec.structs.replace(stored.properties, network_connections=(first, second))
    before = msgspec.structs.replace(stored, properties=properties)
    world.state.apply(ResourceChange("virtualGateways", "v", stored, before))
    another = gre(peerIPAddresses=[far], greConfiguration={"greKey": "7"})
    refusal = world.refused("/virtualGateways/v/networkConnections/site", another["properties"])
    assert f"Connections site and second both have {far}" in refusal.message
    world.put("/virtualGateways/v/networkConnections/second", gre("second", ipAddresses=near)["properties"])
    assert world.put("/virtualGateways/v", body).outcome == "unchanged"
    world.state.apply(ResourceChange("virtualGateways", "v", world.get("/virtualGateways/v"), before))
    world.delete("/virtualGateways/v/networkConnections/second")
    assert set(connections(world)) == {"site"}


def test_a_subnet_gets_its_prefix_and_a_connection_in_one_write() -> None:
    """What hosts are told of it looks at the subnet of before, too."""
    world = GatewayWorld()
    bare: dict[str, Any] = {"vlanID": 55}
    site = {"networkVirtualizationEnabled": False, "subnets": [{"resourceId": "s", "properties": bare}]}
    world.put("/logicalNetworks/site", site)
    bare["addressPrefix"] = "10.130.0.0/24"
    leads = {"l3Configuration": {"vlanSubnet": ref("/logicalNetworks/site/subnets/s")}}
    connection = l3("v", "10.130.0.5", **leads)
    done = world.batch(
        put_command("/logicalNetworks/site", site),
        put_command("/virtualGateways/v", virtual_gateway("blue", connection)),
    )
    assert list(policy.touched(world.state, done.changes))
