"""The contract of agent.switch.Switch, and the pipeline's behaviour, on the fake switch and on a real Open vSwitch."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest

from tests.contract.switch_worlds import FakeWorld, LabWorld
from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, told, tunnel
from weft.agent.fields import COOKIE_MARK, ETH_DST, ETH_TYPE, IP_FRAG, IP_SRC, Table
from weft.agent.flow import Flow, Goto, Output, exact
from weft.agent.ovs_switch import tunnel_name
from weft.agent.switch import Announcement, Peer, SwitchChange, SwitchMac, SwitchUnavailable
from weft.agent.ways import link_local_of
from weft.fakes import packet as p
from weft.model.values import ROUTER_MAC, pack_ip

PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=PARAMS)
async def world(request, monkeypatch):
    monkeypatch.setenv("WEFT_LAB_DIR", "")
    with tempfile.TemporaryDirectory(prefix="ws") as short:
        made = FakeWorld() if request.param == "fake" else LabWorld(Path(short) / "l")
        await made.open()
        try:
            yield made
        finally:
            await made.close()


async def seen(world, host, enough):
    """Facts, once `enough` is true of them: a real switch takes a moment to open a port."""
    async with asyncio.timeout(10):
        while True:
            with world.inside(host):
                facts = await world.switches[host].facts()
            if enough(facts):
                return facts
            await asyncio.sleep(0.01)


def named(facts, name):
    return next((port for port in facts.ports if port.name == name), None)


def opened(name):
    return lambda facts: (port := named(facts, name)) is not None and port.ofport > 0


async def apply(world, host, change):
    with world.inside(host):
        return await world.switches[host].apply(change)


async def dumped(world, host):
    return {flow.key: flow for flow in (await world.switches[host].dump()).flows}


FLOW = Flow(Table.OUTPUT, 7, (exact(ETH_DST, 0x020000000001),), (Output(9),), COOKIE_MARK | 5)


async def test_a_port_is_seen_with_what_it_is_known_by(world):
    await world.plug("host1", "p1", "AAAA-1", 0x001DD8B71C01)
    await world.plug("host1", "p2")
    port = named(await seen(world, "host1", opened("p1")), "p1")
    assert (port.iface_id, port.attached_mac, port.tunnel) == ("aaaa-1", 0x001DD8B71C01, None)
    other = named(await seen(world, "host1", opened("p2")), "p2")
    assert (other.iface_id, other.attached_mac) == ("", None)


async def macs(world, host, enough, patience=10):
    async with asyncio.timeout(patience):
        while True:
            found = set(await world.switches[host].macs() or ())
            if enough(found):
                return found
            await asyncio.sleep(0.05)


async def test_addresses_on_other_bridges_are_seen_given_and_learnt(world):
    await world.plug("host1", "p1", "AAAA-1", 0x001DD8B71C01)
    await world.plug_elsewhere("host1", "br-ex", "tap3", 0x00155D0A0001, 7)
    await world.plug_elsewhere("host1", "br-ex", "tap4")
    given = SwitchMac(0x00155D0A0001, "tap3", "br-ex", 7)
    assert [one for one in await macs(world, "host1", lambda all: given in all) if one.port == "p1"] == []
    for name in ("tap3", "tap4"):
        await seen_elsewhere(world, "host1", name)
    await world.send_elsewhere("host1", "tap4", p.echo((0x00155D0A0002, 0x00155D0A0003), ("10.9.9.1", "10.9.9.2")))
    learnt = SwitchMac(0x00155D0A0002, "tap4", "br-ex", 0, True)
    # seconds, not minutes
    assert await macs(world, "host1", lambda all: learnt in all, 5)
    await world.unplug_elsewhere("host1", "tap3", 0x00155D0A0001)
    assert learnt in await macs(world, "host1", lambda all: given not in all)


async def seen_elsewhere(world, host, name):
    """Wait until a real switch has opened the port."""
    if world.real:
        async with asyncio.timeout(10):
            while not [one for one in world.switches[host]._database.rows().others if one.name == name and one.ofport]:
                await asyncio.sleep(0.05)


async def test_a_port_that_goes_is_gone_and_its_coming_and_going_are_events(world):
    events = world.switches["host1"].events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await world.plug("host1", "p1", "a")
    async with asyncio.timeout(5):
        await waiting
    await seen(world, "host1", opened("p1"))
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await world.unplug("host1", "p1")
    async with asyncio.timeout(5):
        await waiting
    await seen(world, "host1", lambda facts: named(facts, "p1") is None)


async def test_what_was_applied_is_what_is_dumped(world):
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,))) == ()
    assert await dumped(world, "host1") == {FLOW.key: FLOW}
    changed = msgspec.structs.replace(FLOW, actions=(Output(10),))
    assert await apply(world, "host1", SwitchChange(puts=(changed,))) == ()
    assert await dumped(world, "host1") == {FLOW.key: changed}


async def test_fragments_are_matched_by_the_names_that_ovs_ofctl_has_for_them(world):
    for value, mask in ((1, 1), (0, 2), (0, 255), (1, 255), (3, 255)):
        match = (exact(ETH_TYPE, 0x86DD), (IP_FRAG, value, mask))
        flow = msgspec.structs.replace(FLOW, match=match, actions=(Output(9),))
        world.put_by_hand("host1", flow)
        assert await dumped(world, "host1") == {flow.key: flow}
        await apply(world, "host1", SwitchChange(removes=(flow.key,)))


async def test_everything_may_be_asked_for_twice(world):
    await world.plug("host1", "p1", "a")
    await seen(world, "host1", opened("p1"))
    change = SwitchChange(tunnels_add=(tunnel("host1"),), mtus=(("p1", 1400),), puts=(FLOW,))
    for _ in range(2):
        assert await apply(world, "host1", change) == ()
    back = SwitchChange(removes=(FLOW.key,), tunnels_remove=(tunnel("host1"),))
    for _ in range(2):
        assert await apply(world, "host1", back) == ()
    assert await dumped(world, "host1") == {}
    facts = await seen(world, "host1", lambda facts: named(facts, "p1").mtu == 1400 and len(facts.ports) == 1)
    assert named(facts, "p1").mtu_of_ours == 1400


async def test_a_tunnel_port_is_known_as_ours(world):
    await apply(world, "host1", SwitchChange(tunnels_add=(tunnel("host1"), tunnel("host1", "vxlan"))))
    facts = await seen(world, "host1", lambda facts: len([one for one in facts.ports if one.ofport > 0]) == 2)
    assert {port.tunnel for port in facts.ports} == {tunnel("host1"), tunnel("host1", "vxlan")}
    assert facts.provider_mtu == 1500
    for mtu in (1400, 1500):
        world.set_provider_mtu("host1", mtu)
        await seen(world, "host1", lambda facts, mtu=mtu: facts.provider_mtu == mtu)


async def test_a_port_of_another_hand_with_a_tunnels_name_is_left_alone(world):
    ours = tunnel("host1")
    await world.plug("host1", tunnel_name(ours), "a")
    await seen(world, "host1", opened(tunnel_name(ours)))
    for _ in range(2):
        failed = await apply(world, "host1", SwitchChange(tunnels_add=(ours,), puts=(FLOW,)))
        assert [(one.step, one.subject) for one in failed] == [("tunnel", tunnel_name(ours))]
        assert "another's" in failed[0].message
    port = named(await seen(world, "host1", opened(tunnel_name(ours))), tunnel_name(ours))
    assert (port.iface_id, port.tunnel) == ("a", None)
    assert await dumped(world, "host1") == {FLOW.key: FLOW}, "the rest of the change is done"
    await world.unplug("host1", tunnel_name(ours))
    assert await apply(world, "host1", SwitchChange(tunnels_add=(ours,))) == ()


@pytest.mark.parametrize("world", PARAMS[1:], indirect=True)
async def test_a_tunnel_of_another_bridge_is_left_alone_though_it_bears_our_mark(world):
    """It may be that of another agent on the same Open vSwitch."""
    ours = tunnel("host1")
    words = [
        "--",
        "set",
        "interface",
        tunnel_name(ours),
        "type=gre",
        "options:remote_ip=flow",
        "external_ids:weft=tunnel",
    ]
    world.vsctl("host1", "--no-wait", "add-br", "br-two", "--", "add-port", "br-two", tunnel_name(ours), *words)
    failed = await apply(world, "host1", SwitchChange(tunnels_add=(ours,)))
    assert [one.step for one in failed] == ["tunnel"] and "another bridge" in failed[0].message


@pytest.mark.parametrize("world", PARAMS[1:], indirect=True)
async def test_a_tunnel_port_that_lost_one_of_its_two_marks_is_still_ours(world):
    ours = tunnel("host1")
    await apply(world, "host1", SwitchChange(tunnels_add=(ours,)))
    world.vsctl("host1", "clear", "interface", tunnel_name(ours), "external_ids")
    await seen(world, "host1", lambda facts: named(facts, tunnel_name(ours)).tunnel is None)
    assert await apply(world, "host1", SwitchChange(tunnels_add=(ours,))) == ()
    await seen(world, "host1", lambda facts: named(facts, tunnel_name(ours)).tunnel == ours)


async def test_removing_spares_flows_of_another_hand(world):
    foreign = msgspec.structs.replace(FLOW, cookie=77)
    world.put_by_hand("host1", foreign)
    await apply(world, "host1", SwitchChange(removes=(FLOW.key,)))
    dump = await world.switches["host1"].dump()
    assert dump.flows == ()
    assert len(dump.foreign) == 1 and "priority=7" in dump.foreign[0]


async def test_a_flow_of_ours_that_another_hand_changed_is_seen_as_changed(world):
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    world.put_by_hand("host1", msgspec.structs.replace(FLOW, actions=(Output(3),)))
    assert (await dumped(world, "host1"))[FLOW.key] != FLOW


async def test_a_refused_flow_is_reported(world):
    backwards = Flow(Table.OUTPUT, 1, (), (Goto(Table.CLASSIFY),), COOKIE_MARK)
    no_family = Flow(Table.OUTPUT, 2, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK)
    for wrong in (backwards, no_family):
        failures = await apply(world, "host1", SwitchChange(puts=(FLOW, wrong)))
        assert failures and {one.step for one in failures} == {"flows"}
        assert wrong.key not in await dumped(world, "host1")
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,))) == ()


async def test_of_several_refused_flows_each_is_reported_and_the_rest_is_in(world):
    wrong = [Flow(Table.OUTPUT, number, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK) for number in range(1, 6)]
    failures = await apply(world, "host1", SwitchChange(puts=(*wrong, FLOW)))
    assert {one.flow for one in failures} == {flow.key for flow in wrong}
    assert await dumped(world, "host1") == {FLOW.key: FLOW}


@pytest.mark.parametrize("address", ["10.1.1.12", "fd00:1::12"])
async def test_an_announcement_comes_out_of_its_ports_as_one_frame_and_out_of_no_other(world, address):
    for name in ("p1", "p2", "p3"):
        await world.plug("host1", name)
    facts = await seen(world, "host1", lambda facts: all(opened(name)(facts) for name in ("p1", "p2", "p3")))
    numbers = (named(facts, "p1").ofport, named(facts, "p3").ofport, 4000)
    announcement = Announcement(6001, pack_ip(address), 0x001DD8B71CF1, numbers)
    await world.arrived()
    # the port that is gone is no failure; and no flow is needed, none has a say
    assert await apply(world, "host1", SwitchChange(announcements=(announcement,))) == ()
    told = changed(p.announcement(0x001DD8B71CF1, address), size=0)
    assert await world.arrived() == {("host1", "p1", told), ("host1", "p3", told)}
    # many, and the switch goes on answering
    more = tuple(msgspec.structs.replace(announcement, mac=0x020000000000 + number) for number in range(200))
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,), announcements=more)) == ()
    assert {one.eth_src for _, _, one in await world.arrived()} == {one.mac for one in more}
    assert await dumped(world, "host1") == {FLOW.key: FLOW}


async def test_no_announcement_without_its_flows(world):
    await world.plug("host1", "p1")
    facts = await seen(world, "host1", opened("p1"))
    announcement = Announcement(6001, pack_ip("10.1.1.12"), 0x001DD8B71CF1, (named(facts, "p1").ofport,))
    wrong = Flow(Table.OUTPUT, 2, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK)
    await world.arrived()
    assert await apply(world, "host1", SwitchChange(puts=(wrong,), announcements=(announcement,)))
    assert await world.arrived() == set()


async def test_a_restarted_switch_has_lost_its_flows_and_kept_its_ports(world):
    await world.plug("host1", "p1", "a", 0x001DD8B71C01)
    await seen(world, "host1", opened("p1"))
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    await world.restart("host1")
    async with asyncio.timeout(10):
        while True:
            try:
                assert await dumped(world, "host1") == {}
                break
            except SwitchUnavailable:
                await asyncio.sleep(0.05)
    assert named(await seen(world, "host1", opened("p1")), "p1").iface_id == "a"


async def test_without_its_database_it_says_so_at_once_and_is_back_with_it(world):
    """Open vSwitch takes no flows then either; those that it has stay."""
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    await world.lose_database("host1")
    for change in (
        SwitchChange(tunnels_add=(tunnel("host1"),), mtus=(("p1", 1400),)),
        SwitchChange(removes=(FLOW.key,)),
    ):
        async with asyncio.timeout(1):
            with pytest.raises(SwitchUnavailable) as unavailable:
                await apply(world, "host1", change)
        assert not world.real or "userspace datapath forwards nothing" in str(unavailable.value)
    await world.regain_database("host1")
    async with asyncio.timeout(15):
        while True:
            try:
                assert await dumped(world, "host1") == {FLOW.key: FLOW}
                break
            except SwitchUnavailable:
                await asyncio.sleep(0.05)


# The pipeline: the example policy on two hosts, and what becomes of a packet.


async def settle(world, reconcilers):
    """What the agent's loop does, without the loop: a peer that was late with its answer is asked again."""
    for host, reconciler in reconcilers.items():
        async with asyncio.timeout(10):
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
BROADCAST = p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (9, 9), "x")
GATEWAY, GATEWAY6 = (p.echo(VIA_ROUTER, pair, "x") for pair in ((BLUE1.v4, "10.1.1.1"), (BLUE1.v6, "fd00:1::1")))
FAR_GATEWAY = p.echo(VIA_ROUTER, (BLUE1.v4, "10.1.2.1"), "x")
ASK = p.arp_request(BLUE1.mac, BLUE1.v4, BLUE2.v4)
ASK_GATEWAY = p.arp_request(BLUE1.mac, BLUE1.v4, "10.1.1.1")
ASK6 = p.solicitation(BLUE1.mac, BLUE1.v6, BLUE2.v6)
ASK6_PLAIN = changed(ASK6, nd_option=0, nd_address=0)
ASK6_LOCAL = p.solicitation(BLUE1.mac, LOCAL1, LOCAL2)
ASK6_GATEWAY = p.solicitation(BLUE1.mac, BLUE1.v6, "fd00:1::1")


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
    "broadcast": (BROADCAST, [("host2", "blue2", BROADCAST)]),
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
}

