"""Which gateway is alive, which one carries a network, and that edges become what they should be."""

import asyncio
import contextlib
import os
import socket
import struct

import msgspec
import pytest

from tests.contract.test_edge import EDGE, LEG
from tests.unit.agent.beside import beside
from tests.waiting import soon
from weft.agent.edge import wanted as edge
from weft.agent.edge.keeper import Asked, EdgeKeeper
from weft.agent.edge.pulses import ANSWERS, MISSES, Pulses
from weft.agent.edge.wanted import HOLD_SECONDS, Wanted, carries
from weft.agent.probes import Probes, echo, reply
from weft.agent.switch import Peer
from weft.fakes.edge import FakeEdge
from weft.model.records import EdgeRoute, EdgeTunnel
from weft.model.values import PackedIp, Rdid, pack_ip

ONE, TWO, THREE = (pack_ip(f"192.168.1.{number}") for number in (1, 2, 3))


def test_a_gateway_is_dead_after_so_many_misses_and_back_after_so_many_answers():
    pulses = Pulses()
    for _ in range(MISSES):
        pulses.beat([ONE, TWO])
        pulses.heard(TWO)
    assert pulses.dead == frozenset(), "the last question is still open"
    pulses.beat([ONE, TWO])
    assert pulses.dead == {ONE} and pulses.reviving == frozenset()
    for number in range(ANSWERS):
        assert pulses.dead == {ONE}, number
        pulses.heard(ONE)
        pulses.heard(ONE)
        pulses.heard(TWO)
        pulses.beat([ONE, TWO])
    assert pulses.dead == frozenset()


def test_one_lost_answer_is_no_death_and_one_that_is_asked_no_more_is_forgotten():
    pulses = Pulses()
    for number in range(20):
        pulses.beat([ONE])
        if number % MISSES:
            pulses.heard(ONE)
    assert pulses.dead == frozenset()
    for _ in range(MISSES + 1):
        pulses.beat([ONE])
    assert (pulses.dead, pulses.known) == ({ONE}, {ONE})
    pulses.beat([])
    pulses.heard(ONE)
    assert (pulses.dead, pulses.known) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("own", "dead", "holding", "age_s", "expected"),
    [
        (ONE, (), True, 0.0, True),
        (ONE, (), False, HOLD_SECONDS, True),
        (ONE, (), False, HOLD_SECONDS - 0.1, False),  # it may be carried by one that does not know us yet
        (ONE, (TWO, THREE), False, 0.0, True),
        (TWO, (), True, 100.0, False),
        (TWO, (ONE,), True, 0.0, True),
        (TWO, (ONE,), False, 100.0, True),
        (THREE, (ONE,), True, 100.0, False),
        (THREE, (ONE, TWO), False, 0.0, True),
    ],
)
def test_the_first_that_is_alive_carries_the_network(own, dead, holding, age_s, expected):
    network = msgspec.structs.replace(EDGE, provider_address=own, gateways=(ONE, TWO, THREE))
    assert carries(network, dead, holding, age_s) is expected


def test_what_an_edge_says_to_the_host():
    routes = (EdgeRoute(pack_ip("10.9.0.0"), 16, pack_ip("203.0.113.7"), 5),)
    network = msgspec.structs.replace(EDGE, legs=(msgspec.structs.replace(LEG, routes=routes),))
    wanted = Wanted(network, True, 1458)
    assert edge.lines_inside(wanted) == [
        "link set dev inner up",
        "link set dev o0 up",
        "link set dev inner mtu 1458",
        "addr replace 10.1.254.2/29 dev inner",
        "neigh replace 10.1.254.1 lladdr 02:57:45:46:54:01 dev inner nud permanent",
        "route replace 10.1.1.0/24 via 10.1.254.1 dev inner proto 87",
        "route replace 203.0.113.0/24 dev o0 proto 87",
        "route replace 10.9.0.0/16 via 203.0.113.7 dev o0 onlink metric 5 proto 87",
        "route replace 0.0.0.0/0 via 203.0.113.1 dev o0 onlink metric 2147483648 proto 87",
    ]
    assert edge.addresses(wanted) == {"inner": {"10.1.254.2/29"}, "o0": {"203.0.113.10/32", "203.0.113.20/32"}}
    assert edge.addresses(Wanted(network, False, 1458))["o0"] == set()
    assert edge.limits(network) == [
        "qdisc add dev o0 root tbf rate 5000kbit burst 12500 latency 50ms",
        "qdisc add dev inner root handle 1: htb default 1",
        "class add dev inner parent 1: classid 1:1 htb rate 100gbit",
        "class add dev inner parent 1: classid 1:10 htb rate 8000kbit",
    ]
    assert edge.limits(msgspec.structs.replace(EDGE, legs=())) == []


