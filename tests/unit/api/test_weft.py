"""/weft/v1: machines' actions, hosts' policy and state, traces, metrics, the description."""

import asyncio
import json
import shutil
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.powershell import faults, literals
from tests.unit.api.conftest import WEB, Api, HandClock, N, W, interface_in, machine_with
from weft.api.serve import build
from weft.control.controller import Controller
from weft.model.kinds import KINDS


@pytest.fixture
async def machine(fabric: Api) -> Api:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    return fabric


class TestMachines:
    async def test_answers_stand_under_weft(self, machine: Api) -> None:
        found = await machine.body(f"{W}/virtualmachines/VM1")
        assert found["resourceRef"] == "/weft/virtualMachines/vm1"
        assert found["properties"]["powerState"] == "Off"
        assert (found["properties"]["checkpoints"], found["properties"]["conflicts"]) == ([], [])

    async def test_start_stop_save(self, machine: Api) -> None:
        for action, power in (("start", "Running"), ("save", "Saved"), ("START", "Running"), ("stop", "Off")):
            response = await machine.post(f"{W}/virtualMachines/vm1/{action}", {})
            assert (response.status_code, response.json()["properties"]["powerState"]) == (200, power)

    async def test_an_empty_body_is_fine(self, machine: Api) -> None:
        assert (await machine.send("POST", f"{W}/virtualMachines/vm1/start")).status_code == 200

    async def test_migrate_on_unmanaged_servers(self, machine: Api) -> None:
        await machine.post(f"{W}/virtualMachines/vm1/start", {})
        response = await machine.post(
            f"{W}/virtualMachines/vm1/migrate", {"Server": {"resourceRef": "/servers/host2"}, "force": "False"}
        )
        assert response.json()["properties"]["server"] == {"resourceRef": "/servers/host2"}

    @pytest.mark.parametrize(
        ("action", "body", "status", "code"),
        [
            ("migrate", {}, 400, "RequiredParamMissing"),
            ("migrate", {"server": "/servers/host2", "force": "maybe"}, 400, "InvalidParameterValue"),
            ("migrate", {"server": "/servers/none"}, 400, "InvalidResourceReference"),
            ("dance", {}, 404, "NotFound"),
        ],
    )
    async def test_actions_refused(self, machine: Api, action: str, body: object, status: int, code: str) -> None:
        response = await machine.post(f"{W}/virtualMachines/vm1/{action}", body)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)

    async def test_action_on_no_machine(self, fabric: Api) -> None:
        assert (await fabric.post(f"{W}/virtualMachines/none/start", {})).status_code == 404

    async def test_dry_run_of_an_action(self, machine: Api, controller: Controller) -> None:
        revision = controller.state.revision
        for action, body in (("start", {}), ("migrate", {"server": {"resourceRef": "/servers/host2"}})):
            answer = (await machine.post(f"{W}/virtualMachines/vm1/{action}?dryRun=true", body)).json()
            assert answer["changes"][0]["resourceRef"] == "/weft/virtualMachines/vm1"
        assert controller.state.revision == revision

    async def test_a_retry_of_a_running_action_gets_its_outcome(self, machine: Api) -> None:
        path = f"{W}/virtualMachines/vm1/start"
        sent = [machine.send("POST", path, b"{}", x_ms_client_request_id="r1") for _ in range(3)]
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}

    async def test_a_retry_gets_the_first_answer_also_after_a_restart(self, machine: Api, tmp_path: Path) -> None:
        start, stop = (f"{W}/virtualMachines/vm1/{action}" for action in ("start", "stop"))
        first = await machine.send("POST", start, b"{}", x_ms_client_request_id="r1")
        assert (await machine.post(stop, {})).status_code == 200
        again = await machine.send("POST", start, b"{}", x_ms_client_request_id="r1")
        assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
        assert (await machine.body(f"{W}/virtualMachines/vm1"))["properties"]["powerState"] == "Off"
        assert (await machine.delete(f"{W}/virtualMachines/vm1")).status_code == 200
        shutil.copytree(tmp_path, tmp_path / "left")
        with closing(Controller.open(tmp_path / "left", HandClock(), lambda: "another start")) as restarted:
            client = Api(build(restarted, lambda: "request"))
            last = await client.send("POST", start, b"{}", x_ms_client_request_id="r1")
            assert (last.status_code, last.content) == (200, first.content)
            assert (await client.send("POST", start, b"{}", x_ms_client_request_id="r2")).status_code == 404
            assert (await client.send("POST", start + "?dryRun", b"{}", x_ms_client_request_id="r1")).status_code == 404
            await client.http.aclose()

    async def test_a_refused_action_is_tried_anew(self, machine: Api) -> None:
        path = f"{W}/virtualMachines/vm1/save"
        assert (await machine.send("POST", path, b"{}", x_ms_client_request_id="r1")).status_code == 409
        await machine.post(f"{W}/virtualMachines/vm1/start", {})
        assert (await machine.send("POST", path, b"{}", x_ms_client_request_id="r1")).status_code == 200


