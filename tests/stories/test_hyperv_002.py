"""Source 002 on fake Hyper-V hosts: pooled desktops of Remote Desktop Services, made, moved, restarted and rolled back
by it alone, with Weft's agents beside. Nothing is told to Weft but which servers' desktops are to be taken in.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from click.testing import Result
from typer.testing import CliRunner

from tests.stories.by_hand import quick
from tests.stories.desk import new_id
from tests.stories.hyperv_desk import WEB, HyperVDesk, opened
from weft.cli.commands import app
from weft.fakes.hyperv.machine import Vm
from weft.fakes.hyperv.people import DesktopPool
from weft.model.values import Mac, mac_dashes, mac_digits, parse_mac

__all__ = ["quick"]


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        await made.cluster()
        await made.take_in("host1", "host2")
        yield made


VERBS = ("define", "set-macs", "bind", "start", "stop", "save", "restore-checkpoint", "restore")
"""Scripts that change a machine."""


async def desktop(desk: HyperVDesk, name: str) -> tuple[str, DesktopPool]:
    """One of a pool on host1, taken in and then used for the first time; its address."""
    pool = desk.collection("host1")
    pool.make(name)
    mac = await desk.pinned(name)
    pool.log_on_first(name)
    await desk.says(name, powerState="Running")
    await desk.eventually(lambda: has_checkpoints(desk, name, 1))
    return mac, pool


async def has_checkpoints(desk: HyperVDesk, machine: str, count: int) -> bool:
    return len((await desk.properties(machine))["checkpoints"]) == count


async def has_own(desk: HyperVDesk, vm: Vm, machine: str) -> bool:
    """On its host it has what its interface has."""
    return mac_digits(vm.nics[0].mac) == await desk.mac(f"{machine}-eth0")


async def test_story_2_4_a_desktop_rolled_back_on_another_host_is_no_duplicate(desk: HyperVDesk) -> None:
    """The source's whole story: made on one host, moved, restarted there; its first host gives all it has; logoff."""
    one = desk.host("host1")
    one.set_range(one.range.first, Mac(one.range.first + 7))
    pool = desk.collection("host1")
    pool.make("desk1")
    mac = await desk.pinned("desk1")
    pool.log_on_first("desk1")
    await desk.says("desk1", powerState="Running")
    pool.move("desk1", "host2")
    await desk.lives_on("desk1", "host2")
    desk.console("host2").stop(desk.vm("desk1"))
    desk.console("host2").start(desk.vm("desk1"))
    for number in range(8):
        desk.console("host1").start(desk.console("host1").create(f"new{number}"))
    starts, power_ons = desk.starts(), desk.vm("desk1").power_ons
    pool.log_off("desk1")
    assert [event.id for event in desk.host("host2").log.events] == [18596]
    await desk.says("desk1", powerState="Running", conflicts=[])
    (nic,) = desk.vm("desk1").nics
    assert (mac_digits(nic.mac), nic.dynamic, nic.cut_off) == (mac, False, False)
    assert desk.running_with(mac) == ["desk1"]
    assert (desk.starts(), desk.vm("desk1").power_ons) == (starts, power_ons), "no reboot"
    assert await desk.mac("desk1-eth0") == mac


async def test_story_2_4_a_desktop_whose_address_was_renewed_has_the_one_of_its_checkpoint_again(
    desk: HyperVDesk,
) -> None:
    """That was kept for it. It runs on; if it is off it is Saved then, with what no tool could change, and starts."""
    mac, pool = await desktop(desk, "desk1")
    vm, console = desk.vm("desk1"), desk.console("host2")
    desk.console("host1").checkpoint(vm, "another, with spaces")
    await desk.eventually(lambda: has_checkpoints(desk, "desk1", 2))
    assert {one["kind"] for one in (await desk.address(mac))["holders"]} == {"networkInterface", "checkpoint"}
    await desk.act("desk1", "migrate", {"server": "host2"})
    await desk.act("desk1", "renewMac", {"networkInterface": "desk1-eth0", "force": True})
    await desk.eventually(lambda: has_own(desk, vm, "desk1"))
    assert await desk.mac("desk1-eth0") != mac
    assert mac not in {await desk.make(f"other{number}") for number in range(3)}
    starts = desk.starts()
    pool.log_off("desk1")
    await desk.has_mac("desk1-eth0", mac)
    await desk.eventually(desk.all_applied)
    assert (vm.state, desk.shows("desk1"), desk.starts()) == ("Running", [(mac, False)], starts)
    assert mac in {record.mac_address for record in desk.host("host1").records.lookups}, "its peers' host knows"
    console.stop(vm)
    await desk.says("desk1", powerState="Off")
    await desk.act("desk1", "renewMac", {"networkInterface": "desk1-eth0"})
    await desk.eventually(lambda: has_own(desk, vm, "desk1"))
    assert desk.shows("desk1") != [(mac, False)]
    pool.log_off("desk1")
    await desk.says("desk1", powerState="Saved")
    await desk.has_mac("desk1-eth0", mac)
    await desk.act("desk1", "start")
    assert (vm.state, desk.shows("desk1")) == ("Running", [(mac, False)])
    await desk.clashes()


