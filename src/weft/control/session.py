"""One agent's connection: what it has been told, what it has acked, what it says of its host.

Made by weft.control.publisher, driven by it and by its own sending task. Frames wait in a bounded queue; when it is
full they are thrown away and their streams marked "full state next", so a slow agent costs the writer nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from weft.control.fact_tables import FactTables
from weft.model.values import PackedIp
from weft.wire.messages import (
    HANDS,
    HOST_UNREACHABLE,
    Ack,
    Capture,
    CaptureEnd,
    Dropped,
    Facts,
    Hello,
    Insist,
    Isolate,
    MayRunAnswer,
)

log = logging.getLogger(__name__)

MAX_FRAMES = 2000
MAX_BYTES = 8 << 20

Send = Callable[[bytes], Awaitable[None]]
"""Hands one frame to the socket; returns when there is room for the next; raises when the connection is gone."""

_encode = msgspec.msgpack.Encoder().encode


class Frame(msgspec.Struct, frozen=True):
    """An encoded Full or Delta."""

    stream: int
    sequence: int
    revision: int
    bytes: bytes


class _Waiting(msgspec.Struct, frozen=True):
    frame: Frame
    ready_at: float


class _Stream(msgspec.Struct):
    full_next: bool = True
    outstanding: deque[tuple[int, int, int]] = msgspec.field(default_factory=deque)
    """(sequence, oldest revision in it, newest) of frames that are on their way and not acked."""
    acked: int = 0
    """Revision of the newest acked frame."""


class Session:
    """A live agent. `full` makes the full state of a stream as it is at the call."""

    def __init__(self, hello: Hello, server: str, send: Send, full: Callable[["Session", int], Frame]) -> None:
        self.server = server
        self.agent = hello.agent
        self.hypervisor = hello.hypervisor
        self.abilities = hello.abilities
        self.isolated = Isolate()
        """What its agent was last told to isolate."""
        self._words: deque[bytes] = deque()
        self.facts = Facts()
        self.tables = FactTables(self.facts)
        self.facts_heard = 0
        """How many Facts came; a flow that needs news compares."""
        self._facts_missing: int | None = 0
        self.host_sequence = 0
        self.delay_s = 0.0
        self.ended: str | None = None
        """Why the session is over; None while it lives."""
        self._send = send
        self._full = full
        self._streams: dict[int, _Stream] = {}
        self._dropped: dict[int, None] = {}
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()

    def say(self, message: Isolate | Insist | MayRunAnswer | Capture | CaptureEnd, ability: str = HANDS) -> bool:
        """Send what holds for now only, before what waits; whether the agent understands it."""
        if ability not in self.abilities:
            return False
        self._words.append(_encode(message))
        self._wake.set()
        return True

    def need(self, stream: int) -> None:
        """Begin a stream: its full state goes out next."""
        self._dropped.pop(stream, None)
        self._streams[stream] = _Stream()
        self._wake.set()

    def resume(self, frame: Frame, since: int) -> None:
        """Begin a stream that the agent has up to revision `since`; `frame` is all that came after it."""
        self._streams[frame.stream] = _Stream(full_next=False, acked=since)
        self._enqueue(frame, since + 1)

    def needs(self, stream: int) -> bool:
        return stream in self._streams

    def drop(self, stream: int) -> None:
        """End a stream and tell the agent."""
        self._streams.pop(stream, None)
        self._unqueue({stream})
        self._dropped[stream] = None
        self._wake.set()

    def resend(self, stream: int) -> None:
        """The agent saw a gap: the whole state of this stream again, of no other."""
        state = self._streams.get(stream)
        if state is not None:
            self._unqueue({stream})
            state.full_next = True
            self._wake.set()

    def push(self, frame: Frame) -> None:
        """Queue a delta, unless the stream's full state is still to come and will hold it."""
        state = self._streams.get(frame.stream)
        if state is None or state.full_next:
            return
        if len(self._queue) >= MAX_FRAMES or self._queued_bytes + len(frame.bytes) > MAX_BYTES:
            self._overflow()
            state.full_next = True
            return
        self._enqueue(frame, frame.revision)

    def _enqueue(self, frame: Frame, oldest: int) -> None:
        self._streams[frame.stream].outstanding.append((frame.sequence, oldest, frame.revision))
        ready_at = asyncio.get_running_loop().time() + self.delay_s
        self._queue.append(_Waiting(frame, ready_at))
        self._queued_bytes += len(frame.bytes)
        self._wake.set()

    def _overflow(self) -> None:
        behind = {waiting.frame.stream for waiting in self._queue}
        self._unqueue(behind)
        for stream in behind:
            self._streams[stream].full_next = True
        log.info("agent of %s is slow: %d streams get their full state next", self.server, len(behind))

    def _unqueue(self, streams: set[int]) -> None:
        gone = {(w.frame.stream, w.frame.sequence) for w in self._queue if w.frame.stream in streams}
        if not gone:
            return
        self._queue = deque(w for w in self._queue if w.frame.stream not in streams)
        self._queued_bytes = sum(len(w.frame.bytes) for w in self._queue)
        for stream in streams & self._streams.keys():
            state = self._streams[stream]
            state.outstanding = deque(o for o in state.outstanding if (stream, o[0]) not in gone)

    async def run(self) -> None:
        """Send until the session ends or the connection breaks (then raises what `send` raised)."""
        loop = asyncio.get_running_loop()
        while self.ended is None:
            due = self._next(loop.time())
            if due is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            data, ready_at = due
            if ready_at > loop.time():
                await asyncio.sleep(ready_at - loop.time())
            await self._send(data)

    def _next(self, now: float) -> tuple[bytes, float] | None:
        """Deltas in order first, then the streams that ended, then full states, made as late as this."""
        if self._words:
            return self._words.popleft(), now + self.delay_s
        if self._queue:
            waiting = self._queue.popleft()
            self._queued_bytes -= len(waiting.frame.bytes)
            return waiting.frame.bytes, waiting.ready_at
        for stream in self._dropped:
            del self._dropped[stream]
            return _encode(Dropped(stream)), now + self.delay_s
        for stream, state in self._streams.items():
            if state.full_next:
                frame = self._full(self, stream)
                state.full_next = False
                state.outstanding.append((frame.sequence, state.acked + 1, frame.revision))
                return frame.bytes, now + self.delay_s
        return None

    def end(self, reason: str) -> None:
        """The session is over; run() returns."""
        if self.ended is None:
            self.ended = reason
            self._wake.set()

    def acked(self, ack: Ack) -> None:
        """Take in what was applied. What a stream was acked for before it was dropped and begun anew does not count."""
        for stream, sequence, revision in ack.applied:
            state = self._streams.get(stream)
            if state is None:
                continue
            while state.outstanding and _is_covered(state.outstanding[0], sequence, revision):
                state.outstanding.popleft()
                state.acked = max(state.acked, revision)

    def heard(self, facts: Facts) -> None:
        self.facts = facts = _sharing(self.facts, facts)
        self.tables = FactTables(facts)
        self.facts_heard += 1
        self._facts_missing = self.missing()

    @property
    def taken(self) -> dict[PackedIp, str]:
        """Provider addresses that the host does not use since others have them, with whose they are."""
        told = self.facts.provider
        return {one.provider_address: one.mac for one in told.holders if not one.used} if told is not None else {}

    @property
    def silence(self) -> str:
        """Why nothing is known of its host's machines: its hypervisor does not answer the agent, and what stands in the
        facts is of before. Empty if it answers."""
        return next((one.message for one in self.facts.problems if one.code == HOST_UNREACHABLE), "")

    def facts_cover(self, revision: int) -> bool:
        """Were the newest facts told after the host had applied everything up to `revision`?"""
        return self._facts_missing is None or self._facts_missing > revision

    def missing(self) -> int | None:
        """The oldest revision that the host may not have applied; None if it has all."""
        lacking = [
            state.acked + 1 if state.full_next else state.outstanding[0][1]
            for state in self._streams.values()
            if state.full_next or state.outstanding
        ]
        return min(lacking, default=None)


def _sharing(before: Facts, facts: Facts) -> Facts:
    """The same report, whose members are the values of before where they are equal: they are kept once, and who has
    looked at them sees that at a glance."""
    names = ("machines", "ports", "seen", "hypervisor")
    known = {name: value for name in names if (value := getattr(before, name)) == getattr(facts, name)}
    return msgspec.structs.replace(facts, **known)


def _is_covered(frame: tuple[int, int, int], sequence: int, revision: int) -> bool:
    return frame[0] <= sequence and frame[2] <= revision
