"""The pipeline on the fake switch and on a real Open vSwitch: the example policy on two hosts, and what becomes of a
packet."""

import asyncio
from collections import Counter

import msgspec
import pytest

from tests.contract.pipeline import (
    ASK,
    BLUE1,
    BLUE2,
    BLUEDB,
    DELIVERED,
    DROPPED,
    ECHO,
    LOCAL1,
    MACS,
    OTHER,
    RED1,
    ROUTED,
    VIA_ROUTER,
    arp_answer,
    changed,
    counted,
    drops,
    gateway_reply,
    settle,
    two_hosts,
)
from tests.contract.switch_worlds import apply, opened, seen, switch_world
from tests.unit.agent.policies import BLUE, HOSTS, Guest, access_list, subnet_records
from weft.agent.flows.actions import Output
from weft.agent.flows.fields import Table
from weft.agent.flows.metering import Kind
from weft.agent.reach import FIRST_SECONDS, Reach
from weft.agent.switch import Peer, SwitchChange, SwitchMeter
from weft.fakes import packet as p
from weft.model.records import (
    NeededNetwork,
    NetworkSettings,
    PeerNetwork,
    PortLimits,
    ProviderAddress,
    TunnelEndpoint,
    UserRoute,
)
from weft.model.values import ROUTER_MAC, Mac, Rdid, Vsid, link_local_of, pack_ip

PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=PARAMS)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
async def test_what_the_pipeline_delivers_and_drops(world, encapsulation):
    await two_hosts(world, encapsulation)
    for name, (sent, expected) in DELIVERED.items():
        before = await drops(world)
        got = await world.send("host1", "blue1", sent)
        assert got == {(host, port, changed(one, size=0)) for host, port, one in expected}, name
        assert await counted(world, before, expected={}) == {}, name
    for name, (sent, reason) in DROPPED.items():
        before = await drops(world)
        await world.put("host1", "blue1", sent)
        # once it is counted it has been through the pipeline
        assert await counted(world, before, expected={reason: 1}) == {reason: 1}, name
        assert await world.arrived(0.0) == set(), name
    assert await world.arrived() == set(), "a packet that was counted as dropped came out"


async def test_a_table_decides_before_the_system_where_both_are_as_long_and_not_where_it_is_shorter(world):
    reconcilers = await two_hosts(world)
    through = [one for one in DELIVERED["routed"][1]]
    for length, reason in ((23, ""), (24, "blocked_route"), (25, "")):
        route = UserRoute(BLUE1.vsid, pack_ip("10.1.2.0"), length, "None")
        if length == 25:
            # longer, and back where the system would take it
            route = UserRoute(BLUE1.vsid, pack_ip("10.1.2.0"), length, "VnetLocal", BLUEDB.vsid)
        reconcilers["host1"].put(BLUE, route.key, route)
        await settle(world, reconcilers)
        before = await drops(world)
        got = await world.send("host1", "blue1", ROUTED)
        assert got == (set() if reason else {(host, port, changed(one, size=0)) for host, port, one in through})
        found = {reason: 1} if reason else {}
        assert await counted(world, before, expected=found) == found
    # the other subnet has no table
    back = p.echo((BLUEDB.mac, ROUTER_MAC), (BLUEDB.v4, BLUE1.v4), "x")
    assert len(await world.send("host2", "bluedb", back)) == 1


GREEN = Rdid(70)
GREEN1 = Guest("green1", "host2", GREEN, Vsid(7001), Mac(0x001DD8B71C31), "10.3.1.11", "fd00:3::11")
TO_GREEN = p.echo(VIA_ROUTER, (BLUE1.v4, GREEN1.v4), "x")
TO_GREEN6 = p.echo(VIA_ROUTER, (BLUE1.v6, GREEN1.v6), "x")


async def green_beside_blue(world, encapsulation):
    """A third network with a machine on host2, over another kind of tunnel; host1 has no port in it."""
    reconcilers = await two_hosts(world)
    await world.plug("host2", GREEN1.name, GREEN1.instance, GREEN1.mac)
    await seen(world, "host2", opened(GREEN1.name))
    binding = GREEN1.binding()
    reconcilers["host2"].put(0, binding.key, binding)
    for host, reconciler in reconcilers.items():
        needed = NeededNetwork(GREEN, "/virtualNetworks/green", HOSTS[host])
        for record in (
            NetworkSettings(GREEN, encapsulation, "/virtualNetworks/green"),
            *(one for text in ("10.3.1.0/24", "fd00:3::/64") for one in subnet_records(7001, text)),
            *(TunnelEndpoint(address) for address in HOSTS.values()),
            *GREEN1.lookups(),
        ):
            reconciler.put(GREEN, record.key, record)
        reconciler.put(0, needed.key, needed)
    return reconcilers


