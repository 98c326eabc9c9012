"""A move, phase by phase: preparing, switching, switched, done. Each phase is a commit, so a crash resumes it.

A machine whose hypervisor was asked to move it is given up at its destination only when its source says that it stays:
between them is the phase withdrawing, for as long as the hypervisor takes.

Called by weft.control.machines. Make before break: nothing switches before destination, source and every living peer
have applied the preparations and encrypt what is to be; the source forwards strays until every peer has acked or is
dead.
"""

import asyncio
import logging
from collections.abc import Callable, Set
from typing import NamedTuple

from weft.control.publisher import Publisher
from weft.control.sealing import Sealing
from weft.control.verdicts import DONE, Expectation, Verdict, trouble_of
from weft.control.waits import RECHECK_S, is_away, laggards_after, lagging
from weft.control.writer import Writer
from weft.core.commands import Actor, AdvanceMove
from weft.core.index import servers_of
from weft.core.policy_host import interfaces_of
from weft.core.policy_peers import servers_near
from weft.core.policy_places import VirtualMachine, seats
from weft.core.sealing import Due, for_move
from weft.model.errors import Conflict, NotFound, NotReady, Refusal, StoreUnavailable, WaitTimedOut
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.workload import Move

log = logging.getLogger(__name__)

UNDER_WAY = ("preparing", "switching", "withdrawing", "switched")

DEAD_AFTER_S = 3.0
"""A host without a connection is waited for this long, then the move goes on without it."""
SEALING_GRACE_S = 10.0
"""A host to which nothing passes from the source, since its tunnels are not encrypted, is waited for this long to
encrypt those to the destination."""
WITHDRAW_S = 5.0
"""The source's word that it keeps the machine is waited for this long before the caller is told that it is open."""
MOST_NAMED = 5
"""Hosts in a message."""
RESUME_GRACE_S = 60.0
"""After a restart agents need some time to come back."""


class _Ending(NamedTuple):
    task: asyncio.Task[None]
    revision: int
    """That it waits for."""


