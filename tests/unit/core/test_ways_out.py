"""What leaves a network, through which gateway and connection, and what a host's policy shows of it."""

from msgspec.structs import replace

from tests.cluster import ways_out
from tests.cluster.world import sample
from weft.core import policy_gateways, policy_network
from weft.core.edge_routes import exit_for, known_as, lets_in
from weft.core.policy_view import view
from weft.core.trace import trace
from weft.core.trace_ends import HostFacts
from weft.model import gateways
from weft.model.records import CustomerRoute
from weft.model.resources import Ref, Resource
from weft.model.values import pack_ip

OUTSIDE = "198.51.100.7"


def l3(routes=(), **limits):
    return Resource(
        resource_id="vlan",
        properties=gateways.NetworkConnectionProperties(
            connection_type="L3",
            ip_addresses=(gateways.ConnectionAddress("10.100.0.5", 24),),
            peer_ip_addresses=("10.100.0.1",),
            routes=tuple(gateways.ConnectionRoute(destination_prefix=prefix) for prefix in routes),
            l3_configuration=gateways.L3Configuration(vlan_subnet=Ref("/logicalNetworks/physical/subnets/out")),
            **limits,
        ),
    )


def gre(key="77", **more):
    return Resource(
        resource_id="site",
        properties=gateways.NetworkConnectionProperties(
            connection_type="GRE",
            source_ip_address="10.100.0.10",
            destination_ip_address="192.0.2.9",
            gre_configuration=gateways.GreConfiguration(gre_key=key),
            ip_addresses=(gateways.ConnectionAddress("172.16.0.1", 30),),
            routes=(gateways.ConnectionRoute(destination_prefix="198.51.100.0/24", metric=5),),
            **more,
        ),
    )


def with_vips(made):
    vips = gateways.GatewayPoolIpConfiguration(gre_vip_subnets=(Ref("/logicalNetworks/physical/subnets/out"),))
    made.put("gatewayPools", "gp", gateways.GatewayPoolProperties(type="All", ip_configuration=vips))
    return made


def world(nat="", connections=()):
    made = sample()
    made.network("Blue", 60, {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002), "gw": ("10.1.9.0/24", 6009)})
    ways_out.outside(made, "internet", "203.0.113.0/24")
    ways_out.outside(made, "physical", "10.100.0.0/24", vlan=100, public=False)
    ways_out.public_address(made, "p1", "203.0.113.20")
    ways_out.public_address(made, "p2", "203.0.113.21")
    for number in (1, 2):
        made.server(f"gw{number}", f"192.168.1.3{number}")
        ways_out.gateway(made, f"g{number}", f"gw{number}")
    ways_out.way_out(made, "Blue", "gw", "10.1.9.4", ("g1", "g2"), nat=nat, connections=connections)
    return made


def last(result):
    return result.path[-1].text


def test_behind_the_networks_address_or_its_own():
    made = world(nat="p1")
    ways_out.make_known(made, "blue2-eth0", "p2")
    one, two = (trace(made.state, name, OUTSIDE) for name in ("blue1-eth0", "blue2-eth0"))
    assert one.delivered and two.delivered
    assert (one.path[-1].host, last(one)) == (
        "gw1",
        "10.1.1.11 leaves through /logicalNetworks/internet/subnets/out by 203.0.113.1, known outside as 203.0.113.20",
    )
    assert last(two).endswith("known outside as 203.0.113.21")


def test_by_the_subnet_in_which_its_own_public_address_is():
    made = world(nat="p1", connections=(l3(("198.51.100.0/24",)),))
    ways_out.outside(made, "annex", "192.0.2.0/24")
    ways_out.public_address(made, "p3", "192.0.2.20")
    ways_out.make_known(made, "blue2-eth0", "p3")
    own, rest = "/logicalNetworks/annex/subnets/out", "/logicalNetworks/internet/subnets/out"
    for target, by in (("8.8.8.8", " by 192.0.2.1"), ("192.0.2.7", ""), ("203.0.113.7", " by 192.0.2.1")):
        found = trace(made.state, "blue2-eth0", target)
        assert last(found) == f"10.1.1.12 leaves through {own}{by}, known outside as 192.0.2.20"
    for target, by in (("8.8.8.8", " by 203.0.113.1"), ("192.0.2.7", " by 203.0.113.1"), ("203.0.113.7", "")):
        found = trace(made.state, "blue1-eth0", target)
        assert last(found) == f"10.1.1.11 leaves through {rest}{by}, known outside as 203.0.113.20"
    for machine in ("blue1-eth0", "blue2-eth0"):
        assert last(trace(made.state, machine, OUTSIDE)).endswith(
            "/logicalNetworks/physical/subnets/out by 10.100.0.1, routed"
        )


