"""Source 000 on fake Hyper-V hosts: machines made as a whole, and what becomes of their addresses and ports."""

from typing import Any

import pytest

from tests.stories.by_hand import quick
from tests.stories.hyperv_desk import BLUE, WEB, HyperVDesk, desk
from weft.fakes.hyperv.machine import Nic, Profile
from weft.model.values import Mac, parse_mac

__all__ = ["desk", "quick"]


VMS = "/weft/v1/virtualMachines"


def record_of(desk: HyperVDesk, host: str, address: str) -> tuple[str, str]:
    """(MAC, provider address) that a host has for a customer address of Blue."""
    (found,) = [
        one
        for one in desk.host(host).records.lookups
        if one.customer_address == address and one.virtual_subnet_id == BLUE
    ]
    return found.mac_address, found.provider_address


async def nothing_is_left(desk: HyperVDesk) -> None:
    """No machine, no disk, no interface, no address in use."""
    assert (await desk.get(VMS))["value"] == []
    assert (desk.host("host1").vms, desk.center.shared.get(desk.disk("web1"))) == ([], None)
    assert (await desk.get("/networking/v1/networkInterfaces"))["value"] == []
    assert set(await desk.counts()) <= {"free", "cooling"}
    assert [vm.name for host in desk.center.hosts.values() for vm in host.vms] == []
    assert [file.path for file in desk.center.shared.below("\\\\files\\machines") if not file.folder] == []
    assert [file.path for file in desk.host("host1").files.below("C:") if "weft-defining" in file.path] == []


async def test_story_0_1_a_mac_that_another_hand_changes_is_repaired_or_named(desk: HyperVDesk) -> None:
    """Off, it gets its own again; running with another's address, both are named, and stopping it mends it."""
    await desk.cluster(hosts=1)
    mac, other, console = await desk.make("web1"), await desk.make("web2"), desk.console("host1")
    await desk.act("web1", "stop")
    console.set_static(desk.vm("web1"), 0x020000000001)

    async def own() -> bool:
        return desk.shows("web1") == [(mac, False)]

    await desk.eventually(own)
    await desk.act("web1", "start")
    console.set_static(desk.vm("web1"), parse_mac(other))
    (clash,) = await desk.clashes("activeTwin")
    assert [one["resourceRef"] for one in clash["holders"]] == [
        "/networkInterfaces/web2-eth0",
        "/networkInterfaces/web1-eth0",
    ]
    assert clash["command"] == "weft vm stop web1"
    assert "attached-mac" in await desk.problem("host1", "web1-eth0"), "and its port is closed"
    await desk.act("web1", "stop")
    await desk.eventually(own)
    await desk.clashes()


async def test_story_0_2_a_machine_that_moves_takes_mac_ip_virtual_subnet_and_policy_along(desk: HyperVDesk) -> None:
    """To any node; every other host knows where it is."""
    await desk.cluster()
    desk.center.add_cluster("cl1", "host1", "host2")
    mac, peer = await desk.make("web1"), await desk.make("peer", "host2")
    ip = await desk.ip("web1-eth0")
    await desk.eventually(desk.all_applied)
    assert record_of(desk, "host2", ip) == (mac, "192.168.1.10")
    await desk.act("web1", "migrate", {"server": "host2"})
    await desk.act("peer", "migrate", {"server": "host1"})
    await desk.eventually(desk.all_applied)
    assert (desk.host_of("web1"), desk.shows("web1")) == ("host2", [(mac, False)])
    assert desk.vm("web1").nics[0].virtual_subnet_id == BLUE
    assert [record_of(desk, host, ip) for host in ("host1", "host2")] == [(mac, "192.168.2.20")] * 2
    instance = (await desk.get("/networking/v1/networkInterfaces/web1-eth0"))["instanceId"]
    assert desk.profile("web1") == instance
    assert await desk.ip("web1-eth0") == ip
    assert desk.shows("peer") == [(peer, False)]


async def test_story_0_7_a_mac_that_was_not_set_is_no_success(desk: HyperVDesk) -> None:
    """Set-VMNetworkAdapter says nothing and does nothing: what is read back differs, and that is the error."""
    await desk.cluster(hosts=1)
    await desk.make("web1")
    await desk.act("web1", "stop")
    host = desk.host("host1")
    host.trouble.ineffective.add("Set-VMNetworkAdapter")
    await desk.act("web1", "renewMac", {"networkInterface": "web1-eth0"})
    wanted = await desk.mac("web1-eth0")
    error = await desk.refused("POST", f"{VMS}/web1/start", {}, 409)
    for words in ("host1", "web1", "Set-VMNetworkAdapter", f"after static {wanted} was set"):
        assert words in error["message"]
    assert desk.vm("web1").state == "Off"
    host.trouble.ineffective.clear()
    await desk.act("web1", "start")
    assert desk.shows("web1") == [(wanted, False)]


