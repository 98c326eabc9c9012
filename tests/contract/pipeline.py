"""The example policy on two hosts of a switch world, and the packets whose way through the pipeline is known."""

import asyncio

import msgspec

from tests.contract.switch_worlds import opened, seen
from tests.unit.agent.policies import GUESTS, HOSTS, told
from weft.fakes import packet as p
from weft.model.values import ROUTER_MAC


async def settle(world, reconcilers):
    """What the agent's loop does, without the loop: a peer that was late with its answer is asked again."""
    for host, reconciler in reconcilers.items():
        async with asyncio.timeout(30):
            while not reconciler.settled or reconciler.failures:
                with world.inside(host):
                    reconciler.switch_is(await world.switches[host].facts())
                    if not reconciler.knows_switch:
                        reconciler.switch_has((await world.switches[host].dump()).flows)
                    change = reconciler.plan(True)
                    if change:
                        failures = await world.switches[host].apply(change)
                        assert {failure.step for failure in failures} <= {"peer"}, failures
                        reconciler.done(change, failures)


async def two_hosts(world, encapsulation="nvgre"):
    for guest in GUESTS.values():
        await world.plug(guest.host, guest.name, guest.instance, guest.mac)
    for guest in GUESTS.values():
        await seen(world, guest.host, opened(guest.name))
    reconcilers = {host: told(host, encapsulation) for host in HOSTS}
    await settle(world, reconcilers)
    return reconcilers


BLUE1, BLUE2, BLUEDB, RED1 = (GUESTS[name] for name in ("blue1", "blue2", "bluedb", "red1"))
OTHER = 0x020000000099
LOCAL1, LOCAL2 = (f"fe80::21d:d8ff:feb7:1c0{number}" for number in (1, 2))
MACS, VIA_ROUTER = (BLUE1.mac, BLUE2.mac), (BLUE1.mac, ROUTER_MAC)


def changed(packet, **fields):
    return msgspec.structs.replace(packet, **fields)


def gateway_reply(request, address):
    return changed(
        request,
        eth_src=ROUTER_MAC,
        eth_dst=request.eth_src,
        ip_src=p.number(address),
        ip_dst=request.ip_src,
        icmp_type=0 if request.eth_type == p.IPV4 else 129,
        ttl=64,
    )


def advertisement(request, address, mac, flags=0x60000000):
    return changed(
        request,
        eth_src=mac,
        eth_dst=request.eth_src,
        ip_src=p.number(address),
        ip_dst=request.ip_src,
        icmp_type=136,
        nd_reserved=flags,
        nd_option=2 if request.nd_option else 0,
        nd_address=mac if request.nd_option else 0,
    )


ECHO = p.echo(MACS, (BLUE1.v4, BLUE2.v4), "x")
ECHO6 = p.echo(MACS, (BLUE1.v6, BLUE2.v6), "x")
REST6 = changed(ECHO6, fragment=p.LATER, icmp_type=0, payload="")
ROUTED = p.echo(VIA_ROUTER, (BLUE1.v4, BLUEDB.v4), "x")
ROUTED6 = p.echo(VIA_ROUTER, (BLUE1.v6, BLUEDB.v6), "x")
OUTSIDE = p.echo(VIA_ROUTER, (BLUE1.v4, "203.0.113.9"), "x")
OUTSIDE6 = p.echo(VIA_ROUTER, (BLUE1.v6, "2001:db8:113::9"), "x")
BROADCAST = p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (9, 9), "x")
GROUP = p.udp((BLUE1.mac, 0x01005E010203), (BLUE1.v4, "239.1.2.3"), (9, 9), "x")
GROUP6 = p.udp((BLUE1.mac, 0x333300010203), (BLUE1.v6, "ff05::1:203"), (9, 9), "x")
GATEWAY, GATEWAY6 = (p.echo(VIA_ROUTER, pair, "x") for pair in ((BLUE1.v4, "10.1.1.1"), (BLUE1.v6, "fd00:1::1")))
FAR_GATEWAY = p.echo(VIA_ROUTER, (BLUE1.v4, "10.1.2.1"), "x")
ASK = p.arp_request(BLUE1.mac, BLUE1.v4, BLUE2.v4)
ASK_GATEWAY = p.arp_request(BLUE1.mac, BLUE1.v4, "10.1.1.1")
ASK6 = p.solicitation(BLUE1.mac, BLUE1.v6, BLUE2.v6)
ASK6_PLAIN = changed(ASK6, nd_option=0, nd_address=0)
ASK6_LOCAL = p.solicitation(BLUE1.mac, LOCAL1, LOCAL2)
ASK6_GATEWAY = p.solicitation(BLUE1.mac, BLUE1.v6, "fd00:1::1")
ASK6_PRIVATE = p.solicitation(BLUE1.mac, "fe80::a1b2:c3d4:e5f6:1122", "fd00:1::1")
ROUTER_LOCAL = "fe80::57:45ff:fe46:5401"
ROUTER6 = p.echo(VIA_ROUTER, (LOCAL1, ROUTER_LOCAL), "x")
DAD = changed(ASK6, ip_src=0, nd_target=p.number(BLUE1.v6), nd_option=0, nd_address=0)
DAD_OTHER = changed(DAD, nd_target=p.number(BLUE2.v6))
TAKEN = advertisement(changed(DAD_OTHER, ip_src=p.number("ff02::1")), BLUE2.v6, BLUE2.mac, 0x20000000)


