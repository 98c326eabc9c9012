"""CreateMachine, AdvanceCreation and BeginRemoval: a machine made as a whole, and one unmade.

Its interfaces are granted in the transaction that stores it, so that no other has part of it; when it cannot be made it
goes in one transaction too, with all that it was given. What its host says in between is weft.control.creations'
business, which calls this through core.decide.
"""

import hashlib
from typing import Any

import msgspec

from weft.core.commands import AdvanceCreation, BeginRemoval, CreateMachine, Decision, NewInterface
from weft.core.decide.bindings import INTERFACES, check_twins, interface_of, server_with_id
from weft.core.decide.captures import remove_checkpoints
from weft.core.decide.clusters import server_for
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place, needs_encryption
from weft.core.decide.envelope import check_delete
from weft.core.decide.granting import STRATEGIES
from weft.core.decide.hardware import GENERATION, check_kind, checked_hardware
from weft.core.decide.in_use import has_room
from weft.core.decide.ip_configurations import Configuration, Interface
from weft.core.decide.machine_copies import asking, free_interface_name, make_interface, refs_of, store_machine
from weft.core.decide.machines import (
    Machine,
    being_made,
    check_free_name,
    machine_named,
    machine_ref,
    note_place,
    put_machine,
    settled_machine,
    unchanged,
)
from weft.core.decide.network_interfaces import give_up
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.encryption import why_not
from weft.core.taken_addresses import check_reaches, taken_for
from weft.core.words import see_subnets
from weft.model.errors import Conflict, Invalid, InvalidReference, NotReady, Refusal
from weft.model.hypervisor import Hardware
from weft.model.kinds import VIRTUAL_MACHINES
from weft.model.resources import Ref, Resource
from weft.model.values import wall_text
from weft.model.workload import Creation, NetworkInterfaceProperties, VirtualMachineProperties

_BEFORE = {
    "starting": ("defining",),
    "done": ("defining", "starting"),
    "undoing": ("defining", "starting"),
    "undone": ("undoing",),
}


def create(draft: Draft, command: CreateMachine) -> Decision:
    """Answers the machine, also one that the same command made before, at whatever phase it is. Raises Invalid,
    InvalidReference, Conflict (AlreadyExists, AnotherOperationInProgress ...), NotReady, AddressInUse, PoolIsFull."""
    asked = _digest(command)
    found: Machine | None = draft.state.get(VIRTUAL_MACHINES.name, command.name)
    if found is not None and found.properties.made_as == asked:
        return unchanged(found)
    leaving = found.properties.creation if found is not None else None
    if found is not None and leaving is not None and leaving.phase in ("undoing", "removing"):
        raise being_made(found)
    check_free_name(draft, VIRTUAL_MACHINES, command.name, command.name)
    server = _server_of(draft, command)
    place = Ref(resource_ref=f"/servers/{server.resource_id}")
    hardware = _hardware(command, server.resource_id.lower())
    note_place(draft, command.name, place)
    interfaces = [_interface(draft, command.name, at, one, place) for at, one in enumerate(command.interfaces)]
    check_place(draft, server, refs_of(interfaces))
    ensure_provider_addresses(draft, server)
    properties = VirtualMachineProperties(
        server=place,
        network_interfaces=refs_of(interfaces),
        hardware=hardware,
        creation=Creation(generation=draft.state.revision + 1, start=command.start, since=wall_text(draft.now.wall)),
        made_as=asked,
    )
    if command.start:
        # it would be refused when it starts, with everything made: now nothing is
        check_twins(draft, command.name, properties)
    return store_machine(draft, command.name, properties)


def _fits(draft: Draft, command: CreateMachine, server: Resource[Any]) -> bool:
    """Can its tunnels be encrypted, where the machine's networks are to be, and is there a provider address for it that
    nobody else has?"""
    state, taken = draft.state, draft.taken_on(server.resource_id.lower())
    if any(needs_encryption(state, one.subnet) for one in command.interfaces) and why_not(server):
        return False
    if taken_for(state, server.resource_id, _subnets(command), taken):
        return False
    return all(has_room(state, server, one.subnet) for one in command.interfaces)


def _subnets(command: CreateMachine) -> list[Ref]:
    return [Ref(resource_ref=one.subnet) for one in command.interfaces]


def _hardware(command: CreateMachine, server: str) -> Hardware | None:
    if server in command.without_define:
        return None
    asked = command.hardware or Hardware(generation=0)
    check_kind(asked, command.kinds.get(server, ""))
    return checked_hardware(asked if asked.generation else msgspec.structs.replace(asked, generation=GENERATION))


def _server_of(draft: Draft, command: CreateMachine) -> Resource[Any]:
    """The one that is named, or the best of the cluster. Raises Invalid, InvalidReference, NotReady."""
    state = draft.state
    if bool(command.server) == bool(command.cluster):
        raise Invalid("Name the server that the machine shall be on, or a cluster of servers.", target="server")
    if command.cluster:
        server = server_for(state, command.cluster, command.connected, lambda one: _fits(draft, command, one))
    else:
        server = server_with_id(state, command.server)
    name, ref = server.resource_id, f"/servers/{server.resource_id}"
    if name.lower() in command.away:
        raise NotReady(f"The agent of '{name}' is not connected: start it, or see why it cannot reach us.", target=ref)
    if name.lower() in command.silent:
        raise NotReady(f"The hypervisor of '{name}' does not answer its agent: see weft host state {name}.", target=ref)
    if command.start:
        check_reaches(state, name, _subnets(command), draft.taken_on(name.lower()))
    return server


