"""Looks at booted guests from outside: their console, their libvirtd, and how long they were silent."""

import os
import re
import subprocess
import time

import msgspec

from tests.e2e.labs import PATH, last_line
from weft.lab import hosts
from weft.lab.state import LabFolder

INTERVAL = 0.01
"""Seconds between two pings: 100 a second."""


def folder(lab):
    return LabFolder(lab.folder / lab.name)


def uri(lab, host):
    found = folder(lab)
    return hosts.libvirt_daemon(found, found.host(host)).uri


def virsh(lab, host, *words):
    """As somebody does who knows nothing of Weft."""
    command = ["virsh", "-q", "-c", uri(lab, host), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": PATH})
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


class Said(msgspec.Struct, frozen=True):
    """What a guest says of itself on its console."""

    mac: str
    """As the API writes it."""
    seconds: int
    """Since it booted."""


def console(lab, host, machine, patience=20.0):
    """The newest that it says of eth0; it says it every second."""
    terminal = os.open(virsh(lab, host, "ttyconsole", machine), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    text, until = "", time.monotonic() + patience
    try:
        while time.monotonic() < until:
            try:
                text += os.read(terminal, 65536).decode(errors="replace")
            except BlockingIOError:
                if found := re.findall(r"weft eth0 (\S+) up (\d+)\r", text):
                    return Said(found[-1][0].replace(":", "").upper(), int(found[-1][1]))
            time.sleep(0.1)
    finally:
        os.close(terminal)
    raise AssertionError(f"{machine} says nothing of eth0: {text[-500:]!r}")


def answers(lab, machine, address, patience=40.0):
    """Wait until `address` answers the namespace guest `machine`: it has booted."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        pinging = lab.begin("ping", machine, address, "-c", "1")
        said = pinging.communicate(timeout=30)[0]
        if pinging.returncode == 0:
            return
    raise AssertionError(f"{address} does not answer {machine} within {patience:g} s: {said}")


class Silence(msgspec.Struct, frozen=True):
    """What pings lost."""

    sent: int
    lost: int
    longest_s: float
    """Longest time between two that were answered."""


class Pinging:
    """100 pings a second from a namespace guest, while something is done."""

    def __init__(self, lab, machine, address, count):
        self._running = lab.begin("ping", machine, address, "-c", str(count), "-i", str(INTERVAL))
        time.sleep(0.5)

    def end(self):
        said = self._running.communicate(timeout=90)[0]
        answered = [int(one) for one in re.findall(r"icmp_seq=(\d+)", said)]
        sent, received = map(int, re.fullmatch(r"(\d+) sent, (\d+) received", last_line(said)).groups())
        longest = max((later - one for one, later in zip(answered, answered[1:], strict=False)), default=sent)
        return Silence(sent, sent - received, longest * INTERVAL)


def downtime_s(lab, host, machine):
    """How long QEMU itself had the machine stand still in its last migration to this host, as it says."""
    said = virsh(lab, host, "domjobinfo", "--completed", machine)
    return int(re.search(r"Total downtime:\s+(\d+)\s+ms", said)[1]) / 1000
