"""Keeps an agent connected: dials the controller's feed, serves the link, and dials again with growing pauses.

Called by run.py. `http://HOST:PORT` and `https://...` become the WebSocket at /weft/v1/feed; `unix:PATH` is the
controller's own socket. A refusal that will not pass ends it; anything else is tried for ever, for the host's flows do
not need the controller.
"""

import asyncio
import logging

import tenacity
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from weft.agent.agent import Agent
from weft.agent.link import RefusedByController
from weft.agent.trouble import Trouble

log = logging.getLogger(__name__)

FEED = "/weft/v1/feed"
MAX_FRAME = 1 << 30
"""A full state of a large network is one frame."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
SILENCE_SECONDS = 10.0
OPEN_SECONDS = 5.0


class SocketLink:
    """An agent's Link over one WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send(message)
        except ConnectionClosed as closed:
            raise ConnectionError(f"the controller hung up: {closed}") from closed

    async def receive(self) -> bytes:
        try:
            message = await self._socket.recv()
        except ConnectionClosed as closed:
            raise ConnectionError(f"the controller hung up: {closed}") from closed
        if isinstance(message, str):
            raise ConnectionError("the controller sent text where MessagePack was due")
        return message


def dial(controller: str) -> connect:
    """A connection not yet made, as an async context manager."""
    if controller.startswith("unix:"):
        return unix_connect(
            controller.removeprefix("unix:"),
            f"ws://localhost{FEED}",
            max_size=MAX_FRAME,
            compression=None,
            ping_interval=SILENCE_SECONDS,
            ping_timeout=SILENCE_SECONDS,
            open_timeout=OPEN_SECONDS,
        )
    return connect(
        controller.rstrip("/").replace("http", "ws", 1) + FEED,
        max_size=MAX_FRAME,
        compression=None,
        ping_interval=SILENCE_SECONDS,
        ping_timeout=SILENCE_SECONDS,
        open_timeout=OPEN_SECONDS,
        proxy=None,
    )


async def stay_connected(agent: Agent, controller: str) -> None:
    """Until cancelled. Raises RefusedByController if the controller's refusal will not pass by itself."""
    await agent.started.wait()
    trouble = Trouble(log, "controller")

    def tell(state: tenacity.RetryCallState) -> None:
        trouble.lasts(str(state.outcome.exception()) if state.outcome else "", _now())

    while True:
        attempts = tenacity.AsyncRetrying(
            wait=tenacity.wait_random_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE, min=FIRST_PAUSE),
            retry=tenacity.retry_if_exception(_may_pass),
            before_sleep=tell,
            reraise=True,
        )
        await attempts(_once, agent, controller, trouble)
        await asyncio.sleep(FIRST_PAUSE)


async def _once(agent: Agent, controller: str, trouble: Trouble) -> None:
    """One connection, from dialling to its end; returns if it was a good one, so that the next pause is short."""
    async with dial(controller) as socket:
        try:
            await agent.serve(SocketLink(socket), lambda: trouble.over(_now()))
        except ConnectionError as broken:
            trouble.lasts(str(broken), _now())


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, RefusedByController):
        return error.retry
    return isinstance(error, OSError | TimeoutError | InvalidHandshake | ConnectionClosed)


def _now() -> float:
    return asyncio.get_running_loop().time()
