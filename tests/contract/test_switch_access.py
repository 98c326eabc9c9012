"""Access lists on the fake switch and on a real Open vSwitch: what passes, what answers it, and what a rule that comes
or goes does to connections that are there."""

import asyncio
import struct

import msgspec
import pytest

from tests.contract.pipeline import changed, drops, gateway_reply, settle, two_hosts
from tests.contract.switch_worlds import switch_world
from tests.unit.agent.policies import BLUE, GUESTS, access_list
from weft.agent.flows.fields import rule_cookie
from weft.fakes import packet as p
from weft.fakes.frames import checksum
from weft.model.records import CustomerRoute, PortLimits, UserRoute
from weft.model.values import ROUTER_MAC, PackedIp, Vsid, pack_ip

BLUE1, BLUE2, BLUEDB = (GUESTS[name] for name in ("blue1", "blue2", "bluedb"))
PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]
SYN, ACK, SYN_ACK = p.SYN, p.ACK, p.SYN | p.ACK


@pytest.fixture(params=PARAMS)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


class Stage:
    """Two hosts whose guests come under lists; what was sent and came out, in a word."""

    def __init__(self, world, reconcilers):
        self.world, self.reconcilers = world, reconcilers

    async def put(self, *records):
        """Tell both hosts; wait until no packet meets flows of before."""
        for reconciler in self.reconcilers.values():
            for record in records:
                reconciler.put(0, record.key, record)
        await settle(self.world, self.reconcilers)
        for host in self.reconcilers:
            await self.world.caught_up(host)

    async def send(self, packet, sender=BLUE1):
        """The name of the guest that it came out at, or why it was dropped; nothing of either: the gateway answered."""
        before = {host: await drops(self.world, host) for host in self.reconcilers}
        got = await self.world.send(sender.host, sender.name, packet)
        if got:
            return {name for _, name, _ in got}.pop() if len(got) == 1 else sorted(name for _, name, _ in got)
        # a packet that the fast path dropped is counted a little late
        for _ in range(100):
            for host in self.reconcilers:
                after = await drops(self.world, host)
                found = [name for name, number in after.items() if number != before[host].get(name, 0)]
                if found:
                    return ", ".join(found)
            await asyncio.sleep(0.01 if self.world.real else 0)
        return "nothing"


@pytest.fixture
async def stage(world):
    return Stage(world, await two_hosts(world))


def tcp(a, b, ports, flags=SYN, v6=False):
    macs = (a.mac, b.mac if a.vsid == b.vsid else ROUTER_MAC)
    return p.tcp(macs, (a.v6, b.v6) if v6 else (a.v4, b.v4), ports, flags)


def udp(a, b, ports, v6=False):
    macs = (a.mac, b.mac if a.vsid == b.vsid else ROUTER_MAC)
    return p.udp(macs, (a.v6, b.v6) if v6 else (a.v4, b.v4), ports, "x")


def back(packet, flags=ACK):
    """What answers it."""
    return msgspec.structs.replace(
        packet,
        eth_src=packet.eth_dst,
        eth_dst=packet.eth_src,
        ip_src=packet.ip_dst,
        ip_dst=packet.ip_src,
        src_port=packet.dst_port,
        dst_port=packet.src_port,
        tcp_flags=flags if packet.ip_proto == p.TCP else 0,
    )


WEB = access_list(7, "100 in allow TCP 10.1.1.0/24 * * 80-81", inbound=False)


async def test_only_what_a_rule_permits_comes_in_and_its_answers_go_out(stage):
    await stage.put(WEB, BLUE2.access(own=7))
    hello = tcp(BLUE1, BLUE2, (4000, 80))
    assert await stage.send(tcp(BLUE1, BLUE2, (4000, 82))) == "access_denied"
    assert await stage.send(tcp(BLUE1, BLUE2, (4000, 80), v6=True)) == "access_denied"
    assert await stage.send(udp(BLUE1, BLUE2, (4000, 80))) == "access_denied"
    assert await stage.send(hello) == "blue2"
    assert await stage.send(back(hello, SYN_ACK), BLUE2) == "blue1"
    assert await stage.send(changed(hello, tcp_flags=ACK)) == "blue2"
    # an answer that nobody asked for is the beginning of a connection of its own, from blue1's side
    assert await stage.send(tcp(BLUE1, BLUE2, (80, 4000), ACK)) == "access_denied"
    assert await stage.send(tcp(BLUE1, BLUE2, (80, 4000), SYN_ACK)) == "tracked_invalid"


