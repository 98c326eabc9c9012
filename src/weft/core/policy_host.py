"""What one host alone is told: its addresses, the networks it needs, its ports and its machines.

Called by core.policy. As in policy_network, `stream` compiles from nothing and `record` answers one key; the cost of
both is bounded by what is on this one host.
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from weft.core.host_ranges import bounds
from weft.core.index import interfaces_of as interface_ids
from weft.core.index import servers_of
from weft.core.policy_access import list_on, lists_on, port_access
from weft.core.policy_gateways import edge, edges
from weft.core.policy_learning import port_learning
from weft.core.policy_limits import port_limits
from weft.core.policy_peers import networks_near, servers_near
from weft.core.policy_places import (
    INTERFACES,
    LOGICAL_NETWORKS,
    SERVERS,
    Interface,
    Network,
    Server,
    VirtualMachine,
    has_mac,
    instance_of,
    known,
    mac_of,
    network_of,
    network_ref,
    packed_prefix,
    port_seats,
    server_of,
)
from weft.core.policy_segments import segment_binding, segment_port
from weft.core.policy_services import port_service
from weft.core.provider_places import primary_of, provider_address, told_addresses
from weft.core.state import State
from weft.model.fabric import LogicalNetworkProperties, LogicalSubnetProperties
from weft.model.hypervisor import Disk, Hardware
from weft.model.records import (
    Errand,
    HostRecord,
    HostSettings,
    Machine,
    NeededNetwork,
    PortBinding,
    ProviderAddress,
    RecordKey,
)
from weft.model.resources import Resource
from weft.model.values import InstanceId, IpAddress, Mac, PackedIp, Rdid, ip_text, pack_ip

INCOMING, ABSENT = "Incoming", "Absent"
NOWHERE = PackedIp(b"")
NO_MAC = Mac(0)


def provider_addresses(state: State, server: Server) -> Iterator[ProviderAddress]:
    """What the host is to have on its own interface, each with the prefix and gateway of the provider subnet that it
    lies in: its own addresses, those of virtual subnets there, and those that come and leave."""
    held = {address: bool(purpose) for _, address, purpose in told_addresses(state, server.resource_id)}
    for address, for_subnet in held.items():
        made = _told(state, server, address, for_subnet)
        if made is not None:
            yield made


def _told(state: State, server: Server, address: PackedIp, for_subnet: bool) -> ProviderAddress | None:
    found = _provider_subnet(state, ipaddress.ip_address(address))
    if found is None:
        return None
    logical, subnet = found
    length = ipaddress.ip_network(subnet.address_prefix, strict=False).prefixlen
    gateway = pack_ip(subnet.default_gateways[0]) if subnet.default_gateways else NOWHERE
    ref = f"/logicalNetworks/{logical.resource_id}"
    change = server.properties.provider_address_change
    awaited = change is not None and change.phase == "preparing" and ip_text(address) in change.coming
    around = _beyond(logical, subnet), _routes(subnet)
    primary = address == primary_of(state, server, ref.lower())
    return ProviderAddress(address, length, gateway, ref, subnet.vlan_id, for_subnet, *around, awaited, primary)


def _beyond(
    logical: Resource[LogicalNetworkProperties], own: LogicalSubnetProperties
) -> tuple[tuple[PackedIp, int], ...]:
    """What is reached from a provider subnet by its gateway: the network's other prefixes of its family."""
    if not own.default_gateways:
        return ()
    here = packed_prefix(own.address_prefix)
    every = (subnet.properties.address_prefix for subnet in logical.properties.subnets)
    found = {packed_prefix(prefix) for prefix in every if prefix} - {here}
    return tuple(sorted(one for one in found if len(one[0]) == len(here[0])))


def _routes(own: LogicalSubnetProperties) -> tuple[tuple[PackedIp, int, PackedIp], ...]:
    """What a release that passed routes over let in, and no host can have, is left out."""
    every = [(ipaddress.ip_network(one.properties.destination), pack_ip(one.properties.next_hop)) for one in own.routes]
    found = [
        (PackedIp(to.network_address.packed), to.prefixlen, hop)
        for to, hop in every
        if 0 < to.prefixlen < to.max_prefixlen == len(hop) * 8 and not to.is_link_local
    ]
    return tuple(sorted(found))


