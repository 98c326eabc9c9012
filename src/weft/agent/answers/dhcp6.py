"""DHCPv6 (RFC 8415) answered from what the ledger granted: a service of weft.agent.answers.services. Pure.

The guest gets the primary IPv6 address of its own interface and no other. The server is the router, under an identifier
made of its MAC, so that it is the same on every host. Nothing is remembered, as in answers/dhcp4.py.

solicit                  advertise; reply with rapid commit
request, renew, rebind   reply with the address; others that the guest names get lifetime 0
confirm                  reply: is what it has what it was granted?
information-request      reply without an address
release                  reply; the address is the ledger's
decline                  reply; a conflict, told to the controller
"""

import struct
from collections.abc import Iterator

import dpkt

from weft.agent.answers import replies
from weft.agent.answers.questions import V6, Answer, Conflict, Question
from weft.agent.switch import to_port
from weft.model.records import SubnetRecord
from weft.model.values import ROUTER_LINK_LOCAL, ROUTER_MAC, PackedIp, ip_text

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION_REQUEST = 11
CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_ADDRESS = 1, 2, 3, 4, 5
STATUS, RAPID_COMMIT, DNS = 13, 14, 23
SUCCESS, NO_ADDRESSES, NOT_ON_LINK = 0, 2, 4
SERVER = struct.pack("!HH6s", 3, 1, ROUTER_MAC.to_bytes(6))
"""DUID-LL (RFC 8415 section 11.4)."""

_TO_US = (REQUEST, RENEW, RELEASE, DECLINE)
_TO_ALL = (SOLICIT, CONFIRM, REBIND)

Options = tuple[tuple[int, bytes], ...]


def answer(question: Question) -> Answer:
    """What to do about a DHCPv6 message of a guest; nothing if it is malformed anywhere."""
    try:
        packet = dpkt.ethernet.Ethernet(question.packet.frame).data
        return _answer(question, packet.src, bytes(packet.data.data))
    except (dpkt.Error, AttributeError, IndexError, struct.error):
        return Answer()


def _answer(question: Question, source: bytes, message: bytes) -> Answer:
    options = tuple(_read(message[4:]))
    local, subnet, own = question.local, question.subnet(V6), question.granted(V6)
    if local is None or subnet is None or own is None or len(source) != V6 or not _is_for_us(message, options):
        return Answer()
    kind, body = _body(question, subnet, own, (message[0], options))
    if not kind:
        return Answer()
    named = _only(options, CLIENT_ID)
    head = ((CLIENT_ID, named),) if named else ()
    said = bytes((kind,)) + message[1:4] + _written((*head, (SERVER_ID, SERVER), *body))
    frame = replies.udp(local.binding.mac.to_bytes(6), (ROUTER_LINK_LOCAL, source), (547, 546), said)
    words = f"the guest says that another machine uses {ip_text(own)}, and does not take it"
    declined = message[0] == DECLINE and own in _addresses(options)
    conflicts = (Conflict(local.binding.instance_id, words),) if declined else ()
    return Answer((to_port(frame, question.packet.in_port),), conflicts=conflicts)


def _is_for_us(message: bytes, options: Options) -> bool:
    """RFC 8415 section 16: who names another server, or none where it has to, is not answered."""
    if len(message) < 4:
        return False
    kind, client, server = message[0], _only(options, CLIENT_ID), _only(options, SERVER_ID)
    if kind in _TO_US:
        return bool(client) and server == SERVER
    if kind in _TO_ALL:
        return bool(client) and not server
    return kind == INFORMATION_REQUEST and server in (b"", SERVER)


def _body(question: Question, subnet: SubnetRecord, own: PackedIp, asked: tuple[int, Options]) -> tuple[int, Options]:
    """Kind of the answer and its options; kind 0 is silence."""
    kind, options = asked
    servers = question.dns_servers(subnet)
    told: Options = ((DNS, b"".join(servers)),) if servers else ()
    seconds = question.options(subnet).lease_seconds
    if kind in (RELEASE, DECLINE):
        return REPLY, ((STATUS, _status(SUCCESS)),)
    if kind == CONFIRM:
        named = _addresses(options)
        status = SUCCESS if all(one == own for one in named) else NOT_ON_LINK
        return (REPLY, ((STATUS, _status(status)),)) if named else (0, ())
    if kind == INFORMATION_REQUEST:
        return REPLY, told
    leases = tuple(_leases(options, own, seconds))
    if kind != SOLICIT:
        return REPLY, (*leases, *told)
    if any(code == RAPID_COMMIT for code, _ in options):
        return REPLY, ((RAPID_COMMIT, b""), *leases, *told)
    return ADVERTISE, (*leases, *told)


def _leases(options: Options, own: PackedIp, seconds: int) -> Iterator[tuple[int, bytes]]:
    """The address in the first association that asks for one; nothing is left for others."""
    given = False
    for code, value in options:
        if code == IA_NA and not given and len(value) >= 12:
            given = True
            others = (one for one in _addresses(((code, value),)) if one != own)
            inner = [(IA_ADDRESS, own + struct.pack("!II", seconds, seconds))]
            inner += [(IA_ADDRESS, one + bytes(8)) for one in others]
            yield IA_NA, value[:4] + struct.pack("!II", seconds // 2, seconds * 4 // 5) + _written(tuple(inner))
        elif code in (IA_NA, IA_TA):
            head = value[:4] + (bytes(8) if code == IA_NA else b"")
            yield code, head + _written(((STATUS, _status(NO_ADDRESSES)),))


def _addresses(options: Options) -> list[bytes]:
    """All that the associations of a message name."""
    found = []
    for code, value in options:
        if code in (IA_NA, IA_TA):
            inner = _read(value[12 if code == IA_NA else 4 :])
            found += [one[:16] for kind, one in inner if kind == IA_ADDRESS and len(one) >= 24]
    return found


def _only(options: Options, code: int) -> bytes:
    """The value of an option; empty without it."""
    return next((value for found, value in options if found == code), b"")


def _status(code: int) -> bytes:
    return code.to_bytes(2)


def _read(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Options as (code, value). Raises struct.error where one is cut off."""
    while data:
        code, length = struct.unpack_from("!HH", data)
        if len(data) < 4 + length:
            raise struct.error("an option is cut off")
        yield code, data[4 : 4 + length]
        data = data[4 + length :]


def _written(options: Options) -> bytes:
    return b"".join(struct.pack("!HH", code, len(value)) + value for code, value in options)
