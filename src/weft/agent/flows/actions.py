"""What a flow does with a packet, one value per action, and its text as ovs-ofctl reads it.

Called by whoever builds flows, by the codec (openflow/actions.py) and by the fake switch. Pure. Each action decodes
from a dump of Open vSwitch 3.1 to the value that it was encoded from.
"""

import ipaddress

import msgspec

from weft.agent.flows.fields import VLAN_PRESENT, Field
from weft.model.values import mac_colons


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


class SetBits(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Set the bits of `mask`, which lie side by side in a field of at most 64 bits; the others stay."""

    field: Field
    value: int
    mask: int


class Ct(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Connection tracking of an IP packet; prerequisite is its eth_type.

    With `table` the packet goes on there with ct_state, ct_zone and ct_mark set, and nothing else may follow that
    depends on them: what stands behind this action still has the packet as it was. With `commit` its connection is
    made or kept, and the actions behind go on.
    """

    zone: Field | int
    """Number of the zone, or the register whose low 16 bits hold it."""
    table: int | None = None
    commit: bool = False
    mark: int | None = None
    """ct_mark to write to the connection; with commit only."""


class Meter(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Drop what is above the rate of a meter that the switch has. The first action of its flow, and the only one of its
    kind there: in OpenFlow 1.3 it is an instruction."""

    id: int


class OutputRegister(msgspec.Struct, frozen=True, gc=False, tag=True):
    """To the port whose number a register holds."""

    field: Field


class Resubmit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What a table, this one or a later, makes of the packet, then the next action here; what was changed there stays
    changed, and if a meter dropped it there, it is gone for what stands behind too."""

    table: int


class CheckLarger(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Set a bit of a register if the frame has more than `size` bytes (without its checksum), else clear it.

    What stands behind it in its flow is done with a copy: what a meter drops there, or what is changed, is neither
    dropped nor changed for whoever resubmitted the packet (OVS_ACTION_ATTR_CHECK_PKT_LEN)."""

    size: int
    field: Field
    bit: int


class Controller(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The packet as it is now, whole, to the agent, for one of its services (weft.agent.answers.services).

    Open vSwitch buffers no packets, and so cuts none."""

    service: int
    """Which one, 16 bits; it stands in the action's userdata, so no register is needed."""


class PushVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An 802.1Q tag with VLAN 0; SetVlan follows."""


class SetVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """VLAN of the tag that is there."""

    vlan: int


class PopVlan(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Take the tag away; prerequisite is a match on it."""


class Goto(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Go on in a later table with the packet as it is now; always the last action."""

    table: int


Action = (
    Output
    | InPort
    | OutputRegister
    | Controller
    | SetField
    | SetBits
    | Move
    | DecTtl
    | FlowId
    | CheckLarger
    | PushVlan
    | SetVlan
    | PopVlan
    | Ct
    | Meter
    | Resubmit
    | Goto
)
Actions = tuple[Action, ...]


def value_text(field: Field, value: int) -> str:
    """A field's value as ovs-ofctl writes it."""
    if field.form == "mac":
        return mac_colons(value)
    if field.form == "ipv4":
        return str(ipaddress.IPv4Address(value))
    if field.form == "ipv6":
        return str(ipaddress.IPv6Address(value))
    return f"0x{value:x}" if field.form == "hex" else str(value)


def action_text(action: Action) -> str:
    """An action as ovs-ofctl reads it."""
    match action:
        case Output(port):
            return f"output:{port}"
        case InPort():
            return "in_port"
        case SetField(field, value):
            return f"set_field:{value_text(field, value)}->{field.name}"
        case SetBits(field, value, mask):
            return f"set_field:{value_text(field, value)}/{value_text(field, mask)}->{field.name}"
        case Move(source, target):
            return f"move:{source.name}[]->{target.name}[]"
        case Goto(table):
            return f"goto_table:{int(table)}"
        case Ct():
            return _ct_text(action)
        case Controller(service):
            return f"controller(userdata={service >> 8:02x}.{service & 0xFF:02x})"
        case CheckLarger(size, field, bit):
            return f"check_pkt_larger({size})->{field.name}[{bit}]"
        case _:
            return _plain_text(action)


_FIXED_TEXT: dict[type, str] = {
    DecTtl: "dec_ttl",
    FlowId: "multipath(symmetric_l3l4+udp,50,hrw,256,0,tun_id[0..7])",
    PushVlan: "push_vlan:0x8100",
    PopVlan: "pop_vlan",
}


def _plain_text(action: Action) -> str:
    match action:
        case Meter(number):
            return f"meter:{number}"
        case OutputRegister(field):
            return f"output:{field.name}[]"
        case Resubmit(table):
            return f"resubmit(,{int(table)})"
        case SetVlan(vlan):
            return f"set_field:{VLAN_PRESENT | vlan}->vlan_vid"
        case _:
            return _FIXED_TEXT[type(action)]


def _ct_text(action: Ct) -> str:
    zone = f"{action.zone.name}[0..15]" if isinstance(action.zone, Field) else str(action.zone)
    words = ["commit"] if action.commit else []
    words += [f"table={int(action.table)}"] if action.table is not None else []
    words.append(f"zone={zone}")
    words += [f"exec(set_field:0x{action.mark:x}->ct_mark)"] if action.mark is not None else []
    return f"ct({','.join(words)})"
