"""What a change of access lists means for connections that a port brought along: does it forbid more?"""

import pytest
from msgspec.structs import replace

from tests.unit.agent.policies import GUESTS, access_list
from weft.agent.bindings import Local, Role
from weft.agent.switch import SwitchPort
from weft.agent.unseen import Unseen, forbids_more, seen
from weft.model.records import PortAccess
from weft.model.values import pack_ip

ACCESS = GUESTS["blue2"].access(own=7)
RULES = "100 in allow TCP * * * 80", "200 in deny TCP 10.1.1.0/24 * * *"


def under(*rules, **defaults):
    return seen(ACCESS, {7: access_list(7, *rules, **defaults)})


def beside(other):
    """Under the rules and a list of the subnet."""
    return seen(GUESTS["blue2"].access(own=7, subnet=8), {7: access_list(7, *RULES), 8: other})


@pytest.mark.parametrize(
    ("after", "more"),
    [
        (under(*RULES), False),
        (under(*RULES, "300 out allow UDP * * * 53"), False),
        (under(RULES[0]), False),
        (under(*RULES, "300 out deny UDP * * * 53"), True),
        (under(RULES[1]), True),
        (under("101 in allow TCP * * * 80", RULES[1]), True),
        (under(), False),
        (under(*RULES, inbound=False), True),
        (under(*RULES, outbound=False), True),
        (seen(ACCESS, {}), True),
        (seen(GUESTS["blue2"].access(), {}), False),
        (beside(access_list(8)), False),
        (beside(access_list(8, *RULES)), False),
        (beside(access_list(8, RULES[1])), True),
        (beside(access_list(8, outbound=False)), True),
    ],
)
def test_only_what_may_deny_something_that_passed_forbids_more(after, more):
    assert forbids_more(under(*RULES), after) is more


def test_a_list_that_was_not_here_let_nothing_pass():
    assert not forbids_more(seen(ACCESS, {}), under(*RULES, inbound=False))


def test_a_list_forbids_more_than_none_by_what_it_denies():
    none = seen(GUESTS["blue2"].access(), {})
    assert not forbids_more(none, under())
    assert forbids_more(none, under(*RULES)) and forbids_more(none, under(outbound=False))


OPEN, STRICT, SHUT = access_list(8), access_list(7, *RULES, inbound=False), access_list(9, inbound=False)
ONE, TWO, SIX = pack_ip("10.1.1.11"), pack_ip("10.1.1.12"), pack_ip("fd00::11")


LISTS = {one.number: one for one in (OPEN, STRICT, SHUT)}


def port(*lists):
    return seen(PortAccess(ACCESS.instance_id, lists), LISTS)


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        pytest.param([(ONE, 7, 0)], [(ONE, 7, 0), (TWO, 7, 0)], False, id="an address comes"),
        pytest.param([(ONE, 7, 0)], [(ONE, 7, 0), (TWO, 9, 0)], False, id="an address comes under another list"),
        pytest.param([(ONE, 7, 0), (TWO, 7, 0)], [(ONE, 7, 0)], False, id="an address goes"),
        pytest.param([(ONE, 7, 0), (TWO, 9, 0)], [(TWO, 9, 0), (ONE, 7, 0)], True, id="others come under the second"),
        pytest.param([(ONE, 7, 0)], [(ONE, 7, 0), (SIX, 9, 0)], True, id="link-local ones come under another list"),
        pytest.param([(ONE, 7, 0)], [(ONE, 8, 0)], False, id="an open list takes its place"),
        pytest.param([(ONE, 8, 0)], [(ONE, 7, 0)], True, id="it takes an open one's place"),
        pytest.param([(ONE, 7, 8)], [(ONE, 7, 0)], False, id="that of the subnet goes"),
        pytest.param([(ONE, 9, 7)], [(ONE, 7, 0)], False, id="its own goes"),
        pytest.param([(ONE, 7, 0)], [(ONE, 8, 7)], False, id="an open one comes beside it"),
        pytest.param([(ONE, 7, 0)], [(ONE, 7, 9)], True, id="a strict one comes beside it"),
        pytest.param([(ONE, 7, 0), (TWO, 8, 0)], [(ONE, 7, 0), (TWO, 7, 0)], True, id="of a second address"),
        pytest.param([(ONE, 9, 0)], [(ONE, 7, 0)], False, id="one takes its place that let nothing in"),
    ],
)
def test_addresses_are_compared_one_by_one(before, after, more):
    assert forbids_more(port(*before), port(*after)) is more


PORT = SwitchPort("vnet7", 7, ACCESS.instance_id, GUESTS["blue2"].mac)
TIGHTENED = {8: OPEN, 7: replace(OPEN, inbound_allow=False)}
"""By number, as LOOSE, after the second one was changed."""
LOOSE = {8: OPEN, 7: OPEN, 9: SHUT}


def marks(*steps):
    """Of a port that came with connections, step by step: does it count as bringing them still?"""
    unseen = Unseen()
    for number, (lists, *access) in enumerate(steps):
        one = Local(GUESTS["blue2"].binding(), PORT, Role.HERE, access=PortAccess(ACCESS.instance_id, tuple(access)))
        if not number:
            unseen.emptied({PORT.ofport}, [one], lists)
        yield unseen.mark({ACCESS.instance_id: one}, lists)[ACCESS.instance_id].brought_connections


@pytest.mark.parametrize(
    ("back", "lists", "brought"),
    [
        pytest.param((TWO, 7, 0), LOOSE, True, id="under what it had"),
        pytest.param((TWO, 9, 0), LOOSE, False, id="under a stricter one"),
        pytest.param((TWO, 7, 0), TIGHTENED, False, id="under its own that denies more by now"),
    ],
)
def test_an_address_that_comes_back_is_held_against_what_it_had(back, lists, brought):
    stays = (ONE, 8, 0)
    found = marks((LOOSE, stays, (TWO, 7, 0)), (LOOSE, stays), (lists, stays), (lists, stays, back))
    assert list(found) == [True, True, True, brought]
