"""What a machine's host does to it once: checkpoint, restore, delete or rewrite a checkpoint, export; and the copy of a
machine that only its host knows the hardware of, which is ended with its making (weft.control.creations).

The errand is stored with the machine in the transaction that does the ledger's part, its host carries it out and says
so, and one more transaction ends it: or takes the ledger's part back, where the host failed. A thousand errands of one
transaction end one by one as their hosts are done, whether somebody waits or not, and after a restart as well. Called
by weft.control.machines; told by weft.control.controller of facts and commits.
"""

import asyncio
import logging
from collections.abc import Iterator

from weft.control.drivers import copies, defines
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation
from weft.control.writer import Submitted, Writer
from weft.core.changes import Commit, ResourceChange
from weft.core.commands import Actor, BeginErrand, Command, Delete, EndErrand, Path, SetPower, Steps
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint
from weft.core.decide.errands import COPY
from weft.core.decide.machines import is_on_errand, is_running, settled_machine
from weft.core.host_facts import NoteCheckpoints
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import Invalid, NotFound, NotReady, Refusal, StoreUnavailable, WaitTimedOut
from weft.model.hypervisor import CheckpointState
from weft.model.kinds import CHECKPOINTS, EXPORTS, OWN_NAMES, VIRTUAL_MACHINES, owned_id, owner_and_name
from weft.model.workload import Errand

log = logging.getLogger(__name__)

RESTORING = f"{OWN_NAMES}restore-under-way"
"""Name of the checkpoint that holds what a machine had, from before its host goes back in time until it has."""
ERRAND_TIMEOUT_S = 240.0
"""Less than clients wait for an answer."""
AGAIN_S = 1.0
SYSTEM = Actor("controller", "system")


