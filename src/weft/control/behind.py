"""What happens behind our back: hosts' hypervisors and the ledger brought together, and what cannot be is found.

Called by weft.control.observations, once a round for each host of which something was heard, when the host has applied
all that it was told. By level: what the host tells is compared with the record (core.behind), so nothing is lost and
nothing written twice. A machine that an action is under way on is left for a later round; what was refused is tried
again, for what stands in its way may go.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import msgspec

from weft.control.findings import ELSEWHERE, OURS, STRANGER, Findings, Told, conflicts_of
from weft.control.publisher import Publisher
from weft.control.session import Session
from weft.control.twins import newcomers
from weft.control.writer import Writer
from weft.core.behind import arrival, host_notes, machine_notes
from weft.core.changes import Commit, LeaseChange, ResourceChange
from weft.core.commands import Actor, Command, Seen
from weft.core.conflicts import Conflict
from weft.core.decide.places import mac_of
from weft.core.findings import port_ref
from weft.core.guest_adapters import interfaces_of
from weft.core.host_facts import NoteMachine, NoteMacs
from weft.core.kin import kin_of
from weft.core.notable import present
from weft.core.policy_places import VirtualMachine, server_of
from weft.core.strangers import pinned
from weft.model.errors import Refusal
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.model.kinds import CHECKPOINTS, NETWORK_INTERFACES, SERVERS, VIRTUAL_MACHINES, owner_and_name
from weft.model.leases import MAC_SCOPE
from weft.wire.messages import Facts, MachineFact, SeenMac

log = logging.getLogger(__name__)

Said = tuple[MachineState, MachineFact | None]
"""What a host's hypervisor tells of one machine, and what its agent does."""


class _Look(msgspec.Struct):
    """What came of what a host told of its machines last."""

    facts: tuple[MachineFact, ...] = ()
    states: tuple[MachineState, ...] = ()
    settled: dict[str, Said] = {}
    """By the hypervisor's id in lower case: machines of that server that are as their record says. They are looked at
    again when something else is told of them, or their record changes."""
    rest: list[Said] | None = None
    """All others, that is; None: to be sorted out."""

    def settle(self, said: Said) -> None:
        self.settled[said[0].id.lower()] = said
        self.rest = None

    def doubt(self, own: str) -> None:
        if self.settled.pop(own.lower(), None) is not None:
            self.rest = None

    def sort(self) -> list[Said]:
        """Those that are not settled. What is told no more is none of either."""
        before, self.settled, self.rest = self.settled, {}, []
        own = {fact.id: fact for fact in self.facts if fact.id}
        for one in self.states:
            key, said = one.id.lower(), (one, own.get(one.id))
            if before.get(key) == said:
                self.settled[key] = said
            else:
                self.rest.append(said)
        return self.rest


