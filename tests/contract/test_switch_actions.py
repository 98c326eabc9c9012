"""What the data plane's further actions do, on the fake switch and on a real Open vSwitch: the same packets, the same
answers. The pipeline itself is not in it: each test puts its own few flows."""

import asyncio

import msgspec
import pytest

from tests.contract.switch_worlds import apply, dumped, named, opened, seen, switch_world
from weft.agent.flows.actions import (
    CheckLarger,
    Controller,
    Ct,
    Goto,
    InPort,
    Meter,
    Output,
    OutputRegister,
    PopVlan,
    PushVlan,
    Resubmit,
    SetBits,
    SetField,
    SetVlan,
    action_text,
)
from weft.agent.flows.fields import (
    COOKIE_MARK,
    CT_MARK,
    CT_STATE,
    ETH_DST,
    ETH_TYPE,
    IN_PORT,
    INTO_TABLES,
    IP_PROTO,
    MARKS,
    OWN_PORT,
    RDID,
    TCP_DST,
    TO_PORT,
    TRACKED,
    VLAN_TCI,
    VSID,
    rule_cookie,
)
from weft.agent.flows.flow import Flow, exact, in_order, tracked
from weft.agent.switch import PacketOut, SwitchChange, SwitchMeter, to_port
from weft.fakes import packet as p
from weft.fakes.frames import frame, packet

SWITCHES = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=SWITCHES)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


A, B = 0x001DD8B71C01, 0x001DD8B71C02
IP_A, IP_B = "10.1.1.1", "10.1.1.2"
ECHO = p.echo((A, B), (IP_A, IP_B), "x")
UDP = p.udp((A, B), (IP_A, IP_B), (1000, 53), "x")
IPV4, IPV6 = exact(ETH_TYPE, p.IPV4), exact(ETH_TYPE, p.IPV6)
TAGGED = (VLAN_TCI, 0x1000, 0x1000)


def flow(table, *match, actions=(), priority=10):
    return Flow(table, priority, in_order(match), tuple(actions), COOKIE_MARK | 1 << 40)


async def numbers(world, *names):
    """Ports of host1, by number."""
    for name in names:
        await world.plug("host1", name)
    facts = await seen(world, "host1", lambda facts: all(opened(name)(facts) for name in names))
    return [named(facts, name).ofport for name in names]


async def replace(world, *flows):
    """These flows and no others."""
    old = set(await dumped(world, "host1")) - {one.key for one in flows}
    assert await apply(world, "host1", SwitchChange(puts=flows, removes=tuple(old))) == ()
    await world.caught_up("host1")


async def out_of(world, port, sent):
    """What comes out of any port, as (port, packet)."""
    return {(name, one) for _, name, one in await world.send("host1", port, sent)}


def plain(sent, **fields):
    return msgspec.structs.replace(sent, size=0, vlan_tci=0, **fields)


EVERY = (
    *(Ct(OWN_PORT, 5), Ct(7, 5), Ct(OWN_PORT, commit=True), Ct(7, commit=True, mark=1), Ct(7, 5, commit=True)),
    *(OutputRegister(TO_PORT), Resubmit(15), CheckLarger(1514, MARKS, 1), SetBits(MARKS, 2, 3)),
    *(Controller(3), PushVlan(), SetField(OWN_PORT, 9), InPort(), SetBits(MARKS, 1, 1)),
)


async def test_every_action_is_dumped_as_it_was_put_and_as_ovs_ofctl_writes_it(world):
    flows = [flow(3, IPV4, exact(IN_PORT, number), actions=[one]) for number, one in enumerate(EVERY, 1)]
    flows.append(flow(3, IPV4, actions=[PushVlan(), SetVlan(5), Goto(9)]))
    flows.append(flow(3, IPV4, TAGGED, actions=[PopVlan(), Output(1)], priority=11))
    tracks = (CT_STATE, 0x21, 0x33), exact(CT_MARK, 1), (MARKS, 1, 1), exact(IP_PROTO, 6), (TCP_DST, 80, 0xFFF0)
    flows.append(flow(4, IPV4, *tracks, actions=[Output(1)]))
    assert await apply(world, "host1", SwitchChange(puts=tuple(flows))) == ()
    assert await dumped(world, "host1") == {one.key: one for one in flows}
    await replace(world)
    for one in flows:
        world.put_by_hand("host1", one)
    assert await dumped(world, "host1") == {one.key: one for one in flows}


