"""Source 001 on fake Hyper-V hosts: addresses before the first boot, copies, and machines that other tools made."""

from tests.stories.by_hand import quick
from tests.stories.hyperv_desk import HyperVDesk, desk
from weft.model.values import parse_mac

__all__ = ["desk", "quick"]


VMS = "/weft/v1/virtualMachines"


async def shows(desk: HyperVDesk, name: str, mac: str) -> bool:
    """Is it on its host, with this one address, static?"""
    here = [vm for host in desk.center.hosts.values() for vm in host.vms if vm.name == name and vm.nics]
    return bool(here) and desk.shows(name) == [(mac, False)]


async def test_story_1_4_the_controller_chooses_also_for_what_another_manager_made(desk: HyperVDesk) -> None:
    """A machine with a dynamic address, made with the host's own tools: the host draws nothing, the pool knows it."""
    await desk.cluster(hosts=1)
    await desk.take_in("host1")
    vm = desk.console("host1").create("by hand")
    mac = await desk.pinned("by-hand", "by hand")
    assert mac.startswith("001DD8B7")
    assert await desk.counts() == {"free": 1023, "assigned": 1}
    assert (await desk.address(mac))["holders"][0]["resourceRef"] == "/networkInterfaces/by-hand-eth0"
    desk.console("host1").start(vm)
    await desk.says("by-hand", powerState="Running", conflicts=[])
    assert desk.shows("by hand") == [(mac, False)]
    assert desk.host("host1").range.used == 0


async def test_story_1_5_a_mac_is_there_at_once_and_zeros_of_others_are_no_clash(desk: HyperVDesk) -> None:
    await desk.cluster()
    made = await desk.post(VMS, desk.body("web1", start=False))
    assert made["properties"]["powerState"] == "Off"
    mac = await desk.mac("web1-eth0")
    assert parse_mac(mac)
    assert desk.shows("web1") == [(mac, False)]
    await desk.take_in("host1", "host2", exceptions=("legacy*",))
    for host in ("host1", "host2"):
        desk.console(host).create(f"legacy {host}")

    async def seen() -> bool:
        found = [(await desk.get(f"/weft/v1/servers/host{n}/machines"))["value"] for n in (1, 2)]
        return all(any(one["name"].startswith("legacy") for one in machines) for machines in found)

    await desk.eventually(seen)
    assert desk.shows("legacy host1") == desk.shows("legacy host2") == [("000000000000", True)]
    assert (await desk.get("/weft/v1/conflicts"))["value"] == []


async def test_story_1_6_a_copy_of_a_dynamic_machine_has_its_own_address_before_it_starts(desk: HyperVDesk) -> None:
    """By hand it has its source's address, or zeros; taken in, it has one of its own, and so has its source."""
    await desk.cluster(hosts=1)
    console = desk.console("host1")
    source = console.create("source")
    console.start(source)
    console.stop(source)
    drawn = desk.shows("source")
    copies = [console.clone(source, f"copy{number}") for number in (1, 2)]
    console.set_dynamic(copies[1])
    alone = console.create("alone")
    console.start(alone)
    console.stop(alone)
    assert [desk.shows(f"copy{number}") for number in (1, 2)] == [drawn, [("000000000000", True)]]
    await desk.take_in("host1")
    names = ("source", "copy1", "copy2", "alone")
    macs = {await desk.pinned(name) for name in names}
    assert len(macs) == 4
    assert all(mac.startswith("001DD8B7") for mac in macs), "what the host could draw for another is exchanged"
    for vm in (source, *copies, alone):
        console.start(vm)
    assert {
        mac for name in ("source", "copy1", "copy2", "alone") for mac, dynamic in desk.shows(name) if not dynamic
    } == macs


async def test_story_1_7_a_copy_of_a_static_machine_gets_a_mac_from_the_pool(desk: HyperVDesk) -> None:
    """Keeping the addresses must be said, and then the copy runs only when its source does not."""
    await desk.cluster(hosts=1)
    mac = await desk.make("web1", start=False)
    await desk.act("web1", "clone", {"resourceId": "web2"})
    other = await desk.mac("web2-eth0")
    assert other != mac
    await desk.eventually(lambda: shows(desk, "web2", other))
    assert desk.shows("web1") == [(mac, False)]
    await desk.act("web1", "clone", {"resourceId": "web3", "addresses": "keep"})
    await desk.eventually(lambda: shows(desk, "web3", mac))
    await desk.act("web1", "start")
    await desk.act("web2", "start")
    error = await desk.refused("POST", f"{VMS}/web3/start", {}, 409)
    assert (error["code"], "web1" in error["message"]) == ("ActiveTwin", True)
    await desk.act("web1", "stop")
    await desk.act("web3", "start")
    assert desk.running_with(mac) == ["web3"]
    assert len({desk.profile(f"web{number}") for number in (1, 2, 3)}) == 3, "each port is its own interface's"
