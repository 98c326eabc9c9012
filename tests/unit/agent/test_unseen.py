"""What a change of access lists means for connections that a port brought along: does it forbid more?"""

import pytest

from tests.unit.agent.policies import GUESTS, access_list
from weft.agent.unseen import forbids_more

ACCESS = GUESTS["blue2"].access(own=7)
RULES = "100 in allow TCP * * * 80", "200 in deny TCP 10.1.1.0/24 * * *"


def under(*rules, **defaults):
    return ACCESS, {7: access_list(7, *rules, **defaults)}


@pytest.mark.parametrize(
    ("after", "more"),
    [
        (under(*RULES), False),
        (under(*RULES, "300 out allow UDP * * * 53"), False),
        (under(RULES[0]), False),
        (under(*RULES, "300 out deny UDP * * * 53"), True),
        (under(RULES[1]), True),
        (under("101 in allow TCP * * * 80", RULES[1]), True),
        (under(*RULES, inbound=False), True),
        (under(*RULES, outbound=False), True),
        ((ACCESS, {7: None}), True),
        ((None, {}), False),
        ((GUESTS["blue2"].access(own=7, subnet=8), {7: access_list(7, *RULES), 8: access_list(8)}), True),
    ],
)
def test_only_what_may_deny_something_that_passed_forbids_more(after, more):
    assert forbids_more(under(*RULES), after) is more


def test_a_list_that_was_not_here_let_nothing_pass():
    assert not forbids_more((ACCESS, {7: None}), under(*RULES, inbound=False))


def test_any_list_forbids_more_than_none():
    assert forbids_more((None, {}), under())
