"""What a trace is made of: its stages, its verdict, and the end of the way. Values of core.trace and its parts."""

import msgspec


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """One stage of the way: where, which stage of the pipeline, the record that it went by, and what happened."""

    host: str
    stage: str
    record: str
    text: str


class TraceResult(msgspec.Struct, frozen=True, rename="camel"):
    delivered: bool
    path: tuple[Step, ...]
    reason: str
    decided_by: str | None = None
    """resourceRef of what let the packet through or stopped it."""
    missing: dict[str, str | int] | None = None
    """The record whose absence stopped it, by the names of the policy view."""


class Stopped(Exception):
    """The packet ends here; carries the verdict."""

    def __init__(self, reason: str, decided_by: str, missing: dict[str, str | int] | None = None) -> None:
        super().__init__(reason)
        self.reason, self.decided_by, self.missing = reason, decided_by, missing
