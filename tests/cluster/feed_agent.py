"""A model agent for tests of the feed: keeps streams as the messages say, acks what it took, asks again at a gap.

It has no switch. Its connection is a list of frames that a test delivers, holds back or loses.
"""

import asyncio

import msgspec

from weft.control.publisher import Publisher
from weft.control.session import Session
from weft.model.records import Record, RecordKey
from weft.wire.messages import (
    HANDS,
    PROTOCOL,
    Ack,
    Cursor,
    Delta,
    Dropped,
    Facts,
    Full,
    Hello,
    Insist,
    Isolate,
    MayRun,
    MayRunAnswer,
    Resend,
    ToAgent,
)

_decode = msgspec.msgpack.Decoder(ToAgent).decode


class FeedAgent:
    def __init__(self, server: str, hypervisor: str = "", name: str = ""):
        self.server = server
        self.hypervisor = hypervisor
        self.name = name or f"agent of {server}"
        self.generation = ""
        self.abilities: tuple[str, ...] = (HANDS,)
        self.streams: dict[int, dict[RecordKey, Record]] = {}
        self.cursors: dict[int, int] = {}
        self.sequences: dict[int, int] = {}
        self.inbox: list[tuple[int, bytes]] = []
        self.waiting: set[int] = set()
        """Streams whose full state was asked for."""
        self.lost: dict[int, int] = {}
        """By stream the number of the last frame that was lost, until a later full state makes up for it."""
        self._taken = 0
        self.fulls = 0
        self.bytes = 0
        self.session: Session | None = None
        self._publisher: Publisher | None = None
        self._task: asyncio.Task | None = None
        self.words: list[Isolate | Insist | MayRunAnswer] = []
        """What it was told for now only."""
        self.gate = asyncio.Event()
        self.gate.set()
        """Cleared, the connection takes no more frames: a slow agent."""

    @property
    def connected(self) -> bool:
        return self.session is not None and self.session.ended is None

    def connect(self, publisher: Publisher) -> None:
        """Raises FeedRefused."""
        self.inbox, self.sequences = [], {}
        self.waiting, self.lost = set(), {}
        cursors = tuple(Cursor(stream, revision) for stream, revision in self.cursors.items())
        hello = Hello(PROTOCOL, self.server, self.name, self.generation, cursors, self.hypervisor, self.abilities)
        session = publisher.attach(hello, self._take, 0.0)
        self.session, self._publisher = session, publisher
        self.generation = publisher.generation
        self._task = asyncio.get_running_loop().create_task(session.run())

    async def _take(self, frame: bytes) -> None:
        await self.gate.wait()
        self.bytes += len(frame)
        self._taken += 1
        self.inbox.append((self._taken, frame))

    async def disconnect(self) -> None:
        """Frames on the way are lost; the streams stay."""
        if self._publisher is not None and self.session is not None:
            self._publisher.detach(self.session)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.inbox, self.session, self._task = [], None, None

    def deliver(self, count: int = 1_000_000) -> None:
        """Take frames from the wire in their order, apply and ack them."""
        frames, self.inbox = self.inbox[:count], self.inbox[count:]
        applied = [ack for number, frame in frames if (ack := self._apply(number, _decode(frame))) is not None]
        if applied:
            self.say(Ack(tuple(applied)))

    def lose(self, position: int) -> None:
        if self.inbox:
            number, frame = self.inbox.pop(position % len(self.inbox))
            message = _decode(frame)
            if isinstance(message, Full | Delta | Dropped):
                self.lost[message.stream] = number

    def say(self, message: Ack | Resend | Facts | MayRun) -> None:
        if self.connected and self._publisher is not None and self.session is not None:
            self._publisher.received(self.session, message)

    def _apply(self, number: int, message: ToAgent) -> tuple[int, int, int] | None:
        match message:
            case Full(stream, sequence, revision, records):
                self.fulls += 1
                self.waiting.discard(stream)
                if self.lost.get(stream, 0) < number:
                    self.lost.pop(stream, None)
                self.streams[stream] = {record.key: record for record in records}
            case Delta(stream, sequence, revision, puts, removes, resumed):
                if not resumed and self.sequences.get(stream) != sequence - 1:
                    # only a full state mends it; asked for once
                    if stream not in self.waiting:
                        self.waiting.add(stream)
                        self.say(Resend(stream))
                    return None
                records = self.streams[stream]
                records.update({record.key: record for record in puts})
                for key in removes:
                    records.pop(key, None)
            case Dropped(stream):
                for held in (self.streams, self.cursors, self.sequences):
                    held.pop(stream, None)
                return None
            case _:
                # what is for now only counts in no stream
                self.words.append(message)
                return None
        self.sequences[stream], self.cursors[stream] = sequence, revision
        return stream, sequence, revision
