"""Schemathesis against the app by its own description: whatever comes, no answer says that the controller failed."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.api.conftest import BLUE, PROVIDER_NETWORK, WEB, HandClock, N, W, interface_in, machine_with, server_on
from weft import __version__
from weft.api import openapi
from weft.api.actions import ACTIONS
from weft.api.app import App
from weft.api.ledger import STATES
from weft.api.serve import build
from weft.control.controller import Controller

# a watch streams until its client leaves, so it would never answer here; tests/unit/api/test_serve.py has its tests
description = (
    schemathesis.openapi.from_dict(openapi.document(__version__))
    .exclude(path=f"{W}/watch")
    .exclude(path=f"{W}/capture")
)


RESTLESS = msgspec.json.decode(msgspec.json.encode(PROVIDER_NETWORK))
"""Servers come and go here: their addresses do not cool down, or none would be left."""
for subnet in RESTLESS["subnets"]:
    subnet["properties"]["ipPools"][0]["properties"]["coolDownSeconds"] = 0


class Loop:
    """The app on an event loop that is turned for each request; schemathesis is not asynchronous."""

    def __init__(self, folder: Path, first_id: int = 1) -> None:
        numbers = itertools.count(first_id)
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
def filled() -> Iterator[Path]:
    """A store with something of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder) / "store")
        pool = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
        for path, properties in (
            (f"{N}/macPools/pool1", pool),
            (f"{W}/addressPlans/plan1", {"prefix": "0A-15-5D"}),
            (f"{N}/logicalNetworks/hnvpa", RESTLESS),
            (f"{N}/servers/host1", server_on("pa1")),
            (f"{N}/virtualNetworks/blue", BLUE),
            (f"{N}/networkInterfaces/n1", interface_in()),
            (f"{W}/virtualMachines/vm1", machine_with("n1")),
        ):
            assert loop.send("PUT", path, json={"properties": properties}).status_code == 201
        for path, body in (
            (f"{W}/virtualMachines/vm1/checkpoint", {"resourceId": "before"}),
            (f"{W}/virtualMachines/vm1/export", {"resourceId": "copy"}),
            (f"{W}/macPools/pool1/reserve", {"count": 3, "purpose": "fuzz"}),
        ):
            assert loop.send("POST", path, json=body).is_success
        loop.close()
        yield Path(folder) / "store"


@pytest.fixture
def served(filled: Path, tmp_path: Path) -> Iterator[Loop]:
    """Each test has its own, so that what it finds does not depend on which ran before it in its worker."""
    shutil.copytree(filled, tmp_path / "store")
    loop = Loop(tmp_path / "store", 1000)
    yield loop
    loop.close()


NAMES = st.sampled_from(["vm2", "vm3", "before", "copy"])
MACS = st.sampled_from(["001DD8B71C00", "00-1D-D8-B7-1C-07", "0A0000000001", "010000000000", ""])
ADDRESSES = st.sampled_from(["10.1.1.2", "10.1.1.9", "10.1.1.255", "192.168.1.10", "fd00::1", "ten"])
SUBNETS = st.sampled_from([WEB, "/logicalNetworks/hnvpa/subnets/pa1", "/virtualNetworks/blue", "web", ""])
NICS = st.lists(
    st.fixed_dictionaries({}, optional={"macAddress": MACS, "ipAddresses": st.lists(ADDRESSES), "subnet": SUBNETS}),
    max_size=3,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "addresses": st.sampled_from(["new", "keep", "captured", "newIfTaken"]),
    "ifTaken": st.sampled_from(["refuse", "remap"]),
    "macAddress": MACS,
    "networkInterface": st.sampled_from(["n1", "vm2-eth0", "/networkInterfaces/n1", "none"]),
    "networkInterfaces": NICS,
    "powerState": st.sampled_from(["Off", "Running", "Saved"]),
    "checkpoints": st.lists(st.fixed_dictionaries({"resourceId": NAMES, "networkInterfaces": NICS}), max_size=2),
    "checkpoint": st.sampled_from(["before", "before", "copy"]),
    "count": st.integers(0, 6),
    "server": st.sampled_from(["host1", {"resourceRef": "/servers/host2"}, "none"]),
}


