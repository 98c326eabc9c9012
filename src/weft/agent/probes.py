"""Asks the gateways that this host's networks use whether they are there: ICMP echo between provider addresses.

Made by run.py for a host's plane, which says whom to ask. A dead controller changes nothing here. Where the host does
not let us (no CAP_NET_RAW) nobody is asked, and all count as alive.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable

from weft.agent.pulses import Pulses
from weft.agent.switch import Peer
from weft.model.values import PackedIp, ip_text

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.5
_ECHO, _REPLY = 8, 0
_ECHO6, _REPLY6 = 128, 129
_HEAD = struct.Struct("!BBHHH")
"""ICMP: type, code, checksum, identifier, sequence number (RFC 792, RFC 4443)."""


class Probes:
    """Of one host. `changed` is called whenever a gateway has died or is back."""

    def __init__(self, identifier: int, changed: Callable[[], None]) -> None:
        """`identifier`, 16 bits, tells our echoes from others' on this host."""
        self.pulses = Pulses()
        self._peers: frozenset[Peer] = frozenset()
        self._identifier = identifier & 0xFFFF
        self._number = 0
        self._changed = changed
        self._sockets: dict[PackedIp, socket.socket] = {}

    def ask(self, peers: Iterable[Peer]) -> None:
        """From now on these, and no others."""
        self._peers = frozenset(peers)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                before = self.pulses.dead
                self.pulses.beat(peer.remote for peer in self._peers)
                self._number = (self._number + 1) & 0xFFFF
                for peer in self._peers:
                    self._send(peer, loop)
                self._close({peer.local for peer in self._peers})
                if self.pulses.dead != before:
                    self._tell(before)
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            self._close(set())

    def _tell(self, before: frozenset[PackedIp]) -> None:
        for one in self.pulses.dead - before:
            log.warning("gateway %s does not answer", ip_text(one))
        for one in before - self.pulses.dead:
            log.info("gateway %s answers again", ip_text(one))
        self._changed()

    def _send(self, peer: Peer, loop: asyncio.AbstractEventLoop) -> None:
        try:
            channel = self._sockets.get(peer.local) or self._open(peer.local, loop)
            channel.sendto(echo(len(peer.remote) == 16, self._identifier, self._number), (ip_text(peer.remote), 0))
        except PermissionError:
            # not asked is alive
            self.pulses.heard(peer.remote)
        except OSError as error:
            log.debug("echo to %s: %s", ip_text(peer.remote), error)
            # the address may have gone with its interface, and come again
            self._drop(peer.local)

    def _open(self, local: PackedIp, loop: asyncio.AbstractEventLoop) -> socket.socket:
        family = socket.AF_INET if len(local) == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if len(local) == 4 else socket.IPPROTO_ICMPV6
        channel = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        try:
            channel.bind((ip_text(local), 0))
        except OSError:
            channel.close()
            raise
        self._sockets[local] = channel
        loop.add_reader(channel, self._read, channel)
        return channel

    def _read(self, channel: socket.socket) -> None:
        before, reviving = self.pulses.dead, self.pulses.reviving
        try:
            while True:
                data, (source, *_) = channel.recvfrom(2048)
                if is_reply(data, channel.family == socket.AF_INET6, self._identifier, self._number):
                    self.pulses.heard(PackedIp(socket.inet_pton(channel.family, source)))
        except OSError:
            pass
        if (self.pulses.dead, self.pulses.reviving) != (before, reviving):
            self._tell(before)

    def _close(self, kept: set[PackedIp]) -> None:
        for local in self._sockets.keys() - kept:
            self._drop(local)

    def _drop(self, local: PackedIp) -> None:
        channel = self._sockets.pop(local, None)
        if channel is not None:
            asyncio.get_running_loop().remove_reader(channel)
            channel.close()


def echo(is_v6: bool, identifier: int, number: int) -> bytes:
    """An echo request without data. The kernel sums up ICMPv6 itself."""
    if is_v6:
        return _HEAD.pack(_ECHO6, 0, 0, identifier, number)
    total = (_ECHO << 8) + identifier + number
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return _HEAD.pack(_ECHO, 0, ~total & 0xFFFF, identifier, number)


def is_reply(data: bytes, is_v6: bool, identifier: int, number: int) -> bool:
    """Is this, as a raw socket gives it, the answer to that request?"""
    start = 0 if is_v6 else (data[0] & 15) * 4 if data else 0
    if len(data) < start + _HEAD.size:
        return False
    kind, _, _, its, sequence = _HEAD.unpack_from(data, start)
    return kind == (_REPLY6 if is_v6 else _REPLY) and (its, sequence) == (identifier, number)
