"""The plane of a host with Open vSwitch: a Reconciler that works out what to do, and a Switch that does it.

Made by run.py and by tests; fulfils weft.agent.plane.Plane. Ports are looked at when something happened, flows every
now and then.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any

import msgspec

from weft.agent.announcements import Announcements, Arrivals
from weft.agent.answers.services import Services
from weft.agent.edge.keeper import Asked, EdgeKeeper
from weft.agent.edge.pulses import Pulses
from weft.agent.edge.wanted import Edge
from weft.agent.encryption_keeper import EncryptionKeeper
from weft.agent.flows.fields import DropReason
from weft.agent.flows.hits import Hits
from weft.agent.flows.ways_out import binding_of
from weft.agent.held_back import HeldBack
from weft.agent.outside import Outside
from weft.agent.ovs.guest_packets import GuestPackets
from weft.agent.plane import Standing, Telling
from weft.agent.probes import Probes
from weft.agent.provider_facts import provider_facts
from weft.agent.provider_keeper import ProviderKeeper
from weft.agent.reach_keeper import ReachKeeper
from weft.agent.reconcile import FAILED, Reconciler
from weft.agent.sightings import Sightings
from weft.agent.switch import Switch, SwitchDump
from weft.agent.tunnels import present
from weft.model.hypervisor import MachineState
from weft.model.records import LookupRecord, Machine, Record, RecordKey, SubnetRecord
from weft.model.values import PackedIp, Rdid, Vsid
from weft.wire.messages import HOST_STREAM, SERVER_WARNING, Brought, GatewayFact, Problem

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The switch is compared with the policy this often, or so seldom that it takes a twentieth of the time."""
RETRY_SECONDS = 0.5
MAX_DRIFT = 50


