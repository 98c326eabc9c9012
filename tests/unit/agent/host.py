"""An agent on the fake switch with a fake hypervisor, and a controller of queues. Used by the tests of the agent."""

import asyncio
import contextlib

import msgspec

from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, RED, host_records, network_records
from weft.agent.agent import Agent
from weft.agent.hypervisors import HypervisorFailure, Migrate, Prepare, Remove, Start, Stop
from weft.agent.link import Identity
from weft.agent.memory import Memory
from weft.agent.ovs.plane import OvsPlane
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.records import Machine
from weft.wire.messages import Ack, Facts, Full, ToController, Welcome

BLUE1 = GUESTS["blue1"]
RUNNING = Machine("blue1", "Running", (BLUE1.instance,), "", "", 4)
_decode = msgspec.msgpack.Decoder(ToController).decode
_encode = msgspec.msgpack.encode


class Controller:
    """The other end of a link, and what it heard."""

    def __init__(self, generation="g1", abilities=()):
        self.heard = []
        self._news = asyncio.Event()
        self._frames = asyncio.Queue()
        self.say(Welcome(1, generation, "host1", abilities))

    async def send(self, message):
        self.heard.append(_decode(message))
        self._news.set()

    async def receive(self):
        frame = await self._frames.get()
        if frame is None:
            raise ConnectionError("gone")
        return frame

    def say(self, *frames):
        for frame in frames:
            self._frames.put_nowait(_encode(frame))

    def hang_up(self):
        self._frames.put_nowait(None)

    def all(self, kind):
        return [one for one in self.heard if isinstance(one, kind)]

    async def until(self, enough, patience=30):
        """Wait until something true was heard; returns it."""
        async with asyncio.timeout(patience):
            while not (found := enough(self)):
                self._news.clear()
                await self._news.wait()
        return found

    def acked(self, stream, revision):
        return any(one[0] == stream and one[2] >= revision for ack in self.all(Ack) for one in ack.applied)

    async def applied(self, revision, *streams):
        await self.until(lambda self: all(self.acked(stream, revision) for stream in streams))


class FakeHost:
    """Plugs and unplugs ports of the fake switch as a hypervisor does; `fails` and `breaks` at verbs of these types."""

    def __init__(self, switch):
        self.switch = switch
        self.states = {}
        self.done = []
        self.fails = set()
        self.breaks = set()
        self.boot = ""
        self.silent = ""
        """Set: it does not say what it has, and this is why."""
        self.asked = 0
        """Questions that it took."""
        self.answers = asyncio.Event()
        """Cleared: what it has is told once it is set, as it was when it was asked."""
        self.answers.set()
        self.changed = asyncio.Event()
        self.copies = asyncio.Event()
        """Cleared: a migration takes until it is set."""
        self.copies.set()

    async def facts(self):
        self.asked += 1
        if self.silent:
            raise HypervisorFailure(self.silent)
        states = (MachineState(name, power, id=f"id-{name}", name=name) for name, power in sorted(self.states.items()))
        said = HypervisorState(tuple(states), boot=self.boot)
        await self.answers.wait()
        return said

    def by_hand(self, name, power):
        """Another hand does something to the machine here."""
        self.states[name] = power
        self.changed.set()

    async def events(self):
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield None

    async def carry_out(self, verb):
        self.done.append(verb)
        if isinstance(verb, Migrate):
            await self.copies.wait()
        if type(verb) in self.fails:
            raise HypervisorFailure(f"{type(verb).__name__} was told to fail")
        if type(verb) in self.breaks:
            raise KeyError("a bug of the driver")
        match verb:
            case Prepare(machine, ports) | Start(machine, ports):
                for number, binding in enumerate(ports):
                    self.switch.plug(f"{machine.machine}-{number}", binding.instance_id, binding.mac, 1458)
                if isinstance(verb, Start):
                    self.states[machine.machine] = "Running"
            case Stop(name) | Migrate(name, _):
                self.states[name] = "Off"
            case Remove(name):
                self.states.pop(name, None)
                self.switch.unplug(f"{name}-0")
        self.changed.set()

    def verbs(self):
        return [type(verb) for verb in self.done]


class Host:
    def __init__(self, folder=None, driven=False, **options):
        self.options = options
        self.switch = FakeSwitch("host1", ProviderNetwork(), [HOSTS["host1"]])
        self.hypervisor = FakeHost(self.switch) if driven else None
        self.folder = folder
        self.tasks = []

    def start(self):
        """A new agent process."""
        memory = Memory(self.folder) if self.folder else None
        identity = Identity("host1", "a1", "lab" if self.hypervisor else "")
        self.plane = OvsPlane(self.switch)
        self.agent = Agent(identity, self.plane, self.hypervisor, memory, **self.options)
        self.tasks = [asyncio.create_task(self.agent.run())]

    def connect(self, **options):
        controller = Controller(**options)
        self.tasks.append(asyncio.create_task(self.agent.serve(controller)))
        return controller

    async def kill(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []

    def plug(self):
        for number, name in enumerate(("blue1", "red1")):
            self.switch.plug(f"p{number}", GUESTS[name].instance, GUESTS[name].mac, 1458)


@contextlib.asynccontextmanager
async def running(**options):
    host = Host(**options)
    host.start()
    try:
        yield host
    finally:
        await host.kill()


WHOLE = (
    Full(0, 0, 10, tuple(host_records("host1"))),
    Full(BLUE, 3, 10, tuple(network_records(BLUE))),
    Full(RED, 5, 10, tuple(network_records(RED))),
)


async def working(host):
    """A host with its policy applied."""
    controller = host.connect()
    controller.say(*WHOLE)
    await controller.applied(10, 0, BLUE, RED)
    return controller


def held(host):
    return {flow.key: flow for flow in host.switch.flows()}


def machine_says(name, power, failure=""):
    """In the newest facts."""

    def said(controller):
        return [
            one
            for facts in controller.all(Facts)[-1:]
            for one in facts.machines
            if (one.machine, one.power) == (name, power) and failure in one.failure
        ]

    return said
