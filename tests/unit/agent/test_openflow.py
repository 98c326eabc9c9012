"""The wire form: what is encoded decodes to the same value; bytes as the specification has them."""

import struct

import pytest

from tests.unit.agent.policies import flows
from weft.agent.flows.actions import (
    CheckLarger,
    Controller,
    Ct,
    Goto,
    Meter,
    Output,
    OutputRegister,
    PopVlan,
    PushVlan,
    Resubmit,
    SetBits,
    SetField,
    SetVlan,
    action_text,
)
from weft.agent.flows.fields import (
    COOKIE_MARK,
    COOKIE_MARK_MASK,
    MARKS,
    NEXT_HOP,
    NEXT_HOP6,
    OWN_PORT,
    TO_PORT,
    TUN_ID,
    VSID,
    Table,
)
from weft.agent.flows.flow import Flow, exact
from weft.agent.openflow import messages as openflow
from weft.agent.openflow import meters as openflow_meters
from weft.agent.openflow import packets as openflow_packets
from weft.agent.openflow.actions import decode_instructions, encode_actions, encode_instructions
from weft.agent.openflow.terms import UnknownOnWire, decode_match, encode_match
from weft.agent.switch import PacketOut, SwitchMeter

FLOWS = [*flows("host1").values(), *flows("host2", "vxlan").values()]


def body(encoded: bytes) -> bytes:
    return encoded[4 : int.from_bytes(encoded[2:4])]


def test_every_flow_of_the_pipeline_survives_the_wire():
    for flow in FLOWS:
        assert decode_match(body(encode_match(flow.match))) == flow.match
        assert decode_instructions(encode_instructions(flow.actions)) == flow.actions


DUMPED = {
    Ct(OWN_PORT, Table.SCOPE_OUT): "ffff0018 00002320 00230000 00010404 000f0500 00000000",
    Ct(OWN_PORT, commit=True): "ffff0018 00002320 00230001 00010404 000fff00 00000000",
    Ct(7, commit=True, mark=1): "ffff0028 00002320 00230001 00000000 0007ff00 00000000 "
    "00190010 0001d604 00000001 00000000",
    OutputRegister(TO_PORT): "ffff0018 00002320 000f001f 00011604 ffff0000 00000000",
    Resubmit(Table.TRACK_IN): "ffff0010 00002320 000efff8 0f000000",
    CheckLarger(1514, MARKS, 1): "ffff0018 00002320 003105ea 00010001 14040000 00000000",
    Controller(0x0102): "ffff0018 00002320 00250000 00000000 00030006 01020000",
    PushVlan(): "00110008 81000000",
    SetVlan(5): "00190010 80000c02 10050000 00000000",
    PopVlan(): "00120008 00000000",
    SetBits(MARKS, 2, 3): "ffff0018 00002320 00070001 00011404 00000000 00000002",
    SetBits(MARKS, 0x50, 0xF0): "ffff0018 00002320 00070103 00011404 00000000 00000005",
}
"""What Open vSwitch 3.1 dumps of the same in ovs-ofctl's words."""


@pytest.mark.parametrize("action", DUMPED, ids=action_text)
def test_an_action_has_the_bytes_that_open_vswitch_dumps(action):
    assert encode_actions((action,)) == bytes.fromhex(DUMPED[action])
    assert decode_instructions(encode_instructions((action,))) == (action,)


def test_a_meter_stands_before_the_other_actions_and_a_goto_behind_as_instructions_of_their_own():
    actions = (Meter(5), SetField(OWN_PORT, 1), Goto(1))
    encoded = "00060008 00000005 00040018 00000000 00190010 00010404 00000001 00000000 00010008 01000000"
    assert encode_instructions(actions) == bytes.fromhex(encoded)
    assert decode_instructions(bytes.fromhex(encoded)) == actions
    assert decode_instructions(encode_instructions((Meter(5),))) == (Meter(5),)


