"""Routes of the host's own kernel: what its main table has, and how ours to provider subnets are put. Linux only.

Called by ovs/host_side.py. What an agent put there bears our protocol number and metric (`ip route` shows proto 87
metric 87000), by which any later agent knows it. The metric is above those that people and daemons use: a route of
theirs is never refused because of ours, and goes before it. Open vSwitch in userspace follows the kernel's table by
itself (ovs-appctl ovs/route/show).
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_REPLACE
from pyroute2.netlink.rtnl import RTM_DELROUTE, RTM_NEWROUTE, rt_scope
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from weft.agent.kernel import index_of
from weft.agent.kernel_messages import Request, message
from weft.agent.ovs.kernel_tables import kernel_tables
from weft.agent.switch import ANY, HostRoute
from weft.model.values import PackedIp, ip_text

PROTOCOL = 87
"""W. Edges mark theirs so too; on the host itself those have no metric."""
METRIC = 87_000
_MAIN = 254
_UNICAST = 1
_NOWHERE = (6, 7, 8)
"""RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, rtnetlink(7)."""
_IPV4, _IPV6 = 2, 10
_BITS = {_IPV4: 32, _IPV6: 128}
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr, netlink(7)."""
_ROUTE = struct.Struct("=8BI")
"""rtmsg, rtnetlink(7)."""
_CODE = struct.Struct("=i")
_ERROR, _DONE, _NEW, _GET = 2, 3, 24, 26
_REQUEST, _DUMP = 0x1, 0x300
_MOST = 1 << 17


def found() -> tuple[HostRoute, ...]:
    """Those of the main table, but to single addresses, link-local ones and multicast. Raises OSError."""
    with kernel_tables() as tables:
        names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in tables.get_links()}
    read = (_read(one, names) for family in _BITS for one in _dump(family))
    return tuple(sorted((one for one in read if not _local(one)), key=_order))


def to_put(wanted: HostRoute) -> Request:
    """Add it with our mark, in the place of one of ours to the same prefix. Raises OSError: there is no such
    interface."""
    return _request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "universe", wanted)


def to_take(wanted: HostRoute) -> Request:
    """Remove it, if it bears our mark. Raises OSError: there is no such interface."""
    return _request(RTM_DELROUTE, 0, "nowhere", wanted)


def _request(kind: int, flags: int, scope: str, wanted: HostRoute) -> Request:
    """A scope of nowhere stands for any."""
    head = {
        "family": _IPV4 if len(wanted.prefix) == 4 else _IPV6,
        "dst_len": wanted.prefix_length,
        "table": _MAIN,
        "proto": PROTOCOL,
        "scope": rt_scope[scope],
        "type": _UNICAST,
    }
    attributes: list[tuple[str, Any]] = [("RTA_DST", ip_text(wanted.prefix)), ("RTA_OIF", index_of(wanted.device))]
    attributes.append(("RTA_PRIORITY", METRIC))
    if wanted.gateway:
        attributes.append(("RTA_GATEWAY", ip_text(wanted.gateway)))
    if wanted.source:
        attributes.append(("RTA_PREFSRC", ip_text(wanted.source)))
    return Request(kind, flags, message(rtmsg, head, attributes), words_of(wanted))


def words_of(one: HostRoute) -> str:
    """As `ip route` says it."""
    hop = f" via {ip_text(one.gateway)}" if one.gateway else ""
    return f"{ip_text(one.prefix)}/{one.prefix_length}{hop} dev {one.device}"


def _dump(family: int) -> Iterator[Any]:
    """A host may have thousands of routes to single addresses: those are passed over undecoded."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        size = _HEADER.size + _ROUTE.size
        kernel.send(_HEADER.pack(size, _GET, _REQUEST | _DUMP, 1, 0) + _ROUTE.pack(family, *[0] * 8))
        while True:
            said = kernel.recv(_MOST)
            at = 0
            while at < len(said):
                length, kind, *_ = _HEADER.unpack_from(said, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    code = -_CODE.unpack_from(said, at + _HEADER.size)[0]
                    raise OSError(code, os.strerror(code))
                if kind == _NEW and _counts(said, at + _HEADER.size, family):
                    one = rtmsg(said[at : at + length])
                    one.decode()
                    yield one
                at += (length + 3) & ~3


def _counts(said: bytes, at: int, asked: int) -> bool:
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(said, at)
    return family == asked and length < _BITS[asked] and table == _MAIN and kind in (_UNICAST, *_NOWHERE)


def _read(one: Any, names: dict[int, str]) -> HostRoute:
    hop = next(iter(one.get_attr("RTA_MULTIPATH") or ()), None)
    index = one.get_attr("RTA_OIF") or (hop["oif"] if hop is not None else 0)
    gateway = one.get_attr("RTA_GATEWAY") or (hop.get_attr("RTA_GATEWAY") if hop is not None else None)
    prefix = one.get_attr("RTA_DST")
    return HostRoute(
        prefix=_packed(prefix) or PackedIp(bytes(_BITS[one["family"]] // 8)),
        prefix_length=one["dst_len"],
        device=names.get(index, "") if one["type"] == _UNICAST else "",
        gateway=_packed(gateway),
        source=_packed(one.get_attr("RTA_PREFSRC")),
        ours=one["proto"] == PROTOCOL and one.get_attr("RTA_PRIORITY") == METRIC,
    )


def _packed(text: str | None) -> PackedIp:
    return PackedIp(ipaddress.ip_address(text).packed) if text else ANY


def _local(one: HostRoute) -> bool:
    address = ipaddress.ip_address(one.prefix)
    return one.prefix_length > 0 and (address.is_link_local or address.is_multicast)


def _order(one: HostRoute) -> tuple[int, bytes, int, str, bytes]:
    return len(one.prefix), one.prefix, one.prefix_length, one.device, one.gateway
