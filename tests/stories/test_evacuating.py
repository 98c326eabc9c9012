"""A host is emptied for its maintenance in one call, through the API and by `weft host evacuate`."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red
from weft.cli.commands import app


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
    found = await every(desk, "/networking/v1/networkInterfaces")
    return sorted((one["resourceId"], one["properties"]["privateMacAddress"]) for one in found)


async def every(desk: Desk, path: str) -> list[Any]:
    """Of all pages."""
    found: list[Any] = []
    while path:
        page = await desk.get(path)
        found += page["value"]
        path = page.get("nextLink", "")
    return found


async def places(desk: Desk) -> list[str]:
    found = await every(desk, "/weft/v1/virtualMachines")
    return [one["properties"]["server"]["resourceRef"].rpartition("/")[2] for one in found]


async def full_host(desk: Desk, count: int) -> None:
    """So many machines that run on host1 of three, and one on host2."""
    await desk.cluster(hosts=3)
    await desk.machine("peer", "host2", ip="10.1.1.250")
    puts = []
    for n in range(count):
        nic = desk.nic_body("blue", "web", ip=f"10.1.{2 + n // 100}.{10 + n % 100}")
        nic["properties"]["ipConfigurations"][0]["properties"]["subnet"] = {
            "resourceRef": f"/virtualNetworks/blue/subnets/s{n // 100}"
        }
        refs = [{"resourceRef": f"/networkInterfaces/m{n}-eth0"}]
        machine = {"server": {"resourceRef": "/servers/host1"}, "networkInterfaces": refs}
        puts.append({"method": "PUT", "path": f"/networking/v1/networkInterfaces/m{n}-eth0", "body": nic})
        puts.append({"method": "PUT", "path": f"/weft/v1/virtualMachines/m{n}", "body": {"properties": machine}})
    for n in range((count + 99) // 100):
        subnet = {"properties": {"addressPrefix": f"10.1.{2 + n}.0/24"}}
        await desk.put(f"/networking/v1/virtualNetworks/blue/subnets/s{n}", subnet)
    for first in range(0, len(puts), 100):
        await desk.post("/weft/v1/batch", {"requests": puts[first : first + 100]})
    for first in range(0, count, 20):
        await asyncio.gather(*(desk.act(f"m{n}", "start") for n in range(first, min(first + 20, count))))


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.soak)])
async def test_a_full_host_is_emptied_in_one_call_though_the_controller_dies_in_the_middle(
    desk: Desk, count: int
) -> None:
    """By the command line, which nobody has to repeat. All machines have what they had, and are reached."""
    await full_host(desk, count)
    before, sample = await addresses(desk), [*range(0, count, max(1, count // 20)), count - 1]
    for hypervisor in desk.center.hypervisors.values():
        hypervisor.verb_seconds = 0.05  # else all have moved before anybody dies
    words = ["host", "evacuate", "host1", "--at-once", "4" if count < 100 else "32"]
    asked = asyncio.create_task(
        asyncio.to_thread(CliRunner().invoke, app, [*words, "--controller", f"unix:{desk.socket}"])
    )

    async def under_way() -> bool:
        return 0 < sum(one != "host1" for one in await places(desk)) - 1 < count

    await desk.eventually(under_way)
    await desk.restart()
    for host in ("host1", "host2", "host3"):
        await desk.eventually(lambda host=host: desk.applied(host))
    said = await asked
    assert said.exit_code == 0, said.output
    found = await places(desk)
    assert "host1" not in found and len(found) == count + 1
    assert min(found.count("host2"), found.count("host3")) > count // 4
    assert await addresses(desk) == before
    for n in sample:
        assert await desk.answers("peer", f"10.1.{2 + n // 100}.{10 + n % 100}") == [f"m{n}"]
    assert (await desk.get("/weft/v1/conflicts"))["value"] == []