@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
async def test_peers_reach_each_other_and_nobody_else_does(world, encapsulation):
    reconcilers = await green_beside_blue(world, encapsulation)
    for reconciler in reconcilers.values():
        for rdid, other in ((BLUE, GREEN), (GREEN, BLUE)):
            peer = PeerNetwork(other, "")
            reconciler.put(rdid, peer.key, peer)
    await settle(world, reconcilers)
    for sent in (TO_GREEN, TO_GREEN6):
        arrived = changed(sent, eth_src=ROUTER_MAC, eth_dst=GREEN1.mac, ttl=63, size=0)
        assert await world.send("host1", "blue1", sent) == {("host2", "green1", arrived)}
        back = changed(sent, eth_src=GREEN1.mac, eth_dst=ROUTER_MAC, ip_src=sent.ip_dst, ip_dst=sent.ip_src)
        arrived = changed(back, eth_src=ROUTER_MAC, eth_dst=BLUE1.mac, ttl=63, size=0)
        assert await world.send("host2", "green1", back) == {("host1", "blue1", arrived)}
    ping = changed(TO_GREEN, ip_dst=p.number("10.3.1.1"))
    answer = changed(gateway_reply(ping, "10.3.1.1"), size=0)
    assert await world.send("host1", "blue1", ping) == {("host1", "blue1", answer)}
    red = p.echo((RED1.mac, ROUTER_MAC), (RED1.v4, GREEN1.v4), "x")
    assert await world.send("host1", "red1", red) == set()
    for reconciler in reconcilers.values():
        reconciler.put(BLUE, PeerNetwork(GREEN, "").key, None)
    await settle(world, reconcilers)
    before = await drops(world)
    assert await world.send("host1", "blue1", TO_GREEN) == set()
    assert await counted(world, before, expected={"no_route": 1}) == {"no_route": 1}


async def test_settings_of_a_port_let_the_same_packets_through_and_more_where_they_say_so(world):
    reconcilers = await two_hosts(world)
    for guest in (BLUE1, BLUE2, BLUEDB):
        limits = PortLimits(guest.instance, True, False, True, 100, 50, 50)
        reconcilers[guest.host].put(0, limits.key, limits)
    await settle(world, reconcilers)
    for name in ("same subnet", "same subnet v6", "routed", "routed v6", "broadcast", "arp", "nd", "gateway pings"):
        sent, expected = DELIVERED[name]
        got = await world.send("host1", "blue1", sent)
        assert got == {(host, port, changed(one, size=0)) for host, port, one in expected}, name
    for name in ("another ipv4", "another ipv6", "another mac"):
        sent, _ = DROPPED[name]
        assert await world.send("host1", "blue1", sent) == {("host2", "blue2", changed(sent, size=0))}, name
    question = changed(ASK, arp_spa=p.number("10.1.1.99"), arp_sha=OTHER, eth_src=OTHER)
    answer = changed(arp_answer(question, BLUE2.mac), arp_tpa=p.number("10.1.1.99"), size=0)
    assert await world.send("host1", "blue1", question) == {("host1", "blue1", answer)}
    for name in ("vlan tag", "router advertisement", "redirect", "arp for nobody", "nd for nobody", "no route"):
        sent, reason = DROPPED[name]
        before = await drops(world)
        assert await world.send("host1", "blue1", sent) == set(), name
        assert await counted(world, before, expected={reason: 1}) == {reason: 1}, name
    for host, reconciler in reconcilers.items():
        for guest in (BLUE1, BLUE2, BLUEDB):
            if guest.host == host:
                reconciler.put(0, (18, guest.instance.encode()), None)
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", DROPPED["another ipv4"][0]) == set()
    left = {one.id & 3 for one in (await world.switches["host1"].dump()).meters}
    assert left == {Kind.SERVICE}


async def test_a_storm_is_held_and_what_is_for_one_machine_is_not(world):
    """Sixty broadcasts at once, of which ten may pass; the fake switch has no time, so there all do."""
    reconcilers = await two_hosts(world)
    limits = PortLimits(BLUE1.instance, storm=10)
    reconcilers["host1"].put(0, limits.key, limits)
    await settle(world, reconcilers)
    await world.arrived(0.0)
    for port in range(1000, 1060):
        await world.put("host1", "blue1", p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (9, port)))
    heard = len(await world.arrived())
    assert 10 <= heard <= 30 if world.real else heard == 60
    for port in range(1000, 1060):
        await world.put("host1", "blue1", p.udp(MACS, (BLUE1.v4, BLUE2.v4), (9, port)))
    assert len(await world.arrived()) == 60


CROWD = [
    Guest(f"blue{one}", "host1", BLUE, Vsid(6001), Mac(BLUE1.mac + one), f"10.1.1.{one}", f"fd00:1::{one}")
    for one in (3, 4, 5)
]


