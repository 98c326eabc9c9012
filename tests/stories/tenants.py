"""Source 004: two machines of each of two tenants with equal addresses, one per host."""

from tests.stories.desk import Desk

BLUE = {1: ("10-10-10-10-11-05", "10.1.1.11"), 2: ("10-10-10-10-11-07", "10.1.1.12")}


async def blue_and_red(desk: Desk) -> None:
    """Two machines of each tenant, one per host, with the source's addresses, running."""
    await desk.cluster()
    for tenant in ("blue", "red"):
        for n, (mac, address) in BLUE.items():
            await desk.nic(f"{tenant}{n}", tenant, "web", mac=mac, ip=address)
            await desk.vm(f"{tenant}{n}", f"host{n}", [f"{tenant}{n}"])
            await desk.post(f"/weft/v1/virtualMachines/{tenant}{n}/start", {})
