"""Ports on logical networks: what a host is told of an interface on a VLAN of the physical network, or on none.

Called by core.policy_host, core.policy_touched and core.trace. Pure reads of the state; costs by one interface.
A provider subnet gives no port: between tunnels no machine sends frames of its own.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from weft.core.policy_places import (
    LOGICAL_NETWORKS,
    Interface,
    VirtualMachine,
    has_mac,
    instance_of,
    mac_of,
    packed_prefix,
)
from weft.core.pools import Segment
from weft.core.state import State
from weft.model.fabric import LogicalNetworkProperties, LogicalSubnetProperties
from weft.model.records import PackedPrefix, PortBinding, SegmentPort, SubnetRecord
from weft.model.resources import Ref, Resource
from weft.model.values import PackedIp, Rdid, pack_ip, vlan_segment

_UNMANAGED = "Unmanaged"
_NOWHERE = PackedIp(b"")


class Stand(NamedTuple):
    """One ipConfiguration in a logical subnet; `address` is empty where it is the guest's own affair."""

    segment: Segment
    subnet: LogicalSubnetProperties
    address: PackedIp
    free: bool
    access_control_list: Ref | None = None


def stands(state: State, interface: Interface) -> tuple[Stand, ...]:
    """Those that one port serves, which are all in one VLAN."""
    found = tuple(_stands(state, interface))
    return tuple(one for one in found if one.segment.vlan == found[0].segment.vlan)


def _stands(state: State, interface: Interface) -> Iterator[Stand]:
    for configuration in interface.properties.ip_configurations:
        p = configuration.properties
        segment = state.segment(p.subnet.resource_ref) if p.subnet is not None else None
        if segment is None or segment.virtual or segment.virtualized:
            continue
        subnet = logical_subnet(state, p.subnet)
        free = p.private_ip_allocation_method == _UNMANAGED
        address = pack_ip(p.private_ip_address) if p.private_ip_address else _NOWHERE
        if subnet is not None and (free or address):
            yield Stand(segment, subnet, address, free, p.access_control_list)


def logical_subnet(state: State, ref: Ref | None) -> LogicalSubnetProperties | None:
    """The properties of the logical subnet that a reference names; None if it names something else."""
    parts = ref.resource_ref.strip("/").lower().split("/") if ref is not None else []
    if len(parts) != 4 or parts[0] != LOGICAL_NETWORKS.lower():
        return None
    network = state.get(LOGICAL_NETWORKS, parts[1])
    subnets = network.properties.subnets if network is not None else ()
    return next((one.properties for one in subnets if one.resource_id.lower() == parts[3]), None)


def segment_binding(state: State, interface: Interface) -> PortBinding | None:
    """The port of an interface on a logical network; None if it is on none, or has no MAC address yet."""
    found = stands(state, interface) if has_mac(interface) else ()
    if not found:
        return None
    return PortBinding(
        instance_id=instance_of(interface),
        network_interface=interface.resource_id,
        rdid=Rdid(0),
        vsid=vlan_segment(found[0].segment.vlan),
        mac=mac_of(interface),
        addresses=tuple(one.address for one in found if one.address),
        provider_address=_NOWHERE,
    )


def segment_port(state: State, machine: VirtualMachine, interface: Interface, server_id: str) -> SegmentPort | None:
    """What stands beside that binding."""
    found = stands(state, interface) if has_mac(interface) else ()
    if not found:
        return None
    move = machine.properties.move
    return SegmentPort(
        instance_id=instance_of(interface),
        logical_subnet=found[0].segment.ref,
        vlan=found[0].segment.vlan,
        subnets=tuple(_record(one) for one in found if one.address),
        free=any(one.free for one in found),
        leaving=move is not None and move.source.lower() == server_id.lower(),
        provider=_provider_on(state, found[0].segment.vlan),
    )


def _provider_on(state: State, vlan: int) -> tuple[PackedPrefix, ...]:
    every = (one for one in state.addresses.provider_segments.values() if one.vlan == vlan and one.version)
    return tuple(
        sorted((PackedIp(one.first.to_bytes(4 if one.version == 4 else 16)), one.prefix_length) for one in every)
    )


def _record(one: Stand) -> SubnetRecord:
    prefix, length = packed_prefix(one.subnet.address_prefix)
    gateways = (pack_ip(text) for text in one.subnet.default_gateways)
    gateway = next((found for found in gateways if len(found) == len(prefix)), _NOWHERE)
    return SubnetRecord(vlan_segment(one.segment.vlan), prefix, length, gateway)


def words_of(vlan: int) -> str:
    """A VLAN for people."""
    return f"VLAN {vlan}" if vlan else "untagged"


def lies_in(address: PackedIp, subnet: LogicalSubnetProperties) -> bool:
    """Is an address of this subnet, so that it needs no router?"""
    if not subnet.address_prefix:
        return False
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet.address_prefix, strict=False)


def segments_of(network: Resource[LogicalNetworkProperties] | None) -> set[tuple[str, int, str, tuple[str, ...], bool]]:
    """What of a logical network reaches the ports on it."""
    if network is None:
        return set()
    provider = network.properties.network_virtualization_enabled
    return {
        (one.resource_id.lower(), p.vlan_id, p.address_prefix, p.default_gateways, provider)
        for one in network.properties.subnets
        if (p := one.properties)
    }


ProviderSubnets = set[tuple[str, tuple[str, ...], int, frozenset[tuple[str, str]]]]


def provider_subnets(network: Resource[LogicalNetworkProperties] | None) -> ProviderSubnets:
    """What of a logical network reaches hosts: prefix, gateways, VLAN and routes (destination, next hop) of its subnets
    if it is a provider network."""
    if network is None or not network.properties.network_virtualization_enabled:
        return set()
    subnets = (subnet.properties for subnet in network.properties.subnets if subnet.properties.address_prefix)
    return {
        (
            str(ipaddress.ip_network(one.address_prefix, strict=False)),
            one.default_gateways,
            one.vlan_id,
            frozenset((route.properties.destination, route.properties.next_hop) for route in one.routes),
        )
        for one in subnets
    }
