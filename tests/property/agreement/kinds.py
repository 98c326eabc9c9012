"""What a fabric may have beside tunnels between virtual subnets: VLANs, rewriting, gateways, settings of ports.

Features of fabrics.py, in its form: (draw, sketch) -> None.
"""

from typing import NamedTuple

from hypothesis import strategies as st

VLANS = (20, 30, 0)
GATEWAYS = {"gw1": "192.168.1.31", "gw2": "192.168.1.32"}
"""Provider addresses of servers that are gateways and nothing else."""
PUBLIC = "198.51.100.20"


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
    """Networks with a protocol of their own. Here only IPv4 is rewritten, and where all hosts are on one subnet."""
    for network in dict.fromkeys(place.network for place in sketch.places):
        families = {family for place in sketch.places if place.network == network for family in place.families}
        rewrites = ("Rewrite",) * 4 if sketch.flat and families == {"4"} else ()
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
    """Virtual gateways, whose carriers may be servers with machines too, with NAT or leading nowhere."""
    networks = [one for one in dict.fromkeys(p.network for p in sketch.places) if one not in sketch.rewriting]
    wanted = [one for one in networks if draw(st.booleans())]
    if not wanted:
        return
    sketch.call("outside", "internet", "198.51.100.0/24")
    sketch.call("public_address", "p1", PUBLIC)
    for server, address in GATEWAYS.items():
        sketch.call("server", server, address)
    places = {"g1": draw(st.sampled_from(("gw1", "h1"))), "g2": "gw2"}
    for gateway, server in places.items():
        sketch.call("gateway", gateway, server)
    for network in wanted:
        place = draw(st.sampled_from([one for one in sketch.places if one.network == network]))
        family = place.families[0]
        carriers = draw(st.sampled_from((("g1",), ("g1", "g2"), ("g2", "g1"), ())))
        nat = draw(st.sampled_from(("p1", ""))) if family == "4" else ""
        edge = place.address(family, 250)
        sketch.call("way_out", network, place.name(family), edge, carriers, nat)
        sketch.edges[network] = edge
        sketch.carriers |= {places[one] for one in carriers}
    for network, others in sketch.peerings.items():
        # also of one that has none to lend, or that does not look back
        if network not in sketch.edges and len(others) == 1 and others[0] in sketch.peerings and draw(st.booleans()):
            sketch.call("lend", others[0], network)


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
    """Of each card in a network that rewrites, the provider address that stands for it on its host; one may lack it."""
    rewriting = [card for card in sketch.cards if card.place.network in sketch.rewriting and sketch.server_of(card)]
    for number, card in enumerate(rewriting, 100):
        if draw(st.sampled_from((True, True, True, True, False))):
            sketch.call("stand", sketch.server_of(card), card.name, f"192.168.1.{number}")


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
