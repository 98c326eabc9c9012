"""A real controller on a store in a temporary folder, and a client that speaks to its app without a socket."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.core.world import put_command
from weft.api.app import App
from weft.api.serve import build
from weft.control.controller import Controller
from weft.core.commands import Actor


class HandClock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.ahead = 0.0
        """Seconds by which the wall's clock alone was put forward."""

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return 1_700_000_000.0 + self.seconds + self.ahead


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def controller(tmp_path: Path, clock: HandClock) -> AsyncIterator[Controller]:
    numbers = itertools.count(1)
    opened = Controller.open(tmp_path, clock, lambda: f"00000000-0000-4000-8000-{next(numbers):012x}")
    async with opened.running():
        yield opened
    opened.close()


@pytest.fixture
def app(controller: Controller) -> App:
    numbers = itertools.count(1)
    return build(controller, lambda: f"request-{next(numbers)}")


class Api:
    """Requests in few words; answers are httpx's."""

    def __init__(self, app: App) -> None:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8470")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=_named(headers))

    async def put(self, path: str, properties: Any = None, **headers: str) -> httpx.Response:
        return await self.http.put(path, json={"properties": properties or {}}, headers=_named(headers))

    async def send(self, method: str, path: str, content: bytes = b"", **headers: str) -> httpx.Response:
        return await self.http.request(method, path, content=content, headers=_named(headers))

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.delete(path, headers=_named(headers))

    async def post(self, path: str, body: Any) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def body(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        response = await self.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def made(self, path: str, properties: Any) -> Any:
        """The body of a PUT that must create."""
        response = await self.put(path, properties)
        assert response.status_code == 201, response.text
        return response.json()


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
async def api(app: App) -> AsyncIterator[Api]:
    client = Api(app)
    yield client
    await client.http.aclose()


N = "/networking/v1"
W = "/weft/v1"
HNVPA = "/logicalNetworks/hnvpa"
WEB = "/virtualNetworks/blue/subnets/web"


@pytest.fixture
async def fabric(api: Api) -> Api:
    """A MAC pool, a provider network with two subnets, two servers, a virtual network with a subnet."""
    await api.made(
        f"{N}/macPools/pool1", {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
    )
    await api.made(f"{N}/logicalNetworks/hnvpa", PROVIDER_NETWORK)
    for number in (1, 2):
        await api.made(f"{N}/servers/host{number}", server_on(f"pa{number}"))
    await api.made(f"{N}/virtualNetworks/blue", BLUE)
    return api


async def put_past_the_gates(controller: Controller, ref: str, properties: dict[str, Any]) -> None:
    """What the API will take as soon as hosts do it (weft.api.words.GATES)."""
    await controller.submit(put_command(ref, properties), Actor())


async def with_filters_routes_and_peers(fabric: Api, controller: Controller) -> None:
    """A list `front` and a table `hub` for blue/web, the list for interface n9 too, and a peering of blue and red."""
    rule = {"action": "Allow", "type": "Inbound", "priority": "110", "protocol": "Tcp", "description": "SSH"}
    rule |= {"sourceAddressPrefix": "*", "sourcePortRange": "0-65535"}
    rule |= {"destinationAddressPrefix": "10.1.1.0/24", "destinationPortRange": "22", "logging": "Enabled"}
    rules = [{"resourceId": "ssh", "properties": rule}]
    await fabric.made(f"{N}/accessControlLists/front", {"aclRules": rules, "inboundDefaultAction": "Deny"})
    route = {"addressPrefix": "10.9.0.0/16", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.1.1.4"}
    await fabric.made(f"{N}/routeTables/hub", {"routes": [{"resourceId": "far", "properties": route}]})
    red = {**BLUE, "addressSpace": {"addressPrefixes": ["10.2.0.0/16"]}, "subnets": []}
    await fabric.made(f"{N}/virtualNetworks/red", red)
    web = {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001}
    web |= {"accessControlList": {"resourceRef": FRONT}, "routeTable": {"resourceRef": "/routeTables/hub"}}
    await put_past_the_gates(controller, "/virtualNetworks/blue/subnets/web", web)
    for own, other in (("blue", "red"), ("red", "blue")):
        peer = {"remoteVirtualNetwork": {"resourceRef": f"/virtualNetworks/{other}"}}
        await put_past_the_gates(controller, f"/virtualNetworks/{own}/virtualNetworkPeerings/to-{other}", peer)
    filtered = interface_in()
    filtered["ipConfigurations"][0]["properties"]["accessControlList"] = {"resourceRef": FRONT}
    await put_past_the_gates(controller, "/networkInterfaces/n9", filtered)


FRONT = "/accessControlLists/front"

PROVIDER_NETWORK = {
    "networkVirtualizationEnabled": "True",
    "subnets": [
        {
            "resourceId": f"pa{number}",
            "properties": {
                "addressPrefix": f"192.168.{number}.0/24",
                "vlanId": "0",
                "defaultGateways": [f"192.168.{number}.1"],
                "ipPools": [
                    {
                        "resourceId": "p1",
                        "properties": {
                            "startIpAddress": f"192.168.{number}.10",
                            "endIpAddress": f"192.168.{number}.19",
                        },
                    }
                ],
            },
        }
        for number in (1, 2)
    ],
}

BLUE = {
    "logicalNetwork": {"resourceRef": HNVPA},
    "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
    "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001}}],
}


def server_on(subnet: str) -> dict[str, Any]:
    reference = {"resourceRef": f"{HNVPA}/subnets/{subnet}"}
    return {"networkInterfaces": [{"resourceId": "eth0", "properties": {"logicalSubnets": [reference]}}]}


def interface_in(subnet: str = WEB, **members: Any) -> dict[str, Any]:
    configuration = {"subnet": {"resourceRef": subnet}, "privateIPAllocationMethod": "Dynamic"}
    return {
        "privateMacAllocationMethod": "Dynamic",
        "ipConfigurations": [{"resourceId": "ip1", "properties": configuration}],
        **members,
    }


def machine_with(interface: str, server: str = "host1") -> dict[str, Any]:
    return {
        "server": {"resourceRef": f"/servers/{server}"},
        "networkInterfaces": [{"resourceRef": f"/networkInterfaces/{interface}"}],
    }
