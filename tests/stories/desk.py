"""A desk in front of a whole cluster in one process: the real controller on SQLite, served over a unix socket, real
agents on fake switches and fake machines. Stories are told through its public API and by what guests see.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.stories.bodies import network_body, provider_subnet
from tests.stories.events import SOON_S, Events
from weft.agent.agent import Agent, Identity
from weft.agent.memory import Memory
from weft.agent.ovs.plane import OvsPlane
from weft.agent.session import stay_connected
from weft.api.serve import Listen, serve
from weft.control.controller import Controller
from weft.fakes.datacenter import Datacenter
from weft.fakes.edge import FakeEdge
from weft.fakes.guest import Adapter
from weft.fakes.outside import ProviderLan
from weft.fakes.switch import FakeSwitch
from weft.model.values import pack_ip, parse_mac

NETWORKS = {"blue": ("10.1.1.0/24", 6001), "red": ("10.1.1.0/24", 5001)}
MAC_POOL = ("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1F-FF")


class RealClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


def new_id() -> str:
    return str(uuid.uuid4())


class Desk:
    """Starts empty; `cluster` puts a fabric and two tenants on it."""

    def __init__(self, folder: Path) -> None:
        self.kind = "fake"
        """What agents that are started say that they drive."""
        self._folder = folder
        self.socket = folder / "weft.sock"
        self.center = Datacenter()
        self.edges: dict[str, FakeEdge] = {}
        """What makes the edges of each host, which the host's agent drives."""
        self.lans: dict[str, ProviderLan] = {}
        """The provider network as the host's agent asks it; of a host without one it asks nothing."""
        self._agents: dict[str, asyncio.Task[None]] = {}
        self._asking: set[asyncio.Task[httpx.Response]] = set()
        """Requests in the background that have no answer yet."""
        self._closing = contextlib.AsyncExitStack()

    async def open(self) -> None:
        controller = Controller.open(self._folder / "data", RealClock(), new_id)
        self._closing.callback(controller.close)
        await self._closing.enter_async_context(controller.running())
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(controller, Listen(None, self.socket), new_id, stop=stop))

        async def end() -> None:
            stop.set()
            await serving

        self._closing.push_async_callback(end)
        self.http = httpx.AsyncClient(
            # a connection for each request: where a whole cluster shares this loop, the server leaves idle ones
            transport=httpx.AsyncHTTPTransport(uds=str(self.socket), limits=httpx.Limits(max_keepalive_connections=0)),
            base_url="http://weft",
            timeout=60,
        )
        self._closing.push_async_callback(self._hang_up)
        await self.eventually(self._ready)

    async def _ready(self) -> bool:
        try:
            return (await self.http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def _hang_up(self) -> None:
        """Requests under way end first: a connection that comes to be after its client is closed is never closed."""
        for asking in self._asking:
            asking.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        await self.http.aclose()

    async def close(self) -> None:
        for host in list(self._agents):
            await self.kill_agent(host)
        await self._closing.aclose()

    async def restart(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """The controller ends and comes back on the same store; agents stay. `meanwhile` is done in between."""
        await self._closing.aclose()
        meanwhile()
        self._closing = contextlib.AsyncExitStack()
        await self.open()

    # What is asked of the API.

    async def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, path, json=body)

    async def _accepted(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self._call(method, path, body)
        assert answer.status_code in (200, 201, 204), (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def get(self, path: str) -> Any:
        return await self._accepted("GET", path)

    async def put(self, path: str, body: Any) -> Any:
        return await self._accepted("PUT", path, body)

    async def post(self, path: str, body: Any) -> Any:
        return await self._accepted("POST", path, body)

    async def delete(self, path: str) -> None:
        await self._accepted("DELETE", path)

    async def refused(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """The error of a request that must not pass."""
        answer = await self._call(method, path, body)
        assert answer.status_code >= 400, (method, path, answer.status_code, answer.text)
        assert status is None or answer.status_code == status, (answer.status_code, answer.text)
        assert answer.status_code != 500, answer.text
        error = answer.json()["error"]
        assert error["message"]
        return error

    async def exists(self, path: str) -> bool:
        return (await self._call("GET", path)).status_code == 200

    def background(self, method: str, path: str, body: Any = None) -> "asyncio.Task[httpx.Response]":
        """A request whose answer nobody waits for yet; it ends with the controller, answered or not."""
        asking = asyncio.create_task(self._call(method, path, body))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return asking

    async def missing(self, path: str) -> None:
        assert (await self._call("GET", path)).status_code == 404

    # What a cluster is made of.

    async def cluster(
        self,
        *,
        hosts: int = 2,
        mac_pool: tuple[str, str] = MAC_POOL,
        excluded: Sequence[dict[str, str]] = (),
        networks: dict[str, tuple[str, int]] = NETWORKS,
        provider: tuple[str, str] | None = None,
        provider_pool: tuple[str, str] | None = None,
    ) -> None:
        """Source 004's fabric: hosts on provider subnets of their own, tenants Blue and Red with equal prefixes."""
        await self.put(
            "/networking/v1/virtualNetworkManager/configuration",
            {"properties": {"networkVirtualizationProtocol": "NVGRE"}},
        )
        pool = {"startMacAddress": mac_pool[0], "endMacAddress": mac_pool[1], "excluded": list(excluded)}
        await self.put("/networking/v1/macPools/pool1", {"properties": pool})
        places = [(f"192.168.{n}.0/24", f"192.168.{n}.{min(n, 9)}0") for n in range(1, hosts + 1)]
        if provider is not None:
            places = [provider]
        if provider_pool is not None:
            places = [(f"{provider_pool[0].rpartition('.')[0]}.0/24", provider_pool[0])]
        subnets = [provider_subnet(n, prefix, provider_pool) for n, (prefix, _) in enumerate(places, 1)]
        await self.put(
            "/networking/v1/logicalNetworks/hnvpa",
            {"properties": {"networkVirtualizationEnabled": True, "subnets": subnets}},
        )
        for n, (_, address) in enumerate(places, 1):
            await self.put(f"/networking/v1/servers/host{n}", {"properties": {"providerAddresses": [address]}})
            self._add_host(f"host{n}", address)
            await self.start_agent(f"host{n}")
        for name, (prefix, vsid) in networks.items():
            space = f"{'.'.join(prefix.split('.')[:2])}.0.0/16"
            web = {"resourceId": "web", "properties": {"addressPrefix": prefix, "virtualSubnetId": vsid}}
            await self.put(f"/networking/v1/virtualNetworks/{name}", network_body(space, [web]))

    @staticmethod
    def nic_body(network: str, subnet: str, mac: str | None = None, ip: str | bool | None = None) -> dict[str, Any]:
        """`ip` False: no ipConfiguration; None: Dynamic."""
        properties: dict[str, Any] = {"privateMacAllocationMethod": "Static" if mac else "Dynamic"}
        if mac:
            properties["privateMacAddress"] = mac
        if ip is not False:
            address = {"privateIPAllocationMethod": "Static", "privateIPAddress": ip} if ip else {}
            subnet_ref = {"subnet": {"resourceRef": f"/virtualNetworks/{network}/subnets/{subnet}"}}
            configuration = {"privateIPAllocationMethod": "Dynamic", **address, **subnet_ref}
            properties["ipConfigurations"] = [{"resourceId": "ip1", "properties": configuration}]
        return {"properties": properties}

    async def nic(
        self, name: str, network: str, subnet: str, mac: str | None = None, ip: str | bool | None = None
    ) -> Any:
        return await self.put(f"/networking/v1/networkInterfaces/{name}", self.nic_body(network, subnet, mac, ip))

    async def vm(self, name: str, host: str, interfaces: Sequence[str]) -> Any:
        refs = [{"resourceRef": f"/networkInterfaces/{interface}"} for interface in interfaces]
        properties = {"server": {"resourceRef": f"/servers/{host}"}, "networkInterfaces": refs}
        return await self.put(f"/weft/v1/virtualMachines/{name}", {"properties": properties})

    async def act(self, machine: str, action: str, body: Any = None) -> Any:
        """A machine's action; the properties of the machine that it answers."""
        answered = await self.post(f"/weft/v1/virtualMachines/{machine}/{action}", body or {})
        return answered["properties"]

    async def machine(self, name: str, host: str, network: str = "blue", start: bool = True, **addresses: Any) -> str:
        """A machine with one interface NAME-eth0 in subnet web; its MAC address."""
        nic = await self.nic(f"{name}-eth0", network, "web", **addresses)
        await self.vm(name, host, [f"{name}-eth0"])
        if start:
            await self.act(name, "start")
        return str(nic["properties"]["privateMacAddress"])

    async def ip(self, interface: str) -> str:
        nic = await self.get(f"/networking/v1/networkInterfaces/{interface}")
        return str(nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])

    async def address(self, address: str) -> Any:
        """What the ledger says of an address that one network knows."""
        (found,) = (await self.get(f"/weft/v1/addresses/{address}"))["value"]
        return found

    async def counts(self, pool: str = "macPools/pool1") -> dict[str, int]:
        """Addresses by state, those states that have any; they add up."""
        usage = await self.get(f"/weft/v1/{pool}/usage")
        states = ("free", "assigned", "retained", "cooling", "reserved", "foreign")
        assert sum(usage[state] for state in states) == usage["capacity"]
        return {state: usage[state] for state in states if usage[state]}

    async def conflicts(self, kind: str) -> list[Any]:
        return list((await self.get(f"/weft/v1/conflicts?kind={kind}"))["value"])

    async def mac(self, interface: str) -> str:
        nic = await self.get(f"/networking/v1/networkInterfaces/{interface}")
        return str(nic["properties"]["privateMacAddress"])

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[Events]:
        async with self.http.stream("GET", "/weft/v1/watch") as answer:
            events = Events(answer)
            await events.until(lambda text: "connected" in text)
            yield events

    # Waiting is on states, never on sleeps.

    @staticmethod
    async def eventually(so: Callable[[], Awaitable[bool]]) -> None:
        until = time.monotonic() + SOON_S
        while not await so():
            assert time.monotonic() < until, f"{so} did not come to be in {SOON_S:g} s"
            await asyncio.sleep(0.01)

    # What hosts and guests do.

    def _add_host(self, host: str, provider_address: str) -> None:
        self.center.add_host(host, [provider_address])

    def _new_agent(self, host: str, memory: Memory) -> Agent:
        outside = self.lans[host].outside() if host in self.lans else None
        plane = OvsPlane(self.center.switches[host], edge=self.edges.setdefault(host, FakeEdge()), outside=outside)
        return Agent(Identity(host, new_id(), self.kind), plane, self.center.hypervisors[host], memory)

    async def start_agent(self, host: str) -> None:
        agent = self._new_agent(host, Memory(self._folder / host))
        self._agents[host] = asyncio.create_task(self._run_agent(agent), name=f"agent of {host}")
        await self.eventually(lambda: self._connected(host))

    async def _run_agent(self, agent: Agent) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(agent.run())
            both.create_task(stay_connected(agent, f"unix:{self.socket}"))

    async def _connected(self, host: str) -> bool:
        return bool((await self.get(f"/weft/v1/servers/{host}/state"))["connected"])

    async def kill_agent(self, host: str) -> None:
        agent = self._agents.pop(host)
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)

    async def applied(self, host: str) -> bool:
        """Whether the host is connected and has applied everything."""
        state = await self.get(f"/weft/v1/servers/{host}/state")
        return bool(state["connected"]) and state["lag"] == 0

    async def drifted(self, host: str) -> bool:
        return bool((await self.get(f"/weft/v1/servers/{host}/state"))["drift"])

    async def failing(self, interface: str) -> bool:
        nic = await self.get(f"/networking/v1/networkInterfaces/{interface}")
        return bool(nic["properties"].get("configurationState", {}).get("status") == "Failure")

    async def answers(self, machine: str, address: str) -> list[str]:
        """The machines that a ping from `machine` reached; empty if no answer came back to it."""
        self.center.reached.clear()
        if not self.center.ping(machine, address).received:
            return []
        return sorted({name for name, _ in self.center.reached} - {machine})

    async def eventually_answers(self, machine: str, address: str, names: list[str]) -> None:
        async def so() -> bool:
            return await self.answers(machine, address) == names

        await self.eventually(so)

    def resolves(self, machine: str, address: str) -> bool:
        """Whether the machine's host answers its ARP request for the address."""
        return self.center.resolve(machine, pack_ip(address)) is not None

    def tunnelled(self) -> int:
        """Packets that crossed the provider network."""
        return len(self.center.network.seen)

    def mute(self, machine: str) -> None:
        """A firewall inside the guest drops everything."""
        self.center.guests[machine].silent = True

    def _port_of(self, machine: str) -> tuple[FakeSwitch, Adapter]:
        guest = self.center.guests[machine]
        return self.center.switches[guest.host], guest.adapters[0]

    def replug(self, machine: str, *, instance_id: str | None = None, mac: str | None = None) -> None:
        """By hand: the machine's port comes back with another interface's id, or another MAC."""
        switch, adapter = self._port_of(machine)
        switch.unplug(adapter.name)
        switch.plug(adapter.name, instance_id or adapter.instance_id, parse_mac(mac) if mac else adapter.mac)

    def stranger(self, host: str, mac: str, port: str = "vnet9") -> None:
        """Somebody that Weft does not know plugs an adapter with this address into a host's switch."""
        self.center.switches[host].plug(port, "", parse_mac(mac))

    def stranger_leaves(self, host: str, port: str = "vnet9") -> None:
        self.center.switches[host].unplug(port)

    def tamper(self, host: str) -> None:
        """By hand: half of the flows are deleted."""
        switch = self.center.switches[host]
        for flow in list(switch.flows())[::2]:
            switch.take_flow(flow.key)

    async def crash(self, host: str) -> None:
        """A host dies: agent, switch and machines end."""
        await self.kill_agent(host)
        for guest in self.center.guests.values():
            if guest.host == host:
                guest.host = ""
                for adapter in guest.adapters:
                    self.center.switches[host].unplug(adapter.name)

    async def reboot(self, host: str) -> None:
        """Agent, switch and machines of a host end and come up with nothing but what is on disk."""
        await self.crash(host)
        self.center.switches[host].restart()
        await self.start_agent(host)
