"""Start, stop, save and migrate: the intent is committed, the host carries it out, then the caller is answered.

Called by the API through Controller.machines. What was answered 200 is so on the hosts; what failed is taken back and
raised as a typed error. One action per machine at a time. An action goes on when its caller has gone, and a move goes
on after a restart. On a server that no agent ever connected for the intent is the fact.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from weft.control.moves import UNDER_WAY, Moves
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation
from weft.control.writer import Writer
from weft.core.commands import Actor, BeginMove, SetPower
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import Conflict, NotFound, NotReady, WeftError
from weft.model.kinds import VIRTUAL_MACHINES

log = logging.getLogger(__name__)

POWER_TIMEOUT_S = 30.0
MOVE_TIMEOUT_S = 60.0

RESUMED = Actor("controller", "system")


class Machines:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher
        self._moves = Moves(writer, publisher)
        self._busy: dict[str, asyncio.Task[Any]] = {}
        self._moving: set[str] = set()
        """Machines, lower case, whose move may be under way."""

    async def start(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Run a machine where it is bound. Raises Refusal (ActiveTwin ...) or NotReady, then nothing has changed."""
        return await self._alone(machine, self._power(machine, "Running", actor, timeout))

    async def stop(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Switch a machine off; its addresses stay. When this returns it answers nothing. Raises as start()."""
        return await self._alone(machine, self._power(machine, "Off", actor, timeout))

    async def save(self, machine: str, actor: Actor, timeout: float = POWER_TIMEOUT_S) -> VirtualMachine:
        """Freeze a machine to disk. Raises as start()."""
        return await self._alone(machine, self._power(machine, "Saved", actor, timeout))

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

    def resume(self) -> None:
        """Take up every move that was under way when the controller ended."""
        for machine in self._state.all(VIRTUAL_MACHINES.name):
            if machine.properties.move is not None:
                self._moving.add(machine.resource_id.lower())
        self.sweep()

    def sweep(self) -> None:
        """Go on with each move that nobody carries: after a restart, a silent host, a store that could not write."""
        for name in list(self._moving):
            machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
            move = machine.properties.move if machine is not None else None
            if move is None or move.phase not in UNDER_WAY:
                self._moving.discard(name)
            elif name not in self._busy and name not in self._moves.ending:
                log.info("going on with the move of %s in phase %s", name, move.phase)
                self._begin(name, self._moves.resume(name, RESUMED))

    async def close(self) -> None:
        """Stop waiting; moves are taken up at the next start."""
        tasks = [*self._busy.values(), *self._moves.ending.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _alone(self, machine: str, work: Coroutine[Any, Any, VirtualMachine]) -> VirtualMachine:
        if machine.lower() in self._busy:
            work.close()
            raise Conflict(
                f"Another action on the machine '{machine}' is under way: wait until it has ended.",
                code="AnotherOperationInProgress",
            )
        return await asyncio.shield(self._begin(machine, work))

    def _begin(self, machine: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        key = machine.lower()
        task = asyncio.create_task(work, name=f"action on {machine}")
        self._busy[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._busy[key]
        # the caller may have gone: then nobody else would ask for the error
        if not task.cancelled() and task.exception() is not None:
            log.info("action on %s failed: %s", key, task.exception())

    async def _power(self, name: str, power: str, actor: Actor, timeout: float) -> VirtualMachine:
        machine = self._machine(name)
        self._reachable(server_of(machine))
        before = machine.properties.power_state
        submitted = await self._writer.submit(SetPower(name, power), actor)
        server = server_of(self._machine(name))
        expected = Expectation(self._publisher, server, submitted.revision)
        deadline = asyncio.get_running_loop().time() + timeout
        verdict = await self._moves.until({server}, lambda: expected.power(self._machine(name), power), deadline)
        if verdict.settled:
            return self._machine(name)
        if before != power:
            await self._take_back(name, before, actor)
        why = verdict.failure or f"{verdict.waiting_for} did not come about within {timeout:g} s"
        raise NotReady(f"The machine '{name}' cannot be made {power} on {server}: {why}. It is {before} as before.")

    async def _take_back(self, name: str, power: str, actor: Actor) -> None:
        try:
            await self._writer.submit(SetPower(name, power), actor)
        except WeftError as error:
            log.warning("the intent for %s could not be taken back: %s", name, error)

    async def _migrate(self, name: str, server: str, actor: Actor, force: bool, timeout: float) -> VirtualMachine:
        machine = self._machine(name)
        if self._goes_to(name, server) and server_of(machine) == server.lower():
            # it has arrived; only its peers are still being told
            return machine
        if machine.properties.power_state == "Running":
            self._may_move(name, (server_of(machine), server.lower()), force)
        self._moving.add(name.lower())
        await self._writer.submit(BeginMove(name, server, force), actor)
        move = self._machine(name).properties.move
        if move is None or move.phase not in UNDER_WAY:
            # it does not run, so there was nothing to move but its binding
            return self._machine(name)
        await self._moves.carry(name, move.generation, actor, timeout)
        return self._machine(name)

    def _goes_to(self, name: str, server: str) -> bool:
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
        move = machine.properties.move if machine is not None else None
        return move is not None and move.phase in UNDER_WAY and move.destination.lower() == server.lower()

    def _may_move(self, name: str, ends: tuple[str, str], force: bool) -> None:
        source, destination = ends
        from_host, to_host = self._publisher.managed.get(source), self._publisher.managed.get(destination)
        if from_host is not None and to_host is None and not force:
            raise NotReady(
                f"No agent has ever connected as '{destination}', so nobody could see the machine arrive. "
                "Start the agent there, or move it with force."
            )
        if from_host is not None and self._publisher.session(source) is None:
            # force changes nothing here: only the source can say that the machine runs there no more
            raise NotReady(
                f"The agent of '{source}' is not connected, and only it can hand over the machine '{name}', which may "
                f"still run there. Start the agent. If {source} is gone for good, make sure that it is off, then "
                "delete the machine and PUT it again on another server: its interfaces keep their addresses.",
                target=f"/servers/{source}",
            )
        self._reachable(destination)
        if from_host is not None and to_host is not None and from_host.hypervisor and not to_host.hypervisor:
            raise NotReady(f"The agent of '{destination}' drives no hypervisor: it cannot take a running machine.")

    def _reachable(self, server: str) -> None:
        if server in self._publisher.managed and self._publisher.session(server) is None:
            raise NotReady(f"The agent of '{server}' is not connected: start it, or see why it cannot reach us.")

    def _machine(self, name: str) -> VirtualMachine:
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
        if machine is None:
            raise NotFound(f"There is no machine '{name}'.", target=name)
        return machine