@pytest.mark.parametrize(
    "wrong",
    [
        flow(3, actions=[Ct(7, 5)]),
        flow(3, actions=[PopVlan()]),
        flow(3, actions=[SetVlan(5)]),
        flow(3, actions=[Meter(5)]),
        flow(3, actions=[SetField(CT_STATE, 1)]),
    ],
    ids=lambda one: action_text(one.actions[0]),
)
async def test_an_action_without_what_it_needs_is_refused(world, wrong):
    assert [one.flow for one in await apply(world, "host1", SwitchChange(puts=(wrong,)))] == [wrong.key]


async def test_registers_resubmits_sizes_and_tags(world):
    one, two, three = await numbers(world, "p1", "p2", "p3")
    deliver = flow(19, actions=[OutputRegister(TO_PORT)])
    both = [SetField(TO_PORT, two), Resubmit(19), SetField(ETH_DST, 5), SetField(TO_PORT, three), Resubmit(19)]
    await replace(world, deliver, flow(0, actions=both))
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO)), ("p3", plain(ECHO, eth_dst=5))}
    # what a resubmit changes stays changed, and the port it came in by is not among its outputs
    await replace(world, flow(7, actions=[SetField(ETH_DST, 6)]), flow(0, actions=[Resubmit(7), Output(two)]))
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO, eth_dst=6))}
    await replace(world, deliver, flow(0, actions=[SetField(TO_PORT, one), Resubmit(19), Output(two)]))
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO))}

    bits = (SetField(MARKS, 0x70), SetBits(MARKS, 2, 3), SetBits(MARKS, 0, 0x10), Goto(1))
    await replace(world, flow(0, actions=bits), flow(1, exact(MARKS, 0x62), actions=[Output(two)]))
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO))}

    larger = flow(0, actions=[SetField(MARKS, 3), CheckLarger(914, MARKS, 1), Goto(1)])
    ways = [flow(1, exact(MARKS, 1), actions=[Output(two)]), flow(1, exact(MARKS, 3), actions=[Output(three)])]
    await replace(world, larger, *ways)
    for length, port in ((872, "p2"), (873, "p3")):
        sent = msgspec.structs.replace(UDP, payload="y" * length, size=28 + length)
        assert await out_of(world, "p1", sent) == {(port, plain(sent))}, "a frame of 914 bytes is not larger than 914"

    tags = [flow(0, exact(IN_PORT, one), actions=[PushVlan(), SetVlan(5), SetField(OWN_PORT, 1), Goto(1)])]
    tags += [flow(1, exact(VLAN_TCI, 0x1005), actions=[PopVlan(), Goto(2)]), flow(2, TAGGED, actions=[Output(three)])]
    await replace(world, *tags, flow(2, actions=[Output(two)], priority=1))
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO))}


SYN, ACK, FIN, RST = p.SYN, p.ACK, p.FIN, p.RST


def there(proto, *rest):
    return ("p1", proto((A, B), (IP_A, IP_B), *rest))


def back(proto, *rest):
    return ("p2", proto((B, A), (IP_B, IP_A), *rest))


def tcp(macs, addresses, ports, flags):
    return p.tcp(macs, addresses, ports, flags)


def icmp(macs, addresses, kind, payload="x"):
    return msgspec.structs.replace(p.echo(macs, addresses, payload), icmp_type=kind)


def quoting(sent):
    """A destination unreachable about a packet."""
    return icmp((B, A), (IP_B, IP_A), 3, frame(sent)[14:].decode("latin-1"))


