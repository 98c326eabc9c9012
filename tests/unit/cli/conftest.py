"""A whole controller, served on a unix socket from a thread of its own: the commands run as on a desk."""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.command_line import invoke
from weft.api.serve import Listen, serve
from weft.cli.commands import app
from weft.cli.desk import Desk
from weft.control.controller import Controller

Weft = Callable[..., Result]

CLUSTER = """\
kind: macPools
resourceId: pool1
properties: {startMacAddress: 00-1D-D8-B7-1C-00, endMacAddress: 00-1D-D8-B7-1C-FF}
---
kind: virtualMachines
resourceId: web1
properties:
  server: {resourceRef: /servers/host1}
  networkInterfaces: [{resourceRef: /networkInterfaces/web1-eth0}]
---
kind: networkInterfaces
resourceId: web1-eth0
properties:
  privateMacAllocationMethod: Dynamic
  ipConfigurations:
  - resourceId: ip1
    properties:
      privateIPAllocationMethod: Dynamic
      subnet: {resourceRef: /virtualNetworks/blue/subnets/web}
---
kind: virtualNetworks
resourceId: blue
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/hnvpa}
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets:
  - resourceId: web
    properties: {addressPrefix: 10.1.1.0/24, virtualSubnetId: 6001}
---
kind: logicalNetworks
resourceId: hnvpa
properties:
  networkVirtualizationEnabled: "True"
  subnets:
  - resourceId: pa1
    properties:
      addressPrefix: 192.168.1.0/24
      defaultGateways: [192.168.1.1]
      ipPools:
      - {resourceId: p1, properties: {startIpAddress: 192.168.1.10, endIpAddress: 192.168.1.250}}
---
kind: servers
resourceId: host1
properties: {providerAddresses: [192.168.1.10]}
---
kind: servers
resourceId: host2
properties: {}
---
kind: virtualNetworkManager
properties: {networkVirtualizationProtocol: NVGRE}
"""


class TestClock:
    """Time that stands still but for a step at each look."""

    __test__ = False

    def __init__(self) -> None:
        self._seconds = itertools.count(1_700_000_000)

    def monotonic(self) -> float:
        return float(next(self._seconds)) / 1000

    def wall(self) -> float:
        return float(next(self._seconds))


def numbered_ids() -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012d}"


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh controller."""
    data = tmp_path / "data"
    ready = threading.Event()
    told: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def work() -> None:
        new_id = numbered_ids()
        running = Controller.open(data, TestClock(), new_id)
        stop = asyncio.Event()
        told.append((asyncio.get_running_loop(), stop))
        try:
            async with running.running():
                await serve(running, Listen(None, data / "weft.sock"), new_id, lambda line: ready.set(), stop)
        finally:
            running.close()

    thread = threading.Thread(target=lambda: asyncio.run(work()), daemon=True)
    thread.start()
    assert ready.wait(60), "the controller did not start"
    yield f"unix:{data}/weft.sock"
    loop, stop = told[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture
def weft(controller: str) -> Weft:
    """Run a command line against the controller: weft("get", "virtualNetworks", stdin="...")."""
    new_id = numbered_ids()

    def run(*words: str, stdin: str | None = None) -> Result:
        request_ids = Desk(lambda: "cli-" + new_id(), wall=lambda: 1_700_000_000.0)
        return invoke(app, words, stdin, {"WEFT_CONTROLLER": controller}, request_ids)

    return run


@pytest.fixture
def cluster(tmp_path: Path, weft: Weft) -> Path:
    """CLUSTER as a file, applied."""
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    result = weft("apply", "-f", str(path))
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture
def put(tmp_path: Path) -> Any:
    """Write a file; answers its path as text."""

    def write(name: str, content: Any, encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(text.encode(encoding))
        return str(path)

    return write
