"""Routes beside those of its own subnets: what a virtual network's routeTables say, by the subnets that name them.

Called by policy_network, policy_touched and trace. Pure reads of the state; the cost is that of one network's tables.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from weft.core.index import lower
from weft.core.peerings import connected, routed
from weft.core.policy_gateways import led_to, way_out_of, ways_out
from weft.core.policy_places import Network, Seat, Subnet, packed_prefix
from weft.core.state import State
from weft.model.records import CustomerRoute, PackedPrefix, RecordKey, UserRoute
from weft.model.resources import Resource
from weft.model.tenancy import RouteProperties, RouteTableProperties
from weft.model.values import IpAddress, PackedIp, Vsid, halves, lies_in, pack_ip

TABLES = "routeTables"
APPLIANCE, LOCAL, NOWHERE = "VirtualAppliance", "VnetLocal", "None"

RouteTable = Resource[RouteTableProperties]


class TableRoute(NamedTuple):
    """A route of a table as a subnet's machines have it."""

    record: UserRoute
    ref: str
    """resourceRef of the route."""


def user_routes(state: State, network: Network) -> Iterator[TableRoute]:
    """Those of every subnet of the network. A table's routes of the other family than the subnet's do not count: a
    dual-stack pair names a table at both its subnets, the same or two."""
    exits: list[CustomerRoute] | None = None
    for subnet in network.properties.subnets:
        table = table_of(state, subnet)
        if table is not None:
            if exits is None:
                exits = list(ways_out(state, network))
            yield from routes_of(network, subnet, table, exits)


def table_of(state: State, subnet: Subnet) -> RouteTable | None:
    ref = lower(subnet.properties.route_table)
    found: RouteTable | None = state.find_ref(ref) if ref else None
    return found


def routes_of(
    network: Network, subnet: Subnet, table: RouteTable, exits: Sequence[CustomerRoute] = ()
) -> Iterator[TableRoute]:
    """What a table means for one of its subnets; `exits` lead to the gateway of the network, one of a family."""
    version = ipaddress.ip_network(subnet.properties.address_prefix, strict=False).version
    for route in table.properties.routes:
        if ipaddress.ip_network(route.properties.address_prefix).version == version:
            ref = f"/routeTables/{table.resource_id}/routes/{route.resource_id}"
            yield TableRoute(_record(network, subnet, route.properties, exits), ref)


def _record(network: Network, subnet: Subnet, p: RouteProperties, exits: Sequence[CustomerRoute]) -> UserRoute:
    prefix, length = packed_prefix(p.address_prefix)
    vsid = Vsid(subnet.properties.virtual_subnet_id)
    if p.next_hop_type == APPLIANCE:
        assert p.next_hop_ip_address is not None
        hop = pack_ip(p.next_hop_ip_address)
        around = _vsid_around(network, ipaddress.ip_address(hop))
        return UserRoute(vsid, prefix, length, p.next_hop_type, around, hop)
    if p.next_hop_type == LOCAL:
        around = _vsid_around(network, ipaddress.ip_address(prefix), length)
        return UserRoute(vsid, prefix, length, p.next_hop_type, around)
    out = next((one for one in exits if len(one.prefix) == len(prefix)), None)
    if out is None or p.next_hop_type == NOWHERE:
        return UserRoute(vsid, prefix, length, p.next_hop_type)
    return UserRoute(vsid, prefix, length, p.next_hop_type, out.vsid, out.next_hop)


def _vsid_around(network: Network, address: IpAddress, length: int = 128) -> Vsid:
    """Of the subnet that the address lies in, if all of its prefix of this length does; else 0."""
    for subnet in network.properties.subnets:
        prefix = ipaddress.ip_network(subnet.properties.address_prefix, strict=False)
        if address in prefix and prefix.prefixlen <= length:
            return Vsid(subnet.properties.virtual_subnet_id)
    return Vsid(0)


def user_route(state: State, network: Network, key: RecordKey) -> UserRoute | None:
    """The one with this key, if the network has it."""
    return next((one.record for one in user_routes(state, network) if one.record.key == key), None)


