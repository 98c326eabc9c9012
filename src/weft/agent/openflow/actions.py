"""Actions as OpenFlow 1.3 has them on the wire, with Nicira's extensions. Pure; both directions.

What is encoded here decodes to the same value after Open vSwitch 3.1 has stored it and dumped it again; tests hold each
action to the bytes that it dumps. OpenFlow 1.3.5 sections 7.2.4 and 7.2.5; Open vSwitch's lib/ofp-actions.c. Goto and
Meter are instructions of their own in this version: behind and before the one that holds the other actions.
"""

import functools
import struct
from collections.abc import Callable, Iterable
from typing import Any

from weft.agent.flows.actions import (
    Action,
    Actions,
    CheckLarger,
    Controller,
    Ct,
    DecTtl,
    FlowId,
    Goto,
    InPort,
    Meter,
    Move,
    Output,
    OutputRegister,
    PopVlan,
    PushVlan,
    Resubmit,
    SetBits,
    SetField,
    SetVlan,
)
from weft.agent.flows.fields import CT_MARK, FIELDS, IN_PORT_NUMBER, VLAN_PRESENT, VLAN_TCI, Field
from weft.agent.openflow.terms import FIELD_HEADERS, FIELDS_BY_OXM, NXM_TUN_ID, SIZES, UnknownOnWire

_NICIRA = 0x2320
_OUTPUT, _PUSH_VLAN, _POP_VLAN, _DEC_TTL, _SET_FIELD, _EXPERIMENTER = 0, 17, 18, 24, 25, 0xFFFF
_NX_MOVE, _NX_LOAD, _NX_MULTIPATH, _NX_RESUBMIT, _NX_OUTPUT_REG = 6, 7, 10, 14, 15
_NX_CT, _NX_CONTROLLER2, _NX_CHECK_LARGER = 35, 37, 49
_GOTO, _APPLY, _METER = 1, 4, 6
_HRW, _SYMMETRIC_L3L4_UDP, _BASIS, _LINKS = 2, 3, 50, 256
_COMMIT, _NO_TABLE, _ZONE_BITS = 1, 0xFF, 15
_TPID = 0x8100
_USERDATA, _WHOLE = 3, 0xFFFF

_SET = {
    field: (struct.pack("!HH", _SET_FIELD, 8 + size + -size % 8) + FIELD_HEADERS[field], size, bytes(-size % 8))
    for field, size in SIZES.items()
}
_FLOW_ID = struct.pack(
    "!HHIHHHHHHIHHI",
    *(_EXPERIMENTER, 32, _NICIRA, _NX_MULTIPATH, _SYMMETRIC_L3L4_UDP, _BASIS, 0, _HRW, _LINKS - 1, 0, 0, 7),
    NXM_TUN_ID[0] << 16 | NXM_TUN_ID[1] << 9 | 8,
)
"""multipath(symmetric_l3l4+udp,50,hrw,256,0,tun_id[0..7])"""
_HEADER_NUMBERS = {field: int.from_bytes(FIELD_HEADERS[field]) for field in FIELDS}
_INSTRUCTION = struct.Struct("!HH4x")
_GOTO_TABLE = struct.Struct("!HHB3x")
_METER_ID = struct.Struct("!HHI")
_OUTPUT_TO = struct.Struct("!HHIH6x")
_TO_IN_PORT = _OUTPUT_TO.pack(_OUTPUT, 16, IN_PORT_NUMBER, 0)
_TTL_MINUS_ONE = struct.pack("!HH4x", _DEC_TTL, 8)
_PUSHED = struct.pack("!HHH2x", _PUSH_VLAN, 8, _TPID)
_POPPED = struct.pack("!HH4x", _POP_VLAN, 8)
_LOAD = struct.Struct("!HHIHHIQ")
_TO_REGISTER = struct.Struct("!HHIHHIH6x")
_SUBMIT = struct.Struct("!HHIHHB3x")
_LARGER = struct.Struct("!HHIHHHI6x")
_TRACK = struct.Struct("!HHIHHIHB3xH")
_TO_CONTROLLER = struct.Struct("!HHIH6xHHH2x")
_IN_PORT_16 = 0xFFF8