def arp_answer(request, mac):
    return p.arp_reply(mac, p.ipaddress.IPv4Address(request.arp_tpa).exploded, (request.arp_sha, BLUE1.v4))


DELIVERED = {
    "same subnet": (ECHO, [("host2", "blue2", ECHO)]),
    "same subnet v6": (ECHO6, [("host2", "blue2", ECHO6)]),
    "link-local v6": (
        p.echo(MACS, (LOCAL1, LOCAL2), "x"),
        [("host2", "blue2", p.echo(MACS, (LOCAL1, LOCAL2), "x"))],
    ),
    "first fragment v6": (changed(ECHO6, fragment=p.FIRST), [("host2", "blue2", changed(ECHO6, fragment=p.FIRST))]),
    "later fragment v6": (REST6, [("host2", "blue2", REST6)]),
    "routed": (ROUTED, [("host2", "bluedb", changed(ROUTED, eth_src=ROUTER_MAC, eth_dst=BLUEDB.mac, ttl=63))]),
    "routed v6": (ROUTED6, [("host2", "bluedb", changed(ROUTED6, eth_src=ROUTER_MAC, eth_dst=BLUEDB.mac, ttl=63))]),
    "to an appliance": (
        OUTSIDE,
        [("host2", "bluedb", changed(OUTSIDE, eth_src=ROUTER_MAC, eth_dst=BLUEDB.mac, ttl=63))],
    ),
    "to an appliance v6": (
        OUTSIDE6,
        [("host2", "bluedb", changed(OUTSIDE6, eth_src=ROUTER_MAC, eth_dst=BLUEDB.mac, ttl=63))],
    ),
    "broadcast": (BROADCAST, [("host2", "blue2", BROADCAST)]),
    "multicast": (GROUP, [("host2", "blue2", GROUP)]),
    "multicast v6": (GROUP6, [("host2", "blue2", GROUP6)]),
    "gateway pings": (GATEWAY, [("host1", "blue1", gateway_reply(GATEWAY, "10.1.1.1"))]),
    "gateway pings v6": (GATEWAY6, [("host1", "blue1", gateway_reply(GATEWAY6, "fd00:1::1"))]),
    "other gateway pings": (FAR_GATEWAY, [("host1", "blue1", gateway_reply(FAR_GATEWAY, "10.1.2.1"))]),
    "gateway pings at ttl 1": (
        changed(GATEWAY, ttl=1),
        [("host1", "blue1", gateway_reply(GATEWAY, "10.1.1.1"))],
    ),
    "arp": (ASK, [("host1", "blue1", arp_answer(ASK, BLUE2.mac))]),
    "arp for the gateway": (ASK_GATEWAY, [("host1", "blue1", arp_answer(ASK_GATEWAY, ROUTER_MAC))]),
    "nd": (ASK6, [("host1", "blue1", advertisement(ASK6, BLUE2.v6, BLUE2.mac))]),
    "nd without option": (ASK6_PLAIN, [("host1", "blue1", advertisement(ASK6_PLAIN, BLUE2.v6, BLUE2.mac))]),
    "nd for link-local": (ASK6_LOCAL, [("host1", "blue1", advertisement(ASK6_LOCAL, LOCAL2, BLUE2.mac))]),
    "nd for the gateway": (
        ASK6_GATEWAY,
        [("host1", "blue1", advertisement(ASK6_GATEWAY, "fd00:1::1", ROUTER_MAC, 0xE0000000))],
    ),
    "nd under a link-local address of its own making": (
        ASK6_PRIVATE,
        [("host1", "blue1", advertisement(ASK6_PRIVATE, "fd00:1::1", ROUTER_MAC, 0xE0000000))],
    ),
    "duplicate detection for another": (DAD_OTHER, [("host1", "blue1", TAKEN)]),
    "router's link-local pings": (ROUTER6, [("host1", "blue1", gateway_reply(ROUTER6, ROUTER_LOCAL))]),
}

ADVERTISED = changed(ASK6, icmp_type=136, nd_option=2, ip_dst=p.number("ff02::1"), eth_dst=0x333300000001)

