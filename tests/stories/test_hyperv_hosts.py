"""The stories on fake Hyper-V hosts: real controller, agents, driver and scripts; only the hosts are not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.stories.hyperv_desk import WEB, HyperVDesk, opened
from weft.fakes.hyperv.cmdlets.moves import export, import_export
from weft.fakes.hyperv.people import DesktopPool

VMS = "/weft/v1/virtualMachines"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.1)


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


async def test_0_8_a_machine_is_made_in_one_call_with_a_static_mac_and_a_bound_port(desk: HyperVDesk) -> None:
    mac = await desk.make("web1")
    vm = desk.vm("web1")
    assert desk.shows("web1") == [(mac, False)]
    assert (vm.state, vm.settings.processors, vm.settings.memory) == ("Running", 2, 1 << 30)
    nic = (await desk.get("/networking/v1/networkInterfaces/web1-eth0"))["instanceId"]
    profile = vm.nics[0].profile
    assert profile is not None and profile.value("ProfileId") == "{" + nic + "}"
    assert vm.nics[0].virtual_subnet_id == 6001
    assert {record.customer_address for record in desk.host("host1").records.lookups} == {
        "10.1.1.1",
        await desk.ip("web1-eth0"),
    }


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


async def test_2_4_a_rollback_that_nobody_announced_leaves_no_duplicate_and_no_reboot(desk: HyperVDesk) -> None:
    """2.8 too: the checkpoint's name has spaces, and it is not the only one."""
    first = await desk.make("vdi1")
    vm, console = desk.vm("vdi1"), desk.console("host1")
    vm.checkpoint_type = "Standard"
    taken = console.checkpoint(vm, "RDV_ROLLBACK - a desktop of mine")
    console.checkpoint(vm, "another")

    async def retained() -> bool:
        return "checkpoint" in str((await desk.address(first))["holders"]).lower()

    await desk.eventually(retained)
    await desk.act("vdi1", "migrate", {"server": "host2"})
    await desk.act("vdi1", "renewMac", {"networkInterface": "/networkInterfaces/vdi1-eth0", "force": True})
    assert await desk.mac("vdi1-eth0") != first
    assert first not in {await desk.make(f"other{number}") for number in range(3)}
    boots = desk.starts()
    desk.console("host2").roll_back(vm, taken)

    async def back() -> bool:
        return await desk.mac("vdi1-eth0") == first

    await desk.eventually(back)
    await desk.eventually(desk.all_applied)
    assert desk.shows("vdi1") == [(first, False)]
    assert (vm.state, desk.starts()) == ("Running", boots)
    assert first in {record.mac_address for record in desk.host("host1").records.lookups}


async def test_2_6_a_blanked_checkpoint_costs_a_machine_its_mac_only_until_it_is_off(desk: HyperVDesk) -> None:
    mac = await desk.make("vdi1")
    vm, console = desk.vm("vdi1"), desk.console("host1")
    vm.checkpoint_type = "Standard"
    taken = console.checkpoint(vm, "blank")
    for nic in taken.adapters:
        nic.blank()
    console.roll_back(vm, taken)
    assert desk.shows("vdi1") != [(mac, False)]
    console.stop(vm)

    async def own() -> bool:
        return desk.shows("vdi1") == [(mac, False)]

    await desk.eventually(own)
    assert await desk.mac("vdi1-eth0") == mac


async def test_2_12_desktops_that_are_reverted_together_run_on(desk: HyperVDesk) -> None:
    macs, taken = {}, {}
    for number in range(6):
        name, host = f"vdi{number}", f"host{number % 2 + 1}"
        macs[name] = await desk.make(name, host)
        desk.vm(name).checkpoint_type = "Standard"
        taken[name] = desk.console(host).checkpoint(desk.vm(name), f"RDV_ROLLBACK - {name}")
    await desk.eventually(desk.all_applied)
    boots = desk.starts()
    looked = {host: len(shell.ran) for host, shell in desk.shells.items()}
    for name, checkpoint in taken.items():
        desk.console(desk.host_of(name)).roll_back(desk.vm(name), checkpoint)

    async def all_looked() -> bool:
        return all("facts" in shell.ran[looked[host] :] for host, shell in desk.shells.items())

    await desk.eventually(all_looked)
    await desk.eventually(desk.all_applied)
    for name, mac in macs.items():
        assert (desk.shows(name), desk.vm(name).state) == ([(mac, False)], "Running")
        assert (await properties(desk, name))["powerState"] == "Running"
    assert desk.starts() == boots


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


