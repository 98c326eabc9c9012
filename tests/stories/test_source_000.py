"""Stories of the MAC strategies on a failover cluster: what went wrong there, shown absent through the public API."""

import asyncio
import itertools
import random
import re

import pytest

from tests.stories.desk import Desk

REFUSED_MACS = {
    "01-00-5E-00-00-01": "group",
    "FF-FF-FF-FF-FF-FF": "group",
    "25:B6:84:17:8C:63": "group",
    "00-00-00-00-00-00": "zero",
    "00-00-5E-00-01-07": "VRRP",
    "00000C07AC01": "HSRP",
    "02-BF-0A-00-00-01": "load balancing",
    "02-57-45-46-54-01": "router",
}


async def test_story_0_1_a_mac_never_changes_by_itself(desk: Desk) -> None:
    """The interface's MAC is fixed at its grant; start, stop, move and repeated PUTs leave it as it is."""
    await desk.cluster()
    nic = await desk.nic("web1-eth0", "blue", "web")
    mac = nic["properties"]["privateMacAddress"]
    await desk.vm("web1", "host1", ["web1-eth0"])
    for action, body in (
        ("start", {}),
        ("migrate", {"server": {"resourceRef": "/servers/host2"}}),
        ("stop", {}),
        ("start", {}),
    ):
        await desk.post(f"/weft/v1/virtualMachines/web1/{action}", body)
        assert await desk.mac("web1-eth0") == mac
    await desk.put("/networking/v1/networkInterfaces/web1-eth0", desk.nic_body("blue", "web"))
    assert await desk.mac("web1-eth0") == mac
    refused = await desk.refused(
        "PUT", "/networking/v1/networkInterfaces/web1-eth0", desk.nic_body("blue", "web", mac="00-11-22-33-44-55")
    )
    assert refused["code"] == "PrivateMacAllocationMethodCannotBeUpdated"


async def test_story_0_3_random_twins_cannot_arise(desk: Desk) -> None:
    """A hundred grants asked for at once are a hundred addresses; a second claim of one is a conflict."""
    await desk.cluster()
    nics = await asyncio.gather(*(desk.nic(f"n{i}", "blue", "web") for i in range(100)))
    macs = {nic["properties"]["privateMacAddress"] for nic in nics}
    assert len(macs) == 100
    error = await desk.refused(
        "PUT", "/networking/v1/networkInterfaces/twin", desk.nic_body("blue", "web", mac=sorted(macs)[0])
    )
    assert error["code"] == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n" in error["message"]


@pytest.mark.parametrize("mac", sorted(REFUSED_MACS))
async def test_story_0_4_a_forbidden_address_is_refused_with_the_reason(desk: Desk, mac: str) -> None:
    await desk.cluster()
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n1", desk.nic_body("blue", "web", mac=mac))
    assert error["code"] == "InvalidPrivateMacAddress"
    assert REFUSED_MACS[mac].lower() in error["message"].lower()
    await desk.missing("/networking/v1/networkInterfaces/n1")


async def test_story_0_5_every_draw_is_valid_and_the_whole_range_is_reached(desk: Desk) -> None:
    """The source's generator never yields the digit f and is multicast in 47 % of draws; a pool has neither fault."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-FF"))
    nics = [await desk.nic(f"n{i}", "blue", "web", ip=False) for i in range(256)]
    macs = [nic["properties"]["privateMacAddress"] for nic in nics]
    assert sorted(macs) == [f"001DD8B71C{i:02X}" for i in range(256)]
    assert not any(int(mac[1], 16) & 1 for mac in macs)


async def test_story_0_6_owner_history_and_free_count_can_be_asked_for(desk: Desk) -> None:
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-0F"))
    mac = (await desk.nic("web1-eth0", "blue", "web"))["properties"]["privateMacAddress"]
    found = await desk.get(f"/weft/v1/addresses/{mac}")
    assert "/networkInterfaces/web1-eth0" in str(found)
    assert "granted" in str(found)
    usage = await desk.get("/weft/v1/macPools/pool1/usage")
    assert (usage["capacity"], usage["free"], usage["assigned"]) == (16, 15, 1)
    await desk.delete("/networking/v1/networkInterfaces/web1-eth0")
    found = await desk.get(f"/weft/v1/addresses/{mac}")
    assert "cooling" in str(found)
    assert "released" in str(found)


async def test_story_0_8_one_call_gives_a_mac_and_starts_nothing(desk: Desk) -> None:
    await desk.cluster()
    before = await desk.get("/weft/v1/virtualMachines")
    nic = await desk.nic("dummy", "blue", "web")
    assert re.fullmatch(r"[0-9A-F]{12}", nic["properties"]["privateMacAddress"])
    assert await desk.get("/weft/v1/virtualMachines") == before


async def test_story_0_9_a_granted_mac_is_held_from_the_first_call_on(desk: Desk) -> None:
    """Between grant and boot nobody else gets it, however many grants follow; not even after a restart."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-07"))
    first = (await desk.nic("first", "blue", "web"))["properties"]["privateMacAddress"]
    await desk.restart()
    others = {(await desk.nic(f"n{i}", "blue", "web"))["properties"]["privateMacAddress"] for i in range(7)}
    assert first not in others
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/late", desk.nic_body("blue", "web"))
    assert error["code"] == "MacPoolIsFull"
    assert "8 assigned" in error["message"]


