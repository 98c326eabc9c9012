"""What the agent answers guests, through a fake switch and a real Open vSwitch: the same questions, the same frames."""

import asyncio
import contextlib

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DUID_LL, DHCP6_Solicit, DHCP6OptClientId, DHCP6OptIA_NA
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_RS, IPv6
from scapy.layers.l2 import ARP, Ether

from tests.contract.switch_worlds import opened, seen, switch_world
from tests.unit.agent.policies import BLUE, GUESTS, RED, host_records, network_records
from weft.agent.brought import question_for
from weft.agent.flows.fields import learnt_cookie
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import to_port
from weft.fakes.frames import packet
from weft.model.records import PortLearning
from weft.model.values import ROUTER_MAC, mac_colons, pack_ip

SWITCHES = ["fake", pytest.param("ovs", marks=pytest.mark.root)]
BLUE1, BLUEDB = GUESTS["blue1"], GUESTS["bluedb"]
MAC = mac_colons(BLUE1.mac)
LOCAL = "fe80::21d:d8ff:feb7:1c01"
VIP, VIP6 = "10.1.1.200", "fd00:1::200"


@pytest.fixture(params=SWITCHES)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


def plane_of(world, host):
    plane = OvsPlane(world.switches[host])
    for record in host_records(host):
        plane.put(0, record.key, record)
    for rdid in (BLUE, RED):
        for record in network_records(rdid):
            plane.put(rdid, record.key, record)
    return plane


@contextlib.asynccontextmanager
async def served(world):
    """host1 as its agent keeps it, with the agent's services at work."""
    for guest in GUESTS.values():
        if guest.host == "host1":
            await world.plug("host1", guest.name, guest.instance, guest.mac)
            await seen(world, "host1", opened(guest.name))
    plane = plane_of(world, "host1")
    async with asyncio.timeout(30):
        while not plane.settled:
            with world.inside("host1"):
                plane.changed()
                await plane.look()
                await plane.act(True)
    await world.caught_up("host1")
    serving = asyncio.create_task(plane.serve())
    yield plane
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def brought_to(world, plane):
    """What the plane was told is on the switch."""
    async with asyncio.timeout(30):
        settled = False
        while not settled:
            with world.inside("host1"):
                plane.changed()
                await plane.look()
                await plane.act(True)
            settled = plane.settled
    await world.caught_up("host1")


async def answer(world, sent):
    """The one packet that the guest gets for a frame."""
    await world.put("host1", "blue1", packet(bytes(sent)))
    found = set()
    async with asyncio.timeout(30):
        while not found:
            await asyncio.sleep(0.01)
            found = await world.arrived()
    ((host, port, got),) = found
    assert (host, port, got.eth_src) == ("host1", "blue1", ROUTER_MAC)
    return got


async def test_questions_of_guests_reach_the_agent_and_its_answers_reach_them(world):
    async with served(world) as plane:
        head = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255")
        discover = BOOTP(op=1, xid=77, chaddr=BLUE1.mac.to_bytes(6)) / DHCP(options=[("message-type", 1), "end"])
        offer = await answer(world, head / UDP(sport=68, dport=67) / discover)
        assert (offer.src_port, offer.dst_port, offer.eth_dst) == (67, 68, BLUE1.mac)
        assert BOOTP(offer.payload.encode("latin-1")).yiaddr == BLUE1.v4

        ask = Ether(src=MAC, dst="33:33:00:01:00:02") / IPv6(src=LOCAL, dst="ff02::1:2") / UDP(sport=546, dport=547)
        ask = ask / DHCP6_Solicit(trid=7) / DHCP6OptClientId(duid=DUID_LL(lladdr=MAC)) / DHCP6OptIA_NA(iaid=1)
        told = await answer(world, ask)
        assert (told.src_port, told.payload[0]) == (547, "\x02")

        solicit = Ether(src=MAC, dst="33:33:00:00:00:02") / IPv6(src=LOCAL, dst="ff02::2", hlim=255) / ICMPv6ND_RS()
        told = await answer(world, solicit)
        assert (told.icmp_type, told.ttl, told.icmp_word) == (134, 255, 64 << 24 | 0xC0 << 16 | 9000)

        probe = Ether(src=MAC, dst=mac_colons(ROUTER_MAC)) / IP(src=BLUE1.v4, dst=BLUEDB.v4, ttl=1)
        told = await answer(world, probe / UDP(sport=4000, dport=33434))
        assert (told.icmp_type, told.icmp_code, told.ip_dst) == (11, 0, int.from_bytes(BLUE1.addresses[0]))

        large = Ether(src=MAC, dst=mac_colons(ROUTER_MAC)) / IP(src=BLUE1.v4, dst=BLUEDB.v4, flags="DF")
        told = await answer(world, large / UDP(sport=4000, dport=9) / bytes(1459 - 28))
        assert (told.icmp_type, told.icmp_code, told.ip_dst) == (3, 4, int.from_bytes(BLUE1.addresses[0]))
        assert plane.telling("").drops["too_large"] == 1


