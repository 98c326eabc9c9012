"""Known mistakes, planted in a copy of the rules under another name: the life machine must catch each.

A machine that never fails shows nothing. The copy is made from the source as it is, with one passage changed.
"""

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import weft.core.decide
from tests.property.life.life import Outcome
from tests.property.life.test_life import Decide, OnState
from weft.core.commands import Command
from weft.model.errors import Refusal

RULES = Path(weft.core.decide.__file__).parent


class Mistake(NamedTuple):
    """In `file`, `right` becomes `wrong`; the machine then says `seen`."""

    file: str
    right: str
    wrong: str
    seen: str


MISTAKES = {
    "release_forgets_checkpoints": Mistake(
        "holding.py",
        "others = used_reservations(others_of(lease, ref))",
        "others = tuple(one for one in others_of(lease, ref) if one.kind not in CAPTURES)",
        "but the book has",
    ),
    "cool_downs_end_by_the_wall_clock": Mistake(
        "cool_down.py",
        "next_cooled(draft.now.ledger, ",
        "next_cooled(draft.now.wall - 1_699_999_000, ",
        "cool-down ended|should have been freed",
    ),
    "a_start_looks_at_no_ports": Mistake(
        "bindings.py",
        'if holder.kind == "port":',
        'if holder.kind == "no port":',
        "started beside",
    ),
    "twins_are_sought_in_one_subnet_alone": Mistake(
        "holding.py",
        "return state.meet(one.domain, other.domain)",
        "return one.domain == other.domain",
        "started beside|run with one address|but nobody runs|a rollback yielded",
    ),
}


RARE = {"twins_are_sought_in_one_subnet_alone", "a_start_looks_at_no_ports"}
"""Takes machines on two subnets of one segment with one address, both started; a port that is seen with the address of
a machine that is off, which is then started. How soon the search comes to them depends on what else is loaded."""


@pytest.fixture(
    params=[pytest.param(one, marks=[pytest.mark.soak] if one in RARE else []) for one in sorted(MISTAKES)],
    ids=sorted(MISTAKES),
)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Mistake, Decide]]:
    """The mistake and a `decide` that makes it."""
    mistake = MISTAKES[request.param]
    name = f"planted_{request.param}"
    shutil.copytree(RULES, tmp_path / name)
    for file in (tmp_path / name).rglob("*.py"):
        file.write_text(file.read_text().replace("weft.core.decide", name))
    wrong = tmp_path / name / mistake.file
    source = wrong.read_text()
    assert mistake.right in source, f"{mistake.file} says it in other words now: plant it anew"
    wrong.write_text(source.replace(mistake.right, mistake.wrong))
    sys.path.insert(0, str(tmp_path))
    try:
        yield mistake, importlib.import_module(name).decide
    finally:
        sys.path.remove(str(tmp_path))
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]


def test_it_is_caught(planted: tuple[Mistake, Decide]) -> None:
    mistake, rules = planted

    class Wrong(OnState):
        """Only the book looks on: what is planted here leaves applying and reverting alone."""

        def carry_out(self, command: Command) -> Outcome:
            try:
                decision = rules(self.state, command, self.now, self.new_id)
            except Refusal as refusal:
                return refusal
            for change in decision.changes:
                self.state.apply(change)
            self.state.revision += 1
            return decision

    bounded = settings(
        max_examples=20_000,
        stateful_step_count=30,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match=mistake.seen):
        run_state_machine_as_test(Wrong, settings=bounded)
