"""Which fields a packet has, and which it only seems to have."""

from msgspec.structs import replace

from weft.fakes import packet as p

MAC_A, MAC_B = 0x0A0000000001, 0x0A0000000002


def test_an_arp_packet_has_no_ip_field_and_an_ip_packet_no_arp_field():
    arp = p.arp_request(MAC_A, "10.1.1.11", "10.1.1.12")
    assert p.read(arp, "arp_tpa") == p.number("10.1.1.12")
    assert p.read(arp, "ip_src") is None
    ping = p.echo((MAC_A, MAC_B), ("10.1.1.11", "10.1.1.12"))
    assert p.read(ping, "ip_src") == p.number("10.1.1.11")
    assert p.read(ping, "ipv6_src") is None
    assert p.read(ping, "arp_spa") is None
    assert p.read(ping, "udp_src") is None


def test_the_link_layer_option_is_read_by_the_name_of_its_type_only():
    asked = p.solicitation(MAC_A, "fd00::11", "fd00::12")
    assert p.read(asked, "nd_sll") == MAC_A
    assert p.read(asked, "nd_tll") is None
    answered = p.write(asked, "icmpv6_type", p.ADVERTISEMENT)
    assert p.read(answered, "nd_tll") == 0, "the option is still a source option"
    assert p.write(answered, "nd_tll", MAC_B) == answered, "so it cannot be written as the other"
    retyped = p.write(p.write(answered, "nd_options_type", p.TARGET_OPTION), "nd_tll", MAC_B)
    assert p.read(retyped, "nd_tll") == MAC_B


def test_without_an_option_there_is_none_to_write():
    bare = replace(p.solicitation(MAC_A, "fd00::11", "fd00::12"), nd_option=0, nd_address=0)
    assert p.read(bare, "nd_sll") == 0
    assert p.write(bare, "nd_sll", MAC_B) == bare


def test_a_solicitation_with_another_code_is_not_neighbour_discovery():
    odd = replace(p.solicitation(MAC_A, "fd00::11", "fd00::12"), icmp_code=1)
    assert p.read(odd, "nd_target") is None


def test_a_later_fragment_has_no_transport_header():
    ping = p.echo((MAC_A, MAC_B), ("fd00::11", "fd00::12"))
    first, later = replace(ping, fragment=p.FIRST), replace(ping, fragment=p.LATER)
    assert [p.read(one, "ip_frag") for one in (ping, first, later)] == [0, 1, 3]
    assert [p.read(one, "icmpv6_type") for one in (first, later)] == [128, None]
    assert [p.read(one, "ip_proto") for one in (first, later)] == [p.ICMPV6, p.FRAGMENT]
    assert p.read(replace(p.echo((MAC_A, MAC_B), ("10.1.1.1", "10.1.1.2")), fragment=p.LATER), "ip_proto") == p.ICMP


def test_both_directions_of_a_flow_hash_alike_and_flows_differ():
    there = p.udp((MAC_A, MAC_B), ("10.1.1.11", "10.1.1.12"), (5000, 53))
    back = p.udp((MAC_B, MAC_A), ("10.1.1.12", "10.1.1.11"), (53, 5000))
    assert p.flow_hash(there) == p.flow_hash(back)
    others = {p.flow_hash(replace(there, src_port=port)) for port in range(5000, 5040)}
    assert len(others) > 20
