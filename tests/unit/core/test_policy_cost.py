"""The cost of an increment follows the change: counted in questions to the state, in a small cloud and a large one."""

import pytest

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
