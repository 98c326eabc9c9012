"""What an edge is on this host, by its record: names, links, addresses, routes, translation and limits. Pure.

Called by edge/keeper.py and edge/namespace.py. An edge is a network namespace per routing domain with a veth `inner`
into the virtual network, one `o0`, `o1` ... into each logical subnet outside and one `t0`, `t1` ... into each GRE
connection (edge/tunnels.py). Everything but the outer addresses stands ready on each gateway of the network; these are
on the one that carries it. The host's ends are named `we{rdid}i`, `we{rdid}o{n}` and `we{rdid}t{n}`; ports, links,
routes and tables bear names and marks of ours, so that an agent without memory finds all of it again.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

from weft.agent.flows.ways_out import Dead, instance_of
from weft.core.edge_routes import exits, homes
from weft.model.records import EdgeLeg, EdgeNetwork, EdgeTunnel
from weft.model.records.edge import FASTEST_KBPS
from weft.model.values import ROUTER_MAC, PackedIp, Rdid, ip_text, mac_colons

INNER = "inner"
MARK = "weft edge"
"""Begins the alias of `lo` in every namespace of an edge, and is external_ids:weft of its ports without the first
word."""
ROUTE_PROTOCOL = 87
"""Of our routes (rtnetlink(7)): a number that nobody else uses here."""
MAIN, _FIRST_TABLE = 254, 1000
"""The kernel's own table of routes, and ours of the first leg."""
_LAST_METRIC = 2**32 - 1
HOLD_SECONDS = 2.0
"""So long a gateway that comes back leaves the network to the one after it, which has to see it alive first: longer
than its answers take (pulses.ANSWERS)."""
PEERS, PEERS_PORT = "peers", 3780
"""The link between the gateways of a network, and the UDP port on it: see edge/replication.py."""
_UNLIMITED = "100gbit"
_LARGEST_BURST = 1 << 26
FIRST_CLASS = 0x10
"""Of the first leg outside, among those of htb; class ids are hexadecimal."""

SETTINGS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.arp_ignore": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.addr_gen_mode": 1,
}
"""sysctl of an edge's namespace. Answers may come in where the kernel would not send to: rp_filter is off."""


class Wanted(msgspec.Struct, frozen=True):
    """An edge as it should be now."""

    network: EdgeNetwork
    carries: bool
    """This gateway is the one that carries the network."""
    mtu: int
    """Of the leg into the network: what its tunnels carry."""
    encrypted: bool = False
    """What is said of the network may not leave this host in clear."""
    splits: int = 0
    """So many times, as far as its agent knows, another gateway may have carried it while this one was cut off and
    carried it too: after each, the others are asked for their connections."""


class EdgeFailure(Exception):
    """It could not be made so; the message says what failed. Asked again later."""


class Edge(Protocol):
    """What makes edges: network namespaces (edge/namespace.py), or an appliance. Calls for different networks may run
    together, of one they come one after the other."""

    async def there(self) -> dict[Rdid, bool]:
        """The edges of ours that are there, whoever made them, and which of them answer for the outer addresses."""
        ...

    async def put(self, wanted: Wanted) -> str:
        """Make an edge what it should be; the same again changes nothing. Answers what is not as it should be although
        the edge does its work, in words; empty for nothing. Raises EdgeFailure."""
        ...

    async def remove(self, rdid: Rdid) -> None:
        """Take an edge away, nothing if there is none. Raises EdgeFailure."""
        ...


def carries(edge: EdgeNetwork, dead: Dead, holding: bool, age_s: float) -> bool:
    """Is it this gateway that carries the network? `holding`: it does by now; `age_s` since its agent started."""
    own = edge.gateways.index(edge.provider_address) if edge.provider_address in edge.gateways else 0
    if any(one not in dead for one in edge.gateways[:own]):
        return False
    rivals = any(one not in dead for one in edge.gateways[own + 1 :])
    return holding or not rivals or age_s >= HOLD_SECONDS


class Link(NamedTuple):
    """A veth of an edge."""

    host: str
    """Name of its end in the host: a port of a bridge."""
    inside: str
    leg: EdgeLeg | None = None
    tunnel: EdgeTunnel | None = None
    """Neither: into the virtual network."""

    @property
    def outbound_kbps(self) -> int:
        way = self.leg or self.tunnel
        return min(way.outbound_kbps, FASTEST_KBPS) if way is not None else 0

    @property
    def inbound_kbps(self) -> int:
        way = self.leg or self.tunnel
        return min(way.inbound_kbps, FASTEST_KBPS) if way is not None else 0


