"""Checkpoints and exports of machines, on their hosts too, and whatever else gives a machine other addresses.

Restore, capture, rewrite and renew; a part of weft.control.machines, called by the API. What was answered is so on the
hosts; what failed is taken back and raised as a typed error.
"""

from weft.control.alone import Alone
from weft.control.errands import Errands
from weft.control.power import Power
from weft.control.publisher import Publisher
from weft.control.restarts import Restarts
from weft.control.rewriting import Rewrite, Rewriting
from weft.control.writer import Writer
from weft.core.commands import Actor, BeginErrand, Decision, Delete, Path, Preconditions, RenewMac, RewriteCheckpoints
from weft.core.copy_commands import ExportMachine, Restore, Restored, TakeCheckpoint
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import Conflict
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES

Parts = tuple[Power, Restarts, Errands, Rewriting]
"""By what it is done."""


class Checkpoints:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher, parts: Parts, alone: Alone) -> None:
        self._writer = writer
        self._publisher = publisher
        self._power, self._restarts, self._errands, self._rewriting = parts
        self._alone = alone

    async def restore(
        self, machine: str, checkpoint: str, addresses: str, if_taken: str, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        """Back to a checkpoint, with a Restored per interface; see core.copy_commands.Restore for the words.

        Where its host has the checkpoint it goes back to it, and the machine has the power of then. Else a running
        machine whose addresses change is stopped for it and started again. Raises Refusal (AddressesTaken, ActiveTwin
        ...) with nothing changed, NotReady or StoreUnavailable with the addresses it had.
        """
        command = Restore(machine, checkpoint, addresses, if_taken)
        if self._errands.there(machine, checkpoint) is not None:
            return await self._alone.run(machine, self._went_back(command, actor))
        return await self._alone.run(machine, self._changed(command, actor))

    async def _went_back(self, command: Restore, actor: Actor) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        if command.addresses == "keep":
            # or it would come back with what it had then
            self._writer.dry_run(self._errands.on_host(command))
            of_this = RewriteCheckpoints(command.machine, command.checkpoint)
            await self._rewriting.carry_out(of_this, actor, memory=True)
        return await self._errand(command, actor)

    async def _errand(
        self, command: Restore | TakeCheckpoint | ExportMachine, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        done = await self._errands.carry_out(command.machine, self._errands.on_host(command), actor)
        report = done.decision.report if done.decision is not None else ()
        return self._power.machine(command.machine), report

    async def capture(self, command: TakeCheckpoint | ExportMachine, actor: Actor) -> VirtualMachine:
        """Take a checkpoint, or make an export, on the machine's host too. Raises Refusal, NotReady with nothing done,
        WaitTimedOut when the host is still at it."""
        return (await self._alone.run(command.machine, self._errand(command, actor)))[0]

    def is_on_host(self, machine: str, checkpoint: str) -> bool:
        """Has its host a checkpoint of the machine too? Raises NotReady."""
        return self._errands.there(machine, checkpoint) is not None

    async def delete(self, machine: str, checkpoint: str, when: Preconditions, actor: Actor) -> None:
        """On its host first, then in the ledger. Raises as capture()."""
        path = Path(VIRTUAL_MACHINES.name, machine, ((CHECKPOINTS.name, checkpoint),))
        self._writer.dry_run(Delete(path, when))
        there = self._errands.there(machine, checkpoint)
        own_id = there.id if there is not None else ""
        command = BeginErrand(machine, "deleteCheckpoint", checkpoint, own_id)
        await self._alone.run(machine, self._errands.carry_out(machine, command, actor))

    def rewrites(self, command: RewriteCheckpoints) -> list[Rewrite]:
        """What rewrite() would change. Raises NotFound, NotReady."""
        return self._rewriting.wanted(command)

    async def rewrite(self, command: RewriteCheckpoints, actor: Actor) -> list[Rewrite]:
        """Give checkpoints the MAC addresses that the machine's interfaces own, on its host and in the ledger.

        Raises as capture(); those before the one that failed are done.
        """
        return await self._alone.run(command.machine, self._rewriting.carry_out(command, actor))

    async def renew(
        self, machine: str, interface: str, mac: str, force: bool, actor: Actor
    ) -> tuple[VirtualMachine, tuple[Restored, ...]]:
        """Another MAC address for one interface, granted where `mac` is empty. A running machine only by force: then it
        is stopped for it and started again, on a host that can. Raises as restore()."""
        return await self._alone.run(machine, self._changed(RenewMac(machine, interface, mac, force), actor))

    def dry_run(self, command: Restore | RenewMac) -> Decision:
        """What restore() or renew() would come to, also where the machine would be stopped for it. Raises Refusal."""
        if isinstance(command, Restore) and (steps := self._errands.on_host(command)) is not command:
            return self._writer.dry_run(steps)
        return self._restarts.dry_run(command) if self._needs_restart(command) else self._writer.dry_run(command)

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
