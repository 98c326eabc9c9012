"""The controller's end of one agent's connection, from Hello to the last frame, over any transport.

Called by the API's feed socket and by tests with a pair of queues. Returns when the connection ends, for whatever
reason; a broken or rude agent ends its own session and no other.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from weft.control.publisher import FeedRefused, Publisher
from weft.control.session import Send, Session
from weft.model.errors import StoreUnavailable
from weft.wire.messages import HANDS, PROTOCOL, Hello, Refused, ToController, Welcome

log = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[bytes | None]]
"""The next message of the agent; None when it has gone."""

_encode = msgspec.msgpack.Encoder().encode
_message: Callable[[bytes], Any] = msgspec.msgpack.Decoder(ToController).decode


async def serve_agent(publisher: Publisher, receive: Receive, send: Send, wall: Callable[[], float]) -> None:
    """Hold one agent's session: Hello, then Welcome or Refused, then the streams until either side ends it."""
    first = await receive()
    if first is None:
        return
    try:
        session = publisher.attach(_hello(first), send, wall())
    except FeedRefused as refused:
        await send(_encode(Refused(refused.message, refused.retry)))
        return
    except StoreUnavailable as error:
        await send(_encode(Refused(error.message, True)))
        return
    reason = "the connection ended"
    try:
        await send(_encode(Welcome(PROTOCOL, publisher.generation, publisher.spelled(session.server), (HANDS,))))
        await _both_ways(publisher, session, receive)
        reason = session.ended or reason
    except Exception as error:
        # one agent's trouble: it comes back and takes up where it was
        reason = f"{type(error).__name__}: {error}"
    finally:
        publisher.detach(session, reason)
        log.info("agent of %s has gone: %s", session.server, reason)


def _hello(first: bytes) -> Hello:
    try:
        message = _message(first)
    except msgspec.MsgspecError as error:
        raise FeedRefused(f"The first message is no Hello of protocol {PROTOCOL}: {error}", retry=False) from error
    if not isinstance(message, Hello):
        raise FeedRefused("Hello comes first.", retry=False)
    return message


async def _both_ways(publisher: Publisher, session: Session, receive: Receive) -> None:
    sending = asyncio.create_task(session.run(), name=f"feed to {session.server}")
    hearing = asyncio.create_task(_hear(publisher, session, receive), name=f"feed from {session.server}")
    tasks = {sending, hearing}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _hear(publisher: Publisher, session: Session, receive: Receive) -> None:
    while session.ended is None:
        data = await receive()
        if data is None:
            return
        message = _message(data)
        if isinstance(message, Hello):
            raise ValueError("a second Hello")
        publisher.received(session, message)
