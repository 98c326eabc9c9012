"""EndCoolDowns: addresses whose rest is over become free. Called through core.decide by control's clock."""

from weft.core.commands import Decision, EndCoolDowns
from weft.core.decide.draft import Draft


def end(draft: Draft, command: EndCoolDowns) -> Decision:
    """Free what has cooled down by the ledger's time."""
    for lease in draft.state.next_cooled(draft.now.ledger, command.limit):
        draft.turn(lease, None, "expired", lease.reason)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")