def test_not_at_all_under_an_address_that_is_nobodys_outside():
    """One machine has a public address, and the leg is there for it alone."""
    made = world()
    ways_out.make_known(made, "blue2-eth0", "p2")
    assert last(trace(made.state, "blue2-eth0", OUTSIDE)).endswith("known outside as 203.0.113.21")
    found = trace(made.state, "blue1-eth0", OUTSIDE)
    assert not found.delivered and found.decided_by == "/virtualGateways/Blue"
    assert found.reason == (
        "the gateway on gw1 has no public address of /logicalNetworks/internet/subnets/out for 10.1.1.11: "
        "/virtualGateways/Blue needs nat there, or its ipConfiguration a publicIPAddress"
    )
    edge = policy_gateways.edge(made.state, "gw1", 60)
    (leg,) = edge.legs
    foreign, guest, site = map(pack_ip, ("66.6.6.6", "10.1.1.11", "198.51.100.7"))
    assert known_as(edge, leg, guest) is None
    routed = policy_gateways.edge(world(connections=(l3(),)).state, "gw1", 60)
    (way,) = routed.legs
    assert known_as(routed, way, guest) == guest and known_as(routed, way, foreign) is None
    assert not lets_in(edge, leg, site, guest), "it is not asked for, and the leg routes nothing"
    assert lets_in(routed, way, site, guest) and not lets_in(routed, way, guest, guest)


def test_by_the_gateway_that_its_own_host_finds_alive():
    made = world(nat="p1")
    dead = {"Host1": frozenset({pack_ip("192.168.1.31")})}
    facts = HostFacts(dead=lambda server: dead.get(server, frozenset()))
    assert trace(made.state, "blue1-eth0", OUTSIDE, facts=facts).path[-1].host == "gw2"
    assert trace(made.state, "blue2-eth0", OUTSIDE, facts=facts).path[-1].host == "gw1"
    dead["Host1"] |= {pack_ip("192.168.1.32")}
    said = trace(made.state, "blue1-eth0", OUTSIDE, facts=facts)
    assert not said.delivered
    assert said.reason == "no gateway: Host1 finds none alive of those of /virtualGateways/Blue: gw1, gw2"


def test_by_a_connection_where_that_has_the_route_and_else_not_at_all():
    made = world(connections=(l3(("198.51.100.0/24",)),))
    found = trace(made.state, "blue1-eth0", OUTSIDE)
    assert last(found) == "10.1.1.11 leaves through /logicalNetworks/physical/subnets/out by 10.100.0.1, routed"
    assert trace(made.state, "blue1-eth0", "10.100.0.77").delivered, "on link"
    lost = trace(made.state, "blue1-eth0", "192.0.2.1")
    assert (lost.delivered, lost.reason) == (False, "the gateway on gw1 has no route to 192.0.2.1")
    assert lost.decided_by == "/virtualGateways/Blue"
    nowhere = trace(world().state, "blue1-eth0", OUTSIDE)
    assert nowhere.reason.endswith(": /virtualGateways/Blue has neither nat nor a networkConnection")


