"""From resources to the pools and subnets that the ledger works with. Pure functions of one stored resource.

Called by core.state when a resource changes. They expect what core.decide has accepted.
"""

import ipaddress
from typing import Any

from weft.core.pools import Exclusion, PoolSpec, Segment, merge
from weft.model.fabric import (
    AddressPlanProperties,
    ExcludedRange,
    LogicalNetworkProperties,
    LogicalSubnetProperties,
    MacPoolProperties,
    ServerProperties,
    VirtualNetworkManagerProperties,
)
from weft.model.leases import LIST_SCOPE, MAC_SCOPE, RDID_SCOPE, VSID_SCOPE, ip_scope
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties, VirtualSubnetProperties
from weft.model.values import VSID_MAX, IpPrefix, gateway_of, parse_mac

RDID_POOL = PoolSpec(key=RDID_SCOPE, ref=RDID_SCOPE, scope=RDID_SCOPE, first=1, last=2**31 - 1)
LIST_POOL = PoolSpec(key=LIST_SCOPE, ref=LIST_SCOPE, scope=LIST_SCOPE, first=1, last=2**24 - 1)
NUMBERS = (RDID_POOL, LIST_POOL)
"""Pools that are there whatever resources there are."""

Layout = tuple[tuple[PoolSpec, ...], tuple[Segment, ...]]

NOTHING: Layout = ((), ())


def layout_of(kind: str, resource: Resource[Any] | None) -> Layout:
    """The pools and subnets of one of the kinds that bring any; nothing for None. A server's are without what its plan
    adds: see host_range_of."""
    if resource is None:
        return NOTHING
    if kind == "servers":
        return host_range_of(resource, None)
    if kind == "macPools":
        return (_mac_pool(resource),), ()
    if kind == "logicalNetworks":
        return _logical_network(resource)
    if kind == "virtualNetworks":
        return _virtual_network(resource)
    return (_vsid_pool(resource),), ()


def _mac_pool(resource: Resource[MacPoolProperties]) -> PoolSpec:
    p = resource.properties
    ref = f"/macPools/{resource.resource_id}"
    return PoolSpec(
        key=ref.lower(),
        ref=ref,
        scope=MAC_SCOPE,
        first=parse_mac(p.start_mac_address),
        last=parse_mac(p.end_mac_address),
        cool_down=p.cool_down_seconds,
        excluded=merge((parse_mac(e.first), parse_mac(e.last), e.reason or "excluded") for e in p.excluded),
        random=p.strategy == "random",
        drain=p.drain,
        tenant=p.tenant_id,
        host_group=p.host_group,
        warn_at=p.warn_at_percent,
        release_inactive=p.release_inactive_after_seconds,
    )


def host_range_of(server: Resource[ServerProperties], plan: Resource[AddressPlanProperties] | None) -> Layout:
    """The range that a plan gives a server; only interfaces with strategy hostRange are granted from it."""
    granted = server.properties.mac_range
    if granted is None:
        return NOTHING
    p = plan.properties if plan is not None else AddressPlanProperties()
    ref = f"/servers/{server.resource_id}/macRange"
    spec = PoolSpec(
        key=ref.lower(),
        ref=ref,
        scope=MAC_SCOPE,
        first=parse_mac(granted.first),
        last=parse_mac(granted.last),
        cool_down=p.cool_down_seconds,
        host_range=True,
        warn_at=p.warn_at_percent,
    )
    return (spec,), ()


def _vsid_pool(resource: Resource[VirtualNetworkManagerProperties]) -> PoolSpec:
    ids = resource.properties.virtual_subnet_id_range
    return PoolSpec(
        key=VSID_SCOPE, ref=VSID_SCOPE, scope=VSID_SCOPE, first=ids.start_id, last=min(ids.end_id, VSID_MAX)
    )


def reserved_in(prefix: IpPrefix) -> list[Exclusion]:
    """The addresses of a prefix that no host may have: network and broadcast (IPv4), subnet-router anycast (IPv6)."""
    first, last = int(prefix.network_address), int(prefix.broadcast_address)
    if prefix.version == 6:
        return [(first, first, "the subnet-router anycast address")]
    return [(first, first, "the network address"), (last, last, "the broadcast address")]


