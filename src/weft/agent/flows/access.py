"""Tables TRACK_OUT to COMMIT_OUT and TRACK_IN to DELIVER: the way of packets of ports that access lists or limits apply
to. A port without any takes none of them. Pure; the rules themselves are in flows/rules.py.

Every packet of the direction in which a connection was begun is held against the rules of today; what answers it passes
by the connection's state. A packet that is denied later cuts its connection (ct_mark CUT), so that the answers stop
too, and the next one that is permitted mends it.

TCP that was there before its state, of which no SYN was seen, is TAKEN_UP by what is permitted of it. Nobody knows who
began it, so the packets of both sides are held against the rules, and the one side's are cut with the other's. Not so
while the port's lists forbid no more than when it came here with an empty zone: then that state was made by them
elsewhere, and what the one side may send the other may answer.

SCOPE_OUT, SCOPE_IN, after the connection was looked up
priority 110  of no connection, and no beginning of one: dropped
priority 100  an answer, or an error about a packet, of a connection that was cut: dropped
priority  97  an answer within what was taken up, of a port whose connections came with it: passes
priority  95  another answer, but for what was taken up, or an error: passes
priority  90  a later fragment: its first one is filtered, and without that nobody can put the packet together
priority  70  its own end is not the port's and yet inside, as below: sent on for another. Then once more from the start
priority  60  the other end is a group or link-local: no network is left with such an address, it counts as inside
priority  50  the other end lies in the network's scope: inside
COMMIT_OUT, DELIVER
priority 105  takes up TCP in its middle
priority 100  begins a connection
priority  90  mends one. Not by fragments: connection tracking keeps those back until all have come to it
DROP
priority 110  on its way out, of the side that began its connection, or of either of one that was taken up: cuts it
priority 105  the same on its way in
TRACK_IN
priority 110  on a logical network neighbour discovery, DHCP and multicast queries, which others tell there: unfiltered;
              what DHCP clients ask too, where the port has no guard against servers
priority 100  for an address of the port: under its lists
priority  50  for everyone, or a link-local address: under the lists of the port's first address
priority  40  what flows/limits.py has

Elsewhere priority 0 goes on.
"""

from collections.abc import Iterable, Iterator

from weft.agent.flows.actions import Action, Actions, Ct, Goto, OutputRegister, Resubmit, SetBits, SetField
from weft.agent.flows.dhcp import ANSWERS4, ANSWERS6, ASKS4, ASKS6
from weft.agent.flows.fields import (
    COOKIE_DROPS,
    CT_MARK,
    CUT,
    CUT_BACK,
    ESTABLISHED,
    FOREIGN,
    INSIDE,
    INTERFACE_LIST,
    INVALID,
    IP_FRAG,
    IP_PROTO,
    MARKS,
    NEW,
    OWN_PORT,
    PROTO_IGMP,
    PROTO_TCP,
    RDID,
    REASON,
    RELATED,
    REPLY,
    SUBNET_LIST,
    SYN,
    TAKEN_UP,
    TCP_FLAGS,
    TO_PORT,
    TRACKED,
    Category,
    DropReason,
    Field,
    Table,
    cookie,
)
from weft.agent.flows.flow import Flow, Match, Term, dropped, exact, in_order, is_icmpv6, prefixed, tracked
from weft.agent.flows.ways import FORKED, IPV4, IPV6, LINK_LOCAL_LENGTH, BoundPort, Family, family_of
from weft.model.records import PackedPrefix
from weft.model.values import LINK_LOCAL, is_segment

