"""Batch: puts, actions of machines and deletes as one transaction, references resolved whatever their order; Steps: in
the order given.

Called through core.decide. Puts are decided in the order in which kinds refer to each other, then the actions in the
order given, then the deletes; each on the state with the earlier ones applied.
"""

from collections.abc import Callable, Sequence

from weft.core.changes import Change
from weft.core.commands import Batch, Command, Decision, Delete, MachineCommand, Put, Steps
from weft.core.state import State, owned_path
from weft.model.errors import Invalid, Refusal
from weft.model.kinds import BY_NAME, KINDS

Decide = Callable[[Command], Decision]

_ORDER = {kind.name: at for at, kind in enumerate(KINDS)}


def apply_batch(state: State, batch: Batch, decide: Decide) -> Decision:
    """All or nothing, and left applied. Raises the first refusal, with the position of the element it is about."""
    parts: list[Decision | None] = [None] * len(batch.commands)
    changes: list[Change] = []
    try:
        for at in sorted(range(len(parts)), key=lambda at: _rank(batch.commands[at])):
            try:
                part = decide(batch.commands[at])
            except Refusal as wrong:
                wrong.position = at
                raise
            parts[at] = part
            for change in part.changes:
                state.apply(change)
                changes.append(change)
    except BaseException:
        revert_all(state, changes)
        raise
    outcome = "done" if changes else "unchanged"
    return Decision(changes=tuple(changes), outcome=outcome, parts=tuple(part for part in parts if part is not None))


def apply_steps(state: State, steps: Steps, decide: Decide) -> Decision:
    """All or nothing, and left applied. Raises the first refusal. Answers what the last step does, and all reports."""
    parts: list[Decision] = []
    changes: list[Change] = []
    try:
        for command in steps.commands:
            part = decide(command)
            parts.append(part)
            for change in part.changes:
                state.apply(change)
                changes.append(change)
    except BaseException:
        revert_all(state, changes)
        raise
    outcome = "done" if changes else "unchanged"
    report = tuple(one for part in parts for one in part.report)
    return Decision(tuple(changes), outcome, parts[-1].resource, tuple(parts), report)


def revert_all(state: State, changes: Sequence[Change]) -> None:
    """Turn back changes in the reverse of the order in which they were applied."""
    for change in reversed(changes):
        state.revert(change)


def _rank(command: Command) -> tuple[int, int]:
    """Puts in the order of kinds, then actions, then deletes in reverse. Children of deleted parents go first."""
    if isinstance(command, MachineCommand):
        return len(KINDS), 0
    if not isinstance(command, Put | Delete):
        raise Invalid("A batch holds puts, deletes and actions of machines only.")
    path = owned_path(command.path)
    kind = BY_NAME.get(path.kind.lower())
    place = _ORDER[kind.name] if kind is not None else len(_ORDER)
    if isinstance(command, Put):
        return place, len(path.below)
    return 2 * len(KINDS) + 1 - place, -len(path.below)
