"""The agent's loop on the fake switch, with a controller of queues."""

import asyncio
import contextlib

import msgspec
import pytest

from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, RED, host_records, network_records
from weft.agent.agent import Agent
from weft.agent.flow import Flow
from weft.agent.hypervisors import HypervisorFailure, MachineState, Migrate, Prepare, Remove, Start, Stop
from weft.agent.link import Identity, RefusedByController
from weft.agent.memory import Memory
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.records import Machine
from weft.wire.messages import Ack, Cursor, Delta, Dropped, Facts, Full, Hello, Refused, Resend, ToController, Welcome

BLUE1 = GUESTS["blue1"]
RUNNING = Machine("blue1", "Running", (BLUE1.instance,), "", "", 4)
_decode = msgspec.msgpack.Decoder(ToController).decode
_encode = msgspec.msgpack.encode


class Controller:
    """The other end of a link, and what it heard."""

    def __init__(self, generation="g1"):
        self.heard = []
        self._news = asyncio.Event()
        self._frames = asyncio.Queue()
        self.say(Welcome(1, generation, "host1"))

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

    async def until(self, enough, patience=5):
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
        self.changed = asyncio.Event()
        self.copies = asyncio.Event()
        """Cleared: a migration takes until it is set."""
        self.copies.set()

    async def facts(self):
        return tuple(MachineState(name, power) for name, power in sorted(self.states.items()))

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
    def __init__(self, folder=None, driven=False):
        self.switch = FakeSwitch("host1", ProviderNetwork(), [HOSTS["host1"]])
        self.hypervisor = FakeHost(self.switch) if driven else None
        self.folder = folder
        self.tasks = []

    def start(self):
        """A new agent process."""
        memory = Memory(self.folder) if self.folder else None
        identity = Identity("host1", "a1", "lab" if self.hypervisor else "")
        self.agent = Agent(identity, self.switch, self.hypervisor, memory)
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


async def test_a_policy_is_applied_and_acked():
    async with running() as host:
        host.plug()
        controller = await working(host)
        assert controller.heard[0] == Hello(1, "host1", "a1", "")
        assert held(host) == host.agent.reconciler.table.flows
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.ports])
        assert {port.state for port in facts[-1].ports} == {"bound"}


async def test_nothing_is_acked_that_the_switch_has_not_confirmed():
    async with running() as host:
        host.switch.faults.failing_steps.add("flows")
        controller = host.connect()
        controller.say(*WHOLE)
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.problems])
        assert "flows" in facts[-1].problems[0].message
        assert controller.all(Ack) == []
        host.switch.faults.failing_steps.clear()
        await controller.applied(10, 0, BLUE, RED)


async def test_a_delta_is_applied_and_acked_with_its_sequence():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 4, 11, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(11, BLUE)
        assert controller.all(Ack)[-1].applied == ((BLUE, 4, 11),)


async def test_a_lost_frame_is_asked_for_and_nothing_else():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 5, 12, ()), Delta(RED, 6, 12, ()))
        await controller.until(lambda self: self.all(Resend))
        assert controller.all(Resend) == [Resend(BLUE)]
        await controller.applied(12, RED)
        assert not controller.acked(BLUE, 12)
        controller.say(Full(BLUE, 5, 12, tuple(network_records(BLUE))))
        await controller.applied(12, BLUE)


async def test_a_reconnected_agent_resumes_where_it_was():
    async with running() as host:
        controller = await working(host)
        before = held(host)
        controller.hang_up()
        again = host.connect()
        await again.until(lambda self: self.heard)
        assert again.heard[0].cursors == (Cursor(0, 10), Cursor(RED, 10), Cursor(BLUE, 10))
        again.say(Delta(BLUE, 9, 11, (), (), resumed=True))
        await again.applied(11, BLUE)
        assert held(host) == before


async def test_a_killed_agent_comes_back_with_its_policy_and_touches_no_flow(tmp_path):
    async with running(folder=tmp_path) as host:
        host.plug()
        await working(host)
        before = held(host)
        await host.kill()
        done = len(host.switch.applied)
        host.start()
        await host.agent.started.wait()
        assert held(host) == before
        assert not [change for change in host.switch.applied[done:] if change.puts or change.removes]
        again = host.connect()
        await again.until(lambda self: self.heard)
        assert (again.heard[0].generation, len(again.heard[0].cursors)) == ("g1", 3)


