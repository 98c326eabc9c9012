"""Over real sockets: where the service listens, the agents' feed, the watch."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.unit.api.conftest import BLUE, PROVIDER_NETWORK, N, W, interface_in, machine_with, server_on
from weft.api.serve import AddressTaken, Listen, open_sockets, serve
from weft.control.controller import Controller
from weft.model.errors import Invalid
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.wire.messages import (
    HANDS,
    PROTOCOL,
    Ack,
    Facts,
    Full,
    Hello,
    MachineFact,
    PortFact,
    Refused,
    ToAgent,
    Welcome,
)

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(ToAgent).decode


class Served:
    """A controller that is served on a unix socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.stop = asyncio.Event()
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://weft", timeout=60)

    async def put(self, path: str, properties: Any, **query: str) -> httpx.Response:
        return await self.http.put(path, json={"properties": properties}, params=query)

    def feed(self) -> Any:
        return unix_connect(str(self.path), "ws://weft/weft/v1/feed")


@pytest.fixture
async def served(controller: Controller, tmp_path: Path) -> AsyncIterator[Served]:
    found = Served(tmp_path / "weft.sock")
    numbers = itertools.count(1)
    listen = Listen("127.0.0.1:0", found.path)
    running = asyncio.create_task(
        serve(controller, listen, lambda: f"r{next(numbers)}", found.lines.append, found.stop)
    )
    async with asyncio.timeout(30):
        while True:
            try:
                if (await found.http.get("/healthz")).status_code == 200:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
    yield found
    await found.http.aclose()
    found.stop.set()
    async with asyncio.timeout(30):
        await running
    assert not found.path.exists()


