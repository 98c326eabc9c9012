"""Random fabrics for comparing what trace says with what switches do: hosts, overlapping tenants, machines, rules.

A fabric is a list of calls of `tests.cluster.world.World`, so that hypothesis prints one that can be played again. To
add a feature, write a function `(draw, sketch) -> None` that appends its calls, and put it into FEATURES.
"""

import itertools
import random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.cluster import access_lists, ways_out
from tests.cluster.world import World
from tests.property.agreement import kinds, lists
from weft.model.values import ROUTER_LINK_LOCAL, ip_text, link_local_of
from weft.model.workload import QosSettings

SERVERS = ("h1", "H2", "h3")
NETWORKS = ("blue", "Red", "green")
PORTS = (22, 53, 443)
OUTSIDE = ("203.0.113.9", "2001:db8:ffff::9", "10.1.200.1")
"""In no subnet of any network."""
LINK_LOCAL = (ip_text(ROUTER_LINK_LOCAL), "fe80::77", "169.254.1.1")
POWERS = ("Running", "Running", "Running", "Running", "Off", "Saved")


class Place(NamedTuple):
    """A virtual subnet, or the pair of one VSID: 10.BASE.N.0/24 and fd0BASE:N::/64."""

    network: str
    base: int
    """Networks with the same one have the same prefixes."""
    number: int
    families: str
    """Of "4" and "6"."""

    def ref(self, family):
        return f"/virtualNetworks/{self.network}/subnets/{self.name(family)}"

    def name(self, family):
        return f"s{self.number}v{family}"

    def prefix(self, family):
        return f"10.{self.base}.{self.number}.0/24" if family == "4" else f"fd0{self.base}:{self.number}::/64"

    def around(self, family):
        return f"10.{self.base}.0.0/16" if family == "4" else f"fd0{self.base}::/16"

    def address(self, family, host):
        if family == "4":
            return f"10.{self.base}.{self.number}.{host}"
        return f"fd0{self.base}:{self.number}::{host:x}"

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
    def mac(self):
        """The same in every network."""
        return 0x020000000000 + self.place.base * 65536 + self.place.number * 256 + self.host

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
        self.peers: set[frozenset[str]] = set()
        self.peerings: dict[str, list[str]] = {}
        """Networks that each names as its peers."""
        self.flat = False
        """All hosts are on one provider subnet."""
        self.rewriting: set[str] = set()
        """Networks that rewrite."""
        self.brought: dict[str, list[str]] = {}
        """Addresses that guests brought, by network."""
        self.lans: list[kinds.Lan] = []
        self.six = False
        """The provider network has IPv6 too."""
        self.edges: dict[str, list[str]] = {}
        """Networks with a virtual gateway, and its addresses there."""
        self.carriers: set[str] = set()
        """Servers that carry any of them."""
        self.beyond: set[str] = set()
        """Addresses outside that connections lead to, and gateways' own there."""
        self.without_encryption: tuple[str, ...] | None = None
        """Servers that cannot encrypt; None where no network is to be encrypted."""

    def __repr__(self):
        return "\n".join(f"{name}({', '.join(map(repr, words))})" for name, *words in self.calls)

    def call(self, name, *words):
        self.calls.append((name, *words))

    def build(self):
        world = World()
        for name, *words in self.calls:
            if name == "lend":
                lender, user = words
                world.peer(lender, *self.peerings[lender], allow_gateway_transit=True)
                world.peer(user, lender, use_remote_gateways=True)
            elif name in BESIDE:
                BESIDE[name](world, *words)
            else:
                getattr(world, name)(*words)
        return world

    def is_near(self, one, other):
        """Are two places in one network, or in two that are peered?"""
        return one.network == other.network or frozenset((one.network, other.network)) in self.peers

    def server_of(self, card):
        """Empty if its machine, or it itself, is nowhere."""
        machines = (words for name, *words in self.calls if name == "machine")
        return next((server for _, server, cards, _ in machines if card.name in cards), "")

    def targets(self, card):
        """Addresses that a packet of this card may be for: its neighbours', gateways, nobody's, outside ones."""
        own = [place for place in (*self.places, *self.lans) if self.is_near(place, card.place)]
        yield from OUTSIDE
        yield from self.beyond
        for every in self.edges.values():
            yield from every
        if isinstance(card.place, Place):
            yield from LINK_LOCAL
            yield from (ip_text(link_local_of(one.mac).to_bytes(16)) for one in self.cards)
        for place in own:
            for family in place.families:
                yield place.address(family, 1)
                yield place.address(family, 77)
                if isinstance(place, Place):
                    yield place._replace(number=99).address(family, 9)  # of the address space, and of no subnet
        for other in self.cards:
            yield from other.addresses
        for every in self.brought.values():
            yield from every

    def questions(self, seed, count):
        """About so many different ones, most from machines that run, half of them to others of the network."""
        chance = random.Random(seed)
        asked = set()
        for _ in range(count):
            card = chance.choice(self.running if self.running and chance.random() < 0.8 else self.cards)
            to = chance.choice(sorted(set(self.targets(card))))
            near = [one for one in self.running if self.is_near(one.place, card.place) and one != card]
            if self.edges.get(card.place.network) and chance.random() < 0.3:
                unused = (card.place._replace(number=99).address(family, 9) for family in card.place.families)
                to = chance.choice((*OUTSIDE, *sorted(self.beyond), *unused))
            elif near and chance.random() < 0.6:
                to = chance.choice(chance.choice(near).addresses)
            if isinstance(card.place, Place) and "6" in card.families and chance.random() < 0.1:
                beside = [one for one in self.cards if one.place == card.place]
                to = ip_text(link_local_of(chance.choice(beside).mac).to_bytes(16))
            if self.brought.get(card.place.network) and chance.random() < 0.2:
                to = chance.choice(self.brought[card.place.network])
            ping = "icmpv6" if ":" in to else "icmp"
            protocol = chance.choice((ping, "tcp", "udp"))
            asked.add(Question(card.name, to, protocol, 0 if protocol == ping else chance.choice(PORTS)))
        return sorted(asked)


