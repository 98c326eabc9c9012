"""An agent that only listens: joins the real feed as a server, acks every frame and counts the bytes it was sent."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from weft.bench.load import Address
from weft.bench.rows import Missing
from weft.wire.messages import PROTOCOL, Ack, Delta, Dropped, Facts, Full, Hello, Refused, ToAgent, Welcome

QUIET_S = 0.15
"""After so long without a frame, all frames of a change are taken to be here."""

_decode = msgspec.msgpack.Decoder(ToAgent).decode
_encode = msgspec.msgpack.Encoder().encode


class Listener:
    """Frames as they came: (message, bytes on the wire without TCP)."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.frames: list[tuple[Full | Delta | Dropped, int]] = []

    async def listen(self) -> None:
        """Until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            async for payload in self._socket:
                assert isinstance(payload, bytes)
                message = _decode(payload)
                if isinstance(message, Full | Delta):
                    applied = ((message.stream, message.sequence, message.revision),)
                    await self._socket.send(_encode(Ack(applied)))
                if isinstance(message, Full | Delta | Dropped):
                    self.frames.append((message, frame_bytes(len(payload))))

    async def settled(self) -> list[tuple[Full | Delta | Dropped, int]]:
        """Take the frames since the last call, once no more come."""
        count = -1
        while count != len(self.frames):
            count = len(self.frames)
            await asyncio.sleep(QUIET_S)
        found, self.frames = self.frames, []
        return found


def frame_bytes(payload: int) -> int:
    """A WebSocket frame from a server (RFC 6455 section 5.2): header of 2, 4 or 10 bytes, no mask."""
    return payload + (2 if payload < 126 else 4 if payload < 65536 else 10)


@contextlib.asynccontextmanager
async def listening(address: Address, server: str) -> AsyncIterator[Listener]:
    """Join as `server`. Raises Missing if the controller refuses."""
    url = f"ws://{address[0]}:{address[1]}/weft/v1/feed"
    async with connect(url, compression=None, max_size=None) as socket:
        await socket.send(_encode(Hello(PROTOCOL, server, f"bench-{server}", "")))
        welcome = _decode(await socket.recv(decode=False))
        if isinstance(welcome, Refused):
            raise Missing(welcome.reason)
        assert isinstance(welcome, Welcome)
        await socket.send(_encode(Facts()))
        listener = Listener(socket)
        task = asyncio.create_task(listener.listen())
        try:
            yield listener
        finally:
            await socket.close()
            await task