class Behind:
    """One per controller."""

    def __init__(
        self,
        writer: Writer,
        publisher: Publisher,
        is_busy: Callable[[str], bool],
        may_come_back: Callable[[str], bool],
        heard: Callable[[str], None],
    ) -> None:
        """`may_come_back`: has a server's agent had no time to connect since the controller began? `heard`: take a host
        in again, next round."""
        self._writer = writer
        self._state = writer.state
        self._publisher = publisher
        self._is_busy = is_busy
        self._may_come_back = may_come_back
        self._heard = heard
        self._findings = Findings()
        self._looks: dict[str, _Look] = {}
        """By server."""
        self._shown: dict[str, tuple[tuple[SeenMac, ...], dict[tuple[int, str], str], tuple[Seen, ...]]] = {}
        """By server: what its switches showed last, the names of ports that it was read with, and what it came to."""
        self._watched: dict[int, set[str]] = {}
        """Servers by MAC address of machines there whose findings depend on who has it."""
        self._watching: dict[str, set[int]] = {}
        """The other way round."""
        self._ports: dict[str, dict[tuple[int, str], str]] = {}
        """By server, by MAC address and port: the stranger that has it, as its hypervisor last said."""

    def conflicts(self) -> list[Conflict]:
        """Every finding, as it is now. Of a host whose agent has gone nobody knows."""
        for server in self._findings.servers:
            if self._publisher.session(server) is None:
                self.gone(server)
        return self._findings.all(self._state)

    def conflicts_of(self, machine: str) -> list[Conflict]:
        """Those that touch a machine, by its id in any case."""
        return self._findings.of(self._state, machine)

    def committed(self, commit: Commit) -> None:
        """The record has changed: look again at hosts that may say otherwise."""
        for change in commit.changes:
            if isinstance(change, LeaseChange):
                if change.scope == MAC_SCOPE:
                    for server in self._watched.get(change.address, ()):
                        self._heard(server)
            elif isinstance(change, ResourceChange):
                self._changed(change)

    def _changed(self, change: ResourceChange) -> None:
        if change.kind == SERVERS.name:
            if change.after is None:
                self.gone(change.id)
            self._look_again(change.id)
            return
        for machine in self._machines_of(change):
            server, identity = server_of(machine), machine.properties.hypervisor
            if server in self._looks:
                self._looks[server].doubt(machine.resource_id)
                self._looks[server].doubt(identity.id if identity is not None else "")
            self._look_again(server)
            if change.kind == VIRTUAL_MACHINES.name:
                # it uses its addresses now, or does not any more: that concerns who has them elsewhere
                for mac in map(mac_of, interfaces_of(self._state, machine)):
                    for other in self._watched.get(mac, ()) if mac is not None else ():
                        self._heard(other)

    def _look_again(self, server: str) -> None:
        if server and self._publisher.session(server) is not None:
            self._heard(server)

    def _machines_of(self, change: ResourceChange) -> Iterator[VirtualMachine]:
        """Whose record it is part of; a machine itself as it was and as it is."""
        found: tuple[VirtualMachine | None, ...] = ()
        if change.kind == VIRTUAL_MACHINES.name:
            found = (change.before, change.after)
        elif change.kind == NETWORK_INTERFACES.name:
            found = (self._state.machine_of(change.id),)
        elif change.kind == CHECKPOINTS.name:
            found = (self._state.get(VIRTUAL_MACHINES.name, owner_and_name(change.id)[0]),)
        return (machine for machine in found if machine is not None)

    def gone(self, server: str) -> None:
        """Its agent has gone: nobody knows what is there now."""
        self._findings.replace(self._state, server, ())
        self._looks.pop(server, None)
        self._ports.pop(server, None)
        self._shown.pop(server, None)
        self._watch(server, set())
        del self._watching[server]

    def seen(self, server: str, session: Session) -> tuple[Seen, ...]:
        """MAC addresses on a host that are none of ours: what its switches show, each by its machine's name where the
        hypervisor tells whose port it is, and those of strangers that they do not show. One that is off has its
        addresses too, but stands in nobody's way who has them already."""
        facts = session.facts
        strangers = list(self._strangers(server, facts))
        if facts.hypervisor is not None:
            self._ports[server] = {(mac.mac, mac.name): name for mac, name, _ in strangers if mac.name}
        named = self._named(server, facts)
        shown = {one.mac for one in facts.seen if not one.learnt} if strangers else set()
        found: list[Seen] = []
        for adapter, name, told in strangers:
            runs = told.power == "Running"
            idle = not runs and self._is_held_by_ours(adapter.mac)
            # what was isolated has its address still, and its place behind who had it before
            linked = adapter.switch or told.isolated
            if linked and adapter.mac not in shown and not idle:
                found.append(Seen(adapter.mac, name, adapter.switch, off=not runs))
        return (*named, *found) if found else named

    def _named(self, server: str, facts: Facts) -> tuple[Seen, ...]:
        """What a host's switches show, by the names of machines. The same value for as long as it is so: a host may
        see thousands of addresses, and most of its reports are about something else."""
        names = self._ports.get(server, {})
        shown, by, named = self._shown.get(server, ((), {}, ()))
        if shown != facts.seen or by != names:
            named = tuple(
                Seen(one.mac, names.get((one.mac, one.port), one.port), one.bridge, one.vlan, one.learnt)
                for one in facts.seen
            )
        self._shown[server] = (facts.seen, names, named)
        return named

    def _strangers(self, server: str, facts: Facts) -> Iterator[tuple[AdapterState, str, MachineState]]:
        """Adapters with an address of machines that are not ours here, what they are called, and the machines."""
        others = (self._told(server, said) for said in self._unsettled(server, facts))
        for told in (one for one in others if one is not None and one.role == STRANGER):
            for at, adapter in enumerate(told.machine.adapters):
                if adapter.mac:
                    ref = port_ref(self._publisher.spelled(server), told.machine, at)
                    yield adapter, ref.rpartition("/")[2], told.machine

    def _is_held_by_ours(self, mac: int) -> bool:
        return any(one.kind == "networkInterface" for one in present(self._state.lease(MAC_SCOPE, mac)))

    async def take_in(self, server: str, session: Session) -> None:
        """Bring a host's facts into the ledger. Raises StoreUnavailable."""
        facts = session.facts
        if facts.hypervisor is None:
            return
        kind, drawn = session.hypervisor, facts.hypervisor.dynamic_range
        rest = self._unsettled(server, facts)
        look = self._looks[server]
        open_: list[Told] = []
        work: list[Coroutine[Any, Any, None]] = [
            self._submit(server, command) for command in host_notes(self._state, server, facts.hypervisor)
        ]
        shared = _shared(facts.hypervisor) if rest else frozenset()
        for said in rest:
            told = self._told(server, said)
            if told is None:
                continue
            open_.append(told)
            commands = [_sure(one, told, shared) for one in self._wanted(told, kind, _by_hand(said), drawn)]
            if commands and self._is_held(told.machine.machine):
                self._heard(server)
            elif commands:
                work.append(self._submit(server, *commands))
            elif told.role == ELSEWHERE and told.machine.clustered and told.machine.power == "Running":
                # that its own host does not answer may be heard later than this
                self._heard(server)
            elif told.role == OURS and told.machine.id and not told.machine.isolated:
                # before anything is awaited: what a commit changes from here on it takes out again
                look.settle(said)
        await asyncio.gather(*work)
        self._note(server, open_)
        isolate = newcomers(self._state, self._publisher, server, open_)
        if isolate != session.isolated and session.say(isolate):
            session.isolated = isolate
            log.warning("%s: to be isolated, or let back: %s", server, isolate.machines)

    def _note(self, server: str, open_: list[Told]) -> None:
        """What is still to be said after the ledger has followed where it could."""
        suspects = [one for one in open_ if conflicts_of(self._state, one)]
        for one in suspects:
            if server in self._looks:
                self._looks[server].doubt(one.machine.id)
        self._findings.replace(self._state, server, suspects)
        self._watch(server, {adapter.mac for one in open_ for adapter in one.machine.adapters if adapter.mac})

    def _watch(self, server: str, macs: set[int]) -> None:
        before = self._watching.get(server, set())
        for mac in before - macs:
            self._watched[mac].discard(server)
            if not self._watched[mac]:
                del self._watched[mac]
        for mac in macs - before:
            self._watched.setdefault(mac, set()).add(server)
        self._watching[server] = macs

    def _unsettled(self, server: str, facts: Facts) -> list[Said]:
        """What a host tells of its machines, but for those that are settled."""
        look = self._looks.setdefault(server, _Look())
        states = facts.hypervisor.machines if facts.hypervisor is not None else ()
        if look.rest is None or look.facts != facts.machines or look.states != states:
            look.facts, look.states = facts.machines, states
            return look.sort()
        return look.rest

    def _told(self, server: str, said: Said) -> Told | None:
        """Whose a machine is that a host tells. None for one whose record has gone and that is about to be removed, for
        one under way between hosts, and for a template."""
        one, fact = said
        machine = kin_of(self._state, server, one, fact.machine if fact is not None else "")
        if machine is None:
            return Told(server, STRANGER, msgspec.structs.replace(one, machine="")) if fact is None else None
        if machine.properties.is_template or machine.properties.move is not None or one.awaited:
            return None
        here = server_of(machine) == server
        if not here and fact is not None and not fact.by_hand:
            # its record has just gone from here: the agent is about to remove it
            return None
        return Told(server, OURS if here else ELSEWHERE, msgspec.structs.replace(one, machine=machine.resource_id))

    def _wanted(self, told: Told, kind: str, by_hand: bool, drawn: tuple[int, int] | None) -> Iterator[Command]:
        server = self._publisher.spelled(told.server)
        if told.role == OURS:
            yield from machine_notes(self._state, server, kind, told.machine, by_hand)
        elif told.role == ELSEWHERE:
            if self._has_arrived(told):
                yield arrival(server, kind, told.machine)
        else:
            taken = pinned(self._state, server, kind, told.machine, drawn)
            if taken is not None:
                yield taken

    def _is_held(self, machine: str) -> bool:
        """Is an action under way on it that its host's word may be about? A later round takes it in."""
        if not machine:
            return False
        found: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, machine)
        return self._is_busy(machine) or (found is not None and _is_under_way(found))

    def _has_arrived(self, told: Told) -> bool:
        """Is it here for good, and no more where its record has it? Running here counts where its own host's agent says
        that it does not run there, or has gone and stays away; off only where that host does not list it any more. What
        a failover cluster brings up runs nowhere else, also where its own host says nothing."""
        machine: VirtualMachine | None = self._state.get(VIRTUAL_MACHINES.name, told.machine.machine)
        assert machine is not None
        there, runs = server_of(machine), told.machine.power == "Running"
        session = self._publisher.session(there) if there else None
        if session is None:
            return runs and not (there and self._may_come_back(there))
        facts = session.facts.hypervisor
        listed = session.tables.states.get(told.machine.id.lower())
        sure = facts is not None and session.missing() is None
        if runs:
            return (sure or told.machine.clustered) and (listed is None or listed.power != "Running")
        return sure and told.machine.power == "Off" and (listed is None or listed.awaited)

    async def _submit(self, server: str, *commands: Command) -> None:
        """One after the other; one that is refused holds up no other, and is tried again."""
        actor = Actor(f"agent of {server}", "agent")
        for command in commands:
            try:
                await self._writer.submit(command, actor)
                log.info("%s: %s", server, command)
            except Refusal as refusal:
                log.info("%s: %s: %s", server, command, refusal)
                self._heard(server)


def _by_hand(said: Said) -> bool:
    """Did another hand make the machine's power?"""
    return said[1] is not None and said[1].by_hand


def _shared(told: HypervisorState) -> frozenset[int]:
    """MAC addresses that more than one machine has which runs there."""
    users: dict[int, str] = {}
    running = ((one.id, adapter.mac) for one in told.machines if one.power == "Running" for adapter in one.adapters)
    return frozenset(mac for own, mac in running if users.setdefault(mac, own) != own)


def _sure(command: Command, told: Told, shared: frozenset[int]) -> Command:
    """What runs there is sure of what its host's switches show, where no other machine there has an address of its."""
    if not isinstance(command, NoteMachine | NoteMacs) or told.machine.power != "Running":
        return command
    alone = not any(adapter.mac in shared for adapter in told.machine.adapters)
    return msgspec.structs.replace(command, alone=alone)


def _is_under_way(machine: VirtualMachine) -> bool:
    """Is it being made, or is its host at an errand for it?"""
    p: Any = machine.properties
    errand = getattr(p, "errand", None)
    return getattr(p, "creation", None) is not None or (errand is not None and errand.phase == "asked")
