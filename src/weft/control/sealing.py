"""Whether hosts tell encrypted what must be before a change or a move goes on. Called by readdressing and moves.

By level, from what each agent told last; both ends must tell it. Of a host whose agent is away nothing is asked here:
who calls knows how long it waits for such a one.
"""

from collections.abc import Callable, Sequence

from weft.control.publisher import Publisher
from weft.core.sealing import Due, Pair
from weft.core.state import State
from weft.model.values import ip_text


class Sealing:
    """Of one wait. Where nothing passes anyhow it waits for `grace_s` only, since nothing can be lost and the driver of
    a host may be broken for long: what is asked for may be the cure."""

    def __init__(self, publisher: Publisher, state: State, find: Callable[[], Sequence[Due]], grace_s: float) -> None:
        """`find` says what is to be encrypted by the state as it is now. That costs by the hosts of a network and their
        addresses, and hosts tell something all the time, so it is asked once for each revision."""
        self._publisher = publisher
        self._state = state
        self._find = find
        self._grace_s = grace_s
        self._found: tuple[int, Sequence[Due]] | None = None
        """By which revision, and what."""
        self._silent_since: dict[str, float] = {}
        """By server: since when nothing passes to it."""

    @property
    def dues(self) -> Sequence[Due]:
        """All that is to be encrypted."""
        if self._found is None or self._found[0] != self._state.revision:
            self._found = self._state.revision, self._find()
        return self._found[1]

    def lacking(self, now: float) -> dict[str, str]:
        """The hosts that are still waited for, by server, and for what, in words."""
        found: dict[str, str] = {}
        silent: dict[str, float] = {}
        for due in self.dues:
            lacks = self._lacks(due)
            if not lacks:
                continue
            if not self._passes(due):
                silent[due.there] = self._silent_since.get(due.there, now)
                if now - silent[due.there] >= self._grace_s:
                    continue
            found[due.there] = self._words(due, lacks)
        self._silent_since = silent
        return found

    def _lacks(self, due: Due) -> list[Pair]:
        if self._publisher.session(due.there) is None:
            return []
        back = ((pair, (pair[1], pair[0])) for pair in sorted(due.pairs))
        return [one for one, other in back if not (self._tells(due.here, one) and self._tells(due.there, other))]

    def _passes(self, due: Due) -> bool:
        return any(self._tells(due.there, (own, other)) for other, own in due.now)

    def _tells(self, server: str, pair: Pair) -> bool:
        """Does it tell these encrypted, its own address first? An agent of before tells only what is not; one that
        tells neither can do nothing for it."""
        session = self._publisher.session(server)
        if session is None or not session.facts_heard:
            return False
        if session.tables.sealed is not None:
            return pair in session.tables.sealed
        told = session.facts.provider
        return told is None or pair not in told.in_clear

    def _words(self, due: Due, lacks: list[Pair]) -> str:
        own, other = lacks[0]
        more = f" and {len(lacks) - 1} more" if len(lacks) > 1 else ""
        ends = f"{self._publisher.spelled(due.here)} and {self._publisher.spelled(due.there)}"
        return f"{ends} to encrypt tunnels between {ip_text(own)} and {ip_text(other)}{more}"
