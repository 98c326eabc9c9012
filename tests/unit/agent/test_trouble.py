"""What is tried again many times a minute is not logged as often."""

import logging

from weft.agent.trouble import REMIND_SECONDS, Trouble


def test_a_trouble_is_said_when_it_begins_now_and_then_and_when_it_is_over(caplog):
    trouble = Trouble(logging.getLogger("t"), "switch")
    for tick in range(int(2 * REMIND_SECONDS)):
        trouble.lasts("no answer", 0.5 * tick)
    trouble.lasts("another socket", 400)
    for tick in range(3):
        trouble.lasts(("no answer", "another socket")[tick % 2], 401 + tick)
    assert trouble.words == "no answer"
    for now in (410, 411):
        trouble.over(now)
    trouble.lasts("no answer", 412)
    assert caplog.messages == [
        "switch: no answer",
        "switch: another socket",
        "switch: still, for 7 minutes: no answer",
        "switch: well again after 410 s",
        "switch: no answer",
    ]
