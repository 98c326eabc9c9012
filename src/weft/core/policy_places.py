"""Where things are: the virtual subnet of an interface, the server of a machine, the provider address there.

Called by the other policy modules and by trace. Pure reads of the state; nothing here walks more than one interface,
one machine or the hosts of one network.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from weft.core.index import last_id
from weft.core.state import State
from weft.model.fabric import ServerProperties
from weft.model.leases import RDID_SCOPE
from weft.model.resources import AnyResource, Ref, Resource
from weft.model.tenancy import VirtualNetworkProperties, VirtualSubnetProperties
from weft.model.values import InstanceId, Mac, PackedIp, Vsid, pack_ip
from weft.model.workload import NetworkInterfaceProperties, VirtualMachineProperties

Network = Resource[VirtualNetworkProperties]
Subnet = Resource[VirtualSubnetProperties]
Interface = Resource[NetworkInterfaceProperties]
VirtualMachine = Resource[VirtualMachineProperties]
Server = Resource[ServerProperties]

NETWORKS = "virtualNetworks"
INTERFACES = "networkInterfaces"
MACHINES = "virtualMachines"
SERVERS = "servers"
LOGICAL_NETWORKS = "logicalNetworks"

RUNNING = "Running"


class Seat(NamedTuple):
    """One address of an interface and the virtual subnet that it is in."""

    network: Network
    subnet: Subnet
    address: PackedIp
    access_control_list: Ref | None = None
    """The ipConfiguration's own."""
    configuration: str = ""
    """Its resourceId."""

    @property
    def vsid(self) -> Vsid:
        return Vsid(self.subnet.properties.virtual_subnet_id)


def known(state: State, kind: str, resource_id: str) -> AnyResource:
    """A resource that another one refers to, so that it must be there."""
    found = state.get(kind, resource_id)
    assert found is not None, f"{kind}/{resource_id} is referred to and missing"
    return found


def subnet_names(ref: Ref | None) -> tuple[str, str] | None:
    """(network id, subnet id) of a virtual subnet's reference, lower case; None if it names something else."""
    parts = ref.resource_ref.strip("/").lower().split("/") if ref is not None else []
    if len(parts) != 4 or parts[0] != "virtualnetworks" or parts[2] != "subnets":
        return None
    return parts[1], parts[3]


def subnet_of(network: Network, subnet_id: str) -> Subnet | None:
    for subnet in network.properties.subnets:
        if subnet.resource_id.lower() == subnet_id:
            return subnet
    return None


def seats(state: State, interface: Interface) -> Iterator[Seat]:
    """The virtual addresses of an interface in the order of its ipConfigurations."""
    for configuration in interface.properties.ip_configurations:
        names = subnet_names(configuration.properties.subnet)
        address = configuration.properties.private_ip_address
        if names is None or not address:
            continue
        network: Network = known(state, NETWORKS, names[0])
        subnet = subnet_of(network, names[1])
        if subnet is not None:
            acl = configuration.properties.access_control_list
            yield Seat(network, subnet, pack_ip(address), acl, configuration.resource_id)


def learnt_seats(state: State, interface: Interface) -> Iterator[Seat]:
    """Where the addresses are that its guest brought."""
    for one in interface.properties.learned_ip_addresses:
        names = subnet_names(one.subnet)
        assert names is not None
        network: Network = known(state, NETWORKS, names[0])
        subnet = subnet_of(network, names[1])
        if subnet is not None:
            yield Seat(network, subnet, pack_ip(one.ip_address))


def every_seat(state: State, interface: Interface) -> Iterator[Seat]:
    """What it was given and what its guest brought."""
    yield from seats(state, interface)
    yield from learnt_seats(state, interface)


def port_seats(state: State, interface: Interface) -> tuple[Seat, ...]:
    """The seats that one port serves: those in the VSID of the first (a dual-stack pair shares it)."""
    found = tuple(seats(state, interface))
    return tuple(seat for seat in found if seat.vsid == found[0].vsid)


def mac_of(interface: Interface) -> Mac:
    """Of an interface that has one; see has_mac."""
    return Mac(int(interface.properties.private_mac_address or "0", 16))


def has_mac(interface: Interface) -> bool:
    """Whether it has a MAC address: one of strategy hostRange waits for it until it is known on which host it will be,
    and without it there is neither a port nor a lookup record."""
    return bool(interface.properties.private_mac_address)


def instance_of(resource: Interface | Network) -> InstanceId:
    return InstanceId(resource.instance_id.lower())


def server_of(machine: VirtualMachine) -> str:
    """Id of the server that the machine belongs to now, lower case; empty if none."""
    return last_id(machine.properties.server)


def network_ref(network: Network) -> str:
    return f"/virtualNetworks/{network.resource_id}"


def answers_probes(server: Server | None) -> bool:
    """Those do whose agents tell of their place on the provider network; both came with one version."""
    return server is not None and server.properties.provider_network is not None


def network_of(state: State, rdid: int) -> Network | None:
    """The virtual network with this routing domain number."""
    lease = state.lease(RDID_SCOPE, rdid)
    for holder in lease.holders if lease is not None else ():
        network: Network | None = state.get(NETWORKS, holder.ref.strip("/").split("/")[1])
        if network is not None and network.properties.routing_domain_number == rdid:
            return network
    return None


def packed_prefix(text: str) -> tuple[PackedIp, int]:
    """`10.1.1.0/24` as packed network address and length."""
    prefix = ipaddress.ip_network(text, strict=False)
    return PackedIp(prefix.network_address.packed), prefix.prefixlen
