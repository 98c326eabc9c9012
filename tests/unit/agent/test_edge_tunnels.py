"""What a host's GRE ports make of its outside: flows, addresses and routes, from what the database says alone."""

import json

import msgspec
import pytest

from tests.contract.test_edge import EDGE, TUNNEL
from weft.agent.edge import tunnels
from weft.agent.edge.nftables import rules
from weft.agent.edge.tunnels import inside_mtu, outside, read_ports
from weft.agent.edge.wanted import Route, limits, links, routes
from weft.model.values import pack_ip

PORT = {
    "weft": "edge",
    "weft-rdid": "7",
    "weft-leg": "we7t0",
    "weft-mac": "00:1d:d8:b7:1c:00",
    "weft-vlan": "12",
    "weft-length": "24",
    "weft-gateway": "198.51.100.254",
    "weft-carries": "yes",
}


def said(name="we7g0", remote="192.0.2.9", local="198.51.100.10", **more):
    ends = {"local_ip": local, "remote_ip": remote, "packet_type": "legacy_l3"}
    told = {**PORT, **{f"weft-{key}": value for key, value in more.items()}}
    return [name, ["map", [*map(list, ends.items())]], ["map", [*map(list, told.items())]], ["set", []]]


def ports(*rows):
    return read_ports(json.dumps({"data": rows}))


def test_only_ends_that_are_carried_have_addresses_and_ways():
    found = outside("wev12", ports(said(), said("we8g0", local="198.51.100.11", carries="", remote="192.0.2.10")))
    assert found.addresses == {"198.51.100.10/24": "198.51.100.10"}
    assert found.routes == {"192.0.2.9": "198.51.100.254"}
    assert found.hops == {("198.51.100.10", "198.51.100.254")}


def test_a_far_end_in_the_same_subnet_needs_no_router():
    near = outside("wev12", ports(said(remote="198.51.100.1")))
    assert (near.routes, near.hops) == ({}, {("198.51.100.10", "198.51.100.1")})
    lost = outside("wev12", ports(said(gateway="")))
    assert (lost.routes, lost.hops) == ({}, set())


def test_nothing_but_arp_and_gre_between_both_ends_passes_to_the_host():
    flows = outside("wev12", ports(said())).flows
    inward = [one for one in flows if one.endswith("actions=LOCAL")]
    assert inward == [
        "in_port=wev12p,arp actions=LOCAL",
        "in_port=wev12p,ip,nw_proto=47,nw_src=192.0.2.9,nw_dst=198.51.100.10 actions=LOCAL",
    ]


def test_ports_that_another_hand_changed_are_passed_over():
    broken = said()
    broken[2] = ["map", [["weft", "edge"]]]
    assert [one.name for one in ports(broken, said("we8g0"))] == ["we8g0"]
    assert read_ports("") == []
    closed = [*said()[:3], "could not add network device we7g0 to ofproto (File exists)"]
    assert [one.error for one in ports(said(), closed)] == ["", closed[3]]


def test_what_is_there_and_not_wanted_goes():
    wanted = outside("wev12", ports(said()))
    assert tunnels.address_lines("wev12", {"198.51.100.9/24"}, wanted) == [
        "addr del 198.51.100.9/24 dev wev12",
        "addr add 198.51.100.10/24 dev wev12",
    ]
    assert tunnels.route_lines("wev12", {"192.0.2.8"}, wanted) == [
        "route del 192.0.2.8 dev wev12 proto 87",
        "route replace 192.0.2.9 via 198.51.100.254 onlink dev wev12 proto 87",
    ]


def test_a_host_that_is_in_the_subnet_itself_has_no_near_end_there():
    wanted = outside("wev12", ports(said()))
    assert tunnels.rival("wev12", {"wev12": {"198.51.100.10/24"}, "br-phy": {"192.168.1.10/24"}}, wanted) == ""
    assert "by br-phy itself" in tunnels.rival("wev12", {"br-phy": {"198.51.100.3/24"}}, wanted)
    assert "cannot be a far end" in tunnels.rival("wev12", {"eth1": {"192.0.2.4/24"}}, wanted)


@pytest.mark.parametrize(("key", "mtu"), [(-1, 1476), (0, 1472), (77, 1472)])
def test_a_tunnel_carries_what_its_headers_leave(key, mtu):
    assert inside_mtu(msgspec.structs.replace(TUNNEL, key_value=key), 1500) == mtu


def test_a_tunnel_has_the_routes_and_limits_of_its_connection():
    limited = msgspec.structs.replace(TUNNEL, outbound_kbps=5000, inbound_kbps=8000)
    edge = msgspec.structs.replace(EDGE, legs=(), tunnels=(limited,))
    assert [link.host for link in links(edge)] == ["we7i", "we7t0"]
    assert Route("10.9.0.0/16", "", "t0", 0) in routes(edge)
    assert any("dev t0 root tbf rate 5000kbit" in line for line in limits(edge))
    assert 'iifname "t0" oifname "inner" meta priority set "1:10"' in rules(edge)
    assert pack_ip("172.16.0.1") == limited.addresses[0][0]