SERIES = {
    "udp": [
        (there(p.udp, (1, 2)), "new"),
        (there(p.udp, (1, 2)), "new"),
        (back(p.udp, (2, 1)), "est rpl"),
        (there(p.udp, (1, 2)), "est"),
        (back(p.udp, (2, 99)), "new"),
        (("p2", quoting(there(p.udp, (1, 2))[1])), "rel rpl"),
        (("p2", quoting(there(p.udp, (1, 77))[1])), "inv"),
    ],
    "icmp": [
        (there(icmp, 0), "inv"),
        (there(icmp, 8), "new"),
        (there(icmp, 8), "new"),
        (back(icmp, 0), "est rpl"),
        (there(icmp, 8), "est"),
        (there(icmp, 13), "new"),
    ],
    "tcp": [
        (there(tcp, (1, 2), SYN), "new"),
        (there(tcp, (1, 2), SYN), "new"),
        (back(tcp, (2, 1), SYN | ACK), "est rpl"),
        (there(tcp, (1, 2), ACK), "est"),
        (back(tcp, (2, 1), ACK), "est rpl"),
        (there(tcp, (1, 2), RST), "est"),
        (there(tcp, (1, 2), SYN), "new"),
    ],
    "tcp in the middle": [
        (there(tcp, (3, 2), ACK), "new"),
        (there(tcp, (3, 2), ACK), "est"),
        (back(tcp, (2, 3), ACK), "est rpl"),
        (there(tcp, (3, 2), ACK), "est"),
    ],
    "tcp that may not begin": [
        (back(tcp, (5, 6), SYN | ACK), "inv"),
        (there(tcp, (7, 10), 0), "inv"),
        (there(tcp, (7, 11), SYN | FIN), "inv"),
        (there(tcp, (7, 12), FIN | ACK), "new"),
        (there(tcp, (7, 13), RST), "new"),
    ],
    "small fragments": [(("p1", msgspec.structs.replace(ECHO, fragment=p.FIRST)), "inv")],
}
STATES = {"new": 1, "est": 2, "rel": 4, "rpl": 8, "inv": 16}


def tracking(zone, third, *, commit=True):
    """Everything is looked up in a zone, and comes out of a third port with the state in its MAC."""
    flows = [flow(0, family, actions=[Ct(zone, 1)]) for family in (IPV4, IPV6)]
    for state in range(32):
        keep = [Ct(zone, commit=True)] if state & 1 and not state & 16 and commit else []
        flows += [
            flow(
                1,
                family,
                tracked(TRACKED | state, 31 & ~state),
                actions=[*keep, SetField(ETH_DST, state), Output(third)],
            )
            for family in (IPV4, IPV6)
        ]
    return flows


async def states(world, series):
    found = []
    for (port, sent), _ in series:
        (got,) = await out_of(world, port, sent)
        found.append(got[1].eth_dst)
    return found


async def test_connections_are_tracked_alike(world):
    _, _, three = await numbers(world, "p1", "p2", "p3")
    await replace(world, *tracking(7, three))
    for name, series in SERIES.items():
        expected = [sum(STATES[word] for word in words.split()) for _, words in series]
        assert await states(world, series) == expected, name
    six = msgspec.structs.replace(p.udp((A, B), ("fd00::1", "fd00::2"), (1, 2)))
    reply = p.udp((B, A), ("fd00::2", "fd00::1"), (2, 1))
    assert await states(world, [(("p1", six), ""), (("p2", reply), ""), (("p1", six), "")]) == [1, 10, 2]
    # a connection that was never committed stays new
    await replace(world, *tracking(8, three, commit=False))
    assert await states(world, SERIES["udp"][:3]) == [1, 1, 1]
    # another zone knows nothing of the first, and a flushed one of itself; ARP is not tracked
    await replace(world, *tracking(7, three))
    assert await states(world, SERIES["udp"][3:4]) == [2]
    assert await apply(world, "host1", SwitchChange(zones_flush=(7, 9))) == ()
    assert await dumped(world, "host1"), "which is answered after the flush"
    assert await states(world, SERIES["udp"][3:4]) == [1]


