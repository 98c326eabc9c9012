"""Addresses that guests bring: what is seen of them on their host, and what is told of that."""

import pytest
from msgspec.structs import replace
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from tests.unit.agent.guest_bench import BLUE1, open_bench
from tests.unit.agent.policies import BLUE, GUESTS
from weft.agent.answers.questions import Learnt
from weft.agent.bindings import Local, Role
from weft.agent.brought import (
    AGAIN_SECONDS,
    ASK_SECONDS,
    CLAIM_SECONDS,
    MOST_OF_A_PORT,
    SILENT_SECONDS,
    Guests,
    question_for,
)
from weft.agent.flows.fields import learnt_cookie
from weft.agent.switch import SwitchPort
from weft.fakes.frames import packet
from weft.model.records import LookupRecord, PortLearning, PortLimits
from weft.model.values import ROUTER_MAC, ip_text, mac_colons, pack_ip
from weft.wire.messages import Brought, Unused

MAC, OTHER = mac_colons(BLUE1.mac), "02:00:00:00:00:99"
VIP, VIP6 = "10.1.1.200", "fd00:1::200"
PREFIXES = ((pack_ip("10.1.1.0"), 24), (pack_ip("fd00:1::"), 64))
BROADCAST = "ff:ff:ff:ff:ff:ff"
GROUP6 = {"dst": "33:33:ff:00:02:00"}
SOLICITED = "ff02::1:ff00:200"


def learning(*addresses, age=900):
    return PortLearning(BLUE1.instance, PREFIXES, tuple(map(pack_ip, addresses)), age)


def arp(source, target, mac=MAC, op=1, sender=MAC):
    return Ether(src=mac, dst=BROADCAST) / ARP(op=op, hwsrc=sender, psrc=source, pdst=target)


@pytest.fixture
async def bench():
    async with open_bench() as made:
        await made.tell(0, learning())
        yield made


async def told(bench, *frames):
    """Addresses that the controller is told of after these."""
    for one in frames:
        assert await bench.send(one) == []
    await bench.settle()
    return [(ip_text(one.address), one.announced > 0) for one in bench.plane.telling("").brought]


NS = Ether(src=MAC, **GROUP6) / IPv6(src=VIP6, dst=SOLICITED, hlim=255)
COUNTED = {
    "gratuitous ARP": (arp(VIP, VIP), VIP, True),
    "announcement by reply": (arp(VIP, VIP, op=2), VIP, True),
    "a question from it": (arp(VIP, "10.1.1.1"), VIP, False),
    "a packet from it": (Ether(src=MAC, dst=OTHER) / IP(src=VIP, dst=GUESTS["blue2"].v4) / ICMP(), VIP, False),
    "unsolicited advertisement": (
        Ether(src=MAC, dst="33:33:00:00:00:01")
        / IPv6(src=VIP6, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=VIP6, R=0, S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=MAC),
        VIP6,
        True,
    ),
    "a solicitation from it": (
        NS / ICMPv6ND_NS(tgt="fd00:1::12") / ICMPv6NDOptSrcLLAddr(lladdr=MAC),
        VIP6,
        False,
    ),
    "duplicate detection": (
        Ether(src=MAC, **GROUP6) / IPv6(src="::", dst=SOLICITED, hlim=255) / ICMPv6ND_NS(tgt=VIP6),
        VIP6,
        False,
    ),
}
NOT_COUNTED = {
    "a probe": arp("0.0.0.0", VIP),
    "outside the subnet": arp("10.1.9.9", "10.1.9.9"),
    "another's MAC inside": arp(VIP, VIP, sender=OTHER),
    "another's MAC": arp(VIP, VIP, mac=OTHER, sender=OTHER),
    "another's MAC in the option": (
        Ether(src=MAC, dst="33:33:00:00:00:01")
        / IPv6(src=VIP6, dst="ff02::1", hlim=255)
        / ICMPv6ND_NA(tgt=VIP6, R=0, S=0, O=1)
        / ICMPv6NDOptDstLLAddr(lladdr=OTHER)
    ),
    "its own address": arp(BLUE1.v4, BLUE1.v4),
}


