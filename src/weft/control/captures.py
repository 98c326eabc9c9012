"""Captures of packets that somebody at the API follows: asks a host's agent, and hands on what it sends.

Called by the API; told by the publisher what agents send. A capture ends with its bounds, its reader, its agent's
connection or the controller, whichever is first.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator

import msgspec

from weft.control.publisher import Publisher
from weft.core import pcap
from weft.model.errors import Conflict, NotReady
from weft.wire.messages import CAPTURE, Capture, Captured, CaptureEnd

BEGIN_S = 5.0
LOOK_S = 1.0
"""The agent's connection is looked after so often while nothing comes."""
MOST_WAITING = 256
"""Pieces that wait for a slow reader; what is more is passed over."""
GRACE_S = 5.0


class Captures:
    """One per controller."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._numbers = itertools.count(1)
        self._readers: dict[int, asyncio.Queue[Captured]] = {}
        publisher.captured = self._captured

    async def begin(self, server: str, asked: Capture) -> AsyncGenerator[bytes, None]:
        """A pcap file piece by piece, once the agent has begun. Raises NotReady, Conflict (with the agent's words)."""
        session = self._publisher.session(server)
        asked = msgspec.structs.replace(asked, number=next(self._numbers))
        if session is None:
            raise NotReady(f"No agent is connected for /servers/{self._publisher.spelled(server)}.", target="server")
        queue: asyncio.Queue[Captured] = asyncio.Queue(MOST_WAITING)
        self._readers[asked.number] = queue
        try:
            if not session.say(asked, CAPTURE):
                raise NotReady(f"The agent of {session.server} is too old to capture: upgrade it.", target="server")
            async with asyncio.timeout(BEGIN_S):
                first = await queue.get()
        except TimeoutError:
            self._end(server, asked.number)
            raise NotReady(f"The agent of {session.server} did not begin in {BEGIN_S:g} s.", target="server") from None
        except BaseException:
            self._end(server, asked.number)
            raise
        if first.ended:
            self._end(server, asked.number)
            raise Conflict(f"{self._publisher.spelled(server)}: {first.failure}.", target="interface")
        return self._pieces(server, asked, queue)

    async def _pieces(
        self, server: str, asked: Capture, queue: "asyncio.Queue[Captured]"
    ) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        session, until = self._publisher.session(server), loop.time() + asked.seconds + GRACE_S
        try:
            yield pcap.header(asked.snap)
            while loop.time() < until and session is not None and self._publisher.session(server) is session:
                try:
                    async with asyncio.timeout(LOOK_S):
                        piece = await queue.get()
                except TimeoutError:
                    continue
                if piece.content:
                    yield piece.content
                if piece.ended:
                    return
        finally:
            self._end(server, asked.number)

    def _end(self, server: str, number: int) -> None:
        self._readers.pop(number, None)
        session = self._publisher.session(server)
        if session is not None:
            session.say(CaptureEnd(number), CAPTURE)

    def _captured(self, piece: Captured) -> None:
        queue = self._readers.get(piece.number)
        if queue is None:
            return
        if queue.full():
            # a slow reader must not hold up the feed; the last word finds room
            queue.get_nowait()
        queue.put_nowait(piece)
