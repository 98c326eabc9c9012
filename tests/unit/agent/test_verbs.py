"""What is told of a verb that is being carried out."""

import asyncio

import msgspec

from tests.unit.agent.worlds import machine, world
from weft.agent.hypervisors import HypervisorFailure
from weft.agent.verbs import MOST_OF_HOST, Verbs
from weft.model.hypervisor import AdapterState, CheckpointState, Hardware, MachineState
from weft.model.records import HostSettings


class Slow:
    """A hypervisor that takes until it is told to end."""

    def __init__(self):
        self.end = asyncio.Event()

    async def carry_out(self, verb):
        await self.end.wait()


async def test_a_migration_counts_as_under_way_until_the_hypervisor_was_asked_anew():
    ended, slow = asyncio.Event(), Slow()
    verbs = Verbs(slow, ended.set)
    leaving, back = world(machine(move_to="host2"), "Running"), world(machine("Incoming"), "Running")
    assert not verbs.facts(leaving)[0].migrating
    verbs.consider(leaving)
    assert verbs.facts(leaving)[0].migrating
    verbs.consider(back)
    assert verbs.facts(back)[0].migrating
    slow.end.set()
    await ended.wait()
    # that it runs here was heard before the end
    verbs.consider(back)
    assert verbs.facts(back)[0].migrating
    verbs.migrated.clear()
    assert not verbs.facts(back)[0].migrating


async def test_no_other_verb_counts_as_a_migration():
    ended, slow = asyncio.Event(), Slow()
    verbs = Verbs(slow, ended.set)
    starting = world(machine())
    verbs.consider(starting)
    assert not verbs.facts(starting)[0].migrating
    slow.end.set()
    await ended.wait()
    assert not verbs.facts(starting)[0].migrating


async def test_a_driver_may_say_that_a_migration_outlived_its_agent():
    there = world(machine("Incoming"), states={"blue1": MachineState("blue1", "Running", migrating=True)})
    assert Verbs(Slow(), lambda: None).facts(there)[0].migrating


async def test_what_somebody_has_to_do_about_a_machine_is_told_while_nothing_is_asked_of_it():
    """A stop is the cure: it has not failed because it is still to be done."""
    there = MachineState("blue1", "Running", migrating=True, stranded="blue1 on host1 stands paused: resume it")
    verbs = Verbs(Slow(), lambda: None)
    told = verbs.facts(world(machine(), states={"blue1": there}))[0]
    assert (told.migrating, told.failure) == (True, there.stranded)
    stopping = world(machine("Off"), states={"blue1": there})
    verbs.consider(stopping)
    assert verbs.busy == {"blue1"} and verbs.facts(stopping)[0].failure == ""
    await verbs.close()


class Drawing:
    """A hypervisor whose host draws from a range, unless it is told to refuse."""

    def __init__(self):
        self.range = None
        self.refuses = ""

    async def carry_out(self, verb):
        if self.refuses:
            raise HypervisorFailure(self.refuses)
        self.range = (verb.first, verb.last)


async def test_what_keeps_a_host_from_its_range_is_told_until_it_has_it():
    ended, host = asyncio.Event(), Drawing()
    verbs = Verbs(host, ended.set)
    wanted = world(settings=HostSettings((16, 31)))
    host.refuses = "SetRange on host1: it has no such range"
    verbs.consider(wanted)
    await ended.wait()
    assert [(one.code, one.message) for one in verbs.problems(wanted)] == [("PolicyConfigurationFailure", host.refuses)]
    assert verbs.facts(wanted) == ()
    host.refuses = ""
    ended.clear()
    verbs.answered(verbs.asking())
    verbs.consider(world(settings=HostSettings((32, 63))))
    await ended.wait()
    assert (host.range, verbs.problems(wanted)) == ((32, 63), ())


async def test_nothing_is_asked_on_what_was_known_before_the_last_verb_ended():
    """A restore brings another MAC address: by the facts from before it, the machine would be given its present one."""
    ended, host = asyncio.Event(), Counting()
    verbs = Verbs(host, ended.set)
    verbs.consider(world(machine()))
    await ended.wait()
    verbs.consider(world(machine("Off"), "Running"))
    assert not verbs.busy
    verbs.answered(verbs.asking())
    verbs.consider(world(machine("Off"), "Running"))
    assert set(verbs.busy) == {"blue1"}
    await verbs.close()


class Counting:
    """A hypervisor that is slow, and how many verbs it was at together."""

    def __init__(self):
        self.now = self.most = self.done = 0

    async def carry_out(self, verb):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        self.done += 1


async def test_not_all_checkpoints_are_blanked_at_once():
    news, host = asyncio.Event(), Counting()
    verbs = Verbs(host, news.set)
    points = tuple(CheckpointState(f"c{at}", "c", (AdapterState(7, dynamic=True),)) for at in range(30))
    desk = MachineState("", "Off", id="d", name="desk", checkpoints=points)
    left = points
    while left:
        wanted = tuple(("d", one.id) for one in left)
        hosted = (msgspec.structs.replace(desk, checkpoints=left),)
        verbs.consider(world(settings=HostSettings(blank=wanted), hosted=hosted))
        news.clear()
        await news.wait()
        left = points[host.done :]
    assert host.most == MOST_OF_HOST


async def test_a_machine_that_is_made_counts_as_being_worked_on_until_the_hypervisor_was_asked_anew():
    """Or it would look as if it were not there, and nothing under way that could make it."""
    ended, slow = asyncio.Event(), Slow()
    verbs = Verbs(slow, ended.set)
    made = world(msgspec.structs.replace(machine("Off"), hardware=Hardware()))
    verbs.consider(made)
    assert verbs.facts(made)[0].busy
    slow.end.set()
    await ended.wait()
    assert verbs.facts(made)[0].busy
    # nor when its record says meanwhile that it shall not be
    gone = world(msgspec.structs.replace(machine("Absent"), hardware=Hardware()))
    verbs.consider(gone)
    assert verbs.facts(gone)[0].busy
    verbs.answered(verbs.asking())
    assert not verbs.facts(gone)[0].busy
