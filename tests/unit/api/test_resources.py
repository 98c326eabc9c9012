"""PUT, GET, DELETE and lists, as MS-NCNBI 1.3 and 2.2 have them."""

import asyncio
from typing import Any

import pytest

from tests.unit.api.conftest import WEB, Api, HandClock, N, W, interface_in, machine_with
from weft.api.places import VERSIONS
from weft.control.controller import Controller

POOL = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-0F"}


class TestPaths:
    @pytest.mark.parametrize("version", VERSIONS)
    async def test_every_version_serves_the_same(self, fabric: Api, version: str) -> None:
        assert await fabric.body(f"/networking/{version}/macPools/pool1") == await fabric.body(f"{N}/macPools/pool1")

    @pytest.mark.parametrize("path", ["/Networking/V1/MACPOOLS/POOL1", "/networking/v1/macpools/pool1/"])
    async def test_segments_in_any_case(self, fabric: Api, path: str) -> None:
        assert (await fabric.body(path))["resourceRef"] == "/macPools/pool1"

    async def test_list_with_and_without_slash(self, fabric: Api) -> None:
        listed = await fabric.body(f"{N}/logicalNetworks/")
        assert listed == await fabric.body(f"{N}/logicalNetworks")
        assert [each["resourceId"] for each in listed["value"]] == ["hnvpa"]
        assert listed["nextLink"] == ""

    async def test_empty_list(self, api: Api) -> None:
        assert await api.body(f"{N}/macPools") == {"value": [], "nextLink": ""}

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("/networking/v9/macPools", "v7.1"),
            ("/networking/v1/loadBalancers", "macPools"),
            ("/networking/v1/virtualMachines", "macPools"),
            ("/weft/v1/macPools", "virtualMachines"),
            ("/weft/v2/virtualMachines", "v1"),
            ("/networking/v1/macPools/pool1/usage", "Children served: none"),
            ("/nothing", "/openapi.json"),
            ("/", "/openapi.json"),
        ],
    )
    async def test_unknown_paths_say_what_there_is(self, fabric: Api, path: str, words: str) -> None:
        response = await fabric.get(path)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (404, "NotFound")
        assert words in error["message"]

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", f"{N}/macPools", "GET"),
            ("POST", f"{N}/macPools/pool1", "GET, PUT, DELETE"),
            ("PATCH", f"{N}/macPools/pool1", "GET, PUT, DELETE"),
            ("DELETE", f"{N}/macPools", "GET"),
            ("DELETE", f"{N}/virtualNetworkManager/configuration", "GET, PUT"),
            ("PUT", f"{N}/servers/host1/networkInterfaces/eth0", "GET"),
            ("PUT", f"{W}/batch", "POST"),
            ("PUT", f"{N}/operations/x", "GET"),
            ("GET", f"{W}/virtualMachines/x/start", "POST"),
        ],
    )
    async def test_wrong_methods_name_the_right_ones(self, fabric: Api, method: str, path: str, allowed: str) -> None:
        response = await fabric.send(method, path)
        assert response.status_code == 405
        assert response.headers["allow"] == allowed
        assert response.json()["error"]["code"] == "OperationNotSupported"

    async def test_head_is_get_without_the_body(self, fabric: Api) -> None:
        response = await fabric.send("HEAD", f"{N}/macPools/pool1")
        assert (response.status_code, response.content) == (200, b"")
        assert int(response.headers["content-length"]) > 0


async def test_a_long_list_is_whole_and_in_order(fabric: Api) -> None:
    requests = [
        {"method": "PUT", "path": f"{N}/networkInterfaces/n{number:04}", "body": {"properties": properties}}
        for number in range(1, 1202)
        for properties in [{"privateMacAllocationMethod": "Static", "privateMacAddress": f"02000000{number:04X}"}]
    ]
    assert (await fabric.post(f"{W}/batch", {"requests": requests})).status_code == 200
    listed = (await fabric.body(f"{N}/networkInterfaces"))["value"]
    assert [each["resourceId"] for each in listed] == [f"n{number:04}" for number in range(1, 1202)]


