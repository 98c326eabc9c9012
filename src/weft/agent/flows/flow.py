"""A flow as a value: table, priority, match and actions, and its text as ovs-ofctl reads it.

Called by the flow builders (flows/*.py), the codec, the fake switch and the golden tests. Pure. Two flows with the
same key cannot both be in a switch: the later replaces the earlier. No actions, or no output among them, is a drop.
"""

from collections.abc import Iterable

import msgspec

from weft.agent.flows.actions import Actions, Goto, SetField, action_text, value_text
from weft.agent.flows.fields import (
    ARP_OP,
    CT_STATE,
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

Term = tuple[Field, int, int]
"""Field, value, mask. Matches if packet & mask == value; value has no bit outside mask."""

Match = tuple[Term, ...]
"""All terms must match. In the order of fields.FIELDS, so that equal matches are equal tuples; tests check that."""

FlowKey = tuple[int, int, Match]
"""Table, priority, match: what makes a flow the same flow."""


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


def tracked(on: int, off: int = 0) -> Term:
    """The term `ct_state=+on-off`, by the bits NEW to TRACKED."""
    return (CT_STATE, on, on | off)


def dropped(reason: DropReason) -> Actions:
    """Drop and count: table DROP has one flow per reason, which no change of policy removes."""
    return (SetField(REASON, int(reason)), Goto(Table.DROP))


_FRAGMENTS = {(1, 1): "yes", (0, 2): "not_later", (0, 255): "no", (1, 255): "first", (3, 255): "later"}
"""By value and mask: ovs-ofctl reads ip_frag by these names only."""

_TRACKING = ("new", "est", "rel", "rpl", "inv", "trk")
"""Bits of ct_state, lowest first."""


def term_text(term: Term) -> str:
    field, value, mask = term
    if field.form == "track":
        signs = ((name, mask >> bit & 1, value >> bit & 1) for bit, name in enumerate(_TRACKING))
        return f"{field.name}=" + "".join(("+" if is_set else "-") + name for name, asked, is_set in signs if asked)
    if field.form == "frag" and (value, mask) in _FRAGMENTS:
        return f"{field.name}={_FRAGMENTS[value, mask]}"
    shown = value_text(field, value)
    return f"{field.name}={shown}" if mask == field.all_ones else f"{field.name}={shown}/{value_text(field, mask)}"


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