class TestMachinesOfAHypervisor:
    async def test_without_an_agent_nothing_is_known(self, fabric: Api) -> None:
        found = await fabric.body(f"{W}/servers/host1/machines")
        assert found == {"hypervisor": None, "connected": False, "value": [], "nextLink": ""}
        assert (await fabric.get(f"{W}/servers/none/machines")).status_code == 404
        assert (await fabric.get(f"{W}/servers/host1/machines?limit=1")).status_code == 400

    async def test_checkpoints_to_blank_are_kept_in_one_spelling(self, api: Api) -> None:
        wanted = [
            {"machine": "B", "checkpoint": "X"},
            {"machine": "a", "checkpoint": "y"},
            {"Machine": "b", "checkpoint": "x"},
        ]
        made = await api.made(f"{N}/servers/hv1", {"blankCheckpoints": wanted})
        kept = [{"machine": "a", "checkpoint": "y"}, {"machine": "b", "checkpoint": "x"}]
        assert made["properties"]["blankCheckpoints"] == kept
        assert "blankCheckpoints" not in (await api.made(f"{N}/servers/hv2", {}))["properties"]
        for bad in ([{"machine": "a"}], [{"machine": "a", "checkpoint": "y" * 300}], [kept[0]] * 10_001):
            answer = await api.put(f"{N}/servers/hv1", {"blankCheckpoints": bad})
            assert (answer.status_code, answer.json()["error"]["target"]) == (400, "blankCheckpoints")


class TestHosts:
    async def test_policy(self, machine: Api) -> None:
        await machine.post(f"{W}/virtualMachines/vm1/start", {})
        policy = await machine.body(f"{W}/servers/HOST1/policy")
        assert {record["virtualSubnetId"] for record in policy["lookupRecords"]} == {6001}
        assert policy["ports"][0]["networkInterface"] == "/networkInterfaces/n1"
        assert (await machine.get(f"{W}/servers/none/policy")).status_code == 404

    async def test_policy_as_a_script(self, machine: Api) -> None:
        await machine.post(f"{W}/virtualMachines/vm1/start", {})
        first = await machine.get(f"{W}/servers/HOST1/policy?format=PowerShell")
        assert (first.status_code, first.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert faults(first.text) == []
        data = json.loads(literals(first.text)[0])
        assert data["Server"] == "host1"
        assert {record["VirtualSubnetId"] for record in data["LookupRecords"]} == {6001}
        second = await machine.get(f"{W}/servers/host1/policy?format=powershell&version=V2")
        assert "LookupRecords" not in second.text
        assert [port["Machine"] for port in json.loads(literals(second.text)[0])["Ports"]] == ["vm1"]

    @pytest.mark.parametrize(
        ("asked", "status", "said"),
        [
            ("none/policy?format=powershell", 404, "none"),
            ("host1/policy?format=xml", 400, "json or powershell"),
            ("host1/policy?format=powershell&version=v3", 400, "v1 or v2"),
            ("host1/policy?version=v1", 400, "format=powershell"),
            ("host1/policy?formt=powershell", 400, "formt"),
        ],
    )
    async def test_a_policy_that_there_is_not(self, machine: Api, asked: str, status: int, said: str) -> None:
        answer = await machine.get(f"{W}/servers/{asked}")
        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]

    async def test_state_of_an_unmanaged_server(self, fabric: Api) -> None:
        state = await fabric.body(f"{W}/servers/host1/state")
        assert (state["managed"], state["connected"], state["lag"]) == (False, False, 0)
        assert (await fabric.get(f"{W}/servers/none/state")).status_code == 404

    async def test_trace(self, machine: Api) -> None:
        await machine.post(f"{W}/virtualMachines/vm1/start", {})
        asked = {"From": {"resourceRef": "/networkInterfaces/n1"}, "to": "10.1.1.9", "port": "80", "protocol": "TCP"}
        response = await machine.post(f"{W}/trace", asked)
        assert response.status_code == 200
        answer = response.json()
        assert answer["delivered"] is False
        assert answer["missing"]["record"] == "lookupRecord"

    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"from": "n1"},
            {"from": "n1", "to": "x"},
            *({"from": "n1", "to": "10.1.1.9", "port": port} for port in ("-1", "65536", "1" * 5000)),
            [],
        ],
    )
    async def test_bad_traces(self, machine: Api, asked: object) -> None:
        assert (await machine.post(f"{W}/trace", asked)).status_code == 400


