"""Addresses of the host's own interfaces: what is there, and how provider addresses are put there. Linux only.

Called by ovs/host_side.py. What an agent put there bears a protocol number of ours (IFA_PROTO, rtnetlink(7)), by which
any later agent knows it; `ip address` shows it as proto 0x77.
"""

import ipaddress
import socket
from pathlib import Path
from typing import Any

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from weft.agent.announcements import frames_of
from weft.agent.kernel import index_of
from weft.agent.kernel_messages import Request, message
from weft.agent.ovs.kernel_tables import kernel_tables
from weft.agent.switch import HostAddress
from weft.model.values import Mac, PackedIp, ip_text

PROTOCOL = 0x77
"""w. Kernels before 5.18 keep no such mark: there what was put stays until somebody takes it off."""
_LINK_LOCAL, _HOST = 253, 254
"""Scopes, rtnetlink(7)."""
_TENTATIVE = 0x40
_DAD_FAILED = 0x08
_IPV4, _IPV6 = 2, 10


def found() -> tuple[HostAddress, ...]:
    """All addresses but loopback and link-local ones. Raises OSError."""
    with kernel_tables() as tables:
        links = {one["index"]: one for one in tables.get_links()}
        every = [one for one in tables.get_addr() if one["scope"] not in (_LINK_LOCAL, _HOST)]
    return tuple(sorted((_read(one, links[one["index"]]) for one in every if one["index"] in links), key=_order))


def to_put(wanted: HostAddress) -> Request:
    """Add it with our mark. Raises OSError: there is no such interface."""
    return _request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, wanted, [("IFA_PROTO", PROTOCOL)])


def to_take(wanted: HostAddress) -> Request:
    """Raises OSError: there is no such interface."""
    return _request(RTM_DELADDR, 0, wanted, [])


def keep_others(wanted: HostAddress) -> None:
    """Without this the kernel takes the other addresses of a prefix away with its first. Raises OSError."""
    Path(f"/proc/sys/net/ipv4/conf/{wanted.device}/promote_secondaries").write_text("1")


def _request(kind: int, flags: int, wanted: HostAddress, more: list[tuple[str, Any]]) -> Request:
    text = ip_text(wanted.address)
    head = {
        "family": _IPV4 if len(wanted.address) == 4 else _IPV6,
        "prefixlen": wanted.prefix_length,
        "index": index_of(wanted.device),
    }
    attributes = [("IFA_LOCAL", text), ("IFA_ADDRESS", text), *more]
    return Request(kind, flags, message(ifaddrmsg, head, attributes), f"{text} on {wanted.device}")


def announce(wanted: HostAddress) -> None:
    """RFC 5227 section 2.3: an address that was another host's an hour ago may still be known at that one's MAC. The
    kernel announces none by itself; of IPv6 addresses neighbours find out as they use them (RFC 4861 section 7.3).
    Raises OSError."""
    if len(wanted.address) != 4:
        return
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((wanted.device, 0))
        for frame in frames_of(wanted.address, Mac(int.from_bytes(wire.getsockname()[4]))):
            wire.send(frame)


def _read(one: Any, link: Any) -> HostAddress:
    text = one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
    flags = one.get_attr("IFA_FLAGS") or one["flags"]
    return HostAddress(
        address=PackedIp(ipaddress.ip_address(text).packed),
        prefix_length=one["prefixlen"],
        device=link.get_attr("IFLA_IFNAME"),
        mtu=link.get_attr("IFLA_MTU"),
        ours=one.get_attr("IFA_PROTO") == PROTOCOL,
        ready=not flags & (_TENTATIVE | _DAD_FAILED),
    )


def _order(one: HostAddress) -> tuple[int, bytes]:
    return len(one.address), one.address
