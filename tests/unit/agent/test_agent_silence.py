"""A hypervisor that does not answer: nothing is asked of it, and nothing concluded from its silence."""

import asyncio

import msgspec

from tests.unit.agent.host import RUNNING, held, machine_says, running, working
from tests.unit.agent.policies import BLUE, GUESTS
from weft.agent.agent import Patience
from weft.agent.guests import Guests
from weft.agent.hypervisors import Migrate
from weft.agent.verbs import Verbs
from weft.model.hypervisor import HypervisorState
from weft.wire.messages import SERVER_WARNING, Delta, Facts


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
    host.hypervisor.silent = "host1: cannot be reached"
    host.hypervisor.changed.set()


def last(controller):
    return controller.all(Facts)[-1]


def said_silent(controller):
    return [one for one in last(controller).problems if one.code == "HostUnreachable"]


def said_slow(controller):
    return [one for one in last(controller).problems if one.code == SERVER_WARNING]


async def test_its_machines_are_not_taken_for_gone_and_it_is_asked_again():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        silence(host)
        (problem,) = await controller.until(said_silent)
        assert problem.message == "the hypervisor does not answer: host1: cannot be reached"
        assert last(controller).hypervisor is None
        await asyncio.sleep(2.5)
        (machine,) = last(controller).machines
        assert (machine.power, machine.presence) == ("Running", "here")
        host.hypervisor.silent = ""
        await controller.until(lambda self: not said_silent(self))
        assert last(controller).hypervisor.machines[0].power == "Running"


async def test_one_that_never_answered_is_asked_for_nothing_while_the_switch_is_served():
    async with running(driven=True) as host:
        silence(host)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.applied(11, 0)
        assert (last(controller).machines, host.hypervisor.verbs()) == ((), [])
        host.hypervisor.silent = ""
        await controller.until(machine_says("blue1", "Running"))


