"""A machine that was taken in, of which only its host knows what it is made of, is cloned by its host."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.stories.hyperv_desk import HyperVDesk, opened
from tests.stories.taking_in import VMS, take_in, told
from weft.core.hyperv.script import Script
from weft.fakes.hyperv.shell import FakeShell

CLONE = {"resourceId": "copy"}


class HeldShell(FakeShell):
    """Copies when it is let."""

    def __init__(self, shell: FakeShell) -> None:
        super().__init__(shell.host)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def run(self, script: Script, arguments: Any) -> Any:
        if script.name == "copy":
            self.asked.set()
            await self.let.wait()
        return await super().run(script, arguments)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)


@pytest.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        await made.cluster(hosts=1)
        console = made.console("host1")
        vm = console.create("old", disk=True)
        console.set_static(vm, 0x00155D010203)
        await take_in(made, "host1", "old")
        yield made


def files(desk: HyperVDesk) -> list[str]:
    """Folders are left by other tools too."""
    return sorted(one.path for one in desk.host("host1").files.below("C:") if not one.folder)


async def test_its_copy_is_a_machine_of_its_own(desk: HyperVDesk) -> None:
    await desk.act("old", "checkpoint", {"resourceId": "before"})
    desk.host("host1").slow_merges = True
    before = files(desk)
    made = await desk.act("old", "clone", CLONE)
    mac = await desk.mac("copy-eth0")
    assert (made["powerState"], made["hypervisor"]["id"].lower()) == ("Off", desk.vm("copy").id.lower())
    assert "creation" not in made and "errand" not in made
    assert desk.shows("copy") == [(mac, False)] and desk.shows("old") != [(mac, False)]
    assert desk.vm("copy").taken() == ()
    await desk.act("copy", "start")
    await desk.act("old", "start")
    assert desk.running_with(mac) == ["copy"]
    # the disks that its checkpoint left are merged after they were noted
    desk.host("host1").finish_merges()
    assert files(desk) != before
    await desk.delete(f"{VMS}/copy")
    assert [vm.name for vm in desk.host("host1").vms] == ["old"]
    assert files(desk) == before


@pytest.mark.parametrize("step", ["Export-VM", "Import-VM", "Set-VMNetworkAdapter"])
async def test_what_cannot_be_copied_leaves_nothing(desk: HyperVDesk, step: str) -> None:
    before = files(desk)
    desk.host("host1").trouble.failing[step] = "no room"
    error = await desk.refused("POST", f"{VMS}/old/clone", CLONE, 409)
    assert error["code"] == "ServerNotReady" and f"{step}: no room" in error["message"]
    await desk.missing(f"{VMS}/copy")
    await desk.missing("/networking/v1/networkInterfaces/copy-eth0")
    assert ([vm.name for vm in desk.host("host1").vms], files(desk)) == (["old"], before)
    desk.host("host1").trouble.failing.clear()
    await desk.act("old", "clone", CLONE)


async def test_what_would_not_be_whole_is_refused(desk: HyperVDesk) -> None:
    await desk.put("/networking/v1/servers/host9", {"properties": {}})
    body = CLONE | {"server": {"resourceRef": "/servers/host9"}}
    error = await desk.refused("POST", f"{VMS}/old/clone", body, 400)
    assert "clone it on host1" in error["message"]
    await desk.act("old", "start")
    error = await desk.refused("POST", f"{VMS}/old/clone", CLONE, 409)
    assert error["code"] == "MachineIsRunning"
    await desk.missing(f"{VMS}/copy")
    await desk.act("old", "clone", {"resourceId": "template", "isTemplate": True})


async def test_whoever_dies_in_the_middle_it_is_made_once(desk: HyperVDesk) -> None:
    held = desk.shells["host1"] = HeldShell(desk.shells["host1"])
    await desk.kill_agent("host1")
    await desk.start_agent("host1")
    await told(desk, "host1", "old")
    asking = desk.background("POST", f"{VMS}/old/clone", CLONE)
    await asyncio.wait_for(held.asked.wait(), 30)
    found = await desk.properties("copy")
    assert (found["creation"]["phase"], found["errand"]["kind"]) == ("defining", "copy")
    error = await desk.refused("POST", f"{VMS}/copy/start", {}, 409)
    assert error["code"] == "AnotherOperationInProgress"
    await desk.kill_agent("host1")
    asking.cancel()
    await desk.restart()
    held.let.set()
    await desk.start_agent("host1")

    async def done() -> bool:
        return "creation" not in await desk.properties("copy")

    await desk.eventually(done)
    assert "errand" not in await desk.properties("copy")
    assert desk.shows("copy") == [(await desk.mac("copy-eth0"), False)]
    assert held.ran.count("copy") == 1


async def test_a_copy_in_a_batch_is_made_without_anybody_waiting(desk: HyperVDesk) -> None:
    request = {"method": "POST", "path": f"{VMS}/old/clone", "body": CLONE}
    answer = await desk.post("/weft/v1/batch", {"atomic": True, "requests": [request]})
    assert answer["responses"][0]["body"]["properties"]["creation"]["phase"] == "defining"

    async def done() -> bool:
        return "creation" not in await desk.properties("copy")

    await desk.eventually(done)
    assert desk.vm("copy").power == "Off"