async def test_checkpoints_with_another_address_are_listed_and_after_a_yes_rewritten(desk: HyperVDesk) -> None:
    """On the host and in the ledger, by their ids: names may be equal, and anything. What they alone held is free."""
    mac = await desk.make("web1")
    await desk.act("web1", "stop")
    vm, console = desk.vm("web1"), desk.console("host1")
    taken = [console.checkpoint(vm, name) for name in ("it's $(old)", "it's $(old)", "\u202ebefore\n")]
    await desk.eventually(lambda: has_checkpoints(desk, "web1", 3))
    await desk.act("web1", "renewMac", {"networkInterface": "web1-eth0"})
    new = await desk.mac("web1-eth0")

    def kept() -> list[str]:
        return [mac_digits(nic.mac) for one in taken for nic in vm.checkpoints[one.id].adapters]

    listed = await weft(desk, "vm", "rewrite-checkpoints", "web1", "--dry-run")
    assert (listed.exit_code, kept()) == (0, [mac] * 3), listed.output
    assert listed.output.count(mac_dashes(parse_mac(mac))) == 3 and "\u202e" not in listed.output
    done = await weft(desk, "vm", "rewrite-checkpoints", "web1", "--yes")
    assert (done.exit_code, kept()) == (0, [new] * 3), done.output
    assert [one["state"] for one in [await desk.address(mac)]] == ["cooling"]
    console.roll_back(vm, taken[0])
    await desk.looked("host1")
    assert (desk.shows("web1"), await desk.mac("web1-eth0")) == ([(new, False)], new)


async def weft(desk: HyperVDesk, *words: str) -> Result:
    asked = [*words, "--controller", f"unix:{desk.socket}"]
    return await asyncio.to_thread(CliRunner().invoke, app, asked, obj=new_id)


async def test_story_2_5_the_template_stays_dynamic_and_each_desktop_is_static(desk: HyperVDesk) -> None:
    """RDS takes no static template, so it is left as it is, by its name or because a template of Weft's names it.
    Desktops are taken in before they first run, and so before their first checkpoint."""
    pool = desk.collection("host1")
    other = desk.console("host2").create("Vorlage Büro")
    template = {"isTemplate": True, "hypervisor": {"type": "hyperv", "id": other.id}, "networks": [{"subnet": WEB}]}
    await desk.put("/weft/v1/virtualMachines/vorlage", {"properties": template})
    second = DesktopPool(desk.console("host2"), other)
    for number in range(3):
        pool.make(f"desk{number}")
    second.make("pc1")
    macs = {await desk.pinned(name) for name in ("desk0", "desk1", "desk2", "pc1")}
    assert len(macs) == 4
    for name in ("gold", "Vorlage Büro"):
        assert desk.shows(name) == [("000000000000", True)]
    taken = [pool.log_on_first(f"desk{number}") for number in range(3)]
    assert {f"{nic.mac:012X}" for each in taken for nic in each.adapters if not nic.dynamic} < macs
    assert DesktopPool(desk.console("host1"), pool.template).template is pool.template, "RDS would take it again"
    assert not await desk.exists("/weft/v1/virtualMachines/gold")


async def test_story_2_6_no_checkpoint_has_to_be_blanked(desk: HyperVDesk) -> None:
    """What a checkpoint holds is the desktop's own for good: a rollback in the middle of a run changes nothing. One
    that somebody blanked costs the desktop its address only until it is off."""
    mac, pool = await desktop(desk, "desk1")
    vm, console = desk.vm("desk1"), desk.console("host1")
    (taken,) = vm.taken()
    assert [(mac_digits(nic.mac), nic.dynamic) for nic in taken.adapters] == [(mac, False)]
    pool.log_off("desk1")
    (nic,) = vm.nics
    assert (mac_digits(nic.mac), nic.cut_off) == (mac, False)
    held = (await desk.address(mac))["holders"]
    assert {one["kind"] for one in held} == {"networkInterface", "checkpoint"}
    for blanked in taken.adapters:
        blanked.blank()
    console.roll_back(vm, taken)
    assert desk.shows("desk1") != [(mac, False)]
    console.stop(vm)

    async def own() -> bool:
        return desk.shows("desk1") == [(mac, False)]

    await desk.eventually(own)
    assert await desk.mac("desk1-eth0") == mac


async def test_story_2_7_logoffs_are_no_reboots(desk: HyperVDesk) -> None:
    _, pool = await desktop(desk, "desk1")
    vm, shell = desk.vm("desk1"), desk.shells["host1"]
    before, verbs = vm.power_ons, len([name for name in shell.ran if name in VERBS])
    for _ in range(3):
        pool.log_off("desk1")
        await desk.looked("host1")
        assert (vm.state, vm.nics[0].cut_off) == ("Running", False)
    await desk.says("desk1", powerState="Running", conflicts=[])
    assert (vm.power_ons, len([name for name in shell.ran if name in VERBS])) == (before, verbs)