def test_a_kernel_has_the_routes_that_count_and_no_others():
    """One of each prefix and metric, the first; none that addresses of the network would leave by."""
    hop = pack_ip("203.0.113.7")
    said = [("203.0.113.0", 24, 0), ("10.9.0.0", 16, 0), ("10.1.1.0", 24, 0), ("10.1.1.128", 25, 0)]
    routes = tuple(EdgeRoute(pack_ip(prefix), length, hop, metric) for prefix, length, metric in said)
    leg = msgspec.structs.replace(LEG, routes=routes)
    tunnel = EdgeTunnel(
        "c", ONE, TWO, 0, 24, PackedIp(b""), routes=(EdgeRoute(pack_ip("10.9.0.0"), 16, PackedIp(b""), 0),)
    )
    found = {
        (one.prefix, one.metric): (one.device, one.via)
        for one in edge.routes(msgspec.structs.replace(EDGE, legs=(leg,), tunnels=(tunnel,)))
    }
    assert found == {
        ("10.1.1.0/24", 0): ("inner", "10.1.254.1"),
        ("10.1.1.128/25", 0): ("o0", "203.0.113.7"),
        ("203.0.113.0/24", 0): ("o0", ""),
        ("10.9.0.0/16", 0): ("o0", "203.0.113.7"),
        ("0.0.0.0/0", 2**31): ("o0", "203.0.113.1"),
    }


def test_the_metric_of_an_ipv6_route_is_always_said():
    """A kernel takes 0 for 1024, which is worse than 5."""
    routes = tuple(EdgeRoute(pack_ip("fd09::"), 16, PackedIp(b""), metric) for metric in (0, 5))
    tunnel = EdgeTunnel("c", ONE, TWO, 0, 24, PackedIp(b""), routes=routes)
    lines = edge.lines_inside(Wanted(msgspec.structs.replace(EDGE, legs=(), tunnels=(tunnel,)), True, 1458))
    assert lines[-2:] == [
        "route replace fd09::/16 dev t0 metric 1 proto 87",
        "route replace fd09::/16 dev t0 metric 6 proto 87",
    ]


def answered(number):
    """As a raw socket gives an echo's answer, with options in the header before it."""
    return bytes([0x46]) + bytes(23) + bytes((0, 0, 0, 0)) + struct.pack("!HH", 0x1234, number)


def test_a_reply_is_known_by_its_identifier_whatever_header_stands_before_it():
    assert reply(answered(7), False, 0x1234) == 7
    assert reply(answered(7), False, 0x1235) is None
    assert reply(bytes([0x45]) + bytes(19) + echo(False, 0x1234, 7), False, 0x1234) is None, "a question is no answer"
    assert reply(b"", False, 1) is None and reply(b"\x45", False, 1) is None
    assert reply(bytes((129, 0, 0, 0)) + bytes.fromhex("1234 0007"), True, 0x1234) == 7


def test_a_late_answer_is_life_but_not_one_of_long_ago_nor_one_by_the_kernel_of_who_was_dead():
    probes = Probes(0x1234, lambda: None, lambda: False)
    with socket.socket(type=socket.SOCK_DGRAM) as here, socket.socket(type=socket.SOCK_DGRAM) as there:
        here.bind(("127.0.0.1", 0))
        here.setblocking(False)
        there.connect(here.getsockname())
        gateway = pack_ip("127.0.0.1")

        def hears(number):
            probes.pulses.beat([gateway])
            there.send(answered(number & 0xFFFF))
            probes._read(here)
            return gateway not in probes.pulses._open

        for now in (9, 1):  # the numbers begin anew after 65535
            probes._number = now
            assert hears(now) and hears(now - MISSES + 1)
            assert not hears(now - MISSES) and not hears(now + 1)
            for _ in range(MISSES):
                hears(now - MISSES)
            assert probes.pulses.dead == {gateway}
            assert not hears(now)
            probes.pulses.beat([])


