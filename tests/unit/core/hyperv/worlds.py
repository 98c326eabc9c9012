"""Source 004's Blue as a state: two hosts on provider subnets of their own, one machine on each."""

from msgspec.structs import replace

from tests.cluster.world import World
from weft.core.changes import ResourceChange

RDID = "11111111-2222-3333-4444-000000000000"
MACHINES = ((1, 0x101010101105, "10.1.1.11"), (2, 0x101010101107, "10.1.1.12"))


def source_004() -> World:
    """The source's own values: VSID 6001, its MAC addresses, customer and provider addresses and its RDID."""
    world = World()
    world.protocol("NVGRE")
    world.fabric(pa1="192.168.1.0/24", pa2="192.168.2.0/24")
    world.server("host1", "192.168.1.10")
    world.server("host2", "192.168.2.20")
    world.network("blue", 60, {"web": ("10.1.1.0/24", 6001)})
    identified(world, "virtualNetworks", "blue", RDID)
    for number, mac, address in MACHINES:
        name = f"BlueVM{number}"
        world.interface(f"{name}-eth0", mac, ("/virtualNetworks/blue/subnets/web", address))
        world.machine(name, f"host{number}", [f"{name}-eth0"], "Running")
    return world


def identified(world: World, kind: str, name: str, instance_id: str) -> None:
    """Give a resource the instance id that a test wants to see."""
    before = world.state.get(kind, name)
    change = ResourceChange(kind, name.lower(), before, replace(before, instance_id=instance_id))
    world.state.apply(change)
