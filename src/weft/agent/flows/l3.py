"""Tables ROUTE and NEIGHBOUR: the distributed router, the same on every host. Pure.

ROUTE sees what guests send to the router's MAC: the longest prefix of the routing domain gives the virtual subnet and
the next hop; NEIGHBOUR turns (VSID, next hop) into a MAC and lowers the TTL. An address is routed to only inside a
CustomerRoute, and a lookup record does not depend on routes, so a changed record touches its own flows only.

priority 720        ping for a gateway address, or the router's link-local one: answered
priority 710        anything else for a gateway address
priority 705, 700   from or to link-local (RFC 3927 section 2.7, RFC 4291 section 2.5.6); TTL 0 or 1
priority 183+4*len  a route of the sender's routeTable: before one of the system that is as long
priority 182+4*len  a route of the system, to a subnet of the network or of a peer
priority 181+4*len  one to the gateway: where a connection leads, or to everywhere. Not the same as a subnet's, since
                    the subnet of a peer comes by another stream, and no two parts share a flow
priority 180+4*len  address space of the network and its peers where no subnet is: nowhere, least of all outside
priority 50         no route
priority 0          not for the router: OUTPUT
"""

from collections.abc import Iterable

from weft.agent.flows.actions import Actions, DecTtl, Goto, InPort, Move, SetField
from weft.agent.flows.fields import (
    ETH_DST,
    ETH_SRC,
    FORWARDED,
    ICMP_CODE,
    ICMP_TYPE,
    ICMPV6_CODE,
    ICMPV6_TYPE,
    IP_DST,
    IP_PROTO,
    IP_TTL,
    IPV6_SRC,
    MARKS,
    NEXT_HOP,
    NEXT_HOP6,
    PROTO_ICMP,
    PROTO_ICMPV6,
    RDID,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_IPV4, IS_IPV6, Flow, Match, dropped, exact, in_order, prefixed
from weft.agent.flows.ways import IPV6, LINK_LOCAL4, LINK_LOCAL_LENGTH, family_of
from weft.model.records import CustomerRoute, GatewayRecord, PackedPrefix, PeerNetwork, SubnetRecord, UserRoute
from weft.model.values import LINK_LOCAL, ROUTER_LINK_LOCAL, ROUTER_MAC, halves

_TO_ROUTER = exact(ETH_DST, ROUTER_MAC)
_ECHO, _ECHO_REPLY = 8, 0
_ECHO6, _ECHO_REPLY6 = 128, 129
_FROM_ROUTER = SetField(ETH_SRC, ROUTER_MAC)
_ONE_HOP: Actions = (DecTtl(), Goto(Table.OUTPUT))
_SPACE, _OUT, _SYSTEM, _USER = 180, 181, 182, 183
_PER_BIT = 4
_NOWHERE = {
    "None": DropReason.BLOCKED_ROUTE,
    "Internet": DropReason.NO_GATEWAY,
    "VirtualNetworkGateway": DropReason.NO_GATEWAY,
}
"""Next hops that lead to nothing here; that of VnetLocal and VirtualAppliance would lie in a subnet and does not."""
_HOPS = 64
"""TTL of the router's own packets."""


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    expired = dropped(DropReason.TTL_EXPIRED)
    link_local = (
        (*IS_IPV6, _TO_ROUTER, prefixed(IPV6_SRC, LINK_LOCAL, LINK_LOCAL_LENGTH)),
        (*IS_IPV6, _TO_ROUTER, prefixed(IPV6.destination, LINK_LOCAL, LINK_LOCAL_LENGTH)),
    )
    four = (*IS_IPV4, _TO_ROUTER, prefixed(IP_DST, *LINK_LOCAL4))
    own = (*IS_IPV6, _TO_ROUTER, exact(IPV6.destination, int.from_bytes(ROUTER_LINK_LOCAL)))
    return (
        _pong(own, ROUTER_LINK_LOCAL, fixed),
        Flow(Table.ROUTE, 710, own, dropped(DropReason.FOR_ROUTER), fixed),
        *(Flow(Table.ROUTE, 705, one, dropped(DropReason.NO_ROUTE), fixed) for one in link_local),
        # by no default route; a network may still be in there
        Flow(Table.ROUTE, _SPACE + _PER_BIT * LINK_LOCAL4[1], four, dropped(DropReason.NO_ROUTE), fixed),
        *(
            Flow(Table.ROUTE, 700, (*family, _TO_ROUTER, exact(IP_TTL, ttl)), expired, fixed)
            for family in (IS_IPV4, IS_IPV6)
            for ttl in (0, 1)
        ),
        Flow(Table.ROUTE, 50, (_TO_ROUTER,), dropped(DropReason.NO_ROUTE), fixed),
        Flow(Table.ROUTE, 0, (), (Goto(Table.OUTPUT),), fixed),
        Flow(Table.NEIGHBOUR, 0, (), dropped(DropReason.NO_RECORD), fixed),
    )


def of_gateway(rdid: int, gateway: bytes) -> tuple[Flow, ...]:
    """A subnet's gateway address: it answers ping from anywhere in its routing domain, and nothing else."""
    family = family_of(gateway)
    mark = cookie(Category.NETWORK, rdid)
    own: Match = (exact(RDID, rdid), *family.only, _TO_ROUTER, exact(family.destination, int.from_bytes(gateway)))
    return _pong(own, gateway, mark), Flow(Table.ROUTE, 710, own, dropped(DropReason.FOR_ROUTER), mark)


def _pong(own: Match, gateway: bytes, mark: int) -> Flow:
    """The answer to a ping for an address of the router's."""
    family = family_of(gateway)
    if len(gateway) == 4:
        ping: Match = (exact(IP_PROTO, PROTO_ICMP), exact(ICMP_TYPE, _ECHO), exact(ICMP_CODE, 0))
        reply = SetField(ICMP_TYPE, _ECHO_REPLY)
    else:
        ping = (exact(IP_PROTO, PROTO_ICMPV6), exact(ICMPV6_TYPE, _ECHO6), exact(ICMPV6_CODE, 0))
        reply = SetField(ICMPV6_TYPE, _ECHO_REPLY6)
    answer: Actions = (
        Move(ETH_SRC, ETH_DST),
        SetField(ETH_SRC, ROUTER_MAC),
        Move(family.source, family.destination),
        SetField(family.source, int.from_bytes(gateway)),
        reply,
        SetField(IP_TTL, _HOPS),
        InPort(),
    )
    return Flow(Table.ROUTE, 720, in_order((*own, *ping)), answer, mark)


def of_route(rdid: int, route: CustomerRoute) -> Flow:
    """One prefix of the routing domain: into which virtual subnet, to which next hop (zeros: the destination)."""
    match = (exact(RDID, rdid), *_to(route.prefix, route.prefix_length))
    actions = _toward(route.vsid, route.next_hop, route.prefix)
    kind = _OUT if any(route.next_hop) else _SYSTEM
    return Flow(Table.ROUTE, kind + _PER_BIT * route.prefix_length, match, actions, cookie(Category.NETWORK, rdid))


def of_space(rdid: int, prefixes: Iterable[PackedPrefix]) -> tuple[Flow, ...]:
    """What lies in the address space and has no route of its own: the default one does not lead there."""
    nowhere, mark = dropped(DropReason.NO_ROUTE), cookie(Category.NETWORK, rdid)
    return tuple(
        Flow(Table.ROUTE, _SPACE + _PER_BIT * length, (exact(RDID, rdid), *_to(prefix, length)), nowhere, mark)
        for whole in prefixes
        for prefix, length in halves(*whole)
    )


def of_user_route(route: UserRoute) -> Flow:
    """One prefix of a routeTable, for what the machines of one virtual subnet send."""
    match = (exact(VSID, route.vsid), *_to(route.prefix, route.prefix_length))
    if route.hop_vsid:
        actions = _toward(route.hop_vsid, route.next_hop, route.prefix)
    else:
        actions = dropped(_NOWHERE.get(route.kind, DropReason.NO_ROUTE))
    return Flow(
        Table.ROUTE, _USER + _PER_BIT * route.prefix_length, match, actions, cookie(Category.NETWORK, route.vsid)
    )


def of_peer_subnet(rdid: int, peer: PeerNetwork, subnet: SubnetRecord) -> tuple[Flow, ...]:
    """One subnet of a network that this one is routed to, and its gateway address."""
    match = (exact(RDID, rdid), *_to(subnet.prefix, subnet.prefix_length))
    actions = (SetField(RDID, peer.rdid), *_toward(subnet.vsid, b"", subnet.prefix))
    priority, mark = _SYSTEM + _PER_BIT * subnet.prefix_length, cookie(Category.NETWORK, rdid)
    bit = 1 << FORWARDED
    if peer.takes_forwarded:
        flows = [Flow(Table.ROUTE, priority, match, actions, mark)]
    else:
        flows = [
            Flow(Table.ROUTE, priority, in_order((*match, (MARKS, 0, bit))), actions, mark),
            Flow(Table.ROUTE, priority, in_order((*match, (MARKS, bit, bit))), dropped(DropReason.NOT_FORWARDED), mark),
        ]
    return (*of_gateway(rdid, subnet.gateway), *flows)


def _to(prefix: bytes, length: int) -> Match:
    """What goes to a prefix by way of the router."""
    family = family_of(prefix)
    wanted = (prefixed(family.destination, int.from_bytes(prefix), length),) if length else ()
    return (*family.only, _TO_ROUTER, *wanted)


def _toward(vsid: int, next_hop: bytes, prefix: bytes) -> Actions:
    """Into a virtual subnet, to a next hop there; empty or zeros: the destination itself."""
    family = family_of(prefix)
    register = NEXT_HOP if family.destination is IP_DST else NEXT_HOP6
    hop = int.from_bytes(next_hop)
    aim = SetField(register, hop) if hop else Move(family.destination, register)
    return (SetField(VSID, vsid), aim, Goto(Table.NEIGHBOUR))


def of_no_gateway(record: GatewayRecord) -> tuple[Flow, ...]:
    """The edge's addresses, while no gateway serves the network."""
    mark = cookie(Category.NETWORK, record.vsid)
    return tuple(
        Flow(Table.NEIGHBOUR, 100, _to_hop(record.vsid, address), dropped(DropReason.NO_GATEWAY), mark)
        for address in record.addresses
    )


def _to_hop(vsid: int, address: bytes) -> Match:
    register = NEXT_HOP if len(address) == 4 else NEXT_HOP6
    return (exact(VSID, vsid), *family_of(address).only, exact(register, int.from_bytes(address)))


def of_neighbour(vsid: int, address: bytes, mac: int) -> Flow:
    """The last step to one customer address."""
    actions = (_FROM_ROUTER, SetField(ETH_DST, mac), *_ONE_HOP)
    return Flow(Table.NEIGHBOUR, 100, _to_hop(vsid, address), actions, cookie(Category.LOOKUP, vsid))
