"""How released addresses rest, and EndCoolDowns: those whose rest is over become free.

Called by the families that release, and through core.decide by control's clock.
"""

from weft.core.commands import Decision, EndCoolDowns
from weft.core.decide.draft import Draft
from weft.core.decide.granting import used_reservations
from weft.core.host_ranges import plan_cool_down
from weft.core.state import State
from weft.model.leases import COOLING, MAC_SCOPE, Holder, Lease, state_of


def resting(draft: Draft, lease: Lease, reason: str) -> Lease | None:
    """What becomes of a lease whose last holder has gone: it cools as long as its pool says; None if it is free."""
    seconds = _cool_down(draft.state, lease.scope, lease.address)
    if seconds == 0:
        return None
    until = draft.now.ledger + seconds
    return Lease(lease.scope, lease.address, COOLING, lease.holders, until=until, reason=reason)


def left_to(draft: Draft, lease: Lease, others: tuple[Holder, ...], reason: str) -> Lease | None:
    """What becomes of a lease when all but `others` have gone, which may be nobody."""
    if not others:
        return resting(draft, lease, reason)
    state = state_of(lease.scope, others)
    return Lease(lease.scope, lease.address, state, used_reservations(others), reason=lease.reason)


def _cool_down(state: State, scope: str, address: int) -> int:
    """Seconds, of its pool; of its plan where no host has the range now, for the next one may be given it at once."""
    pool = state.addresses.pool_of(scope, address)
    if pool is not None:
        return pool.spec.cool_down
    return plan_cool_down(state, address) if scope == MAC_SCOPE else 0


def end(draft: Draft, command: EndCoolDowns) -> Decision:
    """Free what has cooled down by the ledger's time."""
    for lease in draft.state.next_cooled(draft.now.ledger, command.limit):
        draft.turn(lease, None, "expired", lease.reason)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")
