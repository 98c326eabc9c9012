"""The rules of OpenFlow as a switch keeps them: which flows it accepts. What these do with a packet: passage.py.

Called by fakes.switch. Written from the OpenFlow 1.3 specification (sections 5 and 7.2.3) and Open vSwitch's
ovs-fields(7), not from the flow builders, so that it can disagree with them. Field names are those of ovs-ofctl.
"""

from weft.agent.flows.actions import (
    Action,
    Ct,
    DecTtl,
    Goto,
    Meter,
    Move,
    PopVlan,
    PushVlan,
    SetBits,
    SetField,
    SetVlan,
)
from weft.agent.flows.flow import Flow

TABLES = 254
VLAN_PRESENT = 0x1000

Requirement = tuple[str, frozenset[int]]


def _needs(name: str, *values: int) -> Requirement:
    return name, frozenset(values)


_V4 = (_needs("eth_type", 0x0800),)
_V6 = (_needs("eth_type", 0x86DD),)
_IP = (_needs("eth_type", 0x0800, 0x86DD),)
_ARP = (_needs("eth_type", 0x0806, 0x8035),)
_ICMPV6 = (*_V6, _needs("ip_proto", 58))
_ND = (*_ICMPV6, _needs("icmpv6_type", 135, 136))

PREREQUISITES: dict[str, tuple[Requirement, ...]] = {
    **dict.fromkeys(("ip_src", "ip_dst"), _V4),
    **dict.fromkeys(("ipv6_src", "ipv6_dst"), _V6),
    **dict.fromkeys(("ip_proto", "nw_ttl", "ip_frag", "ct"), _IP),
    **dict.fromkeys(("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"), _ARP),
    **dict.fromkeys(("tcp_src", "tcp_dst", "tcp_flags"), (*_IP, _needs("ip_proto", 6))),
    **dict.fromkeys(("udp_src", "udp_dst"), (*_IP, _needs("ip_proto", 17))),
    **dict.fromkeys(("icmp_type", "icmp_code"), (*_V4, _needs("ip_proto", 1))),
    **dict.fromkeys(("icmpv6_type", "icmpv6_code"), _ICMPV6),
    "vlan_vid": (_needs("vlan", 1),),
    **dict.fromkeys(("nd_target", "nd_reserved", "nd_options_type"), _ND),
    "nd_sll": (*_ICMPV6, _needs("icmpv6_type", 135)),
    "nd_tll": (*_ICMPV6, _needs("icmpv6_type", 136)),
}

EXACT_ONLY = frozenset(
    "in_port eth_type ip_proto nw_ttl arp_op icmp_type icmp_code icmpv6_type icmpv6_code nd_options_type".split()
)
READ_ONLY = frozenset(("eth_type", "ip_proto", "ip_frag", "ct_state", "ct_zone", "ct_mark"))


class Refused(Exception):
    """The switch does not take this flow; the message says why, as Open vSwitch would."""


def check(flow: Flow) -> None:
    """Raises Refused for a flow that a switch would not take."""
    given: dict[str, int] = {}
    for field, value, mask in flow.match:
        if field.name in given:
            raise Refused(f"{field.name} stands twice in the match")
        if value & ~mask or value >> field.bits or mask >> field.bits:
            raise Refused(f"{field.name}: the value has bits that its mask or its width does not cover")
        if field.name in EXACT_ONLY and mask != field.all_ones:
            raise Refused(f"{field.name} takes no mask")
        _check_prerequisites(field.name, given)
        given[field.name] = value if mask == field.all_ones else -1
        if field.name == "vlan_tci":
            given["vlan"] = int(bool(value & mask & VLAN_PRESENT))
    for place, action in enumerate(flow.actions):
        if isinstance(action, Meter) and place:
            raise Refused("meter must be the first action")
        if isinstance(action, Goto) and place < len(flow.actions) - 1:
            raise Refused("goto_table is not the last action")
        _check_action(flow, action, given)
        if isinstance(action, PushVlan | PopVlan):
            given["vlan"] = int(isinstance(action, PushVlan))


def _check_prerequisites(name: str, given: dict[str, int]) -> None:
    for needed, allowed in PREREQUISITES.get(name, ()):
        if given.get(needed) not in allowed:
            raise Refused(f"{name} lacks its prerequisite {needed}")


def _check_action(flow: Flow, action: Action, given: dict[str, int]) -> None:
    match action:
        case SetField() | SetBits() | SetVlan() | PopVlan():
            _check_change(action, given)
        case Move(source, target):
            if source.bits != target.bits:
                raise Refused(f"move: {source.name} and {target.name} differ in width")
            _check_prerequisites(source.name, given)
            _check_writable(target.name, given)
        case DecTtl():
            _check_prerequisites("nw_ttl", given)
        case Goto(table):
            if not flow.table < table <= TABLES:
                raise Refused(f"goto_table {int(table)} does not lead onward from table {int(flow.table)}")
        case Ct():
            _check_prerequisites("ct", given)
            if action.mark is not None and not action.commit:
                raise Refused("ct: only a connection that is committed can be given a mark")
        case _:
            pass


def _check_change(action: SetField | SetBits | SetVlan | PopVlan, given: dict[str, int]) -> None:
    match action:
        case SetField(field, value):
            if value >> field.bits:
                raise Refused(f"set_field: the value is wider than {field.name}")
            _check_writable(field.name, given)
        case SetBits(field, value, mask):
            if value & ~mask or mask >> field.bits:
                raise Refused(f"set_field: {field.name} has no such bits")
            _check_writable(field.name, given)
        case _:
            _check_prerequisites("vlan_vid", given)


def _check_writable(name: str, given: dict[str, int]) -> None:
    if name in READ_ONLY:
        raise Refused(f"{name} cannot be written")
    _check_prerequisites(name, given)
