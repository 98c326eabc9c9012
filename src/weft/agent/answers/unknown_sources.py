"""What a guest says under an address that it was not given and may bring: which one, and does it announce it? A service
of weft.agent.answers.services. Pure; nothing is answered, what is learnt goes to the controller.

Counted are the sender of ARP, but not 0.0.0.0, which only asks whether an address is free (RFC 5227 section 2.1.1);
what IPv6 looks for duplicates of (RFC 4862 section 5.4); the target of a neighbour advertisement; the source of any
other packet. Announced is an address by ARP for itself (RFC 5227 section 2.3), or by a neighbour advertisement, since
none is asked a guest that is not from the address it has.
"""

import struct

import dpkt

from weft.agent.answers.questions import Answer, Learnt, Question
from weft.model.values import PackedIp

_SOLICITATION, _ADVERTISEMENT = 135, 136
_TARGET = slice(8, 24)
"""Of a neighbour message, after type, code, checksum and a word (RFC 4861 section 4.3)."""


def answer(question: Question) -> Answer:
    local = question.local
    if local is None or local.learning is None:
        return Answer()
    try:
        frame = dpkt.ethernet.Ethernet(question.packet.frame)
        address, announced = _source(frame.data)
    except (dpkt.Error, AttributeError, IndexError, struct.error):
        return Answer()
    own = frame.src == local.binding.mac.to_bytes(6)
    if not own or address in local.addresses or not any(_lies_in(address, *one) for one in local.learning.prefixes):
        return Answer()
    return Answer(learnt=(Learnt(local.binding.instance_id, PackedIp(address), announced),))


def _source(packet: dpkt.Packet) -> tuple[bytes, bool]:
    """The address that it speaks under, and whether that is to announce it."""
    if isinstance(packet, dpkt.arp.ARP):
        return packet.spa, packet.spa == packet.tpa
    if isinstance(packet, dpkt.ip6.IP6) and packet.nxt == dpkt.ip.IP_PROTO_ICMP6:
        message = bytes(packet.data)
        if message[0] == _ADVERTISEMENT:
            return message[_TARGET], True
        if message[0] == _SOLICITATION and packet.src == bytes(16):
            return message[_TARGET], False
    return bytes(packet.src), False


def _lies_in(address: bytes, prefix: bytes, length: int) -> bool:
    if len(address) != len(prefix):
        return False
    free = len(prefix) * 8 - length
    return int.from_bytes(address) >> free == int.from_bytes(prefix) >> free
