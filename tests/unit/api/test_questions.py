"""What is wrong with a question to /weft/v1: the message says what to write; nothing that was asked is passed over."""

import pytest

from tests.unit.api.conftest import WEB, Api, N, W, interface_in, machine_with
from weft.control.controller import Controller
from weft.store.store import Agent


@pytest.fixture
async def machine(fabric: Api) -> Api:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    return fabric


class TestWhatIsWrongWithAQuestion:
    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/macPools/pool1/addresses?limit=x", "?limit=x: write a number from 1 to 1000"),
            ("/macPools/pool1/addresses?limit=0", "?limit=0: write a number from 1 to 1000"),
            ("/macPools/pool1/addresses?after=10.0.0.1", "?after=10.0.0.1: write a MAC address"),
            (f"{WEB}/addresses?after=00-1D-D8-B7-1C-00", "write an IPv4 address"),
            (f"{WEB}/addresses?after=fd00::1", "write an IPv4 address"),
            (f"{WEB}/addresses?stat=free", "?stat is not known here; known: ?state, ?limit, ?after"),
            (f"{WEB}/usage?limit=3", "?limit is not known here; known: none"),
            ("/addresses/10.1.1.2?limit=3", "?limit is not known here"),
            ("/capture", "?interface=NAME says whose packets"),
            ("/capture?interface=n1&sec=3", "?sec is not known here"),
            ("/watch?limit=1", "?limit is not known here; known: ?after"),
        ],
    )
    async def test_views(self, fabric: Api, path: str, said: str) -> None:
        response = await fabric.get(f"{W}{path}")
        assert (response.status_code, said in response.text) == (400, True), response.text

    async def test_a_cursor_of_the_future(self, fabric: Api, controller: Controller) -> None:
        response = await fabric.get(f"{W}/watch?after={controller.generation}:999")
        assert (response.status_code, "There is no revision 999 yet" in response.text) == (410, True)

    async def test_a_port_without_a_protocol_that_has_ports(self, machine: Api) -> None:
        for more in ({}, {"protocol": "icmp"}):
            asked = {"from": "web1-eth0", "to": "10.1.1.1", "port": 5, **more}
            response = await machine.post(f"{W}/trace", asked)
            assert (response.status_code, "Only tcp and udp have ports" in response.text) == (400, True)

    async def test_a_move_to_no_server_from_a_managed_one(self, machine: Api, controller: Controller) -> None:
        assert (await machine.post(f"{W}/virtualMachines/vm1/start", {})).status_code == 200
        # an agent without hypervisor has been there once
        controller.machines._publisher.managed["host1"] = Agent("host1", "", 0.0)
        for query in ("", "?dryRun=true"):
            body = {"server": {"resourceRef": "/servers/nope"}}
            response = await machine.post(f"{W}/virtualMachines/vm1/migrate{query}", body)
            assert "There is no server 'nope'" in response.text, response.text

    async def test_a_batch_names_another_resource_apart_from_its_request(self, fabric: Api) -> None:
        body = {"requests": [{"method": "DELETE", "path": f"{N}/servers/host1", "ifMatch": "old"}]}
        response = await fabric.post(f"{W}/batch", body)
        assert response.json()["error"]["target"].startswith("requests[0] /"), response.text


async def test_the_description_says_what_a_method_that_is_left_out_is(fabric: Api) -> None:
    schemas = (await fabric.body("/openapi.json"))["components"]["schemas"]
    method = schemas["IpConfigurationProperties"]["properties"]["privateIPAllocationMethod"]
    assert (method["type"], "Beside a privateIPAddress" in method["description"]) == ("string", True)
    asked = interface_in()
    del asked["ipConfigurations"][0]["properties"]["privateIPAllocationMethod"]
    await fabric.made(f"{N}/networkInterfaces/n1", asked)
    (made,) = (await fabric.body(f"{N}/networkInterfaces/n1"))["properties"]["ipConfigurations"]
    assert made["properties"]["privateIPAllocationMethod"] == method["default"] == "Dynamic"


async def test_the_description_has_what_is_no_resource(api: Api) -> None:
    paths = (await api.body("/openapi.json"))["paths"]
    for path in ("/weft/v1/watch", "/metrics", "/networking/discovery", "/networking/v1/operations/{id}"):
        assert "get" in paths[path]
    assert "204" in paths["/networking/v1/operationResults/{id}"]["get"]["responses"]
    assert "text/event-stream" in paths["/weft/v1/watch"]["get"]["responses"]["200"]["content"]
