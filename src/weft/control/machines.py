"""What a host must do for a machine: the intent is committed, the host carries it out, then the caller is answered.

Start, stop, save, migrate, restore, renew and failover. Called by the API through Controller.machines. What was
answered 200 is so on the hosts; what failed is taken back and raised as a typed error. One action per machine at a
time. An action goes on when its caller has gone, and a move goes on after a restart. On a server that no agent ever
connected for the intent is the fact.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from weft.control.creations import Creations
from weft.control.drivers import defines
from weft.control.errands import Errands
from weft.control.failover import FAILOVER_TIMEOUT_S, Failovers
from weft.control.moves import UNDER_WAY, Moves
from weft.control.power import POWER_TIMEOUT_S, Power
from weft.control.publisher import Publisher
from weft.control.restarts import Restarts
from weft.control.rewriting import Rewrite, Rewriting
from weft.control.writer import Writer
from weft.core.changes import Commit
from weft.core.commands import (
    Actor,
    BeginErrand,
    BeginMove,
    BeginRemoval,
    CreateMachine,
    Decision,
    Delete,
    Path,
    Preconditions,
    RenewMac,
    RewriteCheckpoints,
)
from weft.core.copy_commands import Clone, ExportMachine, Restore, Restored, TakeCheckpoint
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import Conflict, WaitTimedOut
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES

log = logging.getLogger(__name__)

MOVE_TIMEOUT_S = 60.0
CREATE_TIMEOUT_S = 270.0
"""Less than clients wait for an answer."""

RESUMED = Actor("controller", "system")

Done = TypeVar("Done")
"""What an action answers."""


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
        self._rewriting = Rewriting(writer, publisher, self.errands)
        self._failovers = Failovers(writer, publisher, self._power, self._moves)
        self._busy: dict[str, asyncio.Task[Any]] = {}
        self._making: dict[str, asyncio.Task[VirtualMachine]] = {}
        """By machine, lower case: a creation that somebody asked for and that is under way."""
        self._moving: set[str] = set()
        """Machines, lower case, whose move may be under way."""
        self._ending_move: set[str] = set()
        """Machines, lower case, that a failover takes from whoever carries their move."""

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
        if key not in self._making and key not in self._busy and key in self._creations.open:
            self.sweep()
            if (carried := self._busy.get(key)) is not None:
                await asyncio.wait({carried}, timeout=CREATE_TIMEOUT_S)
        while (earlier := self._making.get(key)) is not None:
            if not (await asyncio.wait({earlier}, timeout=CREATE_TIMEOUT_S))[0]:
                break
        work = asyncio.create_task(self._alone(name, making))
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
        await self._alone(machine, self._delete(machine, when, actor))

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
        return await self._alone(machine, self._power.set(machine, "Running", actor, timeout))

    async def stop(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Switch a machine off; its addresses stay. When this returns it answers nothing. Raises as start()."""
        return await self._alone(machine, self._power.set(machine, "Off", actor, timeout))

    async def save(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Freeze a machine to disk. Raises as start()."""
        return await self._alone(machine, self._power.set(machine, "Saved", actor, timeout))

    async def migrate(
        self, machine: str, server: str, actor: Actor, force: bool = False, timeout: float = MOVE_TIMEOUT_S
    ) -> VirtualMachine:
        """Move a machine to another server, make before break; `server` is a resource id.

        Returns when it runs there and every record says so or is about to. Raises Refusal or NotReady, then it is where
        it was; WaitTimedOut if a host fell silent in the middle, then the move ends when that host is back. A move
        there that is under way already, of an earlier try or before a restart, is waited for.
        """
        if self._goes_to(machine, server):
            self.sweep()
            carried = self._busy.get(machine.lower())
            if carried is not None:
                await asyncio.wait({carried}, timeout=timeout)
        return await self._alone(machine, self._migrate(machine, server, actor, force, timeout))

    async def restore(
        self, machine: str, checkpoint: str, addresses: str, if_taken: str, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        """Back to a checkpoint, with a Restored per interface; see core.copy_commands.Restore for the words.

        Where its host has the checkpoint it goes back to it, and the machine has the power of then. Else a running
        machine whose addresses change is stopped for it and started again. Raises Refusal (AddressesTaken, ActiveTwin
        ...) with nothing changed, NotReady or StoreUnavailable with the addresses it had.
        """
        command = Restore(machine, checkpoint, addresses, if_taken)
        if self.errands.there(machine, checkpoint) is not None:
            return await self._alone(machine, self._went_back(command, actor))
        return await self._alone(machine, self._changed(command, actor))

    async def _went_back(self, command: Restore, actor: Actor) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        if command.addresses == "keep":
            # or it would come back with what it had then
            self._writer.dry_run(self.errands.on_host(command))
            of_this = RewriteCheckpoints(command.machine, command.checkpoint)
            await self._rewriting.carry_out(of_this, actor, memory=True)
        return await self._errand(command, actor)

    async def _errand(
        self, command: Restore | TakeCheckpoint | ExportMachine, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        done = await self.errands.carry_out(command.machine, self.errands.on_host(command), actor)
        report = done.decision.report if done.decision is not None else ()
        return self._power.machine(command.machine), report

    async def capture(self, command: TakeCheckpoint | ExportMachine, actor: Actor) -> VirtualMachine:
        """Take a checkpoint, or make an export, on the machine's host too. Raises Refusal, NotReady with nothing done,
        WaitTimedOut when the host is still at it."""
        return (await self._alone(command.machine, self._errand(command, actor)))[0]

    def is_on_host(self, machine: str, checkpoint: str) -> bool:
        """Has its host a checkpoint of the machine too? Raises NotReady."""
        return self.errands.there(machine, checkpoint) is not None

    async def delete_checkpoint(self, machine: str, checkpoint: str, when: Preconditions, actor: Actor) -> None:
        """On its host first, then in the ledger. Raises as capture()."""
        path = Path(VIRTUAL_MACHINES.name, machine, ((CHECKPOINTS.name, checkpoint),))
        self._writer.dry_run(Delete(path, when))
        there = self.errands.there(machine, checkpoint)
        own_id = there.id if there is not None else ""
        command = BeginErrand(machine, "deleteCheckpoint", checkpoint, own_id)
        await self._alone(machine, self.errands.carry_out(machine, command, actor))

    def rewrites(self, command: RewriteCheckpoints) -> list[Rewrite]:
        """What rewrite() would change. Raises NotFound, NotReady."""
        return self._rewriting.wanted(command)

    async def rewrite(self, command: RewriteCheckpoints, actor: Actor) -> list[Rewrite]:
        """Give checkpoints the MAC addresses that the machine's interfaces own, on its host and in the ledger.

        Raises as capture(); those before the one that failed are done.
        """
        return await self._alone(command.machine, self._rewriting.carry_out(command, actor))

    async def renew(
        self, machine: str, interface: str, mac: str, force: bool, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        """Another MAC address for one interface, granted where `mac` is empty. A running machine only by force: then it
        is stopped for it and started again, on a host that can. Raises as restore()."""
        return await self._alone(machine, self._changed(RenewMac(machine, interface, mac, force), actor))

    def dry_run(self, command: Restore | RenewMac) -> Decision:
        """What restore() or renew() would come to, also where the machine would be stopped for it. Raises Refusal."""
        if isinstance(command, Restore) and (steps := self.errands.on_host(command)) is not command:
            return self._writer.dry_run(steps)
        return self._restarts.dry_run(command) if self._needs_restart(command) else self._writer.dry_run(command)

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
            return await self._alone(machine, work)
        # who carries the move waits for hosts that may be dead: it lets go when the record says that it is over
        self._ending_move.add(key)
        task = self._begin(machine, work)
        task.add_done_callback(lambda done: self._ending_move.discard(key))
        return await asyncio.shield(task)

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
            elif name not in self._busy and name not in self._moves.ending:
                log.info("going on with the move of %s in phase %s", name, move.phase)
                self._begin(name, self._moves.resume(name, RESUMED))
        for name in self._creations.open - self._busy.keys():
            self._begin(name, self._creations.carry(name, RESUMED))
        for name in list(self._restarts.unfinished):
            if name not in self._busy and self._restarts.may_finish(name):
                log.info("%s was being changed when the controller ended", name)
                self._begin(name, self._restarts.finish(name, RESUMED))

    def may_come_back(self, server: str) -> bool:
        """Has a server's agent had no time to connect since the controller began?"""
        return self._failovers.may_come_back(server)

    def is_busy(self, machine: str) -> bool:
        """Is an action on the machine under way?"""
        return machine.lower() in self._busy

    async def close(self) -> None:
        """Stop waiting; moves are taken up at the next start."""
        tasks = [*self._busy.values(), *self._moves.ending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _alone(self, machine: str, work: Coroutine[Any, Any, Done]) -> Done:
        if machine.lower() in self._busy:
            work.close()
            raise Conflict(
                f"Another action on the machine '{machine}' is under way: wait until it has ended.",
                code="AnotherOperationInProgress",
            )
        return await asyncio.shield(self._begin(machine, work))

    def _begin(self, machine: str, work: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        key = machine.lower()
        task = asyncio.create_task(work, name=f"action on {machine}")
        self._busy[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        if self._busy.get(key) is task:
            del self._busy[key]
        # the caller may have gone: then nobody else would ask for the error
        if not task.cancelled() and task.exception() is not None:
            log.info("action on %s failed: %s", key, task.exception())

    async def _changed(self, command: Restore | RenewMac, actor: Actor) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        if self._needs_restart(command):
            report = (await self._restarts.carry_out(command, actor)).report
        else:
            decision = (await self._writer.submit(command, actor)).decision
            report = () if decision is None else decision.report
        return self._power.machine(command.machine), report

    def _needs_restart(self, command: Restore | RenewMac) -> bool:
        """Can it only be done while the machine is off, and does the machine run? Raises Refusal."""
        machine = self._power.machine(command.machine)
        if machine.properties.power_state != "Running":
            return False
        if isinstance(command, RenewMac):
            agent = self._publisher.managed.get(server_of(machine))
            return command.force and agent is not None and bool(agent.hypervisor)
        try:
            self._writer.dry_run(command)
        except Conflict as conflict:
            if conflict.code == "MachineIsRunning":
                return True
            raise
        return False

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
