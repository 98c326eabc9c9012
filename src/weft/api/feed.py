"""The agents' socket, GET /weft/v1/feed: lends one ASGI WebSocket to the controller, which holds the conversation.

Called by weft.api.routes. Never raises for what the peer does.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from weft.control.controller import Controller

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HELLO_S = 10.0
"""An agent says hello within this time, or the connection is closed."""

NORMAL = 1000
NOT_SERVED = 4404
FORBIDDEN = 4403
"""Close codes: RFC 6455 section 7.4.1, and two of the private range."""


async def serve_socket(controller: Controller, receive: Receive, send: Send) -> None:
    """Serve one agent until it goes or is put out."""
    await receive()
    await send({"type": "websocket.accept"})
    first = True

    async def receive_message() -> bytes | None:
        nonlocal first
        limit, first = (HELLO_S if first else None), False
        try:
            async with asyncio.timeout(limit):
                message = await receive()
        except TimeoutError:
            return None
        return None if message["type"] == "websocket.disconnect" else message.get("bytes") or b""

    async def send_message(content: bytes) -> None:
        await send({"type": "websocket.send", "bytes": content})

    await controller.serve_agent(receive_message, send_message)
    await close(send, NORMAL)


async def close(send: Send, code: int, reason: str = "") -> None:
    """Close the socket, also one that the peer has closed already."""
    try:
        await send({"type": "websocket.close", "code": code, "reason": reason})
    except (OSError, RuntimeError):
        # how servers say that the peer went first: there is nothing left to close
        return
