"""Access lists on fake switches against a small oracle written from the specification's words (MS-NCNBI 3.1.5.1) and
docs/networks.md: random lists, which change while packets go, and random packets there and back."""

import asyncio
import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.unit.agent.policies import GUESTS, HOSTS, access_list, told
from weft.fakes import packet as p
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.values import ROUTER_MAC

NAMES = ("blue1", "blue2", "bluedb")
SPACE = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "fd00::/16")]
ends = st.sampled_from(
    ("*", "*", "10.1.1.0/24", "10.1.1.12/32", "10.1.0.0/16", "fd00:1::/64", "fd00:2::21/128", "VIRTUALNETWORK")
    + ("INTERNET", "AZURELOADBALANCER", "0.0.0.0/0", "::/0")
)
ports = st.sampled_from(("*", "*", "0-65535", "53", "7-9", "50-60", "0-52", "1024-65535"))
protocols = st.sampled_from(("TCP", "UDP", "UDP", "ICMPv4", "ICMPv6", "All", "All"))


@st.composite
def rules(draw, priority):
    protocol = draw(protocols)
    one, other = ("*", "*") if protocol.startswith("ICMP") else (draw(ports), draw(ports))
    way, verdict = draw(st.sampled_from(("in", "out"))), draw(st.sampled_from(("allow", "deny")))
    return f"{priority} {way} {verdict} {protocol} {draw(ends)} {one} {draw(ends)} {other}"


@st.composite
def lists(draw):
    words = tuple(draw(rules(100 + n)) for n in range(draw(st.integers(0, 4))))
    return draw(st.sampled_from((7, 8))), words, draw(st.booleans()), draw(st.booleans())


sends = st.tuples(
    st.just("send"),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.sampled_from((4, 6)),
    st.sampled_from(("UDP", "UDP", "TCP", "SYN")),
    st.sampled_from((8, 53)),
    st.sampled_from((8, 53)),
)
numbers = st.sampled_from((0, 7, 8))
steps = st.lists(
    st.one_of(
        sends,
        sends,
        sends,
        sends.map(lambda one: ("back", *one[1:])),
        st.tuples(st.just("list"), lists()),
        st.tuples(st.just("under"), st.sampled_from(NAMES), numbers, numbers),
        st.tuples(st.just("came"), st.sampled_from(NAMES)),
    ),
    min_size=8,
    max_size=25,
)


class Oracle:
    """What may pass, by the words."""

    def __init__(self):
        self.lists = {7: ((), True, True), 8: ((), True, True)}
        self.under = dict.fromkeys(NAMES, (0, 0))
        self.connections = {name: {} for name in NAMES}
        """Of each port, by both ends: who began it as far as is known, whether it was answered, whether it is TCP that
        was taken up in its middle, and by whose packet it is cut."""
        self.brought = dict.fromkeys(NAMES, True)
        """Ports whose lists forbid no more than when they came."""

    def come(self, name):
        self.connections[name], self.brought[name] = {}, True

    def set_list(self, number, words, *defaults):
        before, self.lists[number] = self.lists[number], (words, *defaults)
        less = any(was and not now for was, now in zip(before[1:], defaults, strict=True))
        less = less or any(" allow " in one for one in set(before[0]) - set(words))
        if less or any(" deny " in one for one in set(words) - set(before[0])):
            self.brought |= {name: False for name in NAMES if number in self.under[name]}

    def put_under(self, name, *pair):
        self.brought[name] = self.brought[name] and (not any(pair) or pair == self.under[name])
        self.under[name] = pair

    def passes(self, sender, receiver, packet):
        return self._at(sender, packet, "out") and self._at(receiver, packet, "in")

    def _at(self, name, packet, way):
        if not any(self.under[name]):
            return True
        middle = packet[0] == "TCP"
        # TCP that is taken up in its middle counts as answered
        fresh = {"by": packet[1], "answered": middle, "taken up": middle, "cut": None}
        known = self.connections[name].get(frozenset(packet[1:3]))
        if known is not None and known["by"] != packet[1]:
            known["answered"] = True
            if known["cut"] == known["by"] or not known["taken up"] or self.brought[name]:
                return known["cut"] is None
        elif known is not None and known["cut"] not in (None, packet[1]):
            return False
        if not all(self._permits(number, packet, way) for number in self.under[name] if number):
            if known is not None and known["answered"]:
                known["cut"] = packet[1]
            return False
        known = self.connections[name].setdefault(frozenset(packet[1:3]), fresh)
        known["cut"] = None
        known["taken up"] = known["taken up"] or (middle and not known["answered"])
        return True

    def _permits(self, number, packet, way):
        words, inbound, outbound = self.lists[number]
        for rule in sorted(words, key=lambda text: int(text.split()[0])):
            _, kind, verdict, protocol, source, source_ports, target, target_ports = rule.split()
            mine, other = (target, source) if way == "in" else (source, target)
            here, there = (packet[2], packet[1]) if way == "in" else (packet[1], packet[2])
            ports_fit = self._port(source_ports, packet[1][2]) and self._port(target_ports, packet[2][2])
            if kind != way or protocol not in ("All", packet[1][0]) or not ports_fit:
                continue
            if self._address(mine, here[1]) and self._address(other, there[1]):
                return verdict == "allow"
        return inbound if way == "in" else outbound

    def _port(self, text, port):
        first, _, last = text.replace("*", "0-65535").partition("-")
        return int(first) <= port <= int(last or first)

    def _address(self, text, address):
        value = ipaddress.ip_address(address)
        if text == "*":
            return True
        if text == "AZURELOADBALANCER":
            return False
        inside = any(value in one for one in SPACE)
        if text in ("VIRTUALNETWORK", "INTERNET"):
            return inside == (text == "VIRTUALNETWORK")
        return value in ipaddress.ip_network(text)


