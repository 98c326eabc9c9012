"""What agents see, brought into the ledger: foreign addresses, and machines that another hand deleted or brought back.

Told by weft.control.controller which agent said something. By level: what an agent sees is compared with what is on
record, so that nothing is lost over a restart and nothing is written twice. One round a second takes in all hosts of
which something was heard; what the store could not take, or what had to wait, is taken in by a later round.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator

from weft.control.behind import Behind
from weft.control.provider_network import noted
from weft.control.publisher import Publisher
from weft.control.session import Session
from weft.control.writer import Writer
from weft.core.changes import Commit, LeaseChange, ResourceChange
from weft.core.commands import MarkMachine, NoteSeen, Seen, agent_of
from weft.core.host_facts import NoteProviderNetwork
from weft.core.notable import present
from weft.core.policy_places import VirtualMachine, server_of
from weft.model.errors import Refusal, StoreUnavailable
from weft.model.kinds import SERVERS, VIRTUAL_MACHINES
from weft.model.leases import MAC_SCOPE
from weft.wire.messages import MachineFact

log = logging.getLogger(__name__)

EVERY_S = 1.0
DELETED = "deleted outside on "
"""Begins the reason; a machine that is inactive for another reason is none of ours to bring back."""


class Observations:
    """One per controller."""

    def __init__(
        self,
        writer: Writer,
        publisher: Publisher,
        is_busy: Callable[[str], bool],
        may_come_back: Callable[[str], bool] = lambda server: False,
    ) -> None:
        self._writer = writer
        self._publisher = publisher
        self._is_busy = is_busy
        self.behind = Behind(writer, publisher, is_busy, may_come_back, self.heard)
        self._heard: set[str] = set()
        self._news = asyncio.Event()
        self._noted: dict[str, tuple[Seen, ...]] = {}
        """By server: what was last brought into the ledger."""
        self._doubtful: dict[str, set[int]] = {}
        """By server: those of its MAC addresses to which something has happened since."""
        self._seen_by: dict[int, set[str]] = {}
        """Servers by MAC address that they see."""
        self._macs_of: dict[str, set[int]] = {}
        """The other way round."""
        self._failing: dict[str, str] = {}
        """By server: what went wrong at the last look; logged once."""

    def heard(self, server: str) -> None:
        """An agent said something of its host."""
        self._heard.add(server)
        self._news.set()

    def committed(self, commit: Commit) -> None:
        """What is seen may mean something else now: its address was given to somebody or given up, its server has other
        networks."""
        self.behind.committed(commit)
        if not self._seen_by:
            return
        for change in commit.changes:
            if isinstance(change, LeaseChange):
                if change.scope == MAC_SCOPE and not _is_first_sight(change):
                    for server in self._seen_by.get(change.address, ()):
                        self._doubtful.setdefault(server, set()).add(change.address)
                        self.heard(server)
            elif isinstance(change, ResourceChange) and change.kind == SERVERS.name:
                self._noted.pop(change.id, None)
                self.heard(change.id)

    async def run(self) -> None:
        """Take in what was heard, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            servers, self._heard = sorted(self._heard), set()
            # together, so that they become one transaction
            outcomes = await asyncio.gather(*map(self._take_in, servers), return_exceptions=True)
            for server, outcome in zip(servers, outcomes, strict=True):
                self._ended(server, outcome)
            await asyncio.sleep(EVERY_S)

    def _ended(self, server: str, failure: BaseException | None) -> None:
        """What could not be taken in is looked at again in the next round, whatever was wrong."""
        if failure is None:
            self._failing.pop(server, None)
            return
        self.heard(server)
        words = f"{type(failure).__name__}: {failure}"
        if not isinstance(failure, StoreUnavailable) and self._failing.get(server) != words:
            self._failing[server] = words
            log.error("what %s sees could not be noted, and is tried again", server, exc_info=failure)

    async def _take_in(self, server: str) -> None:
        session = self._publisher.session(server)
        if session is None:
            # what it saw last stays noted until it is back
            return
        await self._note_provider_network(server, session)
        await self._note_seen(server, session)
        if session.missing() is not None:
            # its facts may be of a machine as it was before
            self.heard(server)
            return
        await self._note_machines(server, session)
        await self.behind.take_in(server, session)

    async def _note_provider_network(self, server: str, session: Session) -> None:
        """Not before the agent has told anything: what it said before it went is what is known of it."""
        found = self._writer.state.get(SERVERS.name, server)
        told = noted(session.facts.provider)
        if found is not None and session.facts_heard and found.properties.provider_network != told:
            await self._writer.submit(NoteProviderNetwork(found.resource_id, told), agent_of(server))

    async def _note_seen(self, server: str, session: Session) -> None:
        if not _has_looked(session):
            return
        before, seen = self._noted.get(server), self.behind.seen(server, session)
        doubtful = self._doubtful.pop(server, set())
        only = None if before is None else frozenset(doubtful | _differing(before, seen))
        if only == frozenset() or (before is None and not seen and not self._has_ports(server)):
            return
        self._remember(server, seen)
        told = tuple(one for one in seen if only is None or one.mac in only)
        try:
            await self._writer.submit(NoteSeen(server, told, only), agent_of(server))
        except BaseException:
            self._noted.pop(server, None)
            raise

    def _has_ports(self, server: str) -> bool:
        return bool(self._writer.state.addresses.notable.ports.get(server))

    def _remember(self, server: str, seen: tuple[Seen, ...]) -> None:
        macs = {one.mac for one in seen}
        for mac in self._macs_of.get(server, set()) - macs:
            self._seen_by[mac].discard(server)
            if not self._seen_by[mac]:
                del self._seen_by[mac]
        for mac in macs:
            self._seen_by.setdefault(mac, set()).add(server)
        self._macs_of[server] = macs
        self._noted[server] = seen

    async def _note_machines(self, server: str, session: Session) -> None:
        for command in list(self._marks(server, session.facts.machines)):
            log.warning("%s", _words(command))
            try:
                await self._writer.submit(command, agent_of(server))
            except Refusal as refusal:
                log.info("%s: %s", command.machine, refusal)

    def _marks(self, server: str, facts: Iterable[MachineFact]) -> Iterator[MarkMachine]:
        for fact in facts:
            machine: VirtualMachine | None = self._writer.state.get(VIRTUAL_MACHINES.name, fact.machine)
            if machine is None or (fact.presence == "here") != bool(why := machine.properties.inactive):
                # nothing to say, as of nearly all
                continue
            if server_of(machine) != server or machine.properties.move is not None:
                continue
            if fact.presence == "gone" and not why:
                if self._is_busy(fact.machine):
                    self.heard(server)
                else:
                    yield MarkMachine(fact.machine, DELETED + self._publisher.spelled(server))
            elif fact.presence == "here" and why.startswith(DELETED):
                yield MarkMachine(fact.machine, "")


def _has_looked(session: Session) -> bool:
    """Is what it tells all that there is to see? A Hyper-V host has no Open vSwitch whose ports could come late."""
    facts = session.facts
    return facts.looked or (session.hypervisor == "hyperv" and facts.hypervisor is not None)


def _is_first_sight(change: LeaseChange) -> bool:
    """Nobody had it, and now a port has: whoever else sees it too has that port to thank, and nothing to say."""
    now = present(change.after)
    return bool(now) and not present(change.before) and all(holder.kind == "port" for holder in now)


def _differing(before: tuple[Seen, ...], seen: tuple[Seen, ...]) -> set[int]:
    """MAC addresses that came, went, or are elsewhere."""
    if before is seen or before == seen:
        return set()
    return {one.mac for one in set(before) ^ set(seen)}


def _words(command: MarkMachine) -> str:
    if command.reason:
        return f"machine {command.machine} was {command.reason}: its addresses are kept, inactive"
    return f"machine {command.machine} is there again"
