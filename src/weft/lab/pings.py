"""Pings of a guest, each of which is waited for as long, whichever it is. Pure. For `weft lab ping` and the demo.

ping itself waits for the answer to its last one no longer than the interval, or twice the longest round trip that it
has seen, and says that it is lost: 20 ms, where 50 are sent a second. So a few more follow, and only the first ones
count.
"""

import math
import re

LATE_S = 1.0
"""What has not come after that is lost."""
_ANSWER = re.compile(r"icmp_seq=(\d+) ttl=(\d+)")
_ANY = re.compile(r"icmp_seq=(\d+)")
_SENT = re.compile(r"(\d+) packets transmitted")
_SUMMARY = re.compile(r"--- \S+ ping statistics ---")


def command(address: str, count: int, interval: float) -> list[str]:
    """To be ended by SIGINT once `Answers` says that all have come."""
    more = math.ceil(LATE_S / interval)
    return ["ping", "-n", "-W", "0.01", "-c", str(count + more), "-i", str(interval), address]


class Answers:
    """What ping says, line by line, of the first `count`."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._sent = count
        self._answered: set[int] = set()
        self.ttls: dict[int, None] = {}
        """Different ones seen, in order of first arrival."""

    def take(self, line: str) -> bool:
        """Whether the line is about them; what ping counts itself has the others in it."""
        if said := _SENT.search(line):
            self._sent = int(said[1])
            return False
        about = _ANY.search(line)
        if about is None or int(about[1]) > self._count:
            return about is None and not _SUMMARY.match(line)
        if answer := _ANSWER.search(line):
            self._answered.add(int(answer[1]))
            self.ttls.setdefault(int(answer[2]))
        return True

    @property
    def complete(self) -> bool:
        return len(self._answered) == self._count

    @property
    def sent(self) -> int:
        """Once ping has ended; all, unless it says that it was interrupted."""
        return min(self._sent, self._count)

    @property
    def received(self) -> int:
        return len(self._answered)
