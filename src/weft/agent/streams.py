"""What the controller has told this host: one set of records per stream, and how far each has been followed. Pure.

Called by agent.py for every frame, and by memory.py when a restarted agent reads its frames again. A gap in a stream's
sequence is loss: nothing of the frame is taken and the stream is asked for anew, no other.
"""

from collections.abc import Iterator

import msgspec

from weft.model.records import NeededNetwork, Record, RecordKey
from weft.wire.messages import HOST_STREAM, Cursor, Delta, Dropped, Full, Welcome

Change = tuple[int, RecordKey, Record | None]
"""Stream, key, and the record as it is now; None when it is gone."""

Frame = Welcome | Full | Delta | Dropped


class Stream(msgspec.Struct):
    """One stream as received."""

    records: dict[RecordKey, Record]
    revision: int
    sequence: int | None
    """Of the last frame on this connection; None until the first."""
    lost: bool = False
    """A gap was seen; only a full state helps."""
    applied: bool = False
    """Everything received has been confirmed by the switch."""
    passed_over: int = 0
    """Records that this version, or the one before it on this host, did not know and has not kept."""


class Streams:
    """All streams of this host."""

    def __init__(self) -> None:
        self.generation = ""
        self.server = ""
        self.streams: dict[int, Stream] = {}

    @property
    def complete(self) -> bool:
        """Is the whole of this host's policy here? Before that nothing may be swept."""
        host = self.streams.get(HOST_STREAM)
        return host is not None and all(rdid in self.streams for rdid in _needed(host))

    def cursors(self) -> tuple[Cursor, ...]:
        """What the switch has; a stream that was received but not applied, or not known in all its records, is asked
        for from the start."""
        return tuple(
            Cursor(number, stream.revision)
            for number, stream in sorted(self.streams.items())
            if stream.applied and not stream.lost and not stream.passed_over
        )

    def reconnected(self) -> None:
        """A new connection counts its frames anew."""
        for stream in self.streams.values():
            stream.sequence = None

    def take(self, frame: Frame) -> tuple[list[Change], int | None]:
        """Take a frame in. Returns what changed, and the stream to ask for anew if something was lost."""
        match frame:
            case Welcome():
                self.generation, self.server = frame.generation, frame.server
                return [], None
            case Full():
                return [*self._full(frame), *self._unneeded(frame)], None
            case Delta():
                stream = self.streams.get(frame.stream)
                if stream is None or stream.lost or not _follows(stream, frame):
                    if stream is not None:
                        stream.lost = True
                    return [], frame.stream
                return [*_delta(stream, frame), *self._unneeded(frame)], None
            case Dropped():
                return list(self._drop(frame.stream)), None

    def _full(self, frame: Full) -> Iterator[Change]:
        before = self.streams.get(frame.stream)
        old = before.records if before else {}
        records: dict[RecordKey, Record] = {record.key: record for record in frame.records}
        self.streams[frame.stream] = Stream(records, frame.revision, frame.sequence, passed_over=frame.passed_over)
        for key, record in records.items():
            if old.get(key) != record:
                yield frame.stream, key, record
        for key in old:
            if key not in records:
                yield frame.stream, key, None

    def _unneeded(self, frame: Full | Delta) -> Iterator[Change]:
        """Networks that the host stream no longer names.

        Their Dropped follows, but not always: a connection may break before it, and a stream that was received and not
        applied is in no Hello from which the controller could learn that it is still here.
        """
        if frame.stream == HOST_STREAM:
            needed = {HOST_STREAM, *_needed(self.streams[HOST_STREAM])}
            for number in self.streams.keys() - needed:
                yield from self._drop(number)

    def _drop(self, number: int) -> Iterator[Change]:
        stream = self.streams.pop(number, None)
        if stream is not None:
            for key in stream.records:
                yield number, key, None


def _needed(host: Stream) -> list[int]:
    return [record.rdid for record in host.records.values() if isinstance(record, NeededNetwork)]


def _follows(stream: Stream, frame: Delta) -> bool:
    return frame.resumed or (stream.sequence is not None and frame.sequence == stream.sequence + 1)


def _delta(stream: Stream, frame: Delta) -> Iterator[Change]:
    stream.sequence, stream.revision, stream.applied = frame.sequence, frame.revision, False
    stream.passed_over += frame.passed_over
    for key in frame.removes:
        # MessagePack knows no tuples: a key from the wire must equal one from a record
        name = tuple(key)
        if stream.records.pop(name, None) is not None:
            yield frame.stream, name, None
    for record in frame.puts:
        if stream.records.get(record.key) != record:
            stream.records[record.key] = record
            yield frame.stream, record.key, record
