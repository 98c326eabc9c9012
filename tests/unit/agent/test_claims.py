"""A provider address is used once it is known that nobody else has it, and from then on."""

from weft.agent.claims import AGAIN_SECONDS, EVERY_SECONDS, Claims
from weft.model.values import pack_ip

ONE, TWO = pack_ip("192.168.1.10"), pack_ip("192.168.1.11")
OTHER = "02-00-00-00-00-02"


def claims(*, here: bool = True) -> Claims:
    found = Claims()
    assert found.want([ONE], ())
    found.seen([ONE] if here else [])
    return found


def test_it_is_not_used_before_it_was_asked_about() -> None:
    found = Claims()
    found.want([ONE], ())
    assert (found.usable, found.settled, found.due(0.0)) == (frozenset(), False, [])
    found.seen([ONE])
    assert (found.settled, found.due(0.0)) == (False, [ONE])
    found.answered(ONE, "", 1.0)
    assert (found.usable, found.settled) == ({ONE}, True)
    assert found.due(EVERY_SECONDS) == [] and found.due(1.0 + EVERY_SECONDS) == [ONE]


def test_one_that_another_has_is_not_used_until_that_is_mended() -> None:
    found = claims()
    found.answered(ONE, OTHER, 1.0)
    assert (found.usable, found.taken, found.settled) == (frozenset(), {ONE}, True)
    (words,) = found.failures()
    assert "192.168.1.10" in words and OTHER in words and list(found.warnings()) == []
    assert [one.used for one in found.holders()] == [False]
    assert found.due(1.0 + AGAIN_SECONDS) == [ONE]
    found.answered(ONE, "", 11.0)
    assert found.usable == {ONE} and not found.holders() and not list(found.failures())
    assert not found.taken


def test_one_in_use_is_kept_when_another_says_that_it_is_his() -> None:
    found = claims()
    found.answered(ONE, "", 0.0)
    found.heard(ONE, OTHER, 5.0)
    assert found.usable == {ONE} and [one.used for one in found.holders()] == [True]
    assert not found.taken
    (words,) = found.warnings()
    assert "also" in words and not list(found.failures())
    assert found.due(5.0 + AGAIN_SECONDS) == [ONE]
    found.answered(ONE, "", 15.0)
    assert found.usable == {ONE} and not found.holders()


def test_one_from_which_tunnels_start_already_is_in_use() -> None:
    found = Claims()
    assert found.want([ONE], [ONE])
    assert (found.usable, found.settled) == ({ONE}, True)
    found.seen([ONE])
    found.answered(ONE, OTHER, 0.0)
    assert found.usable == {ONE} and list(found.warnings())


def test_one_without_an_interface_waits_for_none_and_is_asked_about_once_there_is_one() -> None:
    found = claims(here=False)
    assert (found.usable, found.settled, found.due(0.0)) == (frozenset(), True, [])
    found.seen([ONE])
    assert (found.settled, found.due(0.0)) == (False, [ONE])
    found.answered(ONE, "", 0.0)
    found.seen([])
    assert found.usable == {ONE}, "its interface may come back, as at a restart of the switch"


def test_only_those_that_are_wanted_are_kept() -> None:
    found = claims()
    found.answered(ONE, OTHER, 0.0)
    assert found.want([TWO], ())
    assert not found.holders() and found.wanted == {TWO}
    assert not found.want([TWO], ())
    found.answered(ONE, OTHER, 0.0)
    found.heard(ONE, OTHER, 0.0)
    assert not found.holders()