def encode_instructions(actions: Actions) -> bytes:
    """Meter, apply-actions and goto-table, as far as they are needed; nothing at all for a drop."""
    if not actions:
        return b""
    first, last = actions[0], actions[-1]
    before = after = b""
    if type(first) is Meter:
        before, actions = _METER_ID.pack(_METER, 8, first.id), actions[1:]
    if type(last) is Goto:
        after, actions = _GOTO_TABLE.pack(_GOTO, 8, last.table), actions[:-1]
    if not actions:
        return before + after
    applied = encode_actions(actions)
    return before + _INSTRUCTION.pack(_APPLY, 8 + len(applied)) + applied + after


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
    return head + FIELD_HEADERS[source] + FIELD_HEADERS[target]


def _bits(action: SetBits) -> bytes:
    """Open vSwitch has no masked set_field in OpenFlow 1.3: a load into a stretch of bits is the same."""
    mask = action.mask
    low = (mask & -mask).bit_length() - 1
    count = mask.bit_length() - low
    if mask != ((1 << count) - 1) << low or action.value & ~mask or mask == action.field.all_ones:
        raise ValueError(f"{action}: the mask is no stretch of bits with others beside it, or the value leaves it")
    place = low << 6 | count - 1
    target = _HEADER_NUMBERS[action.field]
    return _LOAD.pack(_EXPERIMENTER, 24, _NICIRA, _NX_LOAD, place, target, action.value >> low)


def _ct(action: Ct) -> bytes:
    done = encode_actions((SetField(CT_MARK, action.mark),)) if action.mark is not None else b""
    by_register = isinstance(action.zone, Field)
    source = _HEADER_NUMBERS[action.zone] if isinstance(action.zone, Field) else 0
    number = _ZONE_BITS if by_register else action.zone
    table = _NO_TABLE if action.table is None else action.table
    flags = _COMMIT if action.commit else 0
    head = (_EXPERIMENTER, 24 + len(done), _NICIRA, _NX_CT, flags, source, number, table, 0)
    return _TRACK.pack(*head) + done


def _controller(action: Controller) -> bytes:
    return _TO_CONTROLLER.pack(_EXPERIMENTER, 24, _NICIRA, _NX_CONTROLLER2, _USERDATA, 6, action.service)


def _larger(action: CheckLarger) -> bytes:
    target = _HEADER_NUMBERS[action.field]
    return _LARGER.pack(_EXPERIMENTER, 24, _NICIRA, _NX_CHECK_LARGER, action.size, action.bit, target)


def _register(action: OutputRegister) -> bytes:
    source = _HEADER_NUMBERS[action.field]
    return _TO_REGISTER.pack(_EXPERIMENTER, 24, _NICIRA, _NX_OUTPUT_REG, action.field.bits - 1, source, _WHOLE)