async def test_story_0_8_one_call_gives_an_address_before_any_start_and_leaves_no_adapter(desk: HyperVDesk) -> None:
    """All three strategies; no dummy adapter, no start and stop to learn what the host would draw."""
    await desk.cluster(hosts=1)
    await desk.put("/weft/v1/addressPlans/plan1", {"properties": {"prefix": "0A-15-5D"}})
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]
    plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/plan1"}, "clusterNumber": 3}
    await desk.put("/networking/v1/servers/host1", {"properties": server | plan})
    for name, strategy, prefix in (
        ("a", "central", "001DD8B7"),
        ("b", "hostRange", "0A155D03"),
        ("c", "random", "001DD8B7"),
    ):
        mac = await desk.make(name, start=False, networks=[{"subnet": WEB, "strategy": strategy}])
        assert mac.startswith(prefix)
        assert desk.shows(name) == [(mac, False)]
        vm = desk.vm(name)
        assert (vm.power_ons, vm.settings.processors, vm.settings.memory) == (0, 2, 1 << 30)
    assert desk.starts() == 0
    assert desk.host("host1").range.used == 0, "nothing was drawn"


async def test_story_0_15_the_central_pool_is_the_default(desk: HyperVDesk) -> None:
    await desk.cluster()
    macs = [await desk.make(f"web{number}", f"host{number % 2 + 1}") for number in range(3)]
    assert macs == ["001DD8B71C00", "001DD8B71C01", "001DD8B71C02"]
    assert await desk.counts() == {"free": 1021, "assigned": 3}
    assert [desk.shows(f"web{number}") for number in range(3)] == [[(mac, False)] for mac in macs]


@pytest.mark.parametrize(
    ("cmdlet", "how"),
    [
        ("New-VM", "failing"),
        ("New-VM", "half_way"),
        ("New-VHD", "failing"),
        ("New-VHD", "half_way"),
        ("Add-VMNetworkAdapter", "half_way"),
        ("Add-ClusterVirtualMachineRole", "failing"),
        ("Start-VM", "failing"),
    ],
)
async def test_story_0_16_a_half_made_machine_leaves_nothing(desk: HyperVDesk, cmdlet: str, how: str) -> None:
    """Whatever cmdlet fails, before it acts or after: no machine, role, disk, interface or address. Then it is made."""
    await desk.cluster(hosts=1)
    cluster = desk.center.add_cluster("cl1", "host1")
    trouble = desk.host("host1").trouble
    getattr(trouble, how)[cmdlet] = "There is not enough space on the disk."
    error = await desk.refused("POST", VMS, desk.body("web1"), 409)
    for words in ("host1", "web1", cmdlet, "not enough space", "Nothing of it is left"):
        assert words in error["message"]
    await nothing_is_left(desk)
    assert cluster.roles == []
    getattr(trouble, how).clear()
    await desk.make("web1")
    assert [role.name for role in cluster.roles] == ["web1"]


async def test_a_machine_that_is_deleted_while_it_is_made_is_said_to_be_and_given_up(desk: HyperVDesk) -> None:
    """Within seconds, whatever its last cmdlet said; the ledger is as it was."""
    await desk.cluster(hosts=1)
    console, trouble = desk.console("host1"), desk.host("host1").trouble
    trouble.before["Start-VM"] = lambda: console.delete(desk.vm("web1"))
    error = await desk.refused("POST", VMS, desk.body("web1"), 409)
    assert "The machine 'web1' cannot be made on host1: " in error["message"]
    assert "another hand deleted it on host1" in error["message"] or "Start-VM" in error["message"]
    assert f"Nothing of it is left, but disks that were not deleted with it: {desk.disk('web1')}." in error["message"]
    assert ((await desk.get(VMS))["value"], desk.host("host1").vms) == ([], [])
    assert set(await desk.counts()) <= {"free", "cooling"}
    # with Remove-VM: the disk that it left is nobody's by now
    assert desk.center.shared.get(desk.disk("web1")) is not None


