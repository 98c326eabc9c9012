"""Stories of what Hyper-V hosts draw from by themselves, on fake hosts that run our scripts: ranges that are equal, and
checkpoints of machines that are none of ours.
"""

import asyncio
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.stories.desk import Desk, new_id
from tests.stories.hyperv_desk import opened
from weft.agent.hyperv.driver import HyperVDriver
from weft.cli.commands import app
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.people import Console
from weft.fakes.hyperv.shell import FakeShell
from weft.model.values import Mac, mac_dashes

FIRST = {"first": "00-15-5D-01-0A-00", "last": "00-15-5D-01-0A-FF"}
"""Of a host whose address ends .1.10."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)


async def hosts(desk: Desk, *ipv4: str) -> HyperVDatacenter:
    """So many Hyper-V hosts, hv1 first, each with an agent."""
    center = HyperVDatacenter()
    desk.kind = "hyperv"
    for number, address in enumerate(ipv4, 1):
        name = f"hv{number}"
        host = center.add_host(name, address)
        await desk.put(f"/networking/v1/servers/{name}", {"properties": {}})
        desk.center.add_host(name, [f"192.168.9.{number}"])
        desk.center.hypervisors[name] = HyperVDriver(name, FakeShell(host), pulse=0.02)
        await desk.start_agent(name)
    return center


async def server(desk: Desk, name: str) -> Any:
    return (await desk.get(f"/networking/v1/servers/{name}"))["properties"]


async def wants(desk: Desk, name: str, **members: Any) -> None:
    await desk.put(f"/networking/v1/servers/{name}", {"properties": {**(await server(desk, name)), **members}})


async def overlaps(desk: Desk, count: int) -> list[Any]:
    """The overlaps of ranges, once there are so many."""
    found: list[Any] = []

    async def so() -> bool:
        found[:] = await desk.conflicts("rangeOverlap")
        return len(found) == count

    await desk.eventually(so)
    return found


async def test_0_10_hosts_of_equal_ranges_are_named_at_once_and_one_gets_another(desk: Desk) -> None:
    center = await hosts(desk, "10.1.1.10", "10.2.1.10")
    (clash,) = await overlaps(desk, 1)
    assert clash["address"] == f"{FIRST['first']} to {FIRST['last']}"
    assert "weft host range hv2 --apply" in clash["remedy"]
    assert "MinimumMacAddress" in clash["remedy"]
    assert clash["command"].startswith("Set-VMHost -ComputerName 'hv2' -MacAddressMinimum 00155D000000 ")
    proposal = (await desk.get("/weft/v1/servers/hv2/state"))["dynamicRange"]["proposal"]
    await wants(desk, "hv2", wantedDynamicMacRange=proposal)
    await overlaps(desk, 0)
    assert (center.hosts["hv2"].range.first, center.hosts["hv2"].range.last) == (0x00155D000000, 0x00155D0000FF)
    assert (await server(desk, "hv2"))["dynamicMacRange"] == proposal
    assert (await server(desk, "hv1"))["dynamicMacRange"] == FIRST
    # another hand changes it: at the next look it is as it was wanted again
    center.hosts["hv2"].forget_range()
    Console(center, "hv2").create("to be seen")

    async def again() -> bool:
        return center.hosts["hv2"].range.first == 0x00155D000000

    await desk.eventually(again)


@pytest.mark.parametrize(("first", "last"), [(-0x80, 0x7F), (0xFF, 0xFF), (-0x10000, 0x1FFFF)])
async def test_0_c3_the_command_that_a_remedy_names_ends_the_overlap(first: int, last: int) -> None:
    """Also where ranges have but a part of each other; and what is free in the one that came of it is listed."""
    async with opened() as desk:
        await desk.cluster(hosts=2)
        own = desk.host("host1").range.first
        desk.host("host2").set_range(Mac(own + first), Mac(own + last))
        desk.console("host2").create("to be seen")
        (clash,) = await overlaps(desk, 1)
        assert clash["address"] == f"{mac_dashes(Mac(own + max(first, 0)))} to {mac_dashes(Mac(own + min(last, 255)))}"
        told = re.search("weft (host range host[12] --apply)", clash["remedy"])
        assert told is not None
        done = await weft(desk, *told[1].split())
        assert done.exit_code == 0, done.output
        await overlaps(desk, 0)
        host = desk.host(told[1].split()[2])
        free = await weft(desk, "host", "addresses", host.name)
        ends = f"{mac_dashes(host.range.first)} to {mac_dashes(host.range.last)}"
        assert f"dynamicMacRange {ends}: 256 of 256 free" in free.output


async def weft(desk: Desk, *words: str) -> Any:
    asked = [*words, "--controller", f"unix:{desk.socket}"]
    return await asyncio.to_thread(CliRunner().invoke, app, asked, obj=new_id)


async def test_0_13_what_is_free_in_a_hosts_own_range_and_who_has_the_rest(desk: Desk) -> None:
    center = await hosts(desk, "10.1.1.10")
    console = Console(center, "hv1")
    vm = console.create("desk 7")
    console.start(vm)
    found: list[Any] = []

    async def seen() -> bool:
        found[:] = (await desk.get("/weft/v1/servers/hv1/addresses?state=foreign"))["value"]
        return len(found) == 1

    await desk.eventually(lambda: _has_range(desk))
    await desk.eventually(seen)
    assert found[0]["address"] == "00-15-5D-01-0A-00"
    usage = await desk.get("/weft/v1/servers/hv1/usage")
    assert (usage["range"], usage["free"], usage["foreign"]) == (FIRST, 255, 1)


async def _has_range(desk: Desk) -> bool:
    return "dynamicMacRange" in await server(desk, "hv1")


async def test_2_4_to_2_9_blanked_checkpoints_on_all_nodes_without_a_restart(desk: Desk) -> None:
    center = await hosts(desk, "10.1.1.10", "10.1.1.20")
    vms = []
    for name in ("hv1", "hv2"):
        console = Console(center, name)
        vm = console.create("desk 1")
        console.start(vm)
        console.stop(vm)
        for point in ("clean", "clean"):
            console.checkpoint(vm, point)
        console.start(vm)
        console.checkpoint(vm, "RDV_ROLLBACK - 1")
        vms.append((name, vm))
    for name, vm in vms:
        told: list[Any] = []

        async def known(name: str = name, told: list[Any] = told) -> bool:
            told[:] = (await desk.get(f"/weft/v1/servers/{name}/machines"))["value"]
            return bool(told) and len(told[0]["checkpoints"]) == 3

        await desk.eventually(known)
        (machine,) = told
        assert [one["blanking"] for one in machine["checkpoints"]] == ["possible", "possible", "no"]
        every = [{"machine": machine["id"], "checkpoint": one["id"]} for one in machine["checkpoints"]]
        await wants(desk, name, blankCheckpoints=every)

        async def blank(name: str = name) -> bool:
            (machine,) = (await desk.get(f"/weft/v1/servers/{name}/machines"))["value"]
            return [one["blanking"] for one in machine["checkpoints"]] == ["done", "done", "no"]

        await desk.eventually(blank)
        problems = (await desk.get(f"/weft/v1/servers/{name}/state"))["problems"]
        assert any("RDV_ROLLBACK - 1 of desk 1 is not blanked" in one["message"] for one in problems)
        # it ran all the time, with the address that it had
        assert vm.power == "Running" and vm.nics[0].mac