@pytest.mark.parametrize(
    "action",
    [
        "ffff0018 00002320 00230003 00010404 000fff00 00000000",
        "ffff0018 00002320 00230001 00010404 0007ff00 00000000",
        "ffff0018 00002320 000f000f 00011604 ffff0000 00000000",
        "ffff0010 00002320 000e0003 0f000000",
        "ffff0018 00002320 00250000 00000001 00030006 01020000",
        "ffff0020 00002320 00250000 00000000 00000008 00c80000 00030006 01020000",
        "ffff0010 00002320 0014ffff 00070100",
    ],
    ids=[
        "ct(force)",
        "ct(zone=reg2[0..7])",
        "output:reg11[0..15]",
        "resubmit(3,15)",
        "controller(pause)",
        "controller(max_len)",
        "controller(id)1",
    ],
)
def test_an_action_of_ours_with_something_more_in_it_is_another_hands(action):
    body = bytes.fromhex(action)
    with pytest.raises(UnknownOnWire):
        decode_instructions(struct.pack("!HH4x", 4, 8 + len(body)) + body)


@pytest.mark.parametrize("mask", [0x101, 0xFFFFFFFF, 0xF])
def test_bits_that_open_vswitch_would_dump_otherwise_are_not_encoded(mask):
    with pytest.raises(ValueError):
        encode_actions((SetBits(MARKS, 0x10 if mask == 0xF else 1, mask),))


def test_a_match_is_padded_but_its_length_is_not():
    encoded = encode_match((exact(TUN_ID, 6001 << 8),))
    assert encoded == struct.pack("!HHHBBQ", 1, 16, 0x8000, 38 << 1, 8, 6001 << 8)
    assert len(encode_match(())) == 8


def test_a_masked_term_carries_its_mask():
    assert body(encode_match(((TUN_ID, 0x100, 0xFF00),))) == struct.pack("!HBBQQ", 0x8000, 77, 16, 0x100, 0xFF00)


def test_four_registers_of_a_dump_are_one_next_hop():
    value = 0xFD000001_00000000_00000000_00000012
    registers = b"".join(
        struct.pack("!HBBI", 1, (4 + n) << 1, 4, value >> (96 - 32 * n) & 0xFFFFFFFF) for n in range(4)
    )
    assert decode_match(registers) == (exact(NEXT_HOP6, value),)
    assert decode_match(registers[:8]) == (exact(NEXT_HOP, 0xFD000001),)


def test_a_put_is_an_add_of_openflow_1_3():
    flow = Flow(Table.OUTPUT, 100, (), (Output(7),), COOKIE_MARK | 1)
    data = openflow.put_flow(flow, 9)
    version, kind, length, xid, cookie, mask, table, command = struct.unpack_from("!BBHIQQBB", data)
    assert (version, kind, length, xid) == (4, 14, len(data), 9)
    assert (cookie, mask, table, command) == (COOKIE_MARK | 1, 0, 11, 0)
    assert len(data) % 8 == 0


def test_a_removal_is_strict_and_spares_what_is_not_ours():
    data = openflow.remove_flow((11, 100, ()), 9)
    cookie, mask, table, command = struct.unpack_from("!QQBB", data, 8)
    assert (cookie, mask, table, command) == (COOKIE_MARK, COOKIE_MARK_MASK, 11, 4)


def test_a_message_in_a_bundle_has_the_xid_of_its_envelope():
    inner = openflow.put_flow(FLOWS[0], 77)
    data = openflow.bundle_add(inner, 3, 77)
    assert struct.unpack_from("!IIIIHH", data, 4) == (77, 0x4F4E4600, 2301, 3, 0, 3)
    assert data.endswith(inner)


def test_a_dump_gives_back_flows_with_their_counters():
    flow = FLOWS[10]
    match, instructions = encode_match(flow.match), encode_instructions(flow.actions)
    head = struct.pack("!IIHHHH4xQQQ", 1, 2, flow.priority, 0, 0, 0, flow.cookie, 42, 4200)
    entry = struct.pack("!HBx", 48 + len(match) + len(instructions), flow.table) + head + match + instructions
    (found, other), more = openflow.dump_reply(struct.pack("!HH4x", 1, 1) + entry + entry)
    assert more
    assert (found.flow(), found.packets, found.ours) == (flow, 42, True)
    assert found.raw == other.raw


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!HH4xHH4x", 4, 16, 19, 8),
        struct.pack("!HH4x", 5, 8),
        struct.pack("!HH4xHHHH", 4, 16, 22, 0, 0, 0),
    ],
    ids=["push-mpls", "clear-actions", "too-short"],
)
def test_what_we_never_write_is_another_hands(data):
    with pytest.raises(UnknownOnWire):
        decode_instructions(data)


