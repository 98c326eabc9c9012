"""Wires store, state, writer, feed and machine actions into one value that the API and __main__ hold.

Use: `controller = Controller.open(folder, clock, new_id)`, then `async with controller.running():` on one event loop,
then `close()`. All of it runs on that loop; no call is thread-safe. Between two awaits a reader of `state` sees one
revision, and that one is durable.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from weft.control.captures import Captures
from weft.control.clock import Clock, LedgerClock
from weft.control.clockwork import Clockwork
from weft.control.evacuations import Evacuations
from weft.control.feed import Receive, serve_agent
from weft.control.hosts import HostView, host_view, runs_there
from weft.control.learning import Learning
from weft.control.machines import Machines
from weft.control.observations import Observations
from weft.control.provider_network import provider_conflicts
from weft.control.publisher import Publisher
from weft.control.readdressing import Readdressing
from weft.control.rule_hits import RuleHits
from weft.control.session import Send
from weft.control.twins import Twins
from weft.control.usage import Usage
from weft.control.waits import wait_applied
from weft.control.watch import Watch
from weft.control.writer import Encode, Submitted, Writer
from weft.core import policy
from weft.core.changes import Commit, ResourceChange
from weft.core.commands import Actor, Batch, Command, Decision
from weft.core.conflicts import Conflict as Clash
from weft.core.conflicts import conflicts, conflicts_of, joined
from weft.core.copy_commands import ImportMachine
from weft.core.ledger import warnings_for
from weft.core.state import State
from weft.model.errors import Conflict
from weft.model.kinds import MAC_POOLS
from weft.model.values import NewId, Now
from weft.store.store import Answer, HistoryRow, Retention, Store

log = logging.getLogger(__name__)


class Controller:
    """One running controller. `machines` has start, stop, save and migrate."""

    def __init__(self, store: Store, clock: Clock, new_id: NewId, keep: Retention | None = None) -> None:
        loaded = store.load()
        self.state = State.load(loaded)
        self.generation = loaded.generation
        self._store = store
        self._ledger = LedgerClock(clock, loaded.ledger)
        self._clock, self._began = clock, clock.monotonic()
        self.writer = Writer(self.state, store, self._ledger, new_id)
        self.publisher = Publisher(self.state, store, f"{loaded.generation}/{policy.EDITION}")
        self.captures = Captures(self.publisher)
        self.machines = Machines(self.writer, self.publisher)
        self.evacuations = Evacuations(self.state, self.publisher, self.machines.migrate, self.machines.late)
        self._observations = Observations(
            self.writer, self.publisher, self.machines.alone.is_busy, self.machines.may_come_back
        )
        self.rule_hits = RuleHits(lambda: self.now().wall)
        self._learning = Learning(self.writer, self.publisher)
        self.publisher.on_facts = self._heard
        self.publisher.may_run = Twins(self.writer, self.publisher).refusal
        self._watch = Watch(store, loaded.generation, loaded.revision)
        self._usage = Usage(self.state, store, loaded.ledger)
        self.readdressing = Readdressing(self.writer, self.publisher)
        each_tick = (self.machines.sweep, self.readdressing.sweep, self._sample)
        self._clockwork = Clockwork(self.writer, store, self._ledger, keep or Retention(), each_tick)
        self.writer.on_commit = self._committed
        self.writer.taken_on = self.publisher.taken_on

    @classmethod
    def open(cls, folder: Path, clock: Clock, new_id: NewId, keep: Retention | None = None) -> "Controller":
        """Open the store in `folder` and load it. Raises StoreLocked, StoreCorrupt, StoreTooNew."""
        store = Store.open(folder, new_id)
        try:
            return cls(store, clock, new_id, keep)
        except BaseException:
            store.close()
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Controller"]:
        """Do the work of the clock and finish the moves that a restart interrupted, for as long as the block lasts."""
        working = (
            asyncio.create_task(self._clockwork.run(), name="clockwork"),
            asyncio.create_task(self._observations.run(), name="observations"),
            asyncio.create_task(self._learning.run(), name="learning"),
            asyncio.create_task(self.machines.errands.run(), name="errands"),
        )
        self.machines.resume()
        self.readdressing.resume()
        try:
            yield self
        finally:
            self._watch.close()
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            self.evacuations.close()
            await self.readdressing.close()
            await self.machines.close()

    def close(self) -> None:
        """Let go of the store; after running() has ended."""
        self._store.close()

    def _heard(self, server: str) -> None:
        """An agent told its facts."""
        self._observations.heard(server)
        self._learning.heard(server)
        self.machines.errands.heard(server)
        session = self.publisher.session(server)
        if session is not None:
            self.rule_hits.heard(session.server, session.facts, begins=session.facts_heard <= 1)

    def _committed(self, commit: Commit) -> None:
        for change in commit.changes:
            if not isinstance(change, ResourceChange) or change.kind != MAC_POOLS.name:
                continue
            if change.before is None and change.after is not None:
                for warning in warnings_for(change.after):
                    log.warning("macPool %s: %s", change.after.resource_id, warning)
        warnings = self._usage.committed(commit)
        self._watch.committed(msgspec.structs.replace(commit, warnings=warnings) if warnings else commit)
        self._observations.committed(commit)
        self.machines.committed(commit)
        self.readdressing.committed(commit)
        self.rule_hits.committed(commit.changes)
        self.publisher.committed(commit)

    def conflicts(self, machine: str = "") -> list[Clash]:
        """Every present clash, of the ledger and between what hosts tell and the ledger; with its id, those of one
        machine."""
        behind, learning = self._observations.behind, self._learning
        if machine:
            own = (*behind.conflicts_of(machine), *learning.conflicts_of(machine))
            return joined(conflicts_of(self.state, machine), own)
        places = provider_conflicts(self.state, self.publisher.sessions())
        told = (*behind.conflicts(), *learning.conflicts(), *places)
        return joined(conflicts(self.state), told)

    def _sample(self) -> None:
        self._usage.sample(self.now().ledger)

    def usage_trend(self, *pools: str) -> float | None:
        """Days until the pools with these keys, taken together, are full at the rate of late; None if none is known."""
        return self._usage.days_left(pools, self.now().ledger)

    def warned_pools(self) -> Set[str]:
        """Keys of the pools that are filled to their warnAtPercent or beyond."""
        return self._usage.warned

    def now(self) -> Now:
        """The ledger's time and the wall's."""
        return self._ledger.now()

    async def submit(
        self, command: Command, actor: Actor, request_id: str | None = None, encode: Encode | None = None
    ) -> Submitted:
        """Decide and commit a command; see Writer.submit. Raises Refusal, StoreUnavailable."""
        self._check_adopted(command)
        return await self.writer.submit(command, actor, request_id, encode)

    def keep_answer(self, answer: Answer) -> None:
        """Keep an answer for retries, durable at return. Raises StoreUnavailable."""
        self.writer.keep_answer(answer)

    def answer_of(self, request_id: str) -> Answer | None:
        """The answer kept for a request id. Raises StoreUnavailable."""
        return self.writer.answer_of(request_id)

    def dry_run(self, command: Command) -> Decision:
        """What a command would come to now; nothing is kept. Raises Refusal."""
        self._check_adopted(command)
        return self.writer.dry_run(command)

    def _check_adopted(self, command: Command) -> None:
        """What is adopted runs by another's hand, maybe beside a twin, and an agent starts what should run and does not
        by its hypervisor's word. Raises Conflict (ServerIsManaged)."""
        for at, one in enumerate(command.commands if isinstance(command, Batch) else (command,)):
            if isinstance(one, ImportMachine) and one.adopt and one.power.lower() == "running":
                if one.server.lower() in self.publisher.managed and not runs_there(self.publisher, one):
                    refusal = Conflict(
                        f"/servers/{one.server} has an agent, which would start {one.name} a second time: adopt it on "
                        "a server without one, or import it without adopt.",
                        code="ServerIsManaged",
                        target="server",
                    )
                    refusal.position = at if isinstance(command, Batch) else None
                    raise refusal

    async def wait_applied(self, revision: int, timeout: float) -> None:
        """Return when every host that needs `revision` has applied it. Raises WaitTimedOut, naming those that lag."""
        await wait_applied(self.publisher, revision, timeout)

    def subscribe(self, generation: str, after: int) -> AsyncIterator[Commit]:
        """Commits after a cursor, then new ones, until the controller ends. The first step may raise Compacted."""
        return self._watch.subscribe(generation, after)

    def history(self, scope: str, address: int, limit: int = 1000) -> Sequence[HistoryRow]:
        """What happened to an address, oldest first."""
        return self._store.history(scope, address, limit)

    def history_scopes(self, packed: bytes) -> Sequence[str]:
        """The scopes in which an address (6, 4 or 16 bytes) has a history, holders or not."""
        return self._store.scopes_of(packed)

    async def serve_agent(self, receive: Receive, send: Send) -> None:
        """The controller's end of an agent's connection; returns when it is over, and never raises for what it does."""
        await serve_agent(self.publisher, receive, send, lambda: self.now().wall)

    def host(self, server: str) -> HostView:
        """A server as the feed knows it: managed, connected, how far, what its agent says."""
        return host_view(self.publisher, server, self.state.revision, self._clock.monotonic() - self._began)

    def set_feed_delay(self, seconds: float) -> None:
        """Hold back every frame to every agent this long (tests, the lab's delay-feed); 0 ends it."""
        self.publisher.set_delay(seconds)

    def not_ready(self) -> str:
        """Why the store cannot be written; empty when it can (GET /readyz)."""
        return self.writer.failure
