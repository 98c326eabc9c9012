"""Checkpoints that hold another MAC address than their machine's interface owns: which, and how they are rewritten.

Called by weft.control.machines. One errand per checkpoint; what only the checkpoint held is released when its host has
rewritten it (core.decide.host_checkpoints).
"""

from collections.abc import Iterator

import msgspec

from weft.control.errands import Errands
from weft.control.publisher import Publisher
from weft.control.verdicts import Expectation
from weft.control.writer import Writer
from weft.core.commands import Actor, BeginErrand, RewriteCheckpoints
from weft.core.decide.host_checkpoints import checkpoints_of
from weft.core.decide.places import mac_of
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import NotFound, NotReady
from weft.model.hypervisor import CheckpointState
from weft.model.kinds import CHECKPOINTS, VIRTUAL_MACHINES, owner_and_name
from weft.model.values import mac_dashes


class Rewrite(msgspec.Struct, frozen=True, rename="camel"):
    """One adapter of one checkpoint. Addresses as AA-BB-CC-DD-EE-FF; `before` is empty where it has none yet."""

    checkpoint: str
    network_interface: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    left: str = ""
    """Why it is not rewritten; empty where it is."""


MEMORY = (
    "it has the memory of a running machine, whose guest would go on with the old address after a rollback: restore "
    "it, and the address is the machine's again, or delete it"
)


class Rewriting:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher, errands: Errands) -> None:
        self._writer = writer
        self._publisher = publisher
        self._errands = errands

    def wanted(self, command: RewriteCheckpoints) -> list[Rewrite]:
        """By what the host says it has. Raises NotFound, NotReady (ServerNotReady) where it keeps no checkpoints."""
        return [one for _, _, rewrites in self._found(command) for one in rewrites]

    async def carry_out(self, command: RewriteCheckpoints, actor: Actor, memory: bool = False) -> list[Rewrite]:
        """Rewrite them, one after the other; those with the memory of a running machine only where `memory` lets the
        host try. Raises as wanted(), and as Errands.carry_out()."""
        done: list[Rewrite] = []
        for told, name, rewrites in self._found(command):
            if rewrites and (memory or not told.running):
                errand = BeginErrand(command.machine, "rewriteCheckpoint", name, told.id)
                await self._errands.carry_out(command.machine, errand, actor)
                done += rewrites
        return done

    def _found(self, command: RewriteCheckpoints) -> list[tuple[CheckpointState, str, list[Rewrite]]]:
        """Each checkpoint on the host, what it is called, and what is wrong with it."""
        machine: VirtualMachine | None = self._writer.state.get(VIRTUAL_MACHINES.name, command.machine)
        if machine is None:
            raise NotFound(
                f"There is no machine '{command.machine}'.", target=f"/weft/virtualMachines/{command.machine}"
            )
        if not self._errands.reaches(command.machine):
            raise NotReady(
                f"No agent tells of checkpoints of '{command.machine}': they can be rewritten only where a hypervisor "
                "that keeps machines has it."
            )
        state = Expectation(self._publisher, server_of(machine), 0).state_of(machine)
        known, _ = checkpoints_of(self._writer.state, machine)
        found = []
        for told in state.checkpoints if state is not None else ():
            capture = known.get(told.id.lower())
            name = owner_and_name(capture.resource_id)[1] if capture is not None else told.name
            if command.checkpoint.lower() in ("", name.lower()):
                found.append((told, name, list(self._differing(machine, told, name))))
        if command.checkpoint and not found:
            ref = f"/weft/virtualMachines/{machine.resource_id}/{CHECKPOINTS.name}/{command.checkpoint}"
            raise NotFound(f"The host of '{command.machine}' has no checkpoint '{command.checkpoint}'.", target=ref)
        return found

    def _differing(self, machine: VirtualMachine, told: CheckpointState, name: str) -> Iterator[Rewrite]:
        for interface, adapter in fitted(interfaces_of(self._writer.state, machine), told.adapters):
            own = mac_of(interface)
            if own is not None and (adapter.mac != own or adapter.dynamic):
                text = mac_dashes(adapter.mac) if adapter.mac else ""
                left = MEMORY if told.running else ""
                yield Rewrite(name, f"/networkInterfaces/{interface.resource_id}", text, mac_dashes(own), left)
