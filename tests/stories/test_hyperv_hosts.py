"""The stories on fake Hyper-V hosts: real controller, agents, driver and scripts; only the hosts are not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.stories.by_hand import quick
from tests.stories.hyperv_desk import HyperVDesk, opened
from weft.fakes.hyperv.cmdlets.moves import export, import_export

__all__ = ["quick"]


VMS = "/weft/v1/virtualMachines"


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        await made.cluster()
        yield made


async def properties(desk: HyperVDesk, machine: str) -> Any:
    return (await desk.get(f"{VMS}/{machine}"))["properties"]


async def conflicts(desk: HyperVDesk) -> list[Any]:
    return list((await desk.get("/weft/v1/conflicts"))["value"])


async def no_conflicts(desk: HyperVDesk) -> bool:
    return not await conflicts(desk)


async def test_2_1_it_keeps_its_mac_when_it_moves_and_is_power_cycled(desk: HyperVDesk) -> None:
    mac = await desk.make("web1")
    await desk.act("web1", "migrate", {"server": "host2"})
    await desk.act("web1", "stop")
    await desk.act("web1", "start")
    assert desk.host_of("web1") == "host2"
    assert desk.shows("web1") == [(mac, False)]
    assert desk.vm("web1").nics[0].virtual_subnet_id == 6001


async def test_2_3_moved_by_hand_it_keeps_its_mac_and_the_first_host_never_gives_it(desk: HyperVDesk) -> None:
    mac = await desk.make("web1")
    desk.console("host1").move(desk.vm("web1"), "host2")

    async def followed() -> bool:
        return bool((await properties(desk, "web1"))["server"] == {"resourceRef": "/servers/host2"})

    await desk.eventually(followed)
    console = desk.console("host1")
    for number in range(3):
        console.start(console.create(f"by-hand-{number}"))
    assert mac not in {f"{nic.mac:012X}" for vm in desk.host("host1").vms for nic in vm.nics}
    await desk.act("web1", "stop")
    await desk.act("web1", "start")
    assert desk.shows("web1") == [(mac, False)]


async def test_1_7_and_2_10_a_copy_by_hand_is_a_stranger_though_its_notes_bear_our_mark(desk: HyperVDesk) -> None:
    mac = await desk.make("web1")
    copy = desk.console("host1").clone(desk.vm("web1"), "copy", at="host2")
    assert "weft: web1" in copy.settings.notes

    async def named() -> bool:
        return any("/servers/host2/" in str(one["holders"]) for one in await conflicts(desk))

    await desk.eventually(named)
    assert (await properties(desk, "web1"))["powerState"] == "Running"
    assert desk.shows("copy") == [(mac, False)]


@pytest.mark.parametrize(
    ("policy", "state", "switch"), [("disconnect", "Running", ""), ("stop", "Off", "Virtual Switch")]
)
async def test_0_c5_a_twin_that_another_hand_starts_is_isolated(
    desk: HyperVDesk, policy: str, state: str, switch: str
) -> None:
    server = (await desk.get("/networking/v1/servers/host2"))["properties"]
    await desk.put("/networking/v1/servers/host2", {"properties": server | {"twinPolicy": policy}})
    await desk.make("web1")
    copy = desk.console("host1").clone(desk.vm("web1"), "copy", at="host2")
    desk.console("host2").start(copy)

    async def isolated() -> bool:
        return (copy.state, copy.nics[0].switch) == (state, switch)

    await desk.eventually(isolated)
    assert desk.vm("web1").state == "Running"
    await desk.act("web1", "stop")

    async def back() -> bool:
        return (copy.state, copy.nics[0].switch) == (state, "Virtual Switch")

    await desk.eventually(back)


async def test_0_2_a_role_that_failed_over_is_followed_and_keeps_its_mac(desk: HyperVDesk) -> None:
    desk.center.add_cluster("cl1", "host1", "host2")
    mac = await desk.make("web1")
    assert desk.center.is_role(desk.vm("web1").id)
    await desk.eventually(desk.all_applied)
    boots = desk.starts()
    desk.center.die("host1")

    async def followed() -> bool:
        found = await properties(desk, "web1")
        return (found["server"], found["powerState"]) == ({"resourceRef": "/servers/host2"}, "Running")

    await desk.eventually(followed)
    assert (desk.host_of("web1"), desk.vm("web1").state, desk.starts()) == ("host2", "Running", boots)
    assert desk.shows("web1") == [(mac, False)]
    await desk.eventually(lambda: no_conflicts(desk))


async def test_story_x1_what_another_hand_moves_while_the_controller_is_dead_is_back_with_it(desk: HyperVDesk) -> None:
    """There a machine that moves meanwhile is off the network until somebody rescans its hosts. Here nobody need: once
    the controller is back the machine is where it went, its new host has its records, the others its new place."""
    mac = await desk.make("web1")
    await desk.make("peer", "host2")
    vm = desk.vm("web1")

    def places() -> set[str]:
        """Where hosts send what is for web1."""
        records = [desk.host(name).records.lookups for name in ("host1", "host2")]
        return {one.provider_address for found in records for one in found if one.mac_address == mac}

    async def at(address: str) -> bool:
        return places() == {address}

    await desk.eventually(lambda: at("192.168.1.10"))
    await desk.restart(lambda: desk.console("host1").move(vm, "host2"))

    async def followed() -> bool:
        return bool((await properties(desk, "web1"))["server"] == {"resourceRef": "/servers/host2"})

    await desk.eventually(followed)
    await desk.eventually(lambda: at("192.168.2.20"))
    assert (desk.shows("web1"), vm.nics[0].virtual_subnet_id, vm.state) == ([(mac, False)], 6001, "Running")
    await desk.eventually(lambda: no_conflicts(desk))


async def test_what_no_cluster_vouches_for_is_not_followed_while_its_own_host_is_silent(desk: HyperVDesk) -> None:
    """The machine runs on both hosts, with one id, and its own is not to be reached: a person must say what is so."""
    await desk.make("web1")
    vm = desk.vm("web1")
    folder = export(desk.host("host1"), vm, "\\\\files\\out")
    path = f"{folder}\\Virtual Machines\\{vm.id.upper()}.vmcx"
    desk.host("host1").trouble.unreachable = True
    other = import_export(desk.host("host2"), path, copy=True)
    desk.console("host2").start(other)

    async def told() -> bool:
        return "weft vm failover web1 --to host2 --fenced" in [one["command"] for one in await conflicts(desk)]

    await desk.eventually(told)
    assert (await properties(desk, "web1"))["server"] == {"resourceRef": "/servers/host1"}
    desk.console("host2").stop(other)
    desk.host("host1").trouble.unreachable = False


async def test_a_host_that_does_not_answer_is_a_problem_and_its_machines_are_as_they_were(desk: HyperVDesk) -> None:
    await desk.make("web1")
    host = desk.host("host1")
    host.trouble.refused = True

    async def told() -> bool:
        problems = (await desk.get("/weft/v1/servers/host1/state"))["problems"]
        return any("credentials are refused" in one["message"] for one in problems)

    await desk.eventually(told)
    assert (await properties(desk, "web1"))["powerState"] == "Running"
    host.trouble.refused = False

    async def well() -> bool:
        return not (await desk.get("/weft/v1/servers/host1/state"))["problems"]

    await desk.eventually(well)