async def test_story_0_15_the_central_pool_is_the_default(desk: Desk) -> None:
    await desk.cluster()
    nic = await desk.nic("web1-eth0", "blue", "web")
    assert nic["properties"]["privateMacAllocationMethod"] == "Dynamic"
    assert nic["properties"]["privateMacAddress"].startswith("001DD8")


async def test_story_0_16_a_half_made_machine_leaves_nothing(desk: Desk) -> None:
    """Interface and machine in one transaction: the machine names a server that is not there, so neither is kept."""
    await desk.cluster()
    before = await desk.get("/weft/v1/macPools/pool1/usage")
    machine = {
        "properties": {
            "server": {"resourceRef": "/servers/nowhere"},
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/web1-eth0"}],
        }
    }
    requests = [
        {
            "method": "PUT",
            "path": "/networking/v1/networkInterfaces/web1-eth0",
            "body": desk.nic_body("blue", "web"),
        },
        {"method": "PUT", "path": "/weft/v1/virtualMachines/web1", "body": machine},
    ]
    error = await desk.refused("POST", "/weft/v1/batch", {"atomic": True, "requests": requests})
    assert "nowhere" in str(error)
    await desk.missing("/networking/v1/networkInterfaces/web1-eth0")
    await desk.missing("/weft/v1/virtualMachines/web1")
    assert await desk.get("/weft/v1/macPools/pool1/usage") == before


@pytest.mark.parametrize("text", ["00-11-22-33-44-55", "001122334455", "00:11:22:33:44:55", "0011.2233.4455"])
async def test_story_0_20_all_notations_are_one_identity(desk: Desk, text: str) -> None:
    await desk.cluster()
    nic = await desk.nic("n1", "blue", "web", mac=text)
    assert nic["properties"]["privateMacAddress"] == "001122334455"
    other = random.Random(1).choice(["00:11:22:33:44:55", "001122334455"])
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n2", desk.nic_body("blue", "web", mac=other))
    assert error["code"] == "PrivateMacAddressInUse"


