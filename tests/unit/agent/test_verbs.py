"""What is told of a verb that is being carried out."""

import asyncio

from tests.unit.agent.test_machines import machine, world
from weft.agent.verbs import Verbs
from weft.model.hypervisor import MachineState


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