@pytest.mark.parametrize("name", COUNTED)
async def test_what_counts_as_bringing_an_address(bench, name):
    frame, address, announced = COUNTED[name]
    assert await told(bench, frame) == [(address, announced)]
    assert (await bench.switch.dump()).drops == {"unlearnt": 1}


@pytest.mark.parametrize("name", NOT_COUNTED)
async def test_what_does_not(bench, name):
    await bench.switch.dump()
    assert await told(bench, NOT_COUNTED[name]) == []


async def test_an_address_that_it_has_is_the_ports_own_and_no_news(bench):
    await bench.tell(0, learning(VIP, VIP6))
    await bench.tell(BLUE, LookupRecord(BLUE1.vsid, pack_ip(VIP), BLUE1.mac, pack_ip("192.168.1.10")))
    assert await told(bench, arp(VIP, VIP)) == []
    to_router = Ether(src=MAC, dst="02:57:45:46:54:01")
    (reply,) = bench.switch.inject("tap1", packet(bytes(to_router / IP(src=VIP, dst="10.1.1.1") / ICMP())))
    assert reply.port == "tap1"
    counts = (await bench.switch.dump()).counts
    assert counts[learnt_cookie(1, int.from_bytes(pack_ip(VIP)))][0] == 2


def test_addresses_of_a_port_that_end_alike_are_counted_apart():
    ends = ("fd00:1::1", "fd00:2::1", "10.1.1.1", "11.1.1.1")
    cookies = {learnt_cookie(1, int.from_bytes(pack_ip(one))) for one in ends}
    assert len(cookies) == len(ends)
    assert {one >> 24 for one in cookies} == {learnt_cookie(1, 0) >> 24}


async def test_a_port_that_may_bring_none_is_as_strict_as_ever(bench):
    await bench.tell(0, PortLearning(BLUE1.instance))
    assert await told(bench, arp(VIP, VIP)) == []
    assert (await bench.switch.dump()).drops == {"spoofed_arp": 1}


async def test_a_port_that_may_send_from_any_address_brings_none(bench):
    await bench.tell(0, PortLimits(BLUE1.instance, spoofing=True))
    assert await told(bench, arp(VIP, VIP)) == []


async def test_what_nobody_is_told_costs_no_rounds(bench):
    """Without a controller nobody reads what is to be told; the loop waits all the same."""
    for one in (arp(VIP, VIP), arp("10.1.1.201", "10.1.1.201")):
        await bench.send(one)
    await bench.settle()
    assert bench.plane.due(told=False) > 0


# What is kept of it, by time


def local(*addresses, age=900, number=1):
    port = SwitchPort("tap1", number, BLUE1.instance, BLUE1.mac) if number else None
    return {BLUE1.instance: Local(BLUE1.binding(), port, Role.HERE, learning=learning(*addresses, age=age))}


def used(*addresses, announced=False):
    return [Learnt(BLUE1.instance, pack_ip(one), announced) for one in addresses]


def test_a_claim_is_told_for_as_long_as_it_is_used_and_not_granted():
    guests, here = Guests(), local()
    assert guests.heard(used(VIP), 100.0)
    assert not guests.heard(used(VIP), 101.0), "no news"
    assert guests.brought(here, 101.0) == (Brought(BLUE1.instance, pack_ip(VIP)),)
    assert guests.brought(here, 101.0 + CLAIM_SECONDS) != ()
    assert guests.due_at == 101.0 + CLAIM_SECONDS, "later by what was heard last"
    assert guests.brought(here, 101.1 + CLAIM_SECONDS) == ()
    guests.heard(used(VIP), 200.0)
    assert guests.brought(here, 200.0) != ()
    assert guests.brought(local(VIP), 200.1) == ()
    assert guests.due_at is None


def test_each_announcement_has_a_number_of_its_own_but_not_more_than_one_a_second():
    guests, here = Guests(), local()
    numbers = []
    for at in (10.0, 10.4, 10.0 + AGAIN_SECONDS, 12.5):
        guests.heard(used(VIP, announced=True), at)
        numbers.append(guests.brought(here, at)[0].announced)
    assert numbers == [10_000, 10_000, 11_000, 12_500]


