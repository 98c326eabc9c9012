"""Runs `weft` as a user does, on labs with names of their own; looks at the machine from outside afterwards."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.e2e import forked
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


INTERVAL = 0.01
"""Seconds between two pings: 100 a second."""


def own(name):
    """A lab's name that no other run of the tests on this machine has."""
    return f"{name}{os.getpid()}"


class Lab:
    """One lab, by its name."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.file = folder / name / "lab.json"
        self.environment = {**os.environ, "PATH": PATH, "WEFT_LAB_DIR": str(folder)}
        self._begun = []

    def command(self, *words):
        return [sys.executable, "-m", "weft", "lab", "--name", self.name, *words]

    def run(self, *words, timeout=90, code=0):
        """Its output; asserts the exit code."""
        done = forked.run(["lab", "--name", self.name, *words], self.environment, timeout)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def begin(self, *words, stdout=subprocess.PIPE, stderr=None):
        # a shell has SIGINT ignored in what it runs in the background: these tests, and so what they start
        command = ["env", "--default-signal=INT", *self.command(*words)]
        begun = subprocess.Popen(command, stdout=stdout, stderr=stderr, text=True, env=self.environment)
        self._begun.append(begun)
        return begun

    def begin_weft(self, *words):
        """A command of the CLI that nobody waits for yet, on this lab's controller; its output goes nowhere."""
        environment = {**self.environment, "WEFT_CONTROLLER": json.loads(self.file.read_text())["url"]}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._begun.append(subprocess.Popen([sys.executable, "-m", "weft", *words], env=environment, **quiet))
        return self._begun[-1]

    def end(self):
        """Whatever happened in the test: nothing of it may be left."""
        for begun in self._begun:
            begun.kill()
            begun.communicate()
        forked.run(["lab", "--name", self.name, "down"], self.environment, 60)
        left = namespaces(self.name), processes(str(self.folder / self.name))
        assert left == ([], []), left

    def weft(self, *words, timeout=150):
        """A command of the CLI, on this lab's controller."""
        environment = {**self.environment, "WEFT_CONTROLLER": json.loads(self.file.read_text())["url"]}
        done = forked.run(words, environment, timeout)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def standing_still(lab, host):
    """Its agent: it is connected, and hears nothing."""
    pid = json.loads(lab.file.read_text())["hosts"][host]["agent"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def mac_of(lab, interface):
    return json.loads(lab.weft("get", "networkInterfaces", interface, "-o", "json"))["properties"]["privateMacAddress"]


def namespaces(lab):
    found = subprocess.run(["ip", "netns"], capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout
    return sorted(line.split()[0] for line in found.splitlines() if line.startswith(f"{lab}-"))


def processes(text):
    """PIDs of processes whose command line holds this text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append((int(entry.name), line))
    return found


def last_line(text):
    return text.strip().splitlines()[-1]


def ping(lab, machine, address, count=20, interval=0.02):
    return last_line(lab.run("ping", machine, address, "-c", str(count), "-i", str(interval)))


class Silence(msgspec.Struct, frozen=True):
    """What pings lost."""

    sent: int
    lost: int
    longest_s: float
    """Longest time between two answers; not counted in pings: of those that nobody answers fewer are sent."""
    missing: tuple[int, ...]
    """The first of the lost, by their numbers."""


class Pinging:
    """100 pings a second from a namespace guest while something is done: from the first answer until `end`."""

    def __init__(self, lab, machine, address):
        self._said = tempfile.TemporaryFile()
        words = ("ping", "-n", "-D", "-i", str(INTERVAL), address)
        self._running = lab.begin("exec", machine, "--", *words, stdout=self._said)
        self.more(1)

    def _answers(self):
        """When they came, and their numbers."""
        said = os.pread(self._said.fileno(), 1 << 24, 0).decode()
        return [(float(when), int(one)) for when, one in re.findall(r"^\[([\d.]+)\] .*icmp_seq=(\d+)", said, re.M)]

    def _answered(self):
        return [number for _, number in self._answers()]

    def more(self, count, patience=60.0):
        """Wait until one is answered that was sent so many pings after the last that is answered now."""
        wanted = max(self._answered(), default=0) + count
        until(
            lambda: max(self._answered(), default=0) >= wanted,
            lambda: self._answered()[-1:],
            patience,
            lambda: self._running.poll() is None,
        )

    def end(self):
        """A second later than what was done, since strays are forwarded for a while."""
        self.more(100)
        self._running.kill()
        self._running.wait()
        came, answered = [when for when, _ in self._answers()], sorted(set(self._answered()))
        self._said.close()
        longest = max(later - one for one, later in itertools.pairwise(came))
        missing = tuple(sorted(set(range(1, answered[-1])) - set(answered))[:20])
        return Silence(answered[-1], answered[-1] - len(answered), longest, missing)
