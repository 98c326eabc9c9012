"""BeginErrand and EndErrand: what a machine's host is asked to do to it once, and that it did.

A machine that is copied is being made meanwhile: how that ends is creating.py's business.

What the ledger does for it, before or after, goes with these in one transaction (Steps). Called through core.decide by
control.errands.
"""

from weft.core.commands import BeginErrand, Decision, EndErrand
from weft.core.decide.bindings import check_twins
from weft.core.decide.draft import Draft
from weft.core.decide.machines import machine_named, machine_ref, note_place, put_machine, settled_machine
from weft.model.errors import Conflict
from weft.model.values import NewId, wall_text
from weft.model.workload import Creation, Errand

COPY = "copy"
"""The kind by which a host makes a new machine of another one that it has."""


def begin(draft: Draft, command: BeginErrand) -> Decision:
    """Answers the machine. Raises NotFound, Conflict (AnotherOperationInProgress, ActiveTwin, MachineIsTemplate)."""
    machine = settled_machine(draft.state, command.machine)
    p = machine.properties
    errand = Errand(
        number=_number(draft.new_id),
        kind=command.kind,
        name=command.name,
        hypervisor_id=command.id,
        path=command.path,
        power_state=command.before or p.power_state,
    )
    power = command.power or p.power_state
    if power == "Running" and p.power_state != power:
        note_place(draft, machine.resource_id, p.server)
        check_twins(draft, machine.resource_id, p)
    if command.kind == COPY:
        making = Creation(generation=draft.state.revision + 1, start=False, since=wall_text(draft.now.wall))
        # what marks it as made as a whole, its disks too
        return put_machine(draft, machine, errand=errand, creation=making, made_as=f"{COPY} of {command.name}")
    return put_machine(draft, machine, errand=errand, power_state=power)


def end(draft: Draft, command: EndErrand) -> Decision:
    """A failure stays to be read. Raises NotFound, Conflict (ErrandIsOver)."""
    machine = machine_named(draft.state, command.machine)
    errand = machine.properties.errand
    if errand is None or errand.number != command.number or errand.phase != "asked":
        raise Conflict(
            f"Errand {command.number} of virtual machine {machine.resource_id} is over.",
            code="ErrandIsOver",
            target=machine_ref(machine.resource_id),
        )
    if not command.failure:
        return put_machine(draft, machine, errand=None)
    failed = Errand(
        number=errand.number,
        kind=errand.kind,
        name=errand.name,
        phase="failed",
        failure=command.failure,
        ended=wall_text(draft.now.wall),
    )
    return put_machine(draft, machine, errand=failed)


def _number(new_id: NewId) -> int:
    """By which its host knows that it has done it. Random, for a store that was put back has the same revisions again;
    44 bits, so that every JSON reader has all of it."""
    return int(new_id()[-11:], 16)