def test_by_a_tunnel_that_the_trace_names():
    made = with_vips(world(nat="p1", connections=(gre(outbound_kilo_bits_per_second=500),)))
    found = trace(made.state, "blue1-eth0", OUTSIDE)
    way = "/virtualGateways/Blue/networkConnections/site"
    ends = "in GRE from 10.100.0.10 to 192.0.2.9"
    assert last(found) == f"10.1.1.11 leaves through {way} {ends}, key 77, routed"
    assert found.reason == f"left by the gateway on gw1 through {way}"
    assert last(trace(made.state, "blue1-eth0", "172.16.0.2")) == last(found), "the other end of it"
    keyless = with_vips(world(connections=(gre(key=""),)))
    assert f"{ends}, without a key" in last(trace(keyless.state, "blue1-eth0", OUTSIDE))


def test_a_gateway_is_told_of_tunnels_with_the_vlan_and_router_of_their_near_end():
    made = with_vips(world(connections=(gre(outbound_kilo_bits_per_second=500),)))
    [tunnel] = policy_gateways.edge(made.state, "gw2", 60).tunnels
    assert (tunnel.name, tunnel.vlan, tunnel.local_length, tunnel.gateway) == ("site", 100, 24, pack_ip("10.100.0.1"))
    assert (tunnel.key_value, tunnel.outbound_kbps, tunnel.inbound_kbps) == (77, 500, 0)
    for without in (
        gre(connection_status="Disabled"),
        replace(gre(), properties=replace(gre().properties, source_ip_address=None)),
    ):
        assert policy_gateways.edge(with_vips(world(connections=(without,))).state, "gw2", 60).tunnels == ()
    nowhere = policy_gateways.edge(world(connections=(gre(),)).state, "gw2", 60)
    assert nowhere.tunnels == (), "its near end is in no greVipSubnet any more"


def test_a_disabled_connection_is_none_and_of_two_limits_the_lower_holds():
    one = l3(outbound_kilo_bits_per_second=500, inbound_kilo_bits_per_second=300)
    two = replace(one, resource_id="two", properties=replace(one.properties, outbound_kilo_bits_per_second=400))
    off = replace(one, properties=replace(one.properties, connection_status="Disabled"))
    edge = policy_gateways.edge(world(connections=(one, two)).state, "gw2", 60)
    assert [(leg.vlan, leg.outbound_kbps, leg.inbound_kbps) for leg in edge.legs] == [(100, 400, 300)]
    assert policy_gateways.edge(world(connections=(off,)).state, "gw2", 60).legs == ()
    assert policy_gateways.edge(world().state, "host1", 60) is None


def test_the_longest_prefix_and_the_customer_address_where_it_is_routed():
    edge = policy_gateways.edge(world(nat="p1", connections=(l3(("198.51.100.0/24",)),)).state, "gw1", 60)
    guest = pack_ip("10.1.1.11")
    for target, subnet, outer in (
        (OUTSIDE, "/logicalNetworks/physical/subnets/out", "10.1.1.11"),
        ("192.0.2.1", "/logicalNetworks/internet/subnets/out", "203.0.113.20"),
    ):
        found = exit_for(edge, guest, pack_ip(target))
        assert (found.by.subnet, known_as(edge, found.by, guest)) == (subnet, pack_ip(outer))


def test_a_policy_shows_the_gateways_record_and_the_default_route():
    shown = view(world(nat="p1").state, "host1")
    [wildcard] = [one for one in shown["lookupRecords"] if one["type"] == "GatewayWildcard"]
    assert (wildcard["customerAddress"], wildcard["providerAddress"]) == ("0.0.0.0", "192.168.1.31")
    assert [one["nextHop"] for one in shown["customerRoutes"] if one["destinationPrefix"] == "0.0.0.0/0"] == [
        "10.1.9.4"
    ]


def test_to_the_address_that_the_gateway_itself_has_in_the_network():
    made = world()
    found = trace(made.state, "blue1-eth0", "10.1.9.4")
    assert (found.delivered, found.decided_by) == (True, "/virtualGateways/Blue")
    assert found.reason == "reached the gateway on gw1, whose own address 10.1.9.4 is"
    assert [step.stage for step in found.path] == [
        "classify",
        "port security",
        "routing",
        "encapsulation",
        "decapsulation",
    ]
    ways_out.way_out(made, "Blue", "gw", "10.1.9.4", ())
    assert trace(made.state, "blue1-eth0", "10.1.9.4").reason.startswith("no gateway: none of the GatewayPools of ")


