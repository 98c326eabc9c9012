"""What a decision changes: each change holds its key, the value before and the value after, so that apply and revert
are exact inverses and a log of changes is enough to rebuild anything that follows from them."""

from typing import Any

import msgspec

from weft.model.leases import Lease


class ResourceChange(msgspec.Struct, frozen=True, gc=False, tag="resource"):
    """A top-level resource with its children; None means absent."""

    kind: str
    """Name of the Kind, canonical spelling."""
    id: str
    """resourceId in lower case (ids are compared without case)."""
    before: Any | None
    after: Any | None


class LeaseChange(msgspec.Struct, frozen=True, gc=False, tag="lease"):
    """An address granted, given, released, cooled down; `event` is the word that its history shows."""

    scope: str
    address: int
    before: Lease | None
    after: Lease | None
    event: str
    """granted, assigned, moved, released, expired, reserved, retained, seen, unseen, inactive, active."""
    machine: str = ""
    host: str = ""
    reason: str = ""
    holder: str = ""
    """resourceRef of whom the event is about, where the leases are equal and so do not tell."""


class CursorChange(msgspec.Struct, frozen=True, gc=False, tag="cursor"):
    """Where the next grant from a pool begins to look, so that a released address is reused last."""

    pool: str
    """resourceRef of the pool or subnet (with /4 or /6 for a subnet), or the scope for VSIDs, lower case."""
    before: int
    after: int


Change = ResourceChange | LeaseChange | CursorChange


class PoolWarning(msgspec.Struct, frozen=True, rename="camel"):
    """A pool crossed its warnAtPercent: `warning` upwards, or down again. `used` addresses of it are not free."""

    pool: str
    """resourceRef."""
    warning: bool
    used: int
    capacity: int


class Commit(msgspec.Struct, frozen=True):
    """One revision: what the log keeps and the watch and the feed are made from."""

    revision: int
    wall: float
    ledger: float
    changes: tuple[Change, ...]
    actors: tuple[str, ...] = ()
    warnings: tuple[PoolWarning, ...] = ()
    """Told to who watches at the time; the log does not keep them."""
