"""The rules: what a switch refuses, which flow wins, what actions do."""

import pytest

from weft.agent.flows import fields as f
from weft.agent.flows.actions import DecTtl, FlowId, Goto, InPort, Move, Output, SetField
from weft.agent.flows.flow import Flow, exact, prefixed
from weft.fakes import packet as p
from weft.fakes.openflow import Refused, check
from weft.fakes.passage import Passage, Undefined

MAC_A, MAC_B = 0x0A0000000001, 0x0A0000000002
IS_IPV4 = exact(f.ETH_TYPE, 0x0800)
IS_IPV6 = exact(f.ETH_TYPE, 0x86DD)
IS_ICMPV6 = (IS_IPV6, exact(f.IP_PROTO, 58))


def flow(*match, actions=(), priority=10, table=0):
    return Flow(table, priority, match, tuple(actions), 0)


def passage(packet, in_port=1, **tunnel):
    return Passage(packet, in_port, tunnel)


PING = p.echo((MAC_A, MAC_B), ("10.1.1.11", "10.1.1.12"))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (flow(exact(f.IP_SRC, 1)), "prerequisite eth_type"),
        (flow(exact(f.IP_SRC, 1), IS_IPV4), "prerequisite eth_type"),
        (flow(IS_IPV6, exact(f.IP_SRC, 1)), "prerequisite eth_type"),
        (flow(IS_IPV4, exact(f.ICMP_TYPE, 8)), "prerequisite ip_proto"),
        (flow(*IS_ICMPV6, exact(f.ND_TARGET, 1)), "prerequisite icmpv6_type"),
        (flow(*IS_ICMPV6, exact(f.ICMPV6_TYPE, 135), exact(f.ND_TLL, 1)), "prerequisite icmpv6_type"),
        (flow(IS_IPV4, IS_IPV4), "twice"),
        (flow((f.ETH_TYPE, 0x0800, 0xFF00)), "mask"),
        (flow((f.ETH_DST, 0xFF, 0xF0)), "mask"),
        (flow((f.IP_PROTO, 0x10, 0x10), IS_IPV4), "takes no mask"),
        (flow(actions=[SetField(f.IP_TTL, 64)]), "nw_ttl lacks"),
        (flow(actions=[DecTtl()]), "nw_ttl lacks"),
        (flow(actions=[SetField(f.ETH_TYPE, 0x0800)]), "cannot be written"),
        (flow(actions=[SetField(f.VSID, 1 << 32)]), "wider"),
        (
            flow(*IS_ICMPV6, exact(f.ICMPV6_TYPE, 135), actions=[SetField(f.ICMPV6_TYPE, 136), SetField(f.ND_TLL, 1)]),
            "nd_tll lacks",
        ),
        (flow(actions=[Move(f.ETH_SRC, f.VSID)]), "differ in width"),
        (flow(actions=[Goto(3)], table=3), "does not lead onward"),
        (flow(actions=[Goto(3), Output(1)]), "not the last"),
    ],
)
def test_a_flow_that_open_vswitch_refuses_is_refused(bad, why):
    with pytest.raises(Refused, match=why):
        check(bad)


def test_a_term_of_mask_zero_is_no_prerequisite():
    with pytest.raises(Refused, match="takes no mask"):
        check(flow((f.ETH_TYPE, 0, 0), exact(f.IP_SRC, 1)))


def test_the_higher_priority_wins_and_equal_ones_that_differ_are_an_error():
    low, high = flow(priority=1, actions=[Output(2)]), flow(IS_IPV4, priority=2, actions=[Output(3)])
    assert passage(PING).meet([low, high]) is high
    assert passage(p.arp_request(MAC_A, "10.1.1.11", "10.1.1.12")).meet([low, high]) is low
    rival = flow(exact(f.ETH_SRC, MAC_A), priority=2, actions=[Output(4)])
    with pytest.raises(Undefined):
        passage(PING).meet([low, high, rival])


def test_masks_registers_and_tunnel_fields_match():
    here = passage(PING, tun_id=0x177142, tun_src=7)
    assert here.matches(flow((f.TUN_ID, 0x177100, f.TUN_ID.all_ones & ~0xFF), exact(f.TUN_SRC, 7)))
    assert here.matches(flow(IS_IPV4, prefixed(f.IP_DST, p.number("10.1.1.0"), 24)))
    assert not here.matches(flow(IS_IPV4, prefixed(f.IP_DST, p.number("10.1.2.0"), 24)))
    here.write("reg0", 6001)
    assert here.matches(flow(exact(f.VSID, 6001)))
    assert not here.matches(flow(exact(f.RDID, 6001)))


def test_wide_registers_lie_over_the_narrow_ones():
    here = passage(PING)
    here.write("xxreg1", 0x11111111_22222222_33333333_44444444)
    assert [here.read(f"reg{number}") for number in range(3, 9)] == [
        0,
        0x11111111,
        0x22222222,
        0x33333333,
        0x44444444,
        0,
    ]
    here.write("reg7", 5)
    assert here.read("xxreg1") == 0x11111111_22222222_33333333_00000005


def test_an_absent_field_never_matches():
    assert not passage(PING).matches(flow(exact(f.VLAN_TCI, 0x1000)))
    assert not passage(PING).matches(Flow(0, 1, (exact(f.ARP_OP, 0),), (), 0))


def test_the_port_it_came_in_by_needs_in_port():
    here = passage(PING, in_port=4)
    assert here.carry_out((Output(4), Output(5), InPort())) is None
    assert [sent.port for sent in here.sent] == [5, 4]


def test_what_was_sent_keeps_the_fields_it_had_then():
    here = passage(PING)
    here.carry_out((Output(2), SetField(f.ETH_DST, 9), Output(3)))
    assert [sent.packet.eth_dst for sent in here.sent] == [MAC_B, 9]


def test_ttl_goes_down_and_never_to_zero():
    here = passage(PING)
    assert here.carry_out((DecTtl(), Goto(5))) == 5
    assert here.packet.ttl == 63
    last = passage(p.write(PING, "nw_ttl", 1))
    assert last.carry_out((DecTtl(), Output(2))) is None
    assert not last.sent


def test_flow_id_fills_the_low_byte_alone():
    here = passage(PING)
    here.carry_out((SetField(f.TUN_ID, 6001 << 8), FlowId()))
    assert here.tunnel["tun_id"] >> 8 == 6001
    assert here.tunnel["tun_id"] & 0xFF == p.flow_hash(PING)


def test_move_copies_a_whole_field():
    arp = passage(p.arp_request(MAC_A, "10.1.1.11", "10.1.1.12"))
    arp.carry_out((Move(f.ARP_SHA, f.ARP_THA), SetField(f.ARP_SHA, MAC_B)))
    assert (arp.packet.arp_tha, arp.packet.arp_sha) == (MAC_A, MAC_B)