async def test_4_10_a_virtual_subnet_set_by_hand_is_put_right(desk: HyperVDesk) -> None:
    await desk.make("web1")
    nic, records = desk.vm("web1").nics[0], desk.host("host1").records
    nic.virtual_subnet_id = 5001
    records.lookups.clear()

    async def right() -> bool:
        return nic.virtual_subnet_id == 6001 and len(records.lookups) == 2

    await desk.eventually(right)


async def test_4_18_after_a_restart_of_its_host_a_machine_runs_with_its_policy(desk: HyperVDesk) -> None:
    mac, host = await desk.make("web1"), desk.host("host1")
    await desk.eventually(desk.all_applied)
    before = {record.key for record in host.records.lookups}
    assert before
    desk.center.pass_time(600)
    host.restart()

    async def again() -> bool:
        return desk.vm("web1").state == "Running" and {record.key for record in host.records.lookups} == before

    await desk.eventually(again)
    assert desk.shows("web1") == [(mac, False)]


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


async def test_0_7_a_setter_without_effect_is_an_error_and_leaves_nothing(desk: HyperVDesk) -> None:
    host = desk.host("host1")
    host.trouble.ineffective.add("Add-VMSwitchExtensionPortFeature")
    error = await desk.refused("POST", VMS, desk.body("web1"))
    assert "Set-VMSwitchExtensionPortFeature" in error["message"]
    await nothing_is_left(desk)


@pytest.mark.parametrize(
    ("cmdlet", "how"), [("New-VHD", "failing"), ("Add-VMNetworkAdapter", "half_way"), ("Start-VM", "failing")]
)
async def test_0_16_a_machine_that_cannot_be_made_leaves_nothing(desk: HyperVDesk, cmdlet: str, how: str) -> None:
    trouble = desk.host("host1").trouble
    getattr(trouble, how)[cmdlet] = "There is not enough space on the disk."
    error = await desk.refused("POST", VMS, desk.body("web1"))
    for part in ("host1", "web1", cmdlet, "not enough space"):
        assert part in error["message"]
    await nothing_is_left(desk)
    getattr(trouble, how).clear()
    await desk.make("web1")


async def nothing_is_left(desk: HyperVDesk) -> None:
    """No machine, no disk, no interface, no address in use."""
    await desk.missing(f"{VMS}/web1")
    assert (desk.host("host1").vms, desk.center.shared.get(desk.disk("web1"))) == ([], None)
    assert (await desk.get("/networking/v1/networkInterfaces"))["value"] == []
    assert set(await desk.counts()) <= {"free", "cooling"}


async def test_2_5_desktops_of_a_dynamic_template_are_pinned_before_their_first_checkpoint(desk: HyperVDesk) -> None:
    """A pool of Remote Desktop Services takes no static template. The template stays as it is; its desktops are taken
    in with an address of Weft's while they are off, which their checkpoint has then: a logoff changes nothing,
    wherever the desktop is."""
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]
    adoption = {"mode": "pin", "subnets": [WEB], "exceptions": ["template*"]}
    await desk.put("/networking/v1/servers/host1", {"properties": server | {"adoption": adoption}})
    console = desk.console("host1")
    pool = DesktopPool(console, console.create("template-1"))
    pool.make("desk1")

    async def pinned() -> bool:
        return not any(dynamic for _, dynamic in desk.shows("desk1"))

    await desk.eventually(pinned)
    ((mac, _),) = desk.shows("desk1")
    taken = pool.log_on_first("desk1")
    assert [f"{nic.mac:012X}" for nic in taken.adapters] == [mac]
    pool.move("desk1", "host2")

    async def followed() -> bool:
        found = (await desk.get(f"{VMS}/desk1"))["properties"]
        return bool(found["server"] == {"resourceRef": "/servers/host2"})

    await desk.eventually(followed)
    boots = desk.starts()
    pool.log_off("desk1")
    await desk.eventually(desk.all_applied)
    assert (desk.shows("desk1"), desk.vm("desk1").state, desk.starts()) == ([(mac, False)], "Running", boots)
    assert await desk.mac("desk1-eth0") == mac
    assert desk.shows("template-1") == [("000000000000", True)]
