"""A machine that was adopted beside a running twin can be told about; bound to other interfaces it cannot be."""

import pytest

from tests.unit.core.world import World
from weft.core.copy_commands import ImportedInterface, ImportMachine

MAC = ImportedInterface("0C-00-00-00-00-01")


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    for name in ("a", "b"):
        world.do(ImportMachine(name, "h1", (MAC,), power="Running", adopt=True))
    return world


def put_b(*interfaces: str) -> dict[str, object]:
    return {
        "server": {"resourceRef": "/servers/h1"},
        "networkInterfaces": [{"resourceRef": f"/networkInterfaces/{interface}"} for interface in interfaces],
        "hypervisor": {"type": "libvirt", "id": "B"},
    }


def test_what_does_not_concern_its_interfaces_is_taken(world: World) -> None:
    world.put("/weft/virtualMachines/b", put_b("b-eth0"))
    b = world.get("/weft/virtualMachines/b").properties
    assert (b.hypervisor.id, len(b.network_interfaces)) == ("B", 1)


def test_other_interfaces_are_judged_anew(world: World) -> None:
    world.network()
    world.interface("n1")
    assert world.refused("/weft/virtualMachines/b", put_b("b-eth0", "n1")).code == "ActiveTwin"
