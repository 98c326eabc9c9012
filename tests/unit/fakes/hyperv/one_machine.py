"""A world of fake hosts with one machine, web1, and what a script is refused there."""

import pytest

from tests.unit.fakes.hyperv.world import World
from weft.fakes.hyperv.powershell.errors import PowerShellError


@pytest.fixture
def world():
    made = World()
    made.web1 = made.console.create("web1")
    return made


def refusal(world, script, host=None):
    with pytest.raises(PowerShellError) as refused:
        world.type(script, host)
    return refused.value.message
