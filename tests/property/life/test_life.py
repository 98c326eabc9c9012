"""The whole life of machines and addresses on a state alone, decided and applied as the writer does.

After every command besides what the book says: deciding left the state alone, to the bit; applying and reverting
restores it; a state loaded from the same rows is equal.
"""

from collections.abc import Callable
from types import SimpleNamespace

from hypothesis import settings

from tests.conftest import PROFILE, examples
from tests.property.life.life import Life, Outcome
from tests.unit.core.world import counted_ids
from weft.core.commands import Command, Decision
from weft.core.decide import decide
from weft.core.state import State
from weft.model.errors import Refusal
from weft.model.kinds import KINDS
from weft.model.values import NewId, Now

Decide = Callable[[State, Command, Now, NewId], Decision]


def loaded(state: State) -> State:
    """Another state, from the rows that a store would have of this one."""
    stored = SimpleNamespace(
        generation="test",
        revision=state.revision,
        resources={kind.name: list(state.all(kind.name)) for kind in reversed(KINDS)},
        leases=[lease for scope in state.addresses.leases for lease in state.leases(scope).values()],
        cursors=dict(state.cursors),
    )
    return State.load(stored)


class OnState(Life):
    """Runs on a state of its own. A subclass may bring other rules, to see whether they are caught."""

    decided: Decide = staticmethod(decide)

    def __init__(self) -> None:
        super().__init__()
        self._state = State("test")
        self._now = Now(1000.0, 1_700_000_000.0)
        self._ids = counted_ids()

    @property
    def state(self) -> State:
        return self._state

    @property
    def now(self) -> Now:
        return self._now

    def pass_time(self, ledger: float, wall: float) -> None:
        self._now = Now(self._now.ledger + ledger, self._now.wall + wall)

    def new_id(self) -> str:
        return next(self._ids)

    def carry_out(self, command: Command) -> Outcome:
        before = loaded(self._state)
        try:
            decision = self.decided(self._state, command, self._now, self.new_id)
        except Refusal as refusal:
            assert self._state == before, "a refusal left traces"
            return refusal
        assert self._state == before, "a dry run left traces"
        for change in decision.changes:
            self._state.apply(change)
        after = loaded(self._state)
        assert self._state == after, "what follows from the rows is not what was kept up"
        for change in reversed(decision.changes):
            self._state.revert(change)
        assert self._state == before, "reverting did not restore"
        for change in decision.changes:
            self._state.apply(change)
        assert self._state == after
        self._state.revision += 1
        return decision


TestLife = OnState.TestCase
# in a soak the profile's 5 000 lives of 200 steps would take an hour of a core
TestLife.settings = settings(max_examples=examples(50, soak=1500), stateful_step_count=80 if PROFILE == "soak" else 40)
