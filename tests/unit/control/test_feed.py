"""An agent's connection from Hello to its end: who comes in, who is sent away, and who ends alone."""

import asyncio

import msgspec
import pytest

from tests.cluster.control import settle
from tests.cluster.feed_agent import FeedAgent
from tests.unit.control.feed import agents, controller, rdid
from weft.control.controller import Controller
from weft.wire.messages import HANDS, HOST_STREAM, PROTOCOL, Ack, Hello, Refused, ToAgent, Welcome

__all__ = ["agents", "controller"]

_decode = msgspec.msgpack.Decoder(ToAgent).decode
_encode = msgspec.msgpack.Encoder().encode


class Wire:
    """A connection as the API hands it over."""

    def __init__(self, *messages: object):
        self.sent: list[object] = []
        self._messages = asyncio.Queue[bytes | None]()
        for message in messages:
            self.say(message)

    def say(self, message: object) -> None:
        raw = message is None or isinstance(message, bytes)
        self._messages.put_nowait(message if raw else _encode(message))

    async def receive(self) -> bytes | None:
        return await self._messages.get()

    async def send(self, frame: bytes) -> None:
        self.sent.append(_decode(frame))


async def test_a_whole_conversation(controller: Controller) -> None:
    wire = Wire(Hello(PROTOCOL, "HOST1", "me", ""))
    serving = asyncio.create_task(controller.serve_agent(wire.receive, wire.send))
    await settle()
    assert wire.sent[0] == Welcome(PROTOCOL, controller.publisher.generation, "host1", (HANDS,))
    assert [message.stream for message in wire.sent[1:]] == [HOST_STREAM, rdid(controller)]
    wire.say(Ack(tuple((m.stream, m.sequence, m.revision) for m in wire.sent[1:])))
    await settle()
    assert controller.host("host1").lag == 0
    wire.say(None)
    await serving
    assert not controller.host("host1").connected


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (Hello(PROTOCOL, "host9", "me", ""), "no server"),
        (Hello(99, "host1", "me", ""), "protocol"),
        (Ack(()), "Hello comes first"),
        (b"\xc1 not msgpack", "no Hello"),
    ],
)
async def test_who_cannot_come_in_hears_why(controller: Controller, first: object, why: str) -> None:
    wire = Wire(first)
    await controller.serve_agent(wire.receive, wire.send)
    [refused] = wire.sent
    assert isinstance(refused, Refused) and why in refused.reason


async def test_a_rude_agent_ends_its_own_session_only(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    await agents["host1"].disconnect()
    wire = Wire(Hello(PROTOCOL, "host1", "me", ""), b"\xc1 not msgpack")
    await controller.serve_agent(wire.receive, wire.send)
    assert not controller.host("host1").connected
    assert controller.host("host2").connected


async def test_a_connection_that_breaks_while_sending_ends_quietly(controller: Controller) -> None:
    wire = Wire(Hello(PROTOCOL, "host1", "me", ""))

    async def broken(frame: bytes) -> None:
        raise ConnectionResetError("gone")

    await controller.serve_agent(wire.receive, broken)
    assert not controller.host("host1").connected
