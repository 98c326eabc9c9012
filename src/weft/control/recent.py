"""Which records the latest revisions touched, so that an agent that comes back gets what it missed and no more.

Called by weft.control.publisher. Covers the revisions after `floor`; bounded by the number of keys. What is older, or
from before a restart, is worked out from the store's log by taking the state back and forward again, since which
records a change touches can only be told from the state right after it.
"""

import bisect
import logging
from collections import deque
from collections.abc import Iterable

from weft.core import policy
from weft.core.changes import Commit
from weft.core.state import State
from weft.model.errors import Compacted
from weft.model.records import RecordKey
from weft.store.store import Store

log = logging.getLogger(__name__)

MAX_KEYS = 200_000
"""Keys and revisions kept, together."""
MAX_REPLAYED = 50_000
"""Changes; beyond this a full state is cheaper than working out the difference."""

Touched = dict[policy.Stream, set[RecordKey]]


def touched_by(state: State, commit: Commit) -> Touched:
    """Keys by stream; `state` has the commit and nothing after it."""
    found: Touched = {}
    for stream, key in policy.touched(state, commit.changes):
        found.setdefault(stream, set()).add(key)
    return found


class Recent:
    """Append with add(), ask with since()."""

    def __init__(self, revision: int) -> None:
        self.floor = revision
        self._beyond = -1
        """Up to here it is too far back."""
        self._revisions: deque[tuple[int, Touched]] = deque()
        self._streams: dict[policy.Stream, deque[tuple[int, set[RecordKey]]]] = {}
        self._keys = 0

    def forget(self, revision: int) -> None:
        """Nobody listens: cover nothing up to `revision`."""
        self.floor = revision
        self._revisions.clear()
        self._streams.clear()
        self._keys = 0

    def add(self, revision: int, touched: Touched) -> None:
        self._revisions.append((revision, touched))
        self._keys += 1
        for stream, keys in touched.items():
            self._streams.setdefault(stream, deque()).append((revision, keys))
            self._keys += len(keys)
        while self._keys > MAX_KEYS:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.floor, touched = self._revisions.popleft()
        self._keys -= 1
        for stream, keys in touched.items():
            self._keys -= len(keys)
            line = self._streams[stream]
            line.popleft()
            if not line:
                del self._streams[stream]

    def since(self, stream: policy.Stream, revision: int) -> set[RecordKey] | None:
        """Keys of a stream touched after `revision`; None if that is further back than is covered."""
        if revision < self.floor:
            return None
        found: set[RecordKey] = set()
        for at, keys in reversed(self._streams.get(stream, ())):
            if at <= revision:
                break
            found |= keys
        return found

    def reach(self, revisions: Iterable[int], state: State, store: Store) -> None:
        """Cover everything after the oldest of these revisions for which that can be done, from the log where need be.

        The state is taken back and brought forward again before this returns. What was too far back once is not looked
        up again: it only gets further, and after a restart every agent asks for all that it has.
        """
        wanted = sorted({revision for revision in revisions if self._beyond < revision < self.floor})
        found: list[Commit] = []

        def is_near(revision: int) -> bool:
            nonlocal found
            commits = _since(store, revision, state.revision)
            found = found if commits is None else commits
            return commits is not None

        at = bisect.bisect_left(wanted, True, key=is_near)
        if at:
            self._beyond = wanted[at - 1]
        if at < len(wanted):
            self._cover(wanted[at], _replay(state, found))

    def _cover(self, revision: int, entries: list[tuple[int, Touched]] | None) -> None:
        if entries is None:
            self._beyond = revision
            return
        self.forget(revision)
        for at, touched in entries:
            self.add(at, touched)
        if self.floor > revision:
            self._beyond = self.floor - 1


def _since(store: Store, revision: int, newest: int) -> list[Commit] | None:
    commits: list[Commit] = []
    changes = 0
    while revision < newest:
        try:
            more = store.log(revision, 500)
        except Compacted:
            return None
        commits += more
        changes += sum(len(commit.changes) for commit in more)
        if changes > MAX_REPLAYED:
            return None
        revision = more[-1].revision
    return commits


def _replay(state: State, commits: list[Commit]) -> list[tuple[int, Touched]] | None:
    """Back to before the first and forward again, whatever happens: the state must end as it began."""
    for commit in reversed(commits):
        _back(state, commit)
    found: list[tuple[int, Touched]] | None = []
    for commit in commits:
        for change in commit.changes:
            state.apply(change)
        if found is None:
            continue
        try:
            found.append((commit.revision, touched_by(state, commit)))
        except Exception:
            log.exception("cannot work out what revision %d touched; agents get a full state", commit.revision)
            found = None
    return found


def _back(state: State, commit: Commit) -> None:
    for change in reversed(commit.changes):
        state.revert(change)