async def test_story_0_17_waiting_is_on_states(desk: HyperVDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not answer is waited for: the call answers when it runs. What does not come to be within
    a while is said, with what it waited for, and nothing is left."""
    await desk.cluster(hosts=1)
    trouble = desk.host("host1").trouble
    trouble.unreachable = True
    asking = desk.background("POST", VMS, desk.body("web1"))
    await desk.eventually(lambda: desk.exists(f"{VMS}/web1"))
    assert not asking.done()
    trouble.unreachable = False
    answer = await asking
    assert answer.status_code == 201
    assert (desk.vm("web1").state, desk.shows("web1")) == ("Running", [(await desk.mac("web1-eth0"), False)])
    monkeypatch.setattr("weft.control.creations.STEP_TIMEOUT_S", 2.0)
    trouble.failing["Set-VMNetworkAdapter"] = "Access is denied."
    error = await desk.refused("POST", VMS, desk.body("web2"), 409)
    for words in (
        "still waiting for host1 to apply",
        "host1: Set-VMNetworkAdapter: Access is denied.",
        "Nothing of it",
    ):
        assert words in error["message"]
    assert [vm.name for vm in desk.host("host1").vms] == ["web1"]


async def test_story_0_18_what_has_no_bound_port_is_not_ready(desk: HyperVDesk) -> None:
    """The association cannot be made: the machine is not started, and nothing says that it is there."""
    await desk.cluster(hosts=1)
    trouble = desk.host("host1").trouble
    trouble.ineffective.add("Add-VMSwitchExtensionPortFeature")
    error = await desk.refused("POST", VMS, desk.body("web1"), 409)
    for words in ("host1", "web1", "Set-VMSwitchExtensionPortFeature"):
        assert words in error["message"]
    assert desk.starts() == 0
    await nothing_is_left(desk)
    trouble.ineffective.clear()
    await desk.make("web1")
    state = await desk.get("/weft/v1/servers/host1/state")
    (port,) = state["ports"]
    assert (port["interface"], port["state"]) == ({"resourceRef": "/networkInterfaces/web1-eth0"}, "bound")


async def test_story_0_19_it_starts_only_after_its_port_is_bound(desk: HyperVDesk) -> None:
    await desk.cluster(hosts=1)
    seen = desk.at_starts("host1", "web1")
    mac = await desk.make("web1")
    instance = (await desk.get("/networking/v1/networkInterfaces/web1-eth0"))["instanceId"]
    own = (mac, False, instance, BLUE, 2)
    assert seen == [own]
    known = {one.customer_address for one in desk.host("host1").records.lookups}
    assert known == {"10.1.1.1", await desk.ip("web1-eth0")}
    assert desk.vm("web1").state == "Running"
    await desk.act("web1", "stop")
    desk.vm("web1").nics[0].profile = None
    desk.host("host1").changed()
    await desk.act("web1", "start")
    assert seen == [own, own], "what another hand took from the port is there again before it runs"


async def test_story_0_20_notations_of_a_mac_are_one_address(desk: HyperVDesk) -> None:
    await desk.cluster(hosts=1)
    asked = {"subnet": WEB, "privateMacAddress": "001d.d8b7.1cff"}
    assert await desk.make("web1", networks=[asked]) == "001DD8B71CFF"
    assert desk.shows("web1") == [("001DD8B71CFF", False)]
    for text in ("00-1D-D8-B7-1C-FF", "00:1d:d8:b7:1c:ff", "001DD8B71CFF"):
        asked = {"subnet": WEB, "privateMacAddress": text}
        error = await desk.refused("POST", VMS, desk.body("web2", networks=[asked]), 409)
        assert "web1-eth0" in error["message"]
        assert (await desk.address(text))["state"] == "assigned"
    assert desk.console("host1").host.vms == [desk.vm("web1")]


async def test_story_0_21_each_adapter_is_bound_by_itself_and_one_too_many_is_an_error(desk: HyperVDesk) -> None:
    await desk.cluster(hosts=1)
    red = {"resourceRef": "/virtualNetworks/red/subnets/web"}
    await desk.make("web1", networks=[{"subnet": WEB}, {"subnet": red}])
    nics = [await desk.get(f"/networking/v1/networkInterfaces/web1-eth{n}") for n in (0, 1)]
    assert [desk.profile("web1", n) for n in (0, 1)] == [nic["instanceId"] for nic in nics]
    assert [nic.virtual_subnet_id for nic in desk.vm("web1").nics] == [6001, 5001]
    assert desk.shows("web1") == [(nic["properties"]["privateMacAddress"], False) for nic in nics]
    console, vm = desk.console("host1"), desk.vm("web1")
    console.stop(vm)
    await desk.says("web1", powerState="Off")
    console.host.add_adapter(vm, Nic("by-hand", "Network Adapter", dynamic=False))
    for nic in vm.nics:
        nic.mac, nic.profile = Mac(0x020000000001), None
    console.host.changed()
    error = await desk.refused("POST", f"{VMS}/web1/start", {}, 409)
    for words in ("host1", "web1", "Get-VMNetworkAdapter", "where one was meant"):
        assert words in error["message"]
    assert vm.state == "Off"


async def test_story_0_22_a_second_time_changes_nothing(desk: HyperVDesk) -> None:
    """The same request answers the machine that is there; its port has one profile, set and not added again."""
    await desk.cluster(hosts=1)
    first: Any = await desk.post(VMS, desk.body("web1"))
    ran = desk.shells["host1"].ran.count("define")
    again = await desk.post(VMS, desk.body("web1"))
    assert (again["instanceId"], desk.shells["host1"].ran.count("define")) == (first["instanceId"], ran)
    own, shown = desk.profile("web1"), desk.shows("web1")
    trouble = desk.host("host1").trouble
    trouble.failing["Add-VMSwitchExtensionPortFeature"] = "The feature exists already."
    await desk.act("web1", "stop")
    (nic,) = desk.vm("web1").nics
    assert nic.profile is not None
    nic.profile = Profile(
        tuple((name, value if name != "ProfileId" else "{other}") for name, value in nic.profile.values)
    )
    await desk.act("web1", "renewMac", {"networkInterface": "web1-eth0"})
    await desk.act("web1", "start")
    assert desk.profile("web1") == own
    assert desk.shows("web1") == [(await desk.mac("web1-eth0"), False)] != shown