def links(edge: EdgeNetwork) -> list[Link]:
    return [
        Link(f"we{edge.rdid}i", INNER),
        *(Link(f"we{edge.rdid}o{n}", f"o{n}", leg=leg) for n, leg in enumerate(edge.legs)),
        *(Link(f"we{edge.rdid}t{n}", f"t{n}", tunnel=one) for n, one in enumerate(edge.tunnels)),
    ]


def is_link(name: str, rdid: int) -> bool:
    """Is this the name of the host's end of a link of the edge?"""
    return re.fullmatch(rf"we{rdid}(i|[ot]\d+)", name) is not None


def legs(edge: EdgeNetwork) -> Iterator[tuple[str, EdgeLeg]]:
    """Each with the name of its link inside."""
    return ((link.inside, link.leg) for link in links(edge) if link.leg is not None)


def link_line(link: Link, edge: EdgeNetwork, namespace: str) -> str:
    """For `ip -batch` in the host: the veth with its other end in the namespace."""
    # frames out of a tunnel are addressed by flows, which know this one
    address = f" address {mac_colons(edge.mac)}" if link.leg is None else ""
    return f"link add name {link.host} type veth peer name {link.inside}{address} netns {namespace}"


def port_words(link: Link, edge: EdgeNetwork, bridges: tuple[str, str]) -> list[str]:
    """For ovs-vsctl: its end in the host as a port of the integration bridge, or of the outer one in its VLAN."""
    bridge, leg = bridges[0] if link.leg is None else bridges[1], link.leg
    words = ["--", "--may-exist", "add-port", bridge, link.host, "--", "set", "interface", link.host]
    words.append("external_ids:weft=edge")
    if leg is None:
        mac = mac_colons(edge.mac)
        return [*words, f"external_ids:iface-id={instance_of(edge)}", f'external_ids:attached-mac="{mac}"']
    return [*words, "--", "set", "port", link.host, f"tag={leg.vlan or '[]'}"]


def addresses(wanted: Wanted) -> dict[str, set[str]]:
    """Addresses with prefix length per link inside."""
    edge = wanted.network
    found = {INNER: {f"{ip_text(address)}/{length}" for address, length in edge.addresses}}
    for link in links(edge)[1:]:
        if link.tunnel is not None:
            own = {f"{ip_text(one)}/{length}" for one, length in link.tunnel.addresses}
        else:
            own = {_alone(one) for one in link.leg.addresses} if link.leg is not None else set()
        found[link.inside] = own if wanted.carries else set()
    return found


def _alone(address: PackedIp) -> str:
    return f"{ip_text(address)}/{len(address) * 8}"


def announced(wanted: Wanted) -> list[tuple[str, PackedIp]]:
    """(Link inside, address) of what neighbours outside must be told when this gateway takes the network over."""
    return [(inside, one) for inside, leg in legs(wanted.network) for one in leg.addresses]


class Route(NamedTuple):
    """As `ip -j route` has it."""

    prefix: str
    via: str
    device: str
    """Empty: unreachable."""
    metric: int
    table: int = MAIN


def routes(edge: EdgeNetwork) -> list[Route]:
    """Inwards by the distributed router, outwards by the legs; of one prefix and metric a kernel has one, the first."""
    found = _routes(edge, MAIN, homes(edge))
    for table, leg in away(edge):
        found += _routes(edge, table, [leg])
        # or a table without a default route would leave it to main, which leads out by another leg
        found.append(Route(f"{ip_text(PackedIp(bytes(len(leg.prefix))))}/0", "", "", _LAST_METRIC, table))
    return found


def away(edge: EdgeNetwork) -> Iterator[tuple[int, EdgeLeg]]:
    """Public legs other than that of most, each with the table, and the mark, of the machines that are known there."""
    at_home = homes(edge)
    for place, leg in enumerate(edge.legs):
        if leg.is_public and leg not in at_home:
            yield _FIRST_TABLE + place, leg


def _routes(edge: EdgeNetwork, table: int, public: list[EdgeLeg]) -> list[Route]:
    found: dict[tuple[str, int], Route] = {}
    own = {ipaddress.ip_interface(f"{ip_text(one)}/{size}").network for one, size in edge.addresses}
    for prefix, length in edge.prefixes:
        router = next((one for one in edge.routers if len(one) == len(prefix)), None)
        network = ipaddress.ip_network(f"{ip_text(prefix)}/{length}")
        if network in own and table != MAIN:
            _note(found, Route(str(network), "", INNER, 0, table))
        elif router is not None and network not in own:
            _note(found, Route(str(network), ip_text(router), INNER, 0, table))
    names = {link.leg or link.tunnel: link.inside for link in links(edge)[1:]}
    for one in exits(edge.legs, edge.tunnels, public):
        via, to = ip_text(one.next_hop) if one.next_hop else "", f"{ip_text(one.prefix)}/{one.prefix_length}"
        if (one.prefix, one.prefix_length) not in edge.prefixes:
            _note(found, Route(to, via, names[one.by], one.metric, table))
    return list(found.values())


