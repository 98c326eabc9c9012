"""ICMP echo between provider addresses: is a host there at all? Called by ovs/plane.py when no tunnel reaches it."""

import asyncio
import os
import socket
import struct

from weft.model.values import PackedIp, ip_text

PATIENCE_SECONDS = 1.0
TRIES = 2
_HEAD = struct.Struct("!BBHHH")
_V4, _V6 = (8, 0), (128, 129)
"""Types of request and reply: RFC 792, RFC 4443 section 4."""


async def is_there(local: PackedIp, remote: PackedIp) -> bool:
    """Whether an echo comes back. False too where it cannot be sent."""
    for number in range(TRIES):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await _ask(local, remote, number)
        except TimeoutError:
            continue
        except OSError:
            return False
    return False


async def _ask(local: PackedIp, remote: PackedIp, number: int) -> bool:
    is_v6 = len(remote) == 16
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if is_v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    own = os.getpid() & 0xFFFF
    with socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol) as channel:
        channel.bind((ip_text(local), 0))
        channel.connect((ip_text(remote), 0))
        channel.send(echo(is_v6, own, number))
        while True:
            said = await asyncio.get_running_loop().sock_recv(channel, 2048)
            if _is_reply(said, is_v6, own, number):
                return True


def echo(is_v6: bool, own: int, number: int) -> bytes:
    """A request without data. The kernel sums up ICMPv6 itself."""
    request = _HEAD.pack((_V6 if is_v6 else _V4)[0], 0, 0, own, number)
    total = sum(struct.unpack("!4H", request))
    total = (total & 0xFFFF) + (total >> 16)
    return request if is_v6 else request[:2] + (~total & 0xFFFF).to_bytes(2) + request[4:]


def _is_reply(said: bytes, is_v6: bool, own: int, number: int) -> bool:
    """IPv4 comes with its header."""
    at = 0 if is_v6 else 4 * (said[0] & 15) if said else 0
    if len(said) < at + _HEAD.size:
        return False
    kind, _, _, whose, which = _HEAD.unpack_from(said, at)
    return (kind, whose, which) == ((_V6 if is_v6 else _V4)[1], own, number)
