"""Carries changes of hosts' provider addresses from phase to phase, each a commit, so that a crash resumes them.

Kept by weft.control.controller. Make before break: what comes is used only once the host has it and every host of its
networks accepts it, and what leaves goes only once all of them have records without it. Every one of them is waited
for, however long: one that does not answer still carries packets by what it last heard. Who is gone for good is taken
off its networks by a failover, and off the list with its server.
"""

import asyncio
import logging
from functools import partial

from weft.control.publisher import Publisher
from weft.control.waits import RECHECK_S, is_away, laggards_after
from weft.control.writer import Writer
from weft.core.changes import Commit, ResourceChange
from weft.core.commands import Actor, AdvanceProviderAddresses
from weft.core.decide.readdressing import DONE, PREPARING, SWITCHED
from weft.core.policy_peers import networks_near, servers_near
from weft.core.policy_places import SERVERS, Server
from weft.core.state import State
from weft.model.errors import Refusal, StoreUnavailable
from weft.model.fabric import ProviderAddressChange

log = logging.getLogger(__name__)

ACTOR = Actor("readdressing", "system")

TELL_EVERY_S = 60.0
"""So often it is said for whom one still waits."""


class Readdressing:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._publisher = publisher
        self._work: dict[str, asyncio.Task[None]] = {}
        self._open: set[str] = set()
        """Servers, lower case, with a change."""

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
                log.info("the provider addresses of %s: %s", name, phase)
                await self._writer.submit(AdvanceProviderAddresses(name, phase, change.generation), ACTOR)
        except (Refusal, StoreUnavailable) as ended:
            log.info("the provider addresses of %s: %s", name, ended)

    async def _everybody(self, name: str, change: ProviderAddressChange, revision: int) -> bool:
        """Wait until all that are concerned have applied a revision; False as soon as the change is another one."""
        told_at = asyncio.get_running_loop().time() + TELL_EVERY_S
        with self._publisher.listening.to(self._concerned(name)) as listener:
            while self._change(name) == change:
                concerned = self._concerned(name)
                late = await laggards_after(self._publisher, revision, RECHECK_S, concerned)
                away = [one for one in concerned if is_away(self._publisher, one)]
                if not late and not away:
                    return True
                if asyncio.get_running_loop().time() >= told_at:
                    told_at += TELL_EVERY_S
                    waited = ", ".join(sorted({*away, *(one.server for one in late)}))
                    log.warning("the provider addresses of %s, %s, wait for %s", name, change.phase, waited)
                if not late:
                    await listener.next(RECHECK_S)
        return False

    def _concerned(self, name: str) -> set[str]:
        """The host and every server that needs a network which it needs."""
        found = {name}
        for network in networks_near(self._state, name):
            found.update(servers_near(self._state, network))
        return found

    def _change(self, name: str) -> ProviderAddressChange | None:
        server: Server | None = self._state.get(SERVERS, name)
        return server.properties.provider_address_change if server is not None else None
