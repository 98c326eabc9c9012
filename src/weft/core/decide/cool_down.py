"""How released addresses rest, and EndCoolDowns: those whose rest is over become free.

Called by the families that release, and through core.decide by control's clock.
"""

from weft.core.commands import Decision, EndCoolDowns
from weft.core.decide.draft import Draft
from weft.model.leases import COOLING, Lease


def resting(draft: Draft, lease: Lease, reason: str) -> Lease | None:
    """What becomes of a lease whose last holder has gone: it cools as long as its pool says; None if it is free."""
    pool = draft.state.addresses.pool_of(lease.scope, lease.address)
    if pool is None or pool.spec.cool_down == 0:
        return None
    until = draft.now.ledger + pool.spec.cool_down
    return Lease(lease.scope, lease.address, COOLING, lease.holders, until=until, reason=reason)


def end(draft: Draft, command: EndCoolDowns) -> Decision:
    """Free what has cooled down by the ledger's time."""
    for lease in draft.state.next_cooled(draft.now.ledger, command.limit):
        draft.turn(lease, None, "expired", lease.reason)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")
