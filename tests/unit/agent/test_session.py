"""Dialling the controller's feed over real sockets: reconnects, refusals, and a controller that is not there."""

import asyncio
import contextlib

import msgspec
import pytest
from websockets.asyncio.server import serve, unix_serve

from tests.unit.agent.policies import BLUE, HOSTS, RED, host_records, network_records
from weft.agent.agent import Agent
from weft.agent.link import Identity, RefusedByController
from weft.agent.ovs.plane import OvsPlane
from weft.agent.session import stay_connected
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.wire.messages import Ack, Full, Hello, Refused, ToController, Welcome

_decode = msgspec.msgpack.Decoder(ToController).decode
_encode = msgspec.msgpack.encode


class Controller:
    """Answers each connection with the next of `answers`, and keeps what it hears."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.heard = []
        self.paths = []
        self.acked = asyncio.Event()

    async def __call__(self, socket):
        self.paths.append(socket.request.path)
        self.heard.append(_decode(await socket.recv()))
        answer = self.answers.pop(0)
        for message in answer:
            await socket.send(_encode(message))
        if not isinstance(answer[0], Welcome):
            return
        if len(answer) == 1:
            return  # hangs up
        async for data in socket:
            if isinstance(_decode(data), Ack):
                self.acked.set()


WHOLE = (
    Welcome(1, "g1", "host1"),
    Full(0, 0, 10, tuple(host_records("host1"))),
    Full(BLUE, 0, 10, tuple(network_records(BLUE))),
    Full(RED, 0, 10, tuple(network_records(RED))),
)


@contextlib.asynccontextmanager
async def connected(url):
    agent = Agent(Identity("host1", "a1"), OvsPlane(FakeSwitch("host1", ProviderNetwork(), [HOSTS["host1"]])))
    working = asyncio.create_task(agent.run())
    session = asyncio.create_task(stay_connected(agent, url))
    try:
        yield session
    finally:
        for task in (working, session):
            task.cancel()
        await asyncio.gather(working, session, return_exceptions=True)


@pytest.mark.parametrize("scheme", ["http", "unix"])
async def test_the_feed_is_a_websocket_at_its_path(scheme, tmp_path):
    controller = Controller(WHOLE)
    if scheme == "unix":
        server = await unix_serve(controller, str(tmp_path / "s"))
        url = f"unix:{tmp_path / 's'}"
    else:
        server = await serve(controller, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, connected(url), asyncio.timeout(30):
        await controller.acked.wait()
    assert controller.paths == ["/weft/v1/feed"]
    assert isinstance(controller.heard[0], Hello)


async def test_it_comes_back_after_a_hang_up_and_a_refusal_that_may_pass(tmp_path):
    controller = Controller(WHOLE[:1], [Refused("no such server", True)], WHOLE)
    async with await unix_serve(controller, str(tmp_path / "s")):
        async with connected(f"unix:{tmp_path / 's'}"), asyncio.timeout(30):
            await controller.acked.wait()
    assert len(controller.heard) == 3


async def test_a_refusal_is_logged_when_it_begins_and_when_it_is_over(tmp_path, caplog):
    controller = Controller(*[[Refused("no such server", True)]] * 5, WHOLE)
    async with await unix_serve(controller, str(tmp_path / "s")):
        async with connected(f"unix:{tmp_path / 's'}"), asyncio.timeout(30):
            await controller.acked.wait()
    said = [record.getMessage() for record in caplog.records if record.name == "weft.agent.session"]
    assert len(said) == 2
    assert said[0] == "controller: no such server" and said[1].startswith("controller: well again")


async def test_it_waits_for_a_controller_that_is_not_there_yet(tmp_path):
    controller = Controller(WHOLE)
    async with connected(f"unix:{tmp_path / 's'}"), asyncio.timeout(30):
        await asyncio.sleep(0.3)
        async with await unix_serve(controller, str(tmp_path / "s")):
            await controller.acked.wait()


async def test_a_refusal_that_will_not_pass_ends_it(tmp_path):
    controller = Controller([Refused("protocol 9 is needed", False)])
    async with await unix_serve(controller, str(tmp_path / "s")):
        async with connected(f"unix:{tmp_path / 's'}") as session, asyncio.timeout(30):
            with pytest.raises(RefusedByController, match="protocol 9"):
                await session
