"""Batch: puts, actions of machines and deletes as one transaction, references resolved whatever their order; Steps: in
the order given.

Called through core.decide. Puts are decided in the order in which kinds refer to each other, then the actions in the
order given, then the deletes; each on the state with the earlier ones applied. Virtual networks refer to each other by
their peerings: those that are new are made without them first.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from weft.core.changes import Change
from weft.core.commands import Batch, Command, Decision, Delete, MachineCommand, Preconditions, Put, Steps
from weft.core.state import State, owned_path
from weft.model.errors import Invalid, Refusal
from weft.model.kinds import BY_NAME, KINDS, VIRTUAL_NETWORKS

Decide = Callable[[Command], Decision]

_NETWORKS = VIRTUAL_NETWORKS.name.lower()
_ORDER = {kind.name: at for at, kind in enumerate(KINDS)}


def apply_batch(state: State, batch: Batch, decide: Decide) -> Decision:
    """All or nothing, and left applied. Raises the first refusal, with the position of the element it is about."""
    parts: list[Decision | None] = [None] * len(batch.commands)
    changes: list[Change] = []
    try:
        for at, command in _in_order(state, batch):
            try:
                part = decide(command)
            except Refusal as wrong:
                wrong.position = at
                raise
            first = parts[at]
            parts[at] = part if first is None else msgspec.structs.replace(part, outcome=first.outcome)
            for change in part.changes:
                state.apply(change)
                changes.append(change)
    except BaseException:
        revert_all(state, changes)
        raise
    outcome = "done" if changes else "unchanged"
    return Decision(changes=tuple(changes), outcome=outcome, parts=tuple(part for part in parts if part is not None))


def _in_order(state: State, batch: Batch) -> Iterator[tuple[int, Command]]:
    """Each command with its position; one that makes a network with peerings twice, first without them."""
    order = sorted(range(len(batch.commands)), key=lambda at: _rank(batch.commands[at]))
    whole: list[tuple[int, Put]] = []
    for at in order:
        command = batch.commands[at]
        if whole and _rank(command) > _rank(whole[0][1]):
            yield from whole
            whole = []
        if isinstance(command, Put) and _brings_peerings(state, command):
            whole.append((at, msgspec.structs.replace(command, when=Preconditions())))
            yield at, _without_peerings(command)
        else:
            yield at, command
    yield from whole


def _brings_peerings(state: State, put: Put) -> bool:
    """Whether it makes a virtual network with peerings."""
    if put.path.kind.lower() != _NETWORKS or put.path.below:
        return False
    is_new = state.get(VIRTUAL_NETWORKS.name, put.path.id) is None
    return is_new and bool(put.document.properties.virtual_network_peerings)


def _without_peerings(put: Put) -> Put:
    bare = msgspec.structs.replace(put.document.properties, virtual_network_peerings=())
    return msgspec.structs.replace(put, document=msgspec.structs.replace(put.document, properties=bare))


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
