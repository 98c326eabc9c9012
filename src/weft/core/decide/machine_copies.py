"""Clone: a new machine, or a new template, from a machine or a template.

`new` gives it addresses of its own in the same subnets when it is made, not when it boots. `keep` makes a legal twin:
both hold the same addresses, and only one of them can run at a time in one L2 domain. Called through core.decide by the
API; imports store their machines and interfaces by it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from weft.core.commands import Decision
from weft.core.copy_commands import Clone
from weft.core.decide.bindings import INTERFACES, interface_of, server_named, server_with_id
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_place
from weft.core.decide.envelope import new_etag, retag
from weft.core.decide.holding import hold_twin, holder_in
from weft.core.decide.ip_configurations import Configuration, Interface
from weft.core.decide.machines import Machine, check_free_name, is_running, machine_named, note_place
from weft.core.decide.network_interfaces import settle
from weft.core.decide.own_addresses import ensure_provider_addresses
from weft.core.decide.places import places_of
from weft.core.decide.virtual_machines import networks_of
from weft.core.state import State
from weft.model.errors import Invalid
from weft.model.hypervisor import Disk, Hardware
from weft.model.kinds import NETWORK_INTERFACES, VIRTUAL_MACHINES
from weft.model.resources import Ref, Resource, ResourceMetadata
from weft.model.values import check_resource_id
from weft.model.workload import (
    HypervisorIdentity,
    IpConfigurationProperties,
    NetworkInterfaceProperties,
    TemplateNetwork,
    VirtualMachineProperties,
)


def clone(draft: Draft, command: Clone) -> Decision:
    """Answers the new machine, which is Off. Raises NotFound, Invalid, Conflict (AlreadyExists), PoolIsFull."""
    source = machine_named(draft.state, command.machine)
    check_free_name(draft, VIRTUAL_MACHINES, command.name, command.name)
    if command.addresses not in ("new", "keep"):
        raise Invalid(f"addresses is new or keep, not '{command.addresses}'.", target="addresses")
    p = source.properties
    if command.addresses == "keep" and (p.is_template or command.is_template):
        raise Invalid("A template holds no address that could be kept: leave addresses out.", target="addresses")
    server = server_with_id(draft.state, command.server) if command.server else server_named(draft.state, p.server)
    place = Ref(resource_ref=f"/servers/{server.resource_id}") if server is not None else None
    properties = VirtualMachineProperties(
        server=place,
        hypervisor=HypervisorIdentity(type=p.hypervisor.type) if p.hypervisor is not None else None,
        is_template=command.is_template,
        hardware=None if command.is_template else _copied_hardware(source, command.name),
    )
    if command.is_template:
        networks = p.networks if p.is_template else networks_of(draft, p.network_interfaces)
        return store_machine(draft, command.name, msgspec.structs.replace(properties, networks=networks), source)
    note_place(draft, command.name, place)
    if p.is_template:
        interfaces = _from_template(draft, command.name, p.networks, place, source.resource_metadata)
    else:
        originals = [interface_of(draft, ref) for ref in p.network_interfaces]
        names = _names(draft, originals, source.resource_id, command.name)
        copy = _twin if command.addresses == "keep" else _fresh_copy
        interfaces = [copy(draft, one, name, place) for one, name in zip(originals, names, strict=True)]
    if server is not None:
        check_place(draft, server, refs_of(interfaces))
        ensure_provider_addresses(draft, server)
    return store_machine(
        draft, command.name, msgspec.structs.replace(properties, network_interfaces=refs_of(interfaces)), source
    )


def _copied_hardware(source: Machine, name: str) -> Hardware | None:
    """The same with each disk a copy, `/vm/web2.qcow2` of `/vm/web1.qcow2`, `/vm/web2-data.qcow2` of `/vm/data.qcow2`.
    An image of a CD is shared.

    Raises Conflict (MachineIsRunning): disks of a machine that runs change while they are copied.
    """
    hardware = source.properties.hardware
    if hardware is None:
        return None
    if hardware.disks and source.properties.power_state == "Running":
        raise is_running(source, "stop it first, for its disks are copied.")
    disks = tuple(_copied_disk(disk, source.resource_id, name) for disk in hardware.disks)
    return msgspec.structs.replace(hardware, disks=disks)


def _copied_disk(disk: Disk, source: str, name: str) -> Disk:
    if disk.path.lower().endswith(".iso"):
        return Disk(path=disk.path)
    return Disk(path=_renamed_file(disk.path, source, name), source=disk.path)


def _renamed_file(path: str, source: str, name: str) -> str:
    at = max(path.rfind("/"), path.rfind("\\")) + 1
    return path[:at] + _renamed(path[at:], source, name)


def store_machine(
    draft: Draft, name: str, properties: VirtualMachineProperties, like: Machine | None = None
) -> Decision:
    """A new machine; tags and metadata are those of the machine that it is made from."""
    machine = Machine(
        resource_id=name,
        instance_id=draft.new_id(),
        etag=new_etag(draft.new_id),
        tags=like.tags if like is not None else None,
        resource_metadata=like.resource_metadata if like is not None else None,
        properties=properties,
    )
    draft.put(VIRTUAL_MACHINES.name, name.lower(), None, machine)
    return Decision(changes=draft.changes(), outcome="created", resource=machine)


def store_interface(draft: Draft, interface: Interface) -> Interface:
    """A new interface, settled, with etags and instance ids of its own."""
    stored: Interface = retag(NETWORK_INTERFACES, interface, draft.new_id)
    draft.put(INTERFACES, stored.resource_id.lower(), None, stored)
    return stored


def make_interface(draft: Draft, sent: Interface) -> Interface:
    """Grant what is asked for and store it; its name must be free."""
    return store_interface(draft, msgspec.structs.replace(sent, properties=settle(draft, sent, None)))


def refs_of(interfaces: Iterable[Interface]) -> tuple[Ref, ...]:
    return tuple(Ref(resource_ref=f"/networkInterfaces/{one.resource_id}") for one in interfaces)


def free_interface_name(draft: Draft, name: str) -> str:
    """Raises InvalidResourceName, Conflict (AlreadyExists)."""
    check_free_name(draft, NETWORK_INTERFACES, name, name)
    return name


def asking(state: State, name: str, subnet: Ref) -> Configuration:
    """An ipConfiguration that asks for an address of a subnet; Unmanaged where nobody gives any."""
    segment = state.segment(subnet.resource_ref)
    is_wire = segment is not None and not (segment.pools or segment.virtual or segment.virtualized)
    method = "Unmanaged" if is_wire else "Dynamic"
    properties = IpConfigurationProperties(private_ip_allocation_method=method, subnet=subnet)
    return Resource(resource_id=name, properties=properties)


def _from_template(
    draft: Draft,
    name: str,
    networks: Sequence[TemplateNetwork],
    server: Ref | None,
    metadata: ResourceMetadata | None,
) -> list[Interface]:
    made = []
    for at, network in enumerate(networks):
        subnets = [one for one in (network.subnet, network.dual_stack_subnet) if one is not None]
        properties = NetworkInterfaceProperties(
            private_mac_allocation_method="Dynamic",
            ip_configurations=tuple(asking(draft.state, f"ip{n}", one) for n, one in enumerate(subnets, 1)),
            strategy=network.strategy,
            server=server,
        )
        own = free_interface_name(draft, f"{name}-eth{at}")
        made.append(make_interface(draft, Resource(resource_id=own, resource_metadata=metadata, properties=properties)))
    return made


def _names(draft: Draft, interfaces: list[Interface], source: str, name: str) -> list[str]:
    """The source's names with its own exchanged for the new one's, made different where that makes them equal."""
    found: list[str] = []
    taken: set[str] = set()
    for interface in interfaces:
        wanted = _renamed(interface.resource_id, source, name)
        own, at = wanted, 1
        while own.lower() in taken:
            at += 1
            own = f"{wanted}-{at}"
        taken.add(own.lower())
        found.append(free_interface_name(draft, check_resource_id(own)))
    return found


def _renamed(interface: str, source: str, name: str) -> str:
    """`web1-eth0` of web1 becomes `web2-eth0` of web2; `eth0` becomes `web2-eth0`."""
    rest = interface[len(source) :]
    if interface.lower().startswith(source.lower()) and not rest[:1].isalnum():
        return f"{name}{rest}"
    return f"{name}-{interface}"


def _copied(original: Interface, name: str, **properties: object) -> Interface:
    p = original.properties
    own: dict[str, object] = {"internal_dns_name_label": None, "reservation": None, "learned_ip_addresses": ()}
    own["is_host_virtual_network_interface"] = False
    changed = msgspec.structs.replace(p, **own | properties)
    return Resource(
        resource_id=name,
        tags=original.tags,
        resource_metadata=original.resource_metadata,
        properties=changed,
    )


def _fresh_copy(draft: Draft, original: Interface, name: str, server: Ref | None) -> Interface:
    """With addresses of its own: what was Static is granted, too. Unmanaged stays so."""
    configurations = tuple(
        Resource(
            resource_id=one.resource_id,
            tags=one.tags,
            properties=msgspec.structs.replace(
                one.properties,
                private_ip_address=None,
                public_ip_address=None,  # it has one user
                private_ip_allocation_method=(
                    "Unmanaged" if one.properties.private_ip_allocation_method == "Unmanaged" else "Dynamic"
                ),
            ),
        )
        for one in original.properties.ip_configurations
    )
    sent = _copied(
        original,
        name,
        private_mac_address=None,
        private_mac_allocation_method="Dynamic",
        ip_configurations=configurations,
        server=server,
    )
    return make_interface(draft, sent)


def _twin(draft: Draft, original: Interface, name: str, server: Ref | None) -> Interface:
    """With the same addresses, each held a second time."""
    ref = f"/networkInterfaces/{original.resource_id}"
    for scope, address in places_of(draft.state, original):
        held = holder_in(draft.lease(scope, address), ref)
        assert held is not None
        twin = msgspec.structs.replace(held, ref=f"/networkInterfaces/{name}", inactive=0.0)
        hold_twin(draft, scope, address, twin, f"twin of {ref}")
    configurations = tuple(
        msgspec.structs.replace(
            one, instance_id="", etag="", properties=msgspec.structs.replace(one.properties, public_ip_address=None)
        )
        for one in original.properties.ip_configurations
    )
    waits = original.properties.strategy == "hostRange"
    return store_interface(
        draft, _copied(original, name, ip_configurations=configurations, server=server if waits else None)
    )