_IS_INSIDE = SetBits(MARKS, 1 << INSIDE, 1 << INSIDE)
_IS_OUTSIDE = SetBits(MARKS, 0, 1 << INSIDE)
_IS_FOREIGN, _IS_NOT_FOREIGN = (SetBits(MARKS, value << FOREIGN, 1 << FOREIGN) for value in (1, 0))
_FOREIGN: Term = (MARKS, 1 << FOREIGN, 1 << FOREIGN)
_WHOLE: Term = (IP_FRAG, 0, IP_FRAG.all_ones)
_LATER: Term = (IP_FRAG, 3, IP_FRAG.all_ones)
_MID_STREAM: Match = (exact(IP_PROTO, PROTO_TCP), (TCP_FLAGS, 0, SYN), (IP_FRAG, 0, 2))
"""TCP with its header, and no SYN."""
_ANSWERS, _ERRORS = tracked(REPLY | TRACKED, RELATED), tracked(RELATED | TRACKED)
_BEGUN_BY = tracked(TRACKED, REPLY | RELATED)
"""From the side that began."""
_SCOPES = ((Table.SCOPE_OUT, Table.FILTER_OUT_INTERFACE), (Table.SCOPE_IN, Table.FILTER_IN_SUBNET))
_FAMILIES = (IPV4, IPV6)
UNFILTERED: Actions = (SetField(INTERFACE_LIST, 0), SetField(SUBNET_LIST, 0), Goto(Table.DELIVER))
"""Into a port. The registers may hold what another port's packet was filtered by."""
_NOWHERE_ELSE = {
    IPV4.eth_type: (prefixed(IPV4.destination, 0xE0 << 24, 4), exact(IPV4.destination, 0xFFFFFFFF)),
    IPV6.eth_type: (
        prefixed(IPV6.destination, 0xFF << 120, 8),
        prefixed(IPV6.destination, LINK_LOCAL, LINK_LOCAL_LENGTH),
    ),
}
_FROM_OUTSIDE = (
    *(is_icmpv6(kind) for kind in (130, 131, 132, 133, 134, 135, 136, 137, 143)),
    (*IPV4.only, exact(IP_PROTO, PROTO_IGMP)),
    ANSWERS4,
    ANSWERS6,
)


def of_fixed() -> tuple[Flow, ...]:
    return tuple(_fixed())


def _fixed() -> Iterator[Flow]:
    mark = cookie(Category.FIXED)
    yield Flow(Table.TRACK_OUT, 0, (), (Goto(Table.ROUTE),), mark)
    yield Flow(Table.TRACK_IN, 0, (), UNFILTERED, mark)
    yield Flow(Table.COMMIT_OUT, 0, (), (Goto(Table.ROUTE),), mark)
    yield Flow(Table.DELIVER, 0, (), (OutputRegister(TO_PORT),), mark)
    for family in _FAMILIES:
        yield Flow(Table.TRACK_OUT, 100, family.only, (Ct(OWN_PORT, Table.SCOPE_OUT),), mark)
        yield from committed(Table.COMMIT_OUT, family.only, (), (Goto(Table.ROUTE),))
        yield from committed(Table.DELIVER, family.only, (), (OutputRegister(TO_PORT),))
        yield from _cut(family.only)
    yield from _by_state(Table.SCOPE_OUT, Table.COMMIT_OUT, Table.ROUTE)
    yield from _by_state(Table.SCOPE_IN, Table.DELIVER, Table.DELIVER)
    for table, filters in _SCOPES:
        yield Flow(table, 0, (), (_IS_OUTSIDE, Goto(filters)), mark)
        for family in _FAMILIES:
            others, owns = _never_outside(table, family)
            inside, within = (_IS_INSIDE, Goto(filters)), (_IS_NOT_FOREIGN, Resubmit(table))
            yield from (Flow(table, 60, in_order((*family.only, one)), inside, mark) for one in others)
            yield from (Flow(table, 70, in_order((*family.only, _FOREIGN, own)), within, mark) for own in owns)


def _never_outside(table: Table, family: Family) -> tuple[Match, Match]:
    """Of the other end and of the port's own: groups are destinations only."""
    local = (prefixed(IPV6.source, LINK_LOCAL, LINK_LOCAL_LENGTH),) if family is IPV6 else ()
    groups = _NOWHERE_ELSE[family.eth_type]
    return (groups, local) if table == Table.SCOPE_OUT else (local, groups)