async def test_what_a_filtered_guest_begins_is_answered(stage):
    await stage.put(WEB, access_list(8), BLUE2.access(subnet=7), BLUE1.access(own=8))
    for v6 in (False, True):
        asked = udp(BLUE2, BLUE1, (5000, 53), v6)
        assert await stage.send(back(asked)) == "access_denied"
        asked = udp(BLUE2, BLUE1, (5001, 53), v6)
        assert await stage.send(asked, BLUE2) == "blue1"
        assert await stage.send(back(asked)) == "blue2"
    # the other one permits nothing in: what it has not asked for itself does not come, answers go out
    await stage.put(WEB, BLUE1.access(own=7))
    assert await stage.send(udp(BLUE2, BLUE1, (5002, 53)), BLUE2) == "access_denied"
    assert await stage.send(back(udp(BLUE2, BLUE1, (5001, 53)))) == "blue2"


async def test_a_rule_that_goes_cuts_its_connections_and_one_that_comes_back_mends_them(stage):
    await stage.put(WEB, BLUE2.access(own=7))
    hello = tcp(BLUE1, BLUE2, (4000, 80))
    data = changed(hello, tcp_flags=ACK)
    for packet, sender in ((hello, BLUE1), (back(hello, SYN_ACK), BLUE2), (data, BLUE1)):
        await stage.send(packet, sender)
    await stage.put(access_list(7, inbound=False))
    # until the side that began it sends, the other one may still answer
    assert await stage.send(back(hello), BLUE2) == "blue1"
    assert await stage.send(data) == "access_denied"
    assert await stage.send(back(hello), BLUE2) == "access_denied"
    await stage.put(WEB)
    assert await stage.send(back(hello), BLUE2) == "access_denied"
    assert await stage.send(data) == "blue2"
    assert await stage.send(back(hello), BLUE2) == "blue1"


async def test_a_list_that_comes_ends_sessions_that_it_forbids_whoever_sends_first(stage):
    """Quarantine: nobody knows any more who began what was there before the list."""
    shell, web = tcp(BLUE1, BLUE2, (4000, 22)), tcp(BLUE1, BLUE2, (4001, 80))
    for hello in (shell, web):
        for packet, sender in ((hello, BLUE1), (back(hello, SYN_ACK), BLUE2), (changed(hello, tcp_flags=ACK), BLUE1)):
            await stage.send(packet, sender)
    await stage.put(WEB, BLUE2.access(own=7))
    more = changed(shell, tcp_flags=ACK)
    assert await stage.send(more) == "access_denied"
    # as what blue2 may begin it passes, but makes nothing of blue1's an answer
    assert await stage.send(back(shell), BLUE2) == "blue1"
    assert [await stage.send(more) for _ in range(2)] == ["access_denied"] * 2
    assert await stage.send(back(shell), BLUE2) == "access_denied"
    # what may be begun from both ends goes on
    for packet, sender in ((back(web), BLUE2), (changed(web, tcp_flags=ACK), BLUE1), (back(web), BLUE2)):
        assert await stage.send(packet, sender) != "access_denied"
    # and is mended by the side that it was cut by
    await stage.put(access_list(7, "100 in allow TCP * * * 22", inbound=False))
    assert await stage.send(changed(web, tcp_flags=ACK)) == "access_denied"
    assert await stage.send(back(web), BLUE2) == "access_denied"
    assert await stage.send(more) == "blue2"
    assert await stage.send(back(shell), BLUE2) == "blue1"


async def bound_anew(stage, guest):
    """What a move does: its port comes with an empty zone."""
    reconciler = stage.reconcilers[guest.host]
    for record in (None, guest.binding()):
        reconciler.put(0, guest.binding().key, record)
        await settle(stage.world, {guest.host: reconciler})
    await stage.world.caught_up(guest.host)


