"""Nobody runs a machine twice: an agent that starts afresh waits for the controller's word and stops what is no longer
its own; what another hand deleted it does not make anew, and what it sees of others it tells."""

import asyncio
import contextlib

import pytest

from tests.unit.agent.host import RUNNING, WHOLE, Host, machine_says, running, working
from tests.unit.agent.policies import GUESTS
from tests.waiting import soon
from weft.agent.agent import Agent, Patience
from weft.agent.hypervisors import Remove, Start, Stop
from weft.agent.link import Identity
from weft.agent.memory import Memory
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import SwitchMac
from weft.model.values import Mac
from weft.wire.messages import Delta, Facts, SeenMac


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("weft.agent.presence.GONE_SECONDS", 0.2)
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.2)
    monkeypatch.setattr("weft.agent.agent.RETRY_SECONDS", 0.05)


class GracefulHost(Host):
    grace = 30.0

    def start(self):
        self.began = asyncio.get_running_loop().time()
        memory = Memory(self.folder)
        self.agent = Agent(
            Identity("host1", "a1", "lab"), OvsPlane(self.switch), self.hypervisor, memory, Patience(self.grace)
        )
        self.tasks = [asyncio.create_task(self.agent.run())]


@contextlib.asynccontextmanager
async def rebooted(folder, grace):
    """A host that ran blue1 and whose agent, switch and machines have just come up again."""
    host = GracefulHost(folder=folder, driven=True)
    host.grace = grace
    host.start()
    controller = await working(host)
    controller.say(Delta(0, 1, 11, (RUNNING,)))
    await controller.until(machine_says("blue1", "Running"))
    await host.kill()
    host.hypervisor.states["blue1"] = "Off"
    host.switch.restart()
    host.hypervisor.done.clear()
    host.start()
    try:
        yield host
    finally:
        await host.kill()


async def test_a_host_that_comes_up_waits_for_the_controller_before_it_starts_machines(tmp_path):
    async with rebooted(tmp_path, 30.0) as host:
        await host.agent.started.wait()
        await asyncio.sleep(0.3)
        assert host.switch.flows(), "flows are there at once"
        assert host.hypervisor.verbs() == []
        controller = host.connect()
        await asyncio.sleep(0.2)
        assert host.hypervisor.verbs() == [], "a connection is no word yet"
        controller.say(Delta(0, 1, 12, (), (), resumed=True))
        await controller.until(machine_says("blue1", "Running"))


async def test_what_was_failed_over_meanwhile_is_never_started(tmp_path):
    async with rebooted(tmp_path, 30.0) as host:
        host.connect().say(Delta(0, 1, 12, (), (RUNNING.key,), resumed=True))
        async with asyncio.timeout(30):
            while Remove not in host.hypervisor.verbs():
                await asyncio.sleep(0.01)
        assert Start not in host.hypervisor.verbs()


async def test_without_a_controller_it_starts_them_after_the_grace(tmp_path):
    async with rebooted(tmp_path, 0.5) as host:
        await soon(lambda: host.hypervisor.verbs())
        assert asyncio.get_running_loop().time() - host.began >= 0.5
        async with asyncio.timeout(30):
            while host.hypervisor.states["blue1"] != "Running":
                await asyncio.sleep(0.01)


async def test_a_host_that_comes_back_stops_what_runs_there_and_is_no_longer_its_own():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        controller.hang_up()
        host.switch.faults.failing_steps.add("flows")
        again = host.connect()
        # its switch takes no flow any more: that must not keep the machine running beside its other self
        gone = (RUNNING.key, GUESTS["blue1"].binding().key)
        again.say(Delta(0, 1, 12, (), gone, resumed=True))
        async with asyncio.timeout(30):
            while host.hypervisor.states.get("blue1") == "Running":
                await asyncio.sleep(0.01)
        assert {Stop, Remove} & set(host.hypervisor.verbs())


async def test_a_machine_that_another_hand_deleted_is_told_and_not_made_anew():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(lambda self: self.all(Facts)[-1:] and presence(self) == "here")
        host.hypervisor.done.clear()
        del host.hypervisor.states["blue1"]
        host.switch.unplug("blue1-0")
        host.hypervisor.changed.set()
        await controller.until(lambda self: presence(self) == "gone")
        assert host.hypervisor.done == []
        host.hypervisor.states["blue1"] = "Off"
        host.hypervisor.changed.set()
        await controller.until(machine_says("blue1", "Running"))
        assert presence(controller) == "here"


def presence(controller):
    return next((one.presence for one in controller.all(Facts)[-1].machines if one.machine == "blue1"), None)


async def test_one_that_was_deleted_while_the_agent_was_away_is_told_too(tmp_path):
    host = Host(folder=tmp_path, driven=True)
    host.start()
    controller = await working(host)
    controller.say(Delta(0, 1, 11, (RUNNING,)))
    await controller.until(machine_says("blue1", "Running"))
    await host.kill()
    host.hypervisor.states.clear()
    host.switch.unplug("blue1-0")
    host.hypervisor.done.clear()
    host.start()
    again = host.connect()
    again.say(Delta(0, 1, 12, (), (), resumed=True))
    await again.until(lambda self: self.all(Facts) and presence(self) == "gone")
    assert host.hypervisor.done == []
    await host.kill()


async def test_foreign_addresses_are_told_once_the_agent_knows_its_own():
    stranger = SwitchMac(0x00155D0A0001, "vnet3", "br-ex", 7)
    async with running() as host:
        host.plug()
        host.switch.show_mac(stranger)
        host.switch.plug("odd", "", Mac(0x00155D0A0002))
        controller = host.connect()
        await asyncio.sleep(0.5)
        assert not [one for one in controller.all(Facts) if one.looked or one.seen]
        controller.say(*WHOLE)
        facts = (await controller.until(lambda self: [one for one in self.all(Facts) if one.looked]))[-1]
        assert facts.seen == (
            SeenMac(0x00155D0A0001, "vnet3", "br-ex", 7),
            SeenMac(0x00155D0A0002, "odd", "br-int"),
        )
        told = len(controller.all(Facts))
        await asyncio.sleep(0.3)
        assert len(controller.all(Facts)) == told, "told on change only"
        host.switch.hide_mac(stranger.mac)
        await controller.until(lambda self: len(self.all(Facts)[-1].seen) == 1)


async def test_after_a_reconnect_nothing_is_called_foreign_before_the_host_s_own_are_known():
    async with running() as host:
        host.plug()
        controller = await working(host)
        await controller.until(lambda self: [one for one in self.all(Facts) if one.looked])
        controller.hang_up()
        again = host.connect()
        host.switch.plug("new", "", Mac(0x00155D0A0002))
        await asyncio.sleep(1.3)
        assert not [one for one in again.all(Facts) if one.looked or one.seen]
        again.say(Delta(0, 9, 11, (), (), resumed=True))
        await again.until(lambda self: [one for one in self.all(Facts) if one.looked and one.seen])


async def test_who_does_not_know_yet_what_its_bridges_have_learnt_has_not_looked():
    async with running() as host:
        host.plug()
        host.switch.faults.has_not_looked = True
        host.switch.show_mac(SwitchMac(0x00155D0A0001, "vnet3", "br-ex", 7))
        controller = await working(host)
        await asyncio.sleep(2.5)
        assert not [one for one in controller.all(Facts) if one.looked]
        host.switch.faults.has_not_looked = False
        facts = (await controller.until(lambda self: [one for one in self.all(Facts) if one.looked]))[-1]
        assert len(facts.seen) == 1
