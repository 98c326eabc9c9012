"""Meters over OpenFlow 1.3: setting, deleting and reading them. Pure.

Called by openflow/connection.py. One band that drops, always with a burst of its own. OpenFlow 1.3.5 sections 7.3.4.4
and 7.3.5.14. Open vSwitch deletes the flows that name a meter with the meter.
"""

import struct

from weft.agent.openflow.messages import MULTIPART_REQUEST, message
from weft.agent.switch import SwitchMeter

METER_MOD = 29
EXISTS, UNKNOWN = (12, 1), (12, 3)
"""Errors: what was to be added is there, what was to be changed is not."""
_ADD, _MODIFY, _DELETE = 0, 1, 2
_CONFIG = 10
_ALL = 0xFFFFFFFF
_MORE = 1
_DROP = 1
_FLAGS = {"kbps": 1 | 4, "pktps": 2 | 4}
_UNITS = {flags: unit for unit, flags in _FLAGS.items()}
_FIRST_RESERVED = 0xFFFF0000
"""Ids from here on are the switch's own, such as that of all packets to controllers."""
_METER = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII4x")


def add(meter: SwitchMeter, xid: int) -> bytes:
    return _set(_ADD, meter, xid)


def modify(meter: SwitchMeter, xid: int) -> bytes:
    return _set(_MODIFY, meter, xid)


def delete(number: int, xid: int) -> bytes:
    """One that is not there is no error."""
    return message(METER_MOD, xid, _METER.pack(_DELETE, 0, number))


def _set(command: int, meter: SwitchMeter, xid: int) -> bytes:
    band = _BAND.pack(_DROP, _BAND.size, meter.rate, meter.burst)
    return message(METER_MOD, xid, _METER.pack(command, _FLAGS[meter.unit], meter.id) + band)


def config_request(xid: int) -> bytes:
    return message(MULTIPART_REQUEST, xid, struct.pack("!HH4xI4x", _CONFIG, 0, _ALL))


def config_reply(body: bytes) -> tuple[list[SwitchMeter], bool]:
    """Meters of one reply, and whether more replies follow."""
    kind, flags = struct.unpack_from("!HH4x", body)
    meters: list[SwitchMeter] = []
    offset = 8
    while kind == _CONFIG and offset + _METER.size <= len(body):
        length, form, number = _METER.unpack_from(body, offset)
        bands = body[offset + _METER.size : offset + length]
        if number < _FIRST_RESERVED:
            meters.append(_meter(number, form, bands))
        offset += max(length, _METER.size)
    return meters, kind == _CONFIG and bool(flags & _MORE)


def _meter(number: int, form: int, bands: bytes) -> SwitchMeter:
    if len(bands) == _BAND.size and form in _UNITS:
        kind, _, rate, burst = _BAND.unpack(bands)
        if kind == _DROP:
            return SwitchMeter(number, _UNITS[form], rate, burst)
    return SwitchMeter(number, "", 0, 0)
