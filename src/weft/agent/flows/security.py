"""Table SECURITY: a guest speaks for its own addresses only. The MAC was checked in CLASSIFY. Pure.

priority 130  IPv6 fragments to link-local groups: the header that tells a router advertisement can be in the second,
              where no switch reads it (RFC 7113 section 2.2); honest neighbour discovery has no fragments (RFC 6980)
priority 125  what the agent answers a port, of the families that it has an address of: DHCP, router solicitations
priority 120  what is not worth a suspicion: dropped under its own reason (other DHCP and router solicitations,
              IGMP and MLD); what a DHCP server would send, router advertisements and redirects, which no guest may send
priority 100  the port's own addresses: ARP and neighbour discovery to RESPOND
priority  99  of a port that may send from any address: ARP of others, if the guard of the port lets it through
priority  98  of a port whose guest may bring addresses: neighbour discovery under one of those
priority  97  questions that are answered whoever asks: whether an address is free, and under any link-local address
priority  96  where it may send from any: neighbour solicitations of others
priority  95  other neighbour discovery: spoofed
priority  90  IP from the port's own addresses to ROUTE, or TRACK_OUT from one that is under access lists
priority  80  IP from any other address, of a port that may send from them: marked as sent on for another
priority  60  of a port whose guest may bring addresses: ARP and IP from one of those
priority  10  anything else, by protocol
priority   0  neither ARP nor IP
"""

from collections.abc import Iterator