class TestService:
    async def test_health_and_readiness(self, api: Api, controller: Controller) -> None:
        assert await api.body("/healthz") == {"status": "ok"}
        assert (await api.body("/readyz"))["status"] == "ready"
        controller.writer.failure = "the disk is full"
        response = await api.get("/readyz")
        assert (response.status_code, response.json()["reason"]) == (503, "the disk is full")

    async def test_metrics_count(self, machine: Api) -> None:
        await machine.put(f"{N}/networkInterfaces/n9", interface_in("/nothing"))
        lines = (await machine.get("/metrics")).text.splitlines()
        assert 'weft_grants_total{kind="mac"} 1.0' in lines
        assert 'weft_pool_addresses{pool="/macPools/pool1",state="assigned"} 1.0' in lines
        assert any(line.startswith("weft_refusals_total{code=") for line in lines)
        assert any(line.startswith("weft_revision ") for line in lines)

    async def test_the_description_names_every_kind(self, api: Api) -> None:
        paths = (await api.body("/openapi.json"))["paths"]
        for kind in KINDS:
            prefix = "/networking/v1" if kind.prefix == "networking" else W
            assert f"{prefix}/{kind.name}" in paths
        assert "routingDomainNumber" not in str(paths)

    async def test_feed_is_no_page(self, api: Api) -> None:
        assert (await api.get(f"{W}/feed")).status_code == 426

    async def test_failures_of_ours_do_not_show_their_inside(
        self, api: Api, controller: Controller, caplog: pytest.LogCaptureFixture
    ) -> None:
        controller.writer.failure = object()
        response = await api.get("/readyz")
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "InternalServerError"
        assert response.headers["x-ms-request-id"] in response.json()["error"]["message"]
        assert response.headers["x-ms-request-id"] in caplog.text


class TestBatch:
    def requests(self, *names: str, subnet: str = WEB) -> list[dict[str, object]]:
        return [
            {
                "method": "PUT",
                "path": f"/networking/v1/networkInterfaces/{name}",
                "body": {"properties": interface_in(subnet)},
            }
            for name in names
        ]

    async def test_all_in_one_revision(self, fabric: Api, controller: Controller) -> None:
        revision = controller.state.revision
        response = await fabric.post(f"{W}/batch", {"atomic": True, "requests": self.requests("a", "b", "c")})
        answers = response.json()["responses"]
        assert [answer["status"] for answer in answers] == [201, 201, 201]
        assert [answer["body"]["resourceId"] for answer in answers] == ["a", "b", "c"]
        assert controller.state.revision == revision + 1

    async def test_references_in_any_order(self, fabric: Api) -> None:
        machine = {"method": "PUT", "path": f"{W}/virtualMachines/vm1", "body": {"properties": machine_with("a")}}
        for atomic in (True, False):
            requests = [machine, *self.requests("a")]
            answers = (await fabric.post(f"{W}/batch", {"atomic": atomic, "requests": requests})).json()["responses"]
            assert [answer["status"] for answer in answers] == ([201, 201] if atomic else [200, 200])

    async def test_a_refusal_refuses_all_and_names_the_request(self, fabric: Api, controller: Controller) -> None:
        revision = controller.state.revision
        for bad in (self.requests("b", subnet="/virtualNetworks/blue/subnets/none"), self.requests("b", subnet="x")):
            response = await fabric.post(f"{W}/batch", {"requests": [*self.requests("a"), *bad]})
            assert response.status_code == 400
            assert response.json()["error"]["target"].startswith("requests[1].")
        assert controller.state.revision == revision

    async def test_each_for_itself(self, fabric: Api) -> None:
        requests = [
            *self.requests("a"),
            *self.requests("b", subnet="/virtualNetworks/blue/subnets/none"),
            {"method": "DELETE", "path": f"{N}/networkInterfaces/zzz"},
            {"method": "GET", "path": f"{N}/networkInterfaces/a"},
            {"method": "PUT", "path": "/nowhere"},
            {"method": "PUT", "path": f"{N}/networkInterfaces/d"},
        ]
        answers = (await fabric.post(f"{W}/batch", {"atomic": "false", "requests": requests})).json()["responses"]
        assert [answer["status"] for answer in answers] == [201, 400, 204, 405, 400, 400]
        assert answers[1]["body"]["error"]["code"]

    async def test_deletes(self, fabric: Api) -> None:
        await fabric.post(f"{W}/batch", {"requests": self.requests("a")})
        gone = [
            {"method": "delete", "path": f"{N}/virtualNetworks/blue"},
            {"method": "DELETE", "path": f"{N}/networkInterfaces/a"},
        ]
        answers = (await fabric.post(f"{W}/batch", {"requests": gone})).json()["responses"]
        assert [answer["status"] for answer in answers] == [200, 200]

    @pytest.mark.parametrize("atomic", [True, False])
    async def test_dry_run(self, fabric: Api, controller: Controller, atomic: bool) -> None:
        revision = controller.state.revision
        response = await fabric.post(f"{W}/batch?dryRun=true", {"atomic": atomic, "requests": self.requests("a")})
        assert response.json()["dryRun"] is True
        assert len(response.json()["responses"]) == 1
        assert controller.state.revision == revision

    async def test_a_repeat_is_answered_from_the_first(self, fabric: Api, controller: Controller) -> None:
        body = msgspec.json.encode({"requests": self.requests("a", "b")})
        first = await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")
        revision = controller.state.revision
        again = await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")
        assert again.content == first.content
        assert controller.state.revision == revision

    @pytest.mark.parametrize("body", [{}, [], {"requests": [{}]}, {"requests": "x"}])
    async def test_no_batch(self, api: Api, body: object) -> None:
        response = await api.post(f"{W}/batch", body)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "InvalidRequestFormat")
