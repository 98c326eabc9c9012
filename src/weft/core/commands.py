"""What the API, the clock and the agents ask of the writer. Values only; core.decide turns them into changes."""

from typing import Any

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """Who asks; made in one place (api.auth). Until identities exist it is the operator on loopback."""

    name: str = "operator"
    role: str = "operator"
    tenant: str | None = None


class Path(msgspec.Struct, frozen=True):
    """Names a resource or child: the kind, then (child kind name, id) pairs below it. Ids as the client wrote them."""

    kind: str
    id: str
    below: tuple[tuple[str, str], ...] = ()


class Preconditions(msgspec.Struct, frozen=True):
    """If-Match and If-None-Match as sent, `*` included; None where the header is absent."""

    if_match: str | None = None
    if_none_match: str | None = None


class Put(msgspec.Struct, frozen=True):
    """Create or replace a resource or child, children included."""

    path: Path
    document: Any
    """A Resource[...] as the client sent it: read-only members ignored, instance_id and etag possibly empty."""
    when: Preconditions = Preconditions()


class Delete(msgspec.Struct, frozen=True):
    path: Path
    when: Preconditions = Preconditions()


class SetPower(msgspec.Struct, frozen=True):
    """Start, stop or save a machine: the committed intent. `power` is Running, Off or Saved."""

    machine: str
    power: str


class BeginMove(msgspec.Struct, frozen=True):
    """Phase `preparing`. `server` is the destination's resource id."""

    machine: str
    server: str
    force: bool = False


class AdvanceMove(msgspec.Struct, frozen=True):
    """To phase `switching`, `withdrawing`, `switched` (the machine's server becomes the destination), `done` or
    `failed` (it ends)."""

    machine: str
    phase: str
    generation: int
    """Of the move that is meant; another one makes the command a refusal."""


class EndCoolDowns(msgspec.Struct, frozen=True):
    """Free what has cooled down by the ledger's time, at most `limit` addresses."""

    limit: int = 1000


class Batch(msgspec.Struct, frozen=True):
    """Puts and deletes as one: all or nothing, references among them resolved whatever their order."""

    commands: tuple[Any, ...]


Command = Put | Delete | SetPower | BeginMove | AdvanceMove | EndCoolDowns | Batch


class Decision(msgspec.Struct, frozen=True):
    """What a command comes to. `outcome`: created, replaced, unchanged, deleted, done; for a Batch one per command."""

    changes: tuple[Any, ...]
    outcome: str
    resource: Any | None = None
    """The resource or child as it will be stored (with etag and instance_id); None after a delete."""
    parts: tuple["Decision", ...] = ()
    """For a Batch: the decision of each command, in the order given (their changes are all in `changes`)."""
