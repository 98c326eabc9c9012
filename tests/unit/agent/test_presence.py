"""Which machines are here, and which another hand took."""

from weft.agent.presence import GONE_SECONDS, Presence
from weft.model.hypervisor import MachineState
from weft.model.records import Machine

A = {"a": Machine("a", "Running", ("i1",), "")}
OFF = {"a": Machine("a", "Off", ("i1",), "")}
LISTED = {"a": MachineState("a", "Off")}


def presence_after(*looks, had=()):
    """Each look is (states, machines, busy, now). Answers how the last one leaves machine a."""
    presence = Presence(had)
    for states, machines, busy, now in looks:
        presence.look(states, machines, busy, now)
    return presence, presence.of("a", looks[-1][3])


def test_a_machine_that_was_never_made_is_neither_here_nor_gone():
    presence, of = presence_after(({}, A, (), 0), ({}, A, (), 100))
    assert (of, list(presence.missing), presence.had) == ("", [], set())


def test_a_machine_that_is_listed_no_more_is_gone_after_a_moment():
    presence, of = presence_after((LISTED, A, (), 0))
    assert of == "here"
    presence, of = presence_after((LISTED, A, (), 0), ({}, A, (), 1))
    assert (of, list(presence.missing), presence.is_unsure(1)) == ("", ["a"], True)
    presence, of = presence_after((LISTED, A, (), 0), ({}, A, (), 1), ({}, A, (), 1 + GONE_SECONDS))
    assert (of, presence.is_unsure(1 + GONE_SECONDS)) == ("gone", False)


def test_what_was_remembered_counts():
    presence, of = presence_after(({}, OFF, (), 0), ({}, OFF, (), GONE_SECONDS), had=("a",))
    assert (of, presence.had) == ("gone", {"a"})


def test_it_is_back():
    presence, of = presence_after((LISTED, A, (), 0), ({}, A, (), 1), ({}, A, (), 9), (LISTED, A, (), 10))
    assert (of, list(presence.missing)) == ("here", [])


def test_a_machine_that_is_worked_on_or_moves_is_not_missed():
    leaving = {"a": Machine("a", "Running", ("i1",), "", "host2")}
    coming = {"a": Machine("a", "Incoming", ("i1",), "")}
    for machines, busy in ((A, ("a",)), (leaving, ()), (coming, ())):
        presence, of = presence_after((LISTED, A, (), 0), ({}, machines, busy, 1), ({}, machines, busy, 9))
        assert (of, list(presence.missing)) == ("here", [])


def test_one_that_was_removed_is_forgotten():
    presence, of = presence_after((LISTED, A, (), 0), (LISTED, {}, (), 1), ({}, {}, (), 2), ({}, A, (), 9))
    assert (of, presence.had, list(presence.missing)) == ("", set(), [])


def test_one_that_went_is_made_anew_once_it_was_stopped_and_is_wanted_again():
    gone = ((LISTED, A, (), 0), ({}, A, (), 1), ({}, A, (), 9))
    presence, of = presence_after(*gone, ({}, OFF, (), 10))
    assert (of, list(presence.missing)) == ("gone", ["a"])
    presence, of = presence_after(*gone, ({}, OFF, (), 10), ({}, A, (), 11))
    assert (of, list(presence.missing)) == ("", [])


def test_one_that_was_to_go_did_not_vanish_and_may_be_made_again():
    absent = {"a": Machine("a", "Absent", ("i1",), "")}
    presence, of = presence_after((LISTED, A, (), 0), ({}, absent, (), 1), ({}, absent, (), 1 + GONE_SECONDS))
    assert (of, list(presence.missing), presence.had) == ("", [], set())
    presence.look({}, OFF, (), 2 + GONE_SECONDS)
    assert list(presence.missing) == []
