"""Carries changes of hosts' provider addresses from phase to phase, each a commit, so that a crash resumes them.

Kept by weft.control.controller. Make before break: what comes is used only once the host has it and every host of its
networks accepts it, and encrypts it where a network is encrypted, and what leaves goes only once all of them have
records without it. Every one of them is waited for, however long: one that does not answer still carries packets by
what it last heard. Who is gone for good is taken off its networks by a failover, and off the list with its server.
"""

import asyncio
import logging
from collections.abc import Iterator
from functools import partial

import msgspec

from weft.control.publisher import Publisher
from weft.control.sealing import Sealing
from weft.control.verdicts import trouble_of
from weft.control.waits import RECHECK_S, is_away, laggards_after, lagging
from weft.control.writer import Writer
from weft.core.changes import Commit, ResourceChange
from weft.core.commands import Actor, AdvanceProviderAddresses
from weft.core.decide.readdressing import DONE, PREPARING, SWITCHED
from weft.core.policy_peers import networks_near, servers_near
from weft.core.policy_places import SERVERS, Server
from weft.core.sealing import for_change
from weft.core.state import State
from weft.model.errors import NotReady, Refusal, StoreUnavailable
from weft.model.fabric import ProviderAddressChange

log = logging.getLogger(__name__)

ACTOR = Actor("readdressing", "system")

TELL_EVERY_S = 60.0
"""So often it is said for whom one still waits."""

_MOST_WORDS = 20

SEALING_GRACE_S = 60.0
"""A host to which nothing passes, since its tunnels to the addresses of before are not encrypted, is waited for this
long to encrypt those to the new ones."""


class _Wait(msgspec.Struct, frozen=True):
    revision: int
    """That is to be applied."""
    sealing: Sealing


class _Awaited(msgspec.Struct, frozen=True):
    """What one still waits for; nothing: the next phase."""

    away: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    unsealed: tuple[str, ...] = ()
    """In words."""


class Readdressing:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._publisher = publisher
        self._work: dict[str, asyncio.Task[None]] = {}
        self._open: set[str] = set()
        """Servers, lower case, with a change."""
        self._waits: dict[str, _Wait] = {}
        """By server with a change: what the next phase waits for."""
        self._kept_off: dict[str, tuple[int, str]] = {}
        """By server: of which generation of its change all that have acked do not make the next phase, and why."""

    @property
    def _state(self) -> State:
        return self._writer.state

    def committed(self, commit: Commit) -> None:
        """Told of every commit."""
        for change in commit.changes:
            if isinstance(change, ResourceChange) and change.kind == SERVERS:
                if change.after is not None and change.after.properties.provider_address_change is not None:
                    self._open.add(change.id)

    def resume(self) -> None:
        """Take up every change that was under way when the controller ended."""
        for server in self._state.all(SERVERS):
            if server.properties.provider_address_change is not None:
                self._open.add(server.resource_id.lower())

    def sweep(self) -> None:
        """Go on with changes that nobody carries: new ones, those of before a restart, after a failing store."""
        for name in sorted(self._open - self._work.keys()):
            if self._change(name) is None:
                self._open.discard(name)
                continue
            work = asyncio.create_task(self._carry(name), name=f"provider addresses of {name}")
            self._work[name] = work
            work.add_done_callback(partial(self._ended, name))

    def _ended(self, name: str, work: asyncio.Task[None]) -> None:
        del self._work[name]
        self._waits.pop(name, None)
        self._kept_off.pop(name, None)

    def waits_for(self, server: str) -> tuple[str, ...]:
        """For whom and what the change of a server's addresses waits, in words; at most 20."""
        name = server.lower()
        wait, change = self._waits.get(name), self._change(name)
        generation, reason = self._kept_off.get(name, (0, ""))
        words = [reason] if change is not None and change.generation == generation else []
        words += self._words(self._awaited(name, wait)) if wait is not None else []
        return tuple(words[:_MOST_WORDS])

    async def close(self) -> None:
        for work in self._work.values():
            work.cancel()
        await asyncio.gather(*self._work.values(), return_exceptions=True)

    async def _carry(self, name: str) -> None:
        try:
            while (change := self._change(name)) is not None:
                revision = self._state.revision
                if not await self._everybody(name, change, revision):
                    continue
                phase = SWITCHED if change.phase == PREPARING else DONE
                try:
                    await self._writer.submit(AdvanceProviderAddresses(name, phase, change.generation), ACTOR)
                    self._kept_off.pop(name, None)
                    log.info("the provider addresses of %s: %s", name, phase)
                except NotReady as reason:
                    # another machine has what would be used; nothing else tells when that is over
                    self._kept_off[name] = change.generation, reason.message
                    await asyncio.sleep(RECHECK_S)
        except (Refusal, StoreUnavailable) as ended:
            log.info("the provider addresses of %s: %s", name, ended)

    async def _everybody(self, name: str, change: ProviderAddressChange, revision: int) -> bool:
        """Wait until all that are concerned have applied a revision, and encrypt what is to be; False as soon as the
        change is another one."""
        told_at = _now() + TELL_EVERY_S
        sealing = Sealing(self._publisher, self._state, partial(for_change, self._state, name), SEALING_GRACE_S)
        wait = self._waits[name] = _Wait(revision, sealing)
        with self._publisher.listening.to(self._concerned(name)) as listener:
            while self._change(name) == change:
                await laggards_after(self._publisher, revision, RECHECK_S, self._concerned(name))
                awaited = self._awaited(name, wait)
                if awaited == _Awaited():
                    return self._change(name) == change
                if _now() >= told_at:
                    told_at += TELL_EVERY_S
                    waited = "; ".join(self.waits_for(name))
                    log.warning("the provider addresses of %s, %s, wait for %s", name, change.phase, waited)
                if not awaited.late:
                    await listener.next(RECHECK_S)
        return False

    def _awaited(self, name: str, wait: _Wait) -> _Awaited:
        """As it is now."""
        change, concerned = self._change(name), self._concerned(name)
        away = sorted(one for one in concerned if is_away(self._publisher, one))
        late = [one.server for one in lagging(self._publisher, wait.revision, concerned) if one.connected]
        preparing = change is not None and change.phase == PREPARING
        unsealed = wait.sealing.lacking(_now()) if preparing else {}
        return _Awaited(tuple(away), tuple(late), tuple(words for _, words in sorted(unsealed.items())))

    def _words(self, awaited: _Awaited) -> Iterator[str]:
        yield from (f"{self._publisher.spelled(one)}, whose agent is not connected" for one in awaited.away)
        late = ((self._publisher.spelled(one), trouble_of(self._publisher, one)) for one in awaited.late)
        yield from (f"{one} to apply it{why}" for one, why in late)
        yield from awaited.unsealed

    def _concerned(self, name: str) -> set[str]:
        """The host and every server that needs a network which it needs."""
        found = {name}
        for network in networks_near(self._state, name):
            found.update(servers_near(self._state, network))
        return found

    def _change(self, name: str) -> ProviderAddressChange | None:
        server: Server | None = self._state.get(SERVERS, name)
        return server.properties.provider_address_change if server is not None else None


def _now() -> float:
    return asyncio.get_running_loop().time()
