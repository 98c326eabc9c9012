"""Peered networks and route tables on a whole cluster: what arrives, and that the trace says the same."""

import pytest

from tests.cluster import access_lists, ways_out
from tests.cluster.harness import Cluster
from tests.cluster.world import World
from weft.agent.flows.metering import Kind, meter_id
from weft.core import policy
from weft.core.trace import trace
from weft.fakes import packet as p
from weft.model import workload
from weft.model.values import ROUTER_MAC, pack_ip

HOSTS = {"h1": "192.168.1.1", "h2": "192.168.1.2", "h3": "192.168.1.3"}
NETWORKS = {"blue": 1, "green": 3, "red": 5}
"""Each has 10.N.1.0/24 with fd00:N::/64 under one VSID, and 10.N.2.0/24."""
PLACES = {"blue11": "h1", "blue12": "h2", "green11": "h2", "green12": "h3", "red11": "h1"}


def mac(name):
    return 0x001DD8B70000 + NETWORKS[name[:-2]] * 0x100 + int(name[-2:])


def address(name, version=4):
    number = NETWORKS[name[:-2]]
    return f"10.{number}.1.{name[-2:]}" if version == 4 else f"fd00:{number}::{name[-2:]}"


def network(world, name, tables=None):
    number = NETWORKS[name]
    base = number * 1000
    subnets = {
        "web": (f"10.{number}.1.0/24", base),
        "six": (f"fd00:{number}::/64", base),
        "db": (f"10.{number}.2.0/24", base + 1),
    }
    world.network(name, number, subnets, tables)


@pytest.fixture
async def cluster():
    world = World()
    world.protocol("NVGRE")
    world.fabric(pa="192.168.1.0/24")
    for host, place in HOSTS.items():
        world.server(host, place)
    for name in NETWORKS:
        network(world, name)
    for name, host in PLACES.items():
        ref = f"/virtualNetworks/{name[:-2]}/subnets/"
        world.interface(f"{name}-eth0", mac(name), (ref + "web", address(name)), (ref + "six", address(name, 6)))
        world.machine(name, host, [f"{name}-eth0"], "Running")
    made = Cluster(world)
    await made.settle()
    return made


def reach(cluster, one, target):
    """Whether a ping is answered; the trace must say the same."""
    answered = cluster.center.ping(one, target).received
    told = trace(cluster.world.state, f"{one}-eth0", target)
    assert told.delivered == answered, f"{one} -> {target}: {answered}, but the trace says {told.reason}"
    return answered


def pairs(cluster):
    """Who reaches whom, by every address."""
    found = set()
    for one in PLACES:
        for other in PLACES:
            answers = {reach(cluster, one, address(other, version)) for version in (4, 6) if one != other}
            assert len(answers) < 2, f"{one} reaches {other} by one family only"
            if answers == {True}:
                found.add((one, other))
    return found


def of(*networks):
    named = [one for one in PLACES if one[:-2] in networks]
    return {(one, other) for one in named for other in named if one != other}


ALONE = of("blue") | of("green") | of("red")


async def test_peers_reach_each_other_from_when_both_sides_want_it_until_one_does_not(cluster):
    world = cluster.world
    assert pairs(cluster) == ALONE
    world.peer("blue", "green")
    await cluster.follow()
    assert pairs(cluster) == ALONE, "Initiated"
    world.peer("green", "blue")
    await cluster.follow()
    assert pairs(cluster) == of("blue", "green") | of("red")
    world.peer("green", "blue", allow_virtual_network_access=False)
    await cluster.follow()
    assert pairs(cluster) == ALONE, "no access"
    world.peer("green", "blue")
    await cluster.follow()
    assert pairs(cluster) == of("blue", "green") | of("red")
    world.peer("blue")
    await cluster.follow()
    assert pairs(cluster) == ALONE, "Disconnected"


async def test_peering_is_not_handed_on(cluster):
    world = cluster.world
    world.peer("blue", "green")
    world.peer("green", "blue", "red")
    world.peer("red", "green")
    await cluster.follow()
    assert pairs(cluster) == of("blue", "green") | of("green", "red")


