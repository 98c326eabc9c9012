"""The agent of one host: one loop that asks again and again what should be, what is, and does the difference.

Made by run.py and by the cluster tests. `run` lives as long as the agent; `serve` lends it one connection to the
controller and may be called again after the connection broke. Nothing stops the loop: a switch or a hypervisor that
does not answer is asked again, a step that fails stays to be done, and without a controller the host keeps its last
policy.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from weft.agent.captures import Captures
from weft.agent.errands import Errands
from weft.agent.facts import of_plane, with_machines
from weft.agent.guests import PATIENCE_SECONDS, Guests
from weft.agent.hypervisors import Hypervisor
from weft.agent.link import Identity, Link, RefusedByController
from weft.agent.machines import World
from weft.agent.memory import Memory
from weft.agent.ovs.packet_tap import PacketTap
from weft.agent.plane import Plane
from weft.agent.starts import Known, Start, Starts
from weft.agent.streams import Frame, Streams
from weft.agent.switch import SwitchUnavailable
from weft.agent.trouble import Trouble
from weft.agent.verbs import Verbs
from weft.wire.messages import (
    CAPTURE,
    HANDS,
    HOST_STREAM,
    PROTOCOL,
    Ack,
    Capture,
    CaptureEnd,
    Delta,
    Facts,
    Full,
    Hello,
    Insist,
    Isolate,
    MayRun,
    MayRunAnswer,
    Refused,
    Resend,
    ToController,
    Welcome,
)
from weft.wire.unknown import decode

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5

_encode = msgspec.msgpack.Encoder().encode


class Patience(msgspec.Struct, frozen=True):
    """Seconds that an agent waits for others before it goes on without them."""

    start: float = 0.0
    """For the controller's word about machines that are remembered from disk."""
    hypervisor: float = PATIENCE_SECONDS
    """For what the hypervisor has."""


AS_USUAL = Patience()


