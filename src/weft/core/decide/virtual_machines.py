"""PUT and DELETE of virtualMachines: interfaces bound to a server. Power and moves are in machine_power and moves."""

from weft.core.decide.bindings import check_twins, note_addresses, server_named
from weft.core.decide.draft import Draft
from weft.core.decide.servers import ensure_provider_addresses
from weft.core.index import last_id
from weft.core.state import State
from weft.model.errors import Conflict, Invalid, InvalidReference
from weft.model.resources import Ref, Resource
from weft.model.workload import VirtualMachineProperties

Machine = Resource[VirtualMachineProperties]

POWER_STATES = {"off": "Off", "running": "Running", "saved": "Saved"}


def settle(draft: Draft, sent: Machine, old: Machine | None) -> VirtualMachineProperties:
    """The properties as they will be stored. Raises a Refusal. Power is taken at creation only."""
    p = sent.properties
    server = server_named(draft.state, p.server)
    interfaces = _interfaces(draft.state, sent)
    power = _power(p) if old is None else old.properties.power_state
    settled = VirtualMachineProperties(
        server=Ref(resource_ref=f"/servers/{server.resource_id}") if server is not None else None,
        network_interfaces=interfaces,
        hypervisor=p.hypervisor,
        power_state=power,
        move=old.properties.move if old is not None else None,
    )
    if old is not None:
        _check_change(old, settled)
    if power == "Running":
        if server is None:
            raise Invalid(f"Virtual machine {sent.resource_id} cannot run without a server.", target="server")
        check_twins(draft.state, sent.resource_id, settled)
    if server is not None:
        ensure_provider_addresses(draft, server)
    _note(draft, sent.resource_id, old, settled)
    return settled


def remove(draft: Draft, old: Machine) -> None:
    """At any power: the host stops it. Its interfaces stay, with their addresses. Refused while it moves."""
    if old.properties.move is not None:
        raise moving(old)
    _note(draft, old.resource_id, old, None)


def moving(machine: Machine) -> Conflict:
    """The refusal of whatever cannot be done while a machine moves."""
    move = machine.properties.move
    assert move is not None
    return Conflict(
        f"Virtual machine {machine.resource_id} is moving from {move.source} to {move.destination} ({move.phase}): "
        "wait until that is done.",
        code="AnotherOperationInProgress",
        target=f"/weft/virtualMachines/{machine.resource_id}",
    )


def _power(p: VirtualMachineProperties) -> str:
    power = POWER_STATES.get(p.power_state.lower())
    if power is None:
        raise Invalid(f"powerState is Off, Running or Saved, not '{p.power_state}'.", target="powerState")
    return power


def _interfaces(state: State, sent: Machine) -> tuple[Ref, ...]:
    """The references in canonical spelling, each to an interface of no other machine, none twice."""
    refs: list[Ref] = []
    for ref in sent.properties.network_interfaces:
        path = ref.resource_ref.lower()
        name = last_id(ref)
        found = state.get("networkInterfaces", name) if path == f"/networkinterfaces/{name}" else None
        if found is None:
            raise InvalidReference(
                f"There is no network interface '{ref.resource_ref}': create it first.", target="networkInterfaces"
            )
        canonical = Ref(resource_ref=f"/networkInterfaces/{found.resource_id}")
        if canonical in refs:
            raise Invalid(f"{canonical.resource_ref} is named twice.", target="networkInterfaces")
        other = state.machine_of(name)
        if other is not None and other.resource_id.lower() != sent.resource_id.lower():
            raise Conflict(
                f"{canonical.resource_ref} belongs to /weft/virtualMachines/{other.resource_id}: create another "
                "interface, or take it from there first.",
                code="NicInUse",
                target="networkInterfaces",
            )
        refs.append(canonical)
    return tuple(refs)


def _check_change(old: Machine, new: VirtualMachineProperties) -> None:
    before = old.properties
    moved = last_id(before.server) != last_id(new.server)
    if before.move is not None and (moved or before.network_interfaces != new.network_interfaces):
        raise moving(old)
    if moved and before.power_state == "Running":
        raise Conflict(
            f"Virtual machine {old.resource_id} is running: move it with its migrate action, or stop it first.",
            code="MachineIsRunning",
            target="server",
        )


def _note(draft: Draft, name: str, old: Machine | None, new: VirtualMachineProperties | None) -> None:
    """Tell the history of every address which machine and host it comes to or leaves."""
    before = old.properties if old is not None else VirtualMachineProperties()
    after = new if new is not None else VirtualMachineProperties()
    moved = last_id(before.server) != last_id(after.server)
    for ref in before.network_interfaces:
        if ref not in after.network_interfaces:
            draft.machine, draft.host = "", ""
            note_addresses(draft, last_id(ref), "moved", f"no longer of virtual machine {name}")
    for ref in after.network_interfaces:
        if moved or ref not in before.network_interfaces:
            draft.machine = name
            draft.host = after.server.resource_ref.rpartition("/")[2] if after.server is not None else ""
            note_addresses(draft, last_id(ref), "moved", f"virtual machine {name}")