DROPPED = {
    "vlan tag": (changed(ECHO, vlan_tci=0x1005), "vlan_tagged"),
    "another mac": (changed(ECHO, eth_src=OTHER), "spoofed_mac"),
    "another ipv4": (changed(ECHO, ip_src=p.number("10.1.1.99")), "spoofed_ipv4"),
    "another ipv6": (changed(ECHO6, ip_src=p.number("fd00:1::99")), "spoofed_ipv6"),
    "another's link-local": (changed(ECHO6, ip_src=p.number(LOCAL2)), "spoofed_ipv6"),
    "another sender in arp": (changed(ASK, arp_spa=p.number(BLUE2.v4)), "spoofed_arp"),
    "another hardware address in arp": (changed(ASK, arp_sha=OTHER), "spoofed_arp"),
    "gratuitous arp for another": (
        changed(ASK, arp_spa=p.number(BLUE2.v4), arp_tpa=p.number(BLUE2.v4)),
        "spoofed_arp",
    ),
    "another sender in nd": (changed(ASK6, ip_src=p.number("fd00:1::99")), "spoofed_nd"),
    "another hardware address in nd": (changed(ASK6, nd_address=OTHER), "spoofed_nd"),
    "advertising another": (changed(ADVERTISED, nd_target=p.number(BLUE2.v6)), "spoofed_nd"),
    "advertising itself": (changed(ADVERTISED, nd_target=p.number(BLUE1.v6), nd_address=BLUE1.mac), "nd_unknown"),
    "router advertisement": (changed(ECHO6, icmp_type=134, ip_dst=p.number("ff02::1")), "router_advertisement"),
    "first fragment to a link-local group": (
        changed(ECHO6, fragment=p.FIRST, ip_dst=p.number("ff02::1")),
        "router_advertisement",
    ),
    "later fragment to a link-local group": (
        changed(REST6, ip_dst=p.number("ff02:7::1:ff00:1")),
        "router_advertisement",
    ),
    "redirect": (changed(ECHO6, icmp_type=137), "router_advertisement"),
    "listener report": (changed(ECHO6, icmp_type=143, ip_dst=p.number("ff02::16")), "multicast_report"),
    "igmp": (changed(ECHO, ip_proto=2, ip_dst=p.number("224.0.0.22")), "multicast_report"),
    "a dhcp server": (p.udp(MACS, (BLUE1.v4, BLUE2.v4), (67, 68)), "dhcp_guarded"),
    "a dhcpv6 server": (p.udp(MACS, (BLUE1.v6, BLUE2.v6), (547, 546)), "dhcp_guarded"),
    "another ethertype": (changed(ECHO, eth_type=0x88B5), "ethertype"),
    "probe of its own address": (changed(ASK, arp_spa=0, arp_tpa=p.number(BLUE1.v4)), "own_address"),
    "gratuitous arp": (changed(ASK, arp_tpa=p.number(BLUE1.v4)), "own_address"),
    "duplicate detection": (DAD, "own_address"),
    "duplicate detection for nobody": (changed(DAD, nd_target=p.number("fd00:1::77")), "nd_unknown"),
    "link-local v6 of its own making": (changed(ECHO6, ip_src=p.number("fe80::99")), "spoofed_ipv6"),
    "arp for nobody": (changed(ASK, arp_tpa=p.number("10.1.1.77")), "arp_unknown"),
    "arp reply": (p.arp_reply(BLUE1.mac, BLUE1.v4, (BLUE2.mac, BLUE2.v4)), "arp_unknown"),
    "nd for nobody": (changed(ASK6, nd_target=p.number("fd00:1::77")), "nd_unknown"),
    "no route": (changed(ROUTED, ip_dst=p.number("8.8.8.8")), "no_route"),
    "no route v6": (changed(ROUTED6, ip_dst=p.number("2001:db8::1")), "no_route"),
    "routing from link-local": (changed(ROUTED6, ip_src=p.number(LOCAL1)), "no_route"),
    "to a provider address": (changed(ROUTED, ip_dst=p.number("192.168.2.20"), ip_proto=47), "no_route"),
    "to an ipv4 link-local address by the router": (changed(ROUTED, ip_dst=p.number("169.254.1.1")), "no_route"),
    "to a link-local address by the router": (changed(ROUTED6, ip_dst=p.number("fe80::99")), "no_route"),
    "a route to nowhere": (changed(ROUTED, ip_dst=p.number("198.51.100.9")), "blocked_route"),
    "a route to no gateway": (changed(ROUTED, ip_dst=p.number("192.0.2.9")), "no_gateway"),
    "nobody there": (changed(ROUTED, ip_dst=p.number("10.1.2.77")), "no_record"),
    "ttl 1": (changed(ROUTED, ttl=1), "ttl_expired"),
    "ttl 0": (changed(ROUTED, ttl=0), "ttl_expired"),
    "hop limit 1": (changed(ROUTED6, ttl=1), "ttl_expired"),
    "to the router itself": (p.udp(VIA_ROUTER, (BLUE1.v4, "10.1.1.1"), (9, 53)), "for_router"),
    "unknown mac": (changed(ECHO, eth_dst=OTHER), "unknown_mac"),
    "mac of another subnet": (changed(ECHO, eth_dst=BLUEDB.mac), "unknown_mac"),
}


async def drops(world, host="host1"):
    return (await world.switches[host].dump()).drops


async def counted(world, before, host="host1", expected=None):
    """Drops since `before`. Open vSwitch counts a packet that it need not look at closely a little late."""
    for _ in range(300):
        after = await drops(world, host)
        found = {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}
        if found == expected or not world.real:
            break
        await asyncio.sleep(0.01)
    return found