async def test_an_address_that_a_guest_brings_is_told_then_let_through_and_its_use_is_counted(world):
    async with served(world) as plane:
        prefixes = ((pack_ip("10.1.1.0"), 24), (pack_ip("fd00:1::"), 64))

        async def tell(stream, record):
            plane.put(stream, record.key, record)
            await brought_to(world, plane)

        await tell(0, PortLearning(BLUE1.instance, prefixes))
        announce = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=MAC, psrc=VIP, pdst=VIP)
        ping = Ether(src=MAC, dst=mac_colons(ROUTER_MAC)) / IP(src=VIP, dst="10.1.1.1") / ICMP(id=7) / b"x"
        ping6 = (
            Ether(src=MAC, dst=mac_colons(ROUTER_MAC))
            / IPv6(src=VIP6, dst="fd00:1::1")
            / ICMPv6EchoRequest(id=7, data=b"x")
        )
        for one in (ping, ping6, announce):
            await world.put("host1", "blue1", packet(bytes(one)))
        async with asyncio.timeout(30):
            while len(found := plane.telling("").brought) < 2 or not any(one.announced for one in found):
                await asyncio.sleep(0.05)
                await brought_to(world, plane)
        assert [one.address for one in found] == [pack_ip(VIP), pack_ip(VIP6)]
        assert await world.arrived(0.2) == set()

        await tell(0, PortLearning(BLUE1.instance, prefixes, (pack_ip(VIP), pack_ip(VIP6))))
        assert plane.telling("").brought == ()
        assert (await answer(world, ping)).ip_dst == packet(bytes(ping)).ip_src
        assert (await answer(world, ping6)).ip_dst == packet(bytes(ping6)).ip_src

        local = plane.reconciler.locals[BLUE1.instance]
        with world.inside("host1"):
            world.switches["host1"].send((to_port(question_for(local, pack_ip(VIP), None), local.number),))
        async with asyncio.timeout(30):
            while not (asked := {got for _, port, got in await world.arrived(0.1) if port == "blue1"}):
                await asyncio.sleep(0.01)
        assert {(one.eth_type, one.arp_tpa) for one in asked} == {(0x0806, int.from_bytes(pack_ip(VIP)))}
        reply = Ether(src=MAC, dst=mac_colons(ROUTER_MAC)) / ARP(op=2, hwsrc=MAC, psrc=VIP, pdst="10.1.1.1")
        await world.put("host1", "blue1", packet(bytes(reply)))
        cookie = learnt_cookie(local.number, int.from_bytes(pack_ip(VIP)))
        async with asyncio.timeout(30):
            while (await world.switches["host1"].dump()).counts.get(cookie, (0, 0))[0] < 2:
                await asyncio.sleep(0.1)
        assert await world.arrived(0.2) == set()
