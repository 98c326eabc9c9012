"""What is done once on a host: when it is due, what shows that it is done, and what is remembered."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.unit.agent.worlds import BINDING, START, machine, world
from weft.agent.errands import Errands, is_done
from weft.agent.hypervisors import Announce, CarryOut, Define, HypervisorFailure, Remove, Stop
from weft.agent.machines import verb_for
from weft.agent.memory import Memory
from weft.agent.verbs import Verbs
from weft.model.hypervisor import CheckpointState, Hardware, MachineState
from weft.model.records import Errand

TAKE = Errand(7, "checkpoint", "c")
BACK = Errand(7, "restore", "c", "id-c")


def asked(errand: Errand, power: str = "Running"):
    return msgspec.structs.replace(machine(power), errand=errand)


def there(power: str, *checkpoints: str) -> dict[str, MachineState]:
    found = tuple(CheckpointState(f"id-{name}", name) for name in checkpoints)
    return {"blue1": MachineState("blue1", power, checkpoints=found)}


MADE = Errand(7, "copy", "id-of-another")
OUT = CarryOut(asked(TAKE), (BINDING,))


@pytest.mark.parametrize(
    ("given", "verb"),
    [
        (world(asked(TAKE), "Running"), OUT),
        (world(asked(TAKE), "Running", by_hand=("blue1",)), OUT),
        (world(asked(TAKE), "Running", errands={"blue1": (6, "")}), OUT),
        (world(asked(TAKE), "Running", errands={"blue1": (7, "")}), None),
        # before the start that the record asks for
        (world(asked(BACK), "Off"), CarryOut(asked(BACK), (BINDING,))),
        (world(asked(BACK), "Running"), Stop("blue1")),
        (world(asked(BACK), "Off", errands={"blue1": (7, "")}), msgspec.structs.replace(START, machine=asked(BACK))),
        # its record is about to be taken back
        (world(asked(BACK), "Off", errands={"blue1": (7, "no")}), None),
        (world(asked(TAKE), "Running", in_sync=False), None),
        (world(msgspec.structs.replace(asked(TAKE), move_to="host2"), "Off"), None),
        (world(asked(TAKE, "Absent"), states={}), None),
        # it is made by it; its driver sees whether all of it is there
        (world(asked(MADE, "Off"), states={}), CarryOut(asked(MADE, "Off"), (BINDING,))),
        (world(asked(MADE, "Off"), "Off"), CarryOut(asked(MADE, "Off"), (BINDING,))),
        (world(asked(MADE, "Off"), states={}, may_start=False), None),
        (world(asked(MADE, "Off"), states={}, errands={"blue1": (7, "no")}), None),
    ],
)
def test_when_it_is_due(given, verb):
    assert verb_for("blue1", given) == verb


def test_a_machine_is_defined_before_its_errand():
    record = msgspec.structs.replace(asked(TAKE, "Off"), hardware=Hardware())
    assert isinstance(verb_for("blue1", world(record)), Define)


@pytest.mark.parametrize(
    ("errand", "checkpoints", "done"),
    [
        (TAKE, ("c",), True),
        (TAKE, ("b",), False),
        (Errand(7, "deleteCheckpoint", "c", "id-c"), ("b",), True),
        (Errand(7, "deleteCheckpoint", "other", "id-c"), ("c",), False),
        (BACK, ("c",), False),
        (Errand(7, "export", "c"), ("c",), False),
    ],
)
def test_what_the_hypervisor_shows_to_be_done(errand, checkpoints, done):
    assert is_done(errand, there("Off", *checkpoints)["blue1"]) is done


class Host:
    """A hypervisor that counts what it carried out."""

    def __init__(self, failure=""):
        self.done = []
        self.failure = failure

    async def carry_out(self, verb):
        self.done.append(verb)
        if self.failure:
            raise HypervisorFailure(self.failure)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("failure", ["", "no space"])
async def test_it_is_carried_out_once_also_after_a_restart(tmp_path: Path, failure):
    memory, host = Memory(tmp_path), Host(failure)
    given = world(asked(TAKE), "Running")
    for _ in range(2):
        verbs = Verbs(host, lambda: None, Errands(memory.errands(), memory.remember_errands))
        for _ in range(3):
            verbs.consider(given)
            await settle()
            verbs.answered(verbs.asking())
        fact = verbs.facts(given)[0]
        assert (fact.errand, fact.errand_failure) == (7, failure)
    assert host.done == [OUT]


async def test_what_a_copy_left_that_failed_is_looked_for():
    host = Host("no space")
    verbs = Verbs(host, lambda: None)
    verbs.consider(world(asked(MADE, "Off"), states={}))
    await settle()
    undone = world(machine("Absent"), states={}, half_made=verbs.half_made)
    assert verb_for("blue1", undone) == Remove("blue1", "", with_files=True)
    host.failure = ""
    verbs.answered(verbs.asking())
    verbs.consider(undone)
    await settle()
    assert verb_for("blue1", world(machine("Absent"), states={}, half_made=verbs.half_made)) is None


async def test_a_restore_is_announced_before_it_is_carried_out_and_asked_about_after_a_crash(tmp_path: Path):
    memory, given = Memory(tmp_path), world(asked(BACK), "Off")
    back = CarryOut(asked(BACK), (BINDING,))

    class Dying(Host):
        async def carry_out(self, verb):
            await super().carry_out(verb)
            if isinstance(verb, CarryOut):
                await asyncio.Event().wait()

    def verbs_of(host):
        errands = Errands(memory.errands(), memory.remember_errands, memory.begun(), memory.remember_begun)
        return Verbs(host, lambda: None, errands)

    dying = Dying()
    first = verbs_of(dying)
    first.consider(given)
    await settle()
    await first.close()
    assert dying.done == [Announce(asked(BACK)), back]
    host = Host()
    second = verbs_of(host)
    second.consider(given)
    await settle()
    assert host.done == [msgspec.structs.replace(back, again=True)]
    assert memory.errands() == {"blue1": (7, "")}
    third = world(asked(msgspec.structs.replace(BACK, number=8)), "Off")
    second.answered(second.asking())
    second.consider(third)
    await settle()
    assert isinstance(host.done[1], Announce) and not host.done[2].again


async def test_an_end_that_cannot_be_written_is_not_told_until_it_is(tmp_path: Path):
    memory, host, full = Memory(tmp_path), Host(), [True]

    def remember(ended):
        if full:
            raise OSError(28, "No space left on device")
        memory.remember_errands(ended)

    verbs = Verbs(host, lambda: None, Errands({}, remember))
    given = world(asked(TAKE), "Running")
    for _ in range(3):
        assert verbs.consider(given) is None or verbs.errands.trouble
        await settle()
        verbs.answered(verbs.asking())
    assert (verbs.facts(given)[0].errand, memory.errands()) == (0, {})
    (problem,) = verbs.problems(given)
    assert "No space left on device" in problem.message
    full.clear()
    verbs.consider(given)
    assert (verbs.facts(given)[0].errand, verbs.problems(given)) == (7, ())
    assert (memory.errands(), host.done) == ({"blue1": (7, "")}, [OUT])


async def test_its_end_is_told_only_with_what_the_hypervisor_says_since():
    host = Host()
    verbs = Verbs(host, lambda: None)
    given = world(asked(TAKE), "Running")
    verbs.consider(given)
    assert verbs.facts(given)[0].busy
    await settle()
    assert (verbs.facts(given)[0].errand, verbs.facts(given)[0].busy) == (0, False)
    verbs.answered(verbs.asking())
    assert verbs.facts(given)[0].errand == 7


async def test_what_is_done_already_or_cannot_be_is_not_carried_out():
    host = Host()
    verbs = Verbs(host, lambda: None)
    done = world(asked(TAKE), states=there("Running", "c"))
    verbs.consider(done)
    assert (verbs.facts(done)[0].errand, verbs.facts(done)[0].errand_failure) == (7, "")
    gone = world(asked(msgspec.structs.replace(TAKE, number=8)), missing=("blue1",))
    verbs.consider(gone)
    assert verbs.facts(gone)[0].errand_failure == "checkpoint: the hypervisor has no machine blue1"
    await settle()
    assert host.done == []


def test_a_memory_that_makes_no_sense_is_none(tmp_path: Path):
    memory = Memory(tmp_path)
    assert memory.errands() == {}
    memory.remember_errands({"blue1": (7, "no")})
    assert Memory(tmp_path).errands() == {"blue1": (7, "no")}
    (tmp_path / "errands").write_text("{")
    assert memory.errands() == {}
