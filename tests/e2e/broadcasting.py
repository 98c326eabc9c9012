"""Numbered broadcasts of a namespace guest, a hundred a second, and who heard which."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.e2e.labs import INTERVAL
from tests.waiting import until

PORT = 9999
_SENDS = """
import itertools, socket, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    began = time.monotonic()
    for number in itertools.count(1):
        out.sendto(str(number).encode(), (sys.argv[1], int(sys.argv[2])))
        print(number, flush=True)
        # the pace at which it sends, however long a send takes
        time.sleep(max(0.0, began + number * float(sys.argv[3]) - time.monotonic()))
"""
_HEARS = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
    out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    out.bind(("", int(sys.argv[1])))
    while True:
        print(out.recv(100).decode(), flush=True)
"""


class Broadcasting:
    """From when all listeners hear the sender until `end`."""

    def __init__(self, lab, sender, target, listeners):
        self._folder = tempfile.TemporaryDirectory()
        self._running = []
        for name in listeners:
            self._begin(lab, name, _HEARS, PORT)
        self._begin(lab, sender, _SENDS, target, PORT, INTERVAL)
        self._sender, self._listeners = sender, listeners
        self.heard_by_all()

    def _begin(self, lab, machine, script, *arguments):
        with (Path(self._folder.name) / machine).open("wb") as said:
            words = ("exec", machine, "--", sys.executable, "-c", script, *map(str, arguments))
            self._running.append(lab.begin(*words, stdout=said))

    def _numbers(self, machine):
        return [int(one) for one in (Path(self._folder.name) / machine).read_text().split("\n")[:-1]]

    def _last_heard(self):
        """By everybody."""
        return min(max(self._numbers(one), default=0) for one in self._listeners)

    def heard_by_all(self):
        """Wait until everybody has heard one that is sent after now."""
        sent = max(self._numbers(self._sender), default=0)
        until(lambda: self._last_heard() > sent, meanwhile=lambda: all(one.poll() is None for one in self._running))

    def end(self):
        """By listener, how often it heard each number, from the first that all heard to the last."""
        self.heard_by_all()
        last = self._last_heard()
        for one in self._running:
            one.kill()
            one.wait()
        heard = {one: Counter(self._numbers(one)) for one in self._listeners}
        self._folder.cleanup()
        first = max(min(found) for found in heard.values())
        return {one: {number: found[number] for number in range(first, last + 1)} for one, found in heard.items()}
