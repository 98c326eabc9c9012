"""Moves every machine off a server in one call, for its maintenance.

Called by weft.api.evacuations. By level: whoever is bound to the server when a place becomes free is moved next, so a
second call goes on with what is left, also after a restart of the controller. What fails is told machine by machine and
stays where it is. It has ended when no host needs the server any more: until every peer knows where a machine is now,
its packets still come here and are forwarded. Nothing is stored: the moves themselves are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from weft.control.publisher import Publisher
from weft.control.waits import RECHECK_S
from weft.core.commands import Actor
from weft.core.policy_places import VirtualMachine, server_of
from weft.core.state import State
from weft.core.words import no_server
from weft.model.errors import Invalid, InvalidReference, NotFound, NotReady, WaitTimedOut, WeftError
from weft.model.kinds import SERVERS, VIRTUAL_MACHINES

AT_ONCE, MOST_AT_ONCE = 8, 64
"""Machines that move at the same time, unless the caller says otherwise."""

Late = Callable[[str], Sequence[str]]
"""Hosts that do not know yet where a machine that moved is; weft.control.machines.Machines.late."""
Migrate = Callable[[str, str, Actor], Awaitable[VirtualMachine]]
"""Machine and server; weft.control.machines.Machines.migrate."""


class Evacuation(msgspec.Struct):
    """How far one has come."""

    server: str
    total: int = 0
    moved: dict[str, str] = {}
    """Machine to the server where it is now."""
    failed: dict[str, WeftError] = {}
    under_way: dict[str, str] = {}
    leaving: dict[str, str] = {}
    """As `moved`: they run there, and the server still forwards to them."""
    waits_for: dict[str, list[str]] = {}
    """Of those, by machine: connected hosts that do not know yet where it is."""
    ended: bool = False


class Evacuations:
    """One per controller. An evacuation goes on when its caller goes; the controller's end ends it."""

    def __init__(self, state: State, publisher: Publisher, migrate: Migrate, late: Late) -> None:
        self._state = state
        self._publisher = publisher
        self._migrate = migrate
        self._late = late
        self._told: dict[str, Evacuation] = {}
        self._work: dict[str, asyncio.Task[None]] = {}

    def of(self, server: str) -> Evacuation:
        """The last one of a server since this controller began. Raises NotFound."""
        name = self._name(server)
        told = self._told.get(name.lower())
        if told is None:
            raise NotFound(f"'{name}' was not evacuated since this controller began.", target=f"/servers/{name}")
        return told

    def begin(self, server: str, to: Sequence[str], at_once: int, actor: Actor) -> Evacuation:
        """Begin, or join what is under way whatever that was told. `to`: servers, all others if none is named.

        Raises NotFound, InvalidReference, Invalid; NotReady where nobody could take a machine.
        """
        name = self._name(server)
        key = name.lower()
        if key in self._work:
            return self._told[key]
        targets = self._targets(key, to)
        told = self._told[key] = Evacuation(name)
        work = asyncio.create_task(self._carry(told, targets, at_once, actor), name=f"evacuation of {name}")
        self._work[key] = work
        work.add_done_callback(lambda done: self._ended(key, told))
        return told

    async def wait(self, server: str, seconds: float) -> None:
        """Until it has ended, or so long."""
        work = self._work.get(server.lower())
        if work is not None:
            await asyncio.wait({work}, timeout=seconds)

    def close(self) -> None:
        for work in self._work.values():
            work.cancel()

    def _ended(self, key: str, told: Evacuation) -> None:
        told.ended = True
        told.under_way.clear()
        del self._work[key]

    def _name(self, server: str) -> str:
        """As it is written in its record."""
        found = self._state.get(SERVERS.name, server)
        if found is None:
            raise NotFound(f"There is no server '{server}'.", target=f"/servers/{server}")
        return found.resource_id

    def _names(self, servers: Iterable[str]) -> list[str]:
        """As they are written, of those that are there."""
        found = (self._state.get(SERVERS.name, one) for one in servers)
        return [one.resource_id for one in found if one is not None]

    def _targets(self, key: str, to: Sequence[str]) -> list[str]:
        for one in to:
            if self._state.get(SERVERS.name, one) is None:
                raise InvalidReference(no_server(one), target="to")
            if one.lower() == key:
                raise Invalid(f"'{one}' is the server that is to be empty.", target="to")
        if to:
            return [one.lower() for one in dict.fromkeys(to)]
        others = [one.resource_id.lower() for one in self._state.all(SERVERS.name) if one.resource_id.lower() != key]
        if key in self._publisher.managed:
            others = [one for one in others if self._publisher.session(one) is not None]
        if not others and self._there(key):
            raise NotReady(f"No other server can take the machines of '{key}': no other agent is connected.")
        return others

    def _there(self, key: str) -> list[str]:
        found = (one for one in self._state.machines_on(key) if server_of(one) == key)
        return sorted(one.resource_id for one in found if not one.properties.is_template)

    async def _carry(self, told: Evacuation, targets: Sequence[str], at_once: int, actor: Actor) -> None:
        names = self._there(told.server.lower())
        told.total = len(names)
        load = {target: self._state.count_on(target) for target in targets}
        left = iter(names)
        await asyncio.gather(*(self._several(told, left, load, actor) for _ in range(at_once)))

        key = told.server.lower()
        with self._publisher.listening.to({key}) as listener:
            while leaving := self._leaving(key):
                told.leaving = leaving
                told.waits_for = {one: self._names(self._late(one)) for one in leaving}
                await listener.next(RECHECK_S)
        told.leaving, told.waits_for = {}, {}

    def _leaving(self, key: str) -> dict[str, str]:
        """Machines that run elsewhere while their moves from here are not over."""
        found = ((one, server_of(one)) for one in self._state.machines_on(key))
        return {
            one.resource_id: self._name(now)
            for one, now in found
            if now and now != key and (move := one.properties.move) is not None and move.source.lower() == key
        }

    async def _several(self, told: Evacuation, names: Iterable[str], load: dict[str, int], actor: Actor) -> None:
        for name in names:
            try:
                told.moved[name] = await self._one(told, name, load, actor)
            except WeftError as error:
                told.failed[name] = error
            told.under_way.pop(name, None)

    async def _one(self, told: Evacuation, name: str, load: dict[str, int], actor: Actor) -> str:
        """Where it went: to the server with the fewest machines of those that take it. Raises what the last said."""
        said: WeftError = NotReady("No server can take it.")
        for target in sorted(load, key=load.__getitem__):
            machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, name)
            if machine is None or server_of(machine) != told.server.lower():
                # somebody else was faster
                return self._name(server_of(machine)) if machine is not None and server_of(machine) else ""
            load[target] += 1
            told.under_way[name] = target
            try:
                return self._name(server_of(await self._migrate(name, target, actor)))
            except WaitTimedOut:
                raise
            except WeftError as error:
                load[target] -= 1
                said = error
        raise said
