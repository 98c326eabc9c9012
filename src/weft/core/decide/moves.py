"""BeginMove and AdvanceMove: a migration as stored phases, so that a crash resumes it (make before break).

preparing -> switching -> switched -> done. What is only prepared may fail; a machine whose hypervisor was asked to
move it goes through withdrawing first, where it either arrives after all or is known to stay. Called through
core.decide by control.machines.
"""

from weft.core.commands import AdvanceMove, BeginMove, Decision
from weft.core.decide.bindings import server_with_id
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.machines import Machine, machine_named, put_machine, settled_machine, unchanged
from weft.core.decide.network_interfaces import give_macs
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.virtual_machines import note_arrival
from weft.model.errors import Conflict, Invalid
from weft.model.resources import Ref
from weft.model.workload import Move

_BEFORE = {
    "switching": ("preparing",),
    "withdrawing": ("switching",),
    "switched": ("switching", "withdrawing"),
    "done": ("switched",),
}
_FAILABLE = ("preparing", "withdrawing")


def begin(draft: Draft, command: BeginMove) -> Decision:
    """Start a move; a machine that does not run changes its server at once. Raises NotFound, Conflict, Invalid."""
    machine = settled_machine(draft.state, command.machine)
    server = server_with_id(draft.state, command.server)
    p = machine.properties
    source = p.server.resource_ref.rpartition("/")[2] if p.server is not None else ""
    if source.lower() == server.resource_id.lower():
        return unchanged(machine)
    check_place(draft, server, p.network_interfaces)
    ensure_provider_addresses(draft, server)
    destination = Ref(resource_ref=f"/servers/{server.resource_id}")
    if p.power_state != "Running":
        give_macs(draft, p.network_interfaces, server)
        note_arrival(draft, machine, destination, f"from {_source(machine)}")
        return put_machine(draft, machine, server=destination, inactive="")
    move = Move(source=source, destination=server.resource_id, generation=draft.state.revision + 1)
    return put_machine(draft, machine, move=move)


def advance(draft: Draft, command: AdvanceMove) -> Decision:
    """Take a move one phase on; the phase it has is answered unchanged. Raises NotFound, Conflict, Invalid."""
    machine = machine_named(draft.state, command.machine)
    move = machine.properties.move
    if move is None or move.generation != command.generation:
        raise Conflict(
            f"Move {command.generation} of virtual machine {machine.resource_id} is over.",
            code="MoveIsOver",
            target=f"/weft/virtualMachines/{machine.resource_id}",
        )
    if command.phase == move.phase:
        return unchanged(machine)
    if command.phase not in (*_BEFORE, "failed"):
        raise Invalid(f"A move has no phase '{command.phase}'.", target="phase")
    if move.phase not in _BEFORE.get(command.phase, _FAILABLE):
        raise Conflict(
            f"The move of virtual machine {machine.resource_id} is {move.phase}: it cannot become {command.phase}.",
            code="MovePhaseConflict",
            target="phase",
        )
    if command.phase in ("done", "failed"):
        return put_machine(draft, machine, move=None)
    after = Move(source=move.source, destination=move.destination, phase=command.phase, generation=move.generation)
    if command.phase in ("switching", "withdrawing"):
        return put_machine(draft, machine, move=after)
    destination = Ref(resource_ref=f"/servers/{move.destination}")
    note_arrival(draft, machine, destination, f"from {_source(machine)}")
    return put_machine(draft, machine, move=after, server=destination)


def _source(machine: Machine) -> str:
    server = machine.properties.server
    return server.resource_ref if server is not None else "no server"