def scope(state: State, network: Network) -> tuple[PackedPrefix, ...]:
    """What VIRTUALNETWORK means there: the network's address space and those of the networks it is peered with."""
    members = (network, *(peer for _, _, peer in connected(state, network)))
    texts = (text for one in members for text in one.properties.address_space.address_prefixes)
    return tuple(sorted({packed_prefix(text) for text in texts}))


def space_around(state: State, network: Network, target: PackedIp) -> PackedPrefix | None:
    """The longest prefix of that which an address lies in: the system's route to nowhere, where no subnet is."""
    address = ipaddress.ip_address(target)
    prefixes = (part for whole in scope(state, network) for part in halves(*whole))
    found = [one for one in prefixes if address in ipaddress.ip_network(one)]
    return max(found, key=lambda one: one[1], default=None)


def ways_inside(state: State, network: Network, only: PackedPrefix | None = None) -> Iterator[CustomerRoute]:
    """Routes to the gateway by which a network is left, for what its connections lead to inside the address space and
    outside all subnets. Elsewhere the default route is enough. `only`: that to this prefix."""
    way = way_out_of(state, network)
    if way is None:
        return
    wanted = {part for whole in led_to(state, way[1].properties) for part in halves(*whole) if only in (None, part)}
    if not wanted:
        return
    exits = {len(one.prefix): one for one in ways_out(state, network)}
    space = [ipaddress.ip_network(part) for whole in scope(state, network) for part in halves(*whole)]
    subnets = [
        ipaddress.ip_network(one.properties.address_prefix, strict=False)
        for member in (network, *(peer for _, _, peer in routed(state, network)))
        for one in member.properties.subnets
    ]
    for prefix, length in sorted(wanted):
        to, out = ipaddress.ip_network((prefix, length)), exits.get(len(prefix))
        inside = any(lies_in(to, one) for one in space) and not any(lies_in(to, one) for one in subnets)
        if out is not None and inside:
            yield replace(out, prefix=prefix, prefix_length=length)


def way_around(state: State, network: Network, target: PackedIp) -> CustomerRoute | None:
    """The longest of these for an address, where no prefix of the address space around it is longer."""
    address, space = ipaddress.ip_address(target), space_around(state, network, target)
    found = [
        one
        for one in (ways_inside(state, network) if space is not None else ())
        if space is not None
        and one.prefix_length >= space[1]
        and address in ipaddress.ip_network((one.prefix, one.prefix_length))
    ]
    return max(found, key=lambda one: one.prefix_length, default=None)


def decided_by(state: State, seat: Seat, subnet: Subnet | None, target: PackedIp) -> TableRoute | None:
    """The route of a table that decides about a packet from a seat, if one does and not a route of the system;
    `subnet` is the one of the network that the target lies in. Inside a subnet nothing is routed."""
    shortest = 0
    if subnet is not None:
        if subnet.properties.virtual_subnet_id == seat.vsid:
            return None
        shortest = packed_prefix(subnet.properties.address_prefix)[1]
    elif (way := way_around(state, seat.network, target)) is not None:
        shortest = way.prefix_length
    elif (space := space_around(state, seat.network, target)) is not None:
        shortest = space[1]
    address = ipaddress.ip_address(target)
    found = [
        one
        for one in user_routes(state, seat.network)
        if one.record.vsid == seat.vsid
        and one.record.prefix_length >= shortest
        and address in ipaddress.ip_network((one.record.prefix, one.record.prefix_length))
    ]
    return max(found, key=lambda one: one.record.prefix_length, default=None)


def subnet_around(network: Network, target: PackedIp) -> Subnet | None:
    """The subnet that an address lies in."""
    address = ipaddress.ip_address(target)
    for subnet in network.properties.subnets:
        if address in ipaddress.ip_network(subnet.properties.address_prefix, strict=False):
            return subnet
    return None


def peer_around(state: State, seat: Seat, target: PackedIp) -> tuple[Seat, Subnet | None]:
    """The subnet of a peered network that an address lies in, and the seat as one of that network; the seat as it is
    where there is none."""
    for _, _, remote in routed(state, seat.network):
        subnet = subnet_around(remote, target)
        if subnet is not None:
            return seat._replace(network=remote), subnet
    return seat, None
