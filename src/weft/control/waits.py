"""Waiting until the hosts have applied a revision: `?wait=hosts`, and each step of a move.

Called by the API through the controller, and by weft.control.machines. Dead hosts count as lagging here; who may go on
without them says for how long it waits.
"""

import asyncio
from collections.abc import Set

import msgspec

from weft.control.publisher import Publisher
from weft.model.errors import WaitTimedOut

RECHECK_S = 1.0
"""A host may stop being concerned without a word from it (deleted, its last machine gone)."""


class Lag(msgspec.Struct, frozen=True, rename="camel"):
    """A host that has not applied the revision that is waited for."""

    server: str
    connected: bool
    applied_revision: int


def lagging(publisher: Publisher, revision: int, among: Set[str] | None = None) -> list[Lag]:
    """Managed hosts (of those named, in lower case) that may lack a change of `revision` or before, by name."""
    found = []
    for server in publisher.managed if among is None else publisher.managed.keys() & among:
        missing = publisher.missing(server)
        if missing is not None and missing <= revision:
            found.append(Lag(server, publisher.session(server) is not None, missing - 1))
    return sorted(found, key=lambda lag: lag.server)


def is_away(publisher: Publisher, server: str) -> bool:
    """Has it an agent, that is not connected now?"""
    return server in publisher.managed and publisher.session(server) is None


async def wait_applied(publisher: Publisher, revision: int, timeout: float) -> None:
    """Return when every host that needs `revision` has applied it. Raises WaitTimedOut, naming those that lag."""
    late = await laggards_after(publisher, revision, timeout)
    if late:
        names = ", ".join(_words(lag) for lag in late)
        raise WaitTimedOut(
            f"Revision {revision} is committed, but after {timeout:g} s these hosts have not applied it: {names}. "
            "They will when they can; see GET /weft/v1/servers/{id}/state.",
            target=late[0].server,
        )


async def laggards_after(
    publisher: Publisher, revision: int, timeout: float, among: Set[str] | None = None
) -> list[Lag]:
    """Wait as wait_applied does, for all or for those named, but answer who lags at the end."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    late = lagging(publisher, revision, among)
    if not late:
        return []
    with publisher.listening.to(lag.server for lag in late) as listener:
        remaining = {lag.server for lag in late}
        while remaining and clock() < deadline:
            heard = await listener.next(min(deadline - clock(), RECHECK_S)) or set(remaining)
            remaining -= {server for server in heard if not _lags(publisher, server, revision)}
    return [lag for lag in lagging(publisher, revision) if lag.server in remaining]


def _lags(publisher: Publisher, server: str, revision: int) -> bool:
    missing = publisher.missing(server)
    return missing is not None and missing <= revision


def _words(lag: Lag) -> str:
    state = f"at revision {lag.applied_revision}" if lag.connected else "not connected"
    return f"{lag.server} ({state})"
