"""The agent's loop on the fake switch, with a controller of queues."""

import asyncio

import pytest

from tests.unit.agent.host import (
    WHOLE,
    Controller,
    held,
    running,
    working,
)
from tests.unit.agent.policies import BLUE, GUESTS, RED, network_records
from weft.agent.flows.flow import Flow
from weft.agent.link import RefusedByController
from weft.wire.messages import CAPTURE, HANDS, Ack, Cursor, Delta, Dropped, Facts, Full, Hello, Refused, Resend, Welcome


async def test_a_policy_is_applied_and_acked():
    async with running() as host:
        host.plug()
        controller = await working(host)
        assert controller.heard[0] == Hello(1, "host1", "a1", "", abilities=(HANDS, CAPTURE))
        assert held(host) == host.plane.reconciler.table.flows
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.ports])
        assert {port.state for port in facts[-1].ports} == {"bound"}


async def test_nothing_is_acked_that_the_switch_has_not_confirmed():
    async with running() as host:
        host.switch.faults.failing_steps.add("flows")
        controller = host.connect()
        controller.say(*WHOLE)
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.problems])
        assert "flows" in facts[-1].problems[0].message
        assert controller.all(Ack) == []
        host.switch.faults.failing_steps.clear()
        await controller.applied(10, 0, BLUE, RED)


async def test_a_delta_is_applied_and_acked_with_its_sequence():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 4, 11, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(11, BLUE)
        assert controller.all(Ack)[-1].applied == ((BLUE, 4, 11),)


async def test_a_lost_frame_is_asked_for_and_nothing_else():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 5, 12, ()), Delta(RED, 6, 12, ()))
        await controller.until(lambda self: self.all(Resend))
        assert controller.all(Resend) == [Resend(BLUE)]
        await controller.applied(12, RED)
        assert not controller.acked(BLUE, 12)
        controller.say(Full(BLUE, 5, 12, tuple(network_records(BLUE))))
        await controller.applied(12, BLUE)


async def test_a_reconnected_agent_resumes_where_it_was():
    async with running() as host:
        controller = await working(host)
        before = held(host)
        controller.hang_up()
        again = host.connect()
        await again.until(lambda self: self.heard)
        assert again.heard[0].cursors == (Cursor(0, 10), Cursor(RED, 10), Cursor(BLUE, 10))
        again.say(Delta(BLUE, 9, 11, (), (), resumed=True))
        await again.applied(11, BLUE)
        assert held(host) == before


async def test_a_killed_agent_comes_back_with_its_policy_and_touches_no_flow(tmp_path):
    async with running(folder=tmp_path) as host:
        host.plug()
        await working(host)
        before = held(host)
        await host.kill()
        done = len(host.switch.applied)
        host.start()
        await host.agent.started.wait()
        assert held(host) == before
        assert not [change for change in host.switch.applied[done:] if change.puts or change.removes]
        again = host.connect()
        await again.until(lambda self: self.heard)
        assert (again.heard[0].generation, len(again.heard[0].cursors)) == ("g1", 3)


async def test_what_was_acked_is_remembered_at_once(tmp_path):
    async with running(folder=tmp_path) as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 4, 11, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(11, BLUE)
        before = held(host)
        await host.kill()
        host.start()
        await host.agent.started.wait()
        assert held(host) == before == host.plane.reconciler.table.flows


async def test_an_agent_without_memory_sweeps_nothing_until_it_has_been_told_everything():
    async with running() as host:
        host.plug()
        await working(host)
        before = held(host)
        await host.kill()
        host.start()
        controller = host.connect()
        controller.say(WHOLE[0], WHOLE[1])
        await asyncio.sleep(0.1)
        assert before.keys() <= held(host).keys()
        controller.say(Full(RED, 5, 10, ()))
        await controller.applied(10, 0, BLUE, RED)
        assert held(host).keys() < before.keys()


async def test_a_network_that_is_no_longer_needed_leaves_no_flow():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (), ((12, RED),)), Dropped(RED))
        await controller.applied(11, 0)
        async with asyncio.timeout(30):
            while any(flow.cookie & 0xFFFFFFFF in (RED, 5001) for flow in host.switch.flows()):
                await asyncio.sleep(0.01)


async def test_a_network_whose_goodbye_was_lost_leaves_no_flow_either():
    async with running() as host:
        controller = await working(host)
        controller.hang_up()
        again = host.connect()
        # what is not acked when the network goes is of no network that anybody knows
        again.say(Delta(RED, 6, 11, (), resumed=True), Delta(0, 1, 11, (), ((12, RED),), resumed=True))
        await again.applied(11, 0)
        assert not again.acked(RED, 11)
        async with asyncio.timeout(30):
            while any(flow.cookie & 0xFFFFFFFF in (RED, 5001) for flow in host.switch.flows()):
                await asyncio.sleep(0.01)


async def test_a_restarted_switch_gets_everything_again():
    async with running() as host:
        host.plug()
        controller = await working(host)
        host.switch.faults.unavailable = True
        await controller.until(lambda self: [one for one in self.all(Facts) if one.problems])
        host.switch.restart()
        host.switch.faults.unavailable = False
        async with asyncio.timeout(30):
            while held(host) != host.plane.reconciler.table.flows or not held(host):
                await asyncio.sleep(0.01)
        numbers = {local.number for local in host.plane.reconciler.locals.values()}
        assert numbers == {host.switch.port(name).ofport for name in ("p0", "p1")}


async def test_drift_is_repaired_and_told():
    async with running() as host:
        controller = await working(host)
        victim = next(iter(held(host).values()))
        host.switch.take_flow(victim.key)
        host.switch.put_flow(Flow(5, 1, (), (), 1))
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.drift and one.foreign])
        assert "was gone" in facts[-1].drift[0]
        assert held(host)[victim.key] == victim
        assert (5, 1, ()) in held(host)


async def test_a_refusal_reaches_the_caller_and_the_switch_stays_as_it_is():
    async with running() as host:
        await working(host)
        before = held(host)
        refusing = Controller()
        refusing._frames = asyncio.Queue()
        refusing.say(Refused("no such server", True))
        with pytest.raises(RefusedByController, match="no such server") as refused:
            await host.agent.serve(refusing)
        assert refused.value.retry
        other = Controller()
        other._frames = asyncio.Queue()
        other.say(Welcome(99, "g1", "host1"))
        with pytest.raises(RefusedByController) as refused:
            await host.agent.serve(other)
        assert not refused.value.retry
        assert held(host) == before
