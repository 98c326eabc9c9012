"""A flow as a value: table, priority, match and actions, and its text as ovs-ofctl reads it.

Called by the flow builders (flows_*.py), the codec, the fake switch and the golden tests. Pure. Two flows with the
same key cannot both be in a switch: the later replaces the earlier. No actions, or no output among them, is a drop.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from weft.agent.fields import (
    ARP_OP,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_TYPE,
    FIELD_ORDER,
    FIELDS,
    ICMPV6_TYPE,
    IP_PROTO,
    PROTO_ICMPV6,
    REASON,
    DropReason,
    Field,
    Table,
)
from weft.model.values import mac_colons

Term = tuple[Field, int, int]
"""Field, value, mask. Matches if packet & mask == value; value has no bit outside mask."""

Match = tuple[Term, ...]
"""All terms must match. In the order of fields.FIELDS, so that equal matches are equal tuples; tests check that."""

FlowKey = tuple[int, int, Match]
"""Table, priority, match: what makes a flow the same flow."""


class Output(msgspec.Struct, frozen=True, gc=False, tag=True):
    """To an OpenFlow port; to the port it came in by this does nothing, use InPort."""

    port: int


class InPort(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Back where it came from; on a tunnel port, into a tunnel again with the tunnel fields as they are now."""


class SetField(msgspec.Struct, frozen=True, gc=False, tag=True):
    field: Field
    value: int


class Move(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Copy a whole field onto another of the same width."""

    source: Field
    target: Field


class DecTtl(msgspec.Struct, frozen=True, gc=False, tag=True):
    """TTL or hop limit minus one; our flows have caught 0 and 1 before."""


class FlowId(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Bits 0..7 of tun_id from the inner 5-tuple, both directions alike (RFC 7637 section 3.2)."""


class Goto(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Go on in a later table with the packet as it is now; always the last action."""

    table: int


Action = Output | InPort | SetField | Move | DecTtl | FlowId | Goto
Actions = tuple[Action, ...]


class Flow(msgspec.Struct, frozen=True, gc=False):
    """One flow. Higher priority wins within a table; the first action is carried out first."""

    table: int
    priority: int
    match: Match
    actions: Actions
    cookie: int

    @property
    def key(self) -> FlowKey:
        return (self.table, self.priority, self.match)


_ALL_ONES = {field: field.all_ones for field in FIELDS}


def exact(field: Field, value: int) -> Term:
    """The term `field=value`."""
    return (field, value, _ALL_ONES[field])


def prefixed(field: Field, value: int, length: int) -> Term:
    """The term `field=value/length`, an address prefix."""
    mask = ((1 << length) - 1) << (field.bits - length)
    return (field, value & mask, mask)


def in_order(match: Match) -> Match:
    """Bring terms into canonical order."""
    return tuple(sorted(match, key=lambda term: FIELD_ORDER[term[0]]))


IS_IPV4: Match = (exact(ETH_TYPE, ETH_IPV4),)
IS_IPV6: Match = (exact(ETH_TYPE, ETH_IPV6),)
IS_ARP: Match = (exact(ETH_TYPE, ETH_ARP),)
IS_ARP_REQUEST: Match = (*IS_ARP, exact(ARP_OP, 1))
IS_ICMPV6: Match = (*IS_IPV6, exact(IP_PROTO, PROTO_ICMPV6))


def is_icmpv6(kind: int) -> Match:
    """ICMPv6 of one type: 133 to 137 are neighbour discovery (RFC 4861)."""
    return (*IS_ICMPV6, exact(ICMPV6_TYPE, kind))


def dropped(reason: DropReason) -> Actions:
    """Drop and count: table DROP has one flow per reason, which no change of policy removes."""
    return (SetField(REASON, int(reason)), Goto(Table.DROP))


def value_text(field: Field, value: int) -> str:
    """A field's value as ovs-ofctl writes it."""
    if field.form == "mac":
        return mac_colons(value)
    if field.form == "ipv4":
        return str(ipaddress.IPv4Address(value))
    if field.form == "ipv6":
        return str(ipaddress.IPv6Address(value))
    return f"0x{value:x}" if field.form == "hex" else str(value)


_FRAGMENTS = {(1, 1): "yes", (0, 2): "not_later", (0, 255): "no", (1, 255): "first", (3, 255): "later"}
"""By value and mask: ovs-ofctl reads ip_frag by these names only."""


def term_text(term: Term) -> str:
    field, value, mask = term
    if field.form == "frag" and (value, mask) in _FRAGMENTS:
        return f"{field.name}={_FRAGMENTS[value, mask]}"
    shown = value_text(field, value)
    return f"{field.name}={shown}" if mask == field.all_ones else f"{field.name}={shown}/{value_text(field, mask)}"


def action_text(action: Action) -> str:
    match action:
        case Output(port):
            return f"output:{port}"
        case InPort():
            return "in_port"
        case SetField(field, value):
            return f"set_field:{value_text(field, value)}->{field.name}"
        case Move(source, target):
            return f"move:{source.name}[]->{target.name}[]"
        case DecTtl():
            return "dec_ttl"
        case FlowId():
            return "multipath(symmetric_l3l4+udp,50,hrw,256,0,tun_id[0..7])"
        case Goto(table):
            return f"goto_table:{int(table)}"


def match_text(match: Match) -> str:
    return ",".join(term_text(term) for term in match)


def flow_text(flow: Flow) -> str:
    """One line for `ovs-ofctl add-flow`."""
    head = [f"cookie=0x{flow.cookie:x}", f"table={int(flow.table)}", f"priority={flow.priority}"]
    if flow.match:
        head.append(match_text(flow.match))
    actions = ",".join(action_text(action) for action in flow.actions) or "drop"
    return f"{','.join(head)} actions={actions}"


def flows_text(flows: Iterable[Flow]) -> str:
    """Many flows in pipeline order, highest priority first: for `ovs-ofctl --bundle add-flows` and golden files."""
    ordered = sorted(flows, key=lambda flow: (flow.table, -flow.priority, match_text(flow.match)))
    return "".join(flow_text(flow) + "\n" for flow in ordered)
