"""What the router says of packets that it drops, over the whole pipeline of a fake switch."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.layers.l2 import Ether

from tests.unit.agent.guest_bench import open_bench
from tests.unit.agent.policies import BLUE, GUESTS
from weft.model.records import NetworkSettings
from weft.model.values import ROUTER_MAC, mac_colons

BLUE1, BLUE2, BLUEDB = (GUESTS[name] for name in ("blue1", "blue2", "bluedb"))
TO_ROUTER = Ether(src=mac_colons(BLUE1.mac), dst=mac_colons(ROUTER_MAC))


@pytest.fixture
async def bench():
    async with open_bench() as made:
        yield made


async def test_traceroute_sees_the_router(bench):
    probe = IP(src=BLUE1.v4, dst=BLUEDB.v4, ttl=1) / UDP(sport=4000, dport=33434) / b"x"
    (got,) = await bench.send(TO_ROUTER / probe)
    assert (got.dst, got[IP].src, got[IP].dst) == (mac_colons(BLUE1.mac), "10.1.1.1", BLUE1.v4)
    assert (got[ICMP].type, got[ICMP].code) == (11, 0)
    assert (got[IPerror].dst, got[UDPerror].dport) == (BLUEDB.v4, 33434)
    assert (await bench.switch.dump()).drops == {"ttl_expired": 1}


async def test_traceroute_sees_the_router_over_ipv6(bench):
    (got,) = await bench.send(TO_ROUTER / IPv6(src=BLUE1.v6, dst=BLUEDB.v6, hlim=1) / ICMPv6EchoRequest(id=1, seq=1))
    assert (got[IPv6].src, got[IPv6].dst, got[ICMPv6TimeExceeded].code) == ("fd00:1::1", BLUE1.v6, 0)


QUIET = {
    "an error": IP(src=BLUE1.v4, dst=BLUEDB.v4, ttl=1) / ICMP(type=3, code=1) / bytes(28),
    "to many": IP(src=BLUE1.v4, dst="239.1.1.1", ttl=1) / UDP(sport=1, dport=2),
    "a later fragment": IP(src=BLUE1.v4, dst=BLUEDB.v4, ttl=1, frag=8, proto=17) / bytes(32),
}


@pytest.mark.parametrize("name", QUIET)
async def test_of_what_nothing_is_said(bench, name):
    assert await bench.send(TO_ROUTER / QUIET[name]) == []
    assert (await bench.switch.dump()).drops == {"ttl_expired": 1}


def large(size, **fields):
    return IP(src=BLUE1.v4, dst=BLUEDB.v4, flags="DF", **fields) / TCP(sport=4000, dport=80) / bytes(size - 40)


async def test_the_sender_of_what_no_tunnel_carries_is_told_what_it_carries(bench):
    (got,) = await bench.send(TO_ROUTER / large(1459))
    assert (got[IP].src, got[IP].dst, got[ICMP].type, got[ICMP].code) == ("10.1.1.1", BLUE1.v4, 3, 4)
    assert (got[ICMP].nexthopmtu, got[IPerror].dst, got[IPerror].len) == (1458, BLUEDB.v4, 1459)
    assert len(got[IP]) == 576
    assert bench.plane.telling("").drops == {"too_large": 1}
    assert await bench.send(TO_ROUTER / large(1458)) == []
    assert bench.plane.telling("").drops == {"too_large": 1}


async def test_so_is_one_of_the_same_subnet_and_of_ipv6(bench):
    to_blue2 = Ether(src=mac_colons(BLUE1.mac), dst=mac_colons(BLUE2.mac))
    packet = IPv6(src=BLUE1.v6, dst=BLUE2.v6) / TCP(sport=4000, dport=80) / bytes(1500 - 60)
    (got,) = await bench.send(to_blue2 / packet)
    assert (got[IPv6].src, got[ICMPv6PacketTooBig].mtu, len(got[IPv6])) == ("fd00:1::1", 1458, 1280)


async def test_it_is_told_what_the_networks_own_encapsulation_carries(bench):
    settings = NetworkSettings(BLUE, "vxlan", "")
    bench.plane.put(BLUE, settings.key, settings)
    await bench.settle()
    await bench.settle()
    (got,) = await bench.send(TO_ROUTER / large(1459))
    assert got[ICMP].nexthopmtu == 1450