ADVERTISED = changed(ASK6, icmp_type=136, nd_option=2, ip_dst=p.number("ff02::1"), eth_dst=0x333300000001)
DAD = changed(ASK6, ip_src=0, nd_target=p.number(BLUE1.v6), nd_option=0, nd_address=0)

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
    "router solicitation": (changed(ECHO6, icmp_type=133, ip_dst=p.number("ff02::2")), "router_solicitation"),
    "listener report": (changed(ECHO6, icmp_type=143, ip_dst=p.number("ff02::16")), "multicast_report"),
    "igmp": (changed(ECHO, ip_proto=2, ip_dst=p.number("224.0.0.22")), "multicast_report"),
    "dhcp": (p.udp((BLUE1.mac, p.BROADCAST), ("0.0.0.0", "255.255.255.255"), (68, 67)), "dhcp"),
    "dhcpv6": (p.udp((BLUE1.mac, 0x333300010002), (LOCAL1, "ff02::1:2"), (546, 547)), "dhcp"),
    "another ethertype": (changed(ECHO, eth_type=0x88B5), "ethertype"),
    "probe of its own address": (changed(ASK, arp_spa=0, arp_tpa=p.number(BLUE1.v4)), "own_address"),
    "gratuitous arp": (changed(ASK, arp_tpa=p.number(BLUE1.v4)), "own_address"),
    "duplicate detection": (DAD, "own_address"),
    "duplicate detection for another": (changed(DAD, nd_target=p.number(BLUE2.v6)), "spoofed_nd"),
    "arp for nobody": (changed(ASK, arp_tpa=p.number("10.1.1.77")), "arp_unknown"),
    "arp reply": (p.arp_reply(BLUE1.mac, BLUE1.v4, (BLUE2.mac, BLUE2.v4)), "arp_unknown"),
    "nd for nobody": (changed(ASK6, nd_target=p.number("fd00:1::77")), "nd_unknown"),
    "no route": (changed(ROUTED, ip_dst=p.number("8.8.8.8")), "no_route"),
    "no route v6": (changed(ROUTED6, ip_dst=p.number("2001:db8::1")), "no_route"),
    "routing from link-local": (changed(ROUTED6, ip_src=p.number(LOCAL1)), "no_route"),
    "to a provider address": (changed(ROUTED, ip_dst=p.number("192.168.2.20"), ip_proto=47), "no_route"),
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


