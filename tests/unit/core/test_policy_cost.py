"""The cost of an increment follows the change: counted in questions to the state, in a small cloud and a large one."""

import pytest
from msgspec.structs import replace

from tests.cluster import ways_out
from tests.cluster.world import World
from weft.core import policy
from weft.core.state import State
from weft.model.values import pack_ip

COUNTED = ("get", "lease", "machine_of", "by_instance", "interfaces_in", "machines_on", "all")


class CountingState(State):
    """A state that counts what it is asked and what it hands out."""

    asked = 0


def _counting(name):
    ask = getattr(State, name)

    def counted(self, *arguments):
        self.asked += 1
        found = ask(self, *arguments)
        if name in ("interfaces_in", "machines_on", "all"):
            found = list(found)
            self.asked += len(found)
        return found

    return counted


for _name in COUNTED:
    setattr(CountingState, _name, _counting(_name))


def cloud(machines):
    """Four hosts and so many machines of one network on them."""
    world = World()
    world.state = CountingState()
    world.fabric(pa="192.168.0.0/16")
    for host in range(4):
        world.server(f"h{host}", f"192.168.1.{host + 10}")
    world.network("blue", 60, {"web": ("10.0.0.0/8", 6001)})
    for number in range(machines):
        address = f"10.1.{number // 200}.{number % 200 + 10}"
        world.interface(f"n{number}", number + 1, ("/virtualNetworks/blue/subnets/web", address))
        world.machine(f"m{number}", f"h{number % 4}", [f"n{number}"], "Running")
    world.taken()
    return world


def cost(world, change):
    change(world)
    changes = world.taken()
    world.state.asked = 0
    for stream, key in policy.touched(world.state, changes):
        policy.record(world.state, stream, key)
    return world.state.asked


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.power("m1", "Off"),
        lambda w: w.move("m1", "h3", "preparing"),
        lambda w: w.move("m1", "h3", "switched"),
        lambda w: w.interface("n1", 9999, ("/virtualNetworks/blue/subnets/web", "10.99.0.5")),
        lambda w: w.bring("n1", "/virtualNetworks/blue/subnets/web", "10.99.0.200"),
        lambda w: w.delete("virtualMachines", "m1"),
        lambda w: w.interface("new", 9999, ("/virtualNetworks/blue/subnets/web", "10.99.0.5")),
    ],
)
def test_a_change_of_one_machine_costs_the_same_in_any_cloud(change):
    assert cost(cloud(8), change) == cost(cloud(400), change)


def test_a_phase_of_a_move_tells_the_network_only_what_it_changes():
    world = cloud(3)
    blue = ("network", 60)
    told = {}
    for phase in ("preparing", "switching", "switched", "done"):
        world.move("m1", "h3", phase)
        told[phase] = {key for stream, key in policy.touched(world.state, world.taken()) if stream == blue}
    assert told == {
        "preparing": {(4, pack_ip("192.168.1.13"))},
        "switching": set(),
        "switched": {(5, 6001, pack_ip("10.1.0.11"))},
        "done": {(4, pack_ip("192.168.1.11"))},
    }


BLUE, SUBNETS = ("network", 60), {"web": ("10.1.1.0/24", 6001), "gw": ("10.1.9.0/24", 6009)}


def connections(routes, into):
    ways = [(f"{into}.{number}.0/24", "10.200.0.1", 0) for number in range(routes)]
    return (ways_out.leg("vlan", "/logicalNetworks/physical/subnets/out", ("10.200.0.5/24",), ways),)


def lead(world, routes, into):
    """The connection of blue's gateway leads to so many prefixes."""
    ways_out.way_out(world, "blue", "gw", "10.1.9.4", (), connections=connections(routes, into))


def leaving(routes, into):
    """A network, a peer that leaves by its gateway, and the address space 10.0.0.0/9 for both."""
    world = World()
    world.state = CountingState()
    world.fabric(pa="192.168.0.0/16")
    ways_out.outside(world, "physical", "10.200.0.0/24", vlan=100, public=False)
    ways_out.pool(world, "gp", [])
    world.network("blue", 60, SUBNETS)
    world.network("red", 50, {"web": ("10.2.1.0/24", 5001)})
    for name, other, switch in (("blue", "red", "allow_gateway_transit"), ("red", "blue", "use_remote_gateways")):
        world.space(name, "10.0.0.0/9")
        world.peer(name, other, allow_virtual_network_access=True, **{switch: True})
    lead(world, routes, into)
    world.taken()
    return world


def told(world, name):
    """A network's DNS servers change."""
    old = world.state.get("virtualNetworks", name).properties
    world.put("virtualNetworks", name, replace(old, dhcp_options=replace(old.dhcp_options, dns_servers=("9.9.9.9",))))


def ways_named(world, change):
    """How many routes to the gateway, other than default ones, a change names."""
    change(world)
    return sum(key[0] == 3 and key[1] == 6009 and key[3] != 0 for _, key in policy.touched(world.state, world.taken()))


@pytest.mark.parametrize(
    ("into", "change", "named"),
    [
        pytest.param("10.9", lambda w: told(w, "blue"), 0, id="its DNS servers"),
        pytest.param("10.9", lambda w: told(w, "red"), 0, id="a peer's"),
        pytest.param(
            "10.9",
            lambda w: ways_out.outside(w, "physical", "10.200.0.0/24", vlan=200, public=False),
            0,
            id="a VLAN outside",
        ),
        pytest.param("10.9", lambda w: ways_out.gateway(w, "g1", "h1"), 0, id="a gateway"),
        pytest.param("10.9", lambda w: lead(w, 20, "10.9"), 0, id="nothing"),
        pytest.param("10.9", lambda w: lead(w, 21, "10.9"), 2 * 21, id="its connections"),
        pytest.param("10.9", lambda w: w.space("red", "10.0.0.0/8"), 2 * 21, id="a peer's address space"),
        pytest.param("172.16", lambda w: w.space("blue", "10.0.0.0/10"), 0, id="a space where nothing leads"),
        pytest.param("172.16", lambda w: lead(w, 21, "172.16"), 0, id="connections that lead out of the space"),
    ],
)
def test_routes_to_a_gateway_are_named_where_they_may_have_changed(into, change, named):
    assert ways_named(leaving(20, into), change) == named


def test_what_routes_follow_from_is_read_once_for_all_that_a_commit_names():
    asked = {}
    for routes in (5, 200):
        world = leaving(routes, "10.9")
        lead(world, routes, "10.8")
        keys = [key for stream, key in policy.touched(world.state, world.taken()) if stream == BLUE]
        world.state.asked = 0
        records = policy.records(world.state, BLUE, keys)
        asked[routes] = world.state.asked
        assert [len(keys) > 2 * routes, sum(one is not None for one in records.values()) >= routes] == [True, True]
        assert records == {key: policy.record(world.state, BLUE, key) for key in keys}
    assert asked[5] == asked[200]
