"""Three interfaces in two networks, and the body of a machine that has them."""

from typing import Any

import pytest

from tests.unit.core.world import World

WEB1 = "/weft/virtualMachines/web1"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    world.network("blue")
    world.network("red")
    for name in ("n1", "n2", "n3"):
        world.interface(name)
    return world


def body(*interfaces: str, server: str | None = "/servers/h1", **more: Any) -> dict[str, Any]:
    refs = [{"resourceRef": one if one.startswith("/") else f"/networkInterfaces/{one}"} for one in interfaces]
    place = {"server": {"resourceRef": server}} if server is not None else {}
    return {**place, "networkInterfaces": refs, **more}
