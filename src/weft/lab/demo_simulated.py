"""The demo's stage of fakes: the real controller, store, API, feed and agents in this process, with fake switches, wire
and machines. No root, no Linux. What is simulated behaves: a packet takes the flows that the agents installed.
"""

import asyncio
import contextlib
import random
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import httpx

from weft.agent.agent import Agent
from weft.agent.flows.flow import flow_text
from weft.agent.link import Identity as AgentIdentity
from weft.agent.link import RefusedByController
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import SwitchMac
from weft.api.serve import build
from weft.cli.documents import Documents
from weft.cli.plan import apply
from weft.control.controller import Controller
from weft.fakes import packet as p
from weft.fakes.datacenter import Datacenter
from weft.fakes.network import Outer
from weft.lab.capture import Frame, Tunnelled
from weft.lab.demo_stage import Identity, Lie, Pings, Stage
from weft.lab.plan import plan
from weft.model.values import ip_text, mac_colons, mac_dashes, pack_ip, parse_mac
from weft.wire.client import WEFT, Client

CONNECT_SECONDS = 10.0
RECONNECT_SECONDS = 0.05


def new_id() -> str:
    return str(uuid.uuid4())


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class Cable:
    """An agent's connection without a network: agent.agent.Link on one side, the feed's two functions on the other."""

    def __init__(self) -> None:
        self._up: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._down: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._cut = False

    async def send(self, message: bytes) -> None:
        if self._cut:
            raise ConnectionError("the cable is cut")
        self._up.put_nowait(message)

    async def receive(self) -> bytes:
        message = await self._down.get()
        if message is None:
            raise ConnectionError("the cable is cut")
        return message

    async def from_agent(self) -> bytes | None:
        return await self._up.get()

    async def to_agent(self, message: bytes) -> None:
        self._down.put_nowait(message)

    def cut(self) -> None:
        self._cut = True
        self._up.put_nowait(None)
        self._down.put_nowait(None)


