"""Tables FILTER_*: the rules of access lists. Pure.

priority 65535 - P  the rule of priority P, in as many flows as its ports and families take
priority         2  what no rule of the list matches: its default action
priority         1  no list of this kind applies (its register is 0): on
priority         0  a list whose rules are not here: nothing passes

A list is in two tables per direction, by what it was named by: the ipConfiguration or the subnet. Of these only those
are filled that a port of this host needs. Flows bear the list's number and the rule's priority, so that their counters
are the rule's.
"""

import enum
from collections.abc import Iterable, Iterator

from weft.agent.flows.actions import Actions, Goto
from weft.agent.flows.fields import (
    FOREIGN,
    INSIDE,
    INTERFACE_LIST,
    IP_PROTO,
    MARKS,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_TCP,
    PROTO_UDP,
    SUBNET_LIST,
    TCP_DST,
    TCP_SRC,
    UDP_DST,
    UDP_SRC,
    Category,
    DropReason,
    Field,
    Table,
    cookie,
    rule_cookie,
)
from weft.agent.flows.flow import Flow, Match, Term, dropped, exact, in_order, prefixed
from weft.agent.flows.ways import IPV4, IPV6, Family, family_of
from weft.model.records import AccessList, AccessRule, PackedPrefix
from weft.wire.messages import DEFAULT_IN, DEFAULT_OUT

ALL_PORTS = (0, 65535)
EVERYTHING, VIRTUAL_NETWORK, INTERNET = "*", "VIRTUALNETWORK", "INTERNET"


class NamedBy(enum.IntEnum):
    """What puts ports under a list."""

    INTERFACE = 0
    SUBNET = 1


_REGISTERS = {NamedBy.INTERFACE: INTERFACE_LIST, NamedBy.SUBNET: SUBNET_LIST}
_TABLES = {
    (NamedBy.INTERFACE, False): (Table.FILTER_OUT_INTERFACE, Table.FILTER_OUT_SUBNET),
    (NamedBy.SUBNET, False): (Table.FILTER_OUT_SUBNET, Table.COMMIT_OUT),
    (NamedBy.SUBNET, True): (Table.FILTER_IN_SUBNET, Table.FILTER_IN_INTERFACE),
    (NamedBy.INTERFACE, True): (Table.FILTER_IN_INTERFACE, Table.DELIVER),
}
"""By that and whether it is inbound: where the rules are, and where goes what they permit."""

_PORTS = {PROTO_TCP: (TCP_SRC, TCP_DST), PROTO_UDP: (UDP_SRC, UDP_DST)}
_PROTOCOLS = {"TCP": PROTO_TCP, "UDP": PROTO_UDP, "ICMPv4": PROTO_ICMP, "ICMPv6": PROTO_ICMPV6}
_ONLY_IN = {PROTO_ICMP: IPV4, PROTO_ICMPV6: IPV6}


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    denied = dropped(DropReason.ACCESS_DENIED)
    flows = []
    for (named_by, _), (table, after) in _TABLES.items():
        flows.append(Flow(table, 1, (exact(_REGISTERS[named_by], 0),), (Goto(after),), fixed))
        flows.append(Flow(table, 0, (), denied, fixed))
    return tuple(flows)


def of_list(known: AccessList, named_by: NamedBy) -> tuple[Flow, ...]:
    """What becomes of the packets that no rule matches."""
    under = exact(_REGISTERS[named_by], known.number)
    flows = []
    for inbound, allow in ((False, known.outbound_allow), (True, known.inbound_allow)):
        mark = rule_cookie(known.number, DEFAULT_IN if inbound else DEFAULT_OUT)
        flows.append(Flow(_TABLES[named_by, inbound][0], 2, (under,), _verdict(allow, named_by, inbound), mark))
    return tuple(flows)


