"""Counts pings at guests' ports, from outside, by tcpdump on their hosts; and when QEMU held a guest, by its events.

A packet inside a tunnel is not looked at, so what is seen is what a guest gave its host, or its host gave a guest.
"""

import contextlib
import os
import re
import signal
import subprocess
from datetime import datetime

import msgspec

from tests.waiting import until

BUFFER_KIB = "16384"
"""Of each tcpdump: none may lose a packet while a guest takes the processor."""
_PING = re.compile(r"^(\d+\.\d+) .*ICMP echo (request|reply), id \d+, seq (\d+)", re.MULTILINE)
_EVENT = re.compile(r"^(\S+ \S+): event (STOP|RESUME) for domain '(.+?)'", re.MULTILINE)


class Seen(msgspec.Struct, frozen=True):
    """Pings at the ports of one host's guests: by number, when they were first there, in seconds since 1970."""

    requests: dict[int, float]
    replies: dict[int, float]


class _Watching:
    """A program in a host's namespace that writes lines until it is ended."""

    def __init__(self, lab, folder, host, *words):
        self._file = folder / f"{words[0]}-{host}.txt"
        with self._file.open("w") as file:
            command = lab.command("host", host, "--", "stdbuf", "-oL", *words)
            self._running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=lab.environment)

    def text(self):
        return self._file.read_text()

    def wait_for(self, true, what, patience=20.0):
        until(
            lambda: true(self.text()),
            lambda: f"{what}: {self.text()[-500:]}",
            patience,
            lambda: self._running.poll() is None,
        )

    def end(self):
        os.kill(self._running.pid, signal.SIGINT)
        self._running.wait(10)
        return self.text()

    def close(self):
        self._running.kill()
        self._running.wait()


@contextlib.contextmanager
def counting(lab, folder, hosts, address):
    """Pings of this customer address at the ports of these hosts' guests; called, it ends and says what each saw."""
    with contextlib.ExitStack() as closing:
        watched = []
        for host in hosts:
            words = ("tcpdump", "-B", BUFFER_KIB, "--immediate-mode", "-l", "-n", "-tt", "-i", "any")
            watched.append(_Watching(lab, folder, host, *words, f"icmp and host {address}"))
            closing.callback(watched[-1].close)
        for one in watched:
            one.wait_for(lambda said: "listening on" in said, "tcpdump does not begin")
        yield lambda: [_seen(one.end()) for one in watched]


def _seen(text):
    assert "\n0 packets dropped by kernel" in text, text[-300:]
    found = {"request": {}, "reply": {}}
    for at, kind, number in _PING.findall(text):
        found[kind].setdefault(int(number), float(at))
    return Seen(found["request"], found["reply"])


@contextlib.contextmanager
def held(lab, folder, machine, source, destination):
    """When QEMU held it, moving from source to destination; called, it says (from, to) in seconds since 1970."""
    with contextlib.ExitStack() as closing:
        watched = []
        for host in (source, destination):
            watched.append(_Watching(lab, folder, host, "virsh", "qemu-monitor-event", "--loop", "--timestamp"))
            closing.callback(watched[-1].close)

        def told():
            watched[1].wait_for(lambda said: _EVENT.search(said), "it does not go on")
            return _event(watched[0].text(), "STOP", machine), _event(watched[1].text(), "RESUME", machine)

        yield told


def _event(text, kind, machine):
    at = [when for when, what, name in _EVENT.findall(text) if (what, name) == (kind, machine)]
    assert len(at) == 1, text
    return datetime.fromisoformat(at[0]).timestamp()