class SimulatedService:
    """The controller, killed and started again on the same store; agents connect as long as it lives."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._life: contextlib.AsyncExitStack | None = None
        self._controller: Controller | None = None
        self._app: Any = None
        self._cables: set[Cable] = set()
        self._agents: list[asyncio.Task[None]] = []
        self.servers: list[str] = []
        transport = httpx.ASGITransport(app=self._serve, raise_app_exceptions=False)
        self.client = Client(httpx.AsyncClient(transport=transport, base_url="http://simulated"), new_id)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            raise ConnectionError("the controller is dead")
        await self._app(scope, receive, send)

    async def begin(self) -> None:
        self._controller = Controller.open(self._data, SystemClock(), new_id)
        self._life = contextlib.AsyncExitStack()
        await self._life.enter_async_context(self._controller.running())
        self._app = build(self._controller, new_id)

    async def kill(self) -> None:
        """Nothing is told to anybody and nothing is written any more; what was committed is in the file."""
        controller, self._controller, self._app = self._controller, None, None
        for cable in self._cables:
            cable.cut()
        if self._life is not None:
            await self._life.aclose()
        if controller is not None:
            controller.close()

    async def start(self) -> None:
        await self.begin()
        await self.await_agents()

    async def await_agents(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            for server in self.servers:
                while not (await self.client.get(f"{WEFT}/servers/{server}/state"))["connected"]:
                    await asyncio.sleep(RECONNECT_SECONDS)

    def employ(self, agent: Agent) -> None:
        """Run an agent and keep it connected."""
        self.servers.append(agent.identity.server)
        self._agents += [asyncio.create_task(agent.run()), asyncio.create_task(self._connected(agent))]

    async def _connected(self, agent: Agent) -> None:
        await agent.started.wait()
        while True:
            if self._controller is not None:
                cable = Cable()
                self._cables.add(cable)
                feed = asyncio.create_task(self._controller.serve_agent(cable.from_agent, cable.to_agent))
                with contextlib.suppress(ConnectionError, RefusedByController):
                    await agent.serve(cable)
                self._cables.discard(cable)
                cable.cut()
                await feed
            await asyncio.sleep(RECONNECT_SECONDS)

    async def close(self) -> None:
        for task in self._agents:
            task.cancel()
        await asyncio.gather(*self._agents, return_exceptions=True)
        await self.kill()
        await self.client.aclose()


class FakeGuests:
    """Guests and Strangers of the demo, in the fake datacenter."""

    def __init__(self, datacenter: Datacenter) -> None:
        self._datacenter = datacenter
        self._heard: dict[str, set[str]] = {}

    async def identity(self, machine: str) -> Identity:
        adapter = self._datacenter.guests[machine].adapters[0]
        return Identity(mac_dashes(adapter.mac), tuple(ip_text(address) for address, _ in adapter.addresses))

    async def ping(self, machine: str, address: str, count: int, interval: float) -> Pings:
        found = []
        for number in range(count):
            found.append(self._datacenter.ping(machine, address))
            if number + 1 < count:
                await asyncio.sleep(interval)
        back = [one.ttl for one in found if one.received]
        return Pings(count, len(back), tuple(dict.fromkeys(back)))

    async def ask(self, machine: str, addresses: Sequence[str]) -> dict[str, str]:
        return {address: self._who(machine, address) for address in addresses}

    def _who(self, machine: str, address: str) -> str:
        """The machine that a question to this address reaches, if its answer comes back."""
        own = self._datacenter.guests[machine].adapters[0]
        target = pack_ip(address)
        source, hop = own.source_for(target), own.next_hop(target)
        if source == target:
            return machine
        mac = self._datacenter.resolve(machine, hop) if hop is not None else None
        if mac is None or source is None:
            return ""
        question = p.echo((own.mac, mac), (ip_text(source), address))
        reached = [self._datacenter.receiver(delivery) for delivery in self._datacenter.send(machine, question)]
        names = [found[0].name for found in reached if found is not None]
        for name in names:
            self._heard.setdefault(name, set()).add(machine)
        return names[0] if names and self._datacenter.ping(machine, address).received else ""

    async def heard(self, machine: str) -> set[str]:
        return self._heard.get(machine, set())

    async def lie(self, lie: Lie) -> int:
        victim = self._datacenter.guests[lie.victim].adapters[0]
        macs, ends = (parse_mac(lie.mac), victim.mac), (lie.address, ip_text(victim.addresses[0][0]))
        arrived = 0
        for _ in range(lie.count):
            for delivery in self._datacenter.send(lie.machine, p.echo(macs, ends)):
                reached = self._datacenter.receiver(delivery)
                arrived += reached is not None and reached[0].name == lie.victim
        return arrived


class FakeFabric:
    def __init__(self, datacenter: Datacenter) -> None:
        self._datacenter = datacenter

    async def wire(self, during: Awaitable[object]) -> list[Tunnelled]:
        network = self._datacenter.network
        network.seen.clear()
        await during
        return [_tunnelled(outer) for outer in network.seen if outer.kind == "gre"]

    async def flows_naming(self, host: str, mac: str) -> int:
        colons = mac_colons(parse_mac(mac))
        return sum(colons in flow_text(flow) for flow in self._datacenter.switches[host].flows())

    async def intrude(self, host: str, port: str, mac: str) -> None:
        self._datacenter.switches[host].show_mac(SwitchMac(parse_mac(mac), port, "br-phy"))

    async def withdraw(self, host: str, port: str, mac: str) -> None:
        self._datacenter.switches[host].hide_mac(parse_mac(mac))


def _tunnelled(outer: Outer) -> Tunnelled:
    inner, macs = outer.inner, (mac_dashes(outer.inner.eth_src), mac_dashes(outer.inner.eth_dst))
    frame = Frame(*macs)
    if inner.eth_type == p.IPV4:
        ends = ip_text(inner.ip_src.to_bytes(4)), ip_text(inner.ip_dst.to_bytes(4))
        frame = Frame(*macs, *ends, ttl=inner.ttl, protocol=inner.ip_proto)
    return Tunnelled(ip_text(outer.source), ip_text(outer.destination), outer.key, frame)


@contextlib.asynccontextmanager
async def simulated_stage(documents: Documents) -> AsyncIterator[Stage]:
    """The demo's file, applied; every host's agent connected; no machine started."""
    asked = plan(documents)
    datacenter = Datacenter(on_legs=True)
    with tempfile.TemporaryDirectory(prefix="weft-demo-") as folder:
        service = SimulatedService(Path(folder))
        try:
            await service.begin()
            await apply(service.client, Documents(asked.resources))
            for host in asked.hosts:
                hypervisor = datacenter.add_host(host.name, [host.provider_address.partition("/")[0]])
                identity = AgentIdentity(host.name, f"{random.Random(host.number).getrandbits(64):x}", "simulated")
                service.employ(Agent(identity, OvsPlane(datacenter.switches[host.name]), hypervisor))
            await service.await_agents()
            guests = FakeGuests(datacenter)
            yield Stage(service.client, guests, guests, FakeFabric(datacenter), service)
        finally:
            await service.close()
