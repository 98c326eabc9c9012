"""What a fabric may have beside tunnels between virtual subnets: VLANs, rewriting, gateways and their connections,
encryption, settings of ports.

Features of fabrics.py, in its form: (draw, sketch) -> None.
"""

from typing import NamedTuple

from hypothesis import strategies as st

from tests.cluster import ways_out

VLANS = (20, 30, 0)
GATEWAYS = {"gw1": "192.168.1.31", "gw2": "192.168.1.32"}
"""Provider addresses of servers that are gateways and nothing else."""
PUBLIC, PUBLIC_OF_ONE = "198.51.100.20", "198.51.100.21"
BESIDE_OF_ONE = "203.0.113.21"
"""In another subnet than the network's own public address."""
PARTNERS = {"4": "10.77.0", "6": "fd77:0:0:0"}
"""Logical subnets that L3 connections lead into, without their last part."""
BEYOND = {
    "4": ("203.0.113.0/24", "203.0.113.9/32", "10.1.200.0/24", "10.0.0.0/8", "0.0.0.0/0", "10.77.0.0/24"),
    "6": ("2001:db8:ffff::/48", "2001:db8:ffff::9/128", "::/0"),
}
"""Prefixes that a connection may have routes to; some are around those of networks, or are another connection's."""
METRICS = (0, 0, 5, 300, 1024)


class Lan(NamedTuple):
    """A subnet of a logical network, with the prefix of the first virtual subnet: the same addresses, on a VLAN."""

    vlan: int
    families: str = "4"
    base: int = 1

    @property
    def network(self):
        return f"lan{self.vlan}"

    @property
    def number(self):
        return 1

    def ref(self, family):
        return f"/logicalNetworks/{self.network}/subnets/only"

    def prefix(self, family):
        return "10.1.1.0/24"

    def address(self, family, host):
        return f"10.1.1.{host}"


def draw_own_protocols(draw, sketch):
    """Networks with a protocol of their own. Rewriting goes where all hosts are on one subnet of each family."""
    for network in dict.fromkeys(place.network for place in sketch.places):
        families = {family for place in sketch.places if place.network == network for family in place.families}
        rewrites = ("Rewrite",) * 4 if sketch.flat and (sketch.six or families == {"4"}) else ()
        own = draw(st.sampled_from(("", "", "VXLAN", "NVGRE", *rewrites)))
        if own:
            sketch.call("encapsulate", network, own)
        if own == "Rewrite":
            sketch.rewriting.add(network)


def draw_lans(draw, sketch):
    """VLANs and untagged frames of the physical network; all have the same addresses."""
    for vlan in draw(st.lists(st.sampled_from(VLANS), max_size=2, unique=True)):
        lan = Lan(vlan)
        sketch.call("vlans", lan.network, {"only": (lan.prefix("4"), vlan)})
        sketch.lans.append(lan)


def draw_ways_out(draw, sketch):
    """Virtual gateways, whose carriers may be servers with machines too, with NAT, connections, or leading nowhere."""
    networks = [one for one in dict.fromkeys(p.network for p in sketch.places) if one not in sketch.rewriting]
    wanted = [one for one in networks if draw(st.booleans())]
    if not wanted:
        return
    _draw_outside(sketch)
    for server, address in GATEWAYS.items():
        sketch.call("server", server, address)
    places = {"g1": draw(st.sampled_from(("gw1", "h1"))), "g2": "gw2"}
    for gateway, server in places.items():
        sketch.call("gateway", gateway, server)
    for number, network in enumerate(wanted):
        place = draw(st.sampled_from([one for one in sketch.places if one.network == network]))
        family, *more = place.families
        carriers = draw(st.sampled_from((("g1",), ("g1", "g2"), ("g2", "g1"), ())))
        nat = draw(st.sampled_from(("p1", ""))) if family == "4" else ""
        edges = [place.address(one, 250) for one in place.families]
        also = (place.name(more[0]), edges[1]) if more and draw(st.booleans()) else ()
        sketch.edges[network] = edges if also else edges[:1]
        connections = draw(_connections(number))
        sketch.call("way_out", network, place.name(family), edges[0], carriers, nat, connections, also)
        for _, _, _, own, _ in connections:
            sketch.beyond |= {text.partition("/")[0] for text in own}
        sketch.carriers |= {places[one] for one in carriers}
    for network, others in sketch.peerings.items():
        # also of one that has none to lend, or that does not look back
        if network not in sketch.edges and len(others) == 1 and others[0] in sketch.peerings and draw(st.booleans()):
            sketch.call("lend", others[0], network)


def _draw_outside(sketch):
    sketch.call("outside", "internet", "198.51.100.0/24")
    sketch.call("outside", "annex", "203.0.113.0/24")
    sketch.call("outside", "partners", f"{PARTNERS['4']}.0/24", 77, False)
    sketch.call("outside", "partners6", f"{PARTNERS['6']}::/64".replace(":0:0:0", ""), 78, False)
    sketch.call("outside", "vips", "10.20.0.0/24", 0, False)
    sketch.call("pool", "gp", ["/logicalNetworks/vips/subnets/out"])
    sketch.call("public_address", "p1", PUBLIC)
    sketch.beyond |= {PUBLIC, "198.51.100.7", f"{PARTNERS['4']}.9", "fd77::9", "172.16.0.2"}


