"""What a router says of packets that it cannot carry on: time exceeded, and too large for the tunnel. Services of
weft.agent.answers.services. Pure.

From the gateway address of the guest's own subnet. Nothing is said of ICMP errors, of fragments but the first, of what
went to many, or came from nowhere (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
"""

import struct

import dpkt

from weft.agent.answers import replies
from weft.agent.answers.questions import V4, Answer, Question
from weft.agent.flows.fields import RDID
from weft.agent.switch import to_port
from weft.model.values import Rdid

QUOTED = {4: 548, 16: 1232}
"""Bytes of the packet that an error quotes at most: answers stay within 576 (RFC 1812 section 4.3.2.3) and 1280."""
_ERRORS4 = frozenset((3, 4, 5, 11, 12))
_TIME_EXCEEDED, _TIME_EXCEEDED6 = (11, 0), (3, 0)
_FRAGMENTATION_NEEDED, _PACKET_TOO_BIG = (3, 4), (2, 0)


def time_exceeded(question: Question) -> Answer:
    """The packet would need one more hop than its TTL has: so traceroute sees the router."""
    return _error(question, _TIME_EXCEEDED, _TIME_EXCEEDED6, bytes(4), bytes(4))


def too_large(question: Question) -> Answer:
    """The packet does not fit the tunnel: the sender learns what does (RFC 1191, RFC 8201)."""
    # of the network that it was routed into, which may be a peered one with another encapsulation
    mtu = question.table.tunnel_mtu(Rdid(question.packet.field(RDID))) or question.mtu
    return _error(question, _FRAGMENTATION_NEEDED, _PACKET_TOO_BIG, struct.pack("!HH", 0, mtu), struct.pack("!I", mtu))


def _error(question: Question, kind4: tuple[int, int], kind6: tuple[int, int], word4: bytes, word6: bytes) -> Answer:
    local = question.local
    try:
        packet = dpkt.ethernet.Ethernet(question.packet.frame).data
        may = _may_be_told(packet)
    except (dpkt.Error, AttributeError, IndexError, struct.error):
        return Answer()
    subnet = question.subnet(len(packet.src)) if may and local is not None else None
    if local is None or subnet is None:
        return Answer()
    family = len(packet.src)
    quoted = question.packet.frame[14:][: QUOTED[family]]
    mac, ends = local.binding.mac.to_bytes(6), (bytes(subnet.gateway), packet.src)
    if family == V4:
        frame = replies.icmp(mac, ends, kind4, word4 + quoted)
    else:
        frame = replies.icmpv6(mac, ends, kind6, word6 + quoted)
    return Answer((to_port(frame, question.packet.in_port),))


def _may_be_told(packet: dpkt.Packet) -> bool:
    if isinstance(packet, dpkt.ip.IP):
        is_error = packet.p == 1 and bytes(packet.data)[:1] != b"" and bytes(packet.data)[0] in _ERRORS4
        return not (is_error or packet.offset or packet.dst[0] >= 224 or packet.src == bytes(4))
    if isinstance(packet, dpkt.ip6.IP6):
        is_error = packet.nxt == 58 and bytes(packet.data)[:1] != b"" and bytes(packet.data)[0] < 128
        return not (is_error or packet.dst[0] == 0xFF or packet.src == bytes(16))
    return False
