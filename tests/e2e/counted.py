"""Counts pings at guests' ports and in tunnels, from outside, by tcpdump on their hosts; frames that the switch did not
take in time; and when QEMU held a guest, by its events.

What is not in a tunnel is what a guest gave its host, or its host gave a guest. What is in one is on the wire, or at
the host's own end of the provider bridge: no tunnel's packet has anything to do there, the host's kernel drops it.
"""

import contextlib
import os
import re
import signal
import subprocess
from datetime import datetime

import msgspec

from tests.waiting import until
from weft.lab import names

BUFFER_KIB = "16384"
"""Of each tcpdump: none may lose a packet while a guest takes the processor."""
_AT = re.compile(r"(\d+\.\d+) (\S+) +(In|Out|B|M|P) ")
_PING = re.compile(r"(\S+) > (\S+): ICMP echo (request|reply), id \d+, seq (\d+)")
_EVENT = re.compile(r"^(\S+ \S+): event (STOP|RESUME) for domain '(.+?)'", re.MULTILINE)


Ping = tuple[str, int]
"""request or reply, and its number."""


class Seen(msgspec.Struct, frozen=True):
    """Pings at one host: where they were, and when first, in seconds since 1970."""

    at_ports: dict[Ping, float]
    """Of its guests."""
    came: dict[Ping, float]
    """By the wire, in a tunnel."""
    went: dict[Ping, float]
    to_kernel: dict[Ping, float]
    """In a tunnel, and its switch gave them to the host itself."""

    @property
    def requests(self):
        return _of(self.at_ports, "request")

    @property
    def replies(self):
        return _of(self.at_ports, "reply")


def whereabouts(numbers, hosts):
    """Where the pings of these numbers, and their answers, were on each host, and when; by number."""
    return {number: {name: _places(one, number) for name, one in hosts.items()} for number in sorted(numbers)}


def _places(seen, number):
    places = (("port", seen.at_ports), ("came", seen.came), ("went", seen.went), ("kernel", seen.to_kernel))
    pings = (("request", number), ("reply", number))
    return [(kind, name, where[kind, n]) for kind, n in pings for name, where in places if (kind, n) in where]


def _of(pings, wanted):
    return {number: at for (kind, number), at in pings.items() if kind == wanted}


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
    """Pings of this customer address on these hosts; called, it ends and says what each saw."""
    with contextlib.ExitStack() as closing:
        watched = []
        for host in hosts:
            words = ("tcpdump", "-B", BUFFER_KIB, "--immediate-mode", "-l", "-n", "-tt", "-i", "any")
            wanted = f"(icmp and host {address}) or proto gre or udp port 4789"
            watched.append(_Watching(lab, folder, host, *words, wanted))
            closing.callback(watched[-1].close)
        for one in watched:
            one.wait_for(lambda said: "listening on" in said, "tcpdump does not begin")
        yield lambda: [_seen(one.end(), address) for one in watched]


def _seen(text, address):
    assert "\n0 packets dropped by kernel" in text, text[-300:]
    seen = Seen({}, {}, {}, {})
    at, where, tunnelled = 0.0, seen.at_ports, False
    # what is in a VXLAN tunnel has a line of its own, without a time
    for line in text.splitlines():
        if begun := _AT.match(line):
            at, where = float(begun[1]), _place(seen, *begun.group(2, 3))
            tunnelled = "GREv0" in line or "VXLAN" in line
        for source, to, kind, number in _PING.findall(line):
            if address in (source, to):
                (where if tunnelled else seen.at_ports).setdefault((kind, int(number)), at)
    return seen


def _place(seen, interface, way):
    if interface == names.PROVIDER_BRIDGE:
        return seen.to_kernel
    return seen.went if way == "Out" else seen.came


def overrun(lab, host):
    """Frames of the wire that did not fit into the queue of the host's switch, since it began."""
    said = lab.run("host", host, "--", "ss", "--oneline", "--packet", "--memory", "--processes")
    (found,) = re.findall(rf":{names.NIC}\b.*\"ovs-vswitchd\".*skmem:\(.*,d(\d+)\)", said)
    return int(found)


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
