"""The wire form: what is encoded decodes to the same value; bytes as the specification has them."""

import struct

import pytest

from tests.unit.agent.policies import flows
from weft.agent import openflow
from weft.agent.fields import COOKIE_MARK, COOKIE_MARK_MASK, NEXT_HOP, NEXT_HOP6, TUN_ID, Table
from weft.agent.flow import Flow, Goto, Output, SetField, exact
from weft.agent.openflow_terms import (
    UnknownOnWire,
    decode_instructions,
    decode_match,
    encode_instructions,
    encode_match,
)

FLOWS = [*flows("host1").values(), *flows("host2", "vxlan").values()]


def body(encoded: bytes) -> bytes:
    return encoded[4 : int.from_bytes(encoded[2:4])]


def test_every_flow_of_the_pipeline_survives_the_wire():
    for flow in FLOWS:
        assert decode_match(body(encode_match(flow.match))) == flow.match
        assert decode_instructions(encode_instructions(flow.actions)) == flow.actions


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
    assert (cookie, mask, table, command) == (COOKIE_MARK | 1, 0, 6, 0)
    assert len(data) % 8 == 0


def test_a_removal_is_strict_and_spares_what_is_not_ours():
    data = openflow.remove_flow((6, 100, ()), 9)
    cookie, mask, table, command = struct.unpack_from("!QQBB", data, 8)
    assert (cookie, mask, table, command) == (COOKIE_MARK, COOKIE_MARK_MASK, 6, 4)


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
        struct.pack("!HH4xHH4x", 4, 16, 17, 8),
        struct.pack("!HH4x", 5, 8),
        struct.pack("!HH4xHHHH", 4, 16, 22, 0, 0, 0),
    ],
    ids=["push-vlan", "clear-actions", "too-short"],
)
def test_what_we_never_write_is_another_hands(data):
    with pytest.raises(UnknownOnWire):
        decode_instructions(data)


def test_a_flow_of_ours_with_unknown_actions_equals_none_of_ours():
    found = openflow.Counted(b"", 6, 100, COOKIE_MARK, 0, b"", struct.pack("!HH4x", 5, 8))
    with pytest.raises(UnknownOnWire):
        found.flow()
    assert found.tampered().actions == (Goto(0),)


def test_an_unknown_match_field_is_another_hands():
    with pytest.raises(UnknownOnWire):
        decode_match(struct.pack("!HBBH", 0x8000, 13 << 1, 2, 80))
    found = openflow.Counted(b"", 6, 100, COOKIE_MARK, 0, struct.pack("!HBBH", 0x8000, 26, 2, 80), b"")
    assert found.tampered() is None
    assert "0x8000:13" in found.words()


def test_port_numbers_by_name():
    port = struct.pack("!I4x6s2x16s32x", 5, b"\0" * 6, b"vnet1")
    assert openflow.ports_reply(struct.pack("!HH4x", 13, 0) + port) == ({"vnet1": 5}, False)


def test_a_goto_is_no_action():
    with pytest.raises(KeyError):
        encode_instructions((Goto(3), SetField(TUN_ID, 1)))


def test_a_packet_out_comes_from_the_controller_and_names_its_ports():
    sent = openflow.packet_out(b"frame", (5, 6), 9)
    assert sent[:8] == bytes.fromhex("040d 003d 00000009"), "OFPT_PACKET_OUT of 61 bytes"
    assert sent[8:24] == bytes.fromhex("ffffffff fffffffd 0020 000000000000"), (
        "no buffer, OFPP_CONTROLLER, 32 of actions"
    )
    outputs = "0000 0010 00000005 0000 000000000000 0000 0010 00000006 0000 000000000000"
    assert sent[24:] == bytes.fromhex(outputs) + b"frame"