PLACES = (
    f"{W}/virtualMachines/vm1",
    f"{W}/virtualMachines/vm2",
    f"{W}/virtualMachines/vm1/checkpoints/before",
    f"{W}/virtualMachines/vm1/exports/copy",
    f"{N}/networkInterfaces/n1",
    f"{N}/networkInterfaces/vm2-eth0",
    f"{N}/servers/host1?force=true",
)
POOLS = ("macPools/pool1", "virtualNetworks/blue/subnets/web", "logicalNetworks/hnvpa/subnets/pa1")


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, str, Any]:
    """A request that could be granted: right members, and values that fit one another now and then. Mostly actions."""
    kind = draw(st.sampled_from(["action"] * 9 + ["delete", "reserve", "release"]))
    if kind == "delete":
        return "DELETE", draw(st.sampled_from(PLACES)), None
    if kind == "reserve":
        return "POST", f"{W}/{draw(st.sampled_from(POOLS))}/reserve", {"count": draw(VALUES["count"])}
    if kind == "release":
        return "POST", f"{W}/addresses/{draw(MACS | ADDRESSES) or 'ten'}/release", {"reason": "x"}
    action = draw(st.sampled_from(list(ACTIONS.values())))
    machine = draw(st.sampled_from(["vm1"] * 6 + ["vm2", "none"]))
    required, optional = {}, {}
    for field in msgspec.structs.fields(action.body):
        members = required if field.required else optional
        members[field.encode_name] = VALUES.get(field.encode_name, st.booleans() if field.type is bool else NAMES)
    path = action.name if action.on_collection else f"{machine}/{action.name}"
    return "POST", f"{W}/virtualMachines/{path}", draw(st.fixed_dictionaries(required, optional=optional))


def begin_again(served: Loop) -> None:
    """One machine with its interface; of reservations, of which nothing else would be left after a while, none."""
    for each in served.send("GET", f"{W}/reservations").json()["value"]:
        served.send("DELETE", f"{W}/reservations/{each['resourceId']}")
    for machine in ("vm1", "vm2", "vm3"):
        served.send("DELETE", f"{W}/virtualMachines/{machine}")
    for path, properties in (
        (f"{N}/servers/host1", server_on("pa1")),
        (f"{N}/servers/host2", server_on("pa2")),
        (f"{N}/networkInterfaces/n1", interface_in()),
        (f"{W}/virtualMachines/vm1", machine_with("n1")),
    ):
        answer = served.send("PUT", path, json={"properties": properties})
        assert answer.is_success, (path, answer.text)


@given(requests=st.lists(asked(), min_size=1, max_size=12))
@settings(max_examples=15, suppress_health_check=list(HealthCheck), deadline=None)
def test_no_life_of_machines_breaks_the_controller(requests: list[Any], served: Loop) -> None:
    """Each is granted or refused, as its dry run was; after it every list can be read and the states add up."""
    begin_again(served)
    for method, path, body in requests:
        between = "&" if "?" in path else "?"
        dry = served.send(method, f"{path}{between}dryRun=true", json=body)
        response = served.send(method, path, json=body)
        for answer in (dry, response):
            assert answer.status_code < 500, (method, path, body, answer.text)
        refused = response.status_code >= 400
        assert refused == (dry.status_code >= 400), (method, path, body, dry.text, response.text)
        for listed in ("virtualMachines", "checkpoints", "exports", "reservations", "conflicts"):
            found = served.send("GET", f"{W}/{listed}")
            assert found.status_code == 200, (listed, found.text)
        usage = served.send("GET", f"{W}/macPools/pool1/usage").json()
        assert usage["capacity"] == sum(usage[state] for state in STATES), usage


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