async def test_what_was_acked_is_remembered_at_once(tmp_path):
    async with running(folder=tmp_path) as host:
        controller = await working(host)
        controller.say(Delta(BLUE, 4, 11, tuple(GUESTS["blue2"].lookups("host1"))))
        await controller.applied(11, BLUE)
        before = held(host)
        await host.kill()
        host.start()
        await host.agent.started.wait()
        assert held(host) == before == host.agent.reconciler.table.flows


async def test_an_agent_without_memory_sweeps_nothing_until_it_has_been_told_everything():
    async with running() as host:
        host.plug()
        await working(host)
        before = held(host)
        await host.kill()
        host.start()
        controller = host.connect()
        controller.say(WHOLE[0], WHOLE[1])
        await asyncio.sleep(0.1)
        assert before.keys() <= held(host).keys()
        controller.say(Full(RED, 5, 10, ()))
        await controller.applied(10, 0, BLUE, RED)
        assert held(host).keys() < before.keys()


async def test_a_network_that_is_no_longer_needed_leaves_no_flow():
    async with running() as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (), ((12, RED),)), Dropped(RED))
        await controller.applied(11, 0)
        async with asyncio.timeout(5):
            while any(flow.cookie & 0xFFFFFFFF in (RED, 5001) for flow in host.switch.flows()):
                await asyncio.sleep(0.01)


async def test_a_network_whose_goodbye_was_lost_leaves_no_flow_either():
    async with running() as host:
        controller = await working(host)
        controller.hang_up()
        again = host.connect()
        # what is not acked when the network goes is of no network that anybody knows
        again.say(Delta(RED, 6, 11, (), resumed=True), Delta(0, 1, 11, (), ((12, RED),), resumed=True))
        await again.applied(11, 0)
        assert not again.acked(RED, 11)
        async with asyncio.timeout(5):
            while any(flow.cookie & 0xFFFFFFFF in (RED, 5001) for flow in host.switch.flows()):
                await asyncio.sleep(0.01)


async def test_a_restarted_switch_gets_everything_again():
    async with running() as host:
        host.plug()
        controller = await working(host)
        host.switch.faults.unavailable = True
        await controller.until(lambda self: [one for one in self.all(Facts) if one.problems], 5)
        host.switch.restart()
        host.switch.faults.unavailable = False
        async with asyncio.timeout(5):
            while held(host) != host.agent.reconciler.table.flows or not held(host):
                await asyncio.sleep(0.01)
        numbers = {local.number for local in host.agent.reconciler.locals.values()}
        assert numbers == {host.switch.port(name).ofport for name in ("p0", "p1")}


async def test_drift_is_repaired_and_told():
    async with running() as host:
        controller = await working(host)
        victim = next(iter(held(host).values()))
        host.switch.take_flow(victim.key)
        host.switch.put_flow(Flow(5, 1, (), (), 1))
        facts = await controller.until(lambda self: [one for one in self.all(Facts) if one.drift and one.foreign])
        assert "was gone" in facts[-1].drift[0]
        assert held(host)[victim.key] == victim
        assert (5, 1, ()) in held(host)


async def test_a_refusal_reaches_the_caller_and_the_switch_stays_as_it_is():
    async with running() as host:
        await working(host)
        before = held(host)
        refusing = Controller()
        refusing._frames = asyncio.Queue()
        refusing.say(Refused("no such server", True))
        with pytest.raises(RefusedByController, match="no such server") as refused:
            await host.agent.serve(refusing)
        assert refused.value.retry
        other = Controller()
        other._frames = asyncio.Queue()
        other.say(Welcome(99, "g1", "host1"))
        with pytest.raises(RefusedByController) as refused:
            await host.agent.serve(other)
        assert not refused.value.retry
        assert held(host) == before


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


async def test_a_machine_is_started_once_its_ports_are_bound():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        said = await controller.until(machine_says("blue1", "Running"))
        assert said[-1].generation == 4
        assert host.hypervisor.verbs() == [Prepare, Start]
        assert host.hypervisor.done[1].mtu == 1458
        assert len(host.hypervisor.done[1].subnets) == 2