class TestEnvelope:
    async def test_members_of_every_answer(self, fabric: Api) -> None:
        answer = await fabric.body(f"{N}/macPools/pool1")
        assert answer["resourceRef"] == "/macPools/pool1"
        assert answer["properties"]["provisioningState"] == "Succeeded"
        assert answer["etag"].startswith('W/"')
        assert len(answer["instanceId"]) == 36

    async def test_put_answers_what_get_answers(self, fabric: Api) -> None:
        put = await fabric.put(f"{N}/networkInterfaces/n1", interface_in())
        get = await fabric.get(f"{N}/networkInterfaces/n1")
        assert put.json() == get.json()
        assert put.headers["etag"] == get.headers["etag"] == get.json()["etag"]
        assert put.headers["x-ms-request-id"] != get.headers["x-ms-request-id"]

    async def test_children_have_the_envelope(self, fabric: Api) -> None:
        network = await fabric.body(f"{N}/logicalNetworks/hnvpa")
        subnet = network["properties"]["subnets"][0]
        pool = subnet["properties"]["ipPools"][0]
        ref = "/logicalNetworks/hnvpa/subnets/pa1"
        assert (subnet["resourceRef"], pool["resourceRef"]) == (ref, f"{ref}/ipPools/p1")
        assert pool["properties"]["provisioningState"] == "Succeeded"
        assert await fabric.body(f"{N}{ref}") == subnet
        assert await fabric.body(f"{N}/LogicalNetworks/HNVPA/Subnets/PA1/IPPOOLS/P1") == pool
        assert (await fabric.body(f"{N}{ref}/ipPools/"))["value"] == [pool]

    async def test_tags_and_metadata_come_back(self, api: Api) -> None:
        body = {"tags": {"a": "b"}, "resourceMetadata": {"client": "c", "tenantId": "t"}, "properties": POOL}
        response = await api.http.put(f"{N}/macPools/pool1", json=body)
        assert response.json()["tags"] == {"a": "b"}
        assert response.json()["resourceMetadata"] == {"client": "c", "tenantId": "t"}

    async def test_child_put_and_delete(self, fabric: Api) -> None:
        path = f"{N}/virtualNetworks/BLUE/subnets/db"
        created = await fabric.put(path, {"addressPrefix": "10.1.2.0/24"})
        assert created.status_code == 201
        assert created.json()["resourceRef"] == "/virtualNetworks/blue/subnets/db"
        assert len((await fabric.body(f"{N}/virtualNetworks/blue"))["properties"]["subnets"]) == 2
        assert (await fabric.delete(path)).status_code == 200
        assert (await fabric.get(path)).status_code == 404
        assert (await fabric.delete(path)).status_code == 204

    async def test_child_without_parent(self, fabric: Api) -> None:
        response = await fabric.put(f"{N}/virtualNetworks/none/subnets/db", {"addressPrefix": "10.1.2.0/24"})
        assert response.status_code == 412