async def test_a_port_that_comes_brings_its_connections_until_its_lists_forbid_more(stage):
    answers_only = access_list(7, "100 in allow TCP * * * 80", inbound=False, outbound=False)
    await stage.put(answers_only, BLUE2.access(own=7))
    await bound_anew(stage, BLUE2)
    web = changed(tcp(BLUE1, BLUE2, (4000, 80)), tcp_flags=ACK)
    assert await stage.send(back(web), BLUE2) == "access_denied", "only the side that may begin takes it up"
    assert await stage.send(web) == "blue2"
    assert await stage.send(back(web), BLUE2) == "blue1"
    # one of its own, to where nothing of what comes from there could be begun
    asked = changed(tcp(BLUE2, BLUE1, (5000, 443)), tcp_flags=ACK)
    only_out = "100 in allow TCP * * * 80", "200 out allow TCP * * * 443"
    await stage.put(access_list(7, *only_out, inbound=False, outbound=False))
    assert await stage.send(asked, BLUE2) == "blue1"
    assert await stage.send(back(asked)) == "blue2"
    assert await stage.send(back(web), BLUE2) == "blue1"
    # forbids more: what came along is held to what each side may begin, whoever was heard first
    await stage.put(access_list(7, only_out[1], inbound=False, outbound=False))
    assert await stage.send(web) == "access_denied"
    assert await stage.send(back(web), BLUE2) == "access_denied"
    assert await stage.send(back(asked)) == "access_denied"
    begun = tcp(BLUE2, BLUE1, (5001, 443))
    assert await stage.send(begun, BLUE2) == "blue1"
    assert await stage.send(back(begun, SYN_ACK)) == "blue2"


async def test_both_lists_must_permit(stage):
    """Decision 0061."""
    ping = p.echo((BLUE1.mac, BLUE2.mac), (BLUE1.v4, BLUE2.v4), "x")
    permits, denies = access_list(8), access_list(9, "200 in deny ICMPv4 * * * *", "300 out deny UDP * * * *")
    await stage.put(permits, denies, BLUE2.access(own=8, subnet=8))
    assert await stage.send(ping) == "blue2"
    await stage.put(BLUE2.access(own=8, subnet=9))
    assert await stage.send(ping) == "access_denied"
    assert await stage.send(udp(BLUE2, BLUE1, (1, 2)), BLUE2) == "access_denied"
    await stage.put(BLUE2.access(own=9, subnet=8))
    assert await stage.send(changed(ping, payload="y")) == "access_denied"
    assert await stage.send(udp(BLUE2, BLUE1, (1, 2)), BLUE2) == "access_denied"
    assert await stage.send(p.echo((BLUE1.mac, BLUE2.mac), (BLUE1.v6, BLUE2.v6), "x")) == "blue2"


async def test_tags_tell_what_lies_in_the_network(stage):
    tags = access_list(
        7, "100 out allow All * * VIRTUALNETWORK *", "110 out deny All * * INTERNET *", outbound=False, inbound=False
    )
    await stage.put(tags, BLUE1.access(own=7))
    outside = p.udp((BLUE1.mac, ROUTER_MAC), (BLUE1.v4, "8.8.8.8"), (1, 53), "x")
    assert await stage.send(udp(BLUE1, BLUEDB, (1, 53))) == "bluedb"
    assert await stage.send(udp(BLUE1, BLUEDB, (1, 53), v6=True)) == "bluedb"
    assert await stage.send(outside) == "access_denied"
    assert await stage.send(p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (9, 9), "x")) == "blue2"
    await stage.put(access_list(7, "100 out allow All * * INTERNET *", outbound=False))
    assert await stage.send(outside) == "no_route"
    assert await stage.send(udp(BLUE1, BLUEDB, (2, 53))) == "access_denied"
    nobody = access_list(7, "100 out allow All * * AZURELOADBALANCER *", outbound=False)
    await stage.put(nobody)
    assert await stage.send(udp(BLUE1, BLUEDB, (3, 53))) == "access_denied"
    # where packets come from counts on the way in
    within = access_list(8, "100 in deny All VIRTUALNETWORK * * *")
    await stage.put(within, BLUE2.access(own=8), BLUE1.access())
    assert await stage.send(udp(BLUE1, BLUE2, (4, 53))) == "access_denied"


