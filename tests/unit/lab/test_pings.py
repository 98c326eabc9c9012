"""What counts of what ping says."""

import pytest

from weft.lab.pings import Answers, command

SAID = """\
PING 10.1.1.12 (10.1.1.12) 56(84) bytes of data.
64 bytes from 10.1.1.12: icmp_seq=1 ttl=64 time=0.2 ms
64 bytes from 10.1.1.12: icmp_seq=3 ttl=63 time=0.2 ms
64 bytes from 10.1.1.12: icmp_seq=4 ttl=64 time=0.2 ms
64 bytes from 10.1.1.12: icmp_seq=3 ttl=63 time=0.3 ms (DUP!)
{late}
--- 10.1.1.12 ping statistics ---
{sent} packets transmitted, 4 received, 0% packet loss, time 40ms
rtt min/avg/max/mdev = 0.1/0.2/0.3/0.0 ms
"""
LATE = "64 bytes from 10.1.1.12: icmp_seq=2 ttl=64 time=300 ms"
REFUSED = "From 10.1.1.1 icmp_seq=2 Destination Host Unreachable"


@pytest.mark.parametrize(
    ("late", "sent", "count", "found"),
    [
        (LATE, 7, 3, (3, 3, True)),
        (LATE, 4, 9, (4, 4, False)),
        (REFUSED, 7, 3, (3, 2, False)),
        ("", 7, 3, (3, 2, False)),
        (LATE, 7, 5, (5, 4, False)),
    ],
    ids=["a late one", "interrupted", "refused", "lost", "the last is lost"],
)
def test_a_late_answer_counts_and_what_follows_does_not(late, sent, count, found):
    answers = Answers(count)
    shown = [line for line in SAID.format(late=late, sent=sent).splitlines() if answers.take(line)]
    assert (answers.sent, answers.received, answers.complete) == found
    assert not [line for line in shown if "transmitted" in line or "statistics" in line]
    assert [line for line in shown if "seq=4" in line] == [] or count > 3
    assert any(line.startswith("rtt") for line in shown) and list(answers.ttls) == [64, 63]


def test_a_ping_that_cannot_be_sent_is_none_that_was_interrupted():
    answers = Answers(3)
    answers.take("ping: connect: Network is unreachable")
    assert (answers.sent, answers.received, answers.complete) == (3, 0, False)


def test_a_second_of_pings_follows_those_that_count():
    for interval, sent in ((0.02, 70), (0.05, 40), (1.0, 21)):
        words = command("10.1.1.12", 20, interval)
        assert words[words.index("-c") + 1] == str(sent)