@st.composite
def _connections(draw, number):
    """(Kind, name, family or key, the gateway's own addresses, routes) of each; `number` is the network's. As decide
    has it, one prefix has one route of each metric."""
    said = set()
    made = []
    for at in range(draw(st.sampled_from((0, 0, 1, 2, 3)))):
        kind, last = draw(st.sampled_from(("L3", "GRE"))), 40 + 4 * (3 * number + at)
        family = draw(st.sampled_from(("4", "4", "6")))
        hop = (f"{PARTNERS['4']}.8" if family == "4" else "fd77::8") if kind == "L3" else ""
        families = family if kind == "L3" else draw(st.sampled_from(("4", "46")))
        asked = st.tuples(st.sampled_from([one for f in families for one in BEYOND[f]]), st.sampled_from(METRICS))
        routes = [one for one in draw(st.lists(asked, max_size=3, unique=True)) if one not in said]
        said |= set(routes)
        if kind == "L3":
            own, way = [f"{PARTNERS['4']}.{last}/24" if family == "4" else f"fd77::{last:x}/64"], family
        else:
            own, way = [f"172.16.0.{last + 1}/30", f"fd16::{last + 1:x}/126"], draw(st.sampled_from(("", "77")))
            own = own[: len(families)] if draw(st.booleans()) else []
        made.append((kind, f"c{at}", way, own, [(prefix, hop, metric) for prefix, metric in routes]))
    return made


def connection(kind, name, way, own, routes):
    """Of a sketch, as a resource."""
    if kind == "L3":
        subnet = f"/logicalNetworks/partners{'6' if way == '6' else ''}/subnets/out"
        return ways_out.leg(name, subnet, own, routes)
    last = 10 + int(name[1:])
    return ways_out.tunnel(name, (f"10.20.0.{last}", f"192.0.2.{last}"), way, own, routes)


def draw_encryption(draw, sketch):
    """Networks whose tunnels are to be encrypted, and hosts that cannot: what was so before they were asked for it."""
    networks = [one for one in dict.fromkeys(p.network for p in sketch.places) if one not in sketch.rewriting]
    for network in networks:
        if draw(st.sampled_from((False, False, True))):
            places = [one for one in sketch.places if one.network == network]
            place = draw(st.sampled_from(places))
            sketch.call("encrypt", network, *(place.name(family) for family in place.families))
            known = [words[0] for name, *words in sketch.calls if name == "server"]
            sketch.without_encryption = tuple(draw(st.lists(st.sampled_from(known), max_size=2, unique=True)))


def draw_known(draw, sketch):
    """An interface that has a public address for itself alone."""
    cards = [one for one in sketch.cards if one.place.network in sketch.edges and one.families[0] == "4"]
    if cards and draw(st.booleans()):
        sketch.call("public_address", "p2", draw(st.sampled_from((PUBLIC_OF_ONE, BESIDE_OF_ONE))))
        sketch.call("make_known", draw(st.sampled_from(cards)).name, "p2")
        sketch.beyond |= {PUBLIC_OF_ONE, BESIDE_OF_ONE}


def draw_settings(draw, sketch):
    """Settings that must not change what becomes of an honest packet."""
    for card in sketch.cards:
        drawn = draw(
            st.sampled_from(
                (
                    None,
                    None,
                    {"mac_spoofing_enabled": "Enabled"},
                    {"arp_guard_enabled": "Enabled", "dhcp_guard_enabled": "Enabled"},
                    {"storm_limit": 5},
                    {"inbound_maximum_mbps": 10},
                    {"outbound_maximum_mbps": 10, "mac_spoofing_enabled": "Enabled"},
                )
            )
        )
        if drawn:
            sketch.call("settings", card.name, drawn)


def draw_standing(draw, sketch):
    """Of each address of a card in a network that rewrites, the provider address that stands for it on its host; one
    may lack it."""
    rewriting = [card for card in sketch.cards if card.place.network in sketch.rewriting and sketch.server_of(card)]
    for number, card in enumerate(rewriting, 100):
        for at, family in enumerate(card.families):
            if draw(st.sampled_from((True, True, True, True, False))):
                text = f"192.168.1.{number}" if family == "4" else f"fd99::{number:x}"
                sketch.call("stand", sketch.server_of(card), card.name, text, True, at)


def draw_brought(draw, sketch):
    """Addresses that guests brought, also of a family that their interface was not given."""
    for place in sketch.places:
        if place.network in sketch.rewriting or not draw(st.booleans()):
            continue
        cards = [card for card in sketch.cards if card.place == place]
        for family in place.families:
            sketch.call("guests", place.network, place.name(family))
        for number, card in enumerate(draw(st.lists(st.sampled_from(cards), max_size=2)) if cards else ()):
            family = draw(st.sampled_from(place.families))
            address = place.address(family, 200 + number)
            sketch.call("bring", card.name, place.ref(family), address)
            sketch.brought.setdefault(place.network, []).append(address)
