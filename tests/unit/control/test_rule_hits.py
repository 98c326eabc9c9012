"""Sums of what hosts count of rules: each packet once, whatever becomes of hosts and their agents."""

from weft.control.rule_hits import Hit, RuleHits
from weft.wire.messages import Facts

SSH = (7, 100)


def told(*counts: tuple[int, int]) -> Facts:
    """Packets and bytes of rule 100, 110 and so on; nothing of those with none."""
    rules = [((7, 100 + 10 * at, packets), octets) for at, (packets, octets) in enumerate(counts) if packets]
    return Facts(hits=tuple(one for one, _ in rules), hit_bytes=tuple(octets for _, octets in rules))


def sums(*lives: tuple[Facts, ...]) -> Hit:
    """After what an agent told in each of its lives."""
    hits = RuleHits(lambda: 1000.0)
    for reports in lives:
        for at, one in enumerate(reports):
            hits.heard("host1", one, begins=at == 0)
    return hits.of(*SSH)


def test_what_a_host_counts_more_is_added():
    assert sums((told((3, 180)), told((5, 300)))) == Hit(5, 300, 1000.0)


def test_an_agent_that_begins_before_its_switch_answers_makes_nothing_count_twice():
    assert sums((told((3, 180)),), (Facts(), told((3, 180)))) == Hit(3, 180)
    assert sums((told((3, 180)),), (Facts(), Facts(), told((5, 300)))) == Hit(5, 300, 1000.0)


def test_what_begins_anew_is_counted_from_0():
    assert sums((told((30, 1800)),), (Facts(), told((5, 300)))) == Hit(35, 2100, 1000.0)
    # the list went with its machine, and came back
    assert sums((told((3, 180)), Facts(), told((5, 300)))) == Hit(8, 480, 1000.0)
    # as many packets as before, and smaller ones: others
    assert sums((told((3, 1800)), told((3, 180)))) == Hit(6, 1980, 1000.0)


def test_an_agent_that_tells_no_bytes_takes_none_away():
    assert sums((told((3, 180)), Facts(hits=((7, 100, 4),)))) == Hit(4, 180, 1000.0)