async def test_a_mark_is_the_connections_and_a_zone_may_stand_in_a_register(world):
    one, _, three = await numbers(world, "p1", "p2", "p3")
    look = flow(0, IPV4, actions=[SetField(OWN_PORT, 70_000), Ct(OWN_PORT, 1)])
    show = [flow(1, IPV4, exact(CT_MARK, mark), actions=[SetField(ETH_DST, mark), Output(three)]) for mark in (0, 1)]
    cut = flow(0, IPV4, exact(IN_PORT, one), actions=[Ct(70_000 & 0xFFFF, commit=True, mark=1), Ct(70_000 & 0xFFFF, 1)])
    await replace(world, look, *show)
    assert {one.eth_dst for _, one in await out_of(world, "p1", UDP)} == {0}
    await replace(world, msgspec.structs.replace(cut, priority=20), look, *show)
    assert {one.eth_dst for _, one in await out_of(world, "p1", UDP)} == {1}
    await replace(world, look, *show)
    assert {one.eth_dst for _, one in await out_of(world, "p2", back(p.udp, (53, 1000))[1])} == {1}


async def test_what_stands_behind_a_look_up_has_the_packet_as_it_was(world):
    _, two, three = await numbers(world, "p1", "p2", "p3")
    look = [SetField(TO_PORT, two), Ct(7, 1), OutputRegister(TO_PORT)]
    onward = [SetField(TO_PORT, three), SetField(ETH_DST, 5), OutputRegister(TO_PORT)]
    await replace(world, flow(0, IPV4, exact(CT_STATE, 0), actions=look), flow(1, IPV4, actions=onward))
    assert await out_of(world, "p1", UDP) == {("p2", plain(UDP)), ("p3", plain(UDP, eth_dst=5))}


async def next_packet(world, patience=30):
    async with asyncio.timeout(patience):
        return await anext(world.switches["host1"].packets_in())


async def test_a_packet_comes_to_the_agent_and_frames_of_the_agent_go_out(world):
    one, two, three = await numbers(world, "p1", "p2", "p3")
    asks = [SetField(VSID, 6001), SetField(RDID, 60), SetField(OWN_PORT, one), Controller(0x0102), Output(two)]
    await replace(world, flow(0, exact(IN_PORT, one), actions=asks))
    assert await out_of(world, "p1", UDP) == {("p2", plain(UDP))}
    came = await next_packet(world)
    assert (came.service, came.in_port, came.cookie, came.table) == (0x0102, one, COOKIE_MARK | 1 << 40, 0)
    assert (came.field(VSID), came.field(RDID), came.field(OWN_PORT), came.field(TO_PORT)) == (6001, 60, one, 0)
    assert packet(came.frame) == packet(frame(UDP))
    await replace(world, flow(0, exact(IN_PORT, one), actions=[Controller(3)]))
    assert await out_of(world, "p1", UDP) == set()
    assert (await next_packet(world)).service == 3
    # while nobody asks packets wait, and waiting for answers is not disturbed; too many are lost and counted
    switch = world.switches["host1"]
    async with asyncio.timeout(30):
        while not switch.packets_lost:
            for _ in range(50):
                await world.put("host1", "p1", UDP)
            await dumped(world, "host1")
    await replace(world, flow(0, exact(IN_PORT, one), actions=[Output(three)]))
    assert await out_of(world, "p1", ECHO) >= {("p3", plain(ECHO))}
    waiting = 0
    with pytest.raises(TimeoutError):
        while True:
            assert (await next_packet(world, 0.2)).service == 3
            waiting += 1
    assert waiting == 1000
    # out of a port, out of one that is gone, and through the tables as if a guest had sent it
    switch.send((to_port(frame(UDP), two), to_port(frame(UDP), 4000)))
    assert {(name, one) for _, name, one in await world.arrived()} == {("p2", plain(UDP))}
    switch.send((PacketOut(frame(ECHO), (Output(INTO_TABLES),), in_port=one),))
    assert {(name, one) for _, name, one in await world.arrived()} == {("p3", plain(ECHO))}
    assert await dumped(world, "host1") != {}


