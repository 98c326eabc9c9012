"""NoteHost, NoteProviderNetwork and NoteMachine: what a host says of itself and of a machine becomes the record.

Called through core.decide by control.behind, which compares first: what is on record already changes nothing. What
another hand did is accepted where it can be: a start is refused while somebody else uses one of the machine's
addresses, as every start is.
"""

import msgspec

from weft.core.commands import Decision
from weft.core.decide.bindings import check_twins, mark_addresses_of, server_with_id
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.machines import machine_named, moving, note_place, put_machine, unchanged
from weft.core.decide.network_interfaces import give_macs
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.virtual_machines import note_arrival
from weft.core.host_facts import NoteHost, NoteMachine, NoteProviderNetwork
from weft.core.index import last_id
from weft.model.fabric import MacRange
from weft.model.resources import common_ref
from weft.model.values import mac_dashes
from weft.model.workload import HypervisorIdentity


def note_host(draft: Draft, command: NoteHost) -> Decision:
    """Raises InvalidReference."""
    server = server_with_id(draft.state, command.server)
    first, last = (mac_dashes(mac) for mac in command.dynamic_range)
    drawn = MacRange(first=first, last=last)
    if server.properties.dynamic_mac_range == drawn:
        return Decision(changes=(), outcome="unchanged", resource=server)
    properties = msgspec.structs.replace(server.properties, dynamic_mac_range=drawn)
    after = msgspec.structs.replace(server, etag=new_etag(draft.new_id), properties=properties)
    draft.put("servers", server.resource_id.lower(), server, after)
    return Decision(changes=draft.changes(), outcome="done", resource=after)


def note_provider_network(draft: Draft, command: NoteProviderNetwork) -> Decision:
    """Raises InvalidReference."""
    server = server_with_id(draft.state, command.server)
    if server.properties.provider_network == command.provider_network:
        return Decision(changes=(), outcome="unchanged", resource=server)
    properties = msgspec.structs.replace(server.properties, provider_network=command.provider_network)
    after = msgspec.structs.replace(server, etag=new_etag(draft.new_id), properties=properties)
    draft.put("servers", server.resource_id.lower(), server, after)
    return Decision(changes=draft.changes(), outcome="done", resource=after)


def note_machine(draft: Draft, command: NoteMachine) -> Decision:
    """Answers the machine. Raises NotFound, InvalidReference, Conflict (ActiveTwin, moving), PoolIsFull."""
    machine = machine_named(draft.state, command.machine)
    p = machine.properties
    if p.is_template:
        return unchanged(machine)
    if p.move is not None:
        raise moving(machine)
    server = server_with_id(draft.state, command.server)
    place = common_ref(f"/servers/{server.resource_id}")
    came = last_id(p.server) != server.resource_id.lower()
    power = command.power or p.power_state
    known = HypervisorIdentity(type=command.type, id=command.id) if command.id else p.hypervisor
    if not came and power == p.power_state and known == p.hypervisor:
        return unchanged(machine)
    note_place(draft, machine.resource_id, place)
    begins = power == "Running" and (came or p.power_state != "Running")
    if came or begins:
        give_macs(draft, p.network_interfaces, server)
        if begins:
            check_twins(draft, machine.resource_id, p, server.resource_id.lower() if command.alone else "")
        ensure_provider_addresses(draft, server)
    if came:
        before = p.server.resource_ref if p.server is not None else "no server"
        note_arrival(draft, machine, place, f"moved outside from {before}")
    elif begins and p.inactive:
        mark_addresses_of(draft, p, 0.0, "started outside")
    inactive = "" if came or begins else p.inactive
    return put_machine(draft, machine, server=place, power_state=power, hypervisor=known, inactive=inactive)