def lent(nat="p1", used=True, **more):
    """green uses the gateway of Blue, which has one machine of it known outside."""
    made = world(nat=nat)
    made.network("green", 70, {"web": ("10.2.1.0/24", 7001)})
    made.interface("green1-eth0", 0x1DD8B71CAA01, ("/virtualNetworks/green/subnets/web", "10.2.1.11"))
    made.machine("green1", "host1", ["green1-eth0"], "Running")
    made.peer("green", "Blue", allow_virtual_network_access=True, use_remote_gateways=used, **more)
    made.peer("Blue", "green", allow_virtual_network_access=True, allow_gateway_transit=True)
    return made


def test_a_peer_leaves_by_the_gateway_that_it_uses():
    made = lent()
    found = trace(made.state, "green1-eth0", OUTSIDE)
    assert found.delivered and last(found).endswith("known outside as 203.0.113.20")
    assert any(step.text == "to the gateway of peered network Blue, 10.1.9.4" for step in found.path)
    assert (pack_ip("10.2.1.0"), 24) in policy_gateways.edge(made.state, "gw1", 60).prefixes
    ways_out.make_known(made, "green1-eth0", "p2")
    assert last(trace(made.state, "green1-eth0", OUTSIDE)).endswith("known outside as 203.0.113.21")


def test_two_peers_that_leave_by_one_gateway_do_not_meet_there():
    made = lent()
    made.network("red", 80, {"web": ("10.3.1.0/24", 8001)})
    made.interface("red1-eth0", 0x1DD8B71CAA02, ("/virtualNetworks/red/subnets/web", "10.3.1.11"))
    made.machine("red1", "host1", ["red1-eth0"], "Running")
    made.peer("red", "Blue", allow_virtual_network_access=True, use_remote_gateways=True)
    made.peer("Blue", "green", "red", allow_virtual_network_access=True, allow_gateway_transit=True)
    for one, other in (("green1-eth0", "10.3.1.11"), ("red1-eth0", "10.2.1.11")):
        assert trace(made.state, one, OUTSIDE).delivered
        assert trace(made.state, one, other).reason == f"the gateway on gw1 has no route to {other}"


def test_it_is_not_left_by_one_that_is_not_lent_or_not_there():
    for made in (lent(used=False), lent()):
        if (
            made.state.get("virtualNetworks", "green")
            .properties.virtual_network_peerings[0]
            .properties.use_remote_gateways
        ):
            made.delete("virtualGateways", "Blue")
        assert trace(made.state, "green1-eth0", OUTSIDE).reason.startswith("no gateway:")
    edge = policy_gateways.edge(lent(used=False).state, "gw1", 60)
    assert (pack_ip("10.2.1.0"), 24) not in edge.prefixes


def test_to_an_address_that_the_gateway_itself_has_outside():
    """It goes no further: the edge answers, or refuses, itself."""
    made = with_vips(world(nat="p1", connections=(gre(), l3(("198.51.100.0/24",)))))
    for own in ("203.0.113.20", "10.100.0.5", "172.16.0.1"):
        found = trace(made.state, "blue1-eth0", own)
        assert (found.delivered, found.reason) == (True, f"reached the gateway on gw1, whose own address {own} is")
    assert trace(made.state, "blue1-eth0", "172.16.0.2").reason.startswith("left by the gateway on gw1 through ")


def test_a_route_by_a_next_hop_of_the_other_family_is_left_out():
    """A release let it in; a host could have none of its edge's routes."""
    made = world(connections=(l3(("fd09::/16", "10.9.0.0/16")),))
    (leg,) = policy_gateways.edge(made.state, "gw1", 60).legs
    assert [one.prefix for one in leg.routes] == [pack_ip("10.9.0.0")]