async def test_tags_tell_of_an_appliance_what_it_is_sent_and_sends_on(stage):
    """Its own end need not be its own: others' packets come to it by a route, and go from it."""
    inbound = "100 in deny All * * INTERNET *", "110 in allow All VIRTUALNETWORK * VIRTUALNETWORK *"
    outbound = "200 out deny All INTERNET * * *", "210 out allow All VIRTUALNETWORK * VIRTUALNETWORK *"
    both = access_list(7, *inbound, *outbound, inbound=False, outbound=False)
    here = UserRoute(Vsid(BLUE1.vsid), pack_ip("10.1.77.0"), 24, "VirtualAppliance", Vsid(6002), pack_ip(BLUEDB.v4))
    for reconciler in stage.reconcilers.values():
        reconciler.put(BLUE, here.key, here)
    await stage.put(both, PortLimits(BLUEDB.instance, spoofing=True), BLUEDB.access(own=7))

    def toward(address):
        return p.udp((BLUE1.mac, ROUTER_MAC), (BLUE1.v4 if "." in address else BLUE1.v6, address), (9, 9), "x")

    def onward(address, to=BLUE1):
        return p.udp((BLUEDB.mac, ROUTER_MAC), (address, to.v4 if "." in address else to.v6), (9, 9), "x")

    for address, expected in (
        *((BLUEDB.v4, "bluedb"), (BLUEDB.v6, "bluedb"), ("10.1.77.7", "bluedb")),
        *(("203.0.113.9", "access_denied"), ("2001:db8:113::9", "access_denied")),
    ):
        assert await stage.send(toward(address)) == expected, address
    # answers to none of those: other ports, or another end
    for address, expected in (
        *(("10.1.78.8", "blue1"), ("fd00:7::8", "blue1")),
        *(("203.0.113.9", "access_denied"), ("2001:db8:113::9", "access_denied")),
    ):
        assert await stage.send(onward(address), BLUEDB) == expected, address
    assert await stage.send(onward(BLUEDB.v4, BLUE2), BLUEDB) == "blue2"
    # and the other way round: only what is outside
    only = "100 in allow All VIRTUALNETWORK * INTERNET *", "200 out allow All INTERNET * VIRTUALNETWORK *"
    await stage.put(access_list(7, *only, inbound=False, outbound=False))
    assert await stage.send(toward("203.0.113.10")) == "bluedb"
    assert await stage.send(toward("10.1.77.8")) == "access_denied"
    assert await stage.send(onward("203.0.113.11"), BLUEDB) == "blue1"
    assert await stage.send(onward("10.1.78.9"), BLUEDB) == "access_denied"


async def test_neighbours_and_the_gateway(stage):
    """ARP is no list's business; a ping of the gateway leaves the guest as any packet does."""
    await stage.put(access_list(7, inbound=False, outbound=False), BLUE1.access(own=7))
    asked = p.arp_request(BLUE1.mac, BLUE1.v4, BLUE2.v4)
    assert await stage.send(asked) == "blue1"
    ping = p.echo((BLUE1.mac, ROUTER_MAC), (BLUE1.v4, "10.1.1.1"), "x")
    assert await stage.send(ping) == "access_denied"
    await stage.put(access_list(7, "100 out allow ICMPv4 * * * *", inbound=False, outbound=False))
    got = await stage.world.send("host1", "blue1", changed(ping, payload="y"))
    assert got == {("host1", "blue1", changed(gateway_reply(changed(ping, payload="y"), "10.1.1.1"), size=0))}


async def test_two_guests_of_one_host_are_under_their_own_lists_each(stage):
    only_out = access_list(7, inbound=False)
    await stage.put(only_out, BLUE2.access(own=7), BLUEDB.access(own=7))
    hello = udp(BLUE2, BLUEDB, (1, 53))
    # what blue2 may begin is not what bluedb must take
    assert await stage.send(hello, BLUE2) == "access_denied"
    await stage.put(access_list(8, "100 in allow UDP 10.1.1.12/32 * 10.1.2.0/24 53", inbound=False), BLUEDB.access(8))
    assert await stage.send(hello, BLUE2) == "bluedb"
    assert await stage.send(changed(back(hello), eth_dst=ROUTER_MAC, eth_src=BLUEDB.mac), BLUEDB) == "blue2"


async def test_a_broadcast_reaches_those_whose_lists_permit_it(stage):
    shout = p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (9, 9), "x")
    await stage.put(access_list(7, "100 in deny UDP * * * 9"), BLUE2.access(own=7))
    assert await stage.send(shout) == "access_denied"
    assert await stage.send(changed(shout, dst_port=10)) == "blue2"
    six = p.udp((BLUE1.mac, 0x333300000001), (BLUE1.v6, "ff02::1"), (9, 9), "x")
    assert await stage.send(six) == "access_denied"