class Moves:
    """Carries moves; one per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._publisher = publisher
        self.ending: dict[str, _Ending] = {}
        """By machine: moves whose callers were answered and which only wait for peers."""
        self._resumed_at: float | None = None

    async def carry(self, name: str, generation: int, actor: Actor, timeout: float) -> None:
        """Take a move from `preparing` to `switched`; `done` follows in the background.

        Raises NotReady once the move was undone, WaitTimedOut if it cannot be told where the machine is, Refusal if the
        machine or the move was taken away meanwhile.
        """
        move = self._move(name, generation)
        if move.phase == "preparing":
            await self._prepare(name, move, actor, timeout)
            move = self._move(name, generation)
        if move.phase in ("switching", "withdrawing"):
            await self._switch(name, move, actor, timeout)
        self._begin_to_end(name, generation, actor)

    async def resume(self, name: str, actor: Actor) -> None:
        """Go on with a move of an earlier run of the controller."""
        machine = self._machine(name)
        if machine.properties.move is not None:
            await self._back(name, machine.properties.move.generation)
            await self.carry(name, machine.properties.move.generation, actor, RESUME_GRACE_S)

    async def _back(self, name: str, generation: int) -> None:
        """Wait for the hosts concerned: what one that has not come back since the restart applied is not known."""
        if self._resumed_at is None:
            self._resumed_at = _now()
        deadline = self._resumed_at + RESUME_GRACE_S
        with self._publisher.listening.to(self._concerned(name)) as listener:
            while _now() < deadline and any(is_away(self._publisher, server) for server in self._concerned(name)):
                self._moving(name, generation)
                await listener.next(min(deadline - _now(), RECHECK_S))

    def _concerned(self, name: str) -> set[str]:
        """Both ends of the move and every server with a port in a network of the machine or in a peer of it."""
        machine, state = self._machine(name), self._writer.state
        found = set(servers_of(machine))
        for interface in interfaces_of(state, machine):
            for seat in seats(state, interface):
                found.update(servers_near(state, seat.network))
        return found

    async def _prepare(self, name: str, move: Move, actor: Actor, timeout: float) -> None:
        deadline = _now() + timeout
        revision = self._writer.state.revision
        destination = self._expect(move.destination, revision)
        both = {move.source.lower(), move.destination.lower()}
        late = await self._everybody(name, move.generation, revision, timeout, both)
        if late:
            who = ", ".join(f"{one}{trouble_of(self._publisher, one)}" for one in late)
            await self._undo(name, move, actor, f"{who} did not apply the preparations within {timeout:g} s")
        sealing = self._sealing(name, move)
        verdict = await self.until(
            {move.destination.lower(), *(one.there for one in sealing.dues)},
            lambda: self._arriving(name, move, destination, sealing),
            deadline,
        )
        if not verdict.settled:
            await self._undo(name, move, actor, verdict.failure or f"still waiting for {verdict.waiting_for}")
        await self._advance(name, "switching", move.generation, actor)

    def _arriving(self, name: str, move: Move, destination: Expectation, sealing: Sealing) -> Verdict:
        machine = self._moving(name, move.generation)
        failure = destination.failure(machine, move.generation)
        if failure:
            return Verdict(False, failure)
        unsealed = sealing.lacking(_now())
        if unsealed:
            return Verdict(False, waiting_for="; ".join(list(unsealed.values())[:MOST_NAMED]))
        return destination.awaits(machine)

    def _sealing(self, name: str, move: Move) -> Sealing:
        """What hosts must encrypt of what they send its destination. Raises Refusal once the move is over."""
        state = self._writer.state

        def find() -> list[Due]:
            return for_move(state, self._moving(name, move.generation), move.source, move.destination)

        return Sealing(self._publisher, state, find, SEALING_GRACE_S)

    async def _switch(self, name: str, move: Move, actor: Actor, timeout: float) -> None:
        drivers = self._has_driver(move.source) and self._has_driver(move.destination)
        if drivers or move.phase == "withdrawing":
            await self._hand_over(name, move, actor, timeout)
            await self._advance(name, "switched", move.generation, actor)
            return
        revision = await self._advance(name, "switched", move.generation, actor)
        arrival = self._expect(move.destination, revision)
        verdict = await self.until(
            {move.destination.lower()},
            lambda: arrival.power(self._moving(name, move.generation), "Running"),
            _now() + timeout,
        )
        if not verdict.settled:
            raise WaitTimedOut(
                f"The machine '{name}' belongs to {move.destination} now, but it does not run there: "
                f"{verdict.failure or verdict.waiting_for}."
            )

    async def _hand_over(self, name: str, move: Move, actor: Actor, timeout: float) -> None:
        """Return once the machine has arrived. Only what a living host says ends it."""
        why, patience = "its source kept it", timeout
        if move.phase == "switching":
            why = await self._ask_source(name, move, timeout)
            if not why:
                return
            patience = WITHDRAW_S
            await self._advance(name, "withdrawing", move.generation, actor)
        verdict = await self._withdraw(name, move, why, patience)
        if verdict.failure:
            await self._undo(name, move, actor, verdict.failure)
        if not verdict.settled:
            raise WaitTimedOut(
                f"The machine '{name}' is not on {move.destination} after {timeout:g} s, and it is not known to stay "
                f"on {move.source}: still waiting for {verdict.waiting_for}. The move ends when that is known."
            )

    async def _ask_source(self, name: str, move: Move, timeout: float) -> str:
        """Wait until the source's hypervisor has moved the machine; returns why it has not, empty if it has."""
        revision = self._writer.state.revision
        source, destination = self._expect(move.source, revision), self._expect(move.destination, 0)
        both = {move.source.lower(), move.destination.lower()}

        def seen() -> Verdict:
            machine = self._moving(name, move.generation)
            if destination.power(machine, "Running").settled:
                return DONE
            return Verdict(False, source.failure(machine, move.generation), f"{name} to run on {move.destination}")

        verdict = await self.until(both, seen, _now() + timeout)
        still_there = source.power(self._machine(name), "Running").settled
        if not verdict.settled and not verdict.failure and not still_there:
            raise WaitTimedOut(
                f"The machine '{name}' was told to move to {move.destination}, and nobody says where it runs: "
                f"{verdict.waiting_for}. The move ends when {move.source} and {move.destination} answer again."
            )
        return "" if verdict.settled else verdict.failure or f"it was not there after {timeout:g} s"

    async def _withdraw(self, name: str, move: Move, why: str, patience: float) -> Verdict:
        """Settled: it has arrived all the same. Failed with `why`: it stays. Else that is not known yet."""
        source, destination = self._expect(move.source, self._writer.state.revision), self._expect(move.destination, 0)

        def seen() -> Verdict:
            machine = self._moving(name, move.generation)
            if self._has_driver(move.destination) and destination.power(machine, "Running").settled:
                return DONE
            stays = source.stays(machine)
            return Verdict(False, why) if stays.settled else stays

        return await self.until({move.source.lower(), move.destination.lower()}, seen, _now() + patience)

    def _begin_to_end(self, name: str, generation: int, actor: Actor) -> None:
        key, revision = name.lower(), self._writer.state.revision
        if (before := self.ending.get(key)) is not None:
            # of a move that is over: it would hear that only from a host that it waits for, or after a while
            before.task.cancel()
        task = asyncio.create_task(self._end(name, generation, revision, actor), name=f"end of the move of {name}")
        self.ending[key] = _Ending(task, revision)
        task.add_done_callback(lambda done: self._has_ended(key, done))

    def _has_ended(self, key: str, task: asyncio.Task[None]) -> None:
        """The machine may be at its next move already."""
        if key in self.ending and self.ending[key].task is task:
            del self.ending[key]

    async def _end(self, name: str, generation: int, revision: int, actor: Actor) -> None:
        """All peers know the new place, or are dead: the source may stop forwarding."""
        try:
            while late := await self._everybody(name, generation, revision, RESUME_GRACE_S, set()):
                log.info("the move of %s waits for %s; its source still forwards", name, ", ".join(late[:MOST_NAMED]))
            await self._advance(name, "done", generation, actor)
        except (Refusal, StoreUnavailable) as ended:
            log.info("the move of %s: %s", name, ended)

    def late(self, machine: str) -> list[str]:
        """Connected hosts that a move which only waits for peers waits for; none of any other machine."""
        ending = self.ending.get(machine.lower())
        if ending is None:
            return []
        late = lagging(self._publisher, ending.revision, self._concerned(machine))
        return [lag.server for lag in late if lag.connected]

    async def _everybody(
        self, name: str, generation: int, revision: int, timeout: float, needed: Set[str]
    ) -> list[str]:
        """Wait for all interested hosts; the dead ones only DEAD_AFTER_S, unless the move cannot do without them.

        Raises Refusal once the move is over: a failover ends it whatever its hosts say.
        """
        began, concerned = _now(), self._concerned(name)
        late = await laggards_after(self._publisher, revision, min(DEAD_AFTER_S, timeout), concerned)
        while late and _now() - began < timeout:
            self._moving(name, generation)
            if not any(lag.connected or lag.server in needed for lag in late):
                return []
            late = await laggards_after(self._publisher, revision, RECHECK_S, concerned)
        return [lag.server for lag in late if lag.connected or lag.server in needed]

    async def until(self, servers: set[str], verdict: Callable[[], Verdict], deadline: float) -> Verdict:
        """Judge anew whenever something was heard of these servers, until it is settled, failed or `deadline`."""
        with self._publisher.listening.to(servers) as listener:
            while True:
                found = verdict()
                left = deadline - _now()
                if found.settled or found.failure or left <= 0:
                    return found
                await listener.next(min(left, RECHECK_S))

    async def _undo(self, name: str, move: Move, actor: Actor, why: str) -> None:
        await self._advance(name, "failed", move.generation, actor)
        raise NotReady(
            f"The machine '{name}' cannot move to {move.destination}: {why}. It stays on {move.source}.",
            target=f"/servers/{move.destination}",
        )

    async def _advance(self, name: str, phase: str, generation: int, actor: Actor) -> int:
        submitted = await self._writer.submit(AdvanceMove(name, phase, generation), actor)
        return submitted.revision

    def _expect(self, server: str, revision: int) -> Expectation:
        return Expectation(self._publisher, server.lower(), revision)

    def _has_driver(self, server: str) -> bool:
        agent = self._publisher.managed.get(server.lower())
        return agent is not None and bool(agent.hypervisor)

    def _machine(self, name: str) -> VirtualMachine:
        machine: VirtualMachine | None = self._writer.state.get(VIRTUAL_MACHINES.name, name)
        if machine is None:
            raise NotFound(f"The machine '{name}' was deleted meanwhile.", target=name)
        return machine

    def _move(self, name: str, generation: int) -> Move:
        move = self._machine(name).properties.move
        if move is None or move.generation != generation or move.phase not in UNDER_WAY:
            raise Conflict(
                f"The move of '{name}' was ended meanwhile, by a failover: ask where the machine is now.",
                code="MoveIsOver",
                target=name,
            )
        return move

    def _moving(self, name: str, generation: int) -> VirtualMachine:
        """The machine, as long as this move of it is under way. Raises Refusal."""
        self._move(name, generation)
        return self._machine(name)


def _now() -> float:
    return asyncio.get_running_loop().time()