def of_rule(number: int, rule: AccessRule, named_by: NamedBy) -> tuple[Flow, ...]:
    under = exact(_REGISTERS[named_by], number)
    actions = _verdict(rule.allow, named_by, rule.inbound)
    mark = rule_cookie(number, rule.priority)
    table, priority = _TABLES[named_by, rule.inbound][0], 65535 - rule.priority
    return tuple(
        Flow(table, priority, in_order((under, *match)), actions, mark)
        for family in (IPV4, IPV6)
        for match in _matches(rule, family)
    )


def _verdict(allow: bool, named_by: NamedBy, inbound: bool) -> Actions:
    return (Goto(_TABLES[named_by, inbound][1]),) if allow else dropped(DropReason.ACCESS_DENIED)


def _matches(rule: AccessRule, family: Family) -> Iterator[Match]:
    """Every combination of terms that together are the rule; none where no packet of this family can match."""
    mine, other = (rule.destination, rule.source) if rule.inbound else (rule.source, rule.destination)
    my_field, other_field = (family.source, family.destination)
    if rule.inbound:
        my_field, other_field = other_field, my_field
    ends = (_own_end(mine, my_field, family), _other_end(other, other_field, family))
    for end in ends:
        if end is None:
            return
    addresses = _joined(term for end in ends for term in end or ())
    for transport in _transports(rule, family):
        yield (*family.only, *addresses, *transport)


def _joined(terms: Iterable[Term]) -> Match:
    """A field stands once in a match: tags of both ends are two bits of one register."""
    found: dict[Field, Term] = {}
    for field, value, mask in terms:
        _, others, known = found.get(field, (field, 0, 0))
        found[field] = (field, others | value, known | mask)
    return tuple(found.values())


def _own_end(scope: PackedPrefix | str, field: Field, family: Family) -> Match | None:
    """The guest's own end of the packet: outside of its network where it sends on for another, or is to."""
    if scope in (VIRTUAL_NETWORK, INTERNET):
        return ((MARKS, (scope == INTERNET) << FOREIGN, 1 << FOREIGN),)
    return _end(scope, field, family)


def _other_end(scope: PackedPrefix | str, field: Field, family: Family) -> Match | None:
    if scope in (VIRTUAL_NETWORK, INTERNET):
        return ((MARKS, (scope == VIRTUAL_NETWORK) << INSIDE, 1 << INSIDE),)
    return _end(scope, field, family)


def _end(scope: PackedPrefix | str, field: Field, family: Family) -> Match | None:
    if isinstance(scope, str):
        return () if scope == EVERYTHING else None
    return _prefix(scope, field, family)


def _prefix(prefix: PackedPrefix, field: Field, family: Family) -> Match | None:
    address, length = prefix
    if family_of(address) is not family:
        return None
    return (prefixed(field, int.from_bytes(address), length),) if length else ()


def _transports(rule: AccessRule, family: Family) -> Iterator[Match]:
    protocol = _PROTOCOLS.get(rule.protocol)
    if protocol is None and rule.source_ports == rule.destination_ports == ALL_PORTS:
        yield ()
        return
    for proto in (PROTO_TCP, PROTO_UDP) if protocol is None else (protocol,):
        if _ONLY_IN.get(proto, family) is not family:
            continue
        if proto not in _PORTS:
            yield (exact(IP_PROTO, proto),)
            continue
        source, destination = _PORTS[proto]
        for one in _ports(source, rule.source_ports):
            for other in _ports(destination, rule.destination_ports):
                yield (exact(IP_PROTO, proto), *one, *other)


def _ports(field: Field, ports: tuple[int, int]) -> Iterator[Match]:
    for value, mask in port_masks(*ports):
        term: Term = (field, value, mask)
        yield (term,) if mask else ()


def port_masks(first: int, last: int) -> list[tuple[int, int]]:
    """A range of ports as (value, mask) pairs, at most 30: the largest aligned blocks that it is made of."""
    pairs = []
    while first <= last:
        size = first & -first if first else 1 << 16
        while first + size - 1 > last:
            size >>= 1
        pairs.append((first, 0xFFFF & ~(size - 1)))
        first += size
    return pairs
