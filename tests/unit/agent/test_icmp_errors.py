"""What the router says of packets that it drops, over the whole pipeline of a fake switch."""

import pytest
from scapy.layers.inet import ICMP, IP, UDP, IPerror, UDPerror
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6TimeExceeded, IPv6
from scapy.layers.l2 import Ether

from tests.unit.agent.guest_bench import open_bench
from tests.unit.agent.policies import GUESTS
from weft.model.values import ROUTER_MAC, mac_colons

BLUE1, BLUEDB = GUESTS["blue1"], GUESTS["bluedb"]
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
