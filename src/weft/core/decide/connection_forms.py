"""What one connection of a virtual gateway must say, by its type; canonical texts. Takes no address.

Called by core.decide.network_connections.
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from weft.core.decide.gateway_pools import SERVES, GatewayPool
from weft.core.decide.parsing import ip_of, ip_texts
from weft.core.index import lower
from weft.core.pools import Segment, why_in
from weft.core.state import State
from weft.core.words import address_text, number_text, see_subnets
from weft.model.errors import AddressInUse, Invalid, InvalidReference
from weft.model.gateways import (
    ConnectionAddress,
    ConnectionRoute,
    GreConfiguration,
    L3Configuration,
    NetworkConnectionProperties,
)
from weft.model.kinds import LOGICAL_NETWORKS
from weft.model.leases import ASSIGNED
from weft.model.records.edge import FASTEST_KBPS
from weft.model.resources import Ref, Resource
from weft.model.values import pack_ip

Connection = Resource[NetworkConnectionProperties]
Place = tuple[str, int]
"""Scope and address."""

_TYPES = {"ipsec": "IPSec", "gre": "GRE", "l3": "L3"}
_STATUSES = {"enabled": "Enabled", "disabled": "Disabled"}
_MOST_KEY = 2**32 - 1
_MOST_METRIC = 2**31 - 1


def settle(state: State, sent: Connection, pools: Iterable[GatewayPool], vips: list[Segment]) -> Connection:
    """A connection in canonical form. Raises Invalid, InvalidReference."""
    p, name = sent.properties, sent.resource_id
    kind = _type(p.connection_type, name)
    for pool in pools:
        if kind not in SERVES[pool.properties.type]:
            raise Invalid(
                f"Connection {name} is {kind}, but the gateways of /gatewayPools/{pool.resource_id} serve type "
                f"{pool.properties.type}: any gateway of GatewayPools may come to carry the network.",
                target="connectionType",
            )
    for target, rate in (
        ("outboundKiloBitsPerSecond", p.outbound_kilo_bits_per_second),
        ("inboundKiloBitsPerSecond", p.inbound_kilo_bits_per_second),
    ):
        if rate < 0:
            raise Invalid(f"{target} {rate} of connection {name} is below 0; 0 is unlimited.", target=target)
        if rate > FASTEST_KBPS:
            raise Invalid(
                f"{target} {rate} of connection {name} is above {FASTEST_KBPS} (100 Gbit/s), the most that a gateway "
                "limits to; 0 is unlimited.",
                target=target,
            )
    status = _STATUSES.get(p.connection_status.lower())
    if status is None:
        raise Invalid("connectionStatus is Enabled or Disabled.", target="connectionStatus")
    settled = msgspec.structs.replace(p, connection_type=kind, connection_status=status)
    settled = _l3(state, settled, name) if kind == "L3" else _gre(state, settled, name, vips)
    return msgspec.structs.replace(sent, properties=settled)


def ends(state: State, one: Connection, vips: list[Segment]) -> Iterator[Place]:
    """(Scope, address) of what the gateway has outside by a connection in canonical form."""
    p = one.properties
    if p.l3_configuration is not None and p.l3_configuration.vlan_subnet is not None:
        segment = state.segment(p.l3_configuration.vlan_subnet.resource_ref)
        assert segment is not None
        for address in p.ip_addresses:
            yield segment.scope, _number(address.ip_address)
    elif p.source_ip_address:
        found = _vip_of(vips, p.source_ip_address)
        if found is not None:
            yield found.scope, _number(p.source_ip_address)


def within(segments: Iterable[Segment], place: Place) -> Segment | None:
    """The subnet that an address is in."""
    return next((s for s in segments if s.scope == place[0] and s.first <= place[1] <= s.last), None)


def _vip_of(vips: Iterable[Segment], text: str) -> Segment | None:
    version = 6 if ":" in text else 4
    return next((s for s in vips if s.version == version and s.first <= _number(text) <= s.last), None)


def _number(text: str) -> int:
    return int.from_bytes(pack_ip(text))


def _type(text: str, name: str) -> str:
    kind = _TYPES.get(text.lower())
    if kind == "IPSec":
        raise Invalid(
            f"Connection {name} is IPSec, which is not served: gateways have no IPsec (their kernels carry no ESP), "
            "and a tunnel without it would be open. Use GRE inside a private network, or L3.",
            code="OperationNotSupported",
            target="connectionType",
        )
    if kind is None:
        raise Invalid(f"connectionType of {name} is required: GRE or L3, not '{text}'.", target="connectionType")
    return kind


def _l3(state: State, p: NetworkConnectionProperties, name: str) -> NetworkConnectionProperties:
    ref = p.l3_configuration.vlan_subnet if p.l3_configuration is not None else None
    if not lower(ref):
        raise Invalid(
            f"Connection {name} is L3, so l3Configuration.vlanSubnet is required: the logical subnet that it leads "
            "into.",
            code="RequiredParamMissing",
            target="vlanSubnet",
        )
    assert ref is not None
    segment = state.segment(ref.resource_ref)
    if segment is None or segment.virtual or segment.virtualized or not segment.version:
        is_there = segment is not None and not segment.virtual
        where = "" if is_there else see_subnets(state, ref.resource_ref, LOGICAL_NETWORKS)
        raise InvalidReference(
            f"vlanSubnet {ref.resource_ref} of {name} is no logical subnet with an addressPrefix outside of the "
            f"provider network{where}.",
            target="vlanSubnet",
        )
    if p.gre_configuration is not None or p.source_ip_address or p.destination_ip_address:
        raise Invalid(
            f"Connection {name} is L3: leave out greConfiguration, sourceIPAddress and destinationIPAddress.",
            target="greConfiguration",
        )
    if segment.public:
        raise Invalid(
            f"vlanSubnet {segment.ref} of {name} has isPublic: there machines are known by public addresses, and an L3 "
            "connection would let whoever is in it reach their own. Name a logical subnet without isPublic.",
            target="vlanSubnet",
        )
    if not p.ip_addresses:
        raise Invalid(
            f"Connection {name} is L3, so ipAddresses is required: what the gateway has in {segment.ref}.",
            code="RequiredParamMissing",
            target="ipAddresses",
        )
    peers = ip_texts(p.peer_ip_addresses, "peerIPAddresses")
    own = tuple(_own(segment, one, name) for one in p.ip_addresses)
    routes = tuple(_l3_route(segment, one, peers, name) for one in p.routes)
    for text in peers:
        _check_inside(segment, text, "peerIPAddresses", name)
    return msgspec.structs.replace(
        p,
        l3_configuration=L3Configuration(vlan_subnet=Ref(resource_ref=segment.ref)),
        ip_addresses=own,
        peer_ip_addresses=peers,
        routes=routes,
    )


def check_routers(state: State, ref: str, one: Connection, wanted: dict[Place, str]) -> None:
    """What a connection of a gateway (`ref`) sends to is no address that a gateway has: behind that are the machines of
    another network, which did not ask for this one's packets. `wanted` has what it is to have itself, each with its
    connection. Raises AddressInUse."""
    p = one.properties
    segment = state.segment(lower(p.l3_configuration.vlan_subnet)) if p.l3_configuration is not None else None
    if segment is None:
        return
    hops = [(text, "peerIPAddresses") for text in p.peer_ip_addresses]
    hops += [(route.next_hop, "nextHop") for route in p.routes if route.next_hop]
    for text, target in hops:
        place = segment.scope, _number(text)
        lease = state.lease(*place)
        holders = lease.holders if lease is not None and lease.state == ASSIGNED else ()
        others = (each.ref for each in holders if each.kind == "virtualGateway" and each.ref.lower() != ref.lower())
        if whose := f"connection {wanted[place]} of {ref} itself" if place in wanted else next(others, ""):
            raise AddressInUse(
                f"{target} {text} of connection {one.resource_id} is the address of a gateway, held by {whose}: name a "
                f"router of {segment.ref}.",
                code="PrivateIPAddressInUse",
                target=target,
            )


def check_no_router(state: State, place: Place, segment_key: str, ref: str) -> None:
    """What a gateway (`ref`) takes in a logical subnet is nothing that a connection of another one sends to. Raises
    AddressInUse."""
    for user in state.uses.of(segment_key):
        gateway, _, name = user.lower().partition("/networkconnections/")
        found = state.find_ref(gateway) if name and gateway != ref.lower() else None
        for one in found.properties.network_connections if found is not None else ():
            hops = (*one.properties.peer_ip_addresses, *(route.next_hop for route in one.properties.routes))
            if one.resource_id.lower() == name and address_text(*place) in hops:
                raise AddressInUse(
                    f"{address_text(*place)} is a router that {user} sends to: choose another.",
                    code="PrivateIPAddressInUse",
                    target="ipAddresses",
                )


def _own(segment: Segment, one: ConnectionAddress, name: str) -> ConnectionAddress:
    text = _check_inside(segment, one.ip_address, "ipAddresses", name)
    why = why_in(segment.reserved, _number(text))
    if why:
        raise Invalid(
            f"{text} of connection {name} is {why} of {segment.ref}: choose another.",
            code="PrivateIPAddressInReservedRange",
            target="ipAddresses",
        )
    if one.prefix_length != segment.prefix_length:
        raise Invalid(
            f"prefixLength {one.prefix_length} of connection {name} is not {segment.prefix_length}, which "
            f"{segment.ref} has.",
            code="InvalidIPPrefix",
            target="ipAddresses",
        )
    return ConnectionAddress(ip_address=text, prefix_length=segment.prefix_length)


def _check_inside(segment: Segment, text: str, target: str, name: str) -> str:
    address = ip_of(text, target, "InvalidIPAddress")
    if address.version != segment.version or not segment.first <= int(address) <= segment.last:
        inside = f"{number_text(segment.version, segment.first)}/{segment.prefix_length}"
        raise Invalid(
            f"{target} {address} of connection {name} does not lie in {segment.ref} ({inside}).",
            code="PrivateIPAddressNotInSubnet",
            target=target,
        )
    return str(address)


def _l3_route(segment: Segment, one: ConnectionRoute, peers: tuple[str, ...], name: str) -> ConnectionRoute:
    destination = _destination(one, name)
    hop = one.next_hop or (peers[0] if peers else "")
    if not hop:
        raise Invalid(
            f"The route to {destination} of connection {name} needs a nextHop, or the connection peerIPAddresses.",
            code="MissingNextHopIpAddress",
            target="nextHop",
        )
    hop = _check_inside(segment, hop, "nextHop", name)
    if (":" in hop) != (":" in destination):
        raise Invalid(
            f"The route of connection {name} to {destination} leads by {hop}: one is IPv4, the other IPv6. Name a "
            "prefix and a next hop of one family.",
            code="InvalidNextHopIpAddress",
            target="destinationPrefix",
        )
    return msgspec.structs.replace(one, destination_prefix=destination, next_hop=hop if one.next_hop else None)


def _destination(one: ConnectionRoute, name: str) -> str:
    if not 0 <= one.metric <= _MOST_METRIC:
        raise Invalid(f"metric {one.metric} of connection {name} is not in 0 to {_MOST_METRIC}.", target="metric")
    try:
        return str(ipaddress.ip_network(one.destination_prefix.strip()))
    except ValueError:
        raise Invalid(
            f"'{one.destination_prefix}' of connection {name} is no prefix: write one such as 10.9.0.0/16.",
            code="InvalidIPPrefix",
            target="destinationPrefix",
        ) from None


def _gre(state: State, p: NetworkConnectionProperties, name: str, vips: list[Segment]) -> NetworkConnectionProperties:
    if p.l3_configuration is not None:
        raise Invalid(f"Connection {name} is GRE: leave l3Configuration out.", target="l3Configuration")
    if not p.destination_ip_address:
        raise Invalid(
            f"Connection {name} is GRE, so destinationIPAddress is required: the far end of the tunnel.",
            code="RequiredParamMissing",
            target="destinationIPAddress",
        )
    far = ip_of(p.destination_ip_address, "destinationIPAddress", "InvalidIPAddress")
    near = str(ip_of(p.source_ip_address, "sourceIPAddress", "InvalidIPAddress")) if p.source_ip_address else None
    if near is not None and _vip_of(vips, near) is None:
        raise Invalid(
            f"sourceIPAddress {near} of connection {name} lies in no greVipSubnet of its GatewayPools.",
            code="PrivateIPAddressNotInSubnet",
            target="sourceIPAddress",
        )
    if far.version != 4 or (near is not None and ":" in near):
        raise Invalid(f"The ends of connection {name} are IPv4 addresses.", target="destinationIPAddress")
    _check_far_end(state, str(far), near, name)
    for one in p.routes:
        if one.next_hop:
            raise Invalid(
                f"Connection {name} is GRE, which has one far end: leave nextHop out.",
                code="NextHopIpAddressNotAllowed",
                target="nextHop",
            )
    return msgspec.structs.replace(
        p,
        source_ip_address=near,
        destination_ip_address=str(far),
        gre_configuration=_key(p.gre_configuration, name),
        ip_addresses=tuple(_inner(one, name) for one in p.ip_addresses),
        peer_ip_addresses=ip_texts(p.peer_ip_addresses, "peerIPAddresses"),
        routes=tuple(msgspec.structs.replace(one, destination_prefix=_destination(one, name)) for one in p.routes),
    )


def _check_far_end(state: State, far: str, near: str | None, name: str) -> None:
    """A gateway sends to the far end by its own routes, so that is none of the addresses that it needs itself."""
    provider = _vip_of(state.addresses.provider_segments.values(), far)
    if provider is not None or far == near:
        whose = f"lies in {provider.ref}, of the provider network" if provider is not None else "is its own near end"
        raise Invalid(
            f"destinationIPAddress {far} of connection {name} {whose}: name the router on the other side.",
            target="destinationIPAddress",
        )


def _inner(one: ConnectionAddress, name: str) -> ConnectionAddress:
    """An address of the gateway inside the tunnel: it is nobody's but the two ends'."""
    address = ip_of(one.ip_address, "ipAddresses", "InvalidIPAddress")
    if not 0 < one.prefix_length <= address.max_prefixlen:
        raise Invalid(
            f"prefixLength {one.prefix_length} of connection {name} is not in 1 to {address.max_prefixlen}.",
            code="InvalidIPPrefix",
            target="ipAddresses",
        )
    return ConnectionAddress(ip_address=str(address), prefix_length=one.prefix_length)


def _key(configuration: GreConfiguration | None, name: str) -> GreConfiguration | None:
    text = configuration.gre_key.strip() if configuration is not None else ""
    if not text:
        return configuration
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_KEY:
        raise Invalid(f"greKey '{text}' of connection {name} is not a number up to {_MOST_KEY}.", target="greKey")
    return GreConfiguration(gre_key=str(int(text)))
