"""REPORT: what a host's report costs the controller when its hypervisor has 200 machines, beside decoding the report.

The controller runs in this process, with a store of its own and an in-memory line to each agent, so that the figures
are processor time and nothing else. Once a second it takes in the hosts of which something was heard.
"""

import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from weft.api.serve import settle_memory
from weft.bench.filled import fill
from weft.bench.rows import Row, Size
from weft.control import observations
from weft.control.controller import Controller
from weft.core.commands import Actor, SetPower, Steps
from weft.core.policy_places import Interface, instance_of, mac_of
from weft.core.state import State
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.model.kinds import NETWORK_INTERFACES
from weft.wire.messages import (
    HANDS,
    PROTOCOL,
    Ack,
    Delta,
    Facts,
    Full,
    Hello,
    MachineFact,
    PortFact,
    ToAgent,
    ToController,
)

MACHINES = 200
"""To a host."""
ROUNDS = 2.2
"""How many rounds of the controller it is given to be done with what was told."""
ACTOR = Actor("bench", "operator")

_encode = msgspec.msgpack.Encoder().encode
_to_agent = msgspec.msgpack.Decoder(ToAgent).decode
_to_controller = msgspec.msgpack.Decoder(ToController).decode


class Host:
    """An agent's end: what it sends, and acks of all that it is sent."""

    def __init__(self, name: str, facts: Facts) -> None:
        self.name = name
        self.facts = facts
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.say(Hello(PROTOCOL, name, f"bench-{name}", "", (), "libvirt", (HANDS,)))

    def say(self, message: Hello | Facts | Ack) -> None:
        self._out.put_nowait(_encode(message))

    def leave(self) -> None:
        self._out.put_nowait(None)

    async def receive(self) -> bytes | None:
        return await self._out.get()

    async def send(self, content: bytes) -> None:
        message = _to_agent(content)
        if isinstance(message, Full | Delta):
            self.say(Ack(((message.stream, message.sequence, message.revision),)))


class _Clock:
    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


def run(size: Size) -> list[Row]:
    machines, hosts = size.pick(2 * MACHINES, 100_000), size.pick(2, 20)
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        fill(Path(folder), machines, machines // MACHINES)
        return asyncio.run(_measure(Path(folder), hosts, size.pick(1, 5)))


async def _measure(folder: Path, count: int, rounds: int) -> list[Row]:
    controller = Controller.open(folder, _Clock(), lambda: str(uuid.uuid4()))
    settle_memory()
    with contextlib.closing(controller):
        async with controller.running():
            names = [f"host{i}" for i in range(count)]
            for name in names:
                powers = tuple(SetPower(one.resource_id, "Running") for one in controller.state.machines_on(name))
                await controller.submit(Steps(powers), ACTOR)
            async with _connected(controller, names) as hosts:
                return [row async for row in _rows(controller, hosts, rounds)]


@contextlib.asynccontextmanager
async def _connected(controller: Controller, names: Sequence[str]) -> AsyncIterator[list[Host]]:
    hosts = [Host(name, facts_of(controller.state, name)) for name in names]
    lines = [asyncio.create_task(controller.serve_agent(host.receive, host.send)) for host in hosts]
    await asyncio.sleep(ROUNDS * observations.EVERY_S)
    for host in hosts:
        host.say(host.facts)
    while any(one.properties.hypervisor is None for name in names for one in controller.state.machines_on(name)):
        # the hypervisors' ids are noted first
        await asyncio.sleep(observations.EVERY_S)
    await asyncio.sleep(ROUNDS * observations.EVERY_S)
    try:
        yield hosts
    finally:
        for host in hosts:
            host.leave()
        await asyncio.gather(*lines)


async def _rows(controller: Controller, hosts: list[Host], rounds: int) -> AsyncIterator[Row]:
    serial = itertools.count(1)
    owned = {host: [one.resource_id for one in controller.state.machines_on(host.name)] for host in hosts}

    async def idle() -> None:
        """What the controller does anyhow."""

    async def unchanged() -> None:
        for host in hosts:
            host.say(msgspec.structs.replace(host.facts, drops={"spoofed": next(serial)}))

    async def changed() -> None:
        for host in hosts:
            host.facts = _renamed(host.facts, f"called {next(serial)}")
            host.say(host.facts)

    async def recorded() -> None:
        for host in hosts:
            name = owned[host][next(serial) % MACHINES]
            await controller.submit(Steps((SetPower(name, "Off"), SetPower(name, "Running"))), ACTOR)

    async def took(act: Callable[[], Awaitable[None]]) -> float:
        return statistics.median([await _processor_s(act) for _ in range(rounds)]) / len(hosts)

    reading, nothing = _reading(hosts[0].facts), await took(idle)
    for case, act in {
        "all as before": unchanged,
        "one machine has another name": changed,
        "nothing is told, but a machine's record changed": recorded,
    }.items():
        ours = max(0.0, await took(act) - nothing)
        figures = (ours * 1e3, "ms", "decoding it", reading * 1e3, ours / reading)
        yield Row("REPORT", f"{MACHINES} machines: {case}", *figures)


async def _processor_s(act: Callable[[], Awaitable[None]]) -> float:
    """Processor time of this process until all that follows is done."""
    started = time.process_time()
    await act()
    await asyncio.sleep(ROUNDS * observations.EVERY_S)
    return time.process_time() - started


def _reading(facts: Facts) -> float:
    """Seconds to decode a report, as the controller has to."""
    data = _encode(facts)
    found = []
    for _ in range(20):
        started = time.process_time()
        _to_controller(data)
        found.append(time.process_time() - started)
    return statistics.median(found)


def facts_of(state: State, server: str) -> Facts:
    """What an agent tells of a host where everything is as the ledger says."""
    told, facts, ports = [], [], []
    for machine in state.machines_on(server):
        interfaces = [
            state.get(NETWORK_INTERFACES.name, ref.resource_ref.rpartition("/")[2])
            for ref in machine.properties.network_interfaces
        ]
        adapters = tuple(_adapter(one) for one in interfaces if one is not None)
        own = str(uuid.uuid5(uuid.NAMESPACE_OID, machine.resource_id))
        told.append(MachineState(machine.resource_id, "Running", 1450, False, own, machine.resource_id, adapters))
        facts.append(MachineFact(machine.resource_id, "Running", presence="here", id=own))
        ports += [PortFact(one.instance_id, "bound") for one in adapters]
    return Facts(tuple(facts), tuple(ports), looked=True, hypervisor=HypervisorState(tuple(told), boot="bench"))


def _adapter(interface: Interface) -> AdapterState:
    return AdapterState(mac_of(interface), instance_of(interface), name=interface.resource_id, switch="br-int")


def _renamed(facts: Facts, name: str) -> Facts:
    assert facts.hypervisor is not None
    first, *rest = facts.hypervisor.machines
    machines = (msgspec.structs.replace(first, name=name), *rest)
    return msgspec.structs.replace(facts, hypervisor=msgspec.structs.replace(facts.hypervisor, machines=machines))
