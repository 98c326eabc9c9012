"""A machine with a checkpoint to go back to, and what tests of restore ask of it."""

from typing import Any

import pytest

from tests.unit.core.life import WEB, Life
from weft.core.commands import Decision
from weft.core.copy_commands import TakeCheckpoint

WEB1 = "/weft/virtualMachines/web1"


@pytest.fixture
def world() -> Life:
    """web1 with two interfaces and a checkpoint c1: ..00 10.1.1.2 and ..01 10.1.1.3."""
    world = Life()
    world.second()
    world.do(TakeCheckpoint("web1", "c1"))
    return world


def outcomes(decision: Decision) -> dict[str, str]:
    return {one.network_interface.rpartition("/")[2]: one.outcome for one in decision.report}


def interfaces(world: Life) -> list[str]:
    return [ref.resource_ref.rpartition("/")[2] for ref in world.get(WEB1).properties.network_interfaces]


def static_ip(last: int, name: str = "ip1") -> dict[str, Any]:
    return {
        "resourceId": name,
        "properties": {
            "subnet": {"resourceRef": WEB},
            "privateIPAllocationMethod": "Static",
            "privateIPAddress": f"10.1.1.{last}",
        },
    }
