"""An agent that is older than its controller reads what it knows, and asks for the rest once it is newer."""

import msgspec
import pytest

from tests.unit.agent.policies import BLUE, HOSTS, host_records
from weft.agent.memory import Memory
from weft.agent.streams import Streams
from weft.model.records import TunnelEndpoint
from weft.wire.messages import Cursor, Delta, Full, Welcome
from weft.wire.unknown import decode

ONE, TWO = (TunnelEndpoint(address) for address in HOSTS.values())
NEWER = [999, "what", [1, 2], {"ever": b"x"}]


def raw(frame, *more, place=4):
    """The frame's bytes with records more in it that no version of today has."""
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(frame))
    plain[place] = [*plain[place], *more]
    return msgspec.msgpack.encode(plain)


@pytest.mark.parametrize("records", [(ONE, TWO), tuple(host_records("host1"))], ids=["network", "host"])
def test_a_record_of_an_unknown_tag_is_passed_over(records):
    for frame in (Full(BLUE, 7, 10, records), Delta(BLUE, 7, 10, records, ((4, b"x"), (999, 1)), True)):
        assert decode(msgspec.msgpack.encode(frame)).passed_over == 0
        read = decode(raw(frame, NEWER, NEWER))
        assert (read.records if isinstance(read, Full) else read.puts) == records
        assert read == msgspec.structs.replace(decode(msgspec.msgpack.encode(frame)), passed_over=2)


def test_members_more_at_the_end_of_a_record_or_frame_are_passed_over_and_nothing_is_missing():
    longer = [*msgspec.msgpack.decode(msgspec.msgpack.encode(ONE)), "more"]
    assert decode(raw(Full(BLUE, 7, 10, ()), longer)) == Full(BLUE, 7, 10, (ONE,))
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(Full(BLUE, 7, 10, (ONE,))))
    assert decode(msgspec.msgpack.encode([*plain, "more"])) == Full(BLUE, 7, 10, (ONE,))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode(["newer", 1]),
        msgspec.msgpack.encode(["full", 1]),
        msgspec.msgpack.encode(["full", 1, 2, 3, "records"]),
        raw(Full(BLUE, 7, 10, ()), [4]),
        raw(Full(BLUE, 7, 10, ()), "what"),
    ],
)
def test_what_makes_no_sense_is_an_error_still(data):
    with pytest.raises(msgspec.MsgspecError):
        decode(data)


def test_a_stream_that_is_known_in_part_is_followed_and_never_resumed(tmp_path):
    streams = Streams()
    for data in (
        msgspec.msgpack.encode(Welcome(1, "gen", "host1")),
        msgspec.msgpack.encode(Full(0, 1, 10, ())),
        msgspec.msgpack.encode(Full(BLUE, 1, 10, (ONE,))),
        raw(Delta(BLUE, 2, 11, (TWO,)), NEWER),
        msgspec.msgpack.encode(Delta(BLUE, 3, 12, (), (TWO.key,))),
    ):
        assert streams.take(decode(data))[1] is None
    assert streams.streams[BLUE].records == {ONE.key: ONE}
    memory = Memory(tmp_path)
    memory.rewrite(streams)
    memory.close()
    again = Streams()
    for frame in Memory(tmp_path).frames():
        again.take(frame)
    for known in (streams, again):
        for stream in known.streams.values():
            stream.applied = True
        assert known.cursors() == (Cursor(0, 10),)
