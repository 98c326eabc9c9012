"""Captures of packets that the controller asked for: reads a tap on a port's device and sends what came by.

Kept by agent.py, one per agent. Bounded: so many captures at once, so many packets and bytes a second, and no more than
the connection takes; what is passed over is counted and noted in the capture. Nothing outlives the connection, and a
tap is a socket: nothing outlives the process.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from weft.agent.bindings import Local
from weft.core import pcap
from weft.core.packet_filter import Filter, read_filter
from weft.model.errors import Invalid
from weft.wire.messages import Capture, Captured, CaptureEnd

log = logging.getLogger(__name__)

MOST_AT_ONCE = 4
TURN_SECONDS = 0.05
PACKETS_A_TURN, BYTES_A_TURN = 500, 256 << 10
"""Read in one turn; the rest waits in the kernel's buffer and is lost there when that is full."""
MOST_WAITING = 64
"""Messages to the controller that may wait before packets are passed over: facts go the same way."""
MOST_BYTES = 256 << 20


class Seen(msgspec.Struct, frozen=True):
    """A packet that came by, in either direction."""

    seconds: int
    microseconds: int
    content: bytes
    length: int


class Tap(Protocol):
    """Sees every packet of a device from its opening on."""

    def read(self) -> Seen | None:
        """The next one that waits; None if none does. Raises OSError when the device has gone."""
        ...

    def lost(self) -> int:
        """Packets that did not fit in since this was last asked."""
        ...

    def close(self) -> None: ...


OpenTap = Callable[[str, int], Tap]
"""Of a device, for so many bytes of each packet. Raises OSError."""


class Captures:
    """One agent's. `say` sends to the controller, `waiting` counts what has not gone yet, `locals_of` gives the ports
    by instance id; without `open_tap` nothing can be captured here."""

    def __init__(
        self,
        say: Callable[[Captured], None],
        waiting: Callable[[], int],
        locals_of: Callable[[], Mapping[str, Local]],
        open_tap: OpenTap | None,
    ) -> None:
        self._say = say
        self._waiting = waiting
        self._locals = locals_of
        self._open = open_tap
        self._running: dict[int, asyncio.Task[None]] = {}

    def hear(self, message: Capture | CaptureEnd) -> None:
        """Begin one, or end one."""
        if isinstance(message, CaptureEnd):
            task = self._running.get(message.number)
            if task is not None:
                task.cancel()
            return
        task = asyncio.create_task(
            self._run(message, len(self._running) < MOST_AT_ONCE), name=f"capture {message.number}"
        )
        self._running[message.number] = task
        task.add_done_callback(lambda _: self._running.pop(message.number, None))

    async def close(self) -> None:
        """End them all: nobody listens any more."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, asked: Capture, has_place: bool) -> None:
        failure = ""
        try:
            if not has_place:
                raise OSError(f"{MOST_AT_ONCE} captures run on this host already: end one")
            chosen = read_filter(asked.filter)
            with contextlib.closing(self._tap(asked)) as tap:
                self._say(Captured(asked.number))
                await self._copy(asked, tap, chosen)
        except (OSError, Invalid) as error:
            failure = str(error)
        self._say(Captured(asked.number, ended=True, failure=failure))

    def _tap(self, asked: Capture) -> Tap:
        if self._open is None:
            raise OSError("this host's packets cannot be read from here: use its own tools (pktmon on Hyper-V)")
        return self._open(self._device(asked.instance_id), asked.snap)

    def _device(self, instance_id: str) -> str:
        local = self._locals().get(instance_id)
        if local is None or local.port is None:
            why = local.reason if local is not None else ""
            raise OSError(why or "it has no port on this host: does its machine run?")
        return local.port.name

    async def _copy(self, asked: Capture, tap: Tap, chosen: Filter) -> None:
        """Until a bound is reached, or the device has gone, which the capture's last record says."""
        loop = asyncio.get_running_loop()
        until, device = loop.time() + asked.seconds, self._device(asked.instance_id)
        copy = _Copy(asked, chosen)
        try:
            while loop.time() < until and not copy.is_full:
                content = copy.turn(tap, self._waiting() <= MOST_WAITING)
                if content:
                    self._say(Captured(asked.number, content))
                if not copy.is_full:
                    await asyncio.sleep(TURN_SECONDS)
                if self._device(asked.instance_id) != device:
                    raise OSError("its port is another one now: its machine has started anew")
        except OSError as error:
            why = error.strerror or str(error)
            self._say(Captured(asked.number, copy.note(f"the capture ended early: {why}")))


class _Copy:
    """What one capture has kept so far."""

    def __init__(self, asked: Capture, chosen: Filter) -> None:
        self._most = asked.packets
        self._chosen = chosen
        self._kept = self._size = self._passed = 0
        self._last = (0, 0)

    @property
    def is_full(self) -> bool:
        return self._size >= MOST_BYTES or bool(self._most and self._kept == self._most)

    def note(self, text: str) -> bytes:
        return pcap.note(*self._last, f"weft: {text}".encode("ascii", "replace").decode())

    def turn(self, tap: Tap, has_room: bool) -> bytes:
        """The records of what came by since the last turn; without room it is counted only."""
        content = bytearray()
        for packet in _waiting_in(tap):
            self._last = packet.seconds, packet.microseconds
            if not self._chosen(packet.content):
                continue
            if not has_room:
                self._passed += 1
                continue
            content += pcap.record(*self._last, packet.content, packet.length)
            self._kept += 1
            if self.is_full:
                break
        self._passed += tap.lost()
        if self._passed and has_room:
            content += self.note(f"{self._passed} packets passed over before this")
            self._passed = 0
        self._size += len(content)
        return bytes(content)


def _waiting_in(tap: Tap) -> list[Seen]:
    found: list[Seen] = []
    size = 0
    while len(found) < PACKETS_A_TURN and size < BYTES_A_TURN:
        packet = tap.read()
        if packet is None:
            break
        found.append(packet)
        size += len(packet.content)
    return found
