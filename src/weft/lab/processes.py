"""Processes of the lab: started, known again by PID and start time, ended. Never ends a process that is not its own.

A PID alone may have gone to a stranger; with the time at which the kernel started it, it cannot.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    pid: int
    started: int
    """Clock ticks from boot to its start: field 22 of /proc/PID/stat."""


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_WRITE_DOWN = 'echo "$$ $(cut -d" " -f22 /proc/$$/stat)" >"$0.new" && mv "$0.new" "$0" && exec "$@"'
"""A shell that writes its PID and start time to a file and then becomes the command."""

MARK = "WEFT_LAB_LOG"
"""In the environment of what the lab starts and of all its children: the log it was started with."""


def spawn(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Process:
    """Start a process of its own session whose output goes to `log`; it outlives the caller.

    The child itself writes down who it is (`written_down`), so that it is found again if we die at this very moment.
    Its children are known by its mark (`marked`), also those that outlive it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            ["sh", "-c", _WRITE_DOWN, str(log.with_suffix(".process")), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {}), MARK: str(log)},
        )
    child.returncode = 0  # it is not ours to wait for: no ResourceWarning when this value goes
    return Process(pid=child.pid, started=_started(child.pid) or 0)


def written_down(log: Path) -> Process | None:
    """The process that was last started with this log."""
    try:
        pid, started = log.with_suffix(".process").read_text().split()
    except (OSError, ValueError):
        return None
    return Process(int(pid), int(started))


def alive(process: Process | None) -> bool:
    """True if it runs; a zombie does not."""
    return process is not None and _started(process.pid) == process.started


def kill(process: Process | None, *, wait: float = 30.0) -> bool:
    """End it with SIGKILL and wait until it is gone. False if it did not run."""
    return bool(kill_all([process], wait=wait))


def kill_all(processes: Iterable[Process | None], *, wait: float = 30.0) -> list[Process]:
    """End them with SIGKILL, in this order, and wait until all are gone; those that ran."""
    ended = [process for process in processes if process is not None and _signal(process)]
    until = time.monotonic() + wait
    for process in ended:
        while alive(process) and time.monotonic() < until:
            time.sleep(0.005)
        _reap(process.pid)
    return ended


def _signal(process: Process) -> bool:
    """False if it did not run."""
    if not alive(process):
        return False
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def inside(namespaces: Iterable[str]) -> list[Process]:
    """All processes that run in these network namespaces."""
    places = set()
    for name in namespaces:
        try:
            found = os.stat(f"/run/netns/{name}")
        except OSError:
            continue
        places.add((found.st_dev, found.st_ino))
    if not places:
        return []
    return [process for process in _all() if _place(process.pid) in places]


def marked(folder: Path) -> list[Process]:
    """All processes that were started with a log below this folder, and their children."""
    mark = f"{MARK}={folder}{os.sep}".encode()
    return [
        process for process in _all() if any(one.startswith(mark) for one in _environment(process.pid).split(b"\0"))
    ]


def _environment(pid: int) -> bytes:
    """Empty if it is gone or another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _all() -> list[Process]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (started := _started(int(entry))) is not None:
            found.append(Process(pid=int(entry), started=started))
    return found


def _place(pid: int) -> tuple[int, int] | None:
    try:
        found = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _started(pid: int) -> int | None:
    """None if there is no such process, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def _reap(pid: int) -> None:
    """Collect it if it is our child; if not, init does."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except (ChildProcessError, OSError):
        pass


def is_listening(path: Path) -> bool:
    """Does somebody accept connections on this unix socket?"""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
