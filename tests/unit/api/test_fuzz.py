"""Schemathesis against the app by its own description: whatever comes, no answer says that the controller failed."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.unit.api.conftest import BLUE, PROVIDER_NETWORK, HandClock, N, W, interface_in, machine_with, server_on
from weft import __version__
from weft.api import openapi
from weft.api.app import App
from weft.api.serve import build
from weft.control.controller import Controller

# a watch streams until its client leaves, so it would never answer here; tests/unit/api/test_serve.py has its tests
description = schemathesis.openapi.from_dict(openapi.document(__version__)).exclude(path=f"{W}/watch")


class Loop:
    """The app on an event loop that is turned for each request; schemathesis is not asynchronous."""

    def __init__(self, folder: Path) -> None:
        numbers = itertools.count(1)
        self._runner = asyncio.Runner()
        self._controller = Controller.open(folder, HandClock(), lambda: f"00000000-0000-4000-8000-{next(numbers):012x}")
        self._running = self._controller.running()
        self._runner.run(self._running.__aenter__())
        self._app: App = build(self._controller, lambda: "request")

    def send(self, method: str, url: str, **parts: Any) -> httpx.Response:
        return self._runner.run(self._send(method, url, parts))

    async def _send(self, method: str, url: str, parts: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8470") as client:
            return await client.request(method, url, **parts)

    def close(self) -> None:
        self._runner.run(self._running.__aexit__(None, None, None))
        self._runner.close()
        self._controller.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Loop]:
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder))
        pool = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
        for path, properties in (
            (f"{N}/macPools/pool1", pool),
            (f"{N}/logicalNetworks/hnvpa", PROVIDER_NETWORK),
            (f"{N}/servers/host1", server_on("pa1")),
            (f"{N}/virtualNetworks/blue", BLUE),
            (f"{N}/networkInterfaces/n1", interface_in()),
            (f"{W}/virtualMachines/vm1", machine_with("n1")),
        ):
            assert loop.send("PUT", path, json={"properties": properties}).status_code == 201
        yield loop
        loop.close()


@description.parametrize()
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
def test_no_request_breaks_the_controller(case: schemathesis.Case, served: Loop) -> None:
    parts = case.as_transport_kwargs(base_url="http://127.0.0.1:8470")
    parts.pop("cookies", None)
    content = parts.pop("data", None)
    if content is not None:
        parts["content"] = content
    response = served.send(parts.pop("method"), parts.pop("url"), **parts)
    assert response.status_code < 500 or response.status_code == 504, response.text
    assert not response.content or response.headers["content-type"]
