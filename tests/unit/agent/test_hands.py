"""Whose hand changed a machine, from what should be and what is."""

import pytest

from weft.agent.hands import Hands
from weft.model.hypervisor import MachineState
from weft.model.records import Errand, Machine


def record(power="Running", move_to=""):
    return {"a": Machine("a", power, (), "", move_to)}


def states(power="Running", awaited=False):
    return {"a": MachineState("a", power, id="id-a", awaited=awaited)}


def agreed(power="Running", boot="b1"):
    """Hands that saw the machine as its record says."""
    hands = Hands()
    hands.look(states(power), record(power), (), boot)
    return hands


def changed(hands, said, told, busy=(), boot="b1"):
    hands.look(said, told, busy, boot)
    return set(hands.by_hand)


def test_what_never_was_as_its_record_says_is_still_to_be_carried_out():
    assert changed(Hands(), states("Off"), record()) == set()
    assert changed(Hands(), states("Running"), record("Off")) == set()


@pytest.mark.parametrize(("before", "after"), [("Running", "Off"), ("Off", "Running"), ("Running", "Saved")])
def test_a_power_that_changed_under_the_same_record_was_changed_by_another_hand(before, after):
    hands = agreed(before)
    assert changed(hands, states(after), record(before)) == {"a"}
    assert changed(hands, states(after), record(before)) == {"a"}, "for as long as it lasts"
    assert changed(hands, states(after), record(after)) == set(), "the record followed"
    assert changed(hands, states(before), record(after)) == {"a"}, "and it is changed again"


def test_a_record_that_changes_is_carried_out_and_so_is_one_that_changes_back():
    hands = agreed("Running")
    assert changed(hands, states("Running"), record("Off")) == set()
    assert changed(hands, states("Off"), record("Running")) == set()


def test_what_the_agent_is_at_itself_is_nobody_elses():
    hands = agreed("Running")
    assert changed(hands, states("Off"), record(), busy={"a"}) == set()
    assert changed(hands, states("Running"), record(), busy={"a"}) == set()


def test_a_move_is_nobody_elses_and_forgets_what_was_agreed():
    hands = agreed("Running")
    assert changed(hands, states("Off"), record(move_to="host2")) == set()
    assert changed(hands, states("Off"), record("Incoming")) == set()
    assert changed(hands, states("Off"), record("Running")) == set()


def test_what_is_not_listed_or_still_awaited_was_not_changed():
    hands = agreed("Running")
    assert changed(hands, {}, record()) == set()
    assert changed(hands, states("Off", awaited=True), record()) == set()


def test_a_restarted_agent_knows_what_was_agreed_and_a_booted_host_forgets_it():
    before = agreed("Running")
    assert changed(Hands(before.boot, before.agreed), states("Off"), record()) == {"a"}
    assert changed(Hands(before.boot, before.agreed), states("Off"), record(), boot="b2") == set()
    assert changed(before, states("Off"), record(), boot="b2") == set(), "while the agent lives on"


def test_what_is_stopped_for_an_errand_was_not_stopped_by_another_hand():
    """A restore stops the machine, and its record says Running all the time."""
    hands = agreed()
    errand = {"a": Machine("a", "Running", (), "", errand=Errand(7, "restore", "before"))}
    assert changed(hands, states(), errand) == set()
    assert changed(hands, states("Off"), errand) == set()
    assert changed(hands, states("Off"), record()) == set(), "it starts as its record says"


def test_a_driver_without_boots_has_no_other_hands():
    hands = agreed("Running", boot="")
    assert changed(hands, states("Off"), record(), boot="") == set()
    hands.welcome(states(), {}, (), "")
    assert set(hands.by_hand) == set()


def test_a_machine_with_our_mark_that_never_had_a_record_here_was_brought_by_another_hand():
    hands = Hands()
    hands.welcome(states(), {}, (), "b1")
    assert set(hands.by_hand) == {"a"}
    hands.welcome(states(), {}, {"a"}, "b1")
    assert set(hands.by_hand) == {"a"}, "until it has a record"
    hands.welcome(states(), record(), {"a"}, "b1")
    assert set(hands.by_hand) == set()
    hands.welcome(states(), {}, {"a"}, "b1")
    assert set(hands.by_hand) == set(), "it had one: it is to be removed"


def test_a_machine_that_is_awaited_or_was_here_is_no_newcomer():
    hands = Hands()
    hands.welcome(states("Off", awaited=True), {}, (), "b1")
    hands.welcome(states(), {}, {"a"}, "b1")
    assert set(hands.by_hand) == set()
