"""Routes of the host's own kernel: what its main table has, and putting routes to provider subnets there. Linux only.

Called by ovs/host_side.py. What an agent put there bears our protocol number and metric (`ip route` shows proto 87
metric 87000), by which any later agent knows it. The metric is above those that people and daemons use: a route of
theirs is never refused because of ours, and goes before it. Open vSwitch in userspace follows the kernel's table by
itself (ovs-appctl ovs/route/show).
"""

import errno
import ipaddress
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

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


def found() -> tuple[HostRoute, ...]:
    """Those of the main table, but to single addresses, link-local ones and multicast."""
    with IPRoute() as route:
        names = {one["index"]: one.get_attr("IFLA_IFNAME") for one in route.get_links()}
        every = [one for family in _BITS for one in route.get_routes(family=family) if _counts(one)]
    read = (_read(one, names) for one in every)
    return tuple(sorted((one for one in read if not _local(one)), key=_order))


def put(wanted: HostRoute) -> None:
    """Add it with our mark, in the place of one of ours to the same prefix. Raises OSError."""
    _ask("replace", wanted)


def take(wanted: HostRoute) -> None:
    """Remove it, if it bears our mark; nothing if it is gone. Raises OSError."""
    try:
        _ask("del", wanted)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.ENODEV):
            raise


def _ask(what: str, wanted: HostRoute) -> None:
    with IPRoute() as route:
        indexes = route.link_lookup(ifname=wanted.device)
        if not indexes:
            raise OSError(errno.ENODEV, f"there is no interface {wanted.device}")
        words: dict[str, Any] = {
            "family": _IPV4 if len(wanted.prefix) == 4 else _IPV6,
            "dst": f"{ip_text(wanted.prefix)}/{wanted.prefix_length}",
            "oif": indexes[0],
            "proto": PROTOCOL,
            "priority": METRIC,
            "table": _MAIN,
        }
        if wanted.gateway:
            words["gateway"] = ip_text(wanted.gateway)
        if wanted.source:
            words["prefsrc"] = ip_text(wanted.source)
        try:
            route.route(what, **words)
        except NetlinkError as error:
            raise OSError(error.code, str(error)) from error


def _counts(one: Any) -> bool:
    if (one.get_attr("RTA_TABLE") or one["table"]) != _MAIN or one["type"] not in (_UNICAST, *_NOWHERE):
        return False
    return bool(one["dst_len"] < _BITS[one["family"]])


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
