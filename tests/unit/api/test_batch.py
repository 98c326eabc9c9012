"""A batch whose requests stand each for itself: retries, counts, and a failure of ours."""

from typing import Any

import msgspec
import pytest

from tests.unit.api.conftest import BLUE, WEB, Api, N, W, interface_in, machine_with
from weft.control.controller import Controller


def requests_for(*names: str, subnet: str = WEB) -> list[dict[str, Any]]:
    return [
        {"method": "PUT", "path": f"{N}/networkInterfaces/{name}", "body": {"properties": interface_in(subnet)}}
        for name in names
    ]


async def test_a_repeat_of_single_requests_is_answered_from_the_first(fabric: Api, controller: Controller) -> None:
    requests = [*requests_for("a"), *requests_for("b", subnet="/virtualNetworks/blue/subnets/later")]
    body = msgspec.json.encode({"atomic": False, "requests": requests})
    first = (await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")).json()["responses"]
    assert [answer["status"] for answer in first] == [201, 400]
    await fabric.delete(f"{N}/networkInterfaces/a")
    subnets = [*BLUE["subnets"], {"resourceId": "later", "properties": {"addressPrefix": "10.1.9.0/24"}}]
    await fabric.put(f"{N}/virtualNetworks/blue", {**BLUE, "subnets": subnets})
    again = (await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")).json()["responses"]
    assert again[0] == first[0]
    assert again[1]["status"] == 201
    assert (await fabric.get(f"{N}/networkInterfaces/a")).status_code == 404
    other = await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r2")
    assert [answer["status"] for answer in other.json()["responses"]] == [201, 200]


@pytest.mark.parametrize("atomic", [True, False])
async def test_grants_are_counted_once(fabric: Api, atomic: bool) -> None:
    body = msgspec.json.encode({"atomic": atomic, "requests": requests_for("a", "b")})
    for _ in range(2):
        await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")
    lines = (await fabric.get("/metrics")).text.splitlines()
    assert 'weft_grants_total{kind="mac"} 2.0' in lines


async def test_a_fault_of_ours_fails_one_request_alone(
    fabric: Api, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = controller.submit

    async def broken(command: Any, *more: Any) -> Any:
        if command.path.id == "b":
            raise RuntimeError("a bug, says the test")
        return await submit(command, *more)

    monkeypatch.setattr(controller, "submit", broken)
    requests = requests_for("a", "b", "c")
    response = await fabric.post(f"{W}/batch", {"atomic": False, "requests": requests})
    answers = response.json()["responses"]
    assert [answer["status"] for answer in answers] == [201, 500, 201]
    assert answers[1]["body"]["error"]["code"] == "InternalServerError"
    assert response.headers["x-ms-request-id"] in answers[1]["body"]["error"]["message"]


async def desktops(api: Api, count: int) -> None:
    """Machines with a checkpoint each, whose MAC address was renewed since."""
    puts: list[dict[str, Any]] = []
    for at in range(count):
        nic = {"resourceRef": f"/networkInterfaces/d{at}-eth0"}
        puts += requests_for(f"d{at}-eth0")
        puts.append(
            {
                "method": "PUT",
                "path": f"{W}/virtualMachines/d{at}",
                "body": {"properties": {"networkInterfaces": [nic]}},
            }
        )
    for requests in (puts, actions(count, "checkpoint", resourceId="clean")):
        answer = await api.post(f"{W}/batch", {"requests": requests})
        assert answer.status_code == 200, answer.text
    for at in range(count):
        asked = {"networkInterface": f"d{at}-eth0"}
        assert (await api.post(f"{W}/virtualMachines/d{at}/renewMac", asked)).status_code == 200


def actions(count: int, action: str, **body: Any) -> list[dict[str, Any]]:
    return [{"method": "POST", "path": f"{W}/virtualMachines/d{at}/{action}", "body": body} for at in range(count)]


class TestActions:
    @pytest.mark.parametrize("atomic", [True, False])
    async def test_many_restores_answer_as_single_ones(self, fabric: Api, controller: Controller, atomic: bool) -> None:
        await desktops(fabric, 3)
        revision = controller.state.revision
        body = msgspec.json.encode({"atomic": atomic, "requests": actions(3, "restore", checkpoint="clean")})
        first = await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")
        answers = first.json()["responses"]
        assert [answer["status"] for answer in answers] == [200, 200, 200]
        for at, answer in enumerate(answers):
            members = answer["body"]["properties"]
            assert (answer["body"]["resourceId"], members["restore"][0]["outcome"]) == (f"d{at}", "restored")
        if atomic:
            assert controller.state.revision == revision + 1
        revision = controller.state.revision
        again = await fabric.send("POST", f"{W}/batch", body, x_ms_client_request_id="r1")
        assert (again.content, controller.state.revision) == (first.content, revision)

    async def test_what_runs_is_stopped_for_it_only_where_each_stands_for_itself(self, fabric: Api) -> None:
        await desktops(fabric, 1)
        machine = f"{W}/virtualMachines/d0"
        await fabric.put(machine, {**machine_with("d0-eth0")})
        assert (await fabric.post(f"{machine}/start", {})).status_code == 200
        requests = actions(1, "restore", checkpoint="clean")
        whole = await fabric.post(f"{W}/batch", {"requests": requests})
        assert (whole.status_code, whole.json()["error"]["code"]) == (409, "MachineIsRunning")
        (answer,) = (await fabric.post(f"{W}/batch", {"atomic": False, "requests": requests})).json()["responses"]
        found = answer["body"]["properties"]
        assert (found["restore"][0]["outcome"], found["powerState"]) == ("restored", "Running")

    async def test_puts_come_before_actions_and_deletes_after(self, fabric: Api) -> None:
        nic = {"resourceRef": "/networkInterfaces/d0-eth0"}
        requests = [
            {"method": "DELETE", "path": f"{W}/virtualMachines/d0"},
            *actions(1, "clone", resourceId="d1"),
            *actions(1, "export", resourceId="copy"),
            {"method": "PUT", "path": f"{W}/virtualMachines/d0", "body": {"properties": {"networkInterfaces": [nic]}}},
            *requests_for("d0-eth0"),
            {"method": "POST", "path": f"{W}/virtualMachines/import", "body": {"resourceId": "old"}},
        ]
        for atomic in (True, False):
            response = await fabric.post(f"{W}/batch", {"atomic": atomic, "requests": requests})
            assert response.status_code == 200, response.text
            answers = response.json()["responses"]
            assert [answer["status"] for answer in answers] == [200, 200, 200, 201, 201, 200]
            # of what the same revision deletes nothing is left to show
            shown = [answer["body"] and answer["body"]["resourceId"] for answer in answers]
            assert shown[1:] == ["d1", None, "d0", "d0-eth0", "old"]
            for path in (
                f"{W}/virtualMachines/d1",
                f"{W}/virtualMachines/old",
                f"{N}/networkInterfaces/d1-eth0",
                f"{W}/virtualMachines/d0/exports/copy",
                f"{N}/networkInterfaces/d0-eth0",
            ):
                assert (await fabric.delete(path)).status_code == 200

    async def test_a_dry_run_says_what_would_become_of_each(self, fabric: Api, controller: Controller) -> None:
        await desktops(fabric, 2)
        revision = controller.state.revision
        for atomic in (True, False):
            requests = actions(2, "restore", checkpoint="clean")
            answer = (await fabric.post(f"{W}/batch?dryRun=true", {"atomic": atomic, "requests": requests})).json()
            found = [each["body"]["properties"]["restore"][0]["outcome"] for each in answer["responses"]]
            assert (answer["dryRun"], found) == (True, ["restored", "restored"])
        assert controller.state.revision == revision

    @pytest.mark.parametrize(
        ("path", "body", "status", "said"),
        [
            ("virtualMachines/d0/start", {}, 400, "waits for a host"),
            ("virtualMachines/d0/dance", {}, 404, "Served: "),
            ("virtualMachines/d0", {}, 405, "actions of machines"),
            ("macPools/pool1/reserve", {"count": 1}, 405, "actions of machines"),
            ("virtualMachines/d0/clone", {"name": "x"}, 400, "'name' is not known"),
            ("virtualMachines/d0/restore", {"checkpoint": "c", "dryRun": True}, 400, "whole batch"),
            ("virtualMachines/none/clone", {"resourceId": "x"}, 404, "none"),
        ],
    )
    async def test_what_cannot_be_asked_for(self, fabric: Api, path: str, body: Any, status: int, said: str) -> None:
        requests = [*requests_for("a"), {"method": "POST", "path": f"{W}/{path}", "body": body}]
        whole = await fabric.post(f"{W}/batch", {"requests": requests})
        assert (whole.status_code, said in whole.text) == (status, True), whole.text
        assert whole.json()["error"]["target"].startswith("requests[1]")
        each = (await fabric.post(f"{W}/batch", {"atomic": False, "requests": requests})).json()["responses"]
        assert [answer["status"] for answer in each] == [201, status]

    async def test_preconditions_are_for_resources(self, fabric: Api) -> None:
        request = {**actions(1, "export", resourceId="e")[0], "ifMatch": "*"}
        assert (await fabric.post(f"{W}/batch", {"requests": [request]})).status_code == 400

    async def test_only_an_action_makes_a_checkpoint(self, fabric: Api) -> None:
        request = {"method": "PUT", "path": f"{W}/virtualMachines/d0/checkpoints/c", "body": {}}
        response = await fabric.post(f"{W}/batch", {"requests": [request]})
        assert (response.status_code, "ID/checkpoint makes one" in response.text) == (405, True)

    async def test_a_batch_is_bounded(self, fabric: Api) -> None:
        response = await fabric.post(f"{W}/batch", {"requests": requests_for("a") * 10_001})
        assert (response.status_code, "10000 requests, this one 10001" in response.text) == (400, True)


async def test_actions_that_may_wait_come_after_what_is_put_and_before_what_is_deleted(fabric: Api) -> None:
    """Each on its own, as in one transaction: the machine is there when it is restored, twice if asked twice."""
    nic = {"networkInterface": {"resourceRef": "/networkInterfaces/a"}}
    machine = f"{W}/virtualMachines/m"
    requests = [
        {"method": "DELETE", "path": f"{machine}/checkpoints/c"},
        {"method": "POST", "path": f"{machine}/checkpoint", "body": {"resourceId": "c"}},
        {"method": "POST", "path": f"{machine}/renewMac", "body": nic},
        {"method": "POST", "path": f"{machine}/renewMac", "body": nic},
        {"method": "POST", "path": f"{machine}/restore", "body": {"checkpoint": "c"}},
        *requests_for("a"),
        {"method": "PUT", "path": machine, "body": {"properties": machine_with("a")}},
    ]
    each = (await fabric.post(f"{W}/batch", {"atomic": False, "requests": requests})).json()["responses"]
    assert [answer["status"] for answer in each] == [200, 200, 200, 200, 200, 201, 201]
    assert each[4]["body"]["properties"]["restore"][0]["outcome"] == "restored"


@pytest.mark.parametrize("atomic", [True, False])
async def test_what_is_asked_of_one_request_is_not_passed_over(fabric: Api, atomic: bool) -> None:
    """A request that says dryRun for itself was carried out."""
    (request,) = requests_for("a")
    request["path"] += "?dryRun=true"
    answer = (await fabric.post(f"{W}/batch", {"atomic": atomic, "requests": [request]})).json()
    refusal = answer if atomic else answer["responses"][0]["body"]
    assert "?dryRun=true" in refusal["error"]["message"]
    assert (await fabric.get(f"{N}/networkInterfaces/a")).status_code == 404
