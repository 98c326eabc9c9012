"""Stories in which somebody uses the hypervisors' own tools and tells nobody.

Told through the public API, on hosts that can tell one boot from another.
"""

import asyncio
from typing import Any

import pytest

from tests.stories.desk import Desk
from weft.agent.hypervisors import Start
from weft.fakes.console import Console
from weft.model.values import Mac, parse_mac

M = "00-15-5D-01-05-07"
"""Of a host's own range, in no pool."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.1)


async def consoles(desk: Desk, *hosts: str, **more: Any) -> list[Console]:
    """A cluster whose hosts say which boot it is, and somebody's hand at each of them."""
    await desk.cluster(hosts=len(hosts), **more)
    for host in hosts:
        desk.center.hypervisors[host].boot = "boot 1"
        desk.center.hypervisors[host].changed()
    return [Console(desk.center, host) for host in hosts]


def starts(desk: Desk) -> int:
    every = desk.center.hypervisors.values()
    return sum(isinstance(verb, Start) for one in every for verb in one.carried_out)


async def says(desk: Desk, machine: str, **wanted: Any) -> None:
    """Its properties come to be these."""

    async def so() -> bool:
        found = (await desk.get(f"/weft/v1/virtualMachines/{machine}"))["properties"]
        return all(found.get(name) == value for name, value in wanted.items())

    await desk.eventually(so)


async def has_mac(desk: Desk, interface: str, mac: str) -> None:
    async def so() -> bool:
        return await desk.mac(interface) == mac

    await desk.eventually(so)


async def clashes(desk: Desk, *kinds: str) -> list[Any]:
    """The present conflicts, once they are of these kinds."""
    found: list[Any] = []

    async def so() -> bool:
        found[:] = (await desk.get("/weft/v1/conflicts"))["value"]
        return [one["kind"] for one in found] == list(kinds)

    await desk.eventually(so)
    return found


async def clash_of(desk: Desk, holders: set[str]) -> None:
    """The one conflict that there is comes to be of these."""

    async def so() -> bool:
        found = (await desk.get("/weft/v1/conflicts"))["value"]
        return [set(refs(one)) for one in found] == [holders]

    await desk.eventually(so)


def refs(conflict: Any) -> list[str]:
    return [one["resourceRef"] for one in conflict["holders"]]


async def renewed(desk: Desk, machine: str) -> str:
    """Give a machine another address; it is restarted for that."""
    interface = f"/networkInterfaces/{machine}-eth0"
    await desk.act(machine, "renewMac", {"networkInterface": interface, "force": True})
    return await desk.mac(f"{machine}-eth0")


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


async def test_story_0_1_a_mac_that_changes_by_itself_is_seen_named_and_put_right(desk: Desk) -> None:
    [one] = await consoles(desk, "host1")
    mac = await desk.machine("web1", "host1")
    other = await desk.machine("web2", "host1")
    one.set_mac("web1", Mac(parse_mac(other)))
    [conflict] = await clashes(desk, "activeTwin")
    assert refs(conflict) == ["/networkInterfaces/web2-eth0", "/networkInterfaces/web1-eth0"]
    assert conflict["command"] == "weft vm stop web1"
    await desk.act("web1", "stop")
    await clashes(desk)
    await desk.act("web1", "start")
    assert desk.center.guests["web1"].adapters[0].mac == parse_mac(mac)
    await clashes(desk)


async def test_story_0_1_a_mac_that_nobody_else_has_is_followed(desk: Desk) -> None:
    [one] = await consoles(desk, "host1")
    await desk.machine("web1", "host1")
    ip = await desk.ip("web1-eth0")
    await desk.machine("peer", "host1")
    one.set_mac("web1", Mac(parse_mac(M)))
    await has_mac(desk, "web1-eth0", M.replace("-", ""))
    await desk.eventually_answers("peer", ip, ["web1"])
    await clashes(desk)


async def test_stories_0_10_0_13_0_c2_0_c3_1_2_ranges_of_hosts_that_overlap_are_named_at_once(desk: Desk) -> None:
    """Nobody types them in: a cloned image shows itself when its host joins."""
    one, two = await consoles(desk, "host1", "host2")
    first = parse_mac("00-15-5D-01-05-00")
    one.draws(first, first + 255)
    await clashes(desk)
    two.draws(first, first + 255)
    [conflict] = await clashes(desk, "rangeOverlap")
    assert {"/servers/host1", "/servers/host2"} == set(refs(conflict)) and "Set-VMHost" in conflict["command"]
    pool = parse_mac("00-1D-D8-B7-1C-00")
    two.draws(pool, pool + 255)
    await clash_of(desk, {"/macPools/pool1", "/servers/host2"})
    two.draws(first + 256, first + 511)
    await clashes(desk)


async def test_story_1_5_zeros_of_machines_that_never_booted_are_no_clash(desk: Desk) -> None:
    one, two = await consoles(desk, "host1", "host2")
    assert parse_mac(await desk.machine("web1", "host1", start=False))
    one.stranger("legacy1", 0, power="Off")
    two.stranger("legacy2", 0, power="Off")
    await desk.machine("web2", "host1")
    await clashes(desk)