class Agent:
    """One host."""

    def __init__(
        self,
        identity: Identity,
        plane: Plane,
        hypervisor: Hypervisor | None = None,
        memory: Memory | None = None,
        patience: Patience = AS_USUAL,
    ) -> None:
        self.identity = identity
        self.streams = Streams()
        self.started = asyncio.Event()
        """Set once the last state has been read and brought to the switch, or the switch does not answer."""
        self._plane = plane
        self._hypervisor = hypervisor
        self._memory = memory
        self._wake = asyncio.Event()
        self._verbs = Verbs(hypervisor, self._hypervisor_changed, _errands(memory)) if hypervisor else None
        self._inbox: deque[tuple[Frame, bytes]] = deque()
        self._outbox: asyncio.Queue[ToController] | None = None
        self._unacked: dict[int, tuple[int, int]] = {}
        self._machines_due = True
        self._told: Facts | None = None
        self._trouble = Trouble(log, "switch")
        self._start_grace = patience.start
        """Seconds for which machines that are remembered from disk wait for the controller's word."""
        self._may_start_at: float | None = None
        """None: what the policy says is the controller's word."""
        self._guests = Guests(memory, patience.hypervisor)
        self._starts = Starts(self._ask, self._knows)
        self._isolate: dict[str, str] = {}
        """Disconnect or stop, by the hypervisor's id of a machine; the controller's order of this connection."""
        self._captures = Captures(
            self._say,
            lambda: self._outbox.qsize() if self._outbox is not None else 0,
            lambda: self._plane.standing().locals,
            PacketTap if identity.hypervisor != "hyperv" else None,
        )
        self._abilities: tuple[str, ...] = ()
        """The controller's."""
        self._told_here = False
        """The host's stream came over the present connection."""

    async def run(self) -> None:
        """Keep the host as it should be, until cancelled."""
        self._remember()
        watchers = [
            asyncio.create_task(self._watch(self._plane.events, self._plane_changed), name="plane events"),
            asyncio.create_task(self._plane.serve(), name="services"),
        ]
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
            await self._guests.close()
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
            (HANDS, CAPTURE),
        )
        await link.send(_encode(hello))
        await self._welcomed(link)
        welcomed()
        self._unacked.clear()
        self._inbox.clear()
        self.streams.reconnected()
        self._told = None
        self._told_here = False
        self._isolate = {}
        self._plane.estranged()
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
                self._outbox, self._isolate = None, {}
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
            await self._captures.close()

    async def _welcomed(self, link: Link) -> None:
        data = await link.receive()
        first = decode(data)
        if isinstance(first, Refused):
            raise RefusedByController(first.reason, first.retry)
        if not isinstance(first, Welcome) or first.protocol != PROTOCOL:
            raise RefusedByController(f"the controller speaks another protocol than {PROTOCOL}", retry=False)
        self.streams.take(first)
        self._abilities = first.abilities
        if self._memory is not None:
            self._memory.append(data)

    async def _send(self, link: Link, outbox: "asyncio.Queue[ToController]") -> None:
        while True:
            await link.send(_encode(await outbox.get()))

    async def _receive(self, link: Link) -> None:
        while True:
            data = await link.receive()
            message = decode(data)
            if isinstance(message, Capture | CaptureEnd):
                self._captures.hear(message)
            elif isinstance(message, Isolate | Insist | MayRunAnswer):
                self._hear(message)
            else:
                self._inbox.append((message, data))
            self._wake.set()

    def _hear(self, message: Isolate | Insist | MayRunAnswer) -> None:
        """What holds for now only and is not remembered."""
        if isinstance(message, Isolate):
            self._isolate = dict(message.machines)
        elif isinstance(message, Insist):
            self._guests.hands.overrule(message.machine)
        else:
            self._starts.answered(message)

    async def may_start(self, start: Start) -> str:
        """Why a machine that another hand starts here may not run; empty if it may."""
        return await self._starts.refusal(start)

    def _ask(self, question: MayRun) -> bool:
        if self._outbox is None or HANDS not in self._abilities:
            return False
        self._say(question)
        return True

    def _knows(self) -> Known:
        busy = self._verbs.busy if self._verbs is not None else ()
        return Known(self._plane.machines, self._plane.states, busy)

    async def _watch(self, events: Callable[[], AsyncIterator[None]], changed: Callable[[], None]) -> None:
        async for _ in events():
            changed()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _plane_changed(self) -> None:
        self._plane.changed()
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
            await self._learn_machines()
            await self._plane.look()
            await self._plane.act(self.streams.complete)
            if self._told_here and self.streams.complete:
                await self._plane.look_around()
            self._trouble.over(self._now())
        except SwitchUnavailable as unavailable:
            self._trouble.lasts(str(unavailable), self._now())
            self._plane.lost()
            self.started.set()
            self._tell()
            return RETRY_SECONDS
        self.started.set()
        self._acknowledge()
        again = self._ask_hypervisor()
        self._tell()
        if self._inbox or self._machines_due:
            return 0
        return max(0.0, min(self._waits(again)))

    def _waits(self, again: float | None) -> Iterator[float]:
        """Seconds until something is due for which no event comes."""
        yield self._plane.due(self._told_here)
        if again is not None:
            yield again
        if self._may_start_at is not None:
            yield self._may_start_at - self._now()
        if self._guests.presence.is_unsure(self._now()) or self._guests.trouble or self._guests.is_asking:
            yield RETRY_SECONDS

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
        before = set(self._plane.machines)
        for stream, key, record in changes:
            self._plane.put(stream, key, record)
        if self._verbs is not None:
            self._verbs.leaving |= before - self._plane.machines.keys()
            self._verbs.leaving -= self._plane.machines.keys()
        if lost is not None:
            log.info("stream %d: frames were lost, asking for all of it", lost)
            self._say(Resend(lost))
        elif not isinstance(frame, Welcome):
            told = self.streams.streams.get(frame.stream)
            if told is not None and told.sequence is not None:
                self._unacked[frame.stream] = (told.sequence, told.revision)
            for gone in self._unacked.keys() - self.streams.streams.keys():
                del self._unacked[gone]

    async def _learn_machines(self) -> None:
        """What the hypervisor has, when something happened; while it does not answer, what it last said holds."""
        if self._hypervisor is None or self._verbs is None:
            self._machines_due = False
            return
        if self._machines_due or self._guests.trouble or self._guests.is_asking:
            self._machines_due = False
            was = self._guests.trouble, self._guests.state.boot
            late = self._guests.is_asking
            if await self._guests.ask(self._hypervisor, self._verbs, self._now):
                # since it was asked something may have happened there
                self._machines_due |= late
                self._plane.machines_are(self._guests.state.machines)
                if was != ("", self._guests.state.boot):
                    # the host may have started anew
                    self._plane.changed()
        if self.streams.complete and not self._guests.trouble:
            self._guests.look(self._plane.states, self._plane.machines, self._verbs, self._now())

    def _acknowledge(self) -> None:
        if self._unacked and self._plane.settled:
            for number in self._unacked:
                self.streams.streams[number].applied = True
            self._say(Ack(tuple((number, *reached) for number, reached in sorted(self._unacked.items()))))
            self._unacked.clear()

    def _ask_hypervisor(self) -> float | None:
        if self._verbs is None or self._guests.trouble:
            return None
        return self._verbs.consider(self._world(self._verbs))

    def _world(self, verbs: Verbs) -> World:
        complete, may_start = self.streams.complete, self._may_start_at is None
        return self._guests.world(self._plane, verbs, self._isolate, complete, may_start)

    def _tell(self) -> None:
        """Send the facts, whole, if they have changed and somebody listens."""
        if self._outbox is None:
            return
        facts = of_plane(self._plane.telling(self._trouble.words))
        if self._verbs is not None:
            facts = with_machines(facts, self._guests, self._verbs, self._world(self._verbs), self._now())
        if facts != self._told:
            self._told = facts
            self._say(facts)

    def _say(self, message: ToController) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(message)


def _errands(memory: Memory | None) -> Errands | None:
    if memory is None:
        return None
    return Errands(memory.errands(), memory.remember_errands, memory.begun(), memory.remember_begun)
