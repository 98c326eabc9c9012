"""SetPower: the committed intent to start, stop or save a machine. Carried out on the host by its agent."""

import msgspec

from weft.core.commands import Decision, SetPower
from weft.core.decide.bindings import check_twins, server_named
from weft.core.decide.draft import Draft
from weft.core.decide.servers import ensure_provider_addresses
from weft.core.decide.virtual_machines import POWER_STATES, Machine, moving
from weft.model.errors import Conflict, Invalid, NotFound


def machine_named(draft: Draft, name: str) -> Machine:
    """Raises NotFound."""
    found = draft.state.get("virtualMachines", name)
    if found is None:
        raise NotFound(f"There is no virtual machine '{name}'.", target=f"/weft/virtualMachines/{name}")
    return found


def put_machine(draft: Draft, old: Machine, **properties: object) -> Decision:
    """Store a machine with some properties changed, and answer it."""
    after = msgspec.structs.replace(
        old,
        etag=f'W/"{draft.new_id()}"',
        properties=msgspec.structs.replace(old.properties, **properties),
    )
    draft.put("virtualMachines", old.resource_id.lower(), old, after)
    return Decision(changes=draft.changes(), outcome="done", resource=after)


def set_power(draft: Draft, command: SetPower) -> Decision:
    """Raises NotFound, Invalid, Conflict (AnotherOperationInProgress, ActiveTwin), PoolIsFull."""
    machine = machine_named(draft, command.machine)
    power = POWER_STATES.get(command.power.lower())
    if power is None:
        raise Invalid(f"A machine is Off, Running or Saved, not '{command.power}'.", target="powerState")
    p = machine.properties
    if p.power_state == power:
        return Decision(changes=(), outcome="unchanged", resource=machine)
    if p.move is not None:
        raise moving(machine)
    if power == "Saved" and p.power_state != "Running":
        raise Conflict(
            f"Virtual machine {machine.resource_id} is {p.power_state}: only a running machine can be saved.",
            code="MachineIsNotRunning",
            target="powerState",
        )
    if power == "Running":
        server = server_named(draft.state, p.server)
        if server is None:
            raise Invalid(
                f"Virtual machine {machine.resource_id} is bound to no server: put it on one first.", target="server"
            )
        check_twins(draft.state, machine.resource_id, p)
        ensure_provider_addresses(draft, server)
    return put_machine(draft, machine, power_state=power)
