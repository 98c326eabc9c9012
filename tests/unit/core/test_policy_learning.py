"""What hosts are told of addresses that guests bring, and what a trace says of them."""

import pytest

from tests.cluster.world import World, instance
from weft.core import policy
from weft.core.trace import trace
from weft.model.records import LookupRecord, PortBinding, PortLearning
from weft.model.values import pack_ip

WEB, SIX = "/virtualNetworks/blue/subnets/web", "/virtualNetworks/blue/subnets/six"
VIP = "10.1.1.200"


@pytest.fixture
def world():
    """Guests of web, and of its partner six, may bring addresses; web1 runs on host1, web2 on host2."""
    world = World()
    world.fabric(pa="192.168.1.0/24")
    world.network("blue", 5, {"web": ("10.1.1.0/24", 6001), "six": ("fd00:1::/64", 6001), "db": ("10.1.2.0/24", 6002)})
    world.guests("blue", "web", enabled=True)
    world.guests("blue", "six", enabled=True, age_seconds=60)
    for at in (1, 2):
        world.server(f"host{at}", f"192.168.1.{9 + at}")
        world.interface(f"web{at}-eth0", 0x020000000000 + at, (WEB, f"10.1.1.{3 + at}"))
        world.machine(f"web{at}", f"host{at}", [f"web{at}-eth0"], "Running")
    world.interface("db1-eth0", 0x020000000009, ("/virtualNetworks/blue/subnets/db", "10.1.2.4"))
    world.machine("db1", "host1", ["db1-eth0"], "Running")
    return world


def learning(world, host, name="web1-eth0"):
    found = policy.host_stream(world.state, host).get(PortLearning(instance(f"networkInterfaces/{name}")).key)
    assert found is None or isinstance(found, PortLearning)
    return found


def lookup(world, address):
    return policy.network_stream(world.state, 5).get((5, 6001, pack_ip(address)))


def test_a_port_is_told_what_its_guest_may_bring_and_has(world):
    world.bring("web1-eth0", WEB, VIP)
    world.bring("web1-eth0", SIX, "fd00:1::200")
    found = learning(world, "host1")
    assert found.prefixes == ((pack_ip("10.1.1.0"), 24), (pack_ip("fd00:1::"), 64))
    assert found.learnt == (pack_ip(VIP), pack_ip("fd00:1::200"))
    assert found.age_seconds == 60, "the shorter of both"
    binding = policy.host_stream(world.state, "host1")[(13, found.instance_id.encode())]
    assert isinstance(binding, PortBinding)
    assert binding.addresses == (pack_ip("10.1.1.4"),)


def test_a_port_elsewhere_is_told_nothing(world):
    assert learning(world, "host1", "db1-eth0") is None


def test_the_address_has_a_record_as_long_as_its_machine_runs(world):
    world.bring("web1-eth0", WEB, VIP)
    assert lookup(world, VIP) == LookupRecord(6001, pack_ip(VIP), 0x020000000001, pack_ip("192.168.1.10"))
    world.power("web1", "Off")
    assert lookup(world, VIP) is None
    world.power("web1", "Running")
    world.bring("web2-eth0", WEB, VIP)
    assert lookup(world, VIP) == LookupRecord(6001, pack_ip(VIP), 0x020000000002, pack_ip("192.168.1.11"))
    assert learning(world, "host1").learnt == ()


def test_both_ends_of_a_move_have_it(world):
    world.bring("web1-eth0", WEB, VIP)
    world.move("web1", "host2", "preparing")
    assert learning(world, "host1") == learning(world, "host2")


def test_the_view_shows_it_as_a_dynamic_record(world):
    world.bring("web1-eth0", WEB, VIP)
    seen = policy.view(world.state, "host1")
    types = {one["customerAddress"]: one["type"] for one in seen["lookupRecords"]}
    assert (types["10.1.1.4"], types[VIP]) == ("Static", "Dynamic")
    port = next(one for one in seen["ports"] if one["networkInterface"] == "/networkInterfaces/web1-eth0")
    assert port["learnedIPAddresses"] == [VIP]
    assert port["learnsFrom"] == ["10.1.1.0/24", "fd00:1::/64"]


def test_a_trace_says_who_brought_it(world):
    world.bring("web1-eth0", WEB, VIP)
    for source in ("web2-eth0", "db1-eth0"):
        found = trace(world.state, source, VIP)
        assert found.delivered
        step = next(one for one in found.path if one.stage == "learnt address")
        assert step.text == f"{VIP} was brought by the guest of web1-eth0"
    assert "never leaves the guest" in trace(world.state, "web1-eth0", VIP).reason
    world.power("web1", "Off")
    stopped = trace(world.state, "web2-eth0", VIP)
    assert stopped.reason == "no lookup record: machine web1 is Off"