def test_a_guest_that_runs_through_addresses_is_bounded():
    guests, here = Guests(), local()
    many = [f"10.1.1.{at}" for at in range(20, 200)]
    guests.heard(used(*many), 10.0)
    assert len(guests.brought(here, 10.0)) == MOST_OF_A_PORT
    assert not guests.heard(used("10.1.1.250"), 10.1)


def test_what_is_told_changes_no_more_than_twice_a_second():
    guests, here = Guests(), local()
    guests.heard(used(VIP), 10.0)
    first = guests.brought(here, 10.0)
    guests.heard(used("10.1.1.201"), 10.1)
    assert guests.brought(here, 10.1) == first
    assert guests.due_at == 10.0 + AGAIN_SECONDS / 2
    assert len(guests.brought(here, 10.5)) == 2


def test_an_address_is_unused_when_no_packet_comes_from_it_and_aged_after_its_time():
    guests, here = Guests(), local(VIP, age=60)
    cookie = learnt_cookie(1, int.from_bytes(pack_ip(VIP)))
    guests.look(here, {cookie: (5, 300)}, 100.0)
    assert guests.unused(here, 100.0 + SILENT_SECONDS - 1) == ()
    guests.look(here, {cookie: (5, 300)}, 140.0)
    assert guests.unused(here, 100.0 + SILENT_SECONDS) == (Unused(BLUE1.instance, pack_ip(VIP)),)
    assert guests.unused(here, 160.0) == (Unused(BLUE1.instance, pack_ip(VIP), True),)
    guests.look(here, {cookie: (6, 360)}, 161.0)
    assert guests.unused(here, 161.0) == ()


def test_a_silent_guest_is_asked_and_then_given_time_to_answer():
    guests, here = Guests(), local(VIP, VIP6)
    guests.look(here, {}, 100.0)
    assert list(guests.to_ask(here, 100.0 + ASK_SECONDS - 1)) == []
    asked = [address for _, address in guests.to_ask(here, 100.0 + ASK_SECONDS)]
    assert asked == [pack_ip(VIP), pack_ip(VIP6)]
    assert list(guests.to_ask(here, 101.0 + ASK_SECONDS)) == []
    assert len(list(guests.to_ask(here, 100.0 + 2 * ASK_SECONDS))) == 2


def test_the_router_asks_the_guest_alone():
    one = local(VIP, VIP6)[BLUE1.instance]
    question = Ether(question_for(one, pack_ip(VIP), pack_ip("10.1.1.1")))
    assert (question.dst, question.src) == (MAC, mac_colons(ROUTER_MAC))
    assert (question[ARP].op, question[ARP].psrc, question[ARP].pdst) == (1, "10.1.1.1", VIP)
    question = Ether(question_for(one, pack_ip(VIP6), None))
    assert (question.dst, question[ICMPv6ND_NS].tgt, question[IPv6].hlim) == (MAC, VIP6, 255)
    assert question[ICMPv6NDOptSrcLLAddr].lladdr == mac_colons(ROUTER_MAC)
    sum_of = question[ICMPv6ND_NS].cksum
    del question[ICMPv6ND_NS].cksum
    assert Ether(bytes(question))[ICMPv6ND_NS].cksum == sum_of


def test_a_machine_that_does_not_run_does_not_age():
    guests, here = Guests(), local(VIP, age=60)
    guests.look(here, {}, 100.0)
    off = local(VIP, number=0)
    guests.look(off, {}, 200.0)
    assert guests.unused(off, 300.0) == ()
    guests.look(here, {}, 400.0)
    assert guests.unused(here, 401.0) == ()


def test_a_claim_of_a_port_that_is_gone_is_none():
    guests = Guests()
    guests.heard(used(VIP), 10.0)
    assert guests.brought({}, 10.0) == ()
    guests.heard(used(VIP), 20.0)
    none = {BLUE1.instance: replace(local()[BLUE1.instance], learning=None)}
    assert guests.brought(none, 20.0) == ()