def _by_state(table: Table, later: Table, passed: Table) -> Iterator[Flow]:
    """What the connection alone decides."""
    mark = cookie(Category.FIXED)
    denied = dropped(DropReason.ACCESS_DENIED)
    yield Flow(table, 110, (tracked(INVALID | TRACKED),), dropped(DropReason.TRACKED_INVALID), mark)
    for state, cut in ((_ANSWERS, CUT), (_ERRORS, CUT), (_ERRORS, CUT_BACK), (_BEGUN_BY, CUT_BACK)):
        yield Flow(table, 100, in_order((state, (CT_MARK, cut, cut))), denied, mark)
    yield Flow(table, 95, in_order((_ANSWERS, (CT_MARK, 0, TAKEN_UP))), (Goto(passed),), mark)
    yield Flow(table, 95, (_ERRORS,), (Goto(passed),), mark)
    for family in _FAMILIES:
        yield Flow(table, 90, in_order((*family.only, _LATER)), (Goto(later),), mark)


def committed(table: Table, match: Match, before: Actions, after: Actions, mark: int = 0) -> Iterator[Flow]:
    """In COMMIT_OUT or DELIVER: what begins a connection or mends a cut one; `before` and `after` are done with the
    packet around that. `match` has its eth_type."""
    zone = OWN_PORT if table == Table.COMMIT_OUT else TO_PORT
    mark = mark or cookie(Category.FIXED)
    begins = (*match, tracked(NEW | TRACKED))
    takes_up = (*before, Ct(zone, commit=True, mark=TAKEN_UP), *after)
    yield Flow(table, 105, in_order((*begins, *_MID_STREAM)), takes_up, mark)
    yield Flow(table, 100, in_order(begins), (*before, Ct(zone, commit=True), *after), mark)
    for cut, mended in ((CUT, 0), (TAKEN_UP | CUT, TAKEN_UP), (TAKEN_UP | CUT_BACK, TAKEN_UP)):
        mends = in_order((*match, tracked(TRACKED, NEW), exact(CT_MARK, cut), _WHOLE))
        yield Flow(table, 90, mends, (*before, Ct(zone, commit=True, mark=mended), *after), mark)


def _cut(only: Match) -> Iterator[Flow]:
    """In DROP. Its counter is the reason's too."""
    reason = DropReason.ACCESS_DENIED
    began, answers = tracked(ESTABLISHED | TRACKED, REPLY), tracked(ESTABLISHED | REPLY | TRACKED, RELATED)
    mark = COOKIE_DROPS | reason
    for state, known, cut in (
        (began, (CT_MARK, 0, TAKEN_UP), CUT),
        # what was cut already stays cut by the side that it was cut by
        (began, exact(CT_MARK, TAKEN_UP), TAKEN_UP | CUT),
        (answers, exact(CT_MARK, TAKEN_UP), TAKEN_UP | CUT_BACK),
    ):
        match = (*only, exact(REASON, reason), state, known, _WHOLE)
        outward = in_order((*match, exact(TO_PORT, 0)))
        yield Flow(Table.DROP, 110, outward, (Ct(OWN_PORT, commit=True, mark=cut),), mark)
        yield Flow(Table.DROP, 105, in_order(match), (Ct(TO_PORT, commit=True, mark=cut),), mark)


def of_scope(rdid: int, prefixes: Iterable[PackedPrefix]) -> tuple[Flow, ...]:
    """What the tag VIRTUALNETWORK means in a routing domain: as many flows of each prefix, however many there are."""
    known = tuple(prefixes)
    return tuple(
        flow
        for table, filters in _SCOPES
        for family in _FAMILIES
        for flow in _of_scope(rdid, [one for one in known if family_of(one[0]) is family], family, table, filters)
    )