async def test_a_host_needs_a_peers_network_as_long_as_it_has_a_port_beside_it(cluster):
    world, h1 = cluster.world, cluster.hosts["h1"]
    assert NETWORKS["green"] not in h1.needed()
    world.peer("blue", "green")
    world.peer("green", "blue")
    await cluster.follow()
    assert NETWORKS["green"] in h1.needed()
    world.move("blue11", "h3", "switched")
    await cluster.follow()
    world.move("blue11", "h3", "done")
    await cluster.follow()
    assert pairs(cluster) == of("blue", "green") | of("red")
    assert h1.needed() == {NETWORKS["red"]}
    rest = [flow for flow in h1.reconciler.table.flows.values() if flow.cookie & 0xFFFFFFFF == 3000]
    assert rest == []


async def test_gateways_of_a_peer_answer(cluster):
    cluster.world.peer("blue", "green")
    cluster.world.peer("green", "blue")
    await cluster.follow()
    for gateway in ("10.3.1.1", "10.3.2.1", "fd00:3::1"):
        assert reach(cluster, "blue11", gateway)
    assert not reach(cluster, "red11", "10.3.1.1")


async def test_a_table_may_take_the_way_to_a_peer(cluster):
    world = cluster.world
    world.peer("blue", "green")
    world.peer("green", "blue")
    world.table("t", shut=("10.3.1.0/24", "None", ""))
    network(world, "blue", {"web": "t"})
    await cluster.follow()
    assert not reach(cluster, "blue11", address("green11"))
    assert reach(cluster, "blue11", address("green11", 6)), "the table is the IPv4 subnet's"


async def test_what_a_table_sends_to_an_appliance_arrives_there(cluster):
    world = cluster.world
    world.table(
        "t", out=("0.0.0.0/0", "VirtualAppliance", address("blue12")), six=("::/0", "VirtualAppliance", "fd00:1::12")
    )
    network(world, "blue", {"web": "t", "six": "t"})
    await cluster.follow()
    for target, version in (("203.0.113.9", 4), ("2001:db8::9", 6)):
        packet = p.udp((mac("blue11"), ROUTER_MAC), (address("blue11", version), target), (5000, 53))
        (found,) = cluster.center.send("blue11", packet)
        guest, seen = cluster.center.receiver(found), found.packet
        assert guest[0].name == "blue12"
        assert (seen.ip_dst, seen.ttl) == (p.number(target), 63)
        told = trace(world.state, "blue11-eth0", target)
        assert told.delivered and told.decided_by == f"/routeTables/t/routes/{'out' if version == 4 else 'six'}"


def forwarded(cluster, name, source, target):
    """What a machine sends on for another: who gets it."""
    packet = p.udp((mac(name), ROUTER_MAC), (source, target), (5000, 53))
    return [cluster.center.receiver(one)[0].name for one in cluster.center.send(name, packet)]


async def test_an_appliance_sends_on_what_is_of_others_if_its_port_lets_it(cluster):
    world = cluster.world
    assert forwarded(cluster, "blue12", "203.0.113.9", address("blue11")) == []
    world.settings("blue12-eth0", mac_spoofing_enabled="Enabled")
    await cluster.follow()
    assert forwarded(cluster, "blue12", "203.0.113.9", address("blue11")) == ["blue11"]
    assert forwarded(cluster, "blue12", "2001:db8::9", address("blue11", 6)) == ["blue11"]
    assert forwarded(cluster, "blue12", "10.5.1.11", address("red11")) == [], "never out of its own network"
    assert pairs(cluster) == ALONE
    world.settings("blue12-eth0")
    await cluster.follow()
    assert forwarded(cluster, "blue12", "203.0.113.9", address("blue11")) == []


async def test_a_peer_takes_what_is_sent_on_for_others_if_it_says_so(cluster):
    world = cluster.world
    world.settings("blue12-eth0", mac_spoofing_enabled="Enabled")
    world.peer("blue", "green", allow_forwarded_traffic=True)
    world.peer("green", "blue")
    await cluster.follow()
    switch = cluster.center.switches["h2"]
    assert forwarded(cluster, "blue12", "203.0.113.9", address("green11")) == []
    assert (await switch.dump()).drops["not_forwarded"] == 1
    assert forwarded(cluster, "blue12", address("blue12"), address("green11")) == ["green11"], "its own"
    world.peer("green", "blue", allow_forwarded_traffic=True)
    await cluster.follow()
    assert forwarded(cluster, "blue12", "203.0.113.9", address("green11")) == ["green11"]


