"""What hosts tell of addresses that their guests bring, taken into the ledger; what cannot be is a conflict.

Told by weft.control.controller which agent said something. By level: as long as a guest uses an address that it has
not, its host says so, and whether it may have it is decided anew, for what stands in its way may go. Only what changes
something is written, and a refusal once: who asks again in vain costs no transaction.
"""

import asyncio
import logging
from collections.abc import Iterator

import msgspec

from weft.control.publisher import Publisher
from weft.control.writer import Writer
from weft.core.commands import agent_of
from weft.core.conflicts import GUEST_ADDRESS, Conflict
from weft.core.decide.learning import brought_by_another
from weft.core.host_facts import ForgetAddress, LearnAddress
from weft.core.index import servers_of
from weft.core.policy_places import INTERFACES, Interface, instance_of, server_of
from weft.model.errors import Refusal, StoreUnavailable
from weft.model.values import PackedIp, ip_text
from weft.wire.messages import Brought, Unused

log = logging.getLogger(__name__)

RETRY_S = 2.0
"""So often what was refused is decided anew."""

MOST_FOLLOWED = 1000
"""Of a server."""

_Key = tuple[str, PackedIp]
"""Instance id of the interface, and the address."""


class _Refused(msgspec.Struct):
    """An address that a guest uses and may not have."""

    code: str
    message: str
    holder: str
    """resourceRef of who has it; empty if nobody."""
    interface: str
    announced: int


class Learning:
    """One per controller."""

    def __init__(self, writer: Writer, publisher: Publisher) -> None:
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher
        self._heard: set[str] = set()
        self._news = asyncio.Event()
        self._refused: dict[str, dict[_Key, _Refused]] = {}
        """By server."""
        self._followed: dict[str, dict[_Key, int]] = {}
        """By server, oldest first: announcements that have brought an interface its address already. None is followed
        twice, or what a guest said before it lost the address would bring that back."""

    def heard(self, server: str) -> None:
        """An agent told its facts."""
        session = self._publisher.session(server)
        told = session is not None and (session.facts.brought or session.facts.unused)
        if told or session is None or server in self._refused:
            self._heard.add(server)
            self._news.set()

    def conflicts(self) -> list[Conflict]:
        """What guests use and may not have, by what their hosts last said."""
        gone = [server for server in self._refused if self._publisher.session(server) is None]
        for server in gone:
            del self._refused[server]
        return [self._conflict(*one) for every in self._refused.values() for one in every.items()]

    def conflicts_of(self, machine: str) -> list[Conflict]:
        """Those that touch one machine of ours, by its id in any case."""
        return [one for one in self.conflicts() if machine.lower() in self._machines_in(one)]

    async def run(self) -> None:
        """Take in what was heard, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(RETRY_S if self._refused else None):
                    await self._news.wait()
            except TimeoutError:
                self._heard.update(self._refused)
            self._news.clear()
            servers, self._heard = sorted(self._heard), set()
            for server in servers:
                try:
                    await self._take_in(server)
                except StoreUnavailable:
                    self._again(server)
                except Exception:
                    log.exception("what guests of %s bring could not be noted, and is tried again", server)
                    self._again(server)

    def _again(self, server: str) -> None:
        asyncio.get_running_loop().call_later(RETRY_S, self.heard, server)

    async def _take_in(self, server: str) -> None:
        session = self._publisher.session(server)
        if session is None:
            self._refused.pop(server, None)
            self._followed.pop(server, None)
            return
        claims = {(one.instance_id, one.address): one for one in session.facts.brought}
        refused = {key: one for key, one in self._refused.pop(server, {}).items() if key in claims}
        if refused:
            self._refused[server] = refused
        for claim in claims.values():
            if self._is_on(server, claim.instance_id):
                await self._claim(server, claim)
        for unused in session.facts.unused:
            if unused.aged and self._is_on(server, unused.instance_id):
                await self._forget(server, unused)

    def _interface(self, instance_id: str) -> Interface | None:
        found = self._state.by_instance(instance_id)
        return found[1] if found is not None and found[0] == INTERFACES else None

    def _is_on(self, server: str, instance_id: str) -> bool:
        """Is it this host's to say what the guest does?"""
        interface = self._interface(instance_id)
        machine = self._state.machine_of(interface.resource_id) if interface is not None else None
        return machine is not None and server in servers_of(machine)

    async def _claim(self, server: str, claim: Brought) -> None:
        key = (claim.instance_id, claim.address)
        fresh = claim.announced != self._followed.get(server, {}).get(key, 0)
        command = LearnAddress(*key, announced=bool(claim.announced) and fresh, silent=self._is_silent(claim))
        before = self._refused.get(server, {}).get(key)
        try:
            self._writer.dry_run(command)
        except Refusal as refusal:
            self._refuse(server, claim, refusal)
            if before is not None and (before.code, before.announced) == (refusal.code, claim.announced):
                return
        try:
            await self._writer.submit(command, agent_of(server))
        except Refusal as refusal:
            self._refuse(server, claim, refusal)
            log.info("%s: %s", server, refusal)
            return
        self._refused.get(server, {}).pop(key, None)
        if server in self._refused and not self._refused[server]:
            del self._refused[server]
        followed = self._followed.setdefault(server, {})
        followed.pop(key, None)
        followed[key] = claim.announced
        if len(followed) > MOST_FOLLOWED:
            del followed[next(iter(followed))]

    def _refuse(self, server: str, claim: Brought, refusal: Refusal) -> None:
        interface = self._interface(claim.instance_id)
        if interface is None:
            return
        holder = refusal.target if refusal.target and refusal.target.startswith("/networkInterfaces/") else ""
        refused = _Refused(
            refusal.code, refusal.message, holder, f"/networkInterfaces/{interface.resource_id}", claim.announced
        )
        self._refused.setdefault(server, {})[claim.instance_id, claim.address] = refused

    def _is_silent(self, claim: Brought) -> bool:
        """Does the guest that has it now not answer for it, by what its host says?"""
        other = brought_by_another(self._state, claim.instance_id, claim.address)
        machine = self._state.machine_of(other.resource_id) if other is not None else None
        session = self._publisher.session(server_of(machine)) if machine is not None else None
        if other is None or session is None:
            return False
        own = instance_of(other)
        return any((one.instance_id, one.address) == (own, claim.address) for one in session.facts.unused)

    async def _forget(self, server: str, unused: Unused) -> None:
        interface = self._interface(unused.instance_id)
        learnt = interface.properties.learned_ip_addresses if interface is not None else ()
        if ip_text(unused.address) in [one.ip_address for one in learnt]:
            command = ForgetAddress(unused.instance_id, unused.address, "its guest does not use it any more")
            await self._writer.submit(command, agent_of(server))

    def _conflict(self, key: _Key, refused: _Refused) -> Conflict:
        holders = (refused.holder, refused.interface) if refused.holder else (refused.interface,)
        return Conflict(GUEST_ADDRESS, ip_text(key[1]), "", holders, refused.message, "")

    def _machines_in(self, conflict: Conflict) -> Iterator[str]:
        for ref in conflict.holders:
            machine = self._state.machine_of(ref.rpartition("/")[2])
            if machine is not None:
                yield machine.resource_id.lower()