def draw_hosts(draw, sketch):
    sketch.call("protocol", draw(st.sampled_from(("NVGRE", "VXLAN"))))
    sketch.flat = draw(st.booleans())
    sketch.six = sketch.flat and draw(st.booleans())
    subnets = {"pa1": "192.168.1.0/24"} if sketch.flat else {"pa1": "192.168.1.0/24", "pa2": "192.168.2.0/24"}
    sketch.call("provider", subnets | ({"six": "fd99::/64"} if sketch.six else {}))
    without = draw(st.sampled_from((None, None, None, *SERVERS)))
    for number, server in enumerate(SERVERS, 1):
        subnet = 1 if sketch.flat else 1 + number % 2
        own = [f"192.168.{subnet}.{10 * number}"]
        own += [f"fd99::{10 * number}"] if sketch.six and draw(st.booleans()) else []
        sketch.call("server", server, *(() if server == without else own))


def draw_provider_addresses(draw, sketch):
    """How hosts use what addresses they have, and those that virtual subnets have there."""
    for place in sketch.places:
        if len(place.families) > 1:
            sketch.call("pair", place.network, place.name("4"), place.name("6"))
    told = {words[0]: words[1:] for name, *words in sketch.calls if name == "server"}
    for number, server in enumerate(SERVERS, 1):
        policy = draw(st.sampled_from(("perHost", "several", "perVirtualSubnet")))
        base = 1 if sketch.flat else 1 + number % 2
        if policy == "several" and told[server]:
            sketch.call("server", server, *told[server], f"192.168.{base}.{10 * number + 1}")
        sketch.call("policy", server, policy)
        for at, place in enumerate(sketch.places if policy == "perVirtualSubnet" and told[server] else ()):
            if draw(st.booleans()):
                address = f"192.168.{base}.{100 + 40 * (number - 1) + at}"
                sketch.call("subnet_address", server, place.ref(place.families[0]), address)


def draw_networks(draw, sketch):
    for rdid, network in enumerate(NETWORKS[: draw(st.integers(1, 3))], 50):
        # what rewrites has no IPv6 where its provider network has none
        known = ("4",) if sketch.flat and not sketch.six and draw(st.booleans()) else ("4", "46", "46", "6")
        families = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        base = draw(st.sampled_from((1, 1, 1, rdid - 48)))
        places = [Place(network, base, number, one) for number, one in enumerate(families, 1)]
        subnets = {p.name(f): (p.prefix(f), p.vsid) for p in places for f in p.families}
        sketch.places += places
        routed = draw(st.lists(st.sampled_from(places), max_size=2, unique=True)) if draw(st.booleans()) else []
        tables = {place.name(f): f"{place.network}-{place.number}" for place in routed for f in place.families}
        for table in dict.fromkeys(tables.values()):
            sketch.call("table", table, draw(routes(places)))
        sketch.call("network", network, rdid, subnets, tables)
        # the wide ones have in them what connections of gateways lead to
        wide = draw(st.sampled_from((True, True, False)))
        sketch.call("space", network, *(("10.0.0.0/8", "fd00::/8") if wide else map(places[0].around, "46")))