async def test_a_machine_with_other_macs_is_answered_from_policy_and_not_found_by_them(cluster):
    world, other = cluster.world, 0x020000000001
    asks = p.arp_request(other, "10.1.1.99", address("blue11"))
    assert cluster.center.send("blue12", asks) == []
    world.settings("blue12-eth0", mac_spoofing_enabled="Enabled")
    await cluster.follow()
    (answer,) = cluster.center.send("blue12", asks)
    assert (answer.packet.arp_op, answer.packet.eth_dst, answer.packet.arp_sha) == (2, other, mac("blue11"))
    packet = p.udp((other, mac("blue11")), ("10.1.1.99", address("blue11")), (5000, 53))
    assert [cluster.center.receiver(one)[0].name for one in cluster.center.send("blue12", packet)] == ["blue11"]
    back = p.udp((mac("blue11"), other), (address("blue11"), "10.1.1.99"), (53, 5000))
    assert cluster.center.send("blue11", back) == []
    world.settings("blue12-eth0", mac_spoofing_enabled="Enabled", arp_guard_enabled="Enabled")
    await cluster.follow()
    switch = cluster.center.switches["h2"]
    assert cluster.center.send("blue12", asks) == []
    assert (await switch.dump()).drops["arp_guarded"] == 1


async def test_limits_hold_where_they_are_set(cluster):
    world, switch = cluster.world, cluster.center.switches["h2"]
    world.settings(
        "blue12-eth0",
        storm_limit=5,
        qos_settings=workload.QosSettings(outbound_maximum_mbps=10, inbound_maximum_mbps=20),
    )
    await cluster.follow()
    instance = world.state.get("networkInterfaces", "blue12-eth0").instance_id
    number = cluster.hosts["h2"].reconciler.locals[instance].number
    assert pairs(cluster) == ALONE
    loud = p.udp((mac("blue12"), p.BROADCAST), (address("blue12"), "255.255.255.255"), (5000, 9999))
    sent = {"out": ("blue12", address("blue11")), "in": ("blue11", address("blue12"))}

    def arrives(one, target):
        return cluster.center.ping(one, target).received

    assert [one.packet.eth_dst for one in cluster.center.send("blue12", loud)] == [p.BROADCAST]
    switch.faults.over_rate = {meter_id(number, Kind.STORM)}
    assert cluster.center.send("blue12", loud) == []
    assert all(arrives(*one) for one in sent.values())
    for kind in (Kind.OUTBOUND, Kind.INBOUND):
        switch.faults.over_rate = {meter_id(number, kind)}
        assert not any(arrives(*one) for one in sent.values())
        assert arrives("green11", address("green12"))


async def test_an_access_list_holds_for_what_is_sent_on_too(cluster):
    world = cluster.world
    access_lists.put_list(world, "none", 7, outbound="Deny")
    access_lists.filter_subnet(world, "blue", "web", "none")
    world.settings("blue12-eth0", mac_spoofing_enabled="Enabled")
    await cluster.follow()
    assert forwarded(cluster, "blue12", address("blue12"), "10.1.1.1") == []
    assert forwarded(cluster, "blue12", "203.0.113.9", address("blue11")) == []
    assert (await cluster.center.switches["h2"].dump()).drops["access_denied"] == 2


async def test_a_route_to_the_gateway_takes_the_one_that_the_network_has(cluster):
    world = cluster.world
    ways_out.outside(world, "internet", "203.0.113.0/24")
    world.table("t", out=("198.51.100.0/24", "Internet", ""), shut=("0.0.0.0/0", "None", ""))
    network(world, "blue", {"web": "t"})
    await cluster.follow()
    switch, target = cluster.center.switches["h1"], "198.51.100.9"
    assert forwarded(cluster, "blue11", address("blue11"), target) == []
    assert (await switch.dump()).drops["no_gateway"] == 1
    assert trace(world.state, "blue11-eth0", target).reason.startswith("no gateway")
    ways_out.gateway(world, "g1", "h3")
    ways_out.way_out(world, "blue", "db", "10.1.2.250", ("g1",))
    await cluster.follow()
    record = policy.record(world.state, ("network", 1), (9, 1000, pack_ip("198.51.100.0"), 24))
    assert (record.hop_vsid, record.next_hop) == (1001, pack_ip("10.1.2.250"))
    assert forwarded(cluster, "blue11", address("blue11"), "192.0.2.9") == []
    assert (await switch.dump()).drops["blocked_route"] == 1, "before the network's own way out, which is as long"
