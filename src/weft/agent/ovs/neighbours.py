"""The next hop to another host: which interface, which address, which MAC. And telling a userspace switch about it.

Called by ovs/switch.py. A userspace tunnel drops the first packet to a next hop whose MAC it does not know, and learns
from ARP replies only. So every tunnel peer's MAC is set before any record points there, and again before it would age
out (15 minutes). The kernel resolves it: we send it a datagram and read its neighbour table. Linux only.
"""

import asyncio
import errno
import json
import os
import socket
from pathlib import Path

import msgspec
from pyroute2 import IPRoute

from weft.agent.switch import Peer
from weft.model.values import ip_text

RESOLVE_SECONDS = 0.3
_STEP_SECONDS = 0.02
_DISCARD = 9
"""A port that nobody minds a datagram to (RFC 863)."""
_NEWS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, rtnetlink(7)."""
_USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x80
"""NUD_REACHABLE, STALE, DELAY, PROBE, PERMANENT."""


class Hop(msgspec.Struct, frozen=True):
    """The first hop towards an address."""

    device: str
    index: int
    address: str


class Unreachable(Exception):
    """No route, or nobody answers for the next hop; the message says which."""


def hop_to(peer: Peer) -> Hop:
    """By the kernel's routes. Raises Unreachable."""
    remote, local = ip_text(peer.remote), ip_text(peer.local)
    family = socket.AF_INET if len(peer.remote) == 4 else socket.AF_INET6
    with IPRoute() as route:
        try:
            found = route.route("get", dst=remote, src=local, family=family)[0]
            index = found.get_attr("RTA_OIF")
            device = route.get_links(index)[0].get_attr("IFLA_IFNAME")
        except Exception as error:
            raise Unreachable(f"no route from {local} to {remote}: {error}") from error
    return Hop(device, index, found.get_attr("RTA_GATEWAY") or remote)


def known_mac(hop: Hop) -> str:
    """MAC of the hop in the kernel's neighbour table; empty if it is not known (yet)."""
    family = socket.AF_INET6 if ":" in hop.address else socket.AF_INET
    with IPRoute() as route:
        for entry in route.get_neighbours(family, ifindex=hop.index):
            if entry.get_attr("NDA_DST") == hop.address and entry["state"] & _USABLE:
                return str(entry.get_attr("NDA_LLADDR") or "")
    return ""


def ask_for(hop: Hop) -> None:
    """Make the kernel ask for the hop's MAC."""
    family = socket.AF_INET6 if ":" in hop.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as datagram:
        try:
            datagram.sendto(b"", (hop.address, _DISCARD))
        except OSError as error:
            if error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNREFUSED):
                raise


async def resolve(peer: Peer, patience: float) -> tuple[Hop, str]:
    """The first hop and its MAC, waiting `patience` seconds for an answer. Raises Unreachable."""
    hop = await asyncio.to_thread(hop_to, peer)
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    asked = False
    while not (mac := await asyncio.to_thread(known_mac, hop)):
        if not asked:
            asked = True
            ask_for(hop)
        if loop.time() > until:
            raise Unreachable(f"nobody answers for {hop.address} on {hop.device}")
        await asyncio.sleep(_STEP_SECONDS)
    return hop, mac


def link_news() -> socket.socket:
    """Becomes readable when an interface of this network namespace, an address of one or a route comes or goes."""
    news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    news.bind((0, _NEWS))
    return news


def drain(news: socket.socket) -> None:
    """Read all that waits. More than fits is lost (ENOBUFS), which is news too."""
    try:
        while news.recv(1 << 16):
            pass
    except OSError:
        return


def control_socket(rundir: Path) -> Path | None:
    """Where ovs-vswitchd takes commands; None while it does not run."""
    plain = rundir / "vswitchd.ctl"
    if plain.exists():
        return plain
    try:
        pid = (rundir / "ovs-vswitchd.pid").read_text().strip()
    except OSError:
        return None
    named = rundir / f"ovs-vswitchd.{pid}.ctl"
    return named if named.exists() else None


async def command(rundir: Path, method: str, *arguments: str) -> str:
    """What ovs-appctl does, without starting a process. Raises OSError, ValueError with the daemon's words."""
    path = control_socket(rundir)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(rundir / "vswitchd.ctl"))
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        writer.write(json.dumps({"method": method, "params": list(arguments), "id": 0}).encode())
        await writer.drain()
        answer = b""
        while chunk := await reader.read(1 << 16):
            answer += chunk
            try:
                reply = json.loads(answer)
                break
            except ValueError:
                continue
        else:
            raise ConnectionError("ovs-vswitchd hung up")
    finally:
        writer.close()
    if reply.get("error"):
        raise ValueError(str(reply["error"]).strip())
    return str(reply.get("result") or "")
