"""What machines, their interfaces and servers mean to each other. Called by virtual_machines, machine_power, moves."""

from typing import Any

from weft.core.decide.draft import Draft
from weft.core.decide.holding import note, share_domain
from weft.core.decide.ip_configurations import addresses_of
from weft.core.decide.network_interfaces import mac_of
from weft.core.index import last_id, lower
from weft.core.state import State
from weft.model.errors import Conflict, InvalidReference
from weft.model.leases import MAC_SCOPE
from weft.model.resources import Ref, Resource
from weft.model.values import mac_dashes
from weft.model.workload import VirtualMachineProperties


def server_named(state: State, ref: Ref | None) -> Resource[Any] | None:
    """The server that a reference names; None for no reference. Raises InvalidReference."""
    if ref is None or not ref.resource_ref:
        return None
    found = state.get("servers", last_id(ref)) if lower(ref) == f"/servers/{last_id(ref)}" else None
    if found is None:
        raise InvalidReference(f"There is no server '{ref.resource_ref}'.", target="server")
    return found


def check_twins(state: State, name: str, machine: VirtualMachineProperties) -> None:
    """Refuse to run beside a running machine that has the same MAC address in the same L2 domain. Raises Conflict."""
    for ref in machine.network_interfaces:
        interface = state.get("networkInterfaces", last_id(ref))
        assert interface is not None
        lease = state.lease(MAC_SCOPE, mac_of(interface))
        holders = lease.holders if lease is not None else ()
        mine = [one for one in holders if one.ref.lower() == lower(ref)]
        for other in holders:
            if other in mine or not any(share_domain(one, other) for one in mine):
                continue
            twin = state.machine_of(other.ref.rpartition("/")[2])
            if (
                twin is not None
                and twin.resource_id.lower() != name.lower()
                and twin.properties.power_state == "Running"
            ):
                raise Conflict(
                    f"{mac_dashes(mac_of(interface))} of {ref.resource_ref} is in use by the running virtual machine "
                    f"{twin.resource_id} ({other.ref}): stop that first.",
                    code="ActiveTwin",
                    target=f"/weft/virtualMachines/{twin.resource_id}",
                )


def note_addresses(draft: Draft, interface_id: str, event: str, reason: str) -> None:
    """Write an event into the history of all addresses of an interface."""
    interface = draft.state.get("networkInterfaces", interface_id)
    assert interface is not None
    note(draft, MAC_SCOPE, mac_of(interface), event, reason)
    for scope, address in addresses_of(draft.state, interface):
        note(draft, scope, address, event, reason)