async def test_a_dead_gateway_is_asked_by_udp_and_is_back_once_its_edges_are_ready():
    here, there = (pack_ip(f"127.{os.getpid() >> 8 & 127}.{os.getpid() & 255}.{last}") for last in (1, 2))
    ready: list[bool] = []
    asking = Probes(1, lambda: None, lambda: False)
    asked = Probes(2, lambda: None, lambda: bool(ready))
    asking.ask([Peer(here, there)])
    asked.ask([], [there])
    for _ in range(MISSES + 1):
        asking.pulses.beat([there])
    async with beside(asking.run(), asked.run()):
        await soon(lambda: asking._number > 2)
        assert asking.pulses.dead == {there} and asking.pulses.reviving == frozenset()
        ready.append(True)
        await soon(lambda: asking.pulses.reviving == {there})
        await soon(lambda: asking.pulses.dead == frozenset())


@contextlib.asynccontextmanager
async def kept(driver):
    keeper = EdgeKeeper(driver)
    async with beside(keeper.run()):
        yield keeper


async def test_edges_come_turn_and_go_with_the_policy():
    driver = FakeEdge()
    network = msgspec.structs.replace(EDGE, provider_address=TWO, gateways=(ONE, TWO))
    async with kept(driver) as keeper:
        keeper.ask(Asked(((network, 1458),), frozenset(), True))
        await soon(lambda: driver.edges == {7: Wanted(network, False, 1458)})
        keeper.ask(Asked(((network, 1458),), frozenset({ONE}), True))
        await soon(lambda: driver.edges == {7: Wanted(network, True, 1458)})
        assert keeper.carried == {7}
        keeper.ask(Asked((), frozenset(), False))
        keeper.ask(Asked((), frozenset(), True))
        await soon(lambda: driver.edges == {})
        assert keeper.carried == frozenset()


class SlowEdge(FakeEdge):
    """Takes its time with one network."""

    def __init__(self, slow):
        super().__init__()
        self._slow, self.may_end, self.begun = slow, asyncio.Event(), False

    async def put(self, wanted):
        if wanted.network.rdid == self._slow:
            self.begun = True
            await self.may_end.wait()
        return await super().put(wanted)


async def test_who_is_to_take_over_waits_for_no_edge_that_is_made():
    driver = SlowEdge(9)
    network = msgspec.structs.replace(EDGE, provider_address=TWO, gateways=(ONE, TWO))
    slow, more = (msgspec.structs.replace(network, rdid=Rdid(number)) for number in (9, 10))
    async with kept(driver) as keeper:
        keeper.ask(Asked(((network, 1458),), frozenset(), True))
        await soon(lambda: 7 in driver.edges)
        keeper.ask(Asked(((network, 1458), (slow, 1458)), frozenset(), True))
        await soon(lambda: driver.begun)
        both = (network, 1458), (slow, 1458), (more, 1458)
        keeper.ask(Asked(both, frozenset(), True))
        for dead in (frozenset({ONE}), frozenset()):
            keeper.ask(Asked(both, dead, True))
            await soon(lambda dead=dead: driver.edges[7].carries is bool(dead))
        assert not {9, 10} & driver.edges.keys()
        keeper.ask(Asked(both, frozenset({ONE}), True))
        driver.may_end.set()
        await soon(lambda: [driver.edges[one].carries for one in (7, 9, 10) if one in driver.edges] == [True] * 3)


async def test_a_switch_that_went_away_has_every_edge_made_anew():
    driver = FakeEdge()
    async with kept(driver) as keeper:
        keeper.ask(Asked(((EDGE, 1458),), frozenset(), True))
        await soon(lambda: keeper.carried == {7})
        before = driver.puts
        keeper.switch_lost()
        await soon(lambda: driver.puts > before)


async def test_what_is_there_from_before_stays_until_the_policy_is_whole():
    driver = FakeEdge()
    driver.edges = {Rdid(9): Wanted(EDGE, True, 1458)}
    async with kept(driver) as keeper:
        keeper.ask(Asked(((EDGE, 1458),), frozenset(), False))
        await soon(lambda: 7 in driver.edges)
        assert 9 in driver.edges
        keeper.ask(Asked(((EDGE, 1458),), frozenset(), True))
        await soon(lambda: 9 not in driver.edges)


