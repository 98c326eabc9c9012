"""Whether another hand may start a machine: by the controller's word, or by the last policy."""

import asyncio

import pytest

from weft.agent.starts import Known, Start, Starts
from weft.model.hypervisor import MachineState
from weft.model.records import Machine
from weft.wire.messages import MayRun, MayRunAnswer

HERE = Machine("web1", "Off", (), "id-1")


class Asking:
    """Starts whose controller answers `words`; None: it never does; `there` False: nobody is asked."""

    def __init__(self, words: str | None = "", there: bool = True, machines=(HERE,), busy=()):
        self.words, self.there = words, there
        self.asked: list[MayRun] = []
        known = Known({one.machine: one for one in machines}, {"web2": MachineState("web2", "Off", id="id-2")}, busy)
        self.starts = Starts(self._say, lambda: known)

    def _say(self, question: MayRun) -> bool:
        self.asked.append(question)
        if self.there and self.words is not None:
            asyncio.get_running_loop().call_soon(self.starts.answered, MayRunAnswer(question.number, self.words))
        return self.there


async def test_the_controllers_word_counts():
    asking = Asking("web9 has it")
    assert await asking.starts.refusal(Start("id-1", "web1", "", (7,))) == "web9 has it"
    assert asking.asked == [MayRun(1, "id-1", "web1", (7,))]
    assert await Asking("").starts.refusal(Start("id-9", "stranger")) == ""


@pytest.mark.parametrize("asking", [Asking(there=False), Asking(None)], ids=["away", "silent"])
async def test_without_the_controllers_word_only_what_the_policy_names_here_may_start(asking, monkeypatch):
    monkeypatch.setattr("weft.agent.starts.ANSWER_SECONDS", 0.05)
    assert await asking.starts.refusal(Start("ID-1", "web1")) == ""
    assert await asking.starts.refusal(Start("id-7", "other", machine="web1")) == ""
    assert "the last policy does not name it" in await asking.starts.refusal(Start("id-9", "web1"))


async def test_the_agents_own_starts_and_what_it_awaits_are_not_asked_about():
    asking = Asking("no", machines=(HERE, Machine("web2", "Incoming", (), "")), busy={"web1", "fresh"})
    for start in (Start("id-1"), Start("id-2"), Start("id-5", "fresh")):
        assert await asking.starts.refusal(start) == ""
    assert asking.asked == []


async def test_what_was_said_to_come_from_another_host_comes_when_it_starts():
    asking = Asking()
    await asking.starts.refusal(Start("id-9", comes=True))
    await asking.starts.refusal(Start("id-9"))
    await asking.starts.refusal(Start("id-8"))
    assert [one.comes for one in asking.asked] == [True, True, False]