async def crowded(world, listed):
    """Three guests more on host1, of which the first two have an inbound limit, each under a list or none."""
    for guest in CROWD:
        await world.plug("host1", guest.name, guest.instance, guest.mac)
        await seen(world, "host1", opened(guest.name))
    reconcilers = await two_hosts(world)
    mine = [one.binding() for one in CROWD] + [PortLimits(one.instance, inbound_mbps=1000) for one in CROWD[:2]]
    if listed:
        mine += [access_list(1, "100 in allow ALL * * * *"), *(one.access(1) for one in CROWD)]
    for record in mine:
        reconcilers["host1"].put(0, record.key, record)
    for lookup in (one for guest in CROWD for one in guest.lookups()):
        for reconciler in reconcilers.values():
            reconciler.put(BLUE, lookup.key, lookup)
    await settle(world, reconcilers)


def broadcast(sender, port):
    return p.udp((sender.mac, p.BROADCAST), (sender.v4, "255.255.255.255"), (9, port))


@pytest.mark.parametrize("listed", [False, True], ids=["", "listed"])
async def test_a_port_over_its_rate_takes_a_broadcast_from_nobody_else(world, listed):
    """Two that are, before one that has no limit and those of the other host."""
    await crowded(world, listed)
    limited = [one.id for one in (await world.switches["host1"].dump()).meters if one.id & 3 == Kind.INBOUND]
    assert len(limited) == 2
    # as if twenty broadcasts were more than may come in
    slow = tuple(SwitchMeter(one, "pktps", 1, 1) for one in limited)
    assert await apply(world, "host1", SwitchChange(meters=slow)) == ()
    await world.arrived(0.0)
    for port in range(1000, 1020):
        await world.put("host1", "blue3", broadcast(CROWD[0], port))
    heard = Counter(name for _, name, _ in await world.arrived())
    assert (heard["blue3"], heard["blue5"], heard["blue2"]) == (0, 20, 20)
    # what it said itself took nothing of what may come in
    to_blue3 = p.udp((BLUE1.mac, CROWD[0].mac), (BLUE1.v4, CROWD[0].v4), (9, 9))
    assert {(name, one.ip_src) for _, name, one in await world.send("host1", "blue1", to_blue3)} == {
        ("blue3", to_blue3.ip_src)
    }
    if not world.real:
        assert world.switches["host1"].metered[min(limited)] == 1
        world.switches["host1"].faults.over_rate |= set(limited)
    for sender, others in ((BLUE1, "blue2"), (BLUE2, "blue1")):
        await world.arrived(0.0)
        for port in range(1000, 1020):
            await world.put(sender.host, sender.name, broadcast(sender, port))
        heard = Counter(name for _, name, _ in await world.arrived())
        assert (heard["blue5"], heard[others]) == (20, 20)
        assert max(heard["blue3"], heard["blue4"]) < 10


async def test_a_filtered_port_gets_the_same_packets_by_way_of_its_tables(world):
    reconcilers = await two_hosts(world)
    for host, reconciler in reconcilers.items():
        # as if an inbound list applied to all of them, and had no rules yet
        local = {name: msgspec.structs.replace(one, filtered=True) for name, one in reconciler.locals.items()}
        reconciler.table.set_locals(local)
        reconciler.table.build()
        flows = reconciler.table.flows
        delivering = [one for one in flows.values() if one.table == Table.DECAP and one.priority == 100]
        assert delivering and not [one for one in delivering if isinstance(one.actions[0], Output)]
        puts = tuple(flows[key] for key in reconciler.table.changed)
        assert await apply(world, host, SwitchChange(puts=puts)) == ()
    for name in ("same subnet", "same subnet v6", "routed", "routed v6", "broadcast"):
        sent, expected = DELIVERED[name]
        got = await world.send("host1", "blue1", sent)
        assert got == {(host, port, changed(one, size=0)) for host, port, one in expected}, name


async def test_equal_addresses_of_two_tenants_never_meet(world):
    await two_hosts(world)
    red = p.echo((RED1.mac, BLUE2.mac), (RED1.v4, BLUE2.v4), "red")
    assert await world.send("host1", "red1", red) == {("host2", "red2", changed(red, size=0))}
    routed = p.echo((RED1.mac, ROUTER_MAC), (RED1.v4, BLUEDB.v4))
    assert await world.send("host1", "red1", routed) == set()
    assert await counted(world, {}, expected={"no_route": 1}) == {"no_route": 1}


async def test_a_port_that_nobody_told_of_is_closed(world):
    await two_hosts(world)
    await world.plug("host1", "stranger", "somebody", 0x001DD8B71C55)
    await seen(world, "host1", opened("stranger"))
    assert await world.send("host1", "stranger", changed(ECHO, eth_src=0x001DD8B71C55)) == set()
    assert await counted(world, {}, expected={"unknown_port": 1}) == {"unknown_port": 1}