async def test_story_2_8_machines_are_known_by_their_id_and_not_by_a_text(desk: HyperVDesk) -> None:
    """Spaces, quotes, other scripts, two desktops of one name, several checkpoints of one name, a name that changes."""
    console = desk.console("host1")
    names = ["Büro 7 – 'デスク'", "Büro 7 – 'デスク'", "pc $(hostname)", "\u202eحاسوب"]
    vms = [console.create(name) for name in names]

    async def taken_in() -> bool:
        machines = (await desk.get("/weft/v1/virtualMachines"))["value"]
        known = {one["properties"]["hypervisor"]["id"].lower() for one in machines if "hypervisor" in one["properties"]}
        return known == {vm.id.lower() for vm in vms} and not any(nic.dynamic for vm in vms for nic in vm.nics)

    await desk.eventually(taken_in)
    ids = {
        one["properties"]["hypervisor"]["id"].lower(): one["resourceId"]
        for one in (await desk.get("/weft/v1/virtualMachines"))["value"]
    }
    first, twin, *_ = vms
    first.checkpoint_type = "Standard"
    own = ids[first.id.lower()]
    macs = []
    for _ in range(2):
        console.start(first)
        await desk.says(own, powerState="Running")
        macs.append(await desk.mac(f"{own}-eth0"))
        console.checkpoint(first, "Prüfpunkt eins")
        await desk.eventually(lambda: has_checkpoints(desk, own, len(macs)))
        console.stop(first)
        await desk.says(own, powerState="Off")
        await desk.act(own, "renewMac", {"networkInterface": f"{own}-eth0"})
        await desk.eventually(lambda: has_own(desk, first, own))
    console.rename(first, "umbenannt")
    others = [mac_digits(vm.nics[0].mac) for vm in vms[1:]]
    console.start(first)
    console.roll_back(first, first.taken()[0])
    await desk.has_mac(f"{own}-eth0", macs[0])
    await desk.says(own, powerState="Running")
    assert mac_digits(first.nics[0].mac) == macs[0] != macs[1]
    (clash,) = await desk.clashes("drift")
    assert clash["address"].replace("-", "") == macs[1]
    assert "restore it" in clash["remedy"], "the other one, which would bring another address, has a guest's memory"
    assert [mac_digits(vm.nics[0].mac) for vm in vms[1:]] == others
    assert twin.power == "Off"


async def test_story_2_9_a_node_needs_no_preparation(desk: HyperVDesk) -> None:
    """Its agent is not even there when the desktop comes and is rolled back; no task and no file is put on it."""
    mac, pool = await desktop(desk, "desk1")
    await desk.kill_agent("host2")
    files = len(list(desk.host("host2").files.below("C:")))
    pool.move("desk1", "host2")
    pool.log_off("desk1")
    await desk.start_agent("host2")
    await desk.lives_on("desk1", "host2")
    await desk.says("desk1", conflicts=[])
    assert desk.shows("desk1") == [(mac, False)]
    assert await desk.mac("desk1-eth0") == mac
    assert len(list(desk.host("host2").files.below("C:"))) == files


async def test_story_2_10_a_duplicate_from_outside_is_named_with_its_pair(desk: HyperVDesk) -> None:
    mac, _ = await desktop(desk, "desk1")
    console = desk.console("host2")
    stranger = console.create("legacy box")
    console.set_static(stranger, parse_mac(mac))
    console.start(stranger)
    (clash,) = await desk.clashes("foreign")
    assert clash["address"].replace("-", "") == mac
    first, second = (one["resourceRef"] for one in clash["holders"])
    assert first == "/networkInterfaces/desk1-eth0"
    assert second.startswith("/servers/host2/ports/")
    assert clash["remedy"]
    console.delete(stranger)
    await desk.clashes()


async def test_story_2_11_a_plain_cluster_has_one_pool_without_another_manager(desk: HyperVDesk) -> None:
    """Two nodes and Weft: desktops of both have addresses of one pool, and what is free can be asked."""
    desk.center.add_cluster("cl1", "host1", "host2")
    pools = {host: desk.collection(host, f"gold {host}") for host in ("host1", "host2")}
    macs = set()
    for host, pool in pools.items():
        pool.make(f"{host}-desk")
        macs.add(await desk.pinned(f"{host}-desk"))
    assert macs == {"001DD8B71C00", "001DD8B71C01"}
    assert await desk.counts() == {"free": 1022, "assigned": 2}
    free = (await desk.get("/weft/v1/macPools/pool1/addresses?state=free"))["value"]
    assert [(one["first"], one["count"]) for one in free] == [("00-1D-D8-B7-1C-02", 1022)]
