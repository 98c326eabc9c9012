"""What goes out on the feed, encoded: deltas and full states of hosts and networks, numbered.

Kept by weft.control.publisher. A network's frame is encoded once, for all who need it. Each stream's sequence is dense,
so that an agent sees a loss by counting.
"""

from collections.abc import Iterable

import msgspec

from weft.control.session import Frame, Session
from weft.core import policy
from weft.core.state import State
from weft.model.records import Record, RecordKey
from weft.wire.messages import HOST_STREAM, Delta, Full

_encode = msgspec.msgpack.Encoder().encode


class Frames:
    """Of the state as it is at each call."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.sequences: dict[int, int] = {}
        """Of networks with subscribers. They begin at the revision, so that one that ends and begins again goes on."""
        self._fulls: dict[int, Frame] = {}

    def begin(self, rdid: int) -> None:
        """A network has subscribers."""
        self.sequences.setdefault(rdid, self._state.revision)

    def end(self, rdid: int) -> None:
        """It has none any more."""
        self.sequences.pop(rdid, None)
        self._fulls.pop(rdid, None)

    def forget(self, rdid: int) -> None:
        """The network has changed: its full state is encoded anew when it is asked for."""
        self._fulls.pop(rdid, None)

    def forget_all(self) -> None:
        self._fulls.clear()

    def of_network(self, rdid: int, keys: set[RecordKey]) -> Frame:
        """The next delta of a network, the same for all its subscribers."""
        self.sequences[rdid] += 1
        return self._delta((policy.NETWORK, rdid), self.sequences[rdid], keys)

    def of_host(self, session: Session, keys: set[RecordKey]) -> Frame:
        """The next delta of a host's own stream."""
        session.host_sequence += 1
        return self._delta((policy.HOST, session.server), session.host_sequence, keys)

    def missed(self, session: Session, stream: int, keys: set[RecordKey]) -> Frame:
        """What one agent that comes back lacks of a stream."""
        sequence = session.host_sequence if stream == HOST_STREAM else self.sequences[stream]
        return self._delta(named(session, stream), sequence, keys, resumed=True)

    def full(self, session: Session, stream: int) -> Frame:
        if stream != HOST_STREAM:
            return self._network_full(stream)
        records = policy.host_stream(self._state, session.server)
        return self._frame(stream, session.host_sequence, records.values())

    def _network_full(self, rdid: int) -> Frame:
        """One encoding for all who need it until the network changes: after a restart everybody asks at once."""
        frame = self._fulls.get(rdid)
        if frame is None:
            records = policy.network_stream(self._state, rdid)
            frame = self._frame(rdid, self.sequences[rdid], records.values())
            self._fulls[rdid] = frame
        return frame

    def _frame(self, stream: int, sequence: int, records: Iterable[Record]) -> Frame:
        revision = self._state.revision
        return Frame(stream, sequence, revision, _encode(Full(stream, sequence, revision, tuple(records))))

    def _delta(self, stream: policy.Stream, sequence: int, keys: set[RecordKey], resumed: bool = False) -> Frame:
        puts: list[Record] = []
        removes: list[RecordKey] = []
        for key, record in policy.records(self._state, stream, sorted(keys, key=_order)).items():
            if record is None:
                removes.append(key)
            else:
                puts.append(record)
        number = _number(stream)
        revision = self._state.revision
        delta = Delta(number, sequence, revision, tuple(puts), tuple(removes), resumed)
        return Frame(number, sequence, revision, _encode(delta))


def named(session: Session, stream: int) -> policy.Stream:
    """A stream of a session, as the policy names it."""
    return (policy.HOST, session.server) if stream == HOST_STREAM else (policy.NETWORK, stream)


def _number(stream: policy.Stream) -> int:
    kind, name = stream
    return HOST_STREAM if kind == policy.HOST else int(name)


def _order(key: RecordKey) -> int:
    return int(key[0])
