"""The agent of one host: one loop that asks again and again what should be, what is, and does the difference.

Made by run.py and by the cluster tests. `run` lives as long as the agent; `serve` lends it one connection to the
controller and may be called again after the connection broke. Nothing stops the loop: a switch that does not answer is
asked again, a step that fails stays to be done, and without a controller the host keeps its last policy.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from weft.agent.guests import Guests
from weft.agent.hypervisors import Hypervisor
from weft.agent.link import Identity, Link, RefusedByController
from weft.agent.machines import World
from weft.agent.memory import Memory, decode
from weft.agent.reconcile import Reconciler
from weft.agent.sightings import Sightings
from weft.agent.streams import Frame, Streams
from weft.agent.switch import Switch, SwitchDump, SwitchUnavailable
from weft.agent.trouble import Trouble
from weft.agent.verbs import Verbs
from weft.model.hypervisor import HypervisorState
from weft.model.records import SubnetRecord
from weft.model.values import Vsid
from weft.wire.messages import (
    HOST_STREAM,
    PROTOCOL,
    Ack,
    Delta,
    Facts,
    Full,
    Hello,
    MachineFact,
    Refused,
    Resend,
    ToController,
    Welcome,
)

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The switch is compared with the policy this often, or so seldom that it takes a twentieth of the time."""
RETRY_SECONDS = 0.5
MAX_DRIFT = 50

_encode = msgspec.msgpack.Encoder().encode


