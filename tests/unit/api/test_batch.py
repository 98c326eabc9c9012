"""A batch whose requests stand each for itself: retries, counts, and a failure of ours."""

from typing import Any

import msgspec
import pytest

from tests.unit.api.conftest import BLUE, WEB, Api, N, W, interface_in
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
