"""What a change of access lists means for connections that a port brought along: does it forbid more?"""

import pytest

from tests.unit.agent.policies import GUESTS, access_list
from weft.agent.unseen import forbids_more
from weft.model.records import PortAccess
from weft.model.values import pack_ip

ACCESS = GUESTS["blue2"].access(own=7)
RULES = "100 in allow TCP * * * 80", "200 in deny TCP 10.1.1.0/24 * * *"


def under(*rules, **defaults):
    return ACCESS, {7: access_list(7, *rules, **defaults)}


def beside(other):
    """Under the rules and a list of the subnet."""
    return GUESTS["blue2"].access(own=7, subnet=8), {7: access_list(7, *RULES), 8: other}


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
        ((ACCESS, {7: None}), True),
        ((GUESTS["blue2"].access(), {}), False),
        (beside(access_list(8)), False),
        (beside(access_list(8, *RULES)), False),
        (beside(access_list(8, RULES[1])), True),
        (beside(access_list(8, outbound=False)), True),
    ],
)
def test_only_what_may_deny_something_that_passed_forbids_more(after, more):
    assert forbids_more(under(*RULES), after) is more


def test_a_list_that_was_not_here_let_nothing_pass():
    assert not forbids_more((ACCESS, {7: None}), under(*RULES, inbound=False))


def test_a_list_forbids_more_than_none_by_what_it_denies():
    none = GUESTS["blue2"].access(), {}
    assert not forbids_more(none, under())
    assert forbids_more(none, under(*RULES)) and forbids_more(none, under(outbound=False))


OPEN, STRICT, SHUT = access_list(8), access_list(7, *RULES, inbound=False), access_list(9, inbound=False)
ONE, TWO, SIX = pack_ip("10.1.1.11"), pack_ip("10.1.1.12"), pack_ip("fd00::11")


def port(*lists):
    return PortAccess(ACCESS.instance_id, lists), {one.number: one for one in (OPEN, STRICT, SHUT)}


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
