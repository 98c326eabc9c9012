"""A hypervisor that does not answer: nothing is asked of it, and nothing concluded from its silence."""

import asyncio

import msgspec

from tests.unit.agent.host import RUNNING, held, machine_says, running, working
from tests.unit.agent.policies import BLUE, GUESTS
from weft.agent.agent import Patience
from weft.agent.guests import Guests
from weft.agent.hypervisors import HypervisorFailure, Migrate
from weft.agent.verbs import Verbs
from weft.model.hypervisor import HypervisorState
from weft.wire.messages import Delta, Facts


class Slow:
    """A hypervisor that answers when it is told to."""

    def __init__(self):
        self._answer = asyncio.Event()

    async def facts(self):
        await self._answer.wait()
        self._answer.clear()
        return HypervisorState()

    async def answer(self):
        self._answer.set()
        while self._answer.is_set():
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def silence(host):
    async def facts():
        raise HypervisorFailure("host1: cannot be reached")

    answers = host.hypervisor.facts
    host.hypervisor.facts = facts
    host.hypervisor.changed.set()
    return answers


def last(controller):
    return controller.all(Facts)[-1]


def said_silent(controller):
    return [one for one in last(controller).problems if one.code == "HostUnreachable"]


async def test_its_machines_are_not_taken_for_gone_and_it_is_asked_again():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        answers = silence(host)
        (problem,) = await controller.until(said_silent)
        assert problem.message == "the hypervisor does not answer: host1: cannot be reached"
        assert last(controller).hypervisor is None
        await asyncio.sleep(2.5)
        (machine,) = last(controller).machines
        assert (machine.power, machine.presence) == ("Running", "here")
        host.hypervisor.facts = answers
        await controller.until(lambda self: not said_silent(self))
        assert last(controller).hypervisor.machines[0].power == "Running"


async def test_one_that_never_answered_is_asked_for_nothing_while_the_switch_is_served():
    async with running(driven=True) as host:
        answers = silence(host)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.applied(11, 0)
        assert (last(controller).machines, host.hypervisor.verbs()) == ((), [])
        host.hypervisor.facts = answers
        await controller.until(machine_says("blue1", "Running"))


async def test_one_that_hangs_keeps_its_host_from_no_policy_and_what_it_says_at_last_counts():
    async with running(driven=True, patience=Patience(hypervisor=0.2)) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        answers, ends, asked = host.hypervisor.facts, asyncio.Event(), []

        async def facts():
            said = await answers()
            asked.append(said)
            await ends.wait()
            return said

        host.hypervisor.facts = facts
        host.hypervisor.changed.set()
        (problem,) = await controller.until(said_silent)
        assert problem.message.endswith("it was asked what it has, and said nothing for 0.2 s")
        assert last(controller).machines[0].power == "Running"
        before = held(host)
        controller.say(Delta(BLUE, 4, 12, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(12, BLUE)
        assert held(host) != before
        assert len(asked) == 1, "it is not asked again before it has answered"
        host.hypervisor.by_hand("blue1", "Off")
        while host.hypervisor.changed.is_set():
            await asyncio.sleep(0)
        controller.say(Delta(BLUE, 5, 13, tuple(GUESTS["blue2"].lookups())))
        await controller.applied(13, BLUE)
        ends.set()
        await controller.until(machine_says("blue1", "Off"))
        assert not said_silent(controller)


async def test_one_that_is_always_slow_holds_its_host_up_once_until_it_answers_in_time():
    """In each round a host waits for its hypervisor only where it may be expected to answer in time."""
    guests, hypervisor, verbs = Guests(None, patience=0.05), Slow(), Verbs(Slow(), lambda: None)
    loop, clock = asyncio.get_running_loop(), [0.0]

    async def asks():
        """Whether it answered, and whether the round was held up."""
        began = loop.time()
        return await guests.ask(hypervisor, verbs, lambda: clock[0]), loop.time() - began >= 0.05

    assert await asks() == (False, True) and guests.trouble
    verbs.ended.add("blue1")
    assert await asks() == (False, False)
    clock[0] += 1.0
    await hypervisor.answer()
    assert await asks() == (True, False) and not guests.trouble
    assert verbs.ended == {"blue1"}, "it was asked before that ended"
    assert await asks() == (False, False) and not guests.trouble, "it may be in time yet"
    clock[0] += 1.0
    assert await asks() == (False, False) and guests.trouble
    await hypervisor.answer()
    assert await asks() == (True, False) and not guests.trouble
    assert verbs.ended == set(), "late too, it says what was so when it was asked"
    assert await asks() == (False, False)
    await hypervisor.answer()
    clock[0] += 1.0
    assert await asks() == (True, False), "that was in time, whenever it is looked at"
    assert await asks() == (False, True), "so it is waited for again"
    await guests.close()


async def test_a_migration_whose_end_was_not_seen_counts_as_under_way():
    """The connection to the hypervisor broke with it: whether the machine went, only the hypervisor can say."""
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.copies.clear()
        host.hypervisor.fails.add(Migrate)
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, move_to="host2"),)))
        await controller.until(lambda self: last(self).machines[0].migrating)
        answers = silence(host)
        await controller.until(said_silent)
        host.hypervisor.copies.set()
        (fact,) = await controller.until(lambda self: [one for one in last(self).machines if one.failure])
        assert (fact.power, fact.migrating) == ("Running", True)
        await asyncio.sleep(1.0)
        assert last(controller).machines[0].migrating
        host.hypervisor.facts = answers
        await controller.until(lambda self: not last(self).machines[0].migrating)


async def test_nor_is_it_seen_by_a_question_that_hangs():
    """It was asked once the migration had ended, and has not said yet whether the machine went."""
    async with running(driven=True, patience=Patience(hypervisor=0.2)) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.copies.clear()
        host.hypervisor.fails.add(Migrate)
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, move_to="host2"),)))
        await controller.until(lambda self: last(self).machines[0].migrating)
        answers, ends = host.hypervisor.facts, asyncio.Event()
        before = await answers()

        async def facts():
            await ends.wait()
            return before

        host.hypervisor.facts = facts
        host.hypervisor.copies.set()
        await controller.until(said_silent)
        (fact,) = await controller.until(lambda self: [one for one in last(self).machines if one.failure])
        assert (fact.power, fact.migrating) == ("Running", True)
        host.hypervisor.facts = answers
        ends.set()
        await controller.until(lambda self: not said_silent(self) and not last(self).machines[0].migrating)
