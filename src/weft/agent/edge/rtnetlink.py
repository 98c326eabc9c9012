"""What the kernel is asked when an edge answers for its addresses, or does so no more: rtnetlink(7) as bytes. Pure.

Called by edge/answering.py. A namespace that is made is told the same by `ip`; but when a gateway dies another takes
hundreds of networks over at once, and a program for each would take most of the time.
"""

import ipaddress
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from weft.agent.edge.wanted import INNER, ROUTE_PROTOCOL, Route

_HEAD = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port."""
_ADDRESS = struct.Struct("=BBBBI")
"""ifaddrmsg: family, prefix length, flags, scope, interface."""
_ROUTE = struct.Struct("=BBBBBBBBI")
"""rtmsg: family, lengths of destination and source, TOS, table, protocol, scope, type, flags."""
_NUMBER = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_FAMILY = {4: 2, 6: 10}
_NEW_ADDRESS, _DEL_ADDRESS, _NEW_ROUTE, _IS_ERROR = 20, 21, 24, 2
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_ADDRESS_OF, _LOCAL, _FLAGS = 1, 2, 8
_NO_DAD, _NO_PREFIX_ROUTE = 0x02, 0x200
_DESTINATION, _LINK, _GATEWAY, _METRIC = 1, 4, 5, 6
_MAIN, _UNICAST, _EVERYWHERE, _ON_LINK_ONLY, _ONLINK = 254, 1, 0, 253, 4

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
    body: bytes
    words: str
    """For who reads that it failed."""


def requests(change: Change, index: Index) -> list[Request]:
    """As edge/wanted.py says it for `ip`."""
    return [
        *(_address(_DEL_ADDRESS, 0, link, one, index) for link, one in change.gone),
        *(_address(_NEW_ADDRESS, _CREATE | _REPLACE, link, one, index) for link, one in change.fresh),
        *(_route(one, index) for one in change.routes),
    ]


def _address(kind: int, how: int, link: str, text: str, index: Index) -> Request:
    one = ipaddress.ip_interface(text)
    flags = (_NO_PREFIX_ROUTE if link != INNER else 0) | (_NO_DAD if one.version == 6 else 0)
    head = _ADDRESS.pack(_FAMILY[one.version], one.network.prefixlen, flags & 0xFF, _EVERYWHERE, index(link))
    more = _attribute(_LOCAL, one.packed) + _attribute(_ADDRESS_OF, one.packed)
    return Request(kind, how, head + more + _attribute(_FLAGS, _NUMBER.pack(flags)), f"{text} on {link}")


def _route(route: Route, index: Index) -> Request:
    to = ipaddress.ip_network(route.prefix)
    scope = _ON_LINK_ONLY if to.version == 4 and not route.via else _EVERYWHERE
    onlink = _ONLINK if route.via and route.device != INNER else 0
    family = _FAMILY[to.version]
    head = _ROUTE.pack(family, to.prefixlen, 0, 0, _MAIN, ROUTE_PROTOCOL, scope, _UNICAST, onlink)
    more = _attribute(_DESTINATION, to.network_address.packed) if to.prefixlen else b""
    more += _attribute(_GATEWAY, ipaddress.ip_address(route.via).packed) if route.via else b""
    more += _attribute(_METRIC, _NUMBER.pack(route.metric)) if route.metric else b""
    more += _attribute(_LINK, _NUMBER.pack(index(route.device)))
    return Request(_NEW_ROUTE, _CREATE | _REPLACE, head + more, f"route to {route.prefix} by {route.device}")


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def packed(asked: Iterable[Request]) -> bytes:
    """Of one send(2): numbered from 0, each to be acknowledged."""
    return b"".join(
        _HEAD.pack(_HEAD.size + len(one.body), one.kind, _REQUEST | _ACK | one.flags, number, 0) + one.body
        for number, one in enumerate(asked)
    )


def answers(heard: bytes) -> Iterator[tuple[int, int]]:
    """(Number, errno; 0 for done) of each answer in what was received."""
    at = 0
    while at + _HEAD.size <= len(heard):
        length, kind, _, number, _ = _HEAD.unpack_from(heard, at)
        if kind == _IS_ERROR:
            yield number, -_ERROR.unpack_from(heard, at + _HEAD.size)[0]
        at += max(_HEAD.size, (length + 3) & ~3)