def _of_scope(rdid: int, prefixes: list[PackedPrefix], family: Family, table: Table, filters: Table) -> Iterator[Flow]:
    mark = cookie(Category.NETWORK, rdid)
    ends = (family.destination, family.source)
    other_field, own_field = ends if table == Table.SCOPE_OUT else ends[::-1]
    here = (exact(RDID, rdid), *family.only)
    other, own = ([prefixed(field, int.from_bytes(a), n) for a, n in prefixes] for field in (other_field, own_field))
    inside, within = (_IS_INSIDE, Goto(filters)), (_IS_NOT_FOREIGN, Resubmit(table))
    yield from (Flow(table, 50, in_order((*here, one)), inside, mark) for one in other)
    yield from (Flow(table, 70, in_order((*here, _FOREIGN, one)), within, mark) for one in own)


def onward(port: BoundPort, address: bytes) -> Actions:
    """Where a guest's packet from this address goes once it has passed SECURITY."""
    lists = port.under(address)
    return (*_set(lists, from_zero=True), Goto(Table.TRACK_OUT)) if any(lists) else (Goto(Table.ROUTE),)


def _set(lists: tuple[int, int], *, from_zero: bool) -> tuple[Action, ...]:
    values: tuple[tuple[Field, int], ...] = ((INTERFACE_LIST, lists[0]), (SUBNET_LIST, lists[1]))
    return tuple(SetField(field, value) for field, value in values if value or not from_zero)


def of_port(port: BoundPort) -> tuple[Flow, ...]:
    """What is for a port that is under lists."""
    if not port.lists:
        return ()
    mark = cookie(Category.PORT, port.number)
    to_port = exact(TO_PORT, port.number)
    spared = [
        Flow(Table.TRACK_IN, 110, in_order((to_port, *match)), _past(port), mark)
        for match in (_unfiltered(port) if is_segment(port.vsid) else ())
    ]
    if port.brought_connections:
        ways = (Table.SCOPE_OUT, OWN_PORT, Table.ROUTE), (Table.SCOPE_IN, TO_PORT, Table.DELIVER)
        for table, field, passed in ways:
            match = in_order((exact(field, port.number), _ANSWERS, exact(CT_MARK, TAKEN_UP)))
            spared.append(Flow(table, 97, match, (Goto(passed),), mark))
    own = [(100, exact(family_of(one).destination, int.from_bytes(one)), one) for one, *_ in port.lists]
    # a table of routes may lead what is for another here
    rest = [(50, family.only[0], bytes(4 if family is IPV4 else 16)) for family in _FAMILIES]
    return (*spared, *(_into(port, *one) for one in (*own, *rest)))


def _unfiltered(port: BoundPort) -> tuple[Match, ...]:
    """What others on its logical network may always tell it. Whoever may be a DHCP server hears its clients."""
    guarded = port.limits is not None and port.limits.dhcp_guard
    return _FROM_OUTSIDE if guarded else (*_FROM_OUTSIDE, ASKS4, ASKS6)


def _into(port: BoundPort, priority: int, term: Term, address: bytes) -> Flow:
    lists = port.under(address)
    foreign = _IS_FOREIGN if priority == 50 else _IS_NOT_FOREIGN
    track: Actions = (foreign, Ct(TO_PORT, Table.SCOPE_IN)) if any(lists) else _past(port)
    match = in_order(tuple({exact(TO_PORT, port.number), *family_of(address).only, term}))
    mark = cookie(Category.PORT, port.number)
    return Flow(Table.TRACK_IN, priority, match, (*_set(lists, from_zero=False), *track), mark)


def _past(port: BoundPort) -> Actions:
    """Past the lists, and past connection tracking, by which a packet goes on as a copy too."""
    limited = port.limits is not None and port.limits.inbound_mbps
    return (FORKED, Goto(Table.DELIVER)) if limited else (Goto(Table.DELIVER),)
