"""Asks the gateways that this host's networks use whether they are there: ICMP echo between provider addresses.

One that was found dead is asked by UDP instead, which its agent answers once its edges are ready; so each agent of a
gateway answers such questions.

Made by run.py for a host's plane, which says whom to ask. A dead controller changes nothing here. Where the host does
not let us (no CAP_NET_RAW) nobody is asked, and all count as alive.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable

from weft.agent.edge.pulses import MISSES, Pulses
from weft.agent.switch import Peer
from weft.model.values import PackedIp, ip_text

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
"""With MISSES a death is noticed within 1.25 s, and a gateway that is silent for less than a second is not taken for
dead."""
PORT = 8471
"""UDP, of the agents of gateways."""
_QUESTION = struct.Struct("!4sHH")
"""What is asked there, and answered as it came: a word, identifier, number."""
_WORD = b"WEFT"
_ECHO, _REPLY = 8, 0
_ECHO6, _REPLY6 = 128, 129
_HEAD = struct.Struct("!BBHHH")
"""ICMP: type, code, checksum, identifier, sequence number (RFC 792, RFC 4443)."""


class Probes:
    """Of one host. `changed` is called whenever a gateway has died or is back."""

    def __init__(self, identifier: int, changed: Callable[[], None], ready: Callable[[], bool]) -> None:
        """`identifier`, 16 bits, tells our echoes from others' on this host; `ready` says whether its edges are."""
        self.pulses = Pulses()
        self._peers: frozenset[Peer] = frozenset()
        self._identifier = identifier & 0xFFFF
        self._number = 0
        self._changed = changed
        self._sockets: dict[PackedIp, socket.socket] = {}
        self._ready = ready
        self._own: frozenset[PackedIp] = frozenset()
        self._doors: dict[PackedIp, socket.socket] = {}
        """UDP sockets, by which this host asks and is asked."""

    def ask(self, peers: Iterable[Peer], own: Iterable[PackedIp] = ()) -> None:
        """From now on these, and no others; `own` are the addresses at which this host is a gateway."""
        self._peers, self._own = frozenset(peers), frozenset(own)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                before = self.pulses.dead
                self.pulses.beat(peer.remote for peer in self._peers)
                self._number = (self._number + 1) & 0xFFFF
                for address in self._own:
                    self._answer_at(address, loop)
                for peer in self._peers:
                    self._send(peer, loop)
                self._close({peer.local for peer in self._peers} | self._own)
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
            if peer.remote in self.pulses.dead:
                question = _QUESTION.pack(_WORD, self._identifier, self._number)
                self._door(peer.local, loop).sendto(question, (ip_text(peer.remote), PORT))
                return
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

    def _answer_at(self, own: PackedIp, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._door(own, loop)
        except OSError as error:
            log.debug("UDP at %s: %s", ip_text(own), error)

    def _door(self, local: PackedIp, loop: asyncio.AbstractEventLoop) -> socket.socket:
        if local not in self._doors:
            door = socket.socket(socket.AF_INET if len(local) == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
            try:
                door.setblocking(False)
                door.bind((ip_text(local), PORT))
            except OSError:
                door.close()
                raise
            self._doors[local] = door
            loop.add_reader(door, self._hear, door)
        return self._doors[local]

    def _hear(self, door: socket.socket) -> None:
        """A question of another host, or the answer to one of ours: the same bytes, by whose identifier they bear."""
        before, reviving = self.pulses.dead, self.pulses.reviving
        try:
            while True:
                data, source = door.recvfrom(64)
                if len(data) != _QUESTION.size or not data.startswith(_WORD):
                    continue
                _, identifier, number = _QUESTION.unpack(data)
                if identifier == self._identifier and self._is_of_late(number):
                    self.pulses.heard(PackedIp(socket.inet_pton(door.family, source[0])))
                elif identifier != self._identifier and self._ready():
                    door.sendto(data, source)
        except OSError:
            pass
        if (self.pulses.dead, self.pulses.reviving) != (before, reviving):
            self._tell(before)

    def _read(self, channel: socket.socket) -> None:
        before, reviving = self.pulses.dead, self.pulses.reviving
        try:
            while True:
                data, (source, *_) = channel.recvfrom(2048)
                number = reply(data, channel.family == socket.AF_INET6, self._identifier)
                one = PackedIp(socket.inet_pton(channel.family, source))
                # whether its edges are ready, the kernel of one that was dead does not know
                if number is not None and self._is_of_late(number) and one not in self.pulses.dead:
                    self.pulses.heard(one)
        except OSError:
            pass
        if (self.pulses.dead, self.pulses.reviving) != (before, reviving):
            self._tell(before)

    def _is_of_late(self, number: int) -> bool:
        return (self._number - number) & 0xFFFF < MISSES

    def _close(self, kept: set[PackedIp]) -> None:
        for local in (self._sockets.keys() | self._doors.keys()) - kept:
            self._drop(local)

    def _drop(self, local: PackedIp) -> None:
        for channel in (self._sockets.pop(local, None), self._doors.pop(local, None)):
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


def reply(data: bytes, is_v6: bool, identifier: int) -> int | None:
    """The number of the request that this, as a raw socket gives it, answers; None if it answers none of ours."""
    start = 0 if is_v6 else (data[0] & 15) * 4 if data else 0
    if len(data) < start + _HEAD.size:
        return None
    kind, _, _, its, number = _HEAD.unpack_from(data, start)
    return int(number) if kind == (_REPLY6 if is_v6 else _REPLY) and its == identifier else None