def _provider_subnet(
    state: State, address: IpAddress
) -> tuple[Resource[LogicalNetworkProperties], LogicalSubnetProperties] | None:
    """The logical network (the first by name, if several have it) and subnet that an address lies in."""
    for logical in sorted(state.all(LOGICAL_NETWORKS), key=lambda one: one.resource_id):
        if logical.properties.network_virtualization_enabled:
            for subnet in logical.properties.subnets:
                # a subnet may be a VLAN alone, without a prefix: no address lies in it
                prefix = subnet.properties.address_prefix
                if prefix and address in ipaddress.ip_network(prefix, strict=False):
                    return logical, subnet.properties
    return None


def needed_networks(state: State, server_id: str) -> Iterator[NeededNetwork]:
    return (needed_network(state, server_id, network) for network in networks_near(state, server_id))


def needed_network(state: State, server_id: str, network: Network) -> NeededNetwork:
    """Of a network that the server needs."""
    has_port = server_id.lower() in state.servers_of(network.resource_id)
    place = None if has_port else provider_address(state, server_id, network)
    rdid = Rdid(network.properties.routing_domain_number)
    return NeededNetwork(rdid, network_ref(network), place or NOWHERE)


def interfaces_of(state: State, machine: VirtualMachine) -> Iterator[Interface]:
    return (known(state, INTERFACES, interface_id) for interface_id in interface_ids(machine))


def port_binding(state: State, machine: VirtualMachine, interface: Interface, server_id: str) -> PortBinding | None:
    """The port of an interface on this server; None if it has no MAC address or is in no subnet that has ports."""
    places = port_seats(state, interface) if has_mac(interface) else ()
    if not places:
        return segment_binding(state, interface)
    network = places[0].network
    move = machine.properties.move
    forward_to = NOWHERE
    if move is not None and move.source.lower() == server_id.lower():
        forward_to = provider_address(state, move.destination, network, places[0].subnet) or NOWHERE
    return PortBinding(
        instance_id=instance_of(interface),
        network_interface=interface.resource_id,
        rdid=Rdid(network.properties.routing_domain_number),
        vsid=places[0].vsid,
        mac=mac_of(interface),
        addresses=tuple(seat.address for seat in places),
        provider_address=provider_address(state, server_id, network, places[0].subnet) or NOWHERE,
        forward_to=forward_to,
    )


def machine_record(state: State, machine: VirtualMachine, server_id: str) -> Machine | None:
    """What this server's hypervisor should make of the machine; None on a server that no longer has it."""
    here = server_id.lower()
    move = machine.properties.move
    power, move_to = machine.properties.power_state, ""
    if server_of(machine) != here:
        if move is None or move.destination.lower() != here:
            return None
        power = INCOMING
    elif move is not None and move.phase == "switching":
        move_to = move.destination
    elif move is not None and move.phase == "withdrawing":
        # it may run here, or have left already: nobody may start it a second time
        power = INCOMING
    elif is_leaving(machine):
        power = ABSENT
    hypervisor = machine.properties.hypervisor
    interfaces = tuple(interfaces_of(state, machine))
    return Machine(
        machine=machine.resource_id,
        power=power,
        instance_ids=tuple(instance_of(interface) for interface in interfaces),
        hypervisor_id=hypervisor.id if hypervisor is not None else "",
        move_to=move_to,
        generation=move.generation if move is not None else 0,
        move_address=management_address(state, move_to) if move_to else "",
        hardware=_hardware(machine),
        errand=_errand(machine, interfaces) if server_of(machine) == here else None,
        macs=tuple(mac_of(interface) if has_mac(interface) else NO_MAC for interface in interfaces),
    )


def host_settings(server: Server | None) -> HostSettings | None:
    """What is wanted of the host itself; None where nothing is."""
    if server is None:
        return None
    wanted = server.properties.wanted_dynamic_mac_range
    made = HostSettings(
        dynamic_range=bounds(wanted) if wanted is not None else None,
        blank=tuple((one.machine, one.checkpoint) for one in server.properties.blank_checkpoints),
    )
    return made if made != HostSettings() else None


def _hardware(machine: VirtualMachine) -> Hardware | None:
    """Once a hypervisor had it its disks are what they are: another host that defines it must find them, and not make
    blank ones in their place."""
    hardware, known = machine.properties.hardware, machine.properties.hypervisor
    if hardware is None or known is None or not known.id:
        return hardware
    return msgspec.structs.replace(hardware, disks=tuple(Disk(path=disk.path) for disk in hardware.disks))


def _errand(machine: VirtualMachine, interfaces: Iterable[Interface]) -> Errand | None:
    asked = machine.properties.errand
    if asked is None or asked.phase != "asked":
        return None
    macs: tuple[tuple[InstanceId, Mac], ...] = ()
    if asked.kind == "rewriteCheckpoint":
        macs = tuple((instance_of(one), mac_of(one)) for one in interfaces if has_mac(one))
    return Errand(asked.number, asked.kind, asked.name, asked.hypervisor_id, macs, asked.path)


