"""Packets to and from the agent over OpenFlow 1.3 with Nicira's extensions: packet-ins that say which service they are
for, packet-outs. Pure.

Called by openflow/connection.py. Open vSwitch sends no packet-ins to a connection over the .mgmt socket until that has
set a miss_send_len, and tells the userdata of the action in its own format only (NXT_PACKET_IN2, Open vSwitch's
lib/ofp-packet.c), which has to be asked for. OpenFlow 1.3.5 sections 7.3.2 and 7.3.7.
"""

import struct

from weft.agent.flows.fields import IN_PORT, Field
from weft.agent.openflow.actions import encode_actions
from weft.agent.openflow.messages import EXPERIMENTER, PACKET_OUT, message
from weft.agent.openflow.terms import decode_known
from weft.agent.switch import PacketIn, PacketOut

_NICIRA = 0x2320
_NO_BUFFER = 0xFFFFFFFF
_SET_CONFIG = 9
_SET_FORMAT, _PACKET_IN2, _FLUSH_ZONE = 16, 30, 29
_FORMAT_PACKET_IN2 = 2
_WHOLE = 0xFFFF
_FRAGMENTS_AS_THEY_ARE = 3
"""OFPUTIL_FRAG_NX_MATCH (ovs-ofctl(8), set-frags): the ports of a first fragment can be matched. With any other value
they read 0 there, and a rule for a port could be passed by in fragments."""
_PACKET, _TABLE, _COOKIE, _METADATA, _USERDATA = 0, 3, 4, 6, 7
"""Properties of NXT_PACKET_IN2."""


def want_packets(xids: tuple[int, int]) -> bytes:
    """Two messages: send packet-ins to this connection, and in Nicira's second format. The first one also says how the
    whole bridge reads fragments."""
    config = message(_SET_CONFIG, xids[0], struct.pack("!HH", _FRAGMENTS_AS_THEY_ARE, _WHOLE))
    return config + _nicira(_SET_FORMAT, xids[1], struct.pack("!I", _FORMAT_PACKET_IN2))


def flush_zone(zone: int, xid: int) -> bytes:
    """Forget the connections of a conntrack zone. It has no answer."""
    return _nicira(_FLUSH_ZONE, xid, struct.pack("!6xH", zone))


def packet_out(packet: PacketOut, xid: int) -> bytes:
    """Do with a frame what its actions say."""
    actions = encode_actions(packet.actions)
    head = struct.pack("!IIH6x", _NO_BUFFER, packet.in_port, len(actions))
    return message(PACKET_OUT, xid, head + actions + packet.frame)


def is_packet_in(body: bytes) -> bool:
    """Of an experimenter message's body."""
    return body[:8] == struct.pack("!II", _NICIRA, _PACKET_IN2)


def packet_in(body: bytes) -> PacketIn | None:
    """None if it bears no service of ours or makes no sense."""
    found: dict[int, bytes] = {}
    offset = 8
    while offset + 4 <= len(body):
        kind, length = struct.unpack_from("!HH", body, offset)
        if length < 4:
            return None
        found[kind] = body[offset + 4 : offset + length]
        offset += length + -length % 8
    userdata, frame = found.get(_USERDATA, b""), found.get(_PACKET)
    if frame is None or len(userdata) != 2:
        return None
    fields: dict[Field, int] = {field: value for field, value, _ in decode_known(found.get(_METADATA, b""))}
    in_port = fields.pop(IN_PORT, 0)
    table = found.get(_TABLE, b"\0")[0]
    cookie = int.from_bytes(found.get(_COOKIE, b"")[4:12])
    return PacketIn(frame, int.from_bytes(userdata), in_port, tuple(fields.items()), cookie, table)


def _nicira(subtype: int, xid: int, body: bytes) -> bytes:
    return message(EXPERIMENTER, xid, struct.pack("!II", _NICIRA, subtype) + body)
