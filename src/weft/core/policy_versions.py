"""What of a resource reaches hosts: of two versions that are equal in it nobody needs to be told. Pure.

Called by policy_touched.
"""

from weft.core.encryption import asks_for_it
from weft.core.index import interfaces_of, last_id, lower
from weft.core.policy_places import Interface, Network, Server, Subnet, VirtualMachine, instance_of
from weft.model.resources import Ref, Resource
from weft.model.tenancy import VirtualNetworkPeeringProperties
from weft.model.workload import IpConfigurationProperties


def connections(server: Server | None) -> object:
    return server.properties.connections if server is not None else ()


def network_identity(network: Network) -> tuple[int | str, ...]:
    properties = network.properties
    logical = last_id(properties.logical_network)
    protocol = properties.network_virtualization_protocol
    return properties.routing_domain_number, network.resource_id, network.instance_id, logical, protocol


def subnet_identity(subnet: Subnet) -> tuple[int, str]:
    return subnet.properties.virtual_subnet_id, subnet.properties.address_prefix


def peerings(network: Network) -> tuple[Resource[VirtualNetworkPeeringProperties], ...]:
    return network.properties.virtual_network_peerings


def scope_identity(network: Network | None) -> object:
    if network is None:
        return None
    peers = tuple(
        (lower(p.properties.remote_virtual_network), p.properties.remote_instance_id) for p in peerings(network)
    )
    return network.properties.address_space, peers, asks_for_it(network)


def configurations(interface: Interface | None) -> tuple[Resource[IpConfigurationProperties], ...]:
    return interface.properties.ip_configurations if interface is not None else ()


def configured(interface: Interface) -> tuple[tuple[Ref | None, str | None], ...]:
    """The addresses that it was given: subnet and address."""
    return tuple((one.properties.subnet, one.properties.private_ip_address) for one in configurations(interface))


def learnt(interface: Interface | None) -> tuple[tuple[Ref | None, str], ...]:
    """What its guest brought: subnet and address."""
    learnt = interface.properties.learned_ip_addresses if interface is not None else ()
    return tuple((one.subnet, one.ip_address) for one in learnt)


def lists_named(interface: Interface | None) -> tuple[str, ...]:
    return tuple(lower(one.properties.access_control_list) for one in configurations(interface))


def interface_identity(interface: Interface | None) -> tuple[object, ...]:
    if interface is None:
        return ()
    places = tuple(
        (one.properties.private_ip_address, lower(one.properties.subnet), one.properties.private_ip_allocation_method)
        for one in interface.properties.ip_configurations
    )
    return instance_of(interface), interface.resource_id, interface.properties.private_mac_address, places


def machine_identity(machine: VirtualMachine) -> tuple[object, ...]:
    """All of a machine that reaches hosts, but its power and where it is and goes."""
    properties = machine.properties
    interfaces = tuple(interfaces_of(machine))
    hypervisor = properties.hypervisor.id if properties.hypervisor is not None else ""
    return machine.resource_id, interfaces, hypervisor, properties.hardware


def orders(machine: VirtualMachine) -> tuple[object, ...]:
    """What only its own record says, to its own host."""
    return machine.properties.creation, machine.properties.errand


def whereabouts(machine: VirtualMachine) -> tuple[str, str]:
    """What decides whether and where to lookup records point."""
    return machine.properties.power_state, last_id(machine.properties.server)


def ends(machine: VirtualMachine) -> tuple[str, str] | None:
    move = machine.properties.move
    return (move.source.lower(), move.destination.lower()) if move is not None else None