class Errands:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher
        self._open: dict[str, dict[str, None]] = {}
        """Machines, lower case, whose host is at an errand, per server."""
        self._over: set[str] = set()
        """Machines of which a checkpoint RESTORING may be left: an errand that a failover ended, or an earlier run."""
        self._heard: set[str] = set()
        self._news = asyncio.Event()
        self._changes: dict[str, asyncio.Event] = {}
        """Of machines that somebody waits for: set when the machine has changed."""

    # what there is

    def look(self) -> None:
        """Find what an earlier run left; once, at the start."""
        for machine in self._state.all(VIRTUAL_MACHINES.name):
            self._note(machine.resource_id.lower(), None, machine)
        owners = (owner_and_name(one.resource_id) for one in self._state.all(CHECKPOINTS.name))
        self._over.update(owner.lower() for owner, name in owners if name == RESTORING)
        self._news.set()

    def committed(self, commit: Commit) -> None:
        """Keep up with the machines, and wake who waits for one."""
        for change in commit.changes:
            if isinstance(change, ResourceChange) and change.kind == VIRTUAL_MACHINES.name:
                self._note(change.id, change.before, change.after)

    def _note(self, key: str, before: VirtualMachine | None, after: VirtualMachine | None) -> None:
        if before is not None and is_on_errand(before):
            self._open.get(server_of(before), {}).pop(key, None)
            self._over.add(key)
            self._news.set()
        if after is not None and is_on_errand(after) and after.properties.creation is None:
            self._open.setdefault(server_of(after), {})[key] = None
            self.heard(server_of(after))
        waiting = self._changes.pop(key, None)
        if waiting is not None:
            waiting.set()

    def heard(self, server: str) -> None:
        """An agent told its facts."""
        if self._open.get(server):
            self._heard.add(server)
            self._news.set()

    async def run(self) -> None:
        """End what hosts are done with, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            heard, self._heard = self._heard, set()
            over, self._over = self._over, set()
            try:
                # together, so that they become one transaction
                await asyncio.gather(*self._endings(heard), *(self._clear(key) for key in over))
            except StoreUnavailable:
                self._again(heard, over)
                await asyncio.sleep(AGAIN_S)
            except Exception:
                log.exception("errands could not be ended; they are when their hosts say something again")
                self._again(heard, over)
                await asyncio.sleep(AGAIN_S)

    def _again(self, heard: set[str], over: set[str]) -> None:
        self._heard |= heard
        self._over |= over
        self._news.set()

    def _endings(self, servers: set[str]) -> "Iterator[asyncio.Future[None]]":
        for server in sorted(servers):
            session = self._publisher.session(server)
            if session is None:
                continue
            facts = {fact.machine.lower(): fact for fact in session.facts.machines if fact.errand}
            for key in list(self._open.get(server, ())):
                machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, key)
                errand = machine.properties.errand if machine is not None else None
                fact = facts.get(key)
                if machine is None or errand is None or fact is None or fact.errand != errand.number:
                    continue
                yield asyncio.ensure_future(self._end(machine, errand, fact.errand_failure))

    async def _end(self, machine: VirtualMachine, errand: Errand, failure: str) -> None:
        name = machine.resource_id
        last = EndErrand(name, errand.number, failure)
        undo = list(self._taken_back(name, errand)) if failure else list(self._followed(machine, errand))
        if failure:
            log.warning("%s of %s on %s failed: %s", errand.kind, name, server_of(machine), failure)
        for steps in (Steps((last, *undo)), last):
            try:
                await self._writer.submit(steps, SYSTEM)
                return
            except Refusal as refusal:
                log.warning("the end of %s of %s: %s", errand.kind, name, refusal)

    def _followed(self, machine: VirtualMachine, errand: Errand) -> Iterator[Command]:
        """What the ledger does once the host has done it."""
        if errand.kind == "deleteCheckpoint":
            yield Delete(_below(machine.resource_id, CHECKPOINTS.name, errand.name))
        elif errand.kind in ("checkpoint", "rewriteCheckpoint"):
            state = Expectation(self._publisher, server_of(machine), 0).state_of(machine)
            if state is not None:
                yield NoteCheckpoints(machine.resource_id, server_of(machine), state.checkpoints)
        elif errand.kind == "restore":
            yield Delete(_below(machine.resource_id, CHECKPOINTS.name, RESTORING))

    def _taken_back(self, name: str, errand: Errand) -> Iterator[Command]:
        """The ledger's part, undone."""
        if errand.kind == "checkpoint":
            yield Delete(_below(name, CHECKPOINTS.name, errand.name))
        elif errand.kind == "export":
            yield Delete(_below(name, EXPORTS.name, errand.name))
        elif errand.kind == "restore":
            yield SetPower(name, "Off")
            yield Restore(name, RESTORING)
            if errand.power_state != "Off":
                yield SetPower(name, "Running")
            if errand.power_state == "Saved":
                yield SetPower(name, "Saved")
            yield Delete(_below(name, CHECKPOINTS.name, RESTORING))

    async def _clear(self, key: str) -> None:
        """Nobody goes back to it any more."""
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, key)
        if (
            machine is None
            or is_on_errand(machine)
            or self._state.find(_below(key, CHECKPOINTS.name, RESTORING)) is None
        ):
            return
        await self._writer.submit(Delete(_below(key, CHECKPOINTS.name, RESTORING)), SYSTEM)

    # what is asked for

    def reaches(self, name: str) -> bool:
        """Does the machine's host keep it, so that it has to do its part? Raises NotReady while nobody says so: its
        agent is away or has only now come, or its hypervisor does not answer."""
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
        if machine is None or machine.properties.is_template:
            return False
        server = server_of(machine)
        if not defines(self._publisher.managed.get(server)):
            return False
        session = self._publisher.session(server)
        if session is None:
            raise NotReady(f"The agent of '{server}' is not connected: start it, or see why it cannot reach us.")
        if not session.facts_heard:
            raise NotReady(f"The agent of '{server}' has not said yet what its host has: try again in a moment.")
        if session.silence:
            raise NotReady(f"'{server}' cannot do its part: {session.silence}.")
        return Expectation(self._publisher, server, 0).state_of(machine) is not None

    def there(self, name: str, checkpoint: str) -> CheckpointState | None:
        """A checkpoint as the machine's host has it; None if it does not, or keeps none. Raises NotReady."""
        if not self.reaches(name):
            return None
        machine = self._machine(name)
        state = Expectation(self._publisher, server_of(machine), 0).state_of(machine)
        capture = self._state.get(CHECKPOINTS.name, owned_id(name, checkpoint))
        own = capture.properties.hypervisor_id if capture is not None else ""
        for one in state.checkpoints if state is not None else ():
            if one.id == own if own else one.name.lower() == checkpoint.lower():
                return one
        return None

    def on_host(self, command: Command) -> Command:
        """The command, with its host's part where its host has one; else as it is. Raises NotReady, and of a clone that
        the host would have to copy Conflict and Invalid."""
        if isinstance(command, TakeCheckpoint) and self.reaches(command.machine):
            return Steps((command, BeginErrand(command.machine, "checkpoint", command.name)))
        if isinstance(command, ExportMachine) and command.path and self.reaches(command.machine):
            return Steps((command, BeginErrand(command.machine, "export", command.name, path=command.path)))
        if isinstance(command, Restore):
            there = self.there(command.machine, command.checkpoint)
            return self._restore(command, there) if there is not None else command
        if isinstance(command, Clone) and not command.is_template:
            return self._copy(command)
        return command

    def _copy(self, command: Clone) -> Command:
        """Of a machine that was taken in the record does not say what it is made of: its host copies it whole."""
        source: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, command.machine)
        if source is None or source.properties.hardware is not None:
            return command
        server, name = server_of(source), source.resource_id
        if not copies(self._publisher.managed.get(server)) or not self.reaches(name):
            return command
        if command.server and command.server.lower() != server:
            raise Invalid(
                f"The disks of {name} are on {server}, which copies them there: clone it on {server}, and move the "
                "clone.",
                target="server",
            )
        if settled_machine(self._state, name).properties.power_state == "Running":
            raise is_running(source, "stop it first, for its disks are copied.")
        state = Expectation(self._publisher, server, 0).state_of(source)
        assert state is not None
        return Steps((command, BeginErrand(command.name, COPY, state.id)))

    def _restore(self, command: Restore, there: CheckpointState) -> Steps:
        """As one: what it has is held, it is off, it has what the checkpoint has, and its host goes back; from then on
        it has the power that the checkpoint has."""
        name = command.machine
        capture = self._state.get(CHECKPOINTS.name, owned_id(name, command.checkpoint))
        power = capture.properties.power_state if capture is not None else "Off"
        before = self._machine(name).properties.power_state
        return Steps(
            (
                TakeCheckpoint(name, RESTORING),
                SetPower(name, "Off"),
                command,
                BeginErrand(name, "restore", command.checkpoint, there.id, power=power, before=before),
            )
        )

    async def carry_out(
        self, name: str, command: Command, actor: Actor, timeout: float = ERRAND_TIMEOUT_S
    ) -> Submitted:
        """Submit what begins an errand, and wait until its host has done it. Raises Refusal with nothing done, NotReady
        when the host failed and all is as it was, WaitTimedOut when the host is still at it: it goes on."""
        submitted = await self._writer.submit(command, actor)
        errand = self._machine(name).properties.errand
        if errand is not None and errand.phase == "asked":
            await self._wait(name, errand, timeout)
        return submitted

    async def _wait(self, name: str, errand: Errand, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while True:
                    machine = self._machine(name)
                    now = machine.properties.errand
                    if now is None or now.number != errand.number:
                        return
                    if now.phase == "failed":
                        raise NotReady(
                            f"{errand.kind} {errand.name} of '{name}' on {server_of(machine)} failed: {now.failure}. "
                            "The ledger is as it was."
                        )
                    await self._changes.setdefault(name.lower(), asyncio.Event()).wait()
        except TimeoutError:
            raise WaitTimedOut(
                f"The host of '{name}' is still at it ({errand.kind} {errand.name}) after {timeout:g} s. It goes on: "
                "the machine's errand shows when it is done."
            ) from None

    def _machine(self, name: str) -> VirtualMachine:
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
        if machine is None:
            raise NotFound(f"There is no machine '{name}'.", target=f"/weft/virtualMachines/{name}")
        return machine


def _below(machine: str, kind: str, name: str) -> Path:
    return Path(VIRTUAL_MACHINES.name, machine, ((kind, name),))
