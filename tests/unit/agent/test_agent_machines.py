"""What the agent's loop asks of a hypervisor and tells of its machines."""

import asyncio

import msgspec

from tests.unit.agent.host import (
    BLUE1,
    RUNNING,
    WHOLE,
    Controller,
    machine_says,
    running,
    working,
)
from tests.unit.agent.policies import HOSTS
from weft.agent import starts
from weft.agent.flows.fields import Table
from weft.agent.hypervisors import Migrate, Prepare, Remove, Start, Stop
from weft.wire.messages import Delta, Facts, Insist, Isolate, MayRun, MayRunAnswer


async def test_a_machine_is_started_once_its_ports_are_bound():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        said = await controller.until(machine_says("blue1", "Running"))
        assert said[-1].generation == 4
        assert host.hypervisor.verbs() == [Prepare, Start]
        assert host.hypervisor.done[1].mtu == 1458
        assert len(host.hypervisor.done[1].subnets) == 2


async def test_a_machine_is_stopped_and_removed():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, power="Off"),)))
        await controller.until(machine_says("blue1", "Off"))
        controller.say(Delta(0, 3, 13, (), (RUNNING.key,)))
        async with asyncio.timeout(30):
            while host.switch.port("blue1-0"):
                await asyncio.sleep(0.01)
        assert host.hypervisor.verbs() == [Prepare, Start, Stop, Remove]


async def test_a_failed_verb_is_told_and_tried_again():
    async with running(driven=True) as host:
        host.hypervisor.fails.add(Start)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        said = await controller.until(machine_says("blue1", "Off", "told to fail"))
        assert said[-1].generation == 4
        host.hypervisor.fails.clear()
        await controller.until(machine_says("blue1", "Running"))
        assert controller.all(Facts)[-1].machines[0].failure == ""


async def test_a_driver_that_breaks_is_a_failed_verb_and_logged_once_with_its_trace(caplog):
    async with running(driven=True) as host:
        host.hypervisor.breaks.add(Start)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Off", "Start of blue1: KeyError: 'a bug of the driver'"))
        async with asyncio.timeout(30):
            while host.hypervisor.verbs().count(Start) < 2:
                await asyncio.sleep(0.05)
        logged = [record for record in caplog.records if record.exc_info]
        assert [record.exc_info[0] for record in logged] == [KeyError]
        host.hypervisor.breaks.clear()
        await controller.until(machine_says("blue1", "Running"))


async def test_a_failed_migration_is_not_tried_again_by_itself():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.fails.add(Migrate)
        leaving = msgspec.structs.replace(RUNNING, move_to="host2", generation=5)
        controller.say(Delta(0, 2, 12, (leaving,)))
        await controller.until(machine_says("blue1", "Running", "told to fail"))
        await asyncio.sleep(2.5)
        assert host.hypervisor.verbs().count(Migrate) == 1


async def test_a_migration_under_way_is_told_until_the_hypervisor_was_asked_after_it():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.copies.clear()
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, move_to="host2", generation=5),)))
        await controller.until(lambda self: self.all(Facts)[-1].machines[0].migrating)
        # taken back: whatever the hypervisor says before the copy has ended, it is still under way
        controller.say(Delta(0, 3, 13, (msgspec.structs.replace(RUNNING, power="Incoming", generation=5),)))
        await controller.applied(13, 0)
        host.hypervisor.changed.set()
        await asyncio.sleep(0.1)
        assert controller.all(Facts)[-1].machines[0].migrating
        host.hypervisor.copies.set()
        await controller.until(machine_says("blue1", "Off"))
        told = [one.machines[0] for one in controller.all(Facts) if one.machines]
        assert [one.migrating for one in told if one.power == "Off"][-1] is False
        first = next(place for place, one in enumerate(told) if one.migrating)
        assert not [one for one in told[first:] if one.power == "Running" and not one.migrating]
        assert host.hypervisor.verbs() == [Prepare, Start, Migrate]


async def test_a_machine_that_moved_away_is_forwarded_before_its_port_is_removed():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        moving = BLUE1.binding(HOSTS["host2"])
        controller.say(Delta(0, 2, 12, (moving, msgspec.structs.replace(RUNNING, move_to="host2", generation=5))))
        await controller.until(machine_says("blue1", "Off"))
        async with asyncio.timeout(30):
            while not [flow for flow in host.switch.flows() if flow.priority == 110 and flow.table == Table.DECAP]:
                await asyncio.sleep(0.01)
        assert host.switch.port("blue1-0")
        controller.say(Delta(0, 3, 13, (), (RUNNING.key,)))
        async with asyncio.timeout(30):
            while host.switch.port("blue1-0"):
                await asyncio.sleep(0.01)
        assert [flow for flow in host.switch.flows() if flow.priority == 110 and flow.table == Table.DECAP]