async def test_the_outer_source_must_be_a_host_of_the_domain(world):
    reconcilers = await two_hosts(world)
    reconcilers["host2"].put(BLUE, (4, HOSTS["host1"]), None)
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == set()
    assert await counted(world, {}, "host2", {"wrong_source": 1}) == {"wrong_source": 1}


async def test_a_vsid_without_policy_is_dropped(world):
    reconcilers = await two_hosts(world)
    for key in list(reconcilers["host2"].table.domains[BLUE].records):
        reconcilers["host2"].put(BLUE, key, None)
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == set()
    assert await counted(world, {}, "host2", {"unknown_vsid": 1}) == {"unknown_vsid": 1}


async def test_the_first_packet_to_a_new_peer_is_not_lost(world):
    """two_hosts lets no packet flow before: DELIVERED's first one would be lost without the peers' step."""
    reconcilers = await two_hosts(world)
    assert Peer(HOSTS["host1"], HOSTS["host2"]) in reconcilers["host1"].tunnels.reached
    assert await world.send("host1", "blue1", ECHO) != set()


def test_the_link_local_address_is_that_of_linux():
    assert link_local_of(BLUE1.mac) == p.number(LOCAL1)


async def test_a_probe_comes_to_the_other_agent_and_its_answer_back(world):
    """As large as the provider network carries: whole, from agent to agent, and never to a guest."""
    reconcilers = await two_hosts(world)
    near, others = Reach(), frozenset(list(reconcilers["host1"].tunnels.others)[:1])
    assert list(near.turn(others, 1500, -FIRST_SECONDS)) == []
    (asked,) = near.turn(others, 1500, FIRST_SECONDS)
    (other,) = others
    remote = next(host for host, address in HOSTS.items() if address == other.remote)
    came, back = world.switches[remote].packets_in(), world.switches["host1"].packets_in()
    world.switches["host1"].send((asked,))
    async with asyncio.timeout(30):
        world.switches[remote].send(Reach().heard(await anext(came), 0.0))
        assert list(near.heard(await anext(back), FIRST_SECONDS)) == []
    assert list(near.turn(others, 1500, FIRST_SECONDS + 1)) == [] and near.words() == []
    assert await world.arrived() == set()


async def test_a_virtual_subnet_is_reached_at_its_own_address_and_sends_from_it(world):
    """The agent puts it on the host's interface; red goes on by the hosts' own, and no other source is taken."""
    reconcilers = await two_hosts(world)
    own = {"host1": pack_ip("192.168.1.71"), "host2": pack_ip("192.168.2.72")}
    bound = {"host1": BLUE1, "host2": BLUE2}
    for host, reconciler in reconcilers.items():
        prefix = pack_ip(f"192.168.{host[-1]}.1")
        address = ProviderAddress(own[host], 24, prefix, "provider", for_subnet=True)
        binding = changed(bound[host].binding(), provider_address=own[host])
        for record in (address, binding):
            reconciler.put(0, record.key, record)
        for there, guest in bound.items():
            lookups = (changed(one, provider_address=own[there]) for one in guest.lookups())
            for record in (TunnelEndpoint(own[there], for_subnet=True), *lookups):
                reconciler.put(BLUE, record.key, record)
    await settle(world, reconcilers)
    for host, address in own.items():
        there = (await seen(world, host, lambda _: True)).addresses
        assert [one.ours for one in there if one.address == address] == [True]
        others = {one.remote for one in reconcilers[host].tunnels.others}
        assert others.isdisjoint(own.values()), "probes go to the hosts' own"
    delivered = {("host2", "blue2", changed(ECHO, size=0))}
    assert await world.send("host1", "blue1", ECHO) == delivered
    assert ("host2", "bluedb") in {one[:2] for one in await world.send("host1", "blue1", ROUTED)}
    assert await world.send("host1", "red1", ECHO) == {("host2", "red2", changed(ECHO, size=0))}
    # from an address that host2 was not told of, nothing is taken: it was the subnet's that the packet left from
    reconcilers["host2"].put(BLUE, (4, own["host1"]), None)
    await settle(world, reconcilers)
    before = await drops(world)
    assert await world.send("host1", "blue1", ECHO) == set()
    assert await counted(world, {}, "host2", {"wrong_source": 1}) == {"wrong_source": 1}, before
    # taken back, it leaves the interface
    for host, reconciler in reconcilers.items():
        reconciler.put(0, (11, own[host]), None)
        reconciler.put(0, bound[host].binding().key, bound[host].binding())
        for there, guest in bound.items():
            reconciler.put(BLUE, (4, own[there]), None)
            for record in guest.lookups():
                reconciler.put(BLUE, record.key, record)
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == delivered
    await seen(world, "host1", lambda facts: [one.address for one in facts.addresses] == [HOSTS["host1"]])
