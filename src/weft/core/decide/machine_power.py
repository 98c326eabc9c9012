"""SetPower: the committed intent to start, stop or save a machine, carried out on the host by its agent.

Called through core.decide by control.power.
"""

from weft.core.commands import Decision, SetPower
from weft.core.decide.bindings import check_twins, mark_addresses_of, server_named
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.machines import machine_named, note_place, put_machine, settled_machine, unchanged
from weft.core.decide.network_interfaces import give_macs
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.virtual_machines import POWER_STATES
from weft.model.errors import Conflict, Invalid


def set_power(draft: Draft, command: SetPower) -> Decision:
    """Raises NotFound, Invalid, Conflict (AnotherOperationInProgress, ActiveTwin, MachineIsTemplate), PoolIsFull."""
    machine = machine_named(draft.state, command.machine)
    power = POWER_STATES.get(command.power.lower())
    if power is None:
        raise Invalid(f"A machine is Off, Running or Saved, not '{command.power}'.", target="powerState")
    p = machine.properties
    errand = p.errand
    if command.asked and errand is not None and errand.phase == "failed":
        errand = None
    if p.power_state == power:
        return unchanged(machine) if errand is p.errand else put_machine(draft, machine, errand=errand)
    settled_machine(draft.state, command.machine)
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
        check_place(draft, server, p.network_interfaces)
        note_place(draft, machine.resource_id, p.server)
        give_macs(draft, p.network_interfaces, server)
        check_twins(draft, machine.resource_id, p)
        ensure_provider_addresses(draft, server)
        if p.inactive:
            # or its pool's rule could take the addresses of a machine that runs
            mark_addresses_of(draft, p, 0.0, "started")
        return put_machine(draft, machine, power_state=power, inactive="", errand=errand)
    return put_machine(draft, machine, power_state=power, errand=errand)
