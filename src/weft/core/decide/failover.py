"""Failover, RemoveServer and MarkMachine: what becomes of machines whose host is dead, gone, or has forgotten them.

Their addresses are never given up by that: they stay theirs, marked inactive where nobody knows the machine any more,
until they are released by hand or by their pool's rule. Called through core.decide: by control.failover, by the API for
a server's forced delete, by control.observations.
"""

from weft.core.commands import Decision, Failover, MarkMachine, RemoveServer
from weft.core.decide import own_addresses, servers
from weft.core.decide.bindings import check_twins, mark_addresses_of, server_with_id
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.machines import (
    Machine,
    being_made,
    is_template,
    machine_named,
    machine_ref,
    moving,
    note_place,
    put_machine,
    unchanged,
)
from weft.core.decide.network_interfaces import give_macs
from weft.core.decide.virtual_machines import note_arrival
from weft.core.index import last_id, lower
from weft.model.errors import Conflict
from weft.model.leases import EARLIEST
from weft.model.resources import Ref


def fail_over(draft: Draft, command: Failover) -> Decision:
    """Bind a machine to another server as it was; a move ends with it. Whether the old host is dead is control's
    question. Raises NotFound, InvalidReference, Conflict (MachineIsTemplate, AlreadyThere, ActiveTwin), PoolIsFull."""
    machine = machine_named(draft.state, command.machine)
    p = machine.properties
    if p.is_template:
        raise is_template(machine)
    if p.creation is not None:
        raise being_made(machine)
    server = server_with_id(draft.state, command.server)
    place = Ref(resource_ref=f"/servers/{server.resource_id}")
    if lower(p.server) == lower(place) and p.move is None:
        raise Conflict(
            f"{machine_ref(machine.resource_id)} is on {place.resource_ref} already: name the server that shall have "
            "it instead.",
            code="AlreadyThere",
            target="server",
        )
    note_place(draft, machine.resource_id, place)
    check_place(draft, server, p.network_interfaces)
    give_macs(draft, p.network_interfaces, server)
    if p.power_state == "Running":
        check_twins(draft, machine.resource_id, p)
    own_addresses.ensure_provider_addresses(draft, server)
    came_from = p.server.resource_ref if p.server is not None else "no server"
    note_arrival(draft, machine, place, f"failover from {came_from}")
    return put_machine(draft, machine, server=place, move=None, inactive="", errand=None)


def remove_server(draft: Draft, command: RemoveServer) -> Decision:
    """Its machines are bound to none, Off and inactive; moves from or to it end. Raises InvalidReference; InUse
    for a gateway."""
    server = server_with_id(draft.state, command.server)
    ref = f"/servers/{server.resource_id}"
    servers.refuse_gateway(draft, ref)
    reason = command.reason or f"{ref} was removed"
    for machine in list(draft.state.machines_on(server.resource_id)):
        if last_id(machine.properties.server) == server.resource_id.lower():
            _mark(draft, machine, reason)
            put_machine(draft, machine, server=None, power_state="Off", move=None, inactive=reason, errand=None)
        else:
            put_machine(draft, machine, move=None)
    note_place(draft, "", Ref(resource_ref=ref))
    servers.give_up(draft, server)
    draft.put("servers", server.resource_id.lower(), server, None)
    return Decision(changes=draft.changes(), outcome="deleted")


def mark_machine(draft: Draft, command: MarkMachine) -> Decision:
    """Off and inactive, bound as it was; or known again. Raises NotFound, Conflict (MachineIsTemplate, moving)."""
    machine = machine_named(draft.state, command.machine)
    p = machine.properties
    if p.is_template:
        raise is_template(machine)
    if p.move is not None:
        raise moving(machine)
    if p.creation is not None:
        raise being_made(machine)
    if p.inactive == command.reason:
        return unchanged(machine)
    if not command.reason:
        note_place(draft, machine.resource_id, p.server)
        mark_addresses_of(draft, p, 0.0, "its host knows it again")
        return put_machine(draft, machine, inactive="")
    _mark(draft, machine, command.reason)
    # made anew it is another machine for the hypervisor; one that Weft cannot make can only come back as it was
    known = p.hypervisor if p.hardware is None else None
    return put_machine(draft, machine, power_state="Off", inactive=command.reason, hypervisor=known, errand=None)


def _mark(draft: Draft, machine: Machine, reason: str) -> None:
    """Since now, unless it was inactive before."""
    note_place(draft, machine.resource_id, machine.properties.server)
    if not machine.properties.inactive:
        mark_addresses_of(draft, machine.properties, max(draft.now.ledger, EARLIEST), reason)