class Agent:
    """One host."""

    def __init__(
        self,
        identity: Identity,
        switch: Switch,
        hypervisor: Hypervisor | None = None,
        memory: Memory | None = None,
        start_grace: float = 0.0,
    ) -> None:
        self.identity = identity
        self.reconciler = Reconciler()
        self.streams = Streams()
        self.started = asyncio.Event()
        """Set once the last state has been read and brought to the switch, or the switch does not answer."""
        self._switch = switch
        self._hypervisor = hypervisor
        self._memory = memory
        self._wake = asyncio.Event()
        self._verbs = Verbs(hypervisor, self._hypervisor_changed) if hypervisor else None
        self._inbox: deque[tuple[Frame, bytes]] = deque()
        self._outbox: asyncio.Queue[ToController] | None = None
        self._unacked: dict[int, tuple[int, int]] = {}
        self._switch_due = self._machines_due = True
        self._look_at = 0.0
        self._drift: deque[str] = deque(maxlen=MAX_DRIFT)
        self._dump = SwitchDump()
        self._told: Facts | None = None
        self._trouble = Trouble(log, "switch")
        self._start_grace = start_grace
        """Seconds for which machines that are remembered from disk wait for the controller's word."""
        self._may_start_at: float | None = None
        """None: what the policy says is the controller's word."""
        self._guests = Guests(memory)
        self._sightings = Sightings()
        self._told_here = False
        """The host's stream came over the present connection."""
        self._hypervisor_state: HypervisorState | None = None

    async def run(self) -> None:
        """Keep the host as it should be, until cancelled."""
        self._remember()
        watchers = [asyncio.create_task(self._watch(self._switch.events, self._switch_changed), name="switch events")]
        if self._hypervisor is not None:
            watch = self._watch(self._hypervisor.events, self._hypervisor_changed)
            watchers.append(asyncio.create_task(watch, name="hypervisor events"))
        try:
            while True:
                self._wake.clear()
                pause = await self._round()
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            if self._verbs is not None:
                await self._verbs.close()
            if self._memory is not None:
                self._memory.close()

    async def serve(self, link: Link, welcomed: Callable[[], None] = lambda: None) -> None:
        """Speak with the controller until the link breaks (ConnectionError) or it refuses (RefusedByController)."""
        identity = self.identity
        hello = Hello(
            PROTOCOL,
            identity.server,
            identity.agent,
            self.streams.generation,
            self.streams.cursors(),
            identity.hypervisor,
        )
        await link.send(_encode(hello))
        await self._welcomed(link)
        welcomed()
        self._unacked.clear()
        self._inbox.clear()
        self.streams.reconnected()
        self._told = None
        self._told_here = False
        self._sightings.stop()
        self._outbox = outbox = asyncio.Queue[ToController]()
        self._wake.set()
        sender = asyncio.create_task(self._send(link, outbox), name="feed, outwards")
        receiver = asyncio.create_task(self._receive(link), name="feed, inwards")
        try:
            done, _ = await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if self._outbox is outbox:
                self._outbox = None
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)

    async def _welcomed(self, link: Link) -> None:
        data = await link.receive()
        first = decode(data)
        if isinstance(first, Refused):
            raise RefusedByController(first.reason, first.retry)
        if not isinstance(first, Welcome) or first.protocol != PROTOCOL:
            raise RefusedByController(f"the controller speaks another protocol than {PROTOCOL}", retry=False)
        self.streams.take(first)
        if self._memory is not None:
            self._memory.append(data)

    async def _send(self, link: Link, outbox: "asyncio.Queue[ToController]") -> None:
        while True:
            await link.send(_encode(await outbox.get()))

    async def _receive(self, link: Link) -> None:
        while True:
            data = await link.receive()
            self._inbox.append((decode(data), data))
            self._wake.set()

    async def _watch(self, events: Callable[[], AsyncIterator[None]], changed: Callable[[], None]) -> None:
        async for _ in events():
            changed()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _switch_changed(self) -> None:
        self._switch_due = True
        self._wake.set()

    def _hypervisor_changed(self) -> None:
        self._machines_due = True
        self._wake.set()

    def _remember(self) -> None:
        if self._memory is None:
            return
        for frame in self._memory.frames():
            self._take(frame)
        for stream in self.streams.streams.values():
            # it was acked, or is brought to the switch now, before the first Hello
            stream.applied = True
        self._unacked.clear()
        self._memory.rewrite(self.streams)
        if self._start_grace and self.streams.streams:
            # another host may have been given a machine meanwhile
            self._may_start_at = self._now() + self._start_grace

    async def _round(self) -> float:
        """Once around. Returns the seconds after which the next round is due without any event."""
        self._read_inbox()
        if self._may_start_at is not None and self._now() >= self._may_start_at:
            self._may_start_at = None
            log.warning("no word of the controller for %g s: machines start as remembered", self._start_grace)
        try:
            await self._look()
            await self._act()
            await self._look_around()
            self._trouble.over(self._now())
        except SwitchUnavailable as unavailable:
            self._trouble.lasts(str(unavailable), self._now())
            self.reconciler.switch_lost()
            self._switch_due = True
            self.started.set()
            self._tell()
            return RETRY_SECONDS
        self.started.set()
        self._acknowledge()
        again = self._ask_hypervisor()
        self._tell()
        if self._inbox or self._switch_due or self._machines_due:
            return 0
        due = self._look_at - asyncio.get_running_loop().time()
        waits = [due, *self._waits(again)]
        return max(0.0, min(waits))

    def _waits(self, again: float | None) -> Iterator[float]:
        """Seconds until something is due for which no event comes."""
        if again is not None:
            yield again
        if self._unsettled:
            yield RETRY_SECONDS
        if self._may_start_at is not None:
            yield self._may_start_at - self._now()
        if self._guests.presence.is_unsure(self._now()) or (
            self._told_here and not self._sightings.looked(self._now())
        ):
            yield RETRY_SECONDS

    @property
    def _unsettled(self) -> bool:
        return bool(self.reconciler.failures) or not self.reconciler.settled

    def _read_inbox(self) -> None:
        while self._inbox:
            frame, data = self._inbox.popleft()
            if self._memory is not None:
                self._memory.append(data)
            self._take(frame)
            if isinstance(frame, Full | Delta) and frame.stream == HOST_STREAM and not self._is_lost(HOST_STREAM):
                self._told_here, self._may_start_at = True, None
        if self._memory is not None and self._memory.is_long:
            self._memory.rewrite(self.streams)

    def _is_lost(self, stream: int) -> bool:
        told = self.streams.streams.get(stream)
        return told is None or told.lost

    def _take(self, frame: Frame) -> None:
        changes, lost = self.streams.take(frame)
        before = set(self.reconciler.machines)
        for stream, key, record in changes:
            self.reconciler.put(stream, key, record)
        if self._verbs is not None:
            self._verbs.leaving |= before - self.reconciler.machines.keys()
            self._verbs.leaving -= self.reconciler.machines.keys()
        if lost is not None:
            log.info("stream %d: frames were lost, asking for all of it", lost)
            self._say(Resend(lost))
        elif not isinstance(frame, Welcome):
            told = self.streams.streams.get(frame.stream)
            if told is not None and told.sequence is not None:
                self._unacked[frame.stream] = (told.sequence, told.revision)
            for gone in self._unacked.keys() - self.streams.streams.keys():
                del self._unacked[gone]

    async def _look(self) -> None:
        """Learn what is: ports and machines when something happened, flows every now and then."""
        if self._machines_due and self._hypervisor is not None:
            self._machines_due = False
            if self._verbs is not None:
                self._verbs.asking()
            self._hypervisor_state = await self._hypervisor.facts()
            self.reconciler.machines_are(self._hypervisor_state.machines)
        self._machines_due = False
        if self._verbs is not None and self.streams.complete:
            reconciler, told = self.reconciler, self._hypervisor_state
            boot = told.boot if told is not None else ""
            self._guests.look(reconciler.states, reconciler.machines, self._verbs, boot, self._now())
        if self._switch_due:
            self._switch_due = False
            self.reconciler.switch_is(await self._switch.facts())
            self._note_drift(self.reconciler.missing_tunnels())
        clock = asyncio.get_running_loop()
        began = clock.time()
        if began >= self._look_at or not self.reconciler.knows_switch:
            self._dump = await self._switch.dump()
            self._note_drift(self.reconciler.switch_has(self._dump.flows))
            ended = clock.time()
            self._look_at = ended + max(LOOK_SECONDS, 20 * (ended - began))

    async def _look_around(self) -> None:
        """Whose MAC addresses are on this host's switches, once it is known whose should be."""
        if self._told_here and self.streams.complete:
            facts = self.reconciler.switch_facts
            macs = await self._switch.macs()
            if macs is not None:
                self._sightings.look(facts.ports, facts.bridge, macs, self.reconciler.locals, self._now())

    def _note_drift(self, found: tuple[str, ...]) -> None:
        for words in found[:MAX_DRIFT]:
            log.warning("drift: %s", words)
        self._drift.extend(found)

    async def _act(self) -> None:
        change = self.reconciler.plan(self.streams.complete)
        if change:
            failures = await self._switch.apply(change)
            for failure in failures:
                if failure not in self.reconciler.failures:
                    log.warning("%s %s: %s", failure.step, failure.subject, failure.message)
            self.reconciler.done(change, failures)
            self._switch_due = self._switch_due or bool(change.tunnels_add or change.tunnels_remove or change.mtus)

    def _acknowledge(self) -> None:
        if self._unacked and self.reconciler.settled:
            for number in self._unacked:
                self.streams.streams[number].applied = True
            self._say(Ack(tuple((number, *reached) for number, reached in sorted(self._unacked.items()))))
            self._unacked.clear()

    def _ask_hypervisor(self) -> float | None:
        return self._verbs.consider(self._world(self._verbs)) if self._verbs is not None else None

    def _world(self, verbs: Verbs) -> World:
        reconciler = self.reconciler
        subnets: dict[Vsid, tuple[SubnetRecord, ...]] = {}
        mtus: dict[str, int] = {}
        for instance, local in reconciler.locals.items():
            binding = local.binding
            subnets[binding.vsid] = reconciler.table.subnets_in(binding.rdid, binding.vsid)
            mtus[instance] = reconciler.guest_mtu(local)
        return World(
            reconciler.machines,
            reconciler.states,
            reconciler.locals,
            subnets,
            mtus,
            verbs.leaving,
            self.streams.complete,
            reconciler.settled,
            self._guests.presence.missing,
            self._may_start_at is None,
            reconciler.settings,
            self._hypervisor_state.dynamic_range if self._hypervisor_state is not None else None,
            by_hand=self._guests.by_hand,
        )

    def _tell(self) -> None:
        """Send the facts, whole, if they have changed and somebody listens."""
        if self._outbox is None:
            return
        facts = Facts(
            machines=self._machine_facts(self._verbs) if self._verbs is not None else (),
            ports=self.reconciler.port_facts(),
            problems=(
                *self.reconciler.problems(self._trouble.words),
                *(self._verbs.problems() if self._verbs is not None else ()),
            ),
            drift=tuple(self._drift),
            drops=self._dump.drops,
            foreign=(*self.reconciler.foreign(), *self._dump.foreign[:MAX_DRIFT]),
            seen=self._sightings.seen(self._now()),
            looked=self._sightings.looked(self._now()),
            hypervisor=self._hypervisor_state,
        )
        if facts != self._told:
            self._told = facts
            self._say(facts)

    def _machine_facts(self, verbs: Verbs) -> tuple[MachineFact, ...]:
        now = self._now()
        return verbs.facts(self._world(verbs), lambda name: self._guests.presence.of(name, now))

    def _say(self, message: ToController) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(message)