async def test_what_fails_is_told_and_tried_again():
    driver = FakeEdge()
    async with kept(driver) as keeper:
        keeper.ask(Asked((), frozenset(), True))
        await soon(lambda: keeper._there == {})
        driver.refuses = "no nft here"
        keeper.ask(Asked(((EDGE, 1458),), frozenset(), True))
        await soon(lambda: keeper.failures == {7: "/virtualGateways/blue: no nft here"})
        assert keeper.carried == frozenset()
        driver.refuses = ""
        await soon(lambda: 7 in driver.edges and not keeper.failures)


class FullDisk(FakeEdge):
    """Fails as no driver should, until there is room."""

    full = True

    def _check(self):
        if self.full:
            raise OSError(28, "No space left on device")


async def test_a_defect_of_one_edge_is_told_and_the_keeper_goes_on():
    driver = FullDisk()
    async with kept(driver) as keeper:
        driver.full = False
        keeper.ask(Asked((), frozenset(), True))
        await soon(lambda: keeper._there == {})
        driver.full = True
        keeper.ask(Asked(((EDGE, 1458),), frozenset(), True))
        await soon(lambda: "No space left" in keeper.failures.get(7, ""))
        driver.full = False
        await soon(lambda: 7 in driver.edges and not keeper.failures)
        driver.full = True
        keeper.ask(Asked((), frozenset(), True))
        await soon(lambda: "No space left" in keeper.failures.get(7, ""))
        driver.full = False
        await soon(lambda: driver.edges == {})


async def test_who_was_cut_off_says_anew_that_it_carries_and_asks_what_others_know(monkeypatch):
    """It carried its networks all the while, for itself alone: another gateway carried them for everybody else."""
    monkeypatch.setattr("weft.agent.edge.keeper.ASSERT_SECONDS", (0.05, 0.1))
    driver = FakeEdge()
    network = msgspec.structs.replace(EDGE, provider_address=ONE, gateways=(ONE, TWO))
    beside = msgspec.structs.replace(network, rdid=Rdid(8), provider_address=TWO)
    async with kept(driver) as keeper:
        keeper.ask(Asked(((network, 1458), (beside, 1458)), frozenset({TWO}), True))
        await soon(lambda: driver.puts == 4)  # each once, and what is carried twice more
        keeper.dead_are(frozenset(), frozenset())
        await soon(lambda: driver.puts == 7)
        assert keeper.carried == {7} and driver.asked == {7: 1, 8: 0}
        keeper.dead_are(frozenset({TWO}), frozenset())
        keeper.switch_lost()
        await soon(lambda: driver.puts == 9)
        assert driver.asked == {7: 1, 8: 0}, "who goes out of sight has taken nothing"


async def test_who_could_not_ask_what_others_know_says_so_and_asks_again(monkeypatch):
    monkeypatch.setattr("weft.agent.edge.keeper.ASSERT_SECONDS", ())
    driver = FakeEdge()
    network = msgspec.structs.replace(EDGE, provider_address=ONE, gateways=(ONE, TWO))
    async with kept(driver) as keeper:
        keeper.ask(Asked(((network, 1458),), frozenset({TWO}), True))
        await soon(lambda: driver.asked == {7: 0})
        driver.deaf = "conntrackd does not answer"
        keeper.dead_are(frozenset(), frozenset())
        await soon(lambda: keeper.troubles == ("/virtualGateways/blue: conntrackd does not answer",))
        assert keeper.carried == {7} and driver.asked == {7: 0}
        before = driver.puts
        keeper.switch_lost()
        await soon(lambda: driver.puts > before)
        assert driver.asked == {7: 0}
        driver.deaf = ""
        keeper.switch_lost()
        await soon(lambda: driver.asked == {7: 1} and not keeper.troubles)


async def test_who_gives_a_network_back_asks_nobody_for_it():
    driver = FakeEdge()
    network = msgspec.structs.replace(EDGE, provider_address=TWO, gateways=(ONE, TWO))
    async with kept(driver) as keeper:
        keeper.ask(Asked(((network, 1458),), frozenset({ONE}), True))
        await soon(lambda: keeper.carried == {7})
        keeper.dead_are(frozenset(), frozenset())
        await soon(lambda: driver.edges == {7: Wanted(network, False, 1458)})
        assert driver.asked == {7: 0}
