"""OpenFlow 1.3 messages, as far as a controller of flows needs them: flow mods, bundles, barriers, flow dumps. Pure.

Called by openflow/connection.py. Open vSwitch understands bundles in 1.3 as ONF extension 230; a bundle is atomic, so
packets meet either all old or all new flows. OpenFlow 1.3.5 section 7; bundles as in 1.4 section 7.3.9.
"""

import struct
from collections.abc import Iterator

import msgspec

from weft.agent.flows.actions import Goto
from weft.agent.flows.fields import COOKIE_MARK, COOKIE_MARK_MASK
from weft.agent.flows.flow import Flow, FlowKey, match_text
from weft.agent.openflow.actions import decode_instructions, encode_actions, encode_instructions
from weft.agent.openflow.terms import UnknownOnWire, decode_match, encode_match

VERSION = 4
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, EXPERIMENTER = 0, 1, 2, 3, 4
PACKET_OUT = 13
FLOW_MOD, MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY = 14, 18, 19, 20, 21
_ADD, _DELETE_STRICT = 0, 4
_ANY = 0xFFFFFFFF
_NO_BUFFER = 0xFFFFFFFF
_FLOW_STATS, _PORT_DESC = 1, 13
_PORT_SIZE = 64
_MORE = 1
_ONF = 0x4F4E4600
_BUNDLE_CONTROL, _BUNDLE_ADD = 2300, 2301
_ATOMIC_ORDERED = 3
OPEN, CLOSE, COMMIT = 0, 2, 4
"""Bundle control requests; the reply has the number after."""

MOST_BYTES = 0xFFFF - 24
"""Of a message within a bundle."""
_LONGEST = 40
"""Bytes of the longest action."""

_EMPTY_MATCH = encode_match(())
_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIH2x")
_BUNDLED = struct.Struct("!BBHIIIIHH")
_ENTRY = struct.Struct("!HBxIIHHHH4xQQQ")


class Counted(msgspec.Struct, frozen=True):
    """An entry of a flow dump."""

    raw: bytes
    """Table, priority, cookie, match and instructions as on the wire: equal bytes are equal flows."""
    table: int
    priority: int
    cookie: int
    packets: int
    octets: int
    match: bytes
    instructions: bytes

    @property
    def ours(self) -> bool:
        return self.cookie & COOKIE_MARK_MASK == COOKIE_MARK

    def flow(self) -> Flow:
        """Raises UnknownOnWire if it has something in it that our flows never have."""
        return Flow(
            self.table, self.priority, decode_match(self.match), decode_instructions(self.instructions), self.cookie
        )

    def tampered(self) -> Flow | None:
        """A flow of ours whose actions another hand has made: with actions that equal none of ours. None if not even
        its match could be ours."""
        try:
            return Flow(self.table, self.priority, decode_match(self.match), (Goto(0),), self.cookie)
        except UnknownOnWire:
            return None

    def words(self) -> str:
        """For a report about another hand's flow."""
        try:
            shown = match_text(decode_match(self.match))
        except UnknownOnWire as unknown:
            shown = str(unknown)
        return f"flow cookie=0x{self.cookie:x},table={self.table},priority={self.priority} {shown}"


class SwitchError(msgspec.Struct, frozen=True):
    """OFPT_ERROR: which message the switch refused, and its words for why."""

    xid: int
    kind: int
    code: int

    @property
    def reason(self) -> tuple[int, int]:
        return self.kind, self.code

    def __str__(self) -> str:
        return f"the switch refused message {self.xid}: OpenFlow error type {self.kind} code {self.code}"


def message(kind: int, xid: int, body: bytes = b"") -> bytes:
    return struct.pack("!BBHI", VERSION, kind, 8 + len(body), xid) + body


def is_too_long(flow: Flow) -> bool:
    """Can no message hold it? A length has 16 bits, and in a bundle there is a header before it."""
    if len(flow.actions) * _LONGEST < MOST_BYTES // 2:
        return False
    return 48 + len(encode_match(flow.match)) + 16 + len(encode_actions(flow.actions)) > MOST_BYTES


