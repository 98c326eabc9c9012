"""The one writer: commands queue, and all that wait are decided one after another and committed as one revision.

Called by weft.control.controller. Between two callbacks of the event loop the state is always what the disk has: a
batch is decided, applied and committed in one callback, and a failed commit reverts every change of it. A refused
command refuses alone; if it is about an address it goes into that address's history in the same transaction, or in one
that makes no revision. A request id gets one answer, whether its copies come in one batch, later or after a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from weft.control.clock import LedgerClock
from weft.core.changes import Change, Commit, CursorChange
from weft.core.commands import Actor, Command, Decision
from weft.core.decide import decide, decide_and_apply
from weft.core.state import State
from weft.core.taken_addresses import TakenOn, nobody_has
from weft.model.errors import Refusal, StoreUnavailable
from weft.model.values import NewId, Now
from weft.store.refusals import RefusedAddress
from weft.store.store import Answer, Store

log = logging.getLogger(__name__)

MAX_BATCH = 512
MAX_BATCH_S = 0.02
GATHER = 64
"""With so many waiting, no more are waited for."""

Encode = Callable[[Decision], Answer]
"""Makes the answer to keep for a request id; pure, called before the commit."""


class Submitted(msgspec.Struct, frozen=True):
    """What became of a command. `decision` is None for the repeat of a request id: `answer` is what it got before."""

    revision: int
    """The newest at the answer: who waits for this one waits long enough."""
    decision: Decision | None
    answer: Answer | None = None


class _Asked(msgspec.Struct):
    command: Command
    actor: Actor
    future: "asyncio.Future[Submitted]"
    request_id: str | None
    encode: Encode | None


class _Granted(msgspec.Struct):
    asked: _Asked
    decision: Decision
    answer: Answer | None


class _Refused(msgspec.Struct):
    asked: _Asked
    error: Exception

    @property
    def address(self) -> RefusedAddress | None:
        """What goes into the history of an address; None if the refusal is about none."""
        error = self.error
        if not isinstance(error, Refusal) or not error.scope:
            return None
        return RefusedAddress(error.scope, error.address, error.asker, self.asked.actor.name, error.code)


class _Outcome(msgspec.Struct):
    """What a batch came to, before the commit."""

    granted: list[_Granted] = []
    refused: list[_Refused] = []
    repeats: list[tuple[_Asked, Answer]] = []


class Writer:
    """Owns the state and the right to write. Everything runs on one event loop."""

    def __init__(self, state: State, store: Store, clock: LedgerClock, new_id: NewId) -> None:
        self.state = state
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._waiting: list[_Asked] = []
        self._scheduled = False
        self._seen = 0
        self._kept_at = clock.now().ledger
        self.on_commit: Callable[[Commit], None] = _nobody
        """Called after each commit that changed something, before anybody gets an answer. Must not raise."""
        self.taken_on: TakenOn = nobody_has
        """What hosts tell of provider addresses that other machines have."""
        self.failure = ""
        """Why the last commit failed; empty when it did not."""

    async def submit(
        self, command: Command, actor: Actor, request_id: str | None = None, encode: Encode | None = None
    ) -> Submitted:
        """Decide and commit; returns when it is durable.

        With `request_id` an `encode` must come too: its answer is kept in the same transaction and handed back to
        whoever comes with the same id. Refusals are not kept; a retry of one is decided anew.
        Raises Refusal, or StoreUnavailable with nothing changed.
        """
        loop = asyncio.get_running_loop()
        asked = _Asked(command, actor, loop.create_future(), request_id, encode)
        self._waiting.append(asked)
        self._schedule(loop)
        return await asked.future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._write_waiting)

    def _write_waiting(self) -> None:
        # as long as each turn of the loop brings more, another turn costs less than another transaction
        if self._seen < len(self._waiting) < GATHER:
            self._seen = len(self._waiting)
            asyncio.get_running_loop().call_soon(self._write_waiting)
            return
        self._scheduled = False
        self._seen = 0
        batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        left = self._write(batch)
        if left:
            self._waiting = [*left, *self._waiting]
        if self._waiting:
            self._schedule(asyncio.get_running_loop())

    def _write(self, batch: Sequence[_Asked]) -> Sequence[_Asked]:
        """Decide and commit a batch; returns what is left over when it takes too long."""
        now = self._clock.now()
        outcome = _Outcome()
        try:
            answered = self._answered(batch)
        except StoreUnavailable as error:
            self._refuse(batch, error)
            return ()
        left: Sequence[_Asked] = ()
        for position, asked in enumerate(batch):
            if position and self._clock.now().ledger - now.ledger > MAX_BATCH_S:
                left = batch[position:]
                break
            if asked.future.cancelled():
                continue
            if asked.request_id is not None and asked.request_id in answered:
                outcome.repeats.append((asked, answered[asked.request_id]))
                continue
            try:
                one = self._decide(asked, now)
            except Exception as error:
                # a refusal, or a fault of ours: it is its own caller's alone
                outcome.refused.append(_Refused(asked, error))
                continue
            outcome.granted.append(one)
            if one.answer is not None:
                answered[one.answer.request_id] = one.answer
        self._finish(outcome, now)
        return left

    def _answered(self, batch: Sequence[_Asked]) -> dict[str, Answer]:
        """Answers given before to request ids of this batch."""
        ids = [asked.request_id for asked in batch if asked.request_id is not None]
        return self._store.answers_of(ids) if ids else {}

    def _decide(self, asked: _Asked, now: Now) -> _Granted:
        """Decide and apply one command, or raise and leave the state as it was."""
        decision = decide_and_apply(self.state, asked.command, now, self._new_id, self.taken_on)
        if asked.request_id is None or asked.encode is None:
            return _Granted(asked, decision, None)
        try:
            return _Granted(asked, decision, asked.encode(decision))
        except BaseException:
            self._revert(decision.changes)
            raise

    def _revert(self, changes: Sequence[Change]) -> None:
        for change in reversed(changes):
            self.state.revert(change)

    def _finish(self, outcome: _Outcome, now: Now) -> None:
        """Commit, then answer. Without the commit a refusal still stands where nothing was granted before it."""
        changes = [change for one in outcome.granted for change in one.decision.changes]
        try:
            commit = self._commit(outcome, changes, now)
        except Exception as error:
            self._revert(changes)
            doubtful = [one.asked for one in outcome.refused] if changes else []
            unanswered = [*(one.asked for one in outcome.granted), *(asked for asked, _ in outcome.repeats), *doubtful]
            self._refuse(unanswered, error)
            _answer_refused(outcome.refused)
            return
        if commit is not None:
            self.state.revision = commit.revision
            self._tell(commit)
        revision = self.state.revision
        _answer_refused(outcome.refused)
        for one in outcome.granted:
            _resolve(one.asked.future, Submitted(revision, one.decision, one.answer))
        for asked, answer in outcome.repeats:
            _resolve(asked.future, Submitted(revision, None, answer))

    def _refuse(self, batch: Sequence[_Asked], error: Exception) -> None:
        """The transaction failed; an error per caller, since each adds its own traceback."""
        self.failure = error.message if isinstance(error, StoreUnavailable) else f"{type(error).__name__}: {error}"
        if not isinstance(error, StoreUnavailable):
            log.error("a commit failed and was undone", exc_info=error)
        for asked in batch:
            if not asked.future.done():
                asked.future.set_exception(StoreUnavailable(self.failure))

    def _commit(self, outcome: _Outcome, changes: list[Change], now: Now) -> Commit | None:
        """One transaction; None if nothing changed. Raises StoreUnavailable."""
        answers = [one.answer for one in outcome.granted if one.answer is not None]
        refused = [address for one in outcome.refused if (address := one.address) is not None]
        if not changes and not answers and not refused:
            return None
        actors = [one.asked.actor.name for one in outcome.granted for _ in one.decision.changes]
        kept, authors = _without_steps(changes, actors)
        revision = self.state.revision + 1 if changes else self.state.revision
        commit = Commit(revision, now.wall, now.ledger, tuple(kept), tuple(dict.fromkeys(authors)))
        self._store.commit(commit, authors, answers, refused)
        self.failure = ""
        self._kept_at = now.ledger
        return commit if changes else None

    def _tell(self, commit: Commit) -> None:
        try:
            self.on_commit(commit)
        except Exception:
            # the commit is durable and its callers must hear so; who listens looks at the state anew next time
            log.exception("a listener failed on revision %d", commit.revision)

    def dry_run(self, command: Command) -> Decision:
        """What the command would come to now; nothing is kept. Raises Refusal."""
        return decide(self.state, command, self._clock.now(), self._new_id, self.taken_on)

    def dry_run_all(self, commands: Sequence[Command]) -> list[Decision]:
        """What the commands would come to now, one after the other; nothing is kept. Raises the first Refusal."""
        now = self._clock.now()
        decisions: list[Decision] = []
        try:
            for command in commands:
                decisions.append(decide_and_apply(self.state, command, now, self._new_id, self.taken_on))
        finally:
            self._revert([change for decision in decisions for change in decision.changes])
        return decisions

    def keep_time(self, every_s: float) -> None:
        """Write the ledger's time if no commit did so for `every_s`. Raises StoreUnavailable."""
        if self._clock.now().ledger - self._kept_at >= every_s or self.failure:
            self._keep(())

    def keep_answer(self, answer: Answer) -> None:
        """Keep what is about to be answered for an action of several commits. Raises StoreUnavailable."""
        self._keep((answer,))

    def answer_of(self, request_id: str) -> Answer | None:
        """What was answered to a request id before. Raises StoreUnavailable."""
        return self._store.answers_of([request_id]).get(request_id)

    def _keep(self, answers: Sequence[Answer]) -> None:
        """A transaction that makes no revision."""
        now = self._clock.now()
        try:
            self._store.commit(Commit(self.state.revision, now.wall, now.ledger, ()), (), answers)
        except StoreUnavailable as error:
            self.failure = error.message
            raise
        self._kept_at, self.failure = now.ledger, ""


def _nobody(commit: Commit) -> None:
    pass


def _answer_refused(refused: Sequence[_Refused]) -> None:
    for one in refused:
        if not one.asked.future.done():
            one.asked.future.set_exception(one.error)


def _resolve(future: "asyncio.Future[Submitted]", value: Submitted) -> None:
    if not future.done():
        future.set_result(value)


def _without_steps(changes: list[Change], actors: list[str]) -> tuple[list[Change], list[str]]:
    """Fold the steps of each cursor into one change, at the end; a bulk grant moves one a thousand times."""
    kept: list[Change] = []
    authors: list[str] = []
    cursors: dict[str, tuple[CursorChange, str]] = {}
    for change, actor in zip(changes, actors, strict=True):
        if isinstance(change, CursorChange):
            first = cursors.get(change.pool)
            before = change.before if first is None else first[0].before
            cursors[change.pool] = (CursorChange(change.pool, before, change.after), actor)
        else:
            kept.append(change)
            authors.append(actor)
    kept.extend(change for change, _ in cursors.values())
    authors.extend(actor for _, actor in cursors.values())
    return kept, authors
