"""Matches as OpenFlow 1.3 has them on the wire, with Nicira's fields. Pure; both directions.

What is encoded here decodes to the same value after Open vSwitch has stored it and dumped it again: that is how the
agent compares a switch with its policy. OpenFlow 1.3.5 section 7.2.3; Open vSwitch's ovs-fields(7).
"""

import struct
from collections.abc import Iterable, Iterator

from weft.agent.flows.fields import (
    ARP_SHA,
    ARP_SPA,
    ARP_THA,
    ARP_TPA,
    ETH_DST,
    ETH_SRC,
    FIELD_ORDER,
    FIELDS,
    IP_DST,
    IP_SRC,
    IPV6_DST,
    IPV6_SRC,
    ND_TLL,
    NEXT_HOP,
    NEXT_HOP6,
    TCP_FLAGS,
    TUN_ID,
    Field,
)
from weft.agent.flows.flow import Match, Term

_MATCH_OXM = 1
NXM_TUN_ID = (0x0001, 16)
"""Nicira's older name of tun_id, which Open vSwitch writes inside multipath."""


_EXPERIMENTER, _ONF = 0xFFFF, 0x4F4E4600
"""OXM class of a field with the number of whose it is, of four bytes, before its value; the ONF's number."""


class UnknownOnWire(Exception):
    """Something that our flows never use: the flow is another hand's."""


def _header(field: Field, *, mask: bool = False) -> bytes:
    size = field.bits // 8
    return struct.pack("!HBB", field.oxm[0], field.oxm[1] << 1 | mask, size * 2 if mask else size)


FIELD_HEADERS = {field: _header(field) for field in FIELDS}
_MASKED = {field: _header(field, mask=True) for field in FIELDS}
_OLDER_NAMES = {
    (0x0000, 1): ETH_DST,
    (0x0000, 2): ETH_SRC,
    (0x0000, 7): IP_SRC,
    (0x0000, 8): IP_DST,
    (0x0000, 16): ARP_SPA,
    (0x0000, 17): ARP_TPA,
    NXM_TUN_ID: TUN_ID,
    (0x0001, 17): ARP_SHA,
    (0x0001, 18): ARP_THA,
    (0x0001, 19): IPV6_SRC,
    (0x0001, 20): IPV6_DST,
    (0x0001, 25): ND_TLL,
    (_ONF, 42): TCP_FLAGS,
}
"""How Open vSwitch dumps the fields of a move: NXM's names, older than OpenFlow's; and one that only a later OpenFlow
has."""
FIELDS_BY_OXM = {field.oxm: field for field in FIELDS} | _OLDER_NAMES
SIZES = {field: field.bits // 8 for field in FIELDS}
_PADDING = [bytes(length) for length in range(8)]
_MATCH_HEAD = struct.Struct("!HH")
_OXM = {field: (FIELD_HEADERS[field], SIZES[field], field.all_ones) for field in FIELDS}
_HIDDEN_REGISTERS = {(0x0001, 5): 64, (0x0001, 6): 32, (0x0001, 7): 0}
"""reg5 to reg7, the lower three quarters of NEXT_HOP6: a dump shows it as four registers."""


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
    for place, value, mask in _terms(data):
        if place in _HIDDEN_REGISTERS:
            low |= value << _HIDDEN_REGISTERS[place]
            low_mask |= mask << _HIDDEN_REGISTERS[place]
            continue
        field = FIELDS_BY_OXM.get(place)
        if field is None:
            raise UnknownOnWire(f"match field {place[0]:#x}:{place[1]}")
        terms.append((field, value, mask))
    if low_mask:
        terms = [_joined(term, low, low_mask) if term[0] is NEXT_HOP else term for term in terms]
    terms.sort(key=lambda term: FIELD_ORDER[term[0]])
    return tuple(terms)


def decode_known(data: bytes) -> tuple[Term, ...]:
    """The terms of it that are fields of ours, in the order of the wire; the others are left out."""
    return tuple((FIELDS_BY_OXM[place], value, mask) for place, value, mask in _terms(data) if place in FIELDS_BY_OXM)


def _terms(data: bytes) -> Iterator[tuple[tuple[int, int], int, int]]:
    """(class and number, value, mask) of each."""
    offset = 0
    while offset + 4 <= len(data):
        oxm_class, number, length = struct.unpack_from("!HBB", data, offset)
        body = data[offset + 4 : offset + 4 + length]
        offset += 4 + length
        if oxm_class == _EXPERIMENTER:
            oxm_class, body, length = int.from_bytes(body[:4]), body[4:], length - 4
        half = length // 2 if number & 1 else length
        value = int.from_bytes(body[:half])
        mask = int.from_bytes(body[half:]) if number & 1 else (1 << 8 * half) - 1
        yield (oxm_class, number >> 1), value, mask


def _joined(high: Term, low: int, low_mask: int) -> Term:
    _, value, mask = high
    return (NEXT_HOP6, value << 96 | low, mask << 96 | low_mask)
