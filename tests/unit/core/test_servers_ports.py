"""What becomes of the ports of a server that goes."""

import pytest

from tests.unit.core.world import World
from weft.core.commands import Command, NoteSeen, RemoveServer, Seen

MAC = "02-00-00-00-00-07"


@pytest.mark.parametrize("goes", [World.delete_command("/servers/h1"), RemoveServer("h1")])
def test_ports_of_a_server_go_with_it(goes: Command) -> None:
    """Nobody would ever say again that they are not seen any more."""
    world = World()
    world.fabric()
    world.do(NoteSeen("h1", (Seen(0x020000000007, "vnet3"),)))
    assert world.counts("/macpools/p1")["foreign"] == 1
    world.do(goes)
    lease = world.mac_lease(MAC)
    assert lease is not None
    assert lease.state == "cooling"
    world.wait(3600)
    assert world.mac_lease(MAC) is None