async def test_a_machine_is_stopped_and_removed():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, power="Off"),)))
        await controller.until(machine_says("blue1", "Off"))
        controller.say(Delta(0, 3, 13, (), (RUNNING.key,)))
        async with asyncio.timeout(5):
            while host.switch.port("blue1-0"):
                await asyncio.sleep(0.01)
        assert host.hypervisor.verbs() == [Prepare, Start, Stop, Remove]


async def test_a_failed_verb_is_told_and_tried_again():
    async with running(driven=True) as host:
        host.hypervisor.fails.add(Start)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        said = await controller.until(machine_says("blue1", "Off", "told to fail"))
        assert said[-1].generation == 4
        host.hypervisor.fails.clear()
        await controller.until(machine_says("blue1", "Running"), 10)
        assert controller.all(Facts)[-1].machines[0].failure == ""


async def test_a_driver_that_breaks_is_a_failed_verb_and_logged_once_with_its_trace(caplog):
    async with running(driven=True) as host:
        host.hypervisor.breaks.add(Start)
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Off", "Start of blue1: KeyError: 'a bug of the driver'"))
        async with asyncio.timeout(5):
            while host.hypervisor.verbs().count(Start) < 2:
                await asyncio.sleep(0.05)
        logged = [record for record in caplog.records if record.exc_info]
        assert [record.exc_info[0] for record in logged] == [KeyError]
        host.hypervisor.breaks.clear()
        await controller.until(machine_says("blue1", "Running"), 10)


async def test_a_failed_migration_is_not_tried_again_by_itself():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.fails.add(Migrate)
        leaving = msgspec.structs.replace(RUNNING, move_to="host2", generation=5)
        controller.say(Delta(0, 2, 12, (leaving,)))
        await controller.until(machine_says("blue1", "Running", "told to fail"))
        await asyncio.sleep(2.5)
        assert host.hypervisor.verbs().count(Migrate) == 1


async def test_a_migration_under_way_is_told_until_the_hypervisor_was_asked_after_it():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        host.hypervisor.copies.clear()
        controller.say(Delta(0, 2, 12, (msgspec.structs.replace(RUNNING, move_to="host2", generation=5),)))
        await controller.until(lambda self: self.all(Facts)[-1].machines[0].migrating)
        # taken back: whatever the hypervisor says before the copy has ended, it is still under way
        controller.say(Delta(0, 3, 13, (msgspec.structs.replace(RUNNING, power="Incoming", generation=5),)))
        await controller.applied(13, 0)
        host.hypervisor.changed.set()
        await asyncio.sleep(0.1)
        assert controller.all(Facts)[-1].machines[0].migrating
        host.hypervisor.copies.set()
        await controller.until(machine_says("blue1", "Off"))
        told = [one.machines[0] for one in controller.all(Facts) if one.machines]
        assert [one.migrating for one in told if one.power == "Off"][-1] is False
        first = next(place for place, one in enumerate(told) if one.migrating)
        assert not [one for one in told[first:] if one.power == "Running" and not one.migrating]
        assert host.hypervisor.verbs() == [Prepare, Start, Migrate]


async def test_a_machine_that_moved_away_is_forwarded_before_its_port_is_removed():
    async with running(driven=True) as host:
        controller = await working(host)
        controller.say(Delta(0, 1, 11, (RUNNING,)))
        await controller.until(machine_says("blue1", "Running"))
        moving = BLUE1.binding(HOSTS["host2"])
        controller.say(Delta(0, 2, 12, (moving, msgspec.structs.replace(RUNNING, move_to="host2", generation=5))))
        await controller.until(machine_says("blue1", "Off"))
        async with asyncio.timeout(5):
            while not [flow for flow in host.switch.flows() if flow.priority == 110 and flow.table == 8]:
                await asyncio.sleep(0.01)
        assert host.switch.port("blue1-0")
        controller.say(Delta(0, 3, 13, (), (RUNNING.key,)))
        async with asyncio.timeout(5):
            while host.switch.port("blue1-0"):
                await asyncio.sleep(0.01)
        assert [flow for flow in host.switch.flows() if flow.priority == 110 and flow.table == 8]
