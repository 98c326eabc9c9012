"""libvirt's hook on a real libvirtd: a start by another hand is refused with the twin's name, ours passes."""

import asyncio
import sys

import libvirt
import pytest

from tests.contract.hypervisor_worlds import WEB, WEB_PORTS, libvirt_world, make, power, run
from tests.contract.libvirt_by_hand import world
from weft.agent.hook_socket import hook_socket
from weft.agent.install import install
from weft.lab import hosts
from weft.lab.processes import kill

__all__ = ["world"]

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def libvirt_daemons():
    with libvirt_world() as made:
        daemon = made.daemon("host1")
        install(daemon.folder / "etc" / "hooks", daemon.folder, sys.executable)
        # it looks for hooks when it starts
        kill(made.lab.host("host1").libvirtd)
        hosts.start_libvirtd(made.lab, made.lab.host("host1"))
        yield made


class Agent:
    """Who is asked, and what it answers."""

    def __init__(self):
        self.asked = []
        self.words = ""

    async def refusal(self, start):
        self.asked.append(start)
        return self.words


def by_hand(world, work):
    """As with virsh, of the one machine that there is."""
    with world.connected("host1") as connection:
        [domain] = connection.listAllDomains()
        return work(domain)


async def test_a_start_by_another_hand_is_refused_and_virsh_shows_why(world):
    agent, macs = Agent(), tuple(int(port.mac) for port in WEB_PORTS)
    async with hook_socket(world.daemon("host1").folder, agent.refusal):
        await make(world, "host1")
        await asyncio.to_thread(by_hand, world, lambda domain: domain.isActive() and domain.destroy())
        uuid = await asyncio.to_thread(by_hand, world, lambda domain: domain.UUIDString())
        agent.asked.clear()
        agent.words = "02-00-00-00-00-07 is in use by web9"

        with pytest.raises(libvirt.libvirtError, match="may not start: 02-00-00-00-00-07 is in use by web9"):
            await asyncio.to_thread(by_hand, world, lambda domain: domain.create())
        assert await power(world, "host1") == "Off"
        [start] = agent.asked
        assert (start.id, start.machine, start.macs, start.comes) == (uuid, WEB.machine, macs, False)
        agent.words = ""
        await asyncio.to_thread(by_hand, world, lambda domain: domain.create())
        assert await power(world, "host1") == "Running"


async def test_without_an_agent_machines_start(world):
    await run(world, "host1")
    assert await power(world, "host1") == "Running"