async def test_what_another_hand_did_is_told_and_left_until_the_record_follows():
    async with running(driven=True) as host:
        host.hypervisor.boot = "b1"
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        [fact] = (await controller.until(machine_says("blue1", "Running")))[-1:]
        assert (fact.id, fact.by_hand) == ("id-blue1", False)
        host.hypervisor.by_hand("blue1", "Off")
        [fact] = (await controller.until(machine_says("blue1", "Off")))[-1:]
        assert fact.by_hand
        await asyncio.sleep(0.2)
        assert host.hypervisor.verbs() == [Prepare, Start], "it is not started again"
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, power="Off"),)))
        await controller.until(lambda self: not self.all(Facts)[-1].machines[0].by_hand)
        controller.say(Delta(0, 3, 13, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))


async def test_a_restarted_agent_leaves_what_another_hand_did_and_a_booted_host_starts_what_its_records_say(tmp_path):
    async with running(driven=True, folder=tmp_path) as host:
        host.hypervisor.boot = "b1"
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        await host.kill()
        host.hypervisor.states["blue1"] = "Off"
        host.start()
        controller = host.connect()
        await controller.until(lambda self: any(one.by_hand for facts in self.all(Facts) for one in facts.machines))
        assert host.hypervisor.verbs() == [Prepare, Start]
        await host.kill()
        host.hypervisor.boot = "b2"
        host.start()
        controller = host.connect()
        await controller.until(machine_says("blue1", "Running"))


async def test_a_machine_that_another_hand_brought_here_is_told_and_left():
    async with running(driven=True) as host:
        host.hypervisor.boot = "b1"
        controller = await working(host)
        host.hypervisor.by_hand("blue9", "Running")
        [fact] = (await controller.until(machine_says("blue9", "Running")))[-1:]
        assert (fact.id, fact.by_hand, fact.presence) == ("id-blue9", True, "")
        await asyncio.sleep(0.2)
        assert host.hypervisor.verbs() == []


async def test_what_is_to_be_isolated_is_stopped_for_as_long_as_the_controller_says_so():
    async with running(driven=True) as host:
        host.hypervisor.boot = "b1"
        controller = await working(host)
        controller.say(Isolate((("id-blue9", "stop"),)))
        host.hypervisor.by_hand("blue9", "Running")
        async with asyncio.timeout(30):
            while host.hypervisor.verbs() != [Stop]:
                await asyncio.sleep(0.01)
        assert host.hypervisor.done[0].id == "id-blue9"
        await controller.until(machine_says("blue9", "Off"))
        controller.hang_up()
        host.hypervisor.by_hand("blue9", "Running")
        controller = host.connect()
        await controller.until(machine_says("blue9", "Running"))
        await asyncio.sleep(0.2)
        assert host.hypervisor.verbs() == [Stop]


async def test_a_record_that_is_insisted_on_is_carried_out():
    async with running(driven=True) as host:
        host.hypervisor.boot = "b1"
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (msgspec.structs.replace(RUNNING, power="Off"),)))
        await controller.applied(11, 0)
        host.hypervisor.by_hand("blue1", "Off")
        await controller.until(lambda self: self.all(Facts)[-1].machines[0].id)
        host.hypervisor.by_hand("blue1", "Running")
        await controller.until(lambda self: self.all(Facts)[-1].machines[0].by_hand)
        controller.say(Insist("blue1"))
        [fact] = (await controller.until(machine_says("blue1", "Off")))[-1:]
        assert not fact.by_hand and host.hypervisor.verbs()[-1] is Stop


async def test_the_controller_is_asked_whether_another_hand_may_start_a_machine():
    async with running(driven=True) as host:
        controller = await working(host)
        assert "does not name it" in await host.agent.may_start(starts.Start("id-x", "x")), "it does not understand"
        await host.kill()
        host.start()
        controller = Controller(abilities=("hands",))
        host.tasks.append(asyncio.create_task(host.agent.serve(controller)))
        controller.say(*WHOLE)
        await controller.applied(10, 0)
        asking = asyncio.create_task(host.agent.may_start(starts.Start("id-x", "x", macs=(7,))))
        [question] = await controller.until(lambda self: self.all(MayRun))
        assert question == MayRun(1, "id-x", "x", (7,))
        controller.say(MayRunAnswer(1, "in use by web9"))
        assert await asking == "in use by web9"