def put_flow(flow: Flow, xid: int) -> bytes:
    """Add, or replace the flow with this key, which is not too long."""
    rest = encode_match(flow.match) + encode_instructions(flow.actions)
    head = (flow.cookie, 0, flow.table, _ADD, 0, 0, flow.priority)
    return _FLOW_MOD.pack(VERSION, FLOW_MOD, 48 + len(rest), xid, *head, _NO_BUFFER, _ANY, _ANY, 0) + rest


def remove_flow(key: FlowKey, xid: int) -> bytes:
    """Delete exactly this flow, and only if it bears our mark."""
    table, priority, match = key
    rest = encode_match(match)
    head = (COOKIE_MARK, COOKIE_MARK_MASK, table, _DELETE_STRICT, 0, 0, priority)
    return _FLOW_MOD.pack(VERSION, FLOW_MOD, 48 + len(rest), xid, *head, _NO_BUFFER, _ANY, _ANY, 0) + rest


def bundle_control(step: int, bundle: int, xid: int) -> bytes:
    return message(EXPERIMENTER, xid, struct.pack("!IIIHH", _ONF, _BUNDLE_CONTROL, bundle, step, _ATOMIC_ORDERED))


def bundle_add(inner: bytes, bundle: int, xid: int) -> bytes:
    """`inner` must have the same xid."""
    head = (VERSION, EXPERIMENTER, 24 + len(inner), xid, _ONF, _BUNDLE_ADD, bundle, 0, _ATOMIC_ORDERED)
    return _BUNDLED.pack(*head) + inner


def bundle_reply(body: bytes) -> tuple[int, int] | None:
    """(bundle, request that it answers) of an experimenter message's body; None if it is something else."""
    if len(body) < 16:
        return None
    vendor, kind, bundle, step, _ = struct.unpack_from("!IIIHH", body)
    return (bundle, step - 1) if (vendor, kind) == (_ONF, _BUNDLE_CONTROL) else None


def dump_request(xid: int) -> bytes:
    """Ask for all flows of all tables, ours and others'."""
    body = struct.pack("!HH4xB3xII4xQQ", _FLOW_STATS, 0, 0xFF, _ANY, _ANY, 0, 0)
    return message(MULTIPART_REQUEST, xid, body + _EMPTY_MATCH)


def dump_reply(body: bytes) -> tuple[list[Counted], bool]:
    """Entries of one reply, and whether more replies follow."""
    kind, flags = struct.unpack_from("!HH4x", body)
    if kind != _FLOW_STATS:
        return [], False
    return list(_entries(body)), bool(flags & _MORE)


def _entries(body: bytes) -> Iterator[Counted]:
    offset = 8
    while offset < len(body):
        length, table, _, _, priority, _, _, _, cookie, packets, octets = _ENTRY.unpack_from(body, offset)
        start = offset + _ENTRY.size
        match_length = int.from_bytes(body[start + 2 : start + 4])
        after = start + match_length + (-match_length % 8)
        raw = b"%c%b%b%b" % (table, priority.to_bytes(2), cookie.to_bytes(8), body[start : offset + length])
        match, instructions = body[start + 4 : start + match_length], body[after : offset + length]
        yield Counted(raw, table, priority, cookie, packets, octets, match, instructions)
        offset += length


def ports_request(xid: int) -> bytes:
    return message(MULTIPART_REQUEST, xid, struct.pack("!HH4x", _PORT_DESC, 0))


def ports_reply(body: bytes) -> tuple[list[tuple[str, int]], bool]:
    """Names and numbers of ports, and whether more replies follow."""
    kind, flags = struct.unpack_from("!HH4x", body)
    if kind != _PORT_DESC:
        return [], False
    numbers = []
    for offset in range(8, len(body), _PORT_SIZE):
        name = body[offset + 16 : offset + 32].rstrip(b"\0").decode(errors="replace")
        numbers.append((name, int.from_bytes(body[offset : offset + 4])))
    return numbers, bool(flags & _MORE)


def error(body: bytes, xid: int) -> SwitchError:
    kind, code = struct.unpack_from("!HH", body)
    return SwitchError(xid, kind, code)
