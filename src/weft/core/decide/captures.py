"""TakeCheckpoint and ExportMachine: what a machine's interfaces have, held until the checkpoint or export is deleted.

Restoring is in core.decide.restoring. A machine's delete takes its checkpoints along; exports outlive it. Called
through core.decide by the API and control.restarts; imports store captures, deletes remove them.
"""

from collections.abc import Iterator

import msgspec

from weft.core.commands import Decision
from weft.core.copy_commands import ExportMachine, TakeCheckpoint
from weft.core.decide.bindings import interface_of
from weft.core.decide.cool_down import resting
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.holding import holder_in, release, retain
from weft.core.decide.ip_configurations import Interface, Place, stored_address
from weft.core.decide.machines import check_free_name, machine_ref, note_place, settled_machine
from weft.core.decide.places import mac_of, places_of
from weft.core.state import State
from weft.model.errors import Invalid
from weft.model.kinds import CHECKPOINTS, EXPORTS, Kind, is_own, owned_id, owner_and_name, resource_ref
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.resources import Ref, Resource
from weft.model.values import mac_dashes, parse_mac, wall_text
from weft.model.workload import CapturedAddress, CapturedInterface, CaptureProperties

Capture = Resource[CaptureProperties]

_HOLDERS = {CHECKPOINTS.name: "checkpoint", EXPORTS.name: "export"}


def take_checkpoint(draft: Draft, command: TakeCheckpoint) -> Decision:
    """Answers the machine. Raises NotFound, Conflict (AlreadyExists, MachineIsTemplate ...), InvalidResourceName."""
    return _capture(draft, CHECKPOINTS, command.machine, command.name)


def export(draft: Draft, command: ExportMachine) -> Decision:
    """Answers the machine. Raises as take_checkpoint does."""
    return _capture(draft, EXPORTS, command.machine, command.name)


def settle_checkpoint(draft: Draft, sent: Capture, old: Capture | None) -> CaptureProperties:
    """Refuse: only its machine's action makes one."""
    raise Invalid("A checkpoint is made by the checkpoint action of its virtual machine.", code="OperationNotSupported")


def settle_export(draft: Draft, sent: Capture, old: Capture | None) -> CaptureProperties:
    """Refuse: only its machine's action makes one."""
    raise Invalid("An export is made by the export action of its virtual machine.", code="OperationNotSupported")


def remove_checkpoint(draft: Draft, old: Capture) -> None:
    """What only it held cools down."""
    _remove(draft, CHECKPOINTS, old, "deleted")


def remove_export(draft: Draft, old: Capture) -> None:
    """What only it held cools down."""
    _remove(draft, EXPORTS, old, "deleted")


def remove_checkpoints(draft: Draft, machine: str) -> None:
    """All of a machine that is deleted."""
    for capture in draft.state.owned(CHECKPOINTS.name, machine):
        _remove(draft, CHECKPOINTS, capture, "deleted with its machine")
        draft.put(CHECKPOINTS.name, capture.resource_id.lower(), capture, None)


def store_capture(
    draft: Draft, kind: Kind, resource_id: str, interfaces: tuple[CapturedInterface, ...], power: str
) -> Capture:
    """Make the resource; its addresses are the caller's to hold."""
    properties = CaptureProperties(
        virtual_machine=Ref(resource_ref=machine_ref(owner_and_name(resource_id)[0])),
        network_interfaces=interfaces,
        power_state=power,
        created=wall_text(draft.now.wall),
    )
    capture = Capture(
        resource_id=resource_id, instance_id=draft.new_id(), etag=new_etag(draft.new_id), properties=properties
    )
    draft.put(kind.name, resource_id.lower(), None, capture)
    return capture


def captured_places(state: State, captured: CapturedInterface) -> Iterator[Place]:
    """Where in the ledger the addresses of a captured interface are, MAC address first."""
    if captured.mac_address:
        yield MAC_SCOPE, parse_mac(captured.mac_address)
    for one in captured.ip_addresses:
        place = captured_place(state, one)
        if place is not None:
            yield place


def captured_place(state: State, one: CapturedAddress) -> Place | None:
    """None for an Unmanaged address. A subnet stays while anything captured lies in it."""
    segment = state.segment(one.subnet.resource_ref) if one.subnet is not None else None
    if segment is None or not one.private_ip_address:
        return None
    return segment.scope, stored_address(one.private_ip_address)


def _capture(draft: Draft, kind: Kind, machine_id: str, name: str) -> Decision:
    machine = settled_machine(draft.state, machine_id)
    own = owned_id(machine.resource_id, name)
    check_free_name(draft, kind, own, name)
    note_place(draft, machine.resource_id, machine.properties.server)
    interfaces = [interface_of(draft, ref) for ref in machine.properties.network_interfaces]
    store_capture(draft, kind, own, tuple(map(captured, interfaces)), machine.properties.power_state)
    for interface in interfaces:
        _retain(draft, interface, _HOLDERS[kind.name], resource_ref(kind, own))
    return Decision(changes=draft.changes(), outcome="done", resource=machine)


def captured(interface: Interface) -> CapturedInterface:
    """An interface as it is now."""
    p = interface.properties
    mac = mac_of(interface)
    return CapturedInterface(
        network_interface=Ref(resource_ref=f"/networkInterfaces/{interface.resource_id}"),
        mac_address=mac_dashes(mac) if mac is not None else "",
        private_mac_allocation_method=p.private_mac_allocation_method,
        ip_addresses=tuple(
            CapturedAddress(
                resource_id=one.resource_id,
                private_ip_address=one.properties.private_ip_address,
                private_ip_allocation_method=one.properties.private_ip_allocation_method,
                subnet=one.properties.subnet,
                access_control_list=one.properties.access_control_list,
            )
            for one in p.ip_configurations
        ),
    )


def _retain(draft: Draft, interface: Interface, holder_kind: str, ref: str) -> None:
    """Beside the interface, with all that its own holder says of where the address may be met."""
    own = f"/networkInterfaces/{interface.resource_id}"
    for scope, address in places_of(draft.state, interface):
        holder = holder_in(draft.lease(scope, address), own)
        assert holder is not None
        retain(draft, scope, address, Holder(holder_kind, ref, holder.domain, holder.granted), f"of {own}")


def _remove(draft: Draft, kind: Kind, capture: Capture, reason: str) -> None:
    ref = resource_ref(kind, capture.resource_id)
    if is_own(owner_and_name(capture.resource_id)[1]):
        _end_mark(draft, capture, ref)
        return
    places = (place for one in capture.properties.network_interfaces for place in captured_places(draft.state, one))
    for scope, address in dict.fromkeys(places):
        release(draft, scope, address, ref, f"{ref} {reason}")


def _end_mark(draft: Draft, capture: Capture, ref: str) -> None:
    """What only a checkpoint of ours held was given up by the interface itself, which stays its last holder."""
    reason = f"changed while virtual machine {owner_and_name(capture.resource_id)[0]} was stopped for it"
    for one in capture.properties.network_interfaces:
        for scope, address in captured_places(draft.state, one):
            lease = draft.lease(scope, address)
            held = holder_in(lease, ref)
            if lease is None or held is None:
                continue
            if one.network_interface is not None and len(lease.holders) == 1:
                interface = msgspec.structs.replace(
                    held, kind="networkInterface", ref=one.network_interface.resource_ref
                )
                rested = resting(draft, msgspec.structs.replace(lease, holders=(interface,)), reason)
                draft.turn(lease, rested, "released", reason)
            else:
                release(draft, scope, address, ref, reason)