def tables(edge: EdgeNetwork, size: int) -> list[int]:
    """Those that packets of one family with the mark of the same number are led by."""
    return [table for table, leg in away(edge) if len(leg.prefix) == size]


def rule_words(table: int) -> list[str]:
    """For `ip rule add` and `ip rule del`. That of main comes after."""
    return ["pref", str(table), "fwmark", str(table), "lookup", str(table), "proto", str(ROUTE_PROTOCOL)]


def _note(found: dict[tuple[str, int], Route], route: Route) -> None:
    # 0 would be the worst of IPv6, 1024
    metric = route.metric + 1 if ":" in route.prefix else route.metric
    found.setdefault((route.prefix, metric), route._replace(metric=metric))


def route_line(route: Route) -> str:
    via = f" via {route.via}" if route.via else ""
    onlink = " onlink" if route.via and route.device != INNER else ""
    way = f"{route.prefix}{via} dev {route.device}{onlink}" if route.device else f"unreachable {route.prefix}"
    metric = f" metric {route.metric}" if route.metric else ""
    metric += f" table {route.table}" if route.table != MAIN else ""
    return f"route replace {way}{metric} proto {ROUTE_PROTOCOL}"


def leftovers(edge: EdgeNetwork, size: int, shown: Iterable[Mapping[str, Any]]) -> list[str]:
    """For `ip -batch` of one family, with addresses of that size: takes away what is not wanted of routes of ours, as
    `ip -j route` shows them."""
    ours = [one for one in routes(edge) if (":" in one.prefix) == (size == 16)]  # both families have a "default"
    wanted = {(_short(one.prefix), one.device, one.metric, one.table) for one in ours}
    lines = []
    for one in shown:
        # of IPv6 an unreachable one is shown with a device
        device = "" if "type" in one else one["dev"]
        metric, table = int(one.get("metric", 0)), int(one.get("table", MAIN))
        if (one["dst"], device, metric, table) not in wanted:
            way = f"{one['dst']} dev {device}" if device else f"{one['type']} {one['dst']}"
            also = f" table {table}" + (f" metric {metric}" if metric else "")
            lines.append(f"route del {way}{also} proto {ROUTE_PROTOCOL}")
    return lines


def _short(prefix: str) -> str:
    """As ip shows it."""
    if prefix in ("0.0.0.0/0", "::/0"):
        return "default"
    address, _, length = prefix.partition("/")
    return address if length == ("128" if ":" in address else "32") else prefix


def lines_inside(wanted: Wanted) -> list[str]:
    """For `ip -batch` in the namespace: links up, the router's MAC address, routes. All can be said again."""
    edge = wanted.network
    # a tunnel has one other end, which nobody need ask for
    lines = [f"link set dev {link.inside} {'arp off ' if link.tunnel else ''}up" for link in links(edge)]
    lines += [f"link set dev {INNER} mtu {wanted.mtu}"]
    lines += [f"addr replace {ip_text(address)}/{length} dev {INNER}" for address, length in edge.addresses]
    router = mac_colons(ROUTER_MAC)
    lines += [f"neigh replace {ip_text(one)} lladdr {router} dev {INNER} nud permanent" for one in edge.routers]
    return [*lines, *map(route_line, routes(edge))]


def limits(edge: EdgeNetwork) -> list[str]:
    """For `tc -batch` in the namespace, after every qdisc there is gone: outbound by a token bucket on the leg, inbound
    by a class per leg on the way into the network."""
    lines, classes = [], []
    for number, link in enumerate(links(edge)[1:], FIRST_CLASS):
        if link.outbound_kbps:
            lines.append(f"qdisc add dev {link.inside} root tbf {_bucket(link.outbound_kbps)} latency 50ms")
        if link.inbound_kbps:
            classes.append(f"class add dev {INNER} parent 1: classid 1:{number:x} htb rate {link.inbound_kbps}kbit")
    if classes:
        lines.append(f"qdisc add dev {INNER} root handle 1: htb default 1")
        lines.append(f"class add dev {INNER} parent 1: classid 1:1 htb rate {_UNLIMITED}")
    return [*lines, *classes]


def _bucket(kbps: int) -> str:
    """What 20 ms bring at that rate may come at once, never less than two full packets, and no more than memory has for
    it."""
    return f"rate {kbps}kbit burst {min(max(3_200, kbps * 1000 // 8 // 50), _LARGEST_BURST)}"