def test_no_gateway_is_the_way_to_what_lies_in_the_networks_own_address_space():
    made = world(nat="p1")
    for space in ("10.0.0.0/8", "0.0.0.0/0"):
        made.space("Blue", space)
        assert trace(made.state, "blue1-eth0", "10.1.2.21").delivered
        found = trace(made.state, "blue1-eth0", "10.99.9.9")
        assert not found.delivered and found.decided_by == "/virtualNetworks/Blue"
        assert found.reason.startswith("no route: 10.99.9.9 lies in ")
    assert not trace(made.state, "blue1-eth0", OUTSIDE).delivered, "0.0.0.0/0 has no outside"
    made.space("Blue", "10.0.0.0/8")
    assert trace(made.state, "blue1-eth0", OUTSIDE).delivered
    subnets = {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002), "gw": ("10.1.9.0/24", 6009)}
    for prefix, delivered in (("10.99.0.0/16", True), ("10.0.0.0/8", True), ("0.0.0.0/0", False)):
        made.table("t", r=(prefix, "VirtualNetworkGateway", ""))
        made.network("Blue", 60, subnets, {"web": "t"})
        made.space("Blue", "10.0.0.0/8")
        assert trace(made.state, "blue1-eth0", "10.99.9.9").delivered is delivered, prefix


def test_what_connections_lead_to_inside_the_address_space_leaves_by_the_gateway():
    made = with_vips(world(nat="p1", connections=(l3(("10.200.0.0/16", "10.0.0.0/9", "0.0.0.0/0")), gre())))
    made.space("Blue", "10.0.0.0/8", "172.16.0.0/12")
    reached = {
        "10.200.0.5": "/logicalNetworks/physical/subnets/out",
        "10.100.0.7": "/logicalNetworks/physical/subnets/out",
        "10.99.9.9": "/logicalNetworks/physical/subnets/out",
        "172.16.0.2": "/virtualGateways/Blue/networkConnections/site",
    }
    for to, where in reached.items():
        found = trace(made.state, "blue1-eth0", to)
        assert found.delivered and found.reason.endswith(f"through {where}"), (to, found.reason)
    named = {(step.record, step.text) for step in trace(made.state, "blue1-eth0", "10.200.0.5").path}
    assert ("CustomerRoute 10.200.0.0/16", "to the gateway of the network, 10.1.9.4") in named
    for to in ("10.201.0.5", "172.17.0.1"):  # what nat alone leads to, and the default route of a connection
        found = trace(made.state, "blue1-eth0", to)
        assert not found.delivered and found.reason.startswith("no route: "), to
    shown = {one["destinationPrefix"]: one["nextHop"] for one in view(made.state, "Host1")["customerRoutes"]}
    assert (
        shown["10.200.0.0/16"] == shown["10.100.0.0/24"] == shown["172.16.0.0/30"] == shown["0.0.0.0/0"] == "10.1.9.4"
    )
    assert "198.51.100.0/24" not in shown, "the default route leads there"


def test_a_peer_that_uses_the_gateway_is_led_as_its_network_is():
    made = world(nat="p1", connections=(l3(("10.200.0.0/16", "10.2.1.0/25", "10.2.0.0/17")),))
    made.space("Blue", "10.0.0.0/8")
    made.network("green", 70, {"web": ("10.2.1.0/24", 7001)})
    made.space("green", "10.2.0.0/16")
    made.interface("green1-eth0", 0x101010103301, ("/virtualNetworks/green/subnets/web", "10.2.1.11"))
    made.machine("green1", "host1", ["green1-eth0"], "Running")
    made.peer("Blue", "green", allow_virtual_network_access=True, allow_gateway_transit=True)

    def reached(used):
        made.peer("green", "Blue", allow_virtual_network_access=True, use_remote_gateways=used)
        return [trace(made.state, "green1-eth0", to).delivered for to in ("10.200.0.5", "10.2.2.1", "10.201.0.1")]

    assert reached(True) == [True, True, False]
    assert reached(False) == [False, False, False]
    assert trace(made.state, "blue1-eth0", "10.2.2.1").delivered
    assert trace(made.state, "blue1-eth0", "10.2.1.11").reason == "delivered to port green1-eth0 on Host1"
    routes = [one for one in policy_network.stream(made.state, 60).values() if isinstance(one, CustomerRoute)]
    assert pack_ip("10.2.1.0") not in [one.prefix for one in routes], "a peer's subnet stays what it is"