async def meters(world):
    return {one.id: one for one in (await world.switches["host1"].dump()).meters}


async def test_meters_are_set_changed_read_and_taken_with_the_flows_that_name_them(world):
    _, two = await numbers(world, "p1", "p2")
    slow, fast = SwitchMeter(4, "pktps", 1, 1), SwitchMeter(4, "kbps", 1_000_000, 100_000)
    other = SwitchMeter(9, "kbps", 2000, 200)
    assert await apply(world, "host1", SwitchChange(meters=(fast, other))) == ()
    assert await meters(world) == {4: fast, 9: other}
    limited = flow(0, actions=[Meter(4), Output(two)])
    assert await apply(world, "host1", SwitchChange(meters=(fast,), puts=(limited,))) == ()
    assert await dumped(world, "host1") == {limited.key: limited}
    assert await out_of(world, "p1", ECHO) == {("p2", plain(ECHO))}
    assert await apply(world, "host1", SwitchChange(meters=(slow,))) == ()
    assert await meters(world) == {4: slow, 9: other}
    if not world.real:
        world.switches["host1"].faults.over_rate.add(4)
    for number in range(20):
        await world.put("host1", "p1", msgspec.structs.replace(ECHO, ip_src=number))
    assert len(await world.arrived()) <= 3
    assert await apply(world, "host1", SwitchChange(meters_remove=(4, 5))) == ()
    assert (await meters(world), await dumped(world, "host1")) == ({9: other}, {})


async def test_what_a_meter_drops_is_gone_for_later_copies_unless_it_had_one_of_its_own(world):
    _, two, three, four = await numbers(world, "p1", "p2", "p3", "p4")
    slow = tuple(SwitchMeter(one, "pktps", 1, 1) for one in (two, three))
    assert await apply(world, "host1", SwitchChange(meters=slow)) == ()
    if not world.real:
        world.switches["host1"].faults.over_rate |= {two, three}
    each = [one for port in (two, three) for one in (SetField(TO_PORT, port), Resubmit(7))]
    delivery = [flow(19, exact(TO_PORT, one), actions=[Meter(one), OutputRegister(TO_PORT)]) for one in (two, three)]

    async def heard(*forked):
        # the register is afterwards as it was, and what is changed behind the action is changed for the copy alone
        onward = flow(7, actions=[*forked, SetField(ETH_DST, 5), Goto(19)])
        kept = () if forked else (SetField(ETH_DST, B),)
        await replace(world, *delivery, onward, flow(0, actions=[*each, *kept, Output(four)]))
        await world.arrived(0.0)
        for asked in range(1000, 1020):
            await world.put("host1", "p1", p.arp_request(A, IP_A, p.ipaddress.IPv4Address(asked).exploded))
        got = await world.arrived()
        assert {one.eth_dst for _, name, one in got if name == "p4"} <= {p.BROADCAST if forked else B}
        return {name: sum(port == name for _, port, _ in got) for name in ("p2", "p3", "p4")}

    assert max((await heard()).values()) < 10
    own = await heard(CheckLarger(0xFFFF, MARKS, 1))
    assert own["p4"] == 20 and max(own["p2"], own["p3"]) < 10


async def test_packets_are_counted_by_rule(world):
    _, two = await numbers(world, "p1", "p2")
    rule = rule_cookie(0xABCDEF, 65000)
    shared = [msgspec.structs.replace(flow(0, family, actions=[Output(two)]), cookie=rule) for family in (IPV4, IPV6)]
    await replace(world, *shared)
    six = p.echo((A, B), ("fd00::1", "fd00::2"), "x")
    for sent in (ECHO, six, six):
        assert await out_of(world, "p1", sent)
    async with asyncio.timeout(30):
        while (counted := (await world.switches["host1"].dump()).counts).get(rule, (0, 0))[0] != 3:
            await asyncio.sleep(0.02)
    # an Ethernet header, an IP header and eight bytes of ICMP each, at least
    assert counted[rule][1] >= 3 * (14 + 20 + 8)