def _digest(command: CreateMachine) -> str:
    """Of what was asked for, and of nothing that hosts tell at the moment. It is stored with the machine, so a later
    version must come to the same bytes for the same request: what a command can be asked for besides goes to the end,
    and only where it is asked for; so do members of Hardware, Disk and NewInterface."""
    asked: dict[str, Any] = {
        "name": "",
        "server": command.server,
        "cluster": command.cluster,
        "hardware": command.hardware,
        "interfaces": command.interfaces,
        "start": command.start,
        # facts of the command, always empty: the first version hashed it as it was
        "connected": (),
        "away": (),
        "silent": (),
        "without_define": (),
        "kinds": {},
    }
    return hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=12).hexdigest()


def _interface(draft: Draft, machine: str, at: int, asked: NewInterface, server: Ref) -> Interface:
    if asked.strategy.lower() not in STRATEGIES:
        raise Invalid(f"strategy is central, hostRange or random, not '{asked.strategy}'.", target=_at(at, "strategy"))
    if draft.state.segment(asked.subnet) is None:
        where = see_subnets(draft.state, asked.subnet)
        message = f"There is no subnet {asked.subnet or 'without a name'}{where}."
        raise InvalidReference(message, target=_at(at, "subnet"))
    own = free_interface_name(draft, f"{machine}-eth{at}")
    properties = NetworkInterfaceProperties(
        private_mac_address=asked.mac_address or None,
        private_mac_allocation_method="Static" if asked.mac_address else "Dynamic",
        ip_configurations=(_configuration(draft, asked),),
        strategy=STRATEGIES[asked.strategy.lower()],
        server=server,
    )
    try:
        return make_interface(draft, Resource(resource_id=own, properties=properties))
    except Refusal as refusal:
        refusal.target = _at(at, refusal.target or "")
        raise


def _at(at: int, member: str) -> str:
    return f"networks[{at}].{member}".rstrip(".")


def _configuration(draft: Draft, asked: NewInterface) -> Configuration:
    configuration = asking(draft.state, "ip1", Ref(resource_ref=asked.subnet))
    if not asked.ip_address:
        return configuration
    static = {"private_ip_address": asked.ip_address, "private_ip_allocation_method": "Static"}
    return msgspec.structs.replace(
        configuration, properties=msgspec.structs.replace(configuration.properties, **static)
    )


def advance(draft: Draft, command: AdvanceCreation) -> Decision:
    """One phase on; the phase that it has is answered unchanged. Raises NotFound, Conflict (CreationIsOver,
    ActiveTwin)."""
    machine = machine_named(draft.state, command.machine)
    creation = machine.properties.creation
    if creation is None or creation.generation != command.generation:
        raise Conflict(
            f"The making of virtual machine {machine.resource_id} is over.",
            code="CreationIsOver",
            target=machine_ref(machine.resource_id),
        )
    if command.phase == creation.phase:
        return unchanged(machine)
    if creation.phase not in _BEFORE.get(command.phase, ()):
        raise being_made(machine)
    if command.phase == "undone":
        return _undone(draft, machine)
    since = wall_text(draft.now.wall)
    after = msgspec.structs.replace(creation, phase=command.phase, failure=command.failure, since=since)
    hypervisor = command.hypervisor or machine.properties.hypervisor
    if command.phase == "undoing":
        return put_machine(draft, machine, creation=after, power_state="Off", errand=None)
    if command.phase == "done":
        return put_machine(draft, machine, creation=None, hypervisor=hypervisor, errand=None)
    note_place(draft, machine.resource_id, machine.properties.server)
    check_twins(draft, machine.resource_id, machine.properties)
    return put_machine(draft, machine, creation=after, hypervisor=hypervisor, power_state="Running")


def _undone(draft: Draft, machine: Machine) -> Decision:
    """It goes with the interfaces that were made for it; what they were granted cools down like any address that was
    told to a host."""
    note_place(draft, machine.resource_id, machine.properties.server)
    remove_checkpoints(draft, machine.resource_id)
    interfaces = [interface_of(draft, ref) for ref in machine.properties.network_interfaces]
    draft.put(VIRTUAL_MACHINES.name, machine.resource_id.lower(), machine, None)
    for interface in interfaces:
        give_up(draft, interface, f"virtual machine {machine.resource_id} could not be made")
        draft.put(INTERFACES, interface.resource_id.lower(), interface, None)
    return Decision(changes=draft.changes(), outcome="deleted")


def begin_removal(draft: Draft, command: BeginRemoval) -> Decision:
    """Raises NotFound, PreconditionFailed, Conflict (AnotherOperationInProgress, MachineIsTemplate)."""
    found = machine_named(draft.state, command.machine)
    check_delete(command.when, found, machine_ref(found.resource_id))
    creation = found.properties.creation
    if creation is not None and creation.phase == "removing":
        return unchanged(found)
    machine = settled_machine(draft.state, command.machine)
    since = wall_text(draft.now.wall)
    removing = Creation(phase="removing", generation=draft.state.revision + 1, start=False, since=since)
    return put_machine(draft, machine, creation=removing, power_state="Off")
