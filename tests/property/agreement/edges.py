"""What an edge does with a packet of its network: the routes and rules that its host is given, as a kernel reads them.

Not by core.edge_routes, which trace asks: by the lines that an agent hands to iproute2 and nftables.
"""

import ipaddress
import re
from typing import NamedTuple

from weft.agent.edge import nftables, wanted
from weft.model.records import EdgeNetwork
from weft.model.values import pack_ip
from weft.wire.messages import HOST_STREAM

_CONNECTED = {4: 0, 6: 256}
_UNSAID = {4: 0, 6: 1024}
"""Metrics that a kernel gives: to the route of an interface's own prefix, and to one for which none is said."""
_ROUTE = re.compile(
    r"route replace (?:unreachable )?(\S+)(?: via (\S+))?(?: dev (\S+))?(?: onlink)?"
    r"(?: metric (\d+))?(?: table (\d+))? proto 87"
)
_MARK = re.compile(r'iifname "inner" ip6? saddr { ([^}]+) }(?: ct reply ip6? daddr != { [^}]+ })? meta mark set (\d+)')
"""Of a packet that begins something: its connection is translated to nothing yet."""
_PASSING = re.compile(r'iifname "inner" oifname { ([^}]+) } ip6? saddr { ([^}]+) } accept')
_LEAVING = re.compile(r'oifname "(\w+)" ip6? saddr != { ([^}]+) } drop')
_SNAT = re.compile(r'oifname "(\w+)" ip6? saddr (?:{ ([^}]+) }|(\S+)) snat to ([^\s;]+)')


class Left(NamedTuple):
    """By which link of an edge a packet leaves, to which next hop (empty: on link) and under which address."""

    link: wanted.Link
    hop: str
    source: str


def left(edge, source, target):
    """What becomes of a packet at the edge that carries its network. None: it does not leave. "own": it is for the edge
    itself. "held": it may not leave as it is."""
    state = wanted.Wanted(edge, True, 1458)
    at = ipaddress.ip_address(target)
    held = [ipaddress.ip_interface(one) for every in wanted.addresses(state).values() for one in every]
    if at in [one.ip for one in held]:
        return "own"
    leading = ([one for one in _routes(state, table) if at in one[0]] for table in _tables(edge, source))
    fitting = next(filter(None, leading), None)
    if fitting is None:
        return None
    _, _, device, hop = max(fitting, key=lambda one: (one[0].prefixlen, -one[1]))
    if device in (wanted.INNER, None):
        return None  # what leaves the network does not come back into it, and what is unreachable is nowhere else
    link = next(one for one in wanted.links(edge) if one.inside == device)
    rules = nftables.rules(edge)
    known = _known_as(rules, device, source)
    if not _passes(rules, device, source) or not _leaves(rules, device, known):
        return "held"
    return Left(link, hop, known)


def _tables(edge, source):
    """By the mark that its packets bear, where a rule leads those anywhere else; what has no route there goes on."""
    marked = (int(mark) for own, mark in _MARK.findall(nftables.rules(edge)) if _is_in(source, own))
    return [*(mark for mark in marked if mark in wanted.tables(edge, len(pack_ip(source)))), wanted.MAIN]


def _routes(state, table):
    """(Prefix, metric, device, next hop); of one prefix and metric the last that was said is there."""
    found = {}
    for one in wanted.addresses(state)[wanted.INNER] if table == wanted.MAIN else ():
        prefix = ipaddress.ip_interface(one).network
        found[prefix, _CONNECTED[prefix.version]] = (wanted.INNER, "")
    for line in map(wanted.route_line, wanted.routes(state.network)):
        text, hop, device, metric, said = _ROUTE.fullmatch(line).groups()
        if int(said or wanted.MAIN) != table:
            continue
        prefix = ipaddress.ip_network(text)
        if hop:
            assert ipaddress.ip_address(hop).version == prefix.version, line
        found[prefix, int(metric) if metric else _UNSAID[prefix.version]] = (device, hop or "")
    return [(*key, *value) for key, value in found.items()]


def _known_as(rules, device, source):
    for name, several, one, outer in _SNAT.findall(rules):
        if name == device and _is_in(source, several or one):
            return outer
    return source


def _passes(rules, device, source):
    return any(f'"{device}"' in names and _is_in(source, own) for names, own in _PASSING.findall(rules))


def _leaves(rules, device, source):
    family = ipaddress.ip_address(source).version
    known = (own for name, own in _LEAVING.findall(rules) if name == device)
    return all(_is_in(source, own) for own in known if ipaddress.ip_network(own.split(",")[0]).version == family)


def _is_in(address, prefixes):
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one.strip()) for one in prefixes.split(","))


def plug(cluster, host):
    """The ports of a host's edges are there, as its agent makes them."""
    for record in _edges(cluster, host):
        cluster.center.switches[host].plug(f"edge{record.rdid}", wanted.instance_of(record), record.mac)


def record_of(cluster, host, port):
    return next(one for one in _edges(cluster, host) if port == f"edge{one.rdid}")


def _edges(cluster, host):
    return [one for one in cluster.hosts[host].streams[HOST_STREAM].values() if isinstance(one, EdgeNetwork)]
