"""DHCPv4 (RFC 2131, RFC 2132) answered from what the ledger granted: a service of weft.agent.answers.services. Pure.

The guest gets the primary IPv4 address of its own interface and no other; the server is the gateway of its subnet, so
a request to renew goes to the router and is taken here too. Nothing is remembered: whatever a guest asks, the answer
is what its record says now. What makes no sense gets no answer, as RFC 2131 has it.

discover            offer
request             ack if it asks for that address, nak if for another; silence if it chose another server
request of one that boots again, renews or rebinds   the same
inform              ack with the options, without address and lease
decline             a conflict, told to the controller; the address stays granted
release             nothing: the address is the ledger's
"""

import struct
from collections.abc import Iterable

import dpkt

from weft.agent.answers import replies
from weft.agent.answers.questions import V4, Answer, Conflict, Question
from weft.agent.switch import to_port
from weft.model.records import SubnetRecord
from weft.model.values import PackedIp, ip_text

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
MASK, ROUTER, DNS, HOST_NAME, MTU = 1, 3, 6, 12, 26
REQUESTED, LEASE, TYPE, SERVER, RENEWAL, REBINDING, CLIENT = 50, 51, 53, 54, 58, 59, 61
_BROADCAST_FLAG = 0x8000
_EVERYBODY = b"\xff\xff\xff\xff"
_SMALLEST_MTU = 68
"""RFC 2132 section 5.1."""


def answer(question: Question) -> Answer:
    """What to do about a DHCP message of a guest."""
    asked = _read(question.packet.frame)
    local = question.local
    if asked is None or local is None or asked.chaddr != local.binding.mac.to_bytes(6):
        return Answer()
    own, subnet = question.granted(V4), question.subnet(V4)
    if own is None or subnet is None:
        return Answer()
    options = dict(asked.opts)
    kind = options.get(TYPE, b"\0")[0] if len(options.get(TYPE, b"")) == 1 else 0
    if kind == DISCOVER:
        return _say(question, asked, subnet, OFFER, own)
    if kind == REQUEST:
        return _request(question, asked, subnet, own)
    if kind == INFORM:
        return _say(question, asked, subnet, ACK, None)
    if kind == DECLINE and options.get(SERVER) == subnet.gateway and options.get(REQUESTED) == own:
        words = f"the guest says that another machine uses {ip_text(own)}, and does not take it"
        return Answer(conflicts=(Conflict(local.binding.instance_id, words),))
    return Answer()


def _read(frame: bytes) -> dpkt.dhcp.DHCP | None:
    """The message; None if it is not a client's own, whole and well formed."""
    try:
        packet = dpkt.ethernet.Ethernet(frame).data
        asked = dpkt.dhcp.DHCP(bytes(packet.data.data))
    except (dpkt.Error, IndexError, AttributeError, struct.error):
        return None
    kind = (asked.op, asked.hrd, asked.hln, asked.giaddr, asked.magic)
    return asked if kind == (1, 1, 6, 0, dpkt.dhcp.DHCP_MAGIC) else None


def _request(question: Question, asked: dpkt.dhcp.DHCP, subnet: SubnetRecord, own: PackedIp) -> Answer:
    options = dict(asked.opts)
    if options.get(SERVER) not in (None, subnet.gateway):
        return Answer()
    wanted = options.get(REQUESTED) or asked.ciaddr.to_bytes(4)
    return _say(question, asked, subnet, ACK, own) if wanted == own else _say(question, asked, subnet, NAK, None)


def _say(
    question: Question, asked: dpkt.dhcp.DHCP, subnet: SubnetRecord, kind: int, address: PackedIp | None
) -> Answer:
    """The answer; with an address it comes with a lease."""
    told = [(TYPE, bytes((kind,))), (SERVER, bytes(subnet.gateway))]
    if kind != NAK:
        told += _lease(question.options(subnet).lease_seconds) if address is not None else ()
        told += _options(question, subnet)
    # RFC 6842 section 3: whoever tells who he is hears it again, by which he knows what is for him
    told += [(option, value) for option, value in asked.opts if option == CLIENT]
    given = int.from_bytes(address) if address is not None else 0
    reply = dpkt.dhcp.DHCP(
        op=2,
        xid=asked.xid,
        flags=asked.flags,
        ciaddr=0 if kind == NAK else asked.ciaddr,
        yiaddr=given,
        chaddr=asked.chaddr,
        opts=told,
    )
    mac, destination = _destination(asked, kind, given)
    frame = replies.udp(mac, (subnet.gateway, destination), (67, 68), bytes(reply).ljust(300, b"\0"))
    return Answer((to_port(frame, question.packet.in_port),))


def _destination(asked: dpkt.dhcp.DHCP, kind: int, given: int) -> tuple[bytes, bytes]:
    """RFC 2131 section 4.1: to an address that the guest has, else to all, or to the one that it is given."""
    if kind == NAK:
        return b"\xff" * 6, _EVERYBODY
    if asked.ciaddr:
        return asked.chaddr, asked.ciaddr.to_bytes(4)
    if asked.flags & _BROADCAST_FLAG or not given:
        return b"\xff" * 6, _EVERYBODY
    return asked.chaddr, given.to_bytes(4)


def _lease(seconds: int) -> Iterable[tuple[int, bytes]]:
    times = ((LEASE, seconds), (RENEWAL, seconds // 2), (REBINDING, seconds * 7 // 8))
    return [(option, time.to_bytes(4)) for option, time in times]


def _options(question: Question, subnet: SubnetRecord) -> Iterable[tuple[int, bytes]]:
    mask = (1 << 32) - (1 << 32 - subnet.prefix_length)
    yield MASK, mask.to_bytes(4)
    yield ROUTER, bytes(subnet.gateway)
    if servers := question.dns_servers(subnet):
        yield DNS, b"".join(servers)
    if question.service is not None and question.service.host_name:
        yield HOST_NAME, question.service.host_name.encode("ascii")
    if question.mtu >= _SMALLEST_MTU:
        yield MTU, question.mtu.to_bytes(2)
