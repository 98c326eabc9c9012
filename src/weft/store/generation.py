"""Is this the store that was left here? If it may have been put back from a copy, it begins a new generation.

Called by weft.store.store when it opens. Agents and watchers hold cursors of revisions; a restored store makes the same
numbers again with other contents, so their cursors must not be believed. Traces tell a copy, whichever way it came:

- the lock file is written once by each run, and the database keeps the file's number and change time of then, which no
  copying can bring back: a copy of the folder, in place or elsewhere, and a database of an earlier run, do not match;
- the mark beside the database has the newest revision: a database of the same run that was put back is older;
- without one of them nothing is known, and nothing is believed.

What it cannot see is the whole disk set back, snapshots: then remove the mark. In doubt the generation is new, which
costs each host one full state and loses nothing.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from weft.model.values import NewId

MARK = "weft.mark"
_WIDTH = 20


class Lock(NamedTuple):
    """The held lock file: its descriptor, its trace as it was found, and as this run leaves it."""

    descriptor: int
    found: str
    left: str


def trace_of(descriptor: int) -> str:
    """What changes with every write to a file and with every copy of it."""
    status = os.fstat(descriptor)
    return f"{status.st_ino} {status.st_ctime_ns}"


class Mark:
    """The newest revision, in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> int | None:
        """None if there is none, or not a whole one."""
        text = os.pread(self._descriptor, _WIDTH + 1, 0)
        return int(text) if len(text) == _WIDTH + 1 and text[:_WIDTH].isdigit() else None

    def write(self, revision: int) -> None:
        """After each commit. Outlives this process at once, a power cut after the kernel's half a minute at the latest.

        It never fails a commit, which is durable by now: an old mark only makes a copy harder to tell.
        """
        with suppress(OSError):
            os.pwrite(self._descriptor, b"%0*d\n" % (_WIDTH, revision), 0)

    def close(self) -> None:
        with suppress(OSError):
            os.fsync(self._descriptor)
        os.close(self._descriptor)


def settle(connection: sqlite3.Connection, mark: Mark, lock: Lock, new_id: NewId) -> None:
    """Keep the generation of a store that was left here, begin one for any other; then sign it as this run's."""
    generation, revision, seal = connection.execute("SELECT generation, revision, seal FROM head").fetchone()
    newest = mark.read()
    fresh = not seal and revision == 0
    if not fresh and (seal != lock.found or newest is None or newest > revision):
        generation = new_id()
    connection.execute("UPDATE head SET generation = ?, seal = ? WHERE one = 1", (generation, lock.left))
    mark.write(revision)
