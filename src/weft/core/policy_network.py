"""What every host with a port in a routing domain is told: the records of one virtual network's stream.

Called by core.policy. `stream` compiles a network from nothing; `record` answers one key, at a cost that does not grow
with the number of interfaces. Both must agree: a property test compares them after every random history.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator

from weft.core.encryption import is_encrypted
from weft.core.policy_gateways import gateway_record, ways_out
from weft.core.policy_peers import peer_networks, servers_near
from weft.core.policy_places import (
    INTERFACES,
    RUNNING,
    Interface,
    Network,
    Seat,
    Subnet,
    answers_probes,
    every_seat,
    has_mac,
    instance_of,
    known,
    mac_of,
    network_of,
    network_ref,
    packed_prefix,
    server_of,
)
from weft.core.policy_routes import scope, user_route, user_routes, ways_inside
from weft.core.policy_services import subnet_options
from weft.core.provider_places import endpoints, provider_address
from weft.core.rewriting import is_rewriting, purpose_of, stands_for
from weft.core.state import State
from weft.model.leases import ip_scope
from weft.model.records import (
    CustomerRoute,
    LookupRecord,
    NetworkRecord,
    NetworkSettings,
    PackedPrefix,
    RecordKey,
    SubnetRecord,
    TunnelEndpoint,
)
from weft.model.values import PackedIp, Rdid, Vsid, gateway_of

ON_LINK_METRIC = 255
"""Metric of a subnet's own route, as New-NetVirtualizationCustomerRoute is given it."""

_ENCAPSULATIONS = {"nvgre": "nvgre", "vxlan": "vxlan", "rewrite": "rewrite"}


def settings(state: State, network: Network) -> NetworkSettings:
    manager = state.get("virtualNetworkManager", "configuration")
    everywhere = manager.properties.network_virtualization_protocol if manager is not None else "VXLAN"
    protocol = network.properties.network_virtualization_protocol or everywhere
    rdid = Rdid(network.properties.routing_domain_number)
    encapsulation = _ENCAPSULATIONS.get(protocol.lower(), "vxlan")
    return NetworkSettings(
        rdid,
        encapsulation,
        network_ref(network),
        instance_of(network),
        scope(state, network),
        is_encrypted(state, network),
    )


def subnet_record(subnet: Subnet) -> SubnetRecord:
    prefix = ipaddress.ip_network(subnet.properties.address_prefix, strict=False)
    gateway = PackedIp(gateway_of(prefix).packed)
    vsid = Vsid(subnet.properties.virtual_subnet_id)
    return SubnetRecord(vsid, PackedIp(prefix.network_address.packed), prefix.prefixlen, gateway)


def customer_route(subnet: Subnet) -> CustomerRoute:
    """The on-link route: next hop all zeros of the prefix's family."""
    prefix, length = packed_prefix(subnet.properties.address_prefix)
    vsid = Vsid(subnet.properties.virtual_subnet_id)
    return CustomerRoute(vsid, prefix, length, PackedIp(bytes(len(prefix))), ON_LINK_METRIC)


def interfaces_of(state: State, network: Network, subnet: Subnet) -> Iterable[Interface]:
    interfaces: Iterable[Interface] = state.interfaces_in(f"{network_ref(network)}/subnets/{subnet.resource_id}")
    return interfaces


def lookups(state: State, interface: Interface, network: Network) -> Iterator[LookupRecord]:
    """The records of an interface in this network: none unless its machine runs on a server with a provider address."""
    machine = state.machine_of(interface.resource_id)
    if machine is None or machine.properties.power_state != RUNNING or not has_mac(interface):
        return
    server_id, rewrites = server_of(machine), is_rewriting(network.properties)
    for seat in every_seat(state, interface):
        if seat.network.resource_id == network.resource_id:
            place = provider_address(state, server_id, network, seat.subnet)
            if rewrites and place is not None:
                place = rewritten(state, server_id, interface, seat)
            if place is not None:
                yield LookupRecord(seat.vsid, seat.address, mac_of(interface), place)


def rewritten(state: State, server_id: str, interface: Interface, seat: Seat) -> PackedIp | None:
    """The provider address that stands for a customer address on a server, in a network that rewrites."""
    logical = seat.network.properties.logical_network
    if logical is None:
        return None
    version = 4 if len(seat.address) == 4 else 6
    purpose = purpose_of(interface.resource_id, seat.configuration)
    return stands_for(state, server_id, logical.resource_ref, purpose, version)


