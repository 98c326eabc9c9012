"""A load generator that is not the bottleneck: HTTP/1.1 over kept connections, one request in flight on each.

It writes ready bytes and reads no more of an answer than status and length. A bare endpoint answers it several times
faster than httpx could ask. Runs in the process of the bench, the servers in processes of their own.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import cast

try:
    import uvloop
except ImportError:
    _QUICK_LOOP = None
else:
    _QUICK_LOOP = uvloop.new_event_loop

Address = tuple[str, int]


class UnexpectedAnswer(Exception):
    """A request under load was refused; a rate of refusals is no result."""


def put(path: str, body: bytes, request_id: str, method: str = "PUT") -> bytes:
    """A request ready to be written, with the id that makes a retry safe, as real clients send it."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=UTF-8\r\n"
        f"x-ms-client-request-id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def rate(address: Address, requests: list[bytes], clients: int) -> float:
    """Answered requests per second. Raises UnexpectedAnswer for any status but 200 and 201."""
    with asyncio.Runner(loop_factory=_QUICK_LOOP) as runner:
        return runner.run(_rate(address, requests, clients))


async def _rate(address: Address, requests: list[bytes], clients: int) -> float:
    loop = asyncio.get_running_loop()
    left = iter(requests)
    connections = []
    for _ in range(clients):
        _, connection = await loop.create_connection(lambda: _Connection(left), *address)
        connections.append(connection)
    started = time.perf_counter()
    for connection in connections:
        connection.next_request()
    try:
        await asyncio.gather(*(connection.finished for connection in connections))
    finally:
        for connection in connections:
            connection.close()
    return len(requests) / (time.perf_counter() - started)


class _Connection(asyncio.Protocol):
    """Takes the next request whenever its last one was answered."""

    def __init__(self, left: Iterator[bytes]) -> None:
        self._left = left
        self._got = b""
        self._transport: asyncio.Transport | None = None
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def next_request(self) -> None:
        request = next(self._left, None)
        assert self._transport is not None
        if request is None:
            if not self.finished.done():
                self.finished.set_result(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) < end + 4 + length:
            return
        answer, self._got = self._got, b""
        if answer[9:12] not in (b"200", b"201"):
            self._fail(UnexpectedAnswer(answer[:600].decode(errors="replace")))
            return
        self.next_request()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(UnexpectedAnswer(f"connection lost: {error}"))

    def _fail(self, error: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
