"""Addresses of the host's own interfaces: what is there, and putting provider addresses there. Linux only.

Called by ovs/host_side.py. What an agent put there bears a protocol number of ours (IFA_PROTO, rtnetlink(7)), by which
any later agent knows it; `ip address` shows it as proto 0x77.
"""

import errno
import ipaddress
import socket
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from weft.agent.announcements import frames_of
from weft.agent.ovs.netlink import rtnetlink
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
    with rtnetlink() as route:
        links = {one["index"]: one for one in route.get_links()}
        every = [one for one in route.get_addr() if one["scope"] not in (_LINK_LOCAL, _HOST)]
    return tuple(sorted((_read(one, links[one["index"]]) for one in every if one["index"] in links), key=_order))


def put(wanted: HostAddress) -> None:
    """Add it with our mark, and tell those who knew it elsewhere; nothing if it is there. Raises OSError."""
    try:
        with rtnetlink() as route:
            route.addr("add", **_words(route, wanted), proto=PROTOCOL)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
    if len(wanted.address) == 4:
        _announce(wanted)


def _announce(wanted: HostAddress) -> None:
    """RFC 5227 section 2.3: an address that was another host's an hour ago may still be known at that one's MAC. The
    kernel announces none by itself; of IPv6 addresses neighbours find out as they use them (RFC 4861 section 7.3)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((wanted.device, 0))
        for frame in frames_of(wanted.address, Mac(int.from_bytes(wire.getsockname()[4]))):
            wire.send(frame)


def take(wanted: HostAddress) -> None:
    """Remove it; nothing if it is gone. Raises OSError."""
    _keep_others(wanted.device)
    with rtnetlink() as route:
        words = _words(route, wanted)
        try:
            route.addr("del", **words)
        except NetlinkError as error:
            if error.code not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise


def _keep_others(device: str) -> None:
    """Without this the kernel takes the other addresses of a prefix away with its first."""
    Path(f"/proc/sys/net/ipv4/conf/{device}/promote_secondaries").write_text("1")


def _words(route: IPRoute, wanted: HostAddress) -> dict[str, object]:
    indexes = route.link_lookup(ifname=wanted.device)
    if not indexes:
        raise OSError(errno.ENODEV, f"there is no interface {wanted.device}")
    family = _IPV4 if len(wanted.address) == 4 else _IPV6
    return {
        "index": indexes[0],
        "address": ip_text(wanted.address),
        "prefixlen": wanted.prefix_length,
        "family": family,
    }


def _read(one, link) -> HostAddress:  # type: ignore[no-untyped-def]
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
