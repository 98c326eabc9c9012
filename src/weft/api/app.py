"""The ASGI application: from a scope to a handler, from an error to its body. Built by weft.api.serve and by tests.

Plain ASGI (docs/decisions/0011-the-api-is-plain-asgi.md). Promises: every request gets an answer with x-ms-request-id;
a failure of ours is logged beside that id and never shows its inside.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from weft.api import auth, faults, feed
from weft.api.call import Answer, Call
from weft.api.faults import BodyTooLarge, ClientGone
from weft.api.routes import Routes
from weft.model.errors import ControllerEnding, WeftError
from weft.model.values import NewId

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 64 * 1024 * 1024
"""Bytes; the largest batch fits, whatever it asks for."""


class App:
    """The application. Calls run together on one event loop."""

    def __init__(self, routes: Routes, new_id: NewId) -> None:
        self._routes = routes
        # a GUID per app whose last twelve digits count: unique, and cheaper than a fresh one for each request
        self._id_base = new_id()[:24]
        self._id_count = itertools.count(1)
        self._metrics = routes.metrics
        self._under_way: set[asyncio.Task[Any]] = set()
        """Of requests that have no answer yet."""
        self._breaks_off = False

    def end_streams(self) -> None:
        """The service stops: every watch ends here, so that nobody has to break it off."""
        self._routes.ending.set()

    async def requests_end(self, patience_s: float) -> None:
        """Those that are under way now, if they do so soon."""
        if self._under_way:
            await asyncio.wait(list(self._under_way), timeout=patience_s)

    def break_off(self) -> None:
        """Nobody waits any longer: whoever has no answer yet is told to ask again."""
        self._breaks_off = True
        for task in self._under_way:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await _lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"{self._id_base}{next(self._id_count):012x}"
        headers = dict(scope["headers"])
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            answer = await self._answer(scope, receive, headers, request_id)
        except asyncio.CancelledError:
            if not self._breaks_off:
                raise
            task.uncancel()
            answer = self._broken_off(request_id)
        finally:
            self._under_way.discard(task)
        self._metrics.answered(scope["method"], answer.status)
        common = [*_common_headers(headers, request_id), *answer.headers]
        bare = scope["method"] == "HEAD"
        if answer.stream is not None and not bare:
            await _send_stream(answer, common, receive, send)
        else:
            await _send(answer, common, bare, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # no browser asks before it opens a WebSocket to another site: this is the only thing in the way
            auth.check_origin(dict(scope["headers"]), scope)
        except WeftError as fault:
            self._metrics.refused(fault.code)
            await feed.close(send, feed.FORBIDDEN, fault.message)
            return
        await self._routes.websocket(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes], request_id: str) -> Answer:
        try:
            auth.check_origin(headers, scope)
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            segments = [part for part in scope["path"].split("/") if part]
            body = b"" if method == "GET" else await _body(headers, receive)
            actor = auth.actor_of(scope)
            call = Call(method, segments, scope["query_string"], headers, body, actor, request_id)
            return await self._routes.handle(call)
        except WeftError as fault:
            self._metrics.refused(fault.code)
            if fault.status >= 500:
                log.error("request %s: %s: %s", request_id, fault.code, fault.message)
            return faults.answer_of(fault)
        except Exception:
            # the one place where a fault of ours ends: this request fails, the others go on
            log.exception("request %s %s %s failed", request_id, scope["method"], scope["path"])
            return faults.unexpected(request_id)

    def _broken_off(self, request_id: str) -> Answer:
        fault = ControllerEnding(
            "The controller ends before this request has its answer: what was asked may be done or not. "
            "Ask again once it is back, with the same x-ms-client-request-id."
        )
        self._metrics.refused(fault.code)
        log.warning("request %s: %s: broken off", request_id, fault.code)
        return faults.answer_of(fault)


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Read the whole body. Raises BodyTooLarge before it is all in memory, ClientGone for the half of one."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MAX_BODY:
        raise _too_large()
    message = await _part(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    pieces = [body]
    size = len(body)
    while message.get("more_body"):
        message = await _part(receive)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY:
            raise _too_large()
    return b"".join(pieces)


async def _part(receive: Receive) -> MutableMapping[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone("The connection ended within the body: nothing was done.")
    return message


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {MAX_BODY >> 20} MiB. Send it in several batches.")


def _common_headers(headers: dict[bytes, bytes], request_id: str) -> list[tuple[bytes, bytes]]:
    found = [(b"server", b"weft"), (b"x-ms-request-id", request_id.encode())]
    client_id = headers.get(b"x-ms-client-request-id")
    if client_id is not None and headers.get(b"x-ms-return-client-request-id", b"").strip().lower() == b"true":
        found.append((b"x-ms-client-request-id", client_id))
    return found


async def _send(answer: Answer, headers: list[tuple[bytes, bytes]], bare: bool, send: Send) -> None:
    if answer.status != 204:
        headers.append((b"content-length", str(len(answer.body)).encode()))
        if answer.body:
            headers.append((b"content-type", answer.content_type))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bare else answer.body})


async def _send_stream(answer: Answer, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send) -> None:
    """Send piece by piece until the stream ends or the client has gone; servers do not fail a send to nobody."""
    assert answer.stream is not None
    headers.append((b"content-type", answer.content_type))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    sending = asyncio.ensure_future(_pump(answer.stream, send))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _pump(stream: AsyncIterator[bytes], send: Send) -> None:
    async for piece in stream:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing starts or ends here: the controller runs around the server."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
