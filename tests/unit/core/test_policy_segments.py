"""Interfaces on VLANs and untagged networks: what hosts are told, what the view shows, what a trace answers."""

import pytest

from tests.cluster.world import World, instance
from weft.core import policy
from weft.core.trace import trace
from weft.model.errors import Invalid
from weft.model.records import PortBinding, SegmentPort
from weft.model.values import pack_ip, vlan_segment
from weft.model.workload import Move

V20, V30, BARE = (f"/logicalNetworks/lan/subnets/{name}" for name in ("v20", "v30", "bare"))


@pytest.fixture
def world():
    made = World()
    made.fabric(pa="192.168.1.0/24")
    made.vlans("lan", v20=("10.1.1.0/24", 20), v30=("10.1.2.0/24", 30), bare=("", 0))
    made.network("blue", 60, {"web": ("10.1.1.0/24", 6001)})
    for host, address in (("host1", "192.168.1.10"), ("host2", "192.168.1.20")):
        made.server(host, address)
    for number, (name, host, ref, address) in enumerate(
        (
            ("shop1", "host1", V20, "10.1.1.11"),
            ("shop2", "host2", V20, "10.1.1.12"),
            ("desk1", "host1", V30, "10.1.2.12"),
            ("free1", "host1", BARE, None),
            ("blue1", "host1", "/virtualNetworks/blue/subnets/web", "10.1.1.12"),
        )
    ):
        made.interface(f"{name}-eth0", 0x001DD8B71C00 + number, (ref, address))
        made.machine(name, host, [f"{name}-eth0"], "Running")
    return made


def told(world, host, name):
    key = instance(f"networkInterfaces/{name}-eth0").encode()
    stream = policy.host_stream(world.state, host)
    return stream.get((13, key)), stream.get((20, key))


def test_a_port_on_a_vlan_has_a_binding_and_its_vlan(world):
    binding, segment = told(world, "host1", "shop1")
    assert isinstance(binding, PortBinding) and isinstance(segment, SegmentPort)
    assert (binding.rdid, binding.vsid, binding.addresses) == (0, vlan_segment(20), (pack_ip("10.1.1.11"),))
    assert (segment.vlan, segment.logical_subnet, segment.free, segment.leaving) == (20, V20, False, False)
    [subnet] = segment.subnets
    assert (subnet.prefix_length, subnet.gateway) == (24, pack_ip("10.1.1.1"))
    _, free = told(world, "host1", "free1")
    assert (free.vlan, free.free, free.subnets) == (0, True, ())
    assert told(world, "host1", "blue1")[1] is None
    assert told(world, "host2", "shop1") == (None, None)


def test_no_machine_has_a_port_between_tunnels(world):
    world.interface("shop1-eth0", 0x001DD8B71C00, ("/logicalNetworks/hnvpa/subnets/pa", "192.168.1.50"))
    assert told(world, "host1", "shop1") == (None, None)


def test_another_vlan_reaches_the_hosts_that_have_ports_on_it_and_no_others(world):
    world.taken()
    world.vlans("lan", v20=("10.1.1.0/24", 21), v30=("10.1.2.0/24", 30), bare=("", 0))
    found = policy.touched(world.state, world.taken())
    touched = {(stream[1], key) for stream, key in found if stream[0] == "host" and key[0] in (13, 20)}
    keys = {name: instance(f"networkInterfaces/{name}-eth0").encode() for name in ("shop1", "shop2")}
    assert touched == {
        (host, (tag, keys[name])) for name, host in (("shop1", "host1"), ("shop2", "host2")) for tag in (13, 20)
    }
    assert told(world, "host1", "shop1")[1].vlan == 21


def test_a_machine_that_moves_is_told_to_both_its_hosts(world):
    move = Move(source="host2", destination="host1", phase="preparing", generation=1)
    world.machine("shop2", "host2", ["shop2-eth0"], "Running", move)
    assert told(world, "host2", "shop2")[1].leaving
    assert told(world, "host1", "shop2")[1].leaving is False


def test_the_view_names_the_vlan(world):
    [port] = [
        one for one in policy.view(world.state, "host1")["ports"] if one["networkInterface"].endswith("shop1-eth0")
    ]
    assert (port["virtualSubnetId"], port["vlanID"], port["logicalSubnet"]) == (0, 20, V20)


def answer(world, source, to):
    found = trace(world.state, f"{source}-eth0", to)
    return found.delivered, found.reason


def test_a_trace_on_a_vlan_says_where_it_ends(world):
    assert answer(world, "shop1", "10.1.1.12") == (True, "delivered to port shop2-eth0 on host2")
    assert answer(world, "shop1", "shop2-eth0")[0]
    found = trace(world.state, "shop1-eth0", "10.1.1.12")
    assert [step.stage for step in found.path] == ["classify", "port security", "output", "output"]
    assert "VLAN 20" in found.path[0].text and "out by the patch" in found.path[2].text
    delivered, reason = answer(world, "shop1", "10.1.1.77")
    assert delivered and reason == "left VLAN 20 for the physical network; what is there is not Weft's"
    assert "to router 10.1.1.1;" in answer(world, "shop1", "203.0.113.5")[1]
    assert answer(world, "free1", "203.0.113.5") == (
        True,
        "left untagged for the physical network; what is there is not Weft's",
    )


def test_a_trace_between_kinds_says_that_they_do_not_meet(world):
    for other in ("desk1", "blue1", "free1"):
        delivered, reason = answer(world, "shop1", f"{other}-eth0")
        assert not delivered and reason.startswith("no route: "), other
    assert answer(world, "blue1", "shop1-eth0") == (False, "shop1-eth0 has no address in a virtual subnet")
    assert answer(world, "shop1", "10.1.1.11")[1].startswith("its own address")
    assert answer(world, "shop1", "fd00::1")[1].startswith("shop1-eth0 has no IPv6 address")
    with pytest.raises(Invalid):
        answer(world, "shop1", "224.0.0.5")


def test_a_trace_to_a_machine_that_is_off_on_the_same_vlan_stops_there(world):
    world.power("shop2", "Off")
    assert answer(world, "shop1", "10.1.1.12") == (False, "machine shop2 is Off")