def test_a_flow_of_ours_with_unknown_actions_equals_none_of_ours():
    found = openflow.Counted(b"", 6, 100, COOKIE_MARK, 0, 0, b"", struct.pack("!HH4x", 5, 8))
    with pytest.raises(UnknownOnWire):
        found.flow()
    assert found.tampered().actions == (Goto(0),)


def test_an_unknown_match_field_is_another_hands():
    with pytest.raises(UnknownOnWire):
        decode_match(struct.pack("!HBBH", 0x8000, 9 << 1, 2, 80))
    found = openflow.Counted(b"", 6, 100, COOKIE_MARK, 0, 0, struct.pack("!HBBH", 0x8000, 18, 2, 80), b"")
    assert found.tampered() is None
    assert "0x8000:9" in found.words()


def test_port_numbers_by_name():
    port = struct.pack("!I4x6s2x16s32x", 5, b"\0" * 6, b"vnet1")
    assert openflow.ports_reply(struct.pack("!HH4x", 13, 0) + port) == ([("vnet1", 5)], False)


def test_a_goto_is_no_action():
    with pytest.raises(KeyError):
        encode_instructions((Goto(3), SetField(TUN_ID, 1)))


def test_a_packet_out_comes_from_the_controller_and_names_its_ports():
    sent = openflow_packets.packet_out(PacketOut(b"frame", (Output(5), Output(6))), 9)
    assert sent[:8] == bytes.fromhex("040d 003d 00000009"), "OFPT_PACKET_OUT of 61 bytes"
    assert sent[8:24] == bytes.fromhex("ffffffff fffffffd 0020 000000000000"), (
        "no buffer, OFPP_CONTROLLER, 32 of actions"
    )
    outputs = "0000 0010 00000005 0000 000000000000 0000 0010 00000006 0000 000000000000"
    assert sent[24:] == bytes.fromhex(outputs) + b"frame"


def a_property(kind: int, body: bytes) -> bytes:
    return struct.pack("!HH", kind, 4 + len(body)) + body + bytes(-(4 + len(body)) % 8)


METADATA = bytes.fromhex("80000004 00000003 00010404 00000007 00011604 0000000a 00014008 0000000900000000")
"""in_port=3, reg2=7, reg11=10, and a field that we have no name for."""
PACKET_IN = b"".join(
    (
        bytes.fromhex("00002320 0000001e"),
        a_property(0, b"a frame"),
        a_property(3, bytes((5,))),
        a_property(4, bytes(4) + (COOKIE_MARK | 7).to_bytes(8)),
        a_property(5, bytes((1,))),
        a_property(6, METADATA),
        a_property(7, bytes((1, 2))),
    )
)


def test_a_packet_in_says_its_service_and_what_the_registers_held():
    found = openflow_packets.packet_in(PACKET_IN)
    assert (found.frame, found.service, found.in_port, found.table) == (
        b"a frame",
        0x0102,
        3,
        5,
    )
    assert (found.field(OWN_PORT), found.field(TO_PORT), found.field(VSID)) == (7, 10, 0)
    assert found.cookie == COOKIE_MARK | 7


def test_a_packet_in_without_a_service_of_ours_is_none():
    assert openflow_packets.packet_in(PACKET_IN[:-8]) is None
    assert openflow_packets.packet_in(PACKET_IN[:8] + bytes(8)) is None


RATE = SwitchMeter(22, "pktps", 2000, 100)


def test_a_meter_is_set_with_one_band_that_drops_and_read_back():
    """As ovs-ofctl add-meter meter=22,pktps,burst,band=type=drop,rate=2000,burst_size=100."""
    band = bytes.fromhex("0001 0010 000007d0 00000064 00000000")
    assert openflow_meters.add(RATE, 9) == bytes.fromhex("041d 0020 00000009 0000 0006 00000016") + band
    assert openflow_meters.modify(RATE, 9)[8:] == bytes.fromhex("0001 0006 00000016") + band
    assert openflow_meters.delete(22, 9) == bytes.fromhex("041d 0010 00000009 0002 0000 00000016")
    reserved = bytes.fromhex("0018 0006 fffffffd") + band
    unlike = bytes.fromhex("0018 0002 00000005") + band
    reply = struct.pack("!HH4x", 10, 0) + bytes.fromhex("0018 0006 00000016") + band + reserved + unlike
    assert openflow_meters.config_reply(reply) == ([RATE, SwitchMeter(5, "", 0, 0)], False)
