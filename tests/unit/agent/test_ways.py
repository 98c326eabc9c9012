"""Encapsulation in numbers."""

import pytest

from tests.unit.agent.policies import HOSTS
from weft.agent.flows.actions import FlowId, Output, SetField, action_text
from weft.agent.flows.ways import Way, mtu_for
from weft.agent.switch import Tunnel
from weft.model.values import link_local_of


@pytest.mark.parametrize(
    ("encapsulation", "provider", "family", "inner"),
    [("nvgre", 1500, 4, 1458), ("vxlan", 1500, 4, 1450), ("nvgre", 1500, 6, 1438), ("vxlan", 9000, 6, 8930)],
)
def test_the_largest_inner_packet(encapsulation, provider, family, inner):
    assert mtu_for(encapsulation, provider, family) == inner


def test_nvgre_has_the_vsid_in_the_upper_24_bits_of_the_key_and_a_flow_id_below():
    way = Way(Tunnel("gre", HOSTS["host1"]), 3)
    actions = way.to(6001, HOSTS["host2"])
    assert [action_text(one) for one in actions] == [
        "set_field:0x177100->tun_id",
        "set_field:192.168.2.20->tun_dst",
        "multipath(symmetric_l3l4+udp,50,hrw,256,0,tun_id[0..7])",
        "output:3",
    ]
    _, value, mask = way.key_is(6001)
    assert (value, mask) == (0x177100, 0xFFFFFFFFFFFFFF00)


def test_vxlan_has_the_vsid_as_its_vni():
    way = Way(Tunnel("vxlan", HOSTS["host1"]), 3)
    actions = way.to(6001, HOSTS["host2"])
    assert FlowId() not in actions
    assert (actions[0].value, way.key_is(6001)[1]) == (6001, 6001)


def test_an_ipv6_provider_network_has_its_own_tunnel_fields():
    far = bytes.fromhex("20010db8000000000000000000000001")
    assert action_text(Way(Tunnel("gre", far), 3).to(6001, far)[1]) == "set_field:2001:db8::1->tun_ipv6_dst"


def test_copies_go_to_each_host():
    way = Way(Tunnel("gre", HOSTS["host1"]), 3)
    copies = way.copy_to(6001, tuple(HOSTS.values()))
    assert [one for one in copies if isinstance(one, Output)] == [Output(3), Output(3)]
    assert len([one for one in copies if isinstance(one, SetField)]) == 3
    assert way.copy_to(6001, ()) == ()


def test_link_local_turns_the_universal_bit():
    assert link_local_of(0x001DD8B71C01) == 0xFE80000000000000021DD8FFFEB71C01