def stream(state: State, rdid: int) -> dict[RecordKey, NetworkRecord]:
    """Every record of a routing domain; empty if there is no such network."""
    network = network_of(state, rdid)
    if network is None:
        return {}
    records: list[NetworkRecord] = [settings(state, network)]
    interfaces: dict[str, Interface] = {}
    for subnet in network.properties.subnets:
        records += (subnet_record(subnet), customer_route(subnet))
        options = subnet_options(network, subnet)
        records += (options,) if options is not None else ()
        for interface in interfaces_of(state, network, subnet):
            interfaces[interface.resource_id.lower()] = interface
    for server_id in servers_near(state, network):
        records += (endpoint(state, server_id, *one) for one in endpoints(state, server_id, network))
    gateway = gateway_record(state, network)
    records += (gateway,) if gateway is not None else ()
    records += (*ways_out(state, network), *ways_inside(state, network))
    records += peer_networks(state, network)
    records += (route.record for route in user_routes(state, network))
    # of two that were adopted running with one address, the first by name has the record, here and in _lookup
    for name in sorted(interfaces, reverse=True):
        records += lookups(state, interfaces[name], network)
    return {record.key: record for record in records}


def record(state: State, rdid: int, key: RecordKey) -> NetworkRecord | None:
    """The record that the stream has at this key now, if any."""
    network = network_of(state, rdid)
    if network is None:
        return None
    match key:
        case (1,):
            return settings(state, network)
        case (2, *_):
            return next((one for one in map(subnet_record, network.properties.subnets) if one.key == key), None)
        case (3, _, bytes(prefix), int(length)):
            routes = _routes(state, network, (PackedIp(prefix), length))
            return next((one for one in routes if one.key == key), None)
        case (4, bytes(address)):
            return _endpoint(state, network, PackedIp(address))
        case (5, int(vsid), bytes(address)):
            return _lookup(state, network, Vsid(vsid), PackedIp(address))
        case _:
            return _beside(state, network, key)


def records(state: State, rdid: int, keys: Collection[RecordKey]) -> dict[RecordKey, NetworkRecord | None]:
    """`record` of each of these keys, in their order. Of routes a change may name as many as connections have, and each
    follows from all connections: they are worked out once."""
    network = network_of(state, rdid)
    if network is None or sum(key[0] == 3 for key in keys) < 2:
        return {key: record(state, rdid, key) for key in keys}
    routes = {one.key: one for one in _routes(state, network)}
    return {key: routes.get(key) if key[0] == 3 else record(state, rdid, key) for key in keys}


def _routes(state: State, network: Network, only: PackedPrefix | None = None) -> Iterator[CustomerRoute]:
    """Its own, and those that lead out; `only`: of the ways inside that to this prefix."""
    yield from map(customer_route, network.properties.subnets)
    yield from ways_out(state, network)
    yield from ways_inside(state, network, only)


def _beside(state: State, network: Network, key: RecordKey) -> NetworkRecord | None:
    """What a stream has beside the network's own subnets and machines."""
    match key:
        case (6, *_):
            return next((one for one in peer_networks(state, network) if one.key == key), None)
        case (7, *_):
            found = (subnet_options(network, subnet) for subnet in network.properties.subnets)
            return next((one for one in found if one is not None and one.key == key), None)
        case (8,):
            return gateway_record(state, network)
        case (9, *_):
            return user_route(state, network, key)
        case _:
            return None


def endpoint(state: State, server_id: str, address: PackedIp, for_subnet: bool) -> TunnelEndpoint:
    """An address of a server, and how that is known to others."""
    server = known(state, "servers", server_id)
    return TunnelEndpoint(address, server.resource_id, answers_probes(server), for_subnet)


def _endpoint(state: State, network: Network, address: PackedIp) -> TunnelEndpoint | None:
    logical = network.properties.logical_network
    if logical is None:
        return None
    interested = servers_near(state, network)
    for server_id in _held_by(state, logical.resource_ref, address, "servers"):
        if server_id in interested:
            found = dict(endpoints(state, server_id, network))
            return endpoint(state, server_id, address, found[address]) if address in found else None
    return None


def _held_by(state: State, scope_ref: str, address: PackedIp, kind: str) -> Iterator[str]:
    """Ids, lower case, of the resources of one kind that hold an address, by the ledger."""
    parsed = ipaddress.ip_address(address)
    lease = state.lease(ip_scope(scope_ref, parsed.version), int(parsed))
    for holder in lease.holders if lease is not None else ():
        collection, _, name = holder.ref.strip("/").lower().partition("/")
        if collection == kind.lower():
            yield name


def holders(state: State, network: Network, address: PackedIp) -> Iterator[Interface]:
    """The interfaces that hold a customer address in this network."""
    found = (state.get(INTERFACES, name) for name in _held_by(state, network_ref(network), address, INTERFACES))
    return (interface for interface in found if interface is not None)


def _lookup(state: State, network: Network, vsid: Vsid, address: PackedIp) -> LookupRecord | None:
    for interface in sorted(holders(state, network, address), key=_name_of):
        for found in lookups(state, interface, network):
            if found.vsid == vsid and found.customer_address == address:
                return found
    return None


def _name_of(interface: Interface) -> str:
    return interface.resource_id.lower()
