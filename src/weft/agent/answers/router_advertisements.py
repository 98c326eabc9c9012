"""Router advertisements (RFC 4861): what an IPv6 guest is told of its subnet, asked or every now and then. A service of
weft.agent.answers.services and a frame for ovs/guest_packets.py. Pure.

A guest makes itself an address (flag A) only where that is the one it was granted: modified EUI-64 of its MAC in a /64.
Every other is given by DHCPv6, and that one too (flag M), since many guests make other ones (RFC 7217, RFC 8981). The
router is the same on every host, and so is its link-local address.
"""

import struct

import dpkt

from weft.agent.answers import replies
from weft.agent.answers.questions import V6, Answer, Question
from weft.agent.switch import to_port
from weft.model.records import SubnetRecord
from weft.model.values import ROUTER_LINK_LOCAL, ROUTER_MAC, link_local_of

EVERY_SECONDS = 600.0
LIFETIME_SECONDS = 9000
"""How long guests keep what they were told: so long may an agent be away. The most of RFC 4861 section 6.2.1."""
SMALLEST_MTU = 1280
_SOLICITATION, _ADVERTISEMENT = 133, 134
_ALL_NODES, _ALL_NODES_MAC = bytes.fromhex("ff020000000000000000000000000001"), bytes.fromhex("333300000001")
_UNSPECIFIED = bytes(16)
_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40


def answer(question: Question) -> Answer:
    """To a solicitation: to its sender, or to all nodes of that port where it has no address yet."""
    try:
        packet = dpkt.ethernet.Ethernet(question.packet.frame).data
        source, hops, message = packet.src, packet.hlim, bytes(packet.data)
    except (dpkt.Error, AttributeError, IndexError, struct.error):
        return Answer()
    if len(source) != V6 or hops != replies.NEIGHBOURS or message[:2] != bytes((_SOLICITATION, 0)):
        return Answer()
    frame = advertisement(question, None if source == _UNSPECIFIED else source)
    return Answer((to_port(frame, question.packet.in_port),) if frame else ())


def advertisement(question: Question, target: bytes | None = None) -> bytes | None:
    """The frame for the interface of a question, whose packet does not matter; None if it has no IPv6 address."""
    local, subnet, granted = question.local, question.subnet(V6), question.granted(V6)
    if local is None or subnet is None or granted is None:
        return None
    autonomous = subnet.prefix_length == 64 and granted == subnet.prefix[:8] + _interface_id(local.binding.mac)
    head = struct.pack("!BBHII", replies.HOPS, _MANAGED | _OTHER, LIFETIME_SECONDS, 0, 0)
    message = head + _options(question, subnet, autonomous)
    mac, to = (_ALL_NODES_MAC, _ALL_NODES) if target is None else (local.binding.mac.to_bytes(6), target)
    return replies.icmpv6(mac, (ROUTER_LINK_LOCAL, to), (_ADVERTISEMENT, 0), message, replies.NEIGHBOURS)


def _interface_id(mac: int) -> bytes:
    return link_local_of(mac).to_bytes(16)[8:]


def _options(question: Question, subnet: SubnetRecord, autonomous: bool) -> bytes:
    """Source link-layer address (1), prefix (3), MTU (5); recursive DNS servers (25, RFC 8106)."""
    flags = _ON_LINK | (_AUTONOMOUS if autonomous else 0)
    lifetimes = struct.pack("!III", LIFETIME_SECONDS, LIFETIME_SECONDS, 0)
    told = struct.pack("!BB6s", 1, 1, ROUTER_MAC.to_bytes(6))
    told += struct.pack("!BBBB", 3, 4, subnet.prefix_length, flags) + lifetimes + subnet.prefix
    if question.mtu >= SMALLEST_MTU:
        told += struct.pack("!BBHI", 5, 1, 0, question.mtu)
    if servers := question.dns_servers(subnet):
        told += struct.pack("!BBHI", 25, 1 + 2 * len(servers), 0, LIFETIME_SECONDS) + b"".join(servers)
    return told
