"""Refuse to take away a pool while something holds an address of it. Called by the families that bring pools."""

from weft.core.pools import Pool
from weft.core.state import State
from weft.core.words import hold_text
from weft.model.errors import InUse
from weft.model.leases import ASSIGNED, RESERVED, RETAINED

KEEPING = (ASSIGNED, RETAINED, RESERVED)
"""States that keep a pool; what cools or is foreign goes on so outside of any pool."""


def refuse_while_held(state: State, key: str, code: str) -> None:
    """Raises InUse, naming one that holds an address."""
    pool = state.addresses.pools[key]
    for name in KEEPING:
        refusal = _held(state, pool, name, code)
        if refusal is not None:
            raise refusal


def _held(state: State, pool: Pool, name: str, code: str) -> InUse | None:
    space = pool.by_state.get(name)
    offset = space.next_used() if space is not None else None
    if space is None or offset is None:
        return None
    lease = state.lease(pool.spec.scope, pool.spec.first + offset)
    assert lease is not None
    return InUse(
        f"{space.used} of the addresses of {pool.spec.ref} {'is' if space.used == 1 else 'are'} {name}: "
        f"{hold_text(state, lease, *lease.holders[:1])}. Delete what holds them first.",
        code=code,
        target=pool.spec.ref,
    )
