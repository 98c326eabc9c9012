"""Matches and actions as OpenFlow 1.3 has them on the wire, with Nicira's extensions. Pure; both directions.

What is encoded here decodes to the same value after Open vSwitch has stored it and dumped it again: that is how the
agent compares a switch with its policy. OpenFlow 1.3.5 sections 7.2.3 to 7.2.5; Open vSwitch lib/ofp-actions.
"""

import functools
import struct
from collections.abc import Callable, Iterable
from typing import Any

from weft.agent.fields import (
    ARP_SHA,
    ARP_SPA,
    ARP_THA,
    ARP_TPA,
    ETH_DST,
    ETH_SRC,
    FIELD_ORDER,
    FIELDS,
    IN_PORT_NUMBER,
    IP_DST,
    IP_SRC,
    IPV6_DST,
    IPV6_SRC,
    ND_TLL,
    NEXT_HOP,
    NEXT_HOP6,
    TUN_ID,
    Field,
)
from weft.agent.flow import (
    Action,
    Actions,
    DecTtl,
    FlowId,
    Goto,
    InPort,
    Match,
    Move,
    Output,
    SetField,
    Term,
)

_NICIRA = 0x2320
_OUTPUT, _DEC_TTL, _SET_FIELD, _EXPERIMENTER = 0, 24, 25, 0xFFFF
_NX_MOVE, _NX_MULTIPATH = 6, 10
_GOTO, _APPLY = 1, 4
_MATCH_OXM = 1
_NXM_TUN_ID = (0x0001, 16)
"""Nicira's older name of tun_id, which Open vSwitch writes inside multipath."""
_HRW, _SYMMETRIC_L3L4_UDP, _BASIS, _LINKS = 2, 3, 50, 256


class UnknownOnWire(Exception):
    """Something that our flows never use: the flow is another hand's."""


def _header(field: Field, *, mask: bool = False) -> bytes:
    size = field.bits // 8
    return struct.pack("!HBB", field.oxm[0], field.oxm[1] << 1 | mask, size * 2 if mask else size)


