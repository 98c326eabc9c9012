"""Story 4.c5 of source 004: more than 400 VLANs, one by one into virtual networks, and no address changes.

A reader of source 004 had over 400 VLANs to keep up. `weft leave-vlans` writes the files; here they are applied through
the command line against a whole cluster, and a VLAN is as reachable before, between and after.
"""

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import PROFILE
from tests.stories.desk import Desk
from weft.cli.commands import app

VLANS = 400
ONE_BY_ONE = VLANS if PROFILE == "soak" else 40
"""Of them by the command line; the rest as it sends them, without its comparison."""
WATCHED = (1, 200, 400)
"""VLANs with machines that run and are pinged; the others have an interface each."""


def address(vlan: int, host: int) -> str:
    return str(ipaddress.ip_address("10.0.0.0") + vlan * 256 + host)


def interface(vlan: int, number: int) -> dict[str, Any]:
    configuration = {
        "privateIPAllocationMethod": "Static",
        "privateIPAddress": address(vlan, 10 + number),
        "subnet": {"resourceRef": f"/logicalNetworks/old/subnets/v{vlan}"},
    }
    given = {"resourceId": "ip1", "properties": configuration}
    return {"properties": {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": [given]}}


async def four_hundred(desk: Desk) -> None:
    """Two machines on two hosts in each watched VLAN, one interface in every other."""
    await desk.cluster()
    subnets = [
        {
            "resourceId": f"v{vlan}",
            "properties": {
                "addressPrefix": f"{address(vlan, 0)}/24",
                "vlanID": vlan,
                "defaultGateways": [address(vlan, 254 if vlan == VLANS else 1)],
            },
        }
        for vlan in range(1, VLANS + 1)
    ]
    await desk.put("/networking/v1/logicalNetworks/old", {"properties": {"subnets": subnets}})
    puts = [
        {"method": "PUT", "path": f"/networking/v1/networkInterfaces/m{vlan}-{n}", "body": interface(vlan, n)}
        for vlan in range(1, VLANS + 1)
        for n in ((1, 2) if vlan in WATCHED else (1,))
    ]
    await desk.post("/weft/v1/batch", {"requests": puts})
    for vlan in WATCHED:
        for n in (1, 2):
            await desk.vm(f"vm{vlan}-{n}", f"host{n}", [f"m{vlan}-{n}"])
            await desk.act(f"vm{vlan}-{n}", "start")


async def weft(desk: Desk, *words: str) -> Result:
    environment = {"WEFT_CONTROLLER": f"unix:{desk.socket}"}
    done = await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)
    assert done.exit_code == 0, done.output
    return done


async def pings(desk: Desk, vlan: int) -> bool:
    return await desk.answers(f"vm{vlan}-1", address(vlan, 12)) == [f"vm{vlan}-2"]


async def held(desk: Desk) -> dict[str, tuple[str, str]]:
    """MAC and IP address of every interface."""
    found: dict[str, tuple[str, str]] = {}
    path = "/networking/v1/networkInterfaces"
    while path:
        page = await desk.get(path)
        for one in page["value"]:
            p = one["properties"]
            ip = p["ipConfigurations"][0]["properties"]["privateIPAddress"]
            found[one["resourceId"]] = (p["privateMacAddress"], ip)
        path = page.get("nextLink", "")
    return found


@pytest.mark.longer
async def test_story_4_c5_400_vlans_move_one_by_one_without_readdressing(desk: Desk, tmp_path: Path) -> None:
    await four_hundred(desk)
    before = await held(desk)
    folder = tmp_path / "leaving"
    said = await weft(desk, "leave-vlans", "old", "--provider", "hnvpa", "-o", str(folder))
    steps = sorted(folder.glob("[0-9]*-*.yaml"))
    assert len(steps) == VLANS + 1 and len(list((folder / "back").iterdir())) == VLANS
    assert "10.1.144.254 as their default gateway; in a virtual subnet it is 10.1.144.1" in said.stderr
    await weft(desk, "apply", "-f", str(steps[0]))
    for vlan in WATCHED:
        assert await pings(desk, vlan), "networks with nothing in them change nothing"
    wire = desk.center.network.wire
    alone = sorted({*WATCHED, *range(1, ONE_BY_ONE + 1)})
    for vlan in alone:
        await weft(desk, "apply", "-f", str(folder / f"{vlan:03d}-old-v{vlan}.yaml"), "--wait")
        if vlan not in WATCHED:
            continue
        number = WATCHED.index(vlan)
        wire.seen.clear()
        for other in WATCHED:
            assert await pings(desk, other), (vlan, other)
        assert {frame.vlan_tci & 0xFFF for frame in wire.seen} == set(WATCHED[number + 1 :]), "side by side"
    others = [step for step in steps[1:] if int(step.name[:3]) not in alone]
    for start in range(0, len(others), 50):
        puts = [put for step in others[start : start + 50] for put in puts_of(step)]
        await desk.post("/weft/v1/batch", {"requests": puts})
    assert await held(desk) == before
    left = [one for one in await listed(desk) if "/logicalNetworks/" in one]
    assert left == []
    assert (await desk.get("/weft/v1/conflicts"))["value"] == []
    await weft(desk, "apply", "-f", str(folder / "back" / "200-old-v200.yaml"), "--wait")
    assert await pings(desk, 200) and await held(desk) == before, "a step goes back too"


def puts_of(step: Path) -> list[dict[str, Any]]:
    """What weft apply sends for a step, without its comparison: that was seen where somebody watches."""
    from ruamel.yaml import YAML

    documents = YAML(typ="safe").load_all(step.read_text())
    return [
        {
            "method": "PUT",
            "path": f"/networking/v1/networkInterfaces/{one['resourceId']}",
            "body": {"properties": one["properties"]},
        }
        for one in documents
    ]


async def listed(desk: Desk) -> list[str]:
    """The subnets that interfaces are in."""
    found: list[str] = []
    path = "/networking/v1/networkInterfaces"
    while path:
        page = await desk.get(path)
        for one in page["value"]:
            found.append(one["properties"]["ipConfigurations"][0]["properties"]["subnet"]["resourceRef"])
        path = page.get("nextLink", "")
    return found


async def test_what_cannot_go_is_told_before_anything_is_written(desk: Desk, tmp_path: Path) -> None:
    await desk.cluster()
    subnets = [
        {"resourceId": "v20", "properties": {"addressPrefix": "10.9.0.0/24", "vlanID": 20}},
        {"resourceId": "v21", "properties": {"vlanID": 21}},
    ]
    await desk.put("/networking/v1/logicalNetworks/old", {"properties": {"subnets": subnets}})
    for name, subnet, given in (("router", "v20", "10.9.0.1"), ("anyhow", "v20", ""), ("bare", "v21", "")):
        method = {"privateIPAllocationMethod": "Static", "privateIPAddress": given} if given else {}
        configuration = {"privateIPAllocationMethod": "Unmanaged"} | method
        configuration["subnet"] = {"resourceRef": f"/logicalNetworks/old/subnets/{subnet}"}
        body = {"resourceId": "ip1", "properties": configuration}
        await desk.put(
            f"/networking/v1/networkInterfaces/{name}",
            {"properties": {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": [body]}},
        )
    folder = tmp_path / "leaving"
    environment = {"WEFT_CONTROLLER": f"unix:{desk.socket}"}
    words = ["leave-vlans", "old", "hnvpa", "--provider", "hnvpa", "-o", str(folder)]
    done = await asyncio.to_thread(CliRunner().invoke, app, words, env=environment)
    assert done.exit_code != 0 and not folder.exists()
    for said in (
        "/networkInterfaces/router has 10.9.0.1, which is the router's in a virtual subnet",
        "/networkInterfaces/anyhow is Unmanaged",
        "VLAN 21 has interfaces and no addressPrefix",
        "/logicalNetworks/hnvpa is a provider network",
    ):
        assert said in done.output, done.output


@pytest.mark.parametrize("together", [False, True])
async def test_vlans_of_one_tenant_become_one_virtual_network_where_that_is_wanted(
    desk: Desk, tmp_path: Path, together: bool
) -> None:
    await desk.cluster()
    prefixes = {vlan: f"{address(vlan, 0)}/24" for vlan in (1, 2)}
    subnets = [
        {
            "resourceId": f"v{vlan}",
            "properties": {"addressPrefix": prefix, "vlanID": vlan, "defaultGateways": [address(vlan, 1)]},
        }
        for vlan, prefix in prefixes.items()
    ]
    subnets.append({"resourceId": "six1", "properties": {"addressPrefix": "fd00:1::/64", "vlanID": 1}})
    await desk.put("/networking/v1/logicalNetworks/old", {"properties": {"subnets": subnets}})
    for vlan in (1, 2):
        await desk.put(f"/networking/v1/networkInterfaces/m{vlan}", interface(vlan, 1))
        await desk.vm(f"vm{vlan}", f"host{vlan}", [f"m{vlan}"])
        await desk.act(f"vm{vlan}", "start")
    folder = tmp_path / "leaving"
    options = ["--together"] if together else []
    await weft(desk, "leave-vlans", "old", "--provider", "hnvpa", "-o", str(folder), *options)
    for step in sorted(folder.glob("[0-9]*.yaml")):
        await weft(desk, "apply", "-f", str(step), "--wait")
    reached = await desk.answers("vm1", address(2, 11))
    assert reached == (["vm2"] if together else []), "subnets of one virtual network are routed, VLANs were not"