_ENCODE: dict[type, Callable[[Any], bytes]] = {
    Output: lambda action: _OUTPUT_TO.pack(_OUTPUT, 16, action.port, 0),
    FlowId: lambda _: _FLOW_ID,
    Move: _move,
    InPort: lambda _: _TO_IN_PORT,
    DecTtl: lambda _: _TTL_MINUS_ONE,
    SetBits: _bits,
    Ct: _ct,
    OutputRegister: _register,
    Resubmit: lambda action: _SUBMIT.pack(_EXPERIMENTER, 16, _NICIRA, _NX_RESUBMIT, _IN_PORT_16, action.table),
    CheckLarger: _larger,
    Controller: _controller,
    PushVlan: lambda _: _PUSHED,
    PopVlan: lambda _: _POPPED,
    SetVlan: lambda action: encode_actions((SetField(VLAN_TCI, VLAN_PRESENT | action.vlan),)),
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
        elif kind == _METER and not actions:
            actions.append(Meter(int.from_bytes(data[offset + 4 : offset + 8])))
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


_PLAIN: dict[bytes, Action] = {
    _FLOW_ID: FlowId(),
    _TO_IN_PORT: InPort(),
    _TTL_MINUS_ONE: DecTtl(),
    _PUSHED: PushVlan(),
    _POPPED: PopVlan(),
}
"""Those that have nothing in them, by their bytes."""


def _decode_action(kind: int, data: bytes) -> Action:
    if kind == _SET_FIELD:
        field = _field_at(data, 4)
        value = int.from_bytes(data[8 : 8 + SIZES[field]])
        return SetVlan(value & ~VLAN_PRESENT) if field is VLAN_TCI else SetField(field, value)
    if plain := _PLAIN.get(data):
        return plain
    if kind == _OUTPUT and (port := int.from_bytes(data[4:8])) != IN_PORT_NUMBER:
        return Output(port)
    if kind == _EXPERIMENTER and data[4:8] == _NICIRA.to_bytes(4) and len(data) >= 16:
        subtype = int.from_bytes(data[8:10])
        try:
            action = _DECODE[subtype](data) if subtype in _DECODE else None
        except (struct.error, ValueError) as error:
            raise UnknownOnWire(f"action {subtype} of Nicira's: {data.hex()}") from error
        # whatever has more in it than our own form of it is another hand's
        if action is not None and encode_actions((action,)) == _with_our_names(action, data):
            return action
    raise UnknownOnWire(f"action {kind}: {data.hex()}")


def _with_our_names(action: Action, data: bytes) -> bytes:
    """A move's fields may stand in the dump by their older names."""
    return _move(action) if isinstance(action, Move) else data


def _decode_move(data: bytes) -> Action | None:
    bits, source_offset, target_offset = struct.unpack_from("!HHH", data, 10)
    source, target = _field_at(data, 16), _field_at(data, 20)
    whole = source_offset == target_offset == 0 and bits == source.bits == target.bits
    return Move(source, target) if whole else None


def _decode_bits(data: bytes) -> Action:
    place, field, value = int.from_bytes(data[10:12]), _field_at(data, 12), int.from_bytes(data[16:24])
    low, count = place >> 6, (place & 0x3F) + 1
    return SetBits(field, value << low, ((1 << count) - 1) << low)


def _decode_ct(data: bytes) -> Action:
    flags, source, number, table, _ = struct.unpack_from("!HIHB3xH", data, 10)
    mark = None
    if done := _decode_actions(data[24:]):
        if len(done) != 1 or not isinstance(done[0], SetField) or done[0].field is not CT_MARK:
            raise UnknownOnWire(f"ct with {done}")
        mark = done[0].value
    zone = _field_at(data, 12) if source else number
    return Ct(zone, None if table == _NO_TABLE else table, commit=bool(flags & _COMMIT), mark=mark)


def _decode_larger(data: bytes) -> Action:
    size, bit = struct.unpack_from("!HH", data, 10)
    return CheckLarger(size, _field_at(data, 14), bit)


_DECODE: dict[int, Callable[[bytes], Action | None]] = {
    _NX_MOVE: _decode_move,
    _NX_LOAD: _decode_bits,
    _NX_CT: _decode_ct,
    _NX_OUTPUT_REG: lambda data: OutputRegister(_field_at(data, 12)),
    _NX_RESUBMIT: lambda data: Resubmit(data[12]),
    _NX_CHECK_LARGER: _decode_larger,
    _NX_CONTROLLER2: lambda data: Controller(int.from_bytes(data[20:22])),
}


def _field_at(data: bytes, offset: int) -> Field:
    oxm_class, number = struct.unpack_from("!HB", data, offset)
    field = FIELDS_BY_OXM.get((oxm_class, number >> 1))
    if field is None or number & 1:
        raise UnknownOnWire(f"field {oxm_class:#x}:{number >> 1} in an action")
    return field