async def test_story_0_23_the_same_ip_twice_is_refused_but_legal_in_another_network(desk: Desk) -> None:
    await desk.cluster()
    await desk.nic("b1", "blue", "web", ip="10.1.1.11")
    error = await desk.refused(
        "PUT", "/networking/v1/networkInterfaces/b2", desk.nic_body("blue", "web", ip="10.1.1.11")
    )
    assert error["code"] == "PrivateIPAddressInUse"
    assert "/networkInterfaces/b1" in error["message"]
    red = await desk.nic("r1", "red", "web", ip="10.1.1.11")
    assert red["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] == "10.1.1.11"


@pytest.mark.parametrize("start, words", [("00-15-5D-01-02-00", "microsoft"), ("0A-00-00-00-00-00", "")])
async def test_a_pool_in_anothers_range_is_accepted_with_a_warning(desk: Desk, start: str, words: str) -> None:
    pool = {"properties": {"startMacAddress": start, "endMacAddress": start[:-2] + "FF"}}
    answered = await desk.put("/networking/v1/macPools/odd", pool)
    state = answered["properties"]["configurationState"]
    assert state["status"] == "Warning"
    assert words in state["detailedInfo"][0]["message"].lower()
    plain = await desk.put(
        "/networking/v1/macPools/plain",
        {"properties": {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}},
    )
    assert "configurationState" not in plain["properties"]


async def test_a_machine_that_got_another_mac_while_it_was_off_starts_with_it(desk: Desk) -> None:
    await desk.cluster()
    for n in (1, 2):
        await desk.nic(f"b{n}", "blue", "web", mac=f"10-10-10-10-11-0{n}", ip=f"10.1.1.1{n}")
        await desk.vm(f"b{n}", f"host{n}", [f"b{n}"])
        await desk.post(f"/weft/v1/virtualMachines/b{n}/start", {})
    await desk.post("/weft/v1/virtualMachines/b2/stop", {})
    body = desk.nic_body("blue", "web", mac="10-10-10-10-11-99", ip="10.1.1.12")
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/b2", body, 409)
    assert error["code"] == "PrivateMacAddressCannotBeUpdated"
    await desk.act("b2", "renewMac", {"networkInterface": "b2", "macAddress": "10-10-10-10-11-99"})
    await desk.act("b2", "start")
    assert await desk.answers("b1", "10.1.1.12") == ["b2"]
    assert desk.center.guests["b2"].adapters[0].mac == 0x101010101199


async def test_story_0_1_another_mac_at_the_port_is_named_and_kept_out(desk: Desk) -> None:
    """The port is closed and the interface says which address it has and which it should have; the others go on."""
    await desk.cluster()
    await desk.machine("web1", "host1")
    await desk.machine("web2", "host2")
    desk.replug("web1", mac="00-11-22-33-44-55")

    async def so() -> bool:
        return await desk.failing("web1-eth0")

    await desk.eventually(so)
    nic = await desk.get("/networking/v1/networkInterfaces/web1-eth0")
    infos = nic["properties"]["configurationState"]["detailedInfo"]
    assert {info["code"] for info in infos} == {"PortBlocked"}
    assert all("00-11-22-33-44-55" in info["message"] for info in infos)
    desk.replug("web1", mac=await desk.mac("web1-eth0"))
    await desk.eventually_answers("web2", await desk.ip("web1-eth0"), ["web1"])


async def test_story_0_2_addresses_and_policy_follow_a_machine_to_any_host(desk: Desk) -> None:
    """By migration, and by failover when its host is dead: the same MAC, IP, VSID; the others reach it."""
    await desk.cluster(hosts=3)
    mac, ip = await desk.machine("web1", "host1"), await desk.ip("web1-eth0")
    await desk.machine("peer", "host3")
    await desk.act("web1", "migrate", {"server": "host2"})
    assert await desk.answers("peer", ip) == ["web1"]
    await desk.crash("host2")
    error = await desk.refused("POST", "/weft/v1/virtualMachines/web1/migrate", {"server": "host1"}, 409)
    assert error["code"] == "ServerNotReady"
    moved = await desk.act("web1", "failover", {"server": "host1"})
    assert (moved["powerState"], moved["server"]["resourceRef"]) == ("Running", "/servers/host1")
    assert (await desk.mac("web1-eth0"), await desk.ip("web1-eth0")) == (mac, ip)
    await desk.eventually_answers("peer", ip, ["web1"])
    policy = str(await desk.get("/weft/v1/servers/host1/policy"))
    assert mac in policy.replace("-", "")
    assert "6001" in policy


async def test_story_0_10_a_pool_inside_a_hosts_own_range_is_flagged_and_the_address_stays_owned(desk: Desk) -> None:
    await desk.cluster(mac_pool=("00-15-5D-01-05-00", "00-15-5D-01-05-0F"))
    mac = await desk.machine("static", "host1", mac="00-15-5D-01-05-00")
    found = (await desk.get("/networking/v1/servers/host1"))["properties"]
    own = {"first": "00-15-5D-01-05-00", "last": "00-15-5D-01-05-FF"}
    body = {"providerAddresses": found["providerAddresses"], "dynamicMacRange": own}
    await desk.put("/networking/v1/servers/host1", {"properties": body})
    (clash,) = await desk.conflicts("rangeOverlap")
    assert "/macPools/pool1" in str(clash["holders"]) and "/servers/host1" in str(clash["holders"])
    assert "Set-VMHost -ComputerName 'host1'" in str(clash)
    await desk.act("static", "migrate", {"server": "host2"})
    others = {await desk.machine(f"dyn{i}", "host1", start=False) for i in range(15)}
    assert mac not in others


async def plan(desk: Desk, **members: int) -> None:
    body = {"prefix": "00-15-5D", "clusterDigits": 2, "hostDigits": 1, "interfaceDigits": 3} | members
    await desk.put("/weft/v1/addressPlans/source", {"properties": body})


async def planned(desk: Desk, name: str, cluster: int) -> dict[str, str]:
    """Add a host to the plan; its range."""
    body = {"addressPlan": {"resourceRef": "/weft/addressPlans/source"}, "clusterNumber": cluster}
    answered = await desk.put(f"/networking/v1/servers/{name}", {"properties": body})
    return dict(answered["properties"]["macRange"])


async def test_story_0_11_a_plan_gives_hosts_disjoint_ranges(desk: Desk) -> None:
    """00-15-5D-[c1c2]-[h1v1]-[v2v3], by machine and not by hand; what would overlap is refused."""
    await desk.cluster()
    await plan(desk)
    ranges = [await planned(desk, f"node{i}", 3) for i in range(16)]
    assert ranges[0] == {"first": "00-15-5D-03-00-00", "last": "00-15-5D-03-0F-FF"}
    assert ranges[15] == {"first": "00-15-5D-03-F0-00", "last": "00-15-5D-03-FF-FF"}
    ranges.append(await planned(desk, "elsewhere", 4))
    bounds = sorted((one["first"], one["last"]) for one in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(bounds))
    pool = {"startMacAddress": "00-15-5D-07-00-00", "endMacAddress": "00-15-5D-07-00-FF"}
    error = await desk.refused("PUT", "/networking/v1/macPools/inside", {"properties": pool}, 409)
    assert "source" in error["message"]
    other = {"prefix": "00-15-5D", "clusterDigits": 1, "hostDigits": 2, "interfaceDigits": 3}
    error = await desk.refused("PUT", "/weft/v1/addressPlans/again", {"properties": other}, 409)
    assert error["code"] == "AddressPlansOverlap"


async def test_story_0_12_a_plans_limits_are_errors_that_say_so(desk: Desk) -> None:
    """The 17th host, the 257th cluster, the 4097th adapter; never a neighbour's range, and a warning before."""
    await desk.cluster(hosts=1)
    await plan(desk, clusterDigits=2, hostDigits=1, interfaceDigits=3)
    for i in range(16):
        await planned(desk, f"node{i}", 0)
    body = {"addressPlan": {"resourceRef": "/weft/addressPlans/source"}, "clusterNumber": 0}
    error = await desk.refused("PUT", "/networking/v1/servers/node16", {"properties": body}, 409)
    assert error["code"] == "AddressPlanIsFull"
    error = await desk.refused(
        "PUT", "/networking/v1/servers/node16", {"properties": body | {"clusterNumber": 256}}, 400
    )
    assert "256" in error["message"]
    nic = desk.nic_body("blue", "web", ip=False)
    nic["properties"] |= {"strategy": "hostRange", "server": {"resourceRef": "/servers/node0"}}
    puts = [{"method": "PUT", "path": f"/networking/v1/networkInterfaces/n{i}", "body": nic} for i in range(4096)]
    await desk.post("/weft/v1/batch", {"atomic": True, "requests": puts})
    usage = await desk.get("/weft/v1/servers/node0/macRange/usage")
    assert (usage["capacity"], usage["free"], usage["warning"]) == (4096, 0, True)
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/one-more", nic, 409)
    assert error["code"] == "MacPoolIsFull"
    assert "/servers/node0/macRange" in error["message"]


async def test_story_0_13_a_host_on_its_default_range_inside_the_plan_is_found_when_it_is_added(desk: Desk) -> None:
    await desk.cluster()
    await plan(desk)
    await planned(desk, "node0", 3)
    own = {"first": "00-15-5D-03-05-00", "last": "00-15-5D-03-05-FF"}
    await desk.put("/networking/v1/servers/left", {"properties": {"dynamicMacRange": own}})
    clashes = await desk.conflicts("rangeOverlap")
    (clash,) = [one for one in clashes if "/servers/left" in str(one["holders"])]
    assert "/servers/node0/macRange" in str(clash["holders"])
    assert "a range of its own" in clash["remedy"]


async def test_story_0_14_a_machine_keeps_its_address_away_from_the_host_it_was_granted_on(desk: Desk) -> None:
    """Granted from host1's range, it runs, stops and starts on host2 with it, and host1 grants it to nobody."""
    await desk.cluster()
    await plan(desk)
    for host in ("host1", "host2"):
        found = (await desk.get(f"/networking/v1/servers/{host}"))["properties"]
        plan_of = {"addressPlan": {"resourceRef": "/weft/addressPlans/source"}, "clusterNumber": 1}
        body = {"providerAddresses": found["providerAddresses"], **plan_of}
        await desk.put(f"/networking/v1/servers/{host}", {"properties": body})
    nic = desk.nic_body("blue", "web")
    nic["properties"]["strategy"] = "hostRange"
    await desk.put("/networking/v1/networkInterfaces/web1-eth0", nic)
    await desk.vm("web1", "host1", ["web1-eth0"])
    mac = await desk.mac("web1-eth0")
    assert mac.startswith("00155D010")
    await desk.act("web1", "start")
    await desk.act("web1", "migrate", {"server": "host2"})
    await desk.act("web1", "stop")
    await desk.act("web1", "start")
    assert await desk.mac("web1-eth0") == mac
    await desk.put("/networking/v1/networkInterfaces/web2-eth0", nic)
    await desk.vm("web2", "host1", ["web2-eth0"])
    assert (await desk.mac("web2-eth0")).startswith("00155D010")
    assert await desk.mac("web2-eth0") != mac


async def test_story_0_c1_a_dhcp_reservation_by_mac_holds_on_every_host(desk: Desk) -> None:
    await desk.cluster()
    mac = await desk.machine("web1", "host1")
    await desk.act("web1", "stop")
    await desk.act("web1", "migrate", {"server": "host2"})
    await desk.act("web1", "start")
    assert await desk.mac("web1-eth0") == mac
    assert desk.center.guests["web1"].adapters[0].mac == int(mac, 16)


@pytest.mark.parametrize("story", ["0_c2_defaults_are_unique", "0_c3_one_range_set_everywhere"])
async def test_story_0_c2_and_0_c3_equal_ranges_of_hosts_are_reported_and_never_used(desk: Desk, story: str) -> None:
    """From 10.1.3.5 and 10.2.3.5 the same default; or set by hand to be equal. Weft's own grants are neither."""
    await desk.cluster()
    own = {"first": "00-15-5D-03-05-00", "last": "00-15-5D-03-05-FF"}
    for host in ("a", "b", "c"):
        await desk.put(f"/networking/v1/servers/{host}", {"properties": {"dynamicMacRange": own}})
        if host == "a":
            assert await desk.conflicts("rangeOverlap") == [], story
    clashes = await desk.conflicts("rangeOverlap")
    named = {ref for one in clashes for ref in ("/servers/a", "/servers/b", "/servers/c") if ref in str(one["holders"])}
    assert named == {"/servers/a", "/servers/b", "/servers/c"}
    macs = [(await desk.nic(f"n{i}", "blue", "web"))["properties"]["privateMacAddress"] for i in range(20)]
    assert not [mac for mac in macs if "00155D030500" <= mac <= "00155D0305FF"]


async def test_story_0_c4_addresses_that_mimic_ip_addresses_are_found_when_they_clash(desk: Desk) -> None:
    """Decimal of 10.1.0.15 and hexadecimal of 16.1.0.21 are one MAC address, and the range is a vendor's."""
    await desk.cluster()
    adapters = (("decimal", "10.1.0.15"), ("hexadecimal", "16.1.0.21"))
    machines = [
        {"name": name, "power": "running", "interfaces": [{"mac": "00-00-10-01-00-15", "ipAddresses": [ip]}]}
        for name, ip in adapters
    ]
    report = await desk.post("/weft/v1/audits", {"machines": machines})
    text = str(report)
    assert "decimal" in text and "hexadecimal" in text
    assert "00-00-10-01-00-15" in text


async def test_story_0_c5_a_duplicate_on_a_switch_is_prevented_or_named(desk: Desk) -> None:
    """Ours is refused before it runs. A newcomer from outside is named, its port carries nothing, and ours goes on."""
    await desk.cluster()
    mac = await desk.machine("web1", "host1", mac="00-11-22-33-44-55", ip="10.1.1.11")
    await desk.machine("peer", "host2")
    await desk.act("web1", "clone", {"resourceId": "twin", "addresses": "keep"})
    error = await desk.refused("POST", "/weft/v1/virtualMachines/twin/start", {}, 409)
    assert error["code"] == "ActiveTwin"
    desk.stranger("host2", mac)

    async def so() -> bool:
        return bool(await desk.conflicts("foreign"))

    await desk.eventually(so)
    holders = [[one["resourceRef"] for one in clash["holders"]] for clash in await desk.conflicts("foreign")]
    assert ["/networkInterfaces/web1-eth0", "/servers/host2/ports/vnet9"] in holders
    assert await desk.answers("peer", "10.1.1.11") == ["web1"]
