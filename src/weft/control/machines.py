"""What a host must do for a machine: the intent is committed, the host carries it out, then the caller is answered.

Start, stop, save, migrate and failover are here, checkpoints and other addresses in checkpoints.py. Called by the API
through Controller.machines. What was answered 200 is so on the hosts; what failed is taken back and raised as a typed
error. One action per machine at a time. An action goes on when its caller has gone, and a move goes on after a restart.
On a server that no agent ever connected for the intent is the fact.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from weft.control.alone import Alone
from weft.control.checkpoints import Checkpoints
from weft.control.creations import Creations
from weft.control.drivers import defines
from weft.control.errands import Errands
from weft.control.failover import FAILOVER_TIMEOUT_S, Failovers
from weft.control.moves import UNDER_WAY, Moves
from weft.control.power import POWER_TIMEOUT_S, Power
from weft.control.publisher import Publisher
from weft.control.restarts import Restarts
from weft.control.rewriting import Rewriting
from weft.control.writer import Writer
from weft.core.changes import Commit
from weft.core.commands import Actor, BeginMove, BeginRemoval, CreateMachine, Decision, Preconditions
from weft.core.copy_commands import Clone
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import WaitTimedOut
from weft.model.kinds import VIRTUAL_MACHINES

log = logging.getLogger(__name__)

MOVE_TIMEOUT_S = 60.0
CREATE_TIMEOUT_S = 270.0
"""Less than clients wait for an answer."""

RESUMED = Actor("controller", "system")


class Machines:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher
        self._moves = Moves(writer, publisher)
        self._power = Power(writer, publisher, self._moves)
        self._restarts = Restarts(writer, self._power)
        self._creations = Creations(writer, publisher, self._moves)
        self.errands = Errands(writer, publisher)
        self._failovers = Failovers(writer, publisher, self._power, self._moves)
        self.alone = Alone()
        rewriting = Rewriting(writer, publisher, self.errands)
        parts = self._power, self._restarts, self.errands, rewriting
        self.checkpoints = Checkpoints(writer, publisher, parts, self.alone)
        self._making: dict[str, asyncio.Task[VirtualMachine]] = {}
        """By machine, lower case: a creation that somebody asked for and that is under way."""
        self._moving: set[str] = set()
        """Machines, lower case, whose move may be under way."""
        self._ending_move: set[str] = set()
        """Machines, lower case, that a failover takes from whoever carries their move."""

    def late(self, name: str) -> list[str]:
        """Hosts for which the end of a machine's move waits, once it runs at the destination."""
        return self._moves.late(name)

    async def create(self, command: CreateMachine, actor: Actor) -> VirtualMachine:
        """Make a machine as a whole; returns when it runs, or is there if it is not to start. The same command goes on
        with what an earlier one began, and answers what it made.

        Raises Refusal with nothing made, NotReady when it could not be made and nothing is left of it (or is as soon as
        its host answers), WaitTimedOut while its host is still at it: then it goes on.
        """
        return await self._whole(command.name, self._creations.make(command, actor))

    async def clone(self, command: Clone, actor: Actor) -> VirtualMachine:
        """Make a machine of another one that its host has to copy; returns when it is there. Raises as create()."""
        making = self._creations.copy(command.name, self.errands.on_host(command), actor)
        return await self._whole(command.name, making)

    async def _whole(self, name: str, making: Coroutine[Any, Any, VirtualMachine]) -> VirtualMachine:
        """Make a machine after whoever makes it now."""
        key = name.lower()
        if key not in self._making and not self.alone.is_busy(key) and key in self._creations.open:
            self.sweep()
            if (carried := self.alone.of(key)) is not None:
                await asyncio.wait({carried}, timeout=CREATE_TIMEOUT_S)
        while (earlier := self._making.get(key)) is not None:
            if not (await asyncio.wait({earlier}, timeout=CREATE_TIMEOUT_S))[0]:
                break
        work = asyncio.create_task(self.alone.run(name, making))
        self._making[key] = work
        work.add_done_callback(lambda done: self._made(key, done))
        try:
            async with asyncio.timeout(CREATE_TIMEOUT_S):
                return await asyncio.shield(work)
        except TimeoutError:
            raise WaitTimedOut(
                f"The machine '{name}' is still being made after {CREATE_TIMEOUT_S:g} s, and goes on: repeat "
                "the request to wait for it."
            ) from None

    def _made(self, key: str, work: "asyncio.Task[VirtualMachine]") -> None:
        if self._making.get(key) is work:
            del self._making[key]
        # the caller may have gone: then nobody else would ask for the error
        if not work.cancelled():
            work.exception()

    def dry_create(self, command: CreateMachine) -> Decision:
        """What create() would grant. Raises Refusal."""
        return self._writer.dry_run(self._creations.placed(command))

    def removes_disks(self, machine: str) -> bool:
        """Would a delete with its disks have to wait for a host?"""
        found: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, machine)
        if found is None or found.properties.is_template:
            return False
        p = found.properties
        is_ours = p.hardware is not None or bool(p.made_as)
        return p.creation is not None or (is_ours and self._keeps_machines(server_of(found)))

    def _keeps_machines(self, server: str) -> bool:
        return defines(self._publisher.managed.get(server))

    async def delete(self, machine: str, when: Preconditions, actor: Actor) -> None:
        """Delete a machine with the disks that were made for it, once its host has removed them. Raises Refusal,
        NotReady when that is still to come."""
        await self.alone.run(machine, self._delete(machine, when, actor))

    async def _delete(self, machine: str, when: Preconditions, actor: Actor) -> None:
        creation = self._power.machine(machine).properties.creation
        if creation is None or creation.phase != "removing":
            self._power.check_reachable(server_of(self._power.machine(machine)))
            await self._writer.submit(BeginRemoval(machine, when), actor)
        await self._creations.carry(machine, actor)

    def committed(self, commit: Commit) -> None:
        """Told of every commit."""
        self._creations.committed(commit)
        self.errands.committed(commit)

    async def start(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Run a machine where it is bound. Raises Refusal (ActiveTwin ...) or NotReady, then nothing has changed."""
        return await self.alone.run(machine, self._power.set(machine, "Running", actor, timeout))

    async def stop(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Switch a machine off; its addresses stay. When this returns it answers nothing. Raises as start()."""
        return await self.alone.run(machine, self._power.set(machine, "Off", actor, timeout))

    async def save(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Freeze a machine to disk. Raises as start()."""
        return await self.alone.run(machine, self._power.set(machine, "Saved", actor, timeout))

    async def migrate(
        self, machine: str, server: str, actor: Actor, force: bool = False, timeout: float | None = None
    ) -> VirtualMachine:
        """Move a machine to another server, make before break; `server` is a resource id.

        Returns when it runs there and every record says so or is about to. Raises Refusal or NotReady, then it is where
        it was; WaitTimedOut if a host fell silent in the middle, then the move ends when that host is back. A move
        there that is under way already, of an earlier try or before a restart, is waited for. `timeout`: of each wait,
        in seconds; None for MOVE_TIMEOUT_S.
        """
        timeout = MOVE_TIMEOUT_S if timeout is None else timeout
        if self._goes_to(machine, server):
            self.sweep()
            carried = self.alone.of(machine.lower())
            if carried is not None:
                await asyncio.wait({carried}, timeout=timeout)
        return await self.alone.run(machine, self._migrate(machine, server, actor, force, timeout))

    async def failover(
        self, machine: str, server: str, fenced: bool, actor: Actor, timeout: float = FAILOVER_TIMEOUT_S
    ) -> VirtualMachine:
        """Bind a machine of a dead host to another, as it was; a move under way ends with it.

        Returns when its new host has it. Raises NotReady while the present host's agent is connected, or has had no
        time to come back since this controller began, unless `fenced`; Refusal; WaitTimedOut when it belongs to the new
        host but is not up there yet.
        """
        self._failovers.check(machine, server, fenced)
        key = machine.lower()
        work = self._failovers.carry_out(machine, server, actor, timeout)
        if key in self._ending_move or not self._failovers.is_moving(machine):
            return await self.alone.run(machine, work)
        # who carries the move waits for hosts that may be dead: it lets go when the record says that it is over
        self._ending_move.add(key)
        task = self.alone.begin(machine, work)
        task.add_done_callback(lambda done: self._ending_move.discard(key))
        return await asyncio.shield(task)

    def check_removal(self, server: str, fenced: bool) -> None:
        """May a server be removed with its machines? Raises NotReady while its agent is connected and machines may run
        there, or has had no time to come back since this controller began, unless `fenced`; Refusal."""
        self._failovers.check_removal(server, fenced)

    def resume(self) -> None:
        """Take up every move, and every restart for a change, that was under way when the controller ended."""
        self._failovers.begin()
        self._restarts.look()
        self._creations.look()
        self.errands.look()
        for machine in self._state.all(VIRTUAL_MACHINES.name):
            if machine.properties.move is not None:
                self._moving.add(machine.resource_id.lower())
        self.sweep()

    def sweep(self) -> None:
        """Go on with moves and changes that nobody carries: after a restart, a silent host, a failing store."""
        for name in list(self._moving):
            machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
            move = machine.properties.move if machine is not None else None
            if move is None or move.phase not in UNDER_WAY:
                self._moving.discard(name)
            elif not self.alone.is_busy(name) and name not in self._moves.ending:
                log.info("going on with the move of %s in phase %s", name, move.phase)
                self.alone.begin(name, self._moves.resume(name, RESUMED))
        for name in self._creations.open - self.alone.machines:
            self.alone.begin(name, self._creations.carry(name, RESUMED))
        for name in list(self._restarts.unfinished):
            if not self.alone.is_busy(name) and self._restarts.may_finish(name):
                log.info("%s was being changed when the controller ended", name)
                self.alone.begin(name, self._restarts.finish(name, RESUMED))

    def may_come_back(self, server: str) -> bool:
        """Has a server's agent had no time to connect since the controller began?"""
        return self._failovers.may_come_back(server)

    async def close(self) -> None:
        """Stop waiting; moves are taken up at the next start."""
        tasks = [*self.alone.tasks, *(one.task for one in self._moves.ending.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _migrate(self, name: str, server: str, actor: Actor, force: bool, timeout: float) -> VirtualMachine:
        machine = self._power.machine(name)
        if self._goes_to(name, server) and server_of(machine) == server.lower():
            # it has arrived; only its peers are still being told
            return machine
        if machine.properties.power_state == "Running":
            self._power.check_hands_over(name, (server_of(machine), server.lower()), force)
        else:
            self._power.check_made_anew(machine, (server_of(machine), server.lower()))
        self._moving.add(name.lower())
        await self._writer.submit(BeginMove(name, server, force), actor)
        move = self._power.machine(name).properties.move
        if move is None or move.phase not in UNDER_WAY:
            # it does not run, so there was nothing to move but its binding
            return self._power.machine(name)
        await self._moves.carry(name, move.generation, actor, timeout)
        return self._power.machine(name)

    def _goes_to(self, name: str, server: str) -> bool:
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
        move = machine.properties.move if machine is not None else None
        return move is not None and move.phase in UNDER_WAY and move.destination.lower() == server.lower()