class TestComputedMembers:
    async def test_usage_of_pools(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        macs = (await fabric.body(f"{N}/macPools/pool1"))["properties"]["usage"]
        assert macs == {"numberOfMacAddresses": 256, "numberofMacAddressesAllocated": 1}
        pool = await fabric.body(f"{N}/logicalNetworks/hnvpa/subnets/pa1/ipPools/p1")
        assert pool["properties"]["usage"] == {
            "numberOfIPAddresses": 10,
            "numberofIPAddressesAllocated": 1,
            "numberOfIPAddressesInTransition": 0,
        }
        await fabric.delete(f"{N}/servers/host1")
        pool = await fabric.body(f"{N}/logicalNetworks/hnvpa/subnets/pa1/ipPools/p1")
        assert pool["properties"]["usage"]["numberOfIPAddressesInTransition"] == 1

    async def test_references_back(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
        own = {"resourceRef": "/networkInterfaces/n1"}
        subnet = (await fabric.body(f"{N}{WEB}"))["properties"]
        assert subnet["ipConfigurations"] == [{"resourceRef": "/networkInterfaces/n1/ipConfigurations/ip1"}]
        assert (await fabric.body(f"{N}/servers/host1"))["properties"]["virtualNetworkInterfaces"] == [own]
        assert (await fabric.body(f"{N}/servers/host2"))["properties"]["virtualNetworkInterfaces"] == []
        interface = (await fabric.body(f"{N}/networkInterfaces/n1"))["properties"]
        assert interface["server"] == {"resourceRef": "/servers/host1"}
        networks = (await fabric.body(f"{N}/logicalNetworks/hnvpa"))["properties"]["virtualNetworks"]
        assert networks == [{"resourceRef": "/virtualNetworks/blue"}]

    async def test_a_logical_subnet_names_its_interfaces(self, api: Api) -> None:
        subnet = {"resourceId": "s", "properties": {"addressPrefix": "10.9.0.0/24", "vlanId": 7}}
        await api.made(f"{N}/logicalNetworks/flat", {"subnets": [subnet]})
        await api.made(f"{N}/macPools/pool1", POOL)
        wanted = interface_in("/logicalNetworks/flat/subnets/s")
        wanted["ipConfigurations"][0]["properties"] |= {
            "privateIPAllocationMethod": "Static",
            "privateIPAddress": "10.9.0.5",
        }
        await api.made(f"{N}/networkInterfaces/n1", wanted)
        found = (await api.body(f"{N}/logicalNetworks/flat/subnets/s"))["properties"]
        assert found["networkInterfaces"] == [{"resourceRef": "/networkInterfaces/n1"}]
        assert found["vlanID"] == "7"

    async def test_what_clients_iterate_over_is_there(self, fabric: Api) -> None:
        interface = await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        properties = interface["properties"]["ipConfigurations"][0]["properties"]
        assert properties["loadBalancerInboundNatRules"] == []
        assert properties["loadBalancerBackendAddressPools"] == []
        assert interface["properties"]["counters"] == []
        assert interface["properties"]["privateMacAddress"] == "001DD8B71C00"

    async def test_hidden_members_stay_hidden(self, fabric: Api) -> None:
        assert "routingDomainNumber" not in (await fabric.get(f"{N}/virtualNetworks")).text
        dry = await fabric.http.delete(f"{N}/virtualNetworks/blue?dryRun=true")
        assert "routingDomainNumber" not in dry.text
        assert "/virtualNetworks/blue" in dry.text

    async def test_vsid_is_text_and_taken_back(self, fabric: Api) -> None:
        network = await fabric.body(f"{N}/virtualNetworks/blue")
        assert network["properties"]["subnets"][0]["properties"]["virtualSubnetId"] == "6001"
        again = await fabric.http.put(f"{N}/virtualNetworks/blue", json=network)
        assert again.status_code == 200
        assert again.json()["properties"]["subnets"][0]["properties"]["virtualSubnetId"] == "6001"

    async def test_every_answer_can_be_put_back(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
        fabric_paths = ("macPools/pool1", "logicalNetworks/hnvpa", "servers/host1", "virtualNetworks/blue")
        for path in (
            *(f"{N}/{each}" for each in fabric_paths),
            f"{N}/networkInterfaces/n1",
            f"{W}/virtualMachines/vm1",
        ):
            before = await fabric.body(path)
            answer = await fabric.http.put(path, json=before)
            assert answer.status_code == 200, answer.text
            assert _without_etags(answer.json()) == _without_etags(before)


def _without_etags(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_etags(each) for name, each in value.items() if name != "etag"}
    return [_without_etags(each) for each in value] if isinstance(value, list) else value


class TestPreconditions:
    @pytest.mark.parametrize(
        ("headers", "absent", "present"),
        [
            ({}, 201, 200),
            ({"if_match": "*"}, 412, 200),
            ({"if_match": 'W/"other"'}, 412, 412),
            ({"if_none_match": "*"}, 201, 412),
        ],
    )
    async def test_put(self, api: Api, headers: dict[str, str], absent: int, present: int) -> None:
        response = await api.put(f"{N}/macPools/pool1", POOL, **headers)
        assert response.status_code == absent
        if absent == 412:
            assert response.json()["error"]["code"] == "PreconditionFailed"
            await api.made(f"{N}/macPools/pool1", POOL)
        assert (await api.put(f"{N}/macPools/pool1", POOL, **headers)).status_code == present

    async def test_put_with_the_right_etag(self, api: Api) -> None:
        etag = (await api.made(f"{N}/macPools/pool1", POOL))["etag"]
        assert (await api.put(f"{N}/macPools/pool1", POOL, if_match=etag)).status_code == 200

    @pytest.mark.parametrize(("headers", "status"), [({}, 200), ({"if_match": "*"}, 200), ({"if_match": '"x"'}, 412)])
    async def test_delete(self, api: Api, headers: dict[str, str], status: int) -> None:
        assert (await api.delete(f"{N}/macPools/pool1", **headers)).status_code == 204
        await api.made(f"{N}/macPools/pool1", POOL)
        assert (await api.delete(f"{N}/macPools/pool1", **headers)).status_code == status


class TestRepeats:
    async def test_the_same_id_gets_the_same_answer(self, fabric: Api) -> None:
        first = await fabric.put(f"{N}/networkInterfaces/n1", interface_in(), x_ms_client_request_id="r1")
        again = await fabric.put(f"{N}/networkInterfaces/n1", interface_in(), x_ms_client_request_id="r1")
        assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
        assert again.headers["etag"] == first.headers["etag"]
        plain = await fabric.put(f"{N}/networkInterfaces/n1", interface_in())
        assert plain.status_code == 200

    async def test_a_repeated_delete_says_again_that_it_deleted(self, fabric: Api) -> None:
        for _ in range(2):
            response = await fabric.delete(f"{N}/macPools/pool1", x_ms_client_request_id="r1")
            assert response.status_code == 200

    async def test_together(self, fabric: Api) -> None:
        sent = [fabric.put(f"{N}/networkInterfaces/n1", interface_in(), x_ms_client_request_id="r1") for _ in range(5)]
        answers = await asyncio.gather(*sent)
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}

    async def test_one_id_for_different_requests_never_mixes_them(self, fabric: Api) -> None:
        for name in ("n1", "n2"):
            answer = await fabric.put(f"{N}/networkInterfaces/{name}", interface_in(), x_ms_client_request_id="same")
            assert answer.json()["resourceId"] == name
        changed = interface_in(dnsSettings={"dnsServers": ["10.1.1.53"]})
        answer = await fabric.put(f"{N}/networkInterfaces/n1", changed, x_ms_client_request_id="same")
        assert answer.json()["properties"]["dnsSettings"] == {"dnsServers": ["10.1.1.53"]}

    async def test_the_id_is_echoed_when_asked_for(self, api: Api) -> None:
        response = await api.get("/healthz", x_ms_client_request_id="r1", x_ms_return_client_request_id="True")
        assert response.headers["x-ms-client-request-id"] == "r1"
        assert "x-ms-client-request-id" not in (await api.get("/healthz", x_ms_client_request_id="r1")).headers


class TestRefusals:
    @pytest.mark.parametrize(
        "content_type", ["application/json; charset=UTF-8", "text/plain", "application/x-www-form"]
    )
    async def test_content_types_are_not_looked_at(self, api: Api, content_type: str) -> None:
        body = b'{"properties": {"startMacAddress": "001DD8B71C00", "endMacAddress": "00:1d:d8:b7:1c:0f"}}'
        response = await api.send("PUT", f"{N}/macPools/pool1", body, content_type=content_type)
        assert response.status_code == 201

    async def test_body_that_is_no_json(self, api: Api) -> None:
        response = await api.send("PUT", f"{N}/macPools/pool1", b"{")
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "InvalidRequestFormat")
        assert error["details"][0]["code"] == "InvalidJson"

    async def test_codes_and_targets_of_the_rules(self, fabric: Api) -> None:
        response = await fabric.put(f"{N}/networkInterfaces/n1", interface_in("/virtualNetworks/blue/subnets/none"))
        assert response.status_code == 400
        assert "none" in response.json()["error"]["message"]
        assert (await fabric.get(f"{N}/networkInterfaces/n1")).status_code == 404

    async def test_not_found_names_the_resource(self, api: Api) -> None:
        error = (await api.get(f"{N}/macPools/none")).json()["error"]
        assert error["target"] == "/macPools/none"

    async def test_foreign_hosts_and_origins(self, api: Api) -> None:
        assert (await api.get("/healthz", host="evil.example")).status_code == 403
        assert (await api.get("/healthz", origin="http://evil.example")).status_code == 403
        for host in ("localhost:9000", "127.0.0.1:8470", "[::1]:8470", "127.0.0.2"):
            assert (await api.get("/healthz", host=host)).status_code == 200
        own = {"host": "localhost:9000", "origin": "http://localhost:9000"}
        assert (await api.get("/healthz", **own)).status_code == 200
        assert (await api.get("/healthz", **own | {"origin": "http://localhost:3000"})).status_code == 403


class TestDryRunAndWait:
    async def test_dry_run_keeps_nothing(self, fabric: Api, controller: Controller) -> None:
        revision = controller.state.revision
        response = await fabric.http.put(f"{N}/networkInterfaces/n1?dryRun=true", json={"properties": interface_in()})
        answer = response.json()
        assert (response.status_code, answer["dryRun"], answer["outcome"]) == (200, True, "created")
        granted = {change["address"]: change["action"] for change in answer["changes"] if "address" in change}
        assert granted == {"00-1D-D8-B7-1C-00": "granted", "10.1.1.2": "granted"}
        assert controller.state.revision == revision
        assert (await fabric.get(f"{N}/networkInterfaces/n1")).status_code == 404

    async def test_dry_run_refuses_as_the_real_one(self, fabric: Api) -> None:
        response = await fabric.http.put(f"{N}/networkInterfaces/n1?dryrun", json={"properties": interface_in("/x")})
        assert response.status_code == 400

    @pytest.mark.parametrize("query", ["wait=all", "wait=hosts&timeout=x", "wait=hosts&timeout=-1", "dryRun=maybe"])
    async def test_bad_queries(self, fabric: Api, query: str) -> None:
        response = await fabric.http.put(f"{N}/networkInterfaces/n1?{query}", json={"properties": interface_in()})
        assert response.status_code == 400
        assert (await fabric.get(f"{N}/networkInterfaces/n1")).status_code == 404

    async def test_wait_without_managed_hosts(self, fabric: Api) -> None:
        response = await fabric.http.put(
            f"{N}/networkInterfaces/n1?wait=hosts&timeout=5", json={"properties": interface_in()}
        )
        assert response.status_code == 201


class TestSingleton:
    async def test_the_manager_exists_from_the_beginning(self, api: Api) -> None:
        found = await api.body(f"{N}/virtualNetworkManager/configuration")
        assert found["properties"]["networkVirtualizationProtocol"] == "VXLAN"
        answer = await api.put(f"{N}/virtualNetworkManager/configuration", {"networkVirtualizationProtocol": "nvgre"})
        assert answer.json()["properties"]["networkVirtualizationProtocol"] == "NVGRE"


async def test_operations_always_answer(api: Api) -> None:
    assert await api.body("/networking/V1/Operations/any") == {"status": "Succeeded"}
    assert (await api.get(f"{N}/operationResults/any")).status_code == 204


async def test_discovery(api: Api) -> None:
    found = (await api.body("/networking/discovery"))["properties"]
    assert found["currentRestVersion"] == "V1"
    assert "V7.1" in found["supportedRestVersions"]


async def test_released_addresses_come_back_after_their_cool_down(
    fabric: Api, controller: Controller, clock: HandClock
) -> None:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.delete(f"{N}/networkInterfaces/n1")
    assert (await fabric.body(f"{W}/macPools/pool1/usage"))["cooling"] == 1
    clock.seconds += 3601
    async with asyncio.timeout(30):
        while (await fabric.body(f"{W}/macPools/pool1/usage"))["cooling"]:
            await asyncio.sleep(0.05)
