"""Where the provider addresses of this host are, and what the adapters below do about encapsulated packets.

Lent to provider_keeper.py. Netlink and ethtool; reads only. Linux.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from pyroute2 import IPRoute
from pyroute2.ethtool.ethtool import Ethtool
from pyroute2.netlink.exceptions import NetlinkError

from weft.agent.outside import OFFLOADS, Adapter
from weft.model.values import PackedIp, ip_text

Ports = Callable[[str], tuple[str, ...]]
"""The other ports of the switch's bridge that an interface is of; empty if it is of none."""

_DAD_FAILED = 0x08
"""IFA_F_DADFAILED, rtnetlink(7)."""
_DEEPEST = 4
"""A VLAN on a bond on a bridge ..."""
_ABOVE = ("vlan", "macvlan", "ipvlan")
"""Kinds of links that stand on the one that they name; a veth names its other end."""
_TAP = "tun"


class _Link(msgspec.Struct, frozen=True):
    name: str
    index: int
    mac: bytes
    mtu: int
    kind: str
    master: int
    on: int
    """Index of the link that it stands on, or is connected with."""


async def adapters(places: Mapping[PackedIp, str], ports: Ports) -> Mapping[PackedIp, Adapter]:
    """The interface of each address, as far as it is there. Raises OSError."""
    found, links = await asyncio.to_thread(_found, places)
    return {
        address: await asyncio.to_thread(_with_uplinks, one, links, ports(one.name)) for address, one in found.items()
    }


def _found(places: Mapping[PackedIp, str]) -> tuple[dict[PackedIp, Adapter], list[_Link]]:
    if not any(places.values()):
        return {}, []
    try:
        with IPRoute() as route:
            links = [_link(one) for one in route.get_links()]
            failed = {
                one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
                for one in route.get_addr()
                if (one.get_attr("IFA_FLAGS") or one["flags"]) & _DAD_FAILED
            }
    except NetlinkError as error:
        raise OSError(error.code, f"netlink: {error}") from error
    by_name = {one.name: one for one in links}
    there = ((address, by_name[name]) for address, name in places.items() if name in by_name)
    found = {at: Adapter(one.name, one.mac, one.mtu, ip_text(at) in failed) for at, one in there}
    return found, links


def _link(told: Any) -> _Link:
    info = told.get_attr("IFLA_LINKINFO")
    return _Link(
        name=told.get_attr("IFLA_IFNAME"),
        index=told["index"],
        mac=bytes.fromhex((told.get_attr("IFLA_ADDRESS") or "").replace(":", "")),
        mtu=told.get_attr("IFLA_MTU") or 0,
        kind=(info.get_attr("IFLA_INFO_KIND") if info is not None else "") or "",
        master=told.get_attr("IFLA_MASTER") or 0,
        on=told.get_attr("IFLA_LINK") or 0,
    )


def _with_uplinks(adapter: Adapter, links: list[_Link], ports: tuple[str, ...]) -> Adapter:
    uplinks = tuple(sorted(set(_below(adapter.name, links, ports))))
    each = [_features(name) for name in uplinks]
    told = [one for one in each if one is not None]
    offloads = frozenset.intersection(*told) if told and len(told) == len(each) else None
    return msgspec.structs.replace(adapter, uplinks=uplinks, offloads=offloads)


def _below(name: str, links: list[_Link], ports: tuple[str, ...] = (), depth: int = 0) -> Iterator[str]:
    """The adapters at the bottom: of a VLAN, a bond, a bridge, or an Open vSwitch bridge, whose guests have taps."""
    own = next(one for one in links if one.name == name)
    lower = [
        one.name
        for one in links
        if one.index != own.index
        and one.kind != _TAP
        and (one.master == own.index or one.name in ports or (own.kind in _ABOVE and one.index == own.on))
    ]
    if not lower or depth == _DEEPEST:
        yield name
        return
    for one_name in lower:
        yield from _below(one_name, links, (), depth + 1)


def _features(name: str) -> frozenset[str] | None:
    """Those of OFFLOADS that an adapter does now; None where it does not say."""
    try:
        with contextlib.closing(Ethtool()) as ethtool:
            features = ethtool.get_features(name).features
    except (OSError, NetlinkError, ValueError):
        return None
    return frozenset(one for one in OFFLOADS if one in features and features[one].enable)