class Hosts:
    """Both, with their guests."""

    def __init__(self):
        network = ProviderNetwork()
        self.switches = {name: FakeSwitch(name, network, [address]) for name, address in HOSTS.items()}
        self.reconcilers = {name: told(name) for name in HOSTS}
        for guest in GUESTS.values():
            self.switches[guest.host].plug(guest.name, guest.instance, guest.mac)

    async def settle(self):
        for _ in range(3):
            for name, reconciler in self.reconcilers.items():
                reconciler.switch_is(await self.switches[name].facts())
                if not reconciler.knows_switch:
                    reconciler.switch_has((await self.switches[name].dump()).flows)
                change = reconciler.plan(True)
                reconciler.done(change, await self.switches[name].apply(change))

    async def put(self, key, record):
        for reconciler in self.reconcilers.values():
            reconciler.put(0, key, record)
        await self.settle()

    async def bind_anew(self, guest):
        """As a move does: with an empty zone."""
        for record in (None, guest.binding()):
            self.reconcilers[guest.host].put(0, guest.binding().key, record)
            await self.settle()

    def send(self, sender, receiver, packet):
        a, b = GUESTS[sender], GUESTS[receiver]
        macs = (a.mac, b.mac if a.vsid == b.vsid else ROUTER_MAC)
        make = p.udp if packet[0] == "UDP" else p.tcp
        flags = {"UDP": (), "TCP": (p.ACK,), "SYN": (p.SYN,)}[packet[0]]
        sent = make(macs, (packet[1][1], packet[2][1]), (packet[1][2], packet[2][2]), *flags)
        return receiver in {one.port for one in self.switches[a.host].inject(a.name, sent)}


async def live(history):
    hosts, oracle = Hosts(), Oracle()
    await hosts.settle()
    for number in (7, 8):
        await hosts.put((16, number), access_list(number))
    for step in history:
        match step:
            case "list", (number, words, inbound, outbound):
                oracle.set_list(number, words, inbound, outbound)
                await hosts.put((16, number), access_list(number, *words, inbound=inbound, outbound=outbound))
            case "under", name, own, subnet:
                oracle.put_under(name, own, subnet)
                record = GUESTS[name].access(own, subnet)
                await hosts.put(record.key, record if own or subnet else None)
            case "came", name:
                oracle.come(name)
                await hosts.bind_anew(GUESTS[name])
            case kind, sender, receiver, family, protocol, one, other if sender != receiver:
                addresses = [GUESTS[name].v4 if family == 4 else GUESTS[name].v6 for name in (sender, receiver)]
                word = protocol.replace("SYN", "TCP")
                ends_of = [(word, addresses[0], one), (word, addresses[1], other)]
                if kind == "back":
                    sender, receiver, ends_of = receiver, sender, ends_of[::-1]
                packet = (protocol, *ends_of)
                assert hosts.send(sender, receiver, packet) == oracle.passes(sender, receiver, packet), (step, packet)


@settings(max_examples=examples(60, soak=2000))
@given(steps)
def test_switches_do_what_the_words_say(history):
    asyncio.run(live(history))


def test_a_history_with_a_cut_and_a_mended_connection():
    hello = ("send", "blue1", "blue2", 4, "UDP", 8, 53)
    back = ("back", *hello[1:])
    deny, allow = ("100 in deny UDP * * * 53",), ("100 in allow UDP * * * 53",)
    asyncio.run(
        live(
            [
                *(("under", "blue2", 7, 0), hello, back, hello),
                *(("list", (7, deny, True, True)), back, hello, back, hello),
                *(("list", (7, allow, False, True)), back, hello, back),
            ]
        )
    )


def test_a_history_with_connections_that_a_port_brings():
    hello = ("send", "blue1", "blue2", 4, "TCP", 8, 53)
    back = ("back", *hello[1:])
    answers_only = ("list", (7, ("100 in allow TCP * * * 53",), False, False))
    asks_only = ("list", (7, ("100 out allow TCP * * * *",), False, False))
    for begun in ((hello, back), (back, hello)):
        asyncio.run(
            live(
                [
                    *(answers_only, ("under", "blue2", 7, 0), ("came", "blue2"), *begun, back, hello),
                    *(("list", (7, ("100 in allow TCP * * * 53",), False, True)), *begun, back, hello),
                    *(asks_only, *begun, back, hello, ("came", "blue2"), *begun, back, hello),
                ]
            )
        )