async def test_one_that_hangs_keeps_its_host_from_no_policy_and_what_it_says_at_last_counts():
    async with running(driven=True, patience=Patience(hypervisor=0.2)) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        asked = host.hypervisor.asked
        host.hypervisor.answers.clear()
        host.hypervisor.changed.set()
        (problem,) = await controller.until(said_silent)
        assert problem.message.endswith("it was asked what it has, and said nothing for 0.2 s")
        assert last(controller).machines[0].power == "Running"
        before = held(host)
        controller.say(Delta(BLUE, 4, 12, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(12, BLUE)
        assert held(host) != before
        assert host.hypervisor.asked == asked + 1, "it is not asked again before it has answered"
        host.hypervisor.by_hand("blue1", "Off")
        while host.hypervisor.changed.is_set():
            await asyncio.sleep(0)
        controller.say(Delta(BLUE, 5, 13, tuple(GUESTS["blue2"].lookups())))
        await controller.applied(13, BLUE)
        host.hypervisor.answers.set()
        await controller.until(machine_says("blue1", "Off"))
        assert not said_silent(controller)


class Rounds:
    """What is asked of one hypervisor round by round, with a patience of 0.05 s; `clock` is moved by hand."""

    def __init__(self):
        self.hypervisor = Slow()
        self.verbs = Verbs(Slow(), lambda: None)
        self.guests = Guests(None, patience=0.05)
        self.clock = 0.0

    async def asks(self):
        """Whether it answered, and whether the round was held up."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        return await self.guests.ask(self.hypervisor, self.verbs, lambda: self.clock), loop.time() - began >= 0.05

    async def answered_after(self, seconds):
        """What is asked by now is answered so much later, and looked at."""
        self.clock += seconds
        await self.hypervisor.answer()
        return await self.asks()

    def said(self):
        return [one.message.removeprefix("the hypervisor ") for one in self.guests.problems()]


async def test_one_that_is_always_slow_holds_its_host_up_once_until_it_answers_in_time():
    """In each round a host waits for its hypervisor only where it may be expected to answer in time."""
    rounds = Rounds()
    guests, verbs = rounds.guests, rounds.verbs
    assert await rounds.asks() == (False, True) and guests.trouble
    verbs.ended.add("blue1")
    assert await rounds.asks() == (False, False)
    assert await rounds.answered_after(0.08) == (True, False) and not guests.trouble
    assert verbs.ended == {"blue1"}, "it was asked before that ended"
    assert await rounds.asks() == (False, False) and not guests.trouble, "it may answer yet"
    rounds.clock += 1.0
    assert await rounds.asks() == (False, False) and guests.trouble
    assert await rounds.answered_after(0.0) == (True, False) and not guests.trouble
    assert verbs.ended == set(), "late too, it says what was so when it was asked"
    assert await rounds.asks() == (False, False)
    await rounds.hypervisor.answer()
    rounds.clock += 1.0
    assert await rounds.asks() == (True, False), "that was in time, whenever it is looked at"
    assert await rounds.asks() == (False, True), "so it is waited for again"
    await guests.close()


async def test_one_that_is_always_slow_is_told_as_slow_all_the_time_and_not_as_silent_now_and_then():
    rounds = Rounds()
    silent, slow = "does not answer: it was asked what it has, and said nothing for {} s", "is slow: it took about {} s"
    slow += " to say what it has"
    await rounds.asks()
    assert rounds.said() == [silent.format(0.05)], "so far nobody knows that it is only slow"
    assert (await rounds.answered_after(0.08))[0]
    seen = [rounds.said()]
    for seconds in (0.09, 0.075, 0.08):
        for _ in range(2):
            assert not (await rounds.asks())[0]
            seen.append(rounds.said())
            rounds.clock += 0.03
        assert (await rounds.answered_after(seconds - 0.06))[0]
        seen.append(rounds.said())
    assert {tuple(one) for one in seen} == {(slow.format(0.08),)}
    assert not (await rounds.asks())[0]
    rounds.clock += 0.17
    assert not (await rounds.asks())[0]
    assert rounds.said() == [silent.format(0.16), slow.format(0.08)], "twice as long as the last time is no answer"
    await rounds.answered_after(0.03)
    assert rounds.said() == [slow.format(0.2)]
    await rounds.asks()
    rounds.clock += 0.31
    await rounds.asks()
    assert rounds.said() == [silent.format(0.3), slow.format(0.2)], "nor is six times what a quick one may take"
    await rounds.answered_after(0.0)
    await rounds.asks()
    await rounds.answered_after(0.04)
    assert rounds.said() == [slow.format(0.04)], "that was barely in time"
    assert await rounds.asks() == (False, True) and rounds.said() == [slow.format(0.04)]
    await rounds.answered_after(0.02)
    assert rounds.said() == []
    await rounds.guests.close()


async def test_what_a_slow_one_says_counts_and_it_is_asked_to_do_what_is_wanted():
    async with running(driven=True, patience=Patience(hypervisor=0.5)) as host:
        controller = await working(host)
        host.hypervisor.answers.clear()
        host.hypervisor.changed.set()
        await controller.until(said_silent)
        host.hypervisor.answers.set()
        host.hypervisor.answers.clear()  # that question was answered, and the next waits
        await controller.until(said_slow)
        assert not said_silent(controller) and last(controller).hypervisor is not None
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(lambda self: host.hypervisor.verbs())
        host.hypervisor.answers.set()
        await controller.until(machine_says("blue1", "Running"))
        await controller.until(lambda self: not said_slow(self))


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
        silence(host)
        await controller.until(said_silent)
        host.hypervisor.copies.set()
        (fact,) = await controller.until(lambda self: [one for one in last(self).machines if one.failure])
        assert (fact.power, fact.migrating) == ("Running", True)
        await asyncio.sleep(1.0)
        assert last(controller).machines[0].migrating
        host.hypervisor.silent = ""
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
        host.hypervisor.answers.clear()
        host.hypervisor.copies.set()
        await controller.until(said_silent)
        (fact,) = await controller.until(lambda self: [one for one in last(self).machines if one.failure])
        assert (fact.power, fact.migrating) == ("Running", True)
        host.hypervisor.answers.set()
        await controller.until(lambda self: not said_silent(self) and not last(self).machines[0].migrating)
