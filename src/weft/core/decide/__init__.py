"""All rules: a command on a state becomes changes, or a typed refusal. Pure; the state is left as it was.

Called by control.writer, which applies the changes, and for dry runs. One file per family; `decide` finds the family.
"""

from collections.abc import Callable
from typing import Any

from weft.core.commands import (
    AdvanceCreation,
    AdvanceMove,
    AdvanceProviderAddresses,
    Batch,
    BeginErrand,
    BeginMove,
    BeginRemoval,
    Command,
    CreateMachine,
    Decision,
    Delete,
    EndCoolDowns,
    EndErrand,
    EndReservations,
    Failover,
    MarkMachine,
    NoteSeen,
    Put,
    ReleaseAddress,
    ReleaseInactive,
    RemoveServer,
    RenewMac,
    Reserve,
    SetPower,
    Steps,
)
from weft.core.copy_commands import Clone, ExportMachine, ImportMachine, Restore, TakeCheckpoint
from weft.core.decide import (
    captures,
    cool_down,
    creating,
    errands,
    failover,
    host_checkpoints,
    imports,
    learning,
    machine_copies,
    machine_power,
    moves,
    noting,
    provider_addresses,
    puts,
    readdressing,
    release,
    renewal,
    reservations,
    restoring,
    rollback,
    seen,
)
from weft.core.decide.batch import apply_batch, apply_steps, revert_all
from weft.core.decide.draft import Draft
from weft.core.host_facts import (
    ForgetAddress,
    LearnAddress,
    NoteCheckpoints,
    NoteHost,
    NoteMachine,
    NoteMacs,
    NoteProviderNetwork,
)
from weft.core.state import State
from weft.core.taken_addresses import TakenOn, nobody_has
from weft.model.values import NewId, Now

__all__ = ["decide", "decide_and_apply"]

_RULES: dict[type[Any], Callable[[Draft, Any], Decision]] = {
    Put: puts.put,
    Delete: puts.delete,
    SetPower: machine_power.set_power,
    BeginMove: moves.begin,
    AdvanceMove: moves.advance,
    AdvanceProviderAddresses: readdressing.advance,
    CreateMachine: creating.create,
    AdvanceCreation: creating.advance,
    BeginRemoval: creating.begin_removal,
    BeginErrand: errands.begin,
    EndErrand: errands.end,
    Clone: machine_copies.clone,
    TakeCheckpoint: captures.take_checkpoint,
    Restore: restoring.restore,
    ExportMachine: captures.export,
    ImportMachine: imports.import_machine,
    RenewMac: renewal.renew,
    Failover: failover.fail_over,
    RemoveServer: failover.remove_server,
    MarkMachine: failover.mark_machine,
    NoteHost: noting.note_host,
    NoteProviderNetwork: noting.note_provider_network,
    NoteMachine: noting.note_machine,
    NoteMacs: rollback.note_macs,
    NoteCheckpoints: host_checkpoints.note_checkpoints,
    ReleaseAddress: release.release_address,
    ReleaseInactive: release.release_inactive,
    EndCoolDowns: cool_down.end,
    Reserve: reservations.reserve,
    EndReservations: reservations.end,
    NoteSeen: seen.note_seen,
    LearnAddress: learning.learn,
    ForgetAddress: learning.forget,
}
"""The family of each command but Batch."""


def decide(state: State, command: Command, now: Now, new_id: NewId, taken_on: TakenOn = nobody_has) -> Decision:
    """What a command comes to on this state. Raises a Refusal; nothing is changed by it. `taken_on` answers as hosts
    tell it at that moment.

    A Batch, or Steps, apply and revert on the state while it is decided, so no other reader may run meanwhile.
    """
    if isinstance(command, Batch | Steps):
        decision = decide_and_apply(state, command, now, new_id, taken_on)
        revert_all(state, decision.changes)
        return decision
    draft = Draft(state, now, new_id, taken_on)
    return provider_addresses.follow(draft, _RULES[type(command)](draft, command))


def decide_and_apply(
    state: State, command: Command, now: Now, new_id: NewId, taken_on: TakenOn = nobody_has
) -> Decision:
    """Decide and leave the changes applied; for the writer, to whom a Batch is half the work this way.

    Raises a Refusal, or what else goes wrong, with the state as it was.
    """
    if isinstance(command, Steps):
        return apply_steps(state, command, lambda one: decide(state, one, now, new_id, taken_on))
    if isinstance(command, Batch):
        return apply_batch(state, command, lambda one: decide(state, one, now, new_id, taken_on))
    decision = decide(state, command, now, new_id, taken_on)
    done = 0
    try:
        for change in decision.changes:
            state.apply(change)
            done += 1
    except BaseException:
        revert_all(state, decision.changes[:done])
        raise
    return decision
