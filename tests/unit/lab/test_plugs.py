"""The lines for ip and tc: a move is made before the old way is broken."""

import json

from weft.agent.hypervisors import Start
from weft.lab import plugs
from weft.lab.guests import Guest, GuestPort
from weft.lab.plugs import Redirect
from weft.model.records import Machine, PortBinding, SubnetRecord
from weft.model.values import InstanceId, Mac, Rdid, Vsid, pack_ip

MAC = Mac(0x001DD8B71C00)
GUEST = Guest("web1", 3, "lab-web1", ports=(GuestPort("id0", MAC), GuestPort("id1", Mac(MAC + 1))))


def binding(*addresses, vsid=6001):
    return PortBinding(
        InstanceId("id0"), "web1-eth0", Rdid(1), Vsid(vsid), MAC, tuple(map(pack_ip, addresses)), pack_ip("192.0.2.1")
    )


def start(*ports, subnets=()):
    return Start(Machine("web1", "Running", (), ""), ports, subnets, mtu=1450)


def subnet(prefix, length, gateway, vsid=6001):
    return SubnetRecord(Vsid(vsid), pack_ip(prefix), length, pack_ip(gateway))


def test_a_move_adds_the_new_way_before_it_deletes_the_old():
    lines = plugs.departure_lines("g3.0", "l3.0.2", [Redirect(49_999, "l3.0.1")])
    assert lines[0].startswith("filter add dev g3.0 ingress prio 49998 ") and lines[0].endswith("redirect dev l3.0.2")
    assert lines[1:] == ["filter del dev g3.0 ingress prio 49999"]


def test_a_move_that_was_made_is_not_made_again():
    assert plugs.departure_lines("g3.0", "l3.0.2", [Redirect(49_998, "l3.0.2")]) == []


def test_a_move_that_was_cut_off_in_the_middle_is_finished():
    lines = plugs.departure_lines("g3.0", "l3.0.2", [Redirect(49_998, "l3.0.2"), Redirect(49_999, "l3.0.1")])
    assert [line.split()[1] for line in lines] == ["add", "del", "del"]
    assert " prio 49997 " in lines[0]


def test_the_first_way_needs_no_other():
    (line,) = plugs.departure_lines("g3.0", "l3.0.0", [])
    assert f" prio {plugs.FIRST_PRIORITY - 1} " in line


def test_cables_that_are_there_are_not_made_again():
    assert plugs.guest_lines(GUEST, {"g3.0"}, 1458) == [
        "link set dev g3.0 up",
        "link add name g3.1 type veth peer name eth1 address 00:1d:d8:b7:1c:01 mtu 1458 netns lab-web1",
        "link set dev g3.1 up",
    ]


def test_legs_that_are_there_are_not_made_again():
    assert plugs.missing_slots(range(3), 7, {"l7.1", "l6.0", "g3.0"}) == [0, 2]
    assert plugs.leg_lines([2], 7, "lab-host8") == [
        "link add name l7.2 type veth peer name v2 netns lab-host8",
        "link set dev l7.2 up",
    ]
    assert plugs.port_lines([2]) == ["link set dev v2 arp off up"]


def test_a_spare_port_has_our_mark_and_nobody_s_name():
    words = " ".join(plugs.spare_words([4], "lab"))
    assert "clear interface v4 external_ids" in words and "weft-lab=lab" in words
    assert "iface-id" not in words and words.index("clear") < words.index("weft-lab")


def test_a_port_is_known_by_instance_id_and_mac():
    words = plugs.identity_words(GUEST, [4, 9])
    assert words[: words.index("external_ids:iface-id=id1")].count("v9") == 1
    assert 'external_ids:attached-mac="00:1d:d8:b7:1c:01"' in words


def test_only_cables_of_changed_interfaces_are_deleted():
    there = {"g3.0", "g3.1"}
    assert plugs.changed_lines(GUEST, GUEST.ports, there) == []
    assert plugs.changed_lines(GUEST, GUEST.ports[:1], there) == ["link del dev g3.1"]
    assert plugs.changed_lines(GUEST, GUEST.ports[1:], there) == ["link del dev g3.0", "link del dev g3.1"]
    assert plugs.changed_lines(GUEST, (), {"g3.1"}) == ["link del dev g3.1"]


def test_the_stack_gets_prefix_and_gateway_of_its_own_subnet():
    subnets = (
        subnet("10.1.1.0", 24, "10.1.1.1", vsid=5001),
        subnet("10.1.0.0", 16, "10.1.0.1"),
        subnet("fd00:1::", 64, "fd00:1::1"),
    )
    assert plugs.stack_lines(start(binding("10.1.1.11", "fd00:1::11"), subnets=subnets)) == [
        "link set dev eth0 mtu 1450 up",
        "addr replace 10.1.1.11/16 dev eth0",
        "addr replace fd00:1::11/64 dev eth0 nodad",
        "route replace default via 10.1.0.1 dev eth0",
        "route replace default via fd00:1::1 dev eth0",
    ]


def test_an_address_without_a_subnet_is_alone_and_has_no_gateway():
    assert plugs.stack_lines(start(binding("10.1.1.11")))[1:] == ["addr replace 10.1.1.11/32 dev eth0"]


def test_redirects_are_read_from_what_tc_shows():
    action = {"kind": "mirred", "mirred_action": "redirect", "to_dev": "l3.0.1"}
    shown = [{"pref": 49_999, "kind": "u32"}, {"pref": 49_999, "kind": "u32", "options": {"actions": [action]}}]
    assert plugs.redirects(json.dumps(shown)) == [Redirect(49_999, "l3.0.1")]
    assert plugs.redirects("") == []
