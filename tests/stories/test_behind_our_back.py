"""Stories of source 002 in which somebody uses the hypervisors' own tools and tells nobody.

Told through the public API, on hosts that can tell one boot from another.
"""

from typing import Any

from tests.stories.by_hand import clashes, consoles, has_mac, quick, refs, renewed, says, starts
from tests.stories.desk import Desk
from weft.model.values import parse_mac

__all__ = ["quick"]


async def test_stories_2_1_2_2_moved_and_restarted_by_hand_it_has_its_mac(desk: Desk) -> None:
    one, two = await consoles(desk, "host1", "host2")
    mac, ip = await desk.machine("vdi1", "host1"), await desk.ip("vdi1-eth0")
    await desk.machine("peer", "host1")
    one.move("vdi1", "host2")
    await says(desk, "vdi1", server={"resourceRef": "/servers/host2"}, powerState="Running")
    await desk.eventually_answers("peer", ip, ["vdi1"])
    two.stop("vdi1")
    await says(desk, "vdi1", powerState="Off")
    two.start("vdi1")
    await says(desk, "vdi1", powerState="Running", conflicts=[])
    assert await desk.mac("vdi1-eth0") == mac
    await desk.eventually_answers("peer", ip, ["vdi1"])


async def test_story_2_3_a_machine_that_is_off_elsewhere_by_hand_keeps_its_mac(desk: Desk) -> None:
    one, two = await consoles(desk, "host1", "host2", mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01"))
    mac = await desk.machine("moved", "host1")
    one.move("moved", "host2")
    await says(desk, "moved", server={"resourceRef": "/servers/host2"})
    two.stop("moved")
    await says(desk, "moved", powerState="Off")
    assert await desk.machine("new", "host1") != mac
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/one-more", desk.nic_body("blue", "web"))
    assert error["code"] == "MacPoolIsFull"


async def test_story_2_4_a_desktop_reverted_by_hand_runs_on_with_its_retained_mac(desk: Desk) -> None:
    """No duplicate, no reboot; what the checkpoint of a checkpoint's address holds is nobody else's."""
    one, two = await consoles(desk, "host1", "host2")
    mac, ip = await desk.machine("vdi1", "host1"), await desk.ip("vdi1-eth0")
    await desk.machine("peer", "host1")
    one.take_checkpoint("vdi1", "before the logon")
    await desk.eventually(lambda: is_retained(desk, mac))
    await desk.act("vdi1", "migrate", {"server": "host2"})
    other = await renewed(desk, "vdi1")
    before = starts(desk)
    two.roll_back("vdi1", "before the logon")
    await has_mac(desk, "vdi1-eth0", mac)
    await desk.eventually_answers("peer", ip, ["vdi1"])
    await clashes(desk)
    assert starts(desk) == before, "it was not started anew"
    assert (await desk.address(other))["state"] == "cooling"
    last = (await desk.address(mac))["history"][-1]
    assert (last["actor"], last["reason"]) == ("agent of host2", "rollback seen on host2")


async def is_retained(desk: Desk, mac: str) -> bool:
    found = (await desk.address(mac))["holders"]
    return any("/checkpoints/" in one["resourceRef"] for one in found)


async def test_story_2_5_pooled_desktops_are_pinned_before_they_start_and_their_template_is_left_alone(
    desk: Desk,
) -> None:
    [one] = await consoles(desk, "host1")
    one.draws(parse_mac("00-15-5D-01-05-00"), parse_mac("00-15-5D-01-05-FF"))
    gold = {"isTemplate": True, "hypervisor": {"type": "hyperv", "id": "id-of-gold"}}
    await desk.put("/weft/v1/virtualMachines/gold", {"properties": gold})
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]
    adoption = {"mode": "pin", "subnets": [{"resourceRef": "/virtualNetworks/blue/subnets/web"}]}
    await desk.put("/networking/v1/servers/host1", {"properties": server | {"adoption": adoption}})
    one.stranger("gold", 0, power="Off", dynamic=True)
    one.stranger("Büro 1", 0, power="Off", dynamic=True)

    async def pinned() -> bool:
        [adapter] = desk.center.hypervisors["host1"].strangers["id-of-Büro 1"].adapters
        return bool(adapter.mac) and not adapter.dynamic

    await desk.eventually(pinned)
    [adapter] = desk.center.hypervisors["host1"].strangers["id-of-Büro 1"].adapters
    assert parse_mac(await desk.mac("Buro-1-eth0")) == adapter.mac, "of the pool, and the ledger's"
    assert (await desk.counts())["assigned"] == 1, "the template has none"
    one.stranger("Büro 1", adapter.mac, adapter.instance_id)
    await says(desk, "Buro-1", powerState="Running", conflicts=[])
    assert desk.center.hypervisors["host1"].strangers["id-of-gold"].adapters[0].dynamic


