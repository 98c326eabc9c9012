"""The rules of nftables of an edge: translation, what may pass, marks and classes. Pure.

Called by edge/namespace.py. One table of a name of ours per family, replaced as one.
"""

import re
from collections.abc import Iterable, Iterator

from weft.agent.edge.wanted import FIRST_CLASS, INNER, PEERS, PEERS_PORT, away, legs, links
from weft.model.records import EdgeNetwork
from weft.model.values import PackedIp, ip_text

TABLE = "weft"
"""Of nftables, one per family."""
ALONE_IN = f'iifname != "{PEERS}" udp dport {PEERS_PORT} drop'


def rules(edge: EdgeNetwork) -> str:
    """For `nft -f`: our tables, replaced as one. Connections that are translated stay as they are."""
    return "".join(_table(edge, size) for size in (4, 16))


def _table(edge: EdgeNetwork, size: int) -> str:
    family = "ip" if size == 4 else "ip6"
    guards = (*_mine(), *_passing(edge, size), *_leaving(edge, size))
    chains = [*_marks(edge, size), *_translation(edge, size), *guards, *_classes(edge), *_segments(family)]
    body = "".join(f"{line}\n" for line in chains)
    return f"table {family} {TABLE} {{}}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{\n{body}}}\n"


def translated(text: str) -> frozenset[tuple[str, str]]:
    """(Outer address, what stands for it) of every translation in rules, ours to be or as nft lists them."""
    inward = re.findall(r"daddr (\S+) dnat to ([^\s;]+)", text)
    outward = re.findall(r"saddr ({[^}]*}|\S+) snat to ([^\s;]+)", text)
    return frozenset([*inward, *((outer, " ".join(sorted(re.findall(r"[^\s{},]+", own)))) for own, outer in outward)])


def _translation(edge: EdgeNetwork, size: int) -> Iterator[str]:
    family = "ip" if size == 4 else "ip6"
    inward, outward = [], []
    for name, leg in legs(edge):
        for public, inside in leg.mappings:
            if len(public) == size:
                inward.append(f'iifname "{name}" {family} daddr {ip_text(public)} dnat to {ip_text(inside)}')
                outward.append(f'oifname "{name}" {family} saddr {ip_text(inside)} snat to {ip_text(public)}')
    for name, leg in legs(edge):
        if len(leg.nat) == size:
            own = _set(one for one in edge.prefixes if len(one[0]) == size)
            outward.append(f'oifname "{name}" {family} saddr {own} snat to {ip_text(leg.nat)}')
    yield "chain inward { type nat hook prerouting priority dstnat;"
    yield from (f"  {line};" for line in inward)
    yield "}"
    yield "chain outward { type nat hook postrouting priority srcnat;"
    yield from (f"  {line};" for line in outward)
    yield "}"


def _marks(edge: EdgeNetwork, size: int) -> Iterator[str]:
    """Who is known on a leg that is not that of most leaves by its table, but for connections begun behind the nat of
    another leg, which end there. So does what the edge itself says of connections there: that a packet does not fit, or
    that its time is over."""
    family, at = "ip" if size == 4 else "ip6", [one for one in away(edge) if len(one[1].prefix) == size]
    yield "chain marks { type filter hook prerouting priority mangle;"
    for table, leg in at:
        known = ", ".join(ip_text(inside) for _, inside in leg.mappings)
        nats = ", ".join(ip_text(one.nat) for one in edge.legs if one is not leg and len(one.nat) == size)
        begun = f" ct reply {family} daddr != {{ {nats} }}" if nats else ""
        if known:
            yield f'  iifname "{INNER}" {family} saddr {{ {known} }}{begun} meta mark set {table};'
    yield "}"
    yield "chain own { type route hook output priority mangle;"
    for table, leg in at:
        outer = ", ".join(map(ip_text, leg.addresses))
        for way in ("original", "reply"):  # begun outside, inside
            yield f"  ct {way} {family} daddr {{ {outer} }} meta mark set {table};"
    yield "}"


def _set(prefixes: Iterable[tuple[PackedIp, int]]) -> str:
    return "{ " + ", ".join(f"{ip_text(prefix)}/{length}" for prefix, length in prefixes) + " }"


def _names(links_inside: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{one}"' for one in links_inside) + " }"


def _mine() -> Iterator[str]:
    """What comes for an outer address and belongs to no connection is not answered: another gateway may know it, and a
    reset would end it. What the gateways tell each other has a link of its own."""
    yield "chain mine { type filter hook input priority filter;"
    for links_outside in ("o*", "t*"):
        yield f'  iifname "{links_outside}" ct state {{ new, invalid }} meta l4proto {{ tcp, udp }} drop;'
    yield f"  {ALONE_IN};"
    yield "}"


def _passing(edge: EdgeNetwork, size: int) -> Iterator[str]:
    """From inside to outside what has an address of the network's own; the other way what is translated and, where
    customer addresses are routed, all but what claims to be the network's. Nothing else, so nothing from outside to
    outside, and nothing back: peers that leave by one gateway are not peers of each other by that.

    No state is asked for: a gateway that has just taken over has none of what is routed or translated one to one."""
    family = "ip" if size == 4 else "ip6"
    ways = links(edge)[1:]
    routed = [link.inside for link in ways if link.leg is None or link.leg.is_routed]
    own = [one for one in edge.prefixes if len(one[0]) == size]
    yield "chain passing { type filter hook forward priority filter; policy drop;"
    if ways and own:
        outside = _names(link.inside for link in ways)
        yield f'  iifname "{INNER}" oifname {outside} {family} saddr {_set(own)} accept;'
        yield f"  {family} saddr {_set(own)} drop;"
        yield f'  iifname {outside} oifname "{INNER}" ct status snat,dnat accept;'
    if routed and own:
        yield f'  iifname {_names(routed)} oifname "{INNER}" accept;'
    yield "}"


def _leaving(edge: EdgeNetwork, size: int) -> Iterator[str]:
    """As it is after translation: by a leg that routes nothing only what has an address of that leg, whatever kept the
    rest from being translated."""
    family = "ip" if size == 4 else "ip6"
    yield "chain leaving { type filter hook postrouting priority srcnat + 10;"
    for name, leg in legs(edge):
        if not leg.is_routed and len(leg.prefix) == size:
            own = [*map(ip_text, leg.addresses), *(("::", "fe80::/10") if size == 16 else ())]
            yield f'  oifname "{name}" {family} saddr != {{ {", ".join(own)} }} drop;'
    yield "}"


def _segments(family: str) -> Iterator[str]:
    """TCP fits the tunnels without waiting for "fragmentation needed"."""
    yield "chain segments { type filter hook forward priority mangle;"
    yield "  tcp flags syn tcp option maxseg size set rt mtu;"
    yield "}"


def _classes(edge: EdgeNetwork) -> Iterator[str]:
    """Inbound limits are kept where packets leave for the virtual network: by which leg did they come?"""
    yield "chain classes { type filter hook forward priority filter;"
    for number, link in enumerate(links(edge)[1:], FIRST_CLASS):
        if link.inbound_kbps:
            yield f'  iifname "{link.inside}" oifname "{INNER}" meta priority set "1:{number:x}";'
    yield "}"