class OvsPlane:
    """One host's switch."""

    def __init__(
        self,
        switch: Switch,
        services: Services | None = None,
        edge: Edge | None = None,
        probes_as: int | None = None,
        outside: Outside | None = None,
    ) -> None:
        """`probes_as` is the identifier of our echoes to gateways; None: none is asked, and all count as alive.
        `outside` asks the provider network itself; None: nobody is asked whether tunnels reach other hosts, nor whether
        this host's provider addresses are its own."""
        self.reconciler = Reconciler(outside.carrier if outside is not None else "")
        self._happened = asyncio.Event()
        self._keeper = EdgeKeeper(edge, self._happened.set) if edge is not None else None
        self._probes = Probes(probes_as, self._gateways_changed, self._ready) if probes_as is not None else None
        self._reaching = ReachKeeper(switch, outside)
        asked = services or Services()
        self._packets = GuestPackets(switch, asked, self.reconciler, self._reaching, self._happened.set)
        self._guests = self._packets.guests
        self._brought: tuple[Brought, ...] = ()
        self._used: frozenset[PackedIp] | None = None
        """Addresses that were there, and tunnels with them, when this agent began; None before it has looked."""
        self._provider = ProviderKeeper(outside, self._happened.set) if outside is not None else None
        driver = outside.encryption if outside is not None else None
        self._encryption = EncryptionKeeper(driver, self._happened.set) if driver is not None else None
        self._switch = switch
        self._switch_due = True
        self._look_at = 0.0
        self._drift: deque[str] = deque(maxlen=MAX_DRIFT)
        self._dump = SwitchDump()
        self._hits = Hits()
        self._sightings = Sightings()
        self._announcements = Announcements()
        self._arrivals = Arrivals()
        self._held_back = HeldBack()

    @property
    def machines(self) -> Mapping[str, Machine]:
        return self.reconciler.machines

    @property
    def states(self) -> Mapping[str, MachineState]:
        return self.reconciler.states

    @property
    def settled(self) -> bool:
        return self.reconciler.settled and (self._provider is None or self._provider.claims.settled)

    def put(self, stream: int, key: RecordKey, record: Record | None) -> None:
        if stream != HOST_STREAM and key[0] == LookupRecord.__struct_config__.tag:
            before = self.reconciler.table.record(Rdid(stream), key)
            after = record if isinstance(record, LookupRecord) else None
            self._announcements.changed(Rdid(stream), before if isinstance(before, LookupRecord) else None, after)
        self.reconciler.put(stream, key, record)

    def machines_are(self, states: Iterable[MachineState]) -> None:
        self.reconciler.machines_are(states)

    async def events(self) -> AsyncIterator[None]:
        """Of the switch, and of gateways that die or come back."""
        heard = self._switch.events()
        watching = asyncio.create_task(self._watch_switch(heard), name="switch events")
        try:
            while True:
                await self._happened.wait()
                self._happened.clear()
                yield None
        finally:
            watching.cancel()

    async def _watch_switch(self, heard: AsyncIterator[None]) -> None:
        async for _ in heard:
            self._happened.set()

    def changed(self) -> None:
        self._switch_due = True

    def lost(self) -> None:
        self.reconciler.switch_lost()
        if self._keeper is not None:
            self._keeper.switch_lost()
        self._switch_due = True

    def estranged(self) -> None:
        self._sightings.stop()

    async def look(self) -> None:
        if self._switch_due:
            self._switch_due = False
            self.reconciler.switch_is(await self._switch.facts())
            self._note_drift(self.reconciler.missing_tunnels())
        began = _now()
        if began >= self._look_at or not self.reconciler.knows_switch:
            self._dump = await self._switch.dump()
            for line in self._hits.look(self._dump.counts, self.reconciler.table.filters.lists, began):
                log.info("%s", line)
            self._note_drift(self.reconciler.switch_has(self._dump.flows, self._dump.meters))
            self._guests.look(self.reconciler.locals, self._dump.counts, began)
            ended = _now()
            self._look_at = ended + max(LOOK_SECONDS, 20 * (ended - began))

    async def act(self, in_sync: bool) -> None:
        if self._probes is not None:
            own = {one.provider_address for one in self.reconciler.edges}
            self._probes.ask(self.reconciler.tunnels.gateways, own)
            self.reconciler.dead_are(self._probes.pulses.dead)
        self._claim()
        if self._encryption is not None:
            self._encryption.want(self.reconciler.tunnels.to_encrypt)
            self.reconciler.sealed_are(self._encryption.sealed)
        change = self.reconciler.plan(in_sync)
        local = self.reconciler.locals.values()
        self._held_back.look(local, self.reconciler.tunnels, _now())
        announcements = self._announcements.take(local, _now())
        announcements += self._arrivals.look(local, self.reconciler.table.physical.patch, self.reconciler.rewriting)
        if announcements:
            change = msgspec.structs.replace(change, announcements=announcements)
        if change:
            failures = await self._switch.apply(change)
            for failure in failures:
                if failure not in self.reconciler.failures:
                    log.warning("%s %s: %s", failure.step, failure.subject, failure.message)
            self.reconciler.done(change, failures)
            ports = change.tunnels_add or change.tunnels_remove or change.patch_add is not None or change.patch_remove
            host = change.addresses_add or change.addresses_remove or change.routes_add or change.routes_remove
            self._switch_due = self._switch_due or bool(ports or host or change.mtus)
        self._packets.turn()
        self._brought = self._guests.brought(self.reconciler.locals, _now())
        if in_sync:
            self._announcements.begin()
            self._reaching.ask(self.reconciler.tunnels.others, self.reconciler.mtus.provider)
        self._keep_edges(in_sync)

    def _claim(self) -> None:
        """Use no provider address before it is known that nobody else has it."""
        if self._provider is None:
            return
        facts = self.reconciler.switch_facts
        if self._used is None:
            self._used = frozenset(one.address for one in facts.addresses) if present(facts) else frozenset()
        places = self.reconciler.provider_places()
        self._provider.want(places, self._used)
        claims = self._provider.claims
        self.reconciler.withhold(frozenset(places) - claims.usable, claims.taken)

    def _ready(self) -> bool:
        """May other hosts take this one for a gateway again?"""
        if self._keeper is None or not self._keeper.ready or not self.reconciler.settled:
            return False
        return not any(map(self.reconciler.tunnels.lacks_way, map(binding_of, self.reconciler.edges)))

    def _gateways_changed(self) -> None:
        """Edges need not wait until a round of the agent comes to them: one that reads many flows takes long."""
        if self._keeper is not None and self._probes is not None:
            self._keeper.dead_are(self._probes.pulses.dead, self._probes.pulses.reviving)
        self._happened.set()

    def _keep_edges(self, in_sync: bool) -> None:
        if self._keeper is not None:
            encrypted = self.reconciler.encrypted
            # before it is known whether its gateways may speak in clear an edge stays as it is
            found = (one for one in self.reconciler.edges if in_sync or one.rdid in encrypted)
            edges = sorted(found, key=lambda one: one.rdid)
            asked = tuple((one, self.reconciler.mtus.of(binding_of(one))) for one in edges)
            pulses = self._probes.pulses if self._probes is not None else Pulses()
            sealed = frozenset(one.rdid for one in edges if encrypted.get(one.rdid, True))
            self._keeper.ask(Asked(asked, pulses.dead, in_sync, pulses.reviving, sealed))

    async def serve(self) -> None:
        works = [self._packets.run()]
        works += [self._keeper.run()] if self._keeper is not None else []
        works += [self._probes.run()] if self._probes is not None else []
        works += [self._provider.run()] if self._provider is not None else []
        works += [self._encryption.run()] if self._encryption is not None else []
        tasks = [asyncio.create_task(_logged(work)) for work in works]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def look_around(self) -> None:
        facts = self.reconciler.switch_facts
        macs = await self._switch.macs()
        if macs is not None:
            own = self.reconciler.own_adapters()
            ports = [one for one in facts.ports if (one.name, int(one.attached_mac or 0)) not in own]
            others = [one for one in macs if one.learnt or (one.port, one.mac) not in own]
            self._sightings.look(ports, facts.bridge, others, self.reconciler.locals, _now())

    def due(self, told: bool) -> float:
        if self._switch_due:
            return 0.0
        unsettled = bool(self.reconciler.failures) or not self.settled
        unsure = told and not self._sightings.looked(_now())
        others = (self._announcements.due_at, self._guests.due_at)
        due = min((self._look_at, *(one for one in others if one is not None))) - _now()
        return min(due, RETRY_SECONDS) if unsettled or unsure else due

    def standing(self) -> Standing:
        reconciler = self.reconciler
        subnets: dict[Vsid, tuple[SubnetRecord, ...]] = {}
        mtus: dict[str, int] = {}
        for instance, local in reconciler.locals.items():
            binding = local.binding
            if local.segment is not None:
                subnets[binding.vsid] = (*subnets.get(binding.vsid, ()), *local.segment.subnets)
            else:
                subnets[binding.vsid] = reconciler.table.subnets_in(binding.rdid, binding.vsid)
            mtus[instance] = reconciler.mtus.of_guest(local)
        return Standing(reconciler.locals, subnets, mtus, reconciler.settings, self._held_back.interfaces)

    def telling(self, trouble: str) -> Telling:
        reconciler = self.reconciler
        return Telling(
            ports=self._held_back.told(reconciler.port_facts(), reconciler.machines.values(), reconciler.states),
            problems=(
                *reconciler.problems(trouble),
                *self._packets.problems(),
                *self._edge_problems(),
                *self._provider_problems(),
            ),
            drift=tuple(self._drift),
            drops=self._drops(),
            hits=self._hits.told,
            foreign=(*reconciler.foreign(), *self._dump.foreign[:MAX_DRIFT]),
            seen=self._sightings.seen(_now()),
            looked=self._sightings.looked(_now()),
            gateways=self._gateway_facts(),
            carries=tuple(sorted(self._keeper.carried)) if self._keeper is not None else (),
            brought=self._brought,
            unused=self._guests.unused(reconciler.locals, _now()),
            hit_bytes=self._hits.bytes,
            counts=self._packets.counts,
            provider=provider_facts(
                self._provider, self._encryption, self._reaching.unprobed(), reconciler.tunnels.sealed
            ),
        )

    def _drops(self) -> dict[str, int]:
        too_large = self._packets.too_large
        known = {DropReason.TOO_LARGE.name.lower(): too_large} if too_large else {}
        return self._dump.drops | known

    def _provider_problems(self) -> Iterable[Problem]:
        if self._provider is not None:
            claims, kinds = self._provider.claims, {one.kind for one in self.reconciler.tunnels.wanted}
            yield from (Problem(FAILED, words) for words in (*claims.failures(), *self._provider.nowhere()))
            yield from (Problem(SERVER_WARNING, words) for words in claims.warnings())
            yield from (Problem(SERVER_WARNING, words) for words in self._provider.without_offload(kinds))
        if self._encryption is not None:
            yield from (Problem(SERVER_WARNING, words) for words in self._encryption.words())
        yield from (Problem(SERVER_WARNING, words) for words in self._reaching.words())

    def _gateway_facts(self) -> tuple[GatewayFact, ...]:
        if self._probes is None:
            return ()
        pulses = self._probes.pulses
        return tuple(GatewayFact(one, one not in pulses.dead) for one in sorted(pulses.known))

    def _edge_problems(self) -> tuple[Problem, ...]:
        if self._keeper is not None:
            words = self._keeper.troubles
        else:
            words = tuple(f"{one.resource_ref}: this agent makes no edges" for one in self.reconciler.edges)
        return tuple(Problem(FAILED, one) for one in words)

    def _note_drift(self, found: tuple[str, ...]) -> None:
        for words in found[:MAX_DRIFT]:
            log.warning("drift: %s", words)
        self._drift.extend(found)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """A defect in one of them is said, since nobody waits for their ends."""
    try:
        await work
    except Exception:
        log.exception("work beside the agent's rounds failed")


def _now() -> float:
    return asyncio.get_running_loop().time()