async def test_stories_2_7_2_8_whatever_a_checkpoint_is_called_it_brings_its_address_back_without_a_reboot(
    desk: Desk,
) -> None:
    [one] = await consoles(desk, "host1")
    names = ["Vor dem Update (17. März)", "before; rm -rf /", "‮evil‬ $name", "日本"]
    mac = await desk.machine("vdi1", "host1")
    for name in names:
        one.take_checkpoint("vdi1", name)

    async def noted() -> bool:
        return len((await desk.get("/weft/v1/virtualMachines/vdi1"))["properties"]["checkpoints"]) == len(names)

    await desk.eventually(noted)
    await renewed(desk, "vdi1")
    before = starts(desk)
    one.roll_back("vdi1", names[2])
    await has_mac(desk, "vdi1-eth0", mac)
    await clashes(desk)
    assert starts(desk) == before


async def test_story_2_6_a_checkpoint_without_an_address_changes_nothing(desk: Desk) -> None:
    """Blanked, as the old workaround does: the desktop has zeros for a moment, and its own address stays its own."""
    [one] = await consoles(desk, "host1")
    mac = await desk.machine("vdi1", "host1")
    one.take_checkpoint("vdi1", "clean")
    desk.center.guests["vdi1"].checkpoints[0].adapters = ()
    desk.center.hypervisors["host1"].changed()
    await desk.eventually(lambda: has_checkpoint(desk, "vdi1", "clean"))
    await clashes(desk)
    assert await desk.mac("vdi1-eth0") == mac


async def has_checkpoint(desk: Desk, machine: str, name: str) -> bool:
    found = (await desk.get(f"/weft/v1/virtualMachines/{machine}"))["properties"]["checkpoints"]
    return name in [one["resourceId"] for one in found]


async def test_story_2_9_a_node_that_nobody_prepared_is_as_good(desk: Desk) -> None:
    """The third host joins last, and nothing is set up there."""
    one, _, three = await consoles(desk, "host1", "host2", "host3")
    mac = await desk.machine("vdi1", "host1")
    one.take_checkpoint("vdi1", "clean")
    await desk.eventually(lambda: is_retained(desk, mac))
    await renewed(desk, "vdi1")
    await desk.kill_agent("host3")
    one.move("vdi1", "host3")
    three.roll_back("vdi1", "clean")
    await desk.start_agent("host3")
    await says(desk, "vdi1", server={"resourceRef": "/servers/host3"}, powerState="Running", conflicts=[])
    await has_mac(desk, "vdi1-eth0", mac)


async def test_story_2_10_a_twin_made_outside_is_named_with_its_pair_within_seconds(desk: Desk) -> None:
    _, two = await consoles(desk, "host1", "host2")
    mac = await desk.machine("web1", "host1")
    two.stranger("copy", parse_mac(mac))
    [conflict] = await clashes(desk, "foreign")
    assert refs(conflict) == ["/networkInterfaces/web1-eth0", "/servers/host2/ports/copy.id-of-co"]
    assert conflict["remedy"]
    two.remove_stranger("copy")
    await clashes(desk)


async def test_story_2_11_without_any_manager_all_this_works(desk: Desk) -> None:
    """Hosts, their own tools, and Weft."""
    one, two = await consoles(desk, "host1", "host2")
    macs = {await desk.machine(f"vm{n}", "host1") for n in range(3)}
    one.move("vm0", "host2")
    one.stop("vm1")
    one.take_checkpoint("vm2", "s1")
    await says(desk, "vm0", server={"resourceRef": "/servers/host2"})
    await says(desk, "vm1", powerState="Off")
    await desk.eventually(lambda: has_checkpoint(desk, "vm2", "s1"))
    one.delete_checkpoint("vm2", "s1")
    two.stop("vm0")
    await says(desk, "vm0", powerState="Off")
    await says(desk, "vm2", checkpoints=[])
    assert {await desk.mac(f"vm{n}-eth0") for n in range(3)} == macs and len(macs) == 3


async def test_story_2_12_many_that_are_reverted_together_are_few_revisions_and_no_restart(desk: Desk) -> None:
    [one] = await consoles(desk, "host1")
    names = [f"vdi{n}" for n in range(20)]
    macs = {name: await desk.machine(name, "host1") for name in names}
    for name in names:
        one.take_checkpoint(name, "clean")
    await desk.eventually(lambda: are_retained(desk, macs.values()))
    for name in names:
        await renewed(desk, name)
    before, revision = starts(desk), (await desk.get("/weft/v1/servers/host1/state"))["revision"]
    for name in names:
        one.roll_back(name, "clean")
    for name in names:
        await has_mac(desk, f"{name}-eth0", macs[name])
    await clashes(desk)
    assert starts(desk) == before
    assert (await desk.get("/weft/v1/servers/host1/state"))["revision"] - revision <= 5


async def are_retained(desk: Desk, macs: Any) -> bool:
    return all([await is_retained(desk, mac) for mac in macs])
