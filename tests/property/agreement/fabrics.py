"""Random fabrics for comparing what trace says with what switches do: hosts, overlapping tenants, machines, rules.

A fabric is a list of calls of `tests.cluster.world.World`, so that hypothesis prints one that can be played again. To
add a feature, write a function `(draw, sketch) -> None` that appends its calls, and put it into FEATURES.
"""

import random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.cluster.world import World

SERVERS = ("h1", "H2", "h3")
NETWORKS = ("blue", "Red", "green")
PORTS = (22, 53, 443)
OUTSIDE = ("203.0.113.9", "2001:db8:ffff::9", "10.1.200.1")
"""In no subnet of any network."""
POWERS = ("Running", "Running", "Running", "Running", "Off", "Saved")


class Place(NamedTuple):
    """A virtual subnet, or the pair of one VSID: 10.1.N.0/24 and fd00:N::/64, the same in every network."""

    network: str
    number: int
    families: str
    """Of "4" and "6"."""

    def ref(self, family):
        return f"/virtualNetworks/{self.network}/subnets/{self.name(family)}"

    def name(self, family):
        return f"s{self.number}v{family}"

    def prefix(self, family):
        return f"10.1.{self.number}.0/24" if family == "4" else f"fd00:{self.number}::/64"

    def address(self, family, host):
        return f"10.1.{self.number}.{host}" if family == "4" else f"fd00:{self.number}::{host:x}"

    @property
    def vsid(self):
        return 5000 + 100 * NETWORKS.index(self.network) + self.number


class Card(NamedTuple):
    """An interface, and the number that its addresses end with."""

    name: str
    place: Place
    host: int
    families: str

    @property
    def addresses(self):
        return tuple(self.place.address(family, self.host) for family in self.families)


class Question(NamedTuple):
    """Would this packet arrive?"""

    source: str
    to: str
    protocol: str
    port: int


class Sketch:
    """A fabric as it is drawn."""

    def __init__(self):
        self.calls: list[tuple] = []
        self.places: list[Place] = []
        self.cards: list[Card] = []
        self.running: list[Card] = []

    def __repr__(self):
        return "\n".join(f"{name}({', '.join(map(repr, words))})" for name, *words in self.calls)

    def call(self, name, *words):
        self.calls.append((name, *words))

    def build(self):
        world = World()
        for name, *words in self.calls:
            if name == "table":
                table, routes = words
                world.table(table, **{f"r{number}": route for number, route in enumerate(routes)})
            else:
                getattr(world, name)(*words)
        return world

    def targets(self, card):
        """Addresses that a packet of this card may be for: its neighbours', gateways, nobody's, outside ones."""
        own = [place for place in self.places if place.network == card.place.network]
        yield from OUTSIDE
        for place in own:
            for family in place.families:
                yield place.address(family, 1)
                yield place.address(family, 77)
        for other in self.cards:
            yield from other.addresses

    def questions(self, seed, count):
        """About so many different ones, most from machines that run, half of them to others of the network."""
        chance = random.Random(seed)
        asked = set()
        for _ in range(count):
            card = chance.choice(self.running if self.running and chance.random() < 0.8 else self.cards)
            to = chance.choice(sorted(set(self.targets(card))))
            near = [one for one in self.running if one.place.network == card.place.network and one != card]
            if near and chance.random() < 0.6:
                to = chance.choice(chance.choice(near).addresses)
            ping = "icmpv6" if ":" in to else "icmp"
            protocol = chance.choice((ping, "tcp", "udp"))
            asked.add(Question(card.name, to, protocol, 0 if protocol == ping else chance.choice(PORTS)))
        return sorted(asked)


def draw_hosts(draw, sketch):
    sketch.call("protocol", draw(st.sampled_from(("NVGRE", "VXLAN"))))
    sketch.call("two_provider_subnets")
    without = draw(st.sampled_from((None, None, None, *SERVERS)))
    for number, server in enumerate(SERVERS, 1):
        addresses = () if server == without else (f"192.168.{1 + number % 2}.{10 * number}",)
        sketch.call("server", server, *addresses)


def draw_networks(draw, sketch):
    for rdid, network in enumerate(NETWORKS[: draw(st.integers(1, 3))], 50):
        families = draw(st.lists(st.sampled_from(("4", "46", "46", "6")), min_size=1, max_size=3))
        places = [Place(network, number, one) for number, one in enumerate(families, 1)]
        subnets = {p.name(f): (p.prefix(f), p.vsid) for p in places for f in p.families}
        sketch.places += places
        routed = draw(st.lists(st.sampled_from(places), max_size=2, unique=True)) if draw(st.booleans()) else []
        tables = {place.name(f): f"{place.network}-{place.number}" for place in routed for f in place.families}
        for table in dict.fromkeys(tables.values()):
            sketch.call("table", table, draw(routes(places)))
        sketch.call("network", network, rdid, subnets, tables)


@st.composite
def routes(draw, places):
    """Of a table: ((prefix, kind, next hop), ...), of both families."""
    made = {}
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
        family = draw(st.sampled_from(place.families))
        host, around = place.address(family, draw(st.integers(11, 13))), "10.1.0.0/16" if family == "4" else "fd00::/16"
        everything, outer = ("0.0.0.0/0", "203.0.113.0/24") if family == "4" else ("::/0", "2001:db8:ffff::/48")
        alone = f"{host}/{32 if family == '4' else 128}"
        prefix = draw(st.sampled_from((everything, outer, around, place.prefix(family), alone)))
        kind = draw(st.sampled_from(("VirtualAppliance", "VnetLocal", "Internet", "VirtualNetworkGateway", "None")))
        through = draw(st.sampled_from([one for one in places if family in one.families]))
        hop = through.address(family, draw(st.integers(11, 13))) if kind == "VirtualAppliance" else ""
        made[prefix] = (prefix, kind, hop)
    return tuple(made.values())


def draw_cards(draw, sketch):
    """Interfaces of all subnets; addresses and MACs are the same in every network."""
    taken = st.tuples(st.sampled_from(sketch.places), st.integers(11, 13), st.sampled_from(("4", "6", "46", "46")))
    drawn = draw(st.lists(taken, min_size=2, max_size=7, unique_by=lambda one: (one[0], one[1])))
    for place, host, wanted in drawn:
        families = "".join(one for one in wanted if one in place.families) or place.families
        card = Card(f"{place.network}-{place.number}-{host}".lower(), place, host, families)
        sketch.cards.append(card)
        mac = 0x020000000000 + place.number * 256 + host
        sketch.call("interface", card.name, mac, *((place.ref(f), place.address(f, host)) for f in families))


def draw_machines(draw, sketch):
    """Machines of one card or two, on hosts or on none; a card may be left without."""
    left = list(sketch.cards)
    for number in range(len(left)):
        cards = [left.pop() for _ in range(draw(st.sampled_from((1, 1, 1, 2)))) if left]
        server = draw(st.sampled_from((*SERVERS, *SERVERS, *SERVERS, "", None)))
        if cards and server is not None:
            power = draw(st.sampled_from(POWERS)) if server else "Off"
            sketch.call("machine", f"vm{number}", server, [card.name for card in cards], power)
            sketch.running += cards if power == "Running" else []


FEATURES = [draw_hosts, draw_networks, draw_cards, draw_machines]


@st.composite
def fabrics(draw):
    sketch = Sketch()
    for feature in FEATURES:
        feature(draw, sketch)
    return sketch
