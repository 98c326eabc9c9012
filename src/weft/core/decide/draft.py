"""A decision in the making: the changes so far, and the state as it would be with them.

Made by core.decide for one command, filled by the rules of its family. Reads go through it, so that a rule sees what
the same command has already taken or released. Nothing here touches the state.
"""

from collections.abc import Iterable
from typing import Any

from weft.core.changes import Change, CursorChange, LeaseChange, ResourceChange
from weft.core.pools import Pool
from weft.core.state import State
from weft.core.taken_addresses import TakenOn, nobody_has
from weft.model.leases import Lease
from weft.model.values import NewId, Now


class Draft:
    """Changes to be. `machine` and `host` go into the history of every address that changes."""

    __slots__ = (
        "_after",
        "_cursors",
        "_earlier",
        "_leases",
        "_resources",
        "host",
        "machine",
        "new_id",
        "now",
        "state",
        "taken_on",
    )

    def __init__(self, state: State, now: Now, new_id: NewId, taken_on: TakenOn = nobody_has) -> None:
        self.state = state
        self.now = now
        self.new_id = new_id
        self.taken_on = taken_on
        self.machine = ""
        self.host = ""
        self._resources: list[ResourceChange] = []
        self._after: dict[tuple[str, str], Any] = {}
        self._leases: dict[tuple[str, int], LeaseChange] = {}
        self._earlier: list[LeaseChange] = []
        """What this command did to the same leases for other machines before: twins each have an event of their own."""
        self._cursors: dict[str, int] = {}

    def lease(self, scope: str, address: int) -> Lease | None:
        """The lease as it would be."""
        if self._leases:
            change = self._leases.get((scope, address))
            if change is not None:
                return change.after
        return self.state.lease(scope, address)

    def turn(self, before: Lease | None, after: Lease | None, event: str, reason: str = "", holder: str = "") -> None:
        """Change a lease; `before` is what `lease` answered. Equal values note an event of `holder`, and no change."""
        one = after if after is not None else before
        assert one is not None
        key = (one.scope, one.address)
        earlier = self._leases.get(key)
        if earlier is not None:
            if earlier.machine and self.machine and earlier.machine != self.machine:
                self._earlier.append(earlier)
            else:
                before = earlier.before
        self._leases[key] = LeaseChange(
            scope=one.scope,
            address=one.address,
            before=before,
            after=after,
            event=event,
            machine=self.machine,
            host=self.host,
            reason=reason,
            holder=holder,
        )

    def has_turned(self, scope: str, address: int) -> bool:
        """Whether the command has changed or noted this address."""
        return (scope, address) in self._leases

    def grant(self, pool: Pool, begin: int | None = None) -> int | None:
        """The next free address of a pool, in turn, or from `begin` on without moving the cursor; None if it is full.

        The caller must then turn its lease.
        """
        spec = pool.spec
        key = spec.key
        at = self._cursors.get(key) if begin is None else begin
        if at is None:
            at = self.state.cursors.get(key, 0)
        found = start = pool.next_free(at)
        while found is not None and (spec.scope, found) in self._leases:
            found = pool.next_free(found + 1)
            if found == start:
                return None
        if found is not None and begin is None:
            self._cursors[key] = found + 1 if found < spec.last else spec.first
        return found

    def forget_cursors(self, pools: Iterable[str]) -> None:
        """Let the pools of a resource that goes begin anew, should they come back."""
        for key in pools:
            if key in self.state.cursors:
                self._cursors[key] = 0

    def put(self, kind: str, key: str, before: Any | None, after: Any | None) -> None:
        """Change a top-level resource; `key` is its id in lower case."""
        self._resources.append(ResourceChange(kind=kind, id=key, before=before, after=after))
        self._after[kind, key] = after

    def get(self, kind: str, resource_id: str) -> Any | None:
        """A top-level resource as it would be."""
        key = resource_id.lower()
        if (kind, key) in self._after:
            return self._after[kind, key]
        return self.state.get(kind, key)

    def changed(self, kind: str) -> set[str]:
        """Ids, lower case, of the resources of a kind that the command changes."""
        return {key for changed, key in self._after if changed == kind}

    def changes(self) -> tuple[Change, ...]:
        """All changes, in an order that can be applied."""
        cursors = self.state.cursors
        moved = (CursorChange(pool, cursors.get(pool, 0), at) for pool, at in self._cursors.items())
        return (*self._resources, *self._earlier, *self._leases.values(), *moved)

    def is_empty(self) -> bool:
        return not (self._resources or self._leases or self._cursors)
