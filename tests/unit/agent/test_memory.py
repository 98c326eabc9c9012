"""The agent's file: what was written is read again, whatever happened to its end."""

import msgspec
import pytest

from tests.unit.agent.policies import BLUE, HOSTS
from weft.agent.memory import Memory
from weft.agent.streams import Streams
from weft.model.records import TunnelEndpoint
from weft.wire.messages import Delta, Full, Welcome

ONE, TWO = (TunnelEndpoint(address) for address in HOSTS.values())


def read(folder):
    streams = Streams()
    for frame in Memory(folder).frames():
        streams.take(frame)
    return streams


@pytest.fixture
def written(tmp_path):
    streams = Streams()
    streams.take(Welcome(1, "gen", "host1"))
    streams.take(Full(BLUE, 7, 10, (ONE,)))
    memory = Memory(tmp_path)
    memory.rewrite(streams)
    yield memory
    memory.close()


def test_nothing_is_remembered_at_first(tmp_path):
    assert list(Memory(tmp_path / "new").frames()) == []


def test_the_state_and_the_frames_after_it_are_remembered(written, tmp_path):
    written.append(msgspec.msgpack.encode(Delta(BLUE, 0, 11, (TWO,), resumed=True)))
    streams = read(tmp_path)
    assert (streams.generation, streams.server) == ("gen", "host1")
    assert streams.streams[BLUE].records == {ONE.key: ONE, TWO.key: TWO}
    assert streams.streams[BLUE].revision == 11


def test_deltas_count_on_from_the_rewritten_state(written, tmp_path):
    """The file is also rewritten in the middle of a connection, whose frames go on counting."""
    written.append(msgspec.msgpack.encode(Delta(BLUE, 8, 11, (TWO,))))
    assert read(tmp_path).streams[BLUE].records == {ONE.key: ONE, TWO.key: TWO}


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_end_loses_the_last_frame_only(written, tmp_path, cut):
    before = (tmp_path / "policy").read_bytes()
    written.append(msgspec.msgpack.encode(Delta(BLUE, 8, 11, (TWO, TunnelEndpoint(b"\1" * 16)))))
    data = (tmp_path / "policy").read_bytes()
    (tmp_path / "policy").write_bytes(data[: max(len(before), len(data) - cut)])
    assert read(tmp_path).streams[BLUE].records == {ONE.key: ONE}


@pytest.mark.parametrize("data", [b"", b"rubbish", b"weft policy 1\n", b"weft policy 2\n" + b"\xff" * 16])
def test_a_file_that_makes_no_sense_counts_as_none(tmp_path, data):
    (tmp_path / "policy").write_bytes(data)
    assert list(Memory(tmp_path).frames()) == []


def test_a_changed_byte_is_noticed(written, tmp_path):
    data = bytearray((tmp_path / "policy").read_bytes())
    data[-3] ^= 1
    (tmp_path / "policy").write_bytes(data)
    assert read(tmp_path).streams == {}


def test_damage_before_the_end_forgets_everything(written, tmp_path):
    """What followed it was acked: the older state must not count as the whole of it."""
    before = (tmp_path / "policy").stat().st_size
    written.append(msgspec.msgpack.encode(Delta(BLUE, 8, 11, (TWO,))))
    middle = (tmp_path / "policy").stat().st_size
    written.append(msgspec.msgpack.encode(Delta(BLUE, 9, 12, (TunnelEndpoint(b"\1" * 16),))))
    data = (tmp_path / "policy").read_bytes()
    for place in range(before, middle):  # length and checks too: a longer frame looks torn
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        (tmp_path / "policy").write_bytes(damaged)
        assert read(tmp_path).streams == {}, f"byte {place - before} of the frame"


def test_a_frame_that_means_nothing_forgets_everything(written, tmp_path):
    written.append(b"\xc1")
    assert read(tmp_path).streams == {}


def test_it_is_long_when_it_has_doubled(written):
    assert not written.is_long
    written.append(bytes(3 << 20))
    assert written.is_long


def test_powers_are_remembered_with_the_boot_that_they_are_of(tmp_path):
    assert Memory(tmp_path).powers() == ("", {})
    Memory(tmp_path).remember_powers("b1", {"a": "Running"})
    assert Memory(tmp_path).powers() == ("b1", {"a": "Running"})
    (tmp_path / "powers").write_text('["b1", {"a": ')
    assert Memory(tmp_path).powers() == ("", {})