_EXACT = {field: _header(field) for field in FIELDS}
_MASKED = {field: _header(field, mask=True) for field in FIELDS}
_OLDER_NAMES = {
    (0x0000, 1): ETH_DST,
    (0x0000, 2): ETH_SRC,
    (0x0000, 7): IP_SRC,
    (0x0000, 8): IP_DST,
    (0x0000, 16): ARP_SPA,
    (0x0000, 17): ARP_TPA,
    _NXM_TUN_ID: TUN_ID,
    (0x0001, 17): ARP_SHA,
    (0x0001, 18): ARP_THA,
    (0x0001, 19): IPV6_SRC,
    (0x0001, 20): IPV6_DST,
    (0x0001, 25): ND_TLL,
}
"""How Open vSwitch dumps the fields of a move: NXM's names, older than OpenFlow's."""
_BY_OXM = {field.oxm: field for field in FIELDS} | _OLDER_NAMES
_SIZE = {field: field.bits // 8 for field in FIELDS}
_PADDING = [bytes(length) for length in range(8)]
_MATCH_HEAD = struct.Struct("!HH")
_OXM = {field: (_EXACT[field], _SIZE[field], field.all_ones) for field in FIELDS}
_SET = {
    field: (struct.pack("!HH", _SET_FIELD, 8 + size + -size % 8) + _EXACT[field], size, bytes(-size % 8))
    for field, size in _SIZE.items()
}
_HIDDEN_REGISTERS = {(0x0001, 5): 64, (0x0001, 6): 32, (0x0001, 7): 0}
"""reg5 to reg7, the lower three quarters of NEXT_HOP6: a dump shows it as four registers."""
_FLOW_ID = struct.pack(
    "!HHIHHHHHHIHHI",
    *(_EXPERIMENTER, 32, _NICIRA, _NX_MULTIPATH, _SYMMETRIC_L3L4_UDP, _BASIS, 0, _HRW, _LINKS - 1, 0, 0, 7),
    _NXM_TUN_ID[0] << 16 | _NXM_TUN_ID[1] << 9 | 8,
)
"""multipath(symmetric_l3l4+udp,50,hrw,256,0,tun_id[0..7])"""


def encode_match(match: Iterable[Term]) -> bytes:
    """ofp_match, padded to 8 bytes."""
    body = b""
    for field, value, mask in match:
        head, size, all_ones = _OXM[field]
        if mask == all_ones:
            body += head + value.to_bytes(size)
        else:
            body += _MASKED[field] + value.to_bytes(size) + mask.to_bytes(size)
    length = 4 + len(body)
    return _MATCH_HEAD.pack(_MATCH_OXM, length) + body + _PADDING[-length % 8]


def decode_match(data: bytes) -> Match:
    """The body of ofp_match, without its header and padding, in canonical order. Raises UnknownOnWire."""
    terms: list[Term] = []
    low = low_mask = 0
    offset = 0
    while offset < len(data):
        oxm_class, number, length = struct.unpack_from("!HBB", data, offset)
        body = data[offset + 4 : offset + 4 + length]
        offset += 4 + length
        place = (oxm_class, number >> 1)
        half = length // 2 if number & 1 else length
        value = int.from_bytes(body[:half])
        mask = int.from_bytes(body[half:]) if number & 1 else (1 << 8 * half) - 1
        if place in _HIDDEN_REGISTERS:
            low |= value << _HIDDEN_REGISTERS[place]
            low_mask |= mask << _HIDDEN_REGISTERS[place]
            continue
        field = _BY_OXM.get(place)
        if field is None:
            raise UnknownOnWire(f"match field {oxm_class:#x}:{number >> 1}")
        terms.append((field, value, mask))
    if low_mask:
        terms = [_joined(term, low, low_mask) if term[0] is NEXT_HOP else term for term in terms]
    terms.sort(key=lambda term: FIELD_ORDER[term[0]])
    return tuple(terms)


def _joined(high: Term, low: int, low_mask: int) -> Term:
    _, value, mask = high
    return (NEXT_HOP6, value << 96 | low, mask << 96 | low_mask)


def encode_instructions(actions: Actions) -> bytes:
    """Apply-actions and goto-table; nothing at all for a drop."""
    if not actions:
        return b""
    last = actions[-1]
    if not isinstance(last, Goto):
        applied = encode_actions(actions)
        return _INSTRUCTION.pack(_APPLY, 8 + len(applied)) + applied
    goto = _GOTO_TABLE.pack(_GOTO, 8, last.table)
    if len(actions) == 1:
        return goto
    applied = encode_actions(actions[:-1])
    return _INSTRUCTION.pack(_APPLY, 8 + len(applied)) + applied + goto


def encode_actions(actions: Iterable[Action]) -> bytes:
    """A list of actions, without an instruction around it."""
    encoded = b""
    for action in actions:
        if type(action) is SetField:
            head, size, padding = _SET[action.field]
            encoded += head + action.value.to_bytes(size) + padding
        else:
            encoded += _ENCODE[type(action)](action)
    return encoded


@functools.cache  # there are as many as pairs of fields
def _move(action: Move) -> bytes:
    source, target = action.source, action.target
    head = struct.pack("!HHIHHHH", _EXPERIMENTER, 24, _NICIRA, _NX_MOVE, source.bits, 0, 0)
    return head + _EXACT[source] + _EXACT[target]


_INSTRUCTION = struct.Struct("!HH4x")
_GOTO_TABLE = struct.Struct("!HHB3x")
_OUTPUT_TO = struct.Struct("!HHIH6x")
_TO_IN_PORT = _OUTPUT_TO.pack(_OUTPUT, 16, IN_PORT_NUMBER, 0)
_TTL_MINUS_ONE = struct.pack("!HH4x", _DEC_TTL, 8)
_ENCODE: dict[type, Callable[[Any], bytes]] = {
    Output: lambda action: _OUTPUT_TO.pack(_OUTPUT, 16, action.port, 0),
    FlowId: lambda _: _FLOW_ID,
    Move: _move,
    InPort: lambda _: _TO_IN_PORT,
    DecTtl: lambda _: _TTL_MINUS_ONE,
}
"""By type of action, but SetField: a full load encodes half a million of them."""


def decode_instructions(data: bytes) -> Actions:
    """Raises UnknownOnWire."""
    actions: list[Action] = []
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from("!HH", data, offset)
        if kind == _APPLY:
            actions += _decode_actions(data[offset + 8 : offset + length])
        elif kind == _GOTO:
            actions.append(Goto(data[offset + 4]))
        else:
            raise UnknownOnWire(f"instruction {kind}")
        offset += length
    return tuple(actions)


def _decode_actions(data: bytes) -> list[Action]:
    actions = []
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from("!HH", data, offset)
        if length < 8:
            raise UnknownOnWire(f"action {kind} of {length} bytes")
        actions.append(_decode_action(kind, data[offset : offset + length]))
        offset += length
    return actions


def _decode_action(kind: int, data: bytes) -> Action:
    if kind == _SET_FIELD:
        field = _field_at(data, 4)
        return SetField(field, int.from_bytes(data[8 : 8 + _SIZE[field]]))
    if kind == _OUTPUT:
        port: int = struct.unpack_from("!I", data, 4)[0]
        return InPort() if port == IN_PORT_NUMBER else Output(port)
    if kind == _DEC_TTL:
        return DecTtl()
    if kind == _EXPERIMENTER and data[4:8] == _NICIRA.to_bytes(4):
        if data == _FLOW_ID:
            return FlowId()
        subtype, bits, source_offset, target_offset = struct.unpack_from("!HHHH", data, 8)
        if subtype == _NX_MOVE and source_offset == target_offset == 0:
            source, target = _field_at(data, 16), _field_at(data, 20)
            if bits == source.bits == target.bits:
                return Move(source, target)
    raise UnknownOnWire(f"action {kind}: {data.hex()}")


def _field_at(data: bytes, offset: int) -> Field:
    oxm_class, number = struct.unpack_from("!HB", data, offset)
    field = _BY_OXM.get((oxm_class, number >> 1))
    if field is None or number & 1:
        raise UnknownOnWire(f"field {oxm_class:#x}:{number >> 1} in an action")
    return field