def is_leaving(machine: VirtualMachine) -> bool:
    """Is its host to remove it, before it goes from the ledger?"""
    creation = machine.properties.creation
    return creation is not None and creation.phase in ("undoing", "removing")


def management_address(state: State, server_id: str) -> str:
    """The first one that the server's connections name (MS-NCNBI 3.1.5.15.1); empty if none does."""
    server: Server | None = state.get(SERVERS, server_id)
    connections = server.properties.connections if server is not None else ()
    return next((address for one in connections for address in one.management_addresses), "")


def stream(state: State, server_id: str) -> dict[RecordKey, HostRecord]:
    """Every record of one host; empty if there is no such server."""
    server: Server | None = state.get(SERVERS, server_id)
    if server is None:
        return {}
    records: list[HostRecord] = [*provider_addresses(state, server), *needed_networks(state, server_id)]
    for machine in state.machines_on(server_id):
        for interface in interfaces_of(state, machine):
            binding = port_binding(state, machine, interface, server_id)
            access = port_access(state, interface)
            segment = segment_port(state, machine, interface, server_id)
            service, learning = port_service(state, interface), port_learning(state, interface)
            made_of = (binding, access, segment, service, learning, port_limits(interface))
            records += [one for one in made_of if one is not None]
        made = machine_record(state, machine, server_id)
        if made is not None:
            records.append(made)
    records += lists_on(state, state.machines_on(server_id))
    records += edges(state, server_id)
    settings = host_settings(server)
    return {record.key: record for record in (*records, *([settings] if settings is not None else ()))}


def record(state: State, server_id: str, key: RecordKey) -> HostRecord | None:
    """The record that the stream has at this key now, if any."""
    server: Server | None = state.get(SERVERS, server_id)
    if server is None:
        return None
    match key:
        case (11, bytes(address)):
            held = {one: bool(purpose) for _, one, purpose in told_addresses(state, server_id)}
            return _told(state, server, PackedIp(address), held[PackedIp(address)]) if address in held else None
        case (12, int(rdid)):
            network = network_of(state, rdid)
            if network is None or server_id.lower() not in servers_near(state, network):
                return None
            return needed_network(state, server_id, network)
        case (13, bytes(instance_id)):
            found = _owner_of(state, server_id, instance_id.decode())
            return port_binding(state, *found, server_id) if found is not None else None
        case (19, bytes(instance_id)):
            found = _owner_of(state, server_id, instance_id.decode())
            return port_service(state, found[1]) if found is not None else None
        case (14, bytes(name)):
            return _machine(state, server_id, name.decode())
        case (15,):
            return host_settings(server)
        case (20, bytes(instance_id)):
            found = _owner_of(state, server_id, instance_id.decode())
            return segment_port(state, *found, server_id) if found is not None else None
        case _:
            return _of_features(state, server_id, key)


def _of_features(state: State, server_id: str, key: RecordKey) -> HostRecord | None:
    """Records that a host has only where something is asked for."""
    match key:
        case (16, int(number)):
            return list_on(state, server_id, number)
        case (17, bytes(instance_id)):
            interface = _owner_of(state, server_id, instance_id.decode())
            return port_access(state, interface[1]) if interface is not None else None
        case (18, bytes(instance_id)):
            interface = _owner_of(state, server_id, instance_id.decode())
            return port_limits(interface[1]) if interface is not None else None
        case (21, int(rdid)):
            return edge(state, server_id, rdid)
        case (22, bytes(instance_id)):
            interface = _owner_of(state, server_id, instance_id.decode())
            return port_learning(state, interface[1]) if interface is not None else None
        case _:
            return None


def _owner_of(state: State, server_id: str, instance_id: str) -> tuple[VirtualMachine, Interface] | None:
    """The interface of this id and its machine, if that is on this server."""
    found = state.by_instance(instance_id)
    if found is None or found[0] != INTERFACES:
        return None
    interface: Interface = found[1]
    machine = state.machine_of(interface.resource_id)
    if machine is None or server_id.lower() not in servers_of(machine):
        return None
    return machine, interface


def _machine(state: State, server_id: str, name: str) -> Machine | None:
    machine: VirtualMachine | None = state.get("virtualMachines", name)
    if machine is None or machine.resource_id != name or server_id.lower() not in servers_of(machine):
        return None
    return machine_record(state, machine, server_id)
