"""What the kernel is to be asked when an edge answers for its addresses, or does so no more. Pure.

Called by edge/answering.py. A namespace that is made is told the same by `ip`; but when a gateway dies another takes
hundreds of networks over at once, and a program for each would take most of the time.
"""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR, RTM_NEWROUTE, rt_scope, rt_type
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, IFA_F_NOPREFIXROUTE, ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import RTNH_F_ONLINK, rtmsg

from weft.agent.edge.wanted import INNER, ROUTE_PROTOCOL, Route
from weft.agent.kernel_messages import Request, message

_FAMILY = {4: 2, 6: 10}
_PUT = NLM_F_CREATE | NLM_F_REPLACE

Index = Callable[[str], int]
"""The number of a link in the namespace (if_nametoindex(3))."""


class Change(NamedTuple):
    """Addresses with prefix length by their links, and routes, in this order."""

    gone: Sequence[tuple[str, str]]
    fresh: Sequence[tuple[str, str]]
    routes: Sequence[Route]


def requests(change: Change, index: Index) -> list[Request]:
    """As edge/wanted.py says it for `ip`."""
    return [
        *(_address(RTM_DELADDR, 0, link, one, index) for link, one in change.gone),
        *(_address(RTM_NEWADDR, _PUT, link, one, index) for link, one in change.fresh),
        *(_route(one, index) for one in change.routes),
    ]


def _address(kind: int, how: int, link: str, text: str, index: Index) -> Request:
    one = ipaddress.ip_interface(text)
    flags = (IFA_F_NOPREFIXROUTE if link != INNER else 0) | (IFA_F_NODAD if one.version == 6 else 0)
    head = {"family": _FAMILY[one.version], "prefixlen": one.network.prefixlen, "index": index(link)}
    attributes = [("IFA_LOCAL", str(one.ip)), ("IFA_ADDRESS", str(one.ip)), ("IFA_FLAGS", flags)]
    return Request(kind, how, message(ifaddrmsg, head, attributes), f"{text} on {link}")


def _route(route: Route, index: Index) -> Request:
    to = ipaddress.ip_network(route.prefix)
    head = {
        "family": _FAMILY[to.version],
        "dst_len": to.prefixlen,
        "proto": ROUTE_PROTOCOL,
        "scope": rt_scope["link" if to.version == 4 and route.device and not route.via else "universe"],
        "type": rt_type["unicast" if route.device else "unreachable"],
        "flags": RTNH_F_ONLINK if route.via and route.device != INNER else 0,
    }
    attributes: list[tuple[str, Any]] = [("RTA_TABLE", route.table)]
    if route.device:
        attributes.append(("RTA_OIF", index(route.device)))
    if to.prefixlen:
        attributes.append(("RTA_DST", str(to.network_address)))
    if route.via:
        attributes.append(("RTA_GATEWAY", route.via))
    if route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    way = f"by {route.device}" if route.device else "by nobody"
    return Request(RTM_NEWROUTE, _PUT, message(rtmsg, head, attributes), f"route to {route.prefix} {way}")
