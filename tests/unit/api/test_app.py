"""The application below HTTP: bodies that come in pieces, too large or not whole."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.api.conftest import N
from weft.api.app import App
from weft.control.controller import Controller

POOL = b'{"properties":{"startMacAddress":"00-1D-D8-B7-1C-00","endMacAddress":"00-1D-D8-B7-1C-FF"}}'


async def status_of(app: App, *messages: dict[str, Any]) -> int:
    """What a PUT of a macPool is answered whose body comes as these ASGI messages."""
    coming: Iterator[dict[str, Any]] = iter(messages)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost")]
    path = f"{N}/macPools/p"
    scope = {"type": "http", "method": "PUT", "path": path, "query_string": b"", "headers": headers, "server": None}
    await app(scope, receive, send)
    return int(sent[0]["status"])


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_pieces_is_one_body(app: App) -> None:
    assert await status_of(app, part(POOL[:20]), part(POOL[20:]), part(b"", more=False)) == 201


@pytest.mark.parametrize("before", [(), (part(POOL),)])
async def test_half_a_request_does_nothing(
    app: App, controller: Controller, before: tuple[dict[str, Any], ...]
) -> None:
    assert await status_of(app, *before, {"type": "http.disconnect"}) == 400
    assert controller.state.get("macPools", "p") is None


async def test_a_body_in_pieces_that_grows_too_large_is_cut_off(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.api.app.MAX_BODY", 100)
    assert await status_of(app, part(b" " * 60), part(b" " * 60)) == 413