@pytest.fixture
async def cluster(served: Served) -> Served:
    await served.put(
        f"{N}/macPools/pool1", {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
    )
    await served.put(f"{N}/logicalNetworks/hnvpa", PROVIDER_NETWORK)
    await served.put(f"{N}/servers/host1", server_on("pa1"))
    await served.put(f"{N}/virtualNetworks/blue", BLUE)
    await served.put(f"{N}/networkInterfaces/n1", interface_in())
    assert (await served.put(f"{W}/virtualMachines/vm1", machine_with("n1"))).status_code == 201
    return served


async def hello(socket: ClientConnection, server: str = "host1", protocol: int = PROTOCOL) -> Any:
    await socket.send(encode(Hello(protocol, server, "agent1", "")))
    return decode(await socket.recv(decode=False))


async def ack(socket: ClientConnection, frames: int) -> list[Full]:
    """Take so many frames and say that they are applied."""
    found = [decode(await socket.recv(decode=False)) for _ in range(frames)]
    await socket.send(encode(Ack(tuple((each.stream, each.sequence, each.revision) for each in found))))
    return found


class TestFeed:
    async def test_an_agent_gets_its_streams(self, cluster: Served, controller: Controller) -> None:
        async with cluster.feed() as socket:
            welcome = await hello(socket, "HOST1")
            assert welcome == Welcome(PROTOCOL, controller.publisher.generation, "host1", (HANDS,))
            streams = {frame.stream for frame in await ack(socket, 2)}
            assert 0 in streams and len(streams) == 2
            state = (await cluster.http.get(f"{W}/servers/host1/state")).json()
            assert (state["managed"], state["connected"]) == (True, True)
        async with asyncio.timeout(30):
            while (await cluster.http.get(f"{W}/servers/host1/state")).json()["connected"]:
                await asyncio.sleep(0.02)

    @pytest.mark.parametrize(("server", "protocol"), [("nobody", PROTOCOL), ("host1", PROTOCOL + 1)])
    async def test_who_may_not_join_hears_why(self, cluster: Served, server: str, protocol: int) -> None:
        async with cluster.feed() as socket:
            answer = await hello(socket, server, protocol)
            assert isinstance(answer, Refused) and answer.reason
            with pytest.raises(ConnectionClosed):
                await socket.recv()

    async def test_noise_is_refused(self, cluster: Served) -> None:
        async with cluster.feed() as socket:
            await socket.send("what?")
            assert isinstance(decode(await socket.recv(decode=False)), Refused)

    async def test_another_socket_path_is_closed(self, cluster: Served) -> None:
        with pytest.raises(Exception, match="403"):
            async with unix_connect(str(cluster.path), "ws://weft/weft/v1/other"):
                pass

    @pytest.mark.parametrize("origin", ["http://evil.example", "null"])
    async def test_a_web_page_cannot_join(self, cluster: Served, controller: Controller, origin: str) -> None:
        with pytest.raises(InvalidStatus, match="403"):
            async with unix_connect(str(cluster.path), "ws://weft/weft/v1/feed", origin=Origin(origin)):
                pass
        assert not controller.host("host1").managed

    async def test_a_name_that_is_not_this_machine_is_no_feed(self, cluster: Served) -> None:
        address = next(line for line in cluster.lines if "http://" in line).rpartition("http://")[2]
        host, _, port = address.partition(":")
        with pytest.raises(InvalidStatus, match="403"):
            async with connect("ws://evil.example/weft/v1/feed", host=host, port=int(port), proxy=None):
                pass

    async def test_wait_hosts_waits_and_names_who_lags(self, cluster: Served) -> None:
        async with cluster.feed() as socket:
            await hello(socket)
            await ack(socket, 2)
            wanted = {**BLUE, "subnets": [*BLUE["subnets"], _subnet("db", "10.1.2.0/24")]}
            late = await cluster.put(f"{N}/virtualNetworks/blue", wanted, wait="hosts", timeout="0.2")
            assert (late.status_code, late.json()["error"]["code"]) == (504, "HostsLag")
            assert "host1" in late.json()["error"]["message"]
            waiting = asyncio.create_task(cluster.put(f"{N}/virtualNetworks/blue", BLUE, wait="hosts", timeout="60"))
            await ack(socket, 2)
            assert (await waiting).status_code == 200

    async def test_configuration_state_follows_the_host(self, cluster: Served) -> None:
        interface = f"{N}/networkInterfaces/n1"
        assert "configurationState" not in (await cluster.http.get(interface)).json()["properties"]
        await cluster.http.post(f"{W}/virtualMachines/vm1/start", json={})
        async with cluster.feed() as socket:
            await hello(socket)
            assert await self._status(cluster, interface) == ("InProgress", [])
            await ack(socket, 2)
            own = (await cluster.http.get(interface)).json()["instanceId"]
            await self._say(socket, PortFact(own, "closed", "its MAC is another"))
            assert await self._until(cluster, interface, "Failure") == ["PortBlocked"]
            network = (await cluster.http.get(f"{N}/virtualNetworks/blue")).json()["properties"]["configurationState"]
            assert network["virtualNetworkInterfaceErrors"][0]["id"] == own
            asked = {"from": {"resourceRef": "/networkInterfaces/n1"}, "to": "10.1.1.9"}
            traced = (await cluster.http.post(f"{W}/trace", json=asked)).json()
            assert traced["reason"] == "the port of n1 is closed: its MAC is another"
            await self._say(socket, PortFact(own, "bound"))
            assert await self._until(cluster, interface, "Success") == []
        assert await self._until(cluster, interface, "Failure") == ["HostNotConnectedToController"]
        assert await self._until(cluster, f"{N}/servers/host1", "Failure") == ["HostNotConnectedToController"]

    async def test_what_only_the_hypervisor_knows_of_is_foreign_in_the_hosts_range(self, cluster: Served) -> None:
        own = {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-00-FF"}
        server = (await cluster.http.get(f"{N}/servers/host1")).json()["properties"]
        await cluster.put(f"{N}/servers/host1", {**server, "dynamicMacRange": own})
        stranger = MachineState("", "Off", id="X", name="desk 7", adapters=(AdapterState(0x00155D000007),))
        told = HypervisorState((stranger,), dynamic_range=(0x00155D000000, 0x00155D0000FF))
        async with cluster.feed() as socket:
            await hello(socket)
            await socket.send(encode(Facts(hypervisor=told)))
            async with asyncio.timeout(30):
                while (await cluster.http.get(f"{W}/servers/host1/usage")).json()["foreign"] != 1:
                    await asyncio.sleep(0.02)
            (found,) = (await cluster.http.get(f"{W}/servers/host1/addresses?state=foreign")).json()["value"]
            assert (found["address"], found["reason"]) == ("00-15-5D-00-00-07", "desk 7 on /servers/host1")
            assert (await cluster.http.get(f"{W}/servers/host1/state")).json()["dynamicRange"]["drawn"] == own

    async def _say(self, socket: ClientConnection, port: PortFact) -> None:
        await socket.send(encode(Facts(machines=(MachineFact("vm1", "Running"),), ports=(port,))))

    async def _status(self, cluster: Served, path: str) -> tuple[str, list[str]]:
        state = (await cluster.http.get(path)).json()["properties"]["configurationState"]
        return state["status"], [each["code"] for each in state["detailedInfo"]]

    async def _until(self, cluster: Served, path: str, wanted: str) -> list[str]:
        async with asyncio.timeout(30):
            while True:
                status, codes = await self._status(cluster, path)
                if status == wanted:
                    return codes
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def ended(served: Served) -> AsyncIterator[None]:
    """The service is told to end as the block begins, and has ended when it is left."""
    served.stop.set()
    yield
    async with asyncio.timeout(30):
        while served.path.exists():
            await asyncio.sleep(0.02)


class TestEnding:
    """A request is under way, which a host keeps waiting, when the controller is told to end."""

    async def _waiting(self, cluster: Served, socket: ClientConnection) -> "asyncio.Task[httpx.Response]":
        await hello(socket)
        await ack(socket, 2)
        wanted = {**BLUE, "subnets": [*BLUE["subnets"], _subnet("db", "10.1.2.0/24")]}
        asking = asyncio.create_task(cluster.put(f"{N}/virtualNetworks/blue", wanted, wait="hosts", timeout="60"))
        async with asyncio.timeout(30):
            while b"10.1.2.0" not in (await cluster.http.get(f"{N}/virtualNetworks/blue")).content:
                await asyncio.sleep(0.02)
        return asking

    async def test_what_is_done_soon_is_answered(self, cluster: Served) -> None:
        async with cluster.feed() as socket:
            asking = await self._waiting(cluster, socket)
            async with ended(cluster):
                await ack(socket, 1)
                assert (await asking).status_code == 200

    async def test_what_is_not_hears_when_to_ask_again(self, cluster: Served) -> None:
        async with cluster.feed() as socket:
            asking = await self._waiting(cluster, socket)
            async with ended(cluster):
                answer = await asking
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["error"]["code"] == "ControllerEnding"


def _subnet(name: str, prefix: str) -> dict[str, Any]:
    return {"resourceId": name, "properties": {"addressPrefix": prefix}}


class TestWatch:
    async def _events(
        self, served: Served, query: str, count: int, connected: asyncio.Event | None = None
    ) -> list[tuple[str, Any]]:
        connected = connected or asyncio.Event()
        found: list[tuple[str, Any]] = []
        cursor = ""
        async with asyncio.timeout(30), served.http.stream("GET", f"{W}/watch{query}") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                if line == ": connected":
                    connected.set()
                elif line.startswith("id: "):
                    cursor = line[4:]
                elif line.startswith("data: "):
                    found.append((cursor, msgspec.json.decode(line[6:])))
                    if len(found) == count:
                        return found
        return found

    async def test_everything_since_a_cursor(self, cluster: Served, controller: Controller) -> None:
        events = await self._events(cluster, f"?after={controller.generation}:0", controller.state.revision)
        assert [event["revision"] for _, event in events] == list(range(1, controller.state.revision + 1))
        assert events[0][0] == f"{controller.generation}:1"
        assert events[0][1]["changes"][0]["resourceRef"] == "/macPools/pool1"
        assert "routingDomainNumber" not in str(events)

    async def test_what_comes_from_now_on(self, cluster: Served) -> None:
        connected = asyncio.Event()
        watching = asyncio.create_task(self._events(cluster, "", 1, connected))
        await connected.wait()
        await cluster.put(f"{N}/networkInterfaces/n2", interface_in())
        ((_, event),) = await watching
        assert event["actors"] == ["operator"]
        assert {change.get("address") for change in event["changes"]} >= {"10.1.1.3"}

    async def test_who_leaves_is_forgotten(self, cluster: Served) -> None:
        before = len(asyncio.all_tasks())
        for _ in range(3):
            async with cluster.http.stream("GET", f"{W}/watch") as response:
                assert await anext(response.aiter_lines()) == ": connected"
        async with asyncio.timeout(30):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.02)

    @pytest.mark.parametrize(("cursor", "status"), [("other:1", 410), ("nonsense", 400), ("x:y", 400)])
    async def test_cursors_refused(self, cluster: Served, cursor: str, status: int) -> None:
        response = await cluster.http.get(f"{W}/watch", params={"after": cursor})
        assert response.status_code == status

    async def test_a_cursor_of_the_future_is_compacted(self, cluster: Served, controller: Controller) -> None:
        response = await cluster.http.get(f"{W}/watch", params={"after": f"{controller.generation}:99999"})
        assert (response.status_code, response.json()["error"]["code"]) == (410, "Compacted")


class TestListening:
    async def test_it_says_where_and_for_whom(self, served: Served) -> None:
        assert served.lines[0].startswith("serving on http://127.0.0.1:")
        assert "no certificate" in served.lines[1]
        assert served.lines[2] == f"serving on unix:{served.path}"
        assert served.path.stat().st_mode & 0o777 == 0o600

    async def test_tcp_answers_too(self, served: Served) -> None:
        async with httpx.AsyncClient(base_url=served.lines[0].split()[-1], trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/healthz", headers={"host": "evil.example"})).status_code == 403

    @pytest.mark.parametrize("where", ["0.0.0.0:8470", "[::]:8470", "10.1.2.3:80", "example.org:80"])
    def test_nowhere_but_loopback(self, where: str) -> None:
        with pytest.raises(Invalid, match="certificates"):
            open_sockets(Listen(where))

    @pytest.mark.parametrize("where", ["8470", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", ":1"])
    def test_addresses_that_are_none(self, where: str) -> None:
        with pytest.raises(Invalid):
            open_sockets(Listen(where))

    def test_a_taken_port_is_named_with_what_to_do(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            with pytest.raises(AddressTaken, match=f"127.0.0.1:{port} is taken.*--listen"):
                open_sockets(Listen(f"127.0.0.1:{port}", tmp_path / "weft.sock"))
        assert not (tmp_path / "weft.sock").exists()

    def test_who_comes_once_it_is_said_is_let_in_and_a_second_controller_is_not(self) -> None:
        (first,) = open_sockets(Listen("127.0.0.1:0"))
        host, port = first.getsockname()
        with first, socket.create_connection((host, port)), pytest.raises(AddressTaken):
            open_sockets(Listen(f"{host}:{port}"))

    def test_a_dead_controller_socket_is_replaced_and_a_living_one_is_not(self, tmp_path: Path) -> None:
        path = tmp_path / "weft.sock"
        (first,) = open_sockets(Listen(None, path))
        first.close()
        (second,) = open_sockets(Listen(None, path))
        with pytest.raises(AddressTaken, match="another controller"):
            open_sockets(Listen(None, path))
        second.close()

    def test_a_file_in_the_way_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "weft.sock"
        path.write_text("mine")
        with pytest.raises(Invalid):
            open_sockets(Listen(None, path))
        assert path.read_text() == "mine"

    def test_a_path_too_long_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="too long"):
            open_sockets(Listen(None, tmp_path / ("x" * 120)))