def draw_peerings(draw, sketch):
    """Both ways, or one way only, which connects nothing; networks of the same prefixes cannot be peers, nor can two of
    the same prefixes be peers of a third."""
    bases = {place.network: place.base for place in sketch.places if place.network not in sketch.rewriting}
    used = {network: {base} for network, base in bases.items()}
    wanted = sketch.peerings
    for one, other in itertools.combinations(bases, 2):
        apart = bases[other] not in used[one] and bases[one] not in used[other]
        ways = draw(st.sampled_from((0, 1, 2, 2))) if apart else 0
        if ways:
            used[one].add(bases[other])
            used[other].add(bases[one])
        if ways:
            wanted.setdefault(one, []).append(other)
        if ways == 2:
            wanted.setdefault(other, []).append(one)
            sketch.peers.add(frozenset((one, other)))
    for network, others in wanted.items():
        sketch.call("peer", network, *others)


@st.composite
def routes(draw, places):
    """Of a table: ((prefix, kind, next hop), ...), of both families."""
    made = {}
    for place in draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
        family = draw(st.sampled_from(place.families))
        host, around = place.address(family, draw(st.integers(11, 13))), place.around(family)
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
    taken = st.tuples(
        st.sampled_from((*sketch.places, *sketch.lans)), st.integers(11, 13), st.sampled_from(("4", "6", "46", "46"))
    )
    drawn = draw(st.lists(taken, min_size=2, max_size=7, unique_by=lambda one: (one[0], one[1])))
    for place, host, wanted in drawn:
        families = "".join(one for one in wanted if one in place.families) or place.families
        card = Card(f"{place.network}-{place.number}-{host}".lower(), place, host, families)
        sketch.cards.append(card)
        sketch.call("interface", card.name, card.mac, *((place.ref(f), place.address(f, host)) for f in families))


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


def _settings(drawn):
    rates = {name: value for name, value in drawn.items() if name.endswith("mbps")}
    rest = {name: value for name, value in drawn.items() if name not in rates}
    return rest | ({"qos_settings": QosSettings(**rates)} if rates else {})


def _table(world, name, routes):
    world.table(name, **{f"r{number}": route for number, route in enumerate(routes)})


def _rules(world, name, number, drawn, *defaults):
    access_lists.put_list(world, name, number, [lists.rule(*one) for one in drawn.items()], *defaults)


def _way_out(world, network, subnet, address, carriers, nat, connections, also):
    made = tuple(kinds.connection(*one) for one in connections)
    ways_out.way_out(world, network, subnet, address, carriers, nat, made, also)


BESIDE = {
    one.__name__.removeprefix("_"): one
    for one in (
        _rules,
        _table,
        _way_out,
        access_lists.filter_interface,
        access_lists.filter_subnet,
        ways_out.gateway,
        ways_out.make_known,
        ways_out.outside,
        ways_out.pool,
        ways_out.public_address,
    )
} | {
    "guests": lambda world, *words: world.guests(*words, enabled=True),
    "provider": lambda world, subnets: world.fabric(**subnets),
    "settings": lambda world, name, drawn: world.settings(name, **_settings(drawn)),
    "vlans": lambda world, name, subnets: world.vlans(name, **subnets),
}
"""What a sketch calls that is no method of World, or is called otherwise."""

FEATURES = [
    draw_hosts,
    draw_networks,
    draw_provider_addresses,
    kinds.draw_own_protocols,
    kinds.draw_lans,
    draw_peerings,
    kinds.draw_ways_out,
    kinds.draw_encryption,
    draw_cards,
    kinds.draw_known,
    kinds.draw_brought,
    draw_machines,
    lists.draw_lists,
    kinds.draw_settings,
    kinds.draw_standing,
]


@st.composite
def fabrics(draw):
    sketch = Sketch()
    for feature in FEATURES:
        feature(draw, sketch)
    return sketch
