"""Frames in, records out; what is lost is asked for again."""

from tests.unit.agent.policies import BLUE, HOSTS
from weft.agent.streams import Streams
from weft.model.records import NeededNetwork, TunnelEndpoint
from weft.wire.messages import Cursor, Delta, Dropped, Full, Welcome

ONE, TWO = (TunnelEndpoint(address) for address in HOSTS.values())
NEEDS = NeededNetwork(BLUE, "blue")


def following(*frames):
    streams = Streams()
    for frame in frames:
        streams.take(frame)
    return streams


def test_a_full_state_says_what_changed_and_what_is_gone():
    streams = following(Full(BLUE, 4, 10, (ONE, TWO)))
    third = TunnelEndpoint(b"\1\2\3\4")
    assert streams.take(Full(BLUE, 9, 12, (TWO, third))) == (
        [(BLUE, third.key, third), (BLUE, ONE.key, None)],
        None,
    )


def test_deltas_follow_without_a_gap():
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    assert streams.take(Delta(BLUE, 5, 11, (TWO,), (ONE.key,))) == (
        [(BLUE, ONE.key, None), (BLUE, TWO.key, TWO)],
        None,
    )
    assert streams.streams[BLUE].revision == 11


def test_a_key_from_the_wire_is_a_list():
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    assert streams.take(Delta(BLUE, 5, 11, (), (list(ONE.key),)))[0] == [(BLUE, ONE.key, None)]


def test_a_gap_changes_nothing_and_asks_for_the_stream_until_it_comes_whole():
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    assert streams.take(Delta(BLUE, 6, 12, (TWO,))) == ([], BLUE)
    assert streams.take(Delta(BLUE, 5, 11, (TWO,))) == ([], BLUE)
    assert streams.streams[BLUE].records == {ONE.key: ONE}
    assert streams.take(Full(BLUE, 6, 12, (ONE, TWO))) == ([(BLUE, TWO.key, TWO)], None)
    assert streams.take(Delta(BLUE, 7, 13, (), (ONE.key,)))[1] is None


def test_a_delta_of_a_stream_that_never_came_is_a_gap():
    assert Streams().take(Delta(BLUE, 1, 1, (ONE,))) == ([], BLUE)


def test_after_a_new_connection_only_a_resumed_delta_counts_on():
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    streams.reconnected()
    assert streams.take(Delta(BLUE, 5, 11, (TWO,))) == ([], BLUE)
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    streams.reconnected()
    assert streams.take(Delta(BLUE, 70, 11, (TWO,), resumed=True))[1] is None
    assert streams.take(Delta(BLUE, 71, 12, ()))[1] is None


def test_a_dropped_stream_is_gone():
    streams = following(Full(BLUE, 4, 10, (ONE,)))
    assert streams.take(Dropped(BLUE)) == ([(BLUE, ONE.key, None)], None)
    assert streams.take(Dropped(BLUE)) == ([], None)


def test_complete_is_the_host_stream_and_every_network_that_it_names():
    assert not Streams().complete
    streams = following(Full(0, 0, 1, (NEEDS,)))
    assert not streams.complete
    streams.take(Full(BLUE, 0, 1, ()))
    assert streams.complete


def test_only_what_was_applied_is_resumed():
    streams = following(Welcome(1, "gen", "host1"), Full(0, 0, 3, ()), Full(BLUE, 0, 2, ()))
    assert (streams.generation, streams.cursors()) == ("gen", ())
    for stream in streams.streams.values():
        stream.applied = True
    assert streams.cursors() == (Cursor(0, 3), Cursor(BLUE, 2))
    streams.take(Delta(BLUE, 1, 5, (ONE,)))
    assert streams.cursors() == (Cursor(0, 3),)


def test_a_network_that_the_host_no_longer_needs_is_forgotten_with_the_host_stream():
    """Its Dropped may have been lost with the connection, and what was never applied is in no Hello."""
    for goodbye in (Full(0, 3, 7, ()), Delta(0, 1, 7, (), (NEEDS.key,), resumed=True)):
        streams = following(Full(0, 0, 3, (NEEDS,)), Full(BLUE, 0, 3, (ONE,)))
        streams.reconnected()
        changes, lost = streams.take(goodbye)
        assert (BLUE, ONE.key, None) in changes
        assert lost is None
        assert list(streams.streams) == [0]
        assert streams.take(Dropped(BLUE)) == ([], None)
