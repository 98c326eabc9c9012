"""Machines of two networks that rewrite meet on the provider network, by their MAC addresses."""

import pytest

from tests.unit.core.gateway_world import ref, subnet
from tests.unit.core.world import World, server_on, static_interface, virtual_network
from weft.core.commands import SetPower
from weft.core.copy_commands import ImportedInterface, ImportMachine

MAC = "02-AA-00-00-00-01"
FLAT = "/logicalNetworks/flat/subnets/four"


def world_of(protocol: str) -> World:
    """Machine `one` runs on h1 in network one; `two` has its MAC address on h2, in network two."""
    world = World()
    world.fabric()
    four = subnet("four", "172.20.0.0/24", 0, ("172.20.0.10", "172.20.0.40"))
    world.put("/logicalNetworks/flat", {"networkVirtualizationEnabled": True, "subnets": [four]})
    for name in ("h1", "h2"):
        body = server_on("pa1")
        body["networkInterfaces"][0]["properties"]["logicalSubnets"].append(ref(FLAT))
        world.put(f"/servers/{name}", body)
    for name in ("one", "two"):
        body = virtual_network({"web": "10.1.1.0/24"}) | {"networkVirtualizationProtocol": protocol}
        world.put(f"/virtualNetworks/{name}", body | {"logicalNetwork": ref("/logicalNetworks/flat")})
    world.put("/networkInterfaces/one-eth0", static_interface(MAC, "/virtualNetworks/one/subnets/web"))
    world.machine("one", "h1", "Running", "one-eth0")
    nic = ImportedInterface(MAC, ("10.1.1.7",), "/virtualNetworks/two/subnets/web")
    world.do(ImportMachine("two", "h2", (nic,), power="Off"))
    return world


def test_only_one_of_two_with_one_mac_address_runs() -> None:
    world = world_of("Rewrite")
    refusal = world.refuses(SetPower("two", "Running"))
    assert (refusal.code, refusal.target) == ("ActiveTwin", "/weft/virtualMachines/one")
    world.power("one", "Off")
    world.power("two", "Running")


@pytest.mark.parametrize("protocol", ["NVGRE", "VXLAN"])
def test_in_tunnels_they_never_meet(protocol: str) -> None:
    world = world_of(protocol)
    world.power("two", "Running")
