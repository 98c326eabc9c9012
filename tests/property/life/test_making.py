"""Machines made as a whole and errands of hosts, amid the rest of the life: what is undone leaves nothing, and the book
holds at every step.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.conftest import PROFILE, examples
from tests.property.life import asks
from tests.property.life.life import POWERS, has
from tests.property.life.test_life import OnState
from weft.core.commands import AdvanceCreation, BeginErrand, CreateMachine, EndErrand, Steps
from weft.core.copy_commands import TakeCheckpoint
from weft.model.errors import Refusal

WAYS: tuple[tuple[str, ...], ...] = (
    (),
    ("undoing", "undone"),
    ("starting", "undoing", "undone"),
    ("starting", "done"),
    ("starting",),
    ("undoing",),
    ("undone",),
)


class Making(OnState):
    """The life with more rules."""

    @rule(command=asks.creations(), way=st.sampled_from(WAYS))
    def create(self, command: CreateMachine, way: tuple[str, ...]) -> None:
        """All that a new machine is given is granted with it, or nothing."""
        if not isinstance(self.run(command), Refusal):
            self._go_on(self.state.get("virtualMachines", command.name), way)

    @precondition(lambda self: self._made("creation"))
    @rule(data=st.data(), way=st.sampled_from(WAYS))
    def go_on_making(self, data: st.DataObject, way: tuple[str, ...]) -> None:
        self._go_on(data.draw(st.sampled_from(self._made("creation"))), way)

    def _go_on(self, machine: Any, way: tuple[str, ...]) -> None:
        """At whatever phase it is undone, it goes with all that it was given."""
        own = {ref.rpartition("/")[2] for ref in self._interfaces(machine.resource_id)}
        creation = machine.properties.creation
        for phase in way if creation is not None else ():
            if isinstance(self.run(AdvanceCreation(machine.resource_id, phase, creation.generation)), Refusal):
                return
        if creation is not None and way[-1:] == ("undone",):
            assert self.state.get("virtualMachines", machine.resource_id) is None
            assert not own & set(self._macs()), "an interface was left over"

    def _made(self, member: str) -> list[Any]:
        """Machines that are being made, or whose host is at an errand."""
        found = [one for one in self.state.all("virtualMachines") if getattr(one.properties, member) is not None]
        return sorted(found, key=lambda one: one.resource_id)

    @has("virtualMachines")
    @rule(data=st.data(), power=POWERS, captures=st.booleans(), name=st.sampled_from(asks.NAMES))
    def begin_errand(self, data: st.DataObject, power: str, captures: bool, name: str) -> None:
        machine = self.pick(data, "virtualMachines").resource_id
        begin = (
            BeginErrand(machine, "checkpoint", name)
            if captures
            else BeginErrand(machine, "restore", name, "", "", power)
        )
        self.run(Steps((TakeCheckpoint(machine, name), begin)) if captures else begin)

    @precondition(lambda self: self._made("errand"))
    @rule(data=st.data(), failure=st.sampled_from(["", "no space"]))
    def end_errand(self, data: st.DataObject, failure: str) -> None:
        machine = data.draw(st.sampled_from(self._made("errand")))
        self.run(EndErrand(machine.resource_id, machine.properties.errand.number, failure))


TestMaking = Making.TestCase
TestMaking.settings = settings(max_examples=examples(20, soak=500), stateful_step_count=80 if PROFILE == "soak" else 40)
