"""Counters of access rules: what is told, how often, and what is logged."""

import msgspec

from tests.unit.agent.policies import access_list
from weft.agent.flows.fields import COOKIE_DROPS, rule_cookie
from weft.agent.flows.hits import LOG_SECONDS, TELL_SECONDS, Hits

RULES = access_list(7, "100 in deny TCP * * * 22", "110 out allow All * * * *")
LISTS = {7: msgspec.structs.replace(RULES, rules=tuple(msgspec.structs.replace(r, logging=True) for r in RULES.rules))}
SSH, ALL = rule_cookie(7, 100), rule_cookie(7, 110)


def test_what_decided_is_told_at_most_every_ten_seconds():
    hits = Hits()
    hits.look({SSH: (3, 180), ALL: (0, 0), COOKIE_DROPS | 24: (9, 9), rule_cookie(7, 65534): (2, 84)}, LISTS, 0.0)
    assert (hits.told, hits.bytes) == (((7, 100, 3), (7, 65534, 2)), (180, 84))
    hits.look({SSH: (4, 240), rule_cookie(7, 65534): (2, 84)}, LISTS, TELL_SECONDS - 1)
    assert hits.told == ((7, 100, 3), (7, 65534, 2))
    hits.look({SSH: (4, 240), rule_cookie(7, 65534): (2, 84)}, LISTS, TELL_SECONDS)
    assert (hits.told, hits.bytes) == (((7, 100, 4), (7, 65534, 2)), (240, 84))


def test_what_flows_had_counted_before_they_went_or_began_anew_is_told_at_once():
    hits = Hits()
    hits.look({SSH: (3, 180), ALL: (5, 300)}, LISTS, 0.0)
    hits.look({SSH: (4, 240), ALL: (6, 360)}, LISTS, 1.0)
    assert hits.told == ((7, 100, 3), (7, 110, 5)), "not yet"
    hits.look({ALL: (1, 60)}, LISTS, 2.0)
    assert (hits.told, hits.bytes) == (((7, 100, 4), (7, 110, 6)), (240, 360))
    hits.look({ALL: (2, 120)}, LISTS, 3.0)
    assert hits.told == ((7, 100, 4), (7, 110, 6)), "long enough that it is told"
    hits.look({ALL: (3, 180)}, LISTS, 2.0 + TELL_SECONDS)
    assert (hits.told, hits.bytes) == (((7, 110, 3),), (180,))


def test_rules_with_logging_get_a_line_a_minute_of_what_is_new():
    hits = Hits()
    assert hits.look({SSH: (3, 0)}, LISTS, 0.0) == ()
    said = hits.look({SSH: (5, 0), ALL: (7, 0), rule_cookie(7, 65534): (2, 0)}, LISTS, LOG_SECONDS)
    assert said == (
        "/accessControlLists/l7/aclRules/r100 denied 2 packets inbound",
        "/accessControlLists/l7/aclRules/r110 allowed 7 packets outbound",
    )
    # the flow was made anew: it begins at 0 again
    assert hits.look({SSH: (1, 0), ALL: (7, 0)}, LISTS, 2 * LOG_SECONDS) == (
        "/accessControlLists/l7/aclRules/r100 denied 1 packets inbound",
    )
    assert hits.look({SSH: (2, 0)}, {7: RULES}, 3 * LOG_SECONDS) == ()
    assert hits.look({SSH: (3, 0)}, {}, 4 * LOG_SECONDS) == ()