def _virtual_network(resource: Resource[VirtualNetworkProperties]) -> Layout:
    network = f"/virtualNetworks/{resource.resource_id}"
    domains = dual_stack_domains(network, resource.properties.subnets)
    specs, segments = [], []
    for subnet in resource.properties.subnets:
        ref = f"{network}/subnets/{subnet.resource_id}"
        prefix = ipaddress.ip_network(subnet.properties.address_prefix)
        gateway = int(gateway_of(prefix))
        reserved = merge([*reserved_in(prefix), (gateway, gateway, "the gateway address of the distributed router")])
        spec = PoolSpec(
            key=f"{ref.lower()}/{prefix.version}",
            ref=ref,
            scope=ip_scope(network, prefix.version),
            first=int(prefix.network_address),
            last=int(prefix.broadcast_address),
            cool_down=subnet.properties.cool_down_seconds,
            excluded=merge([*reserved, *map(_ip_range, subnet.properties.excluded)]),
            warn_at=subnet.properties.warn_at_percent,
        )
        specs.append(spec)
        segments.append(
            Segment(
                key=ref.lower(),
                ref=ref,
                network=network.lower(),
                scope=spec.scope,
                version=prefix.version,
                first=spec.first,
                last=spec.last,
                prefix_length=prefix.prefixlen,
                domain=domains[ref.lower()],
                virtual=True,
                vsid=subnet.properties.virtual_subnet_id,
                reserved=reserved,
                pools=(spec.key,),
            )
        )
    return tuple(specs), tuple(segments)


def dual_stack_domains(network: str, subnets: tuple[Resource[VirtualSubnetProperties], ...]) -> dict[str, str]:
    """L2 domain of each subnet, by its ref in lower case: its own, or the IPv4 one of its dual-stack pair."""
    refs = {f"{network}/subnets/{subnet.resource_id}".lower(): subnet for subnet in subnets}
    domains = {ref: ref for ref in refs}
    for ref, subnet in refs.items():
        pair = subnet.properties.dual_stack_subnet
        if pair is not None and pair.resource_ref:
            other = pair.resource_ref.lower()
            domain = other if ":" in subnet.properties.address_prefix else ref
            domains[ref] = domains[other] = domain
    return domains


def _logical_network(resource: Resource[LogicalNetworkProperties]) -> Layout:
    network = f"/logicalNetworks/{resource.resource_id}"
    specs: list[PoolSpec] = []
    segments = []
    for subnet in resource.properties.subnets:
        ref = f"{network}/subnets/{subnet.resource_id}"
        prefix = ipaddress.ip_network(subnet.properties.address_prefix) if subnet.properties.address_prefix else None
        reserved = merge(_reserved_in_logical(subnet.properties, prefix))
        pools = [] if prefix is None else _ip_pools(ref, ip_scope(network, prefix.version), subnet.properties, reserved)
        specs.extend(pools)
        segments.append(
            Segment(
                key=ref.lower(),
                ref=ref,
                network=network.lower(),
                scope=ip_scope(network, prefix.version if prefix else 4),
                version=prefix.version if prefix else 0,
                first=int(prefix.network_address) if prefix else 0,
                last=int(prefix.broadcast_address) if prefix else -1,
                prefix_length=prefix.prefixlen if prefix else 0,
                domain=ref.lower(),
                virtual=False,
                virtualized=resource.properties.network_virtualization_enabled,
                public=subnet.properties.is_public,
                vlan=subnet.properties.vlan_id,
                reserved=reserved,
                pools=tuple(pool.key for pool in pools),
            )
        )
    return tuple(specs), tuple(segments)


def _reserved_in_logical(p: LogicalSubnetProperties, prefix: IpPrefix | None) -> list[Exclusion]:
    if prefix is None:
        return []
    gateways = [int(ipaddress.ip_address(text)) for text in p.default_gateways]
    return [*((g, g, "the subnet's default gateway") for g in gateways), *reserved_in(prefix)]


def _ip_pools(subnet: str, scope: str, p: LogicalSubnetProperties, reserved: tuple[Exclusion, ...]) -> list[PoolSpec]:
    specs = []
    for pool in p.ip_pools:
        ref = f"{subnet}/ipPools/{pool.resource_id}"
        first = int(ipaddress.ip_address(pool.properties.start_ip_address))
        last = int(ipaddress.ip_address(pool.properties.end_ip_address))
        excluded = [_ip_range(e) for e in pool.properties.excluded]
        excluded.extend(e for e in reserved if first <= e[0] <= last)
        specs.append(
            PoolSpec(
                key=ref.lower(),
                ref=ref,
                scope=scope,
                first=first,
                last=last,
                cool_down=pool.properties.cool_down_seconds,
                excluded=merge(excluded),
                drain=pool.properties.drain,
                warn_at=pool.properties.warn_at_percent,
            )
        )
    return specs


def _ip_range(e: ExcludedRange) -> Exclusion:
    return int(ipaddress.ip_address(e.first)), int(ipaddress.ip_address(e.last)), e.reason or "excluded"
