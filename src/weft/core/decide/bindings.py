"""What machines, their interfaces and servers mean to each other. Called by the families that deal with machines."""

from typing import Any

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.holding import holder_in, mark, note, share_domain
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.learnt_addresses import learnt_places
from weft.core.decide.places import places_of
from weft.core.index import last_id, lower
from weft.core.notable import is_off, server_of_port
from weft.core.state import State
from weft.core.words import address_text, no_server
from weft.model.errors import Conflict, InvalidReference
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.resources import Ref, Resource
from weft.model.workload import VirtualMachineProperties

INTERFACES = "networkInterfaces"


def server_named(state: State, ref: Ref | None) -> Resource[Any] | None:
    """The server that a reference names; None for no reference. Raises InvalidReference."""
    if ref is None or not ref.resource_ref:
        return None
    found = state.get("servers", last_id(ref)) if lower(ref) == f"/servers/{last_id(ref)}" else None
    if found is None:
        raise InvalidReference(no_server(ref.resource_ref), target="server")
    return found


def server_with_id(state: State, name: str) -> Resource[Any]:
    """A server by its resource id or reference. Raises InvalidReference."""
    found = state.get("servers", name.rpartition("/")[2])
    if found is None:
        raise InvalidReference(no_server(name), target="server")
    return found


def interface_of(draft: Draft, ref: Ref) -> Interface:
    """An interface that a stored machine names, as the draft has it."""
    found: Interface | None = draft.get(INTERFACES, last_id(ref))
    assert found is not None
    return found


def check_twins(draft: Draft, name: str, machine: VirtualMachineProperties, came_to: str = "") -> None:
    """Refuse to run beside whoever uses one of the machine's addresses now, another interface of its own included: a
    MAC address in one L2 domain, an IP address in one network. Raises Conflict (ActiveTwin). `came_to`: the server
    where it runs already though its record has it elsewhere; a port there is its own, which was seen before it was
    known whose it is."""
    own = frozenset(map(lower, machine.network_interfaces))
    for ref in machine.network_interfaces:
        for scope, address in places_of(draft.state, interface_of(draft, ref)):
            lease = draft.lease(scope, address)
            if lease is not None and len(lease.holders) > 1:
                others = [one for one in lease.holders if not (came_to and is_port_of(one, came_to))]
                _check_alone(draft, msgspec.structs.replace(lease, holders=tuple(others)), ref, name, own)


def is_port_of(holder: Holder, server: str) -> bool:
    """Whether it is a port that is seen on this server."""
    return holder.kind == "port" and server_of_port(holder.ref) == server.lower()


def _check_alone(draft: Draft, lease: Lease, ref: Ref, name: str, own: frozenset[str]) -> None:
    mine = holder_in(lease, ref.resource_ref)
    assert mine is not None
    for other in lease.holders:
        if other.ref == mine.ref or (lease.scope == MAC_SCOPE and not share_domain(draft.state, mine, other)):
            continue
        user, target = _user_beside(draft.state, other, name, own)
        if user:
            raise Conflict(
                f"{address_text(lease.scope, lease.address)} of {ref.resource_ref} is in use by {user}: stop that "
                "first, or give one of them another address.",
                code="ActiveTwin",
                target=target,
            )


def _user_beside(state: State, holder: Holder, name: str, own: frozenset[str]) -> tuple[str, str]:
    """As user_of, when machine `name` is about to run with its `own` interfaces, whatever it has in the state."""
    if holder.ref.lower() in own:
        return f"{holder.ref} of the same machine", f"/weft/virtualMachines/{name}"
    machine = state.machine_of(holder.ref.rpartition("/")[2])
    if machine is not None and machine.resource_id.lower() == name.lower():
        return "", ""  # taken from it by the same command
    return user_of(state, holder)


def user_of(state: State, holder: Holder) -> tuple[str, str]:
    """Who uses an address by this holder now, in words, and its reference; both empty if nobody does."""
    if is_off(holder):
        return "", ""
    if holder.kind == "port":
        return f"{holder.ref}, which is seen on a switch and is none of ours", holder.ref
    if holder.kind != "networkInterface":
        return "", ""
    machine = state.machine_of(holder.ref.rpartition("/")[2])
    if machine is not None and machine.properties.power_state == "Running":
        target = f"/weft/virtualMachines/{machine.resource_id}"
        return f"the running virtual machine {machine.resource_id} ({holder.ref})", target
    interface = state.get(INTERFACES, holder.ref.rpartition("/")[2])
    if interface is not None and interface.properties.is_host_virtual_network_interface:
        return f"{holder.ref}, a host's own interface", holder.ref
    return "", ""


def note_addresses(draft: Draft, interface: Interface, event: str, reason: str) -> None:
    """Write an event into the history of all addresses of an interface that this command has not changed anyhow."""
    learnt = (place for place, _ in learnt_places(draft.state, interface))
    for scope, address in (*places_of(draft.state, interface), *learnt):
        if not draft.has_turned(scope, address):
            note(draft, (scope, address), f"/networkInterfaces/{interface.resource_id}", event, reason)


def mark_addresses(draft: Draft, interface: Interface, since: float, reason: str) -> None:
    """Say of all addresses of an interface since when it is known to be gone outside Weft; 0: it is there again."""
    for place in places_of(draft.state, interface):
        mark(draft, place, f"/networkInterfaces/{interface.resource_id}", since, reason)


def mark_addresses_of(draft: Draft, machine: VirtualMachineProperties, since: float, reason: str) -> None:
    """The same for all interfaces of a machine."""
    for ref in machine.network_interfaces:
        mark_addresses(draft, interface_of(draft, ref), since, reason)
