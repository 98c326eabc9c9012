"""A machine made as a whole, phase by phase: defining, starting, done; or undone. And one that goes with its disks.

One that is copied of another is in phase defining until its host has done that errand.

Called by weft.control.machines. Each phase is a commit, so a crash resumes it. What cannot be made is taken away from
its host before it goes from the ledger, so that nobody is given an address that something there still has.
"""

import asyncio
from collections.abc import Callable

import msgspec

from weft.control.drivers import defines
from weft.control.moves import Moves
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation, Verdict
from weft.control.writer import Writer
from weft.core.changes import Commit, ResourceChange
from weft.core.commands import Actor, AdvanceCreation, Command, CreateMachine, Delete, Path
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import NotFound, NotReady, Refusal
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.workload import Creation, HypervisorIdentity

STEP_TIMEOUT_S = 60.0
"""For each step of a host; the time in which its hypervisor is visibly at work on it does not count."""
UNDO_TIMEOUT_S = 30.0
"""So long the caller of what failed is kept until it is taken away as well."""

_NOTHING = " Nothing of it is left."


class Creations:
    """Carries them; one per controller."""

    def __init__(self, writer: Writer, publisher: Publisher, moves: Moves) -> None:
        self._writer = writer
        self._publisher = publisher
        self._moves = moves
        self.open: set[str] = set()
        """Machines, lower case, that are being made or unmade."""

    def look(self) -> None:
        """Find what a controller left in the middle; once, at the start."""
        for machine in self._writer.state.all(VIRTUAL_MACHINES.name):
            self._note(machine.resource_id.lower(), machine)

    def committed(self, commit: Commit) -> None:
        """Keep up which there are."""
        for change in commit.changes:
            if isinstance(change, ResourceChange) and change.kind == VIRTUAL_MACHINES.name:
                self._note(change.id, change.after)

    def _note(self, key: str, machine: VirtualMachine | None) -> None:
        if machine is not None and machine.properties.creation is not None:
            self.open.add(key)
        else:
            self.open.discard(key)

    def placed(self, command: CreateMachine) -> CreateMachine:
        """With what the hosts are like now."""
        managed = self._publisher.managed
        without = frozenset(server for server, agent in managed.items() if not defines(agent))
        connected = self._publisher.connected
        silent = self._publisher.silent
        return msgspec.structs.replace(
            command,
            connected=connected - silent,
            away=frozenset(managed) - connected,
            silent=silent,
            without_define=without,
            kinds={server: agent.hypervisor for server, agent in managed.items()},
        )

    async def make(self, command: CreateMachine, actor: Actor) -> VirtualMachine:
        """Return when the machine runs, or is defined if it is not to start; one that the same command made before is
        answered as it is, or gone on with. Raises Refusal with nothing made; NotReady when it was undone again."""
        await self._writer.submit(self.placed(command), actor)
        machine = self._machine(command.name)
        if machine.properties.creation is None:
            return machine
        return await self.carry(command.name, actor)

    async def copy(self, name: str, command: Command, actor: Actor) -> VirtualMachine:
        """Submit what begins the copying of a machine, and return when its host has it. Raises as make()."""
        await self._writer.submit(command, actor)
        return await self.carry(name, actor)

    async def carry(self, name: str, actor: Actor) -> VirtualMachine:
        """Take the making of a machine from the phase that it has to its end. Raises as make()."""
        machine = self._machine(name)
        creation = machine.properties.creation
        if creation is None:
            return machine
        if creation.phase == "removing":
            await self._remove(name, creation, actor)
            return machine
        left = ""
        try:
            if creation.phase == "defining":
                await self._define(name, creation, actor)
            if creation.phase != "undoing" and creation.start:
                await self._start(name, creation, actor)
        except _CannotBe as failed:
            left = self._left_behind(name)
            await self._advance(AdvanceCreation(name, "undoing", creation.generation, failure=str(failed)), actor)
        if self._phase(name, creation) == "undoing":
            await self._undo(name, creation, actor, left)
        return self._machine(name)

    async def _define(self, name: str, creation: Creation, actor: Actor) -> None:
        expected = self._expect(name)
        verdict = await self._until(name, expected, lambda: expected.defined(self._machine(name)))
        if not verdict.settled:
            raise _CannotBe(verdict.failure or f"still waiting for {verdict.waiting_for}")
        state = expected.state_of(self._machine(name))
        agent = self._publisher.managed.get(expected.server)
        identity = None
        if agent is not None and state is not None:
            identity = HypervisorIdentity(type=agent.hypervisor, id=state.id)
        phase = "starting" if creation.start else "done"
        await self._advance(AdvanceCreation(name, phase, creation.generation, identity), actor)

    async def _start(self, name: str, creation: Creation, actor: Actor) -> None:
        expected = self._expect(name)
        verdict = await self._until(name, expected, lambda: expected.started(self._machine(name)))
        if not verdict.settled:
            raise _CannotBe(verdict.failure or f"still waiting for {verdict.waiting_for}")
        await self._advance(AdvanceCreation(name, "done", creation.generation), actor)

    def _left_behind(self, name: str) -> str:
        """Disks of a machine that another hand deleted: which of them were made for it, only the machine knew."""
        machine = self._machine(name)
        hardware = machine.properties.hardware
        if hardware is None or not hardware.disks or not self._expect(name).is_lost(machine):
            return ""
        return ", ".join(disk.path for disk in hardware.disks)

    async def _undo(self, name: str, creation: Creation, actor: Actor, left: str) -> None:
        """Always raises. `left`: disks that nobody takes away any more."""
        machine = self._machine(name)
        found = machine.properties.creation
        why = found.failure if found is not None else ""
        said = f"The machine '{name}' cannot be made on {server_of(machine)}: {_sentence(why)}"
        gone = asyncio.create_task(self._take_away(name, creation, actor), name=f"undoing {name}")
        try:
            done, _ = await asyncio.wait({gone}, timeout=UNDO_TIMEOUT_S)
            if gone in done:
                gone.result()
        finally:
            gone.cancel()
        if gone not in done:
            # the sweep goes on with it
            said += f" It goes, with all that it was given, when it is gone there: {self._waits(name)}"
        else:
            said += f" Nothing of it is left, but disks that were not deleted with it: {left}." if left else _NOTHING
        raise NotReady(said, target=f"/weft/virtualMachines/{name}")

    async def _take_away(self, name: str, creation: Creation, actor: Actor) -> None:
        await self._gone(name)
        await self._advance(AdvanceCreation(name, "undone", creation.generation), actor)

    async def _remove(self, name: str, creation: Creation, actor: Actor) -> None:
        """Delete a machine once its host has nothing of it. Raises NotReady if that is still to come: it goes on."""
        server = server_of(self._machine(name))
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await self._gone(name)
        except TimeoutError:
            raise NotReady(
                f"The machine '{name}' is being deleted, but {server} does not say that it is gone there; it goes when "
                f"it does: {self._waits(name)} To leave its disks where they are: delete it with keepDisks."
            ) from None
        await self._writer.submit(Delete(Path(VIRTUAL_MACHINES.name, name)), actor)

    def _waits(self, name: str) -> str:
        """What its removal waits for, since when, and what can be done about it; a sentence."""
        machine, expected = self._machine(name), self._expect(name)
        creation, server = machine.properties.creation, expected.server
        since = f" since {creation.since}" if creation is not None and creation.since else ""
        waits = f"it waits{since} for {expected.absent(machine).waiting_for or f'the word of {server}'}."
        if server in self._publisher.managed and self._publisher.session(server) is None:
            waits += f" Start that agent; if {server} will not come back: weft host remove {server} --force."
        return waits

    async def _gone(self, name: str) -> None:
        """Return when its host has nothing of it."""
        expected = self._expect(name)
        while True:
            verdict = await self._moves.until(
                {expected.server}, lambda: expected.absent(self._machine(name)), _now() + STEP_TIMEOUT_S
            )
            if verdict.settled:
                return

    async def _until(self, name: str, expected: Expectation, verdict: "_Judge") -> Verdict:
        """As Moves.until, for as long as the host has something to do for it and STEP_TIMEOUT_S more."""
        while True:
            found = await self._moves.until({expected.server}, verdict, _now() + STEP_TIMEOUT_S)
            if found.settled or found.failure or not expected.is_busy(self._machine(name)):
                return found

    async def _advance(self, command: AdvanceCreation, actor: Actor) -> None:
        try:
            await self._writer.submit(command, actor)
        except Refusal as refusal:
            if command.phase != "starting":
                raise
            raise _CannotBe(refusal.message) from refusal

    def _expect(self, name: str) -> Expectation:
        return Expectation(self._publisher, server_of(self._machine(name)), self._writer.state.revision)

    def _phase(self, name: str, creation: Creation) -> str:
        found = self._machine(name).properties.creation
        return found.phase if found is not None and found.generation == creation.generation else ""

    def _machine(self, name: str) -> VirtualMachine:
        machine: VirtualMachine | None = self._writer.state.get(VIRTUAL_MACHINES.name, name)
        if machine is None:
            raise NotFound(f"The machine '{name}' was deleted meanwhile.", target=f"/weft/virtualMachines/{name}")
        return machine


_Judge = Callable[[], Verdict]


class _CannotBe(Exception):
    """The host, or the ledger, will not have it; the message says why."""


def _now() -> float:
    return asyncio.get_running_loop().time()


def _sentence(words: str) -> str:
    """What a hypervisor said may be one already."""
    return words if words.endswith((".", "?", "!")) else f"{words}."