async def test_story_1_7_a_static_copy_made_by_hand_is_named_before_it_starts(desk: Desk) -> None:
    _, two = await consoles(desk, "host1", "host2")
    mac = await desk.machine("web1", "host1")
    nic = await desk.get("/networking/v1/networkInterfaces/web1-eth0")
    two.stranger("web1-clone", parse_mac(mac), nic["instanceId"], power="Off")
    found = await clashes(desk, "foreign", "foreign")
    assert {tuple(refs(one)) for one in found} == {
        ("/networkInterfaces/web1-eth0", "/servers/host2/machines/web1-clone.id-of-we")
    }
    assert len((await desk.get("/weft/v1/virtualMachines/web1"))["properties"]["conflicts"]) == 2
    two.stranger("web1-clone", parse_mac(M), power="Off")
    await clashes(desk)


@pytest.mark.parametrize("policy", ["disconnect", "stop"])
async def test_story_0_c5_the_newcomer_of_a_pair_is_isolated_where_its_server_says_so(desk: Desk, policy: str) -> None:
    _, two = await consoles(desk, "host1", "host2")
    mac = await desk.machine("web1", "host1")
    server = (await desk.get("/networking/v1/servers/host2"))["properties"]
    await desk.put("/networking/v1/servers/host2", {"properties": server | {"twinPolicy": policy}})
    two.stranger("copy", parse_mac(mac))

    async def isolated() -> bool:
        copy = desk.center.hypervisors["host2"].strangers["id-of-copy"]
        return copy.power == "Off" if policy == "stop" else not copy.adapters[0].switch

    await desk.eventually(isolated)
    await says(desk, "web1", powerState="Running")
    await desk.act("web1", "stop")

    async def back() -> bool:
        copy = desk.center.hypervisors["host2"].strangers["id-of-copy"]
        return (copy.power, bool(copy.adapters[0].switch)) == ("Off" if policy == "stop" else "Running", True)

    await desk.eventually(back)


async def test_story_x2_a_machine_deleted_outside_keeps_its_addresses_inactive(desk: Desk) -> None:
    await consoles(desk, "host1")
    mac = await desk.machine("web1", "host1")
    await desk.center.hypervisors["host1"].forget("web1")
    await says(desk, "web1", powerState="Off", inactive="deleted outside on host1")
    found = await clashes(desk, "drift", "drift")
    assert (await desk.address(mac))["holders"][0]["inactive"]
    assert all(one["command"].startswith("weft address release") for one in found), "it goes back when it is said"


async def test_story_x14_a_saved_machine_whose_mac_is_used_elsewhere_is_not_taken_up_again(desk: Desk) -> None:
    one, two = await consoles(desk, "host1", "host2")
    mac = await desk.machine("web1", "host1")
    one.save("web1")
    await says(desk, "web1", powerState="Saved")
    two.stranger("thief", parse_mac(mac))
    await clashes(desk, "foreign")
    error = await desk.refused("POST", "/weft/v1/virtualMachines/web1/start", {}, status=409)
    assert error["code"] == "ActiveTwin"
    one.start("web1")
    await clashes(desk, "activeTwin", "foreign")
    await says(desk, "web1", powerState="Saved")
    two.remove_stranger("thief")
    await says(desk, "web1", powerState="Running", conflicts=[])


async def test_starts_that_slip_by_while_an_agent_is_down_are_conflicts_as_soon_as_it_is_back(desk: Desk) -> None:
    """libvirt's hook lets everything start then."""
    one, two = await consoles(desk, "host1", "host2")
    mac = await desk.machine("web1", "host1")
    await desk.kill_agent("host2")
    two.stranger("copy", parse_mac(mac))
    await desk.start_agent("host2")
    [conflict] = await clashes(desk, "foreign")
    assert refs(conflict) == ["/networkInterfaces/web1-eth0", "/servers/host2/ports/copy.id-of-co"]
    await desk.act("web1", "stop")
    await desk.kill_agent("host1")
    one.start("web1")
    await desk.start_agent("host1")
    active, _ = await clashes(desk, "activeTwin", "foreign")
    assert refs(active) == ["/servers/host2/ports/copy.id-of-co", "/networkInterfaces/web1-eth0"]
    assert active["command"] == "weft vm stop web1"
    await says(desk, "web1", powerState="Off")
    two.remove_stranger("copy")
    await says(desk, "web1", powerState="Running", conflicts=[])


async def test_a_rebooted_host_starts_what_runs_by_the_ledger_and_nothing_else(desk: Desk) -> None:
    [one] = await consoles(desk, "host1")
    await desk.machine("web1", "host1")
    await desk.machine("web2", "host1")
    one.stop("web2")
    await says(desk, "web2", powerState="Off")
    await desk.crash("host1")
    desk.center.hypervisors["host1"].boot = "boot 2"
    desk.center.switches["host1"].restart()
    await desk.start_agent("host1")

    async def runs() -> bool:
        return desk.center.guests["web1"].host == "host1"

    await desk.eventually(runs)
    await asyncio.sleep(0.2)
    assert not desk.center.guests["web2"].host
