"""What a command changes of the provider addresses that virtual subnets and IP rewrite have on hosts, and its cost."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.core.test_decide_provider_addresses import PA1, SCOPE, placed, purposes, world_of
from tests.unit.core.world import World, provider_network, virtual_network
from weft.core.state import State
from weft.model.resources import AnyResource


def rewriting_world() -> World:
    """Hosts h1 and h2 on one provider subnet, and the network blue with IP rewrite."""
    world = World()
    body = provider_network()
    world.put("/macPools/p1", {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-FF-FF"})
    world.put("/logicalNetworks/hnvpa", body | {"subnets": body["subnets"][:1]})
    for server in ("h1", "h2"):
        world.put(f"/servers/{server}", {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]})
    network = virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"})
    world.put("/virtualNetworks/blue", network | {"networkVirtualizationProtocol": "Rewrite"})
    return world


def mapped(*machines: str) -> list[str]:
    return ["", *(f"/networkinterfaces/{one}-nic/ipconfigurations/ip1" for one in machines)]


def test_a_mapping_of_ip_rewrite_comes_and_goes_with_its_interface_and_leaves_others_alone() -> None:
    world = rewriting_world()
    for name in ("vm1", "vm2", "vm3"):
        placed(world, name)
    before = world.state.addresses.providers["/servers/h1"][SCOPE].copy()
    assert purposes(world) == mapped("vm1", "vm2", "vm3")
    world.power("vm1", "Running")
    world.move("vm1", "h2")
    assert (purposes(world), purposes(world, "h2")) == (mapped("vm1", "vm2", "vm3"), mapped("vm1"))
    for phase in ("switching", "switched", "done"):
        world.advance("vm1", phase)
    assert (purposes(world), purposes(world, "h2")) == (mapped("vm2", "vm3"), mapped("vm1"))
    world.delete("/weft/virtualMachines/vm2")
    assert purposes(world) == mapped("vm3")
    world.put("/servers/h1", {"networkInterfaces": [{"resourceId": "a", "properties": PA1}], "tags": {"row": "1"}})
    assert purposes(world) == mapped("vm3")
    assert world.state.addresses.providers["/servers/h1"][SCOPE].items() <= before.items()


class Counting(State):
    """Counts the machines and interfaces that are looked at."""

    looked = 0

    def get(self, kind: str, resource_id: str) -> AnyResource | None:
        self.looked += kind in ("virtualMachines", "networkInterfaces")
        return super().get(kind, resource_id)

    def machines_on(self, server_id: str) -> Iterator[Any]:
        for machine in super().machines_on(server_id):
            self.looked += 1
            yield machine


@pytest.mark.parametrize("policy", ["perVirtualSubnet", "perHostInUse", "Rewrite"])
def test_what_one_machine_brings_is_found_without_looking_at_the_others_of_its_host(policy: str) -> None:
    def looked(others: int) -> int:
        world = rewriting_world() if policy == "Rewrite" else world_of(policy)
        world.put("/virtualNetworks/red", virtual_network({"web": "10.7.0.0/16"}))
        for number in range(others):
            world.interface(f"o{number}-nic", "/virtualNetworks/red/subnets/web")
            world.machine(f"o{number}", "h1", "Off", f"o{number}-nic")
        world.interface("vm1-nic", "/virtualNetworks/blue/subnets/web")
        before = world.state
        world.state = Counting("test")
        world.state.__dict__.update(vars(before))
        world.machine("vm1", "h1", "Off", "vm1-nic")
        assert (set(purposes(world)) > {""}) == (policy != "perHostInUse")
        world.delete("/weft/virtualMachines/vm1")
        return world.state.looked

    assert looked(20) == looked(1)