def fragments(port):
    """A datagram of 2568 bytes from blue1 to blue2 in two pieces."""
    ends = p.number(BLUE1.v4).to_bytes(4) + p.number(BLUE2.v4).to_bytes(4)
    body = struct.pack("!HHHH", 7, port, 2568, 0) + bytes(2560)
    for place, piece in ((0x2000, body[:1280]), (1280 // 8, body[1280:])):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(piece), port, place, 64, p.UDP, 0) + ends
        head = head[:10] + checksum(head) + head[12:]
        yield BLUE2.mac.to_bytes(6) + BLUE1.mac.to_bytes(6) + b"\x08\0" + head + piece


async def test_a_datagram_in_fragments_goes_as_its_first_one_goes(stage):
    only = "100 in allow UDP * * * 53", "200 out allow UDP * * * 53-54"
    await stage.put(access_list(7, *only, inbound=False, outbound=False), BLUE1.access(7), BLUE2.access(own=7))
    for port, expected in ((53, {p.FIRST, p.LATER}), (54, {p.LATER}), (55, {p.LATER})):
        for repeated in range(2):
            await stage.world.arrived(0.0)
            for piece in fragments(port):
                await stage.world.put_frame("host1", "blue1", piece)
            got = {one.fragment for _, _, one in await stage.world.arrived()}
            # whether the rest of what is denied arrives is the switch's own affair: nobody can put it together
            assert got - {p.LATER} == expected - {p.LATER} and got >= expected - {p.LATER}, (port, repeated, got)
            if port == 53:
                assert got == expected


async def test_a_rule_counts_what_it_decides(stage):
    await stage.put(WEB, BLUE2.access(own=7))
    hello = tcp(BLUE1, BLUE2, (4000, 80))
    for packet in (hello, changed(hello, src_port=4001), changed(hello, dst_port=99)):
        await stage.send(packet)
    for _ in range(200):
        counts = (await stage.world.switches["host2"].dump()).counts
        allowed, denied = (counts.get(rule_cookie(7, priority), (0, 0)) for priority in (100, 65534))
        if (allowed[0], denied[0]) == (2, 1):
            # the same frames but for a port
            assert allowed[1] == 2 * denied[1] > 0
            return
    raise AssertionError(counts)


async def test_a_default_route_leads_to_nothing_of_the_address_space(stage):
    """INTERNET is what lies outside, and only that leaves."""
    out = CustomerRoute(Vsid(BLUEDB.vsid), PackedIp(bytes(4)), 0, pack_ip(BLUEDB.v4), 1)
    around = UserRoute(Vsid(BLUE1.vsid), pack_ip("10.1.77.0"), 24, "VirtualAppliance", Vsid(BLUEDB.vsid), out.next_hop)
    outside, inside, beside = (
        p.udp((BLUE1.mac, ROUTER_MAC), (BLUE1.v4, to), (1, 53), "x") for to in ("8.8.8.8", "10.1.77.7", "10.1.78.7")
    )
    for records, expected in (((out,), "no_route"), ((around,), "bluedb")):
        for reconciler in stage.reconcilers.values():
            for record in records:
                reconciler.put(BLUE, record.key, record)
        await stage.put()
        assert await stage.send(outside) == "bluedb"
        assert await stage.send(inside) == expected
        assert await stage.send(beside) == "no_route"
    led = CustomerRoute(out.vsid, pack_ip("10.1.78.0"), 24, out.next_hop, 1)
    for reconciler in stage.reconcilers.values():
        reconciler.put(BLUE, led.key, led)
    await stage.put()
    assert await stage.send(beside) == "bluedb", "a connection of the gateway leads there"


async def test_a_port_bound_anew_knows_no_connections_of_before(stage):
    await stage.put(WEB, BLUE2.access(own=7))
    asked = udp(BLUE2, BLUE1, (5000, 53))
    assert await stage.send(asked, BLUE2) == "blue1"
    assert await stage.send(back(asked)) == "blue2"
    number = stage.reconcilers["host2"].locals[BLUE2.instance].number
    reconciler = stage.reconcilers["host2"]
    reconciler.put(0, BLUE2.binding().key, None)
    await settle(stage.world, {"host2": reconciler})
    reconciler.put(0, BLUE2.binding().key, BLUE2.binding())
    await settle(stage.world, {"host2": reconciler})
    await stage.world.caught_up("host2")
    assert reconciler.locals[BLUE2.instance].number == number
    assert await stage.send(back(asked)) == "access_denied"
