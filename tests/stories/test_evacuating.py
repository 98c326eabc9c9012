"""A host is emptied for its maintenance in one call, through the API and by `weft host evacuate`."""

from typing import Any

from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red


async def test_a_host_is_emptied_and_its_machines_keep_answering(desk: Desk) -> None:
    await blue_and_red(desk)
    before = await addresses(desk)
    path = "/weft/v1/servers/host2/evacuate"
    assert (await desk.refused("GET", path, status=404))["message"].startswith("'host2' was not evacuated")
    answer = await desk.post(path, {})
    assert (answer["ended"], answer["total"], answer["failed"]) == (True, 2, [])
    assert await desk.get(path) == answer
    for tenant in ("blue", "red"):
        assert await desk.answers(f"{tenant}1", "10.1.1.12") == [f"{tenant}2"]
        machine = await desk.get(f"/weft/v1/virtualMachines/{tenant}2")
        assert machine["properties"]["server"]["resourceRef"] == "/servers/host1"
    assert await addresses(desk) == before
    again = await desk.post(path, {})
    assert (again["total"], again["moved"]) == (0, [])


async def test_who_asks_for_what_cannot_be_is_told_why(desk: Desk) -> None:
    await blue_and_red(desk)
    path = "/weft/v1/servers/host2/evacuate"
    for body, code in (
        ({"to": [{"resourceRef": "/servers/host2"}]}, "InvalidParameterValue"),
        ({"to": [{"resourceRef": "/servers/nowhere"}]}, "InvalidResourceReference"),
        ({"atOnce": 0}, "InvalidParameterValue"),
        ({"atOnce": 65}, "InvalidParameterValue"),
    ):
        assert (await desk.refused("POST", path, body, status=400))["code"] == code, body
    await desk.refused("POST", "/weft/v1/servers/nowhere/evacuate", {}, status=404)
    await desk.refused("PUT", path, {}, status=405)


async def addresses(desk: Desk) -> Any:
    found = await desk.get("/networking/v1/networkInterfaces")
    return sorted((one["resourceId"], one["properties"]["privateMacAddress"]) for one in found["value"])
