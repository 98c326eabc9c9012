"""What the kernel is asked when an edge answers for its addresses, or does so no more: rtnetlink(7) as bytes. Pure.

Called by edge/answering.py. A namespace that is made is told the same by `ip`; but when a gateway dies another takes
hundreds of networks over at once, and a program for each would take most of the time. pyroute2 writes the messages,
50 us for each; its sockets, of which every namespace would need one, take milliseconds.
"""

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_ERROR, nlmsgerr
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR, RTM_NEWROUTE, rt_scope, rt_type
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD, IFA_F_NOPREFIXROUTE, ifaddrmsg
from pyroute2.netlink.rtnl.rtmsg import RTNH_F_ONLINK, rtmsg

from weft.agent.edge.wanted import INNER, ROUTE_PROTOCOL, Route

_FAMILY = {4: 2, 6: 10}
_MAIN = 254
_PUT = NLM_F_CREATE | NLM_F_REPLACE

Index = Callable[[str], int]
"""The number of a link in the namespace (if_nametoindex(3))."""


class Change(NamedTuple):
    """Addresses with prefix length by their links, and routes, in this order."""

    gone: Sequence[tuple[str, str]]
    fresh: Sequence[tuple[str, str]]
    routes: Sequence[Route]


class Request(NamedTuple):
    kind: int
    flags: int
    message: Any
    """ifaddrmsg or rtmsg."""
    words: str
    """For who reads that it failed."""


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
    return Request(kind, how, _message(ifaddrmsg, head, attributes), f"{text} on {link}")


def _route(route: Route, index: Index) -> Request:
    to = ipaddress.ip_network(route.prefix)
    head = {
        "family": _FAMILY[to.version],
        "dst_len": to.prefixlen,
        "table": _MAIN,
        "proto": ROUTE_PROTOCOL,
        "scope": rt_scope["link" if to.version == 4 and not route.via else "universe"],
        "type": rt_type["unicast"],
        "flags": RTNH_F_ONLINK if route.via and route.device != INNER else 0,
    }
    attributes: list[tuple[str, Any]] = [("RTA_OIF", index(route.device))]
    if to.prefixlen:
        attributes.append(("RTA_DST", str(to.network_address)))
    if route.via:
        attributes.append(("RTA_GATEWAY", route.via))
    if route.metric:
        attributes.append(("RTA_PRIORITY", route.metric))
    return Request(RTM_NEWROUTE, _PUT, _message(rtmsg, head, attributes), f"route to {route.prefix} by {route.device}")


def _message(kind: Any, head: Mapping[str, int], attributes: list[tuple[str, Any]]) -> Any:
    made = kind()
    made.update(head)
    made["attrs"] = attributes
    return made


def packed(asked: Iterable[Request]) -> bytes:
    """Of one send(2): numbered from 0, each to be acknowledged."""
    return b"".join(_bytes(one, number) for number, one in enumerate(asked))


def _bytes(one: Request, number: int) -> bytes:
    flags = NLM_F_REQUEST | NLM_F_ACK | one.flags
    one.message["header"].update(type=one.kind, flags=flags, sequence_number=number)
    one.message.encode()
    return bytes(one.message.data)


def answers(heard: bytes) -> Iterator[tuple[int, int]]:
    """(Number, errno; 0 for done) of each answer in what was received."""
    at = 0
    while at < len(heard):
        said = nlmsgerr(heard[at:])
        said.decode()
        head = said["header"]
        if head["type"] == NLMSG_ERROR:
            yield head["sequence_number"], -said["error"]
        at += (head["length"] + 3) & ~3
