"""Stories of machines that hosts have already and that Weft takes over: their hosts are fake Hyper-V hosts."""

import pytest

from tests.stories.hyperv_desk import HyperVDesk, desk
from tests.stories.taking_in import VMS, take_in, told
from weft.model.values import parse_mac

__all__ = ["desk"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)


async def is_bound(desk: HyperVDesk, name: str, mac: str, dynamic: bool = False) -> None:
    """Its adapter comes to have this address, and its own interface's port profile."""

    async def so() -> bool:
        instance = (await desk.get(f"/networking/v1/networkInterfaces/{name}-eth0"))["instanceId"]
        return desk.shows(name) == [(mac, dynamic)] and desk.profile(name) == instance

    await desk.eventually(so)


async def test_what_was_taken_in_is_not_forgotten_while_it_runs(desk: HyperVDesk) -> None:
    await desk.cluster(hosts=1)
    for name, mac in (("old", 0x00155D010203), ("older", 0x00155D010204)):
        vm = desk.console("host1").create(name)
        desk.console("host1").set_static(vm, mac)
        desk.console("host1").start(vm)
        await take_in(desk, "host1", name, adopt=True)
        error = await desk.refused("DELETE", f"{VMS}/{name}", status=409)
        assert error["code"] == "MachineIsRunning" and f"weft vm stop {name}" in error["message"]
    batch = {"atomic": True, "requests": [{"method": "DELETE", "path": f"{VMS}/old"}]}
    assert (await desk.refused("POST", "/weft/v1/batch", batch, 409))["code"] == "MachineIsRunning"
    await desk.delete(f"{VMS}/old?force=true")

    async def is_told() -> bool:
        return [one["address"] for one in await desk.clashes("foreign")] == ["00-15-5D-01-02-03"]

    await desk.eventually(is_told)
    await desk.act("older", "stop")
    await desk.delete(f"{VMS}/older")
    await desk.missing(f"{VMS}/old")
    await desk.eventually(desk.all_applied)
    assert (desk.vm("old").power, desk.vm("older").power) == ("Running", "Off")


async def test_story_x15_two_imports_of_one_export_are_two_machines_on_their_hosts_too(desk: HyperVDesk) -> None:
    """Both came with the address, and the port profile, of the machine that was exported."""
    await desk.cluster()
    mac = await desk.make("web1", start=False)
    profile = desk.profile("web1")
    for name in ("first", "second"):
        desk.console("host1").clone(desk.vm("web1"), name)
        assert (desk.shows(name), desk.profile(name)) == ([(mac, False)], profile)
    await take_in(desk, "host1", "first")
    assert await desk.mac("first-eth0") == mac
    await take_in(desk, "host1", "second", addresses="newIfTaken")
    other = await desk.mac("second-eth0")
    assert other != mac
    await is_bound(desk, "first", mac)
    await is_bound(desk, "second", other)
    assert desk.profile("web1") == profile
    await desk.act("web1", "start")
    await desk.act("second", "start")
    error = await desk.refused("POST", f"{VMS}/first/start", {}, 409)
    assert (error["code"], "web1" in error["message"]) == ("ActiveTwin", True)
    assert (desk.running_with(mac), desk.running_with(other)) == (["web1"], ["second"])
    again = await told(desk, "host1", "second")
    body = {"resourceId": "third", "server": "host2", "hypervisor": {"id": again["id"].upper()}}
    error = await desk.refused("POST", f"{VMS}/import", body, 409)
    assert (error["code"], error["target"]) == ("AlreadyExists", "/weft/virtualMachines/second")


async def test_a_machine_that_runs_is_taken_in_as_it_is_and_goes_on(desk: HyperVDesk) -> None:
    await desk.cluster(hosts=1)
    vm = desk.console("host1").create("shop")
    desk.console("host1").start(vm)
    (drawn, dynamic) = desk.shows("shop")[0]
    assert dynamic and parse_mac(drawn)
    await desk.clashes("drift")
    await take_in(desk, "host1", "shop")
    await desk.says("shop", powerState="Running")
    await is_bound(desk, "shop", drawn, dynamic=True)
    assert (await desk.mac("shop-eth0"), desk.shows("shop")) == (drawn, [(drawn, True)])
    assert desk.starts() == 0, "it runs already"
    # from its next start on the host draws nothing for it any more
    await desk.act("shop", "stop")
    await is_bound(desk, "shop", drawn)
    await desk.clashes()  # until then its own port of before may still be on record as a stranger's
    await desk.act("shop", "start")
    assert desk.running_with(drawn) == ["shop"]
    await desk.clashes()
