"""Stories of the other sources in which somebody uses the hypervisors' own tools and tells nobody.

Told through the public API, on hosts that can tell one boot from another.
"""

import asyncio

import pytest

from tests.stories.by_hand import M, clash_of, clashes, consoles, has_mac, quick, refs, says
from tests.stories.desk import Desk
from weft.model.values import Mac, parse_mac

__all__ = ["quick"]


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