from weft.agent import asking
from weft.agent.asking import DHCP4, DHCP6, ask
from weft.agent.flows.access import onward
from weft.agent.flows.actions import Actions, Goto, SetBits, SetField
from weft.agent.flows.dhcp import ASKS4, ASKS6, FOR_CLIENTS
from weft.agent.flows.fields import (
    ARP_SHA,
    ARP_SPA,
    FOREIGN,
    FORWARDED,
    IP_FRAG,
    IP_FRAGMENT,
    IP_PROTO,
    IP_SRC,
    IPV6_DST,
    IPV6_SRC,
    MARKS,
    ND_SLL,
    ND_TARGET,
    ND_TLL,
    PROTO_IGMP,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_ARP, IS_IPV4, IS_IPV6, Flow, Match, dropped, exact, in_order, is_icmpv6, prefixed
from weft.agent.flows.ways import ALL_NODES, LINK_LOCAL_LENGTH, BoundPort
from weft.model.values import LINK_LOCAL, link_local_of

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT, REDIRECT = 133, 134, 135, 136, 137
MULTICAST_LISTENER = (130, 131, 132, 143)
"""MLD: RFC 2710, RFC 3810."""
_LINK_GROUPS = prefixed(IPV6_DST, 0xFF02 << 112, 16)
"""ff02::/16, link-local scope (RFC 4291 section 2.7)."""


def _fixed(priority: int, match: Match, reason: DropReason) -> Flow:
    return Flow(Table.SECURITY, priority, match, dropped(reason), cookie(Category.FIXED))


def of_fixed() -> tuple[Flow, ...]:
    hidden = (*IS_IPV6, (IP_FRAG, IP_FRAGMENT, IP_FRAGMENT), _LINK_GROUPS)
    return (
        _fixed(130, hidden, DropReason.ROUTER_ADVERTISEMENT),
        *(_fixed(120, one, DropReason.DHCP) for one in (ASKS4, ASKS6)),
        # no guest is a DHCP server, whatever port it sends from
        *(_fixed(120, one, DropReason.DHCP_GUARDED) for one in FOR_CLIENTS),
        _fixed(120, (*IS_IPV4, exact(IP_PROTO, PROTO_IGMP)), DropReason.MULTICAST_REPORT),
        *(_fixed(120, is_icmpv6(kind), DropReason.MULTICAST_REPORT) for kind in MULTICAST_LISTENER),
        _fixed(120, is_icmpv6(ROUTER_SOLICITATION), DropReason.ROUTER_SOLICITATION),
        _fixed(120, is_icmpv6(ROUTER_ADVERTISEMENT), DropReason.ROUTER_ADVERTISEMENT),
        _fixed(120, is_icmpv6(REDIRECT), DropReason.ROUTER_ADVERTISEMENT),
        _fixed(95, is_icmpv6(SOLICITATION), DropReason.SPOOFED_ND),
        _fixed(95, is_icmpv6(ADVERTISEMENT), DropReason.SPOOFED_ND),
        _fixed(10, IS_ARP, DropReason.SPOOFED_ARP),
        _fixed(10, IS_IPV4, DropReason.SPOOFED_IPV4),
        _fixed(10, IS_IPV6, DropReason.SPOOFED_IPV6),
        _fixed(0, (), DropReason.ETHERTYPE),
    )


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    """What this port may say."""
    others = _of_others(port) if port.spoofs else ()
    return (*_of_asking(port), *_of_ipv4(port), *_of_ipv6(port), *others, *_of_brought(port))


def _allow(port: BoundPort, priority: int, match: Match, actions: Actions, mark: int = 0) -> Flow:
    mark = mark or cookie(Category.PORT, port.number)
    return Flow(Table.SECURITY, priority, in_order((port.in_port, *match)), actions, mark)


def _of_brought(port: BoundPort) -> Iterator[Flow]:
    """Under addresses that it has not yet, but may bring: dropped until they are its own, and told. Always with its own
    MAC, in the options too."""
    told, options = dropped(DropReason.UNLEARNT), (port.mac, 0)
    for prefix, length in port.brings:
        value = int.from_bytes(prefix)
        if len(prefix) == 4:
            sender = prefixed(ARP_SPA, value, length)
            yield _allow(port, 60, (*IS_ARP, sender, exact(ARP_SHA, port.mac)), told)
            yield _allow(port, 60, (*IS_IPV4, prefixed(IP_SRC, value, length)), told)
            continue
        source, target = prefixed(IPV6_SRC, value, length), prefixed(ND_TARGET, value, length)
        yield _allow(port, 98, (*is_icmpv6(SOLICITATION), exact(IPV6_SRC, 0), target), told)
        for option in options:
            yield _allow(port, 98, (*is_icmpv6(SOLICITATION), source, exact(ND_SLL, option)), told)
            yield _allow(port, 98, (*is_icmpv6(ADVERTISEMENT), target, exact(ND_TLL, option)), told)
        yield _allow(port, 60, (*IS_IPV6, source), told)


def _of_asking(port: BoundPort) -> list[Flow]:
    asks = [(ASKS4, DHCP4)] if port.v4 else []
    asks += [(ASKS6, DHCP6), (is_icmpv6(ROUTER_SOLICITATION), asking.ROUTER_SOLICITATION)] if port.v6 else []
    return [_allow(port, 125, match, ask(service, port.number)) for match, service in asks]


def _of_others(port: BoundPort) -> list[Flow]:
    """What the guest says under addresses that are not its own. Its questions are answered, from policy; what it tells
    of itself is not heard, as of every guest."""
    sent_on = SetBits(MARKS, 1 << FORWARDED, 1 << FORWARDED), SetBits(MARKS, 1 << FOREIGN, 1 << FOREIGN)
    flows = [
        _allow(port, 80, family, (*sent_on, *onward(port, bytes(size))))
        for family, size in ((IS_IPV4, 4), (IS_IPV6, 16))
    ]
    guarded = port.limits is not None and port.limits.arp_guard
    answer: Actions = dropped(DropReason.ARP_GUARDED) if guarded else (Goto(Table.RESPOND),)
    return [*flows, _allow(port, 99, IS_ARP, answer), _allow(port, 96, is_icmpv6(SOLICITATION), answer)]


def _of_ipv4(port: BoundPort) -> list[Flow]:
    hardware = exact(ARP_SHA, port.mac)
    # sender 0.0.0.0 is a probe (RFC 5227 section 2.1.1): the guest looks whether an address is free
    askers = (*port.v4, 0) if port.v4 else ()
    flows = [
        _allow(port, 100, (*IS_ARP, hardware, exact(ARP_SPA, one)), (Goto(Table.RESPOND),), port.mark_of(one, 4))
        for one in askers
    ]
    if port.any_source:
        return [*flows, _allow(port, 90, IS_IPV4, onward(port, bytes(4)))]
    flows += [
        _allow(port, 90, (*IS_IPV4, exact(IP_SRC, one)), onward(port, one.to_bytes(4)), port.mark_of(one, 4))
        for one in port.v4
    ]
    return flows


def _of_ipv6(port: BoundPort) -> list[Flow]:
    link_local = link_local_of(port.mac)
    own = (*port.v6, link_local) if port.v6 else ()
    options = (port.mac, 0)
    # duplicate address detection (RFC 4862 section 5.4) is also what a guest without IPv6 addresses does at boot
    flows = [
        _allow(
            port,
            100,
            (*is_icmpv6(SOLICITATION), exact(IPV6_SRC, 0), exact(ND_TARGET, address)),
            dropped(DropReason.OWN_ADDRESS),
        )
        for address in (*port.v6, link_local)
    ]
    flows += _of_questions(port) if port.v6 else ()
    for address in own:
        mark = port.mark_of(address, 16)
        for option in options:
            asks = (exact(IPV6_SRC, address), exact(ND_SLL, option))
            tells = (exact(ND_TARGET, address), exact(ND_TLL, option))
            flows.append(_allow(port, 100, (*is_icmpv6(SOLICITATION), *asks), (Goto(Table.RESPOND),), mark))
            flows.append(_allow(port, 100, (*is_icmpv6(ADVERTISEMENT), *tells), (Goto(Table.RESPOND),), mark))
        flows.append(_allow(port, 90, (*IS_IPV6, exact(IPV6_SRC, address)), onward(port, address.to_bytes(16)), mark))
    if port.any_source:
        flows.append(_allow(port, 80, IS_IPV6, onward(port, bytes(16))))
    return flows


def _of_questions(port: BoundPort) -> Iterator[Flow]:
    """Which are answered, whoever asks. What is taken is told to a guest that means to have it (RFC 4862 section 5.4);
    under link-local addresses guests ask for their router, and many do not make them of their MAC (RFC 7217)."""
    free = (*is_icmpv6(SOLICITATION), exact(IPV6_SRC, 0))
    yield _allow(port, 97, free, (SetField(IPV6_SRC, ALL_NODES), Goto(Table.RESPOND)))
    link_local = prefixed(IPV6_SRC, LINK_LOCAL, LINK_LOCAL_LENGTH)
    for option in (port.mac, 0):
        yield _allow(port, 97, (*is_icmpv6(SOLICITATION), link_local, exact(ND_SLL, option)), (Goto(Table.RESPOND),))
