"""The whole life again, by a controller on its SQLite file: machines' actions, request ids, restarts, and deaths.

It dies at any statement of a transaction, before and after its COMMIT. What was answered is there when the file is
opened anew; what was not is there wholly or not at all, and its request id gets one answer however often it is asked.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.conftest import PROFILE, examples
from tests.property.life.life import Life, Outcome
from tests.property.life.mortal import Died, Mortal
from tests.property.life.test_life import loaded
from weft.control.controller import Controller
from weft.core.commands import Actor, BeginMove, Command, Decision, Failover, RenewMac, SetPower
from weft.core.copy_commands import Restore
from weft.core.decide import decide_and_apply
from weft.core.state import State
from weft.model.errors import Refusal
from weft.model.values import Now
from weft.store.store import Answer, Store

OPERATOR = Actor("ann")


class Hand:
    """Clocks and ids, moved by hand."""

    def __init__(self) -> None:
        self.ticks, self.time, self.number = 500.0, 1_700_000_000.0, 0

    def monotonic(self) -> float:
        return self.ticks

    def wall(self) -> float:
        return self.time

    def new_id(self) -> str:
        self.number += 1
        return f"00000000-0000-4000-8000-{self.number:012d}"

    def fork(self) -> "Hand":
        """The same clocks and the same ids to come."""
        other = Hand()
        other.ticks, other.time, other.number = self.ticks, self.time, self.number
        return other


class Unheard(Refusal):
    """Nobody heard an answer, and nothing was kept."""

    code = "Died"


class OnStore(Life):
    """One controller after the other, on one file."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="weft-life-"))
        self._hand = Hand()
        self._loop = asyncio.Runner()
        self._loop.get_loop().set_exception_handler(lambda loop, context: None)
        self._by_machines = False
        self._asked = 0
        self._answers: dict[str, tuple[Command, bytes]] = {}
        """What was answered to whom."""
        self._open()

    def _open(self) -> None:
        store = Store.open(self._folder, self._hand.new_id)
        self._mortal = Mortal(store._connection)
        self._store = Store(self._mortal, store._mark, store._lock)
        self._controller = Controller(self._store, self._hand, self._hand.new_id)

    def teardown(self) -> None:
        self._mortal.dead, self._mortal.die_at = False, None
        self._controller.close()
        self._loop.close()
        shutil.rmtree(self._folder)

    @property
    def state(self) -> State:
        return self._controller.state

    @property
    def now(self) -> Now:
        return self._controller.now()

    def pass_time(self, ledger: float, wall: float) -> None:
        self._hand.ticks += ledger
        self._hand.time += wall

    # -- carrying out

    def carry_out(self, command: Command) -> Outcome:
        self._by_machines = not self._by_machines
        if self._mortal.die_at is None and self._by_machines:
            action = self._action(command)
            if action is not None:
                return self._checked(action)
        return self._submit(command)

    def _action(self, command: Command) -> Coroutine[Any, Any, Any] | None:
        """What a client would ask for, where that is more than one command."""
        machines = self._controller.machines
        match command:
            case SetPower(name, power):
                by_power = {"Running": machines.start, "Off": machines.stop, "Saved": machines.save}
                return by_power[power](name, OPERATOR)
            case BeginMove(name, server):
                return machines.migrate(name, server, OPERATOR)
            case Restore(name, checkpoint, addresses, taken):
                return machines.checkpoints.restore(name, checkpoint, addresses, taken, OPERATOR)
            case RenewMac(name, interface, mac, force):
                return machines.checkpoints.renew(name, interface, mac, force, OPERATOR)
            case Failover(name, server):
                return _said(lambda: machines.failover(name, server, True, OPERATOR))
        return None

    def _checked(self, action: Coroutine[Any, Any, Any]) -> Outcome:
        try:
            done = self._loop.run(action)
        except Refusal as refusal:
            return refusal
        machine, report = done if isinstance(done, tuple) else (done, ())
        self._compare_with_file()
        return Decision(changes=(), outcome="done", resource=machine, report=report)

    def _submit(self, command: Command) -> Outcome:
        self._asked += 1
        request_id = f"request-{self._asked}"
        before, after, foreseen = self._foresee(command)
        try:
            outcome = self._ask(command, request_id)
        except Died:
            return self._rise(command, request_id, before, after, foreseen)
        self._compare_with_file()
        if isinstance(outcome, Refusal):
            assert self.state == before
        return outcome

    def _foresee(self, command: Command) -> tuple[State, State, Outcome]:
        """The states before and after, on copies that the controller does not know, with the ids that it will use."""
        before, after, hand = loaded(self.state), loaded(self.state), self._hand.fork()
        after.revision = before.revision = self.state.revision
        try:
            return before, after, decide_and_apply(after, command, self.now, hand.new_id)
        except Refusal as refusal:
            return before, before, refusal

    def _ask(self, command: Command, request_id: str) -> Outcome:
        """Raises Died."""
        try:
            asking = self._controller.submit(command, OPERATOR, request_id, _encode(request_id))
            submitted = self._loop.run(self._until_dead(asking))
        except Refusal as refusal:
            return refusal
        body = submitted.answer.body
        known = self._answers.setdefault(request_id, (command, body))
        assert known[1] == body, "one request id, two answers"
        return submitted.decision if submitted.decision is not None else Decision(changes=(), outcome="repeated")

    async def _until_dead(self, asking: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.create_task(asking)
        while not task.done() and not self._mortal.dead:
            await asyncio.sleep(0)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Died

    def _rise(self, command: Command, request_id: str, before: State, after: State, foreseen: Outcome) -> Outcome:
        """Open the file anew: it is as before or as after, and a retry makes it as after, once."""
        survived = self._mortal.die_at == -1
        self._restart()
        assert self.state == (after if survived else before), "half of it is there"
        if isinstance(foreseen, Refusal):
            return foreseen
        if not survived and self._asked % 2:
            return Unheard("It died, and nobody asks again.")
        again = self._ask(command, request_id)
        assert not isinstance(again, Refusal), again
        if survived:
            assert self.state == after, "the retry did something"
            return foreseen
        return again

    def _restart(self) -> None:
        self._mortal.dead, self._mortal.die_at = False, None
        self._controller.close()
        self._open()

    def _compare_with_file(self) -> None:
        assert State.load(self._store.load()) == self.state, "what is in memory is not what is in the file"

    # -- rules of its own

    @rule(at=st.integers(-1, 9))
    def die_next(self, at: int) -> None:
        """The next transaction is the last one of this controller."""
        self._mortal.die_at = at

    @precondition(lambda self: self._mortal.die_at is None)
    @rule()
    def restart(self) -> None:
        before = loaded(self.state)
        self._restart()
        assert self.state == before

    @precondition(lambda self: self._answers and self._mortal.die_at is None)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        """A request id that was answered gets that answer, however much has happened since."""
        request_id = data.draw(st.sampled_from(sorted(self._answers)))
        before = loaded(self.state)
        command, body = self._answers[request_id]
        self._ask(command, request_id)
        assert self.state == before
        assert self._answers[request_id][1] == body


async def _said(failing_over: Any) -> Any:
    return await failing_over()


def _encode(request_id: str) -> Any:
    return lambda decision: Answer(request_id, 200, msgspec.json.encode(decision.resource))


TestLifeStored = OnStore.TestCase
TestLifeStored.settings = settings(
    max_examples=examples(20, soak=300), stateful_step_count=60 if PROFILE == "soak" else 25
)