async def test_strays_follow_a_machine_that_moved_and_never_go_back(world):
    """blue2 has left host2 for a third place; then for host1 itself, where the sender is."""
    reconcilers = await two_hosts(world)
    await world.unplug("host2", "blue2")
    await seen(world, "host2", lambda facts: named(facts, "blue2") is None)
    binding = BLUE2.binding(HOSTS["host1"])
    reconcilers["host2"].put(0, binding.key, binding)
    reconcilers["host2"].switch_is(await seen(world, "host2", lambda _: True))
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == set()
    assert await counted(world, {}, "host2", {"loop": 1}) == {"loop": 1}
    # a neighbour on host2 reaches it at its new place
    await world.plug("host1", "blue2x", BLUE2.instance, BLUE2.mac)
    await seen(world, "host1", opened("blue2x"))
    arrived = BLUE2.binding(host="host1")
    reconcilers["host1"].put(0, arrived.key, arrived)
    reconcilers["host1"].switch_is(await seen(world, "host1", lambda _: True))
    await settle(world, reconcilers)
    routed = p.echo((BLUEDB.mac, ROUTER_MAC), (BLUEDB.v4, BLUE2.v4))
    expected = changed(routed, eth_src=ROUTER_MAC, eth_dst=BLUE2.mac, ttl=63, size=0)
    assert await world.send("host2", "bluedb", routed) == {("host1", "blue2x", expected)}


async def test_the_first_packet_to_a_new_peer_is_not_lost(world):
    """two_hosts lets no packet flow before: DELIVERED's first one would be lost without the peers' step."""
    reconcilers = await two_hosts(world)
    assert Peer(HOSTS["host1"], HOSTS["host2"]) in reconcilers["host1"]._reached
    assert await world.send("host1", "blue1", ECHO) != set()


def test_the_link_local_address_is_that_of_linux():
    assert link_local_of(BLUE1.mac) == p.number(LOCAL1)
