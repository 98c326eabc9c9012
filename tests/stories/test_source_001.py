"""Stories of a management server that left dynamic addresses to the hosts."""

import pytest

from tests.stories.desk import Desk


async def test_story_1_4_the_controller_always_chooses(desk: Desk) -> None:
    """A Dynamic MAC comes from the central pool and is counted there, on whatever host the machine is."""
    await desk.cluster()
    for host, name in (("host1", "a"), ("host2", "b")):
        mac = (await desk.nic(f"{name}-eth0", "blue", "web"))["properties"]["privateMacAddress"]
        await desk.vm(name, host, [f"{name}-eth0"])
        holders = await desk.get("/weft/v1/macPools/pool1/addresses?state=assigned")
        assert f"/networkInterfaces/{name}-eth0" in str(holders)
        assert mac.startswith("001DD8B7")
    assert (await desk.get("/networking/v1/macPools/pool1"))["properties"]["usage"][
        "numberofMacAddressesAllocated"
    ] == 2


async def test_story_1_5_the_real_mac_is_there_before_any_boot(desk: Desk) -> None:
    await desk.cluster()
    await desk.nic("web1-eth0", "blue", "web")
    await desk.vm("web1", "host1", ["web1-eth0"])
    machine = await desk.get("/weft/v1/virtualMachines/web1")
    assert machine["properties"]["powerState"] == "Off"
    assert await desk.mac("web1-eth0") not in ("", "000000000000")


async def test_story_1_12_an_external_system_learns_the_mac_at_once(desk: Desk) -> None:
    """In the answer to the PUT itself, and as an event for whoever watches."""
    await desk.cluster()
    async with desk.watching() as events:
        answered = (await desk.nic("web1-eth0", "blue", "web"))["properties"]["privateMacAddress"]
        event = await events.until(lambda text: "web1-eth0" in text)
    assert answered in event


async def test_story_1_13_the_default_path_allocates(desk: Desk) -> None:
    """Nobody has to press generate: no address in the body, an address in the answer."""
    await desk.cluster()
    body = desk.nic_body("blue", "web")
    assert "privateMacAddress" not in body["properties"]
    assert (await desk.put("/networking/v1/networkInterfaces/n1", body))["properties"]["privateMacAddress"]


async def test_story_1_1_no_host_has_a_limit_of_256(desk: Desk) -> None:
    """The 257th adapter of one host gets its address as the first did: the pool is the cluster's."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-00-00", "00-1D-D8-B7-FF-FF"), networks={"blue": ("10.1.0.0/16", 6001)})
    requests = []
    for i in range(257):
        nic = {
            "method": "PUT",
            "path": f"/networking/v1/networkInterfaces/n{i}",
            "body": desk.nic_body("blue", "web"),
        }
        machine = {
            "server": {"resourceRef": "/servers/host1"},
            "networkInterfaces": [{"resourceRef": f"/networkInterfaces/n{i}"}],
        }
        vm = {"method": "PUT", "path": f"/weft/v1/virtualMachines/v{i}", "body": {"properties": machine}}
        requests += [nic, vm]
    await desk.post("/weft/v1/batch", {"atomic": True, "requests": requests})
    assert (await desk.counts())["assigned"] == 257
    await desk.act("v256", "start")
    assert (await desk.get("/weft/v1/virtualMachines/v256"))["properties"]["powerState"] == "Running"


@pytest.mark.parametrize("how", ["1_2_cloned_host_image", "1_3_sysprepped_image"])
async def test_story_1_2_and_1_3_equal_host_ranges_are_found_when_a_host_is_added(desk: Desk, how: str) -> None:
    """Both ways of making hosts from one image leave them one range: it is named with a disjoint one, and Weft never
    grants from it."""
    await desk.cluster()
    default = {"first": "00-15-5D-03-05-00", "last": "00-15-5D-03-05-FF"}
    for host in ("host1", "host2"):
        found = (await desk.get(f"/networking/v1/servers/{host}"))["properties"]
        body = {"providerAddresses": found["providerAddresses"], "dynamicMacRange": default}
        await desk.put(f"/networking/v1/servers/{host}", {"properties": body})
    clashes = await desk.conflicts("rangeOverlap")
    assert clashes, how
    named = str(clashes[0]["holders"])
    assert "host1" in named and "host2" in named
    assert "Set-VMHost" in str(clashes[0]) and "-MacAddressMinimum" in str(clashes[0])
    mac = await desk.machine("a", "host1", start=False)
    assert mac.startswith("001DD8")


@pytest.mark.parametrize("state", ["1_6_never_started", "1_6c_all_zeros_until_then"])
async def test_story_1_6_a_clone_has_its_own_mac_before_it_starts(desk: Desk, state: str) -> None:
    """Neither its source's nor zeros: both of what the source's readers saw is absent from the first moment on."""
    await desk.cluster()
    mac, ip = await desk.machine("web1", "host1"), await desk.ip("web1-eth0")
    made = await desk.act("web1", "clone", {"resourceId": "web2"})
    assert made["powerState"] == "Off"
    assert await desk.mac("web2-eth0") not in (mac, "000000000000", ""), state
    assert await desk.ip("web2-eth0") != ip
    await desk.act("web2", "start")
    assert await desk.answers("web2", ip) == ["web1"]


async def test_story_1_6c_an_imported_machine_without_address_gets_one(desk: Desk) -> None:
    """What an old host shows as zeros, and any number of them, is no address and no duplicate."""
    await desk.cluster()
    macs = set()
    for name, shown in (("old1", "00-00-00-00-00-00"), ("old2", "00:00:00:00:00:00"), ("old3", "")):
        nic = {"macAddress": shown, "ipAddresses": [], "subnet": "/virtualNetworks/blue/subnets/web"}
        body = {"resourceId": name, "server": "host1", "networkInterfaces": [nic], "addresses": "keep"}
        made = await desk.post("/weft/v1/virtualMachines/import", body)
        assert made["properties"]["conflicts"] == []
        macs.add(await desk.mac(f"{name}-eth0"))
    assert len(macs) == 3
    assert all(mac.startswith("001DD8") for mac in macs)


async def test_story_1_7_a_clone_of_a_static_mac_gets_a_new_one(desk: Desk) -> None:
    """Keeping the identity has to be asked for, and then the twins never run beside each other."""
    await desk.cluster()
    mac = await desk.machine("web1", "host1", mac="00-11-22-33-44-55", ip="10.1.1.11")
    await desk.act("web1", "clone", {"resourceId": "fresh"})
    assert (await desk.mac("fresh-eth0"), await desk.ip("fresh-eth0")) != (mac, "10.1.1.11")
    assert (await desk.mac("fresh-eth0")).startswith("001DD8")
    await desk.act("web1", "clone", {"resourceId": "twin", "addresses": "keep", "server": "host2"})
    assert (await desk.mac("twin-eth0"), await desk.ip("twin-eth0")) == (mac, "10.1.1.11")
    error = await desk.refused("POST", "/weft/v1/virtualMachines/twin/start", {}, 409)
    assert (error["code"], "web1" in error["message"]) == ("ActiveTwin", True)
    await desk.act("web1", "stop")
    await desk.act("twin", "start")
    error = await desk.refused("POST", "/weft/v1/virtualMachines/web1/start", {}, 409)
    assert (error["code"], "twin" in error["message"]) == ("ActiveTwin", True)
    await desk.act("fresh", "start")
    await desk.eventually_answers("fresh", "10.1.1.11", ["twin"])


async def test_story_1_8_a_pool_warns_early_and_says_what_holds_it(desk: Desk) -> None:
    """Long before it is full, and then by a refusal that leaves no half of a machine."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-09"))
    async with desk.watching() as events:
        for i in range(7):
            await desk.nic(f"n{i}", "blue", "web")
        usage = await desk.get("/weft/v1/macPools/pool1/usage")
        assert (usage["usedPercent"], usage["warning"]) == (70.0, False)
        await desk.nic("n7", "blue", "web")
        told = await events.until(lambda text: "warning" in text.lower())
    assert "macpools/pool1" in told.lower()
    assert (await desk.get("/weft/v1/macPools/pool1/usage"))["warning"]
    metrics = (await desk.http.get("/metrics")).text
    assert 'weft_pool_warning{pool="/macPools/pool1"} 1.0' in metrics
    for name in ("n8", "n9"):
        await desk.nic(name, "blue", "web")
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n10", desk.nic_body("blue", "web"), 409)
    assert error["code"] == "MacPoolIsFull"
    assert "10 assigned" in error["message"]
    await desk.missing("/networking/v1/networkInterfaces/n10")


async def test_story_1_9_and_1_10_a_full_pool_takes_nothing_from_machines_that_are_off(desk: Desk) -> None:
    """The newcomer is refused, and the owner starts with what it had."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-03"))
    macs = {name: await desk.machine(name, "host1") for name in ("a", "b", "c", "d")}
    for name in ("b", "c"):
        await desk.act(name, "stop")
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/e", desk.nic_body("blue", "web"), 409)
    assert error["code"] == "MacPoolIsFull"
    for name in ("b", "c"):
        await desk.act(name, "start")
    assert {name: await desk.mac(f"{name}-eth0") for name in macs} == macs
    assert await desk.answers("a", await desk.ip("b-eth0")) == ["b"]


async def test_story_1_11_a_mac_outlives_every_step_of_a_machines_life(desk: Desk) -> None:
    """Start, migrate, checkpoint, rollback, stop, a dead host, a controller's restart."""
    await desk.cluster()
    mac = await desk.machine("web1", "host1")
    for action, body in (
        ("checkpoint", {"resourceId": "k"}),
        ("migrate", {"server": "host2"}),
        ("restore", {"checkpoint": "k"}),
        ("stop", {}),
        ("migrate", {"server": "host1"}),
        ("export", {"resourceId": "x"}),
        ("start", {}),
    ):
        await desk.act("web1", action, body)
        assert await desk.mac("web1-eth0") == mac, action
    await desk.crash("host1")
    await desk.act("web1", "failover", {"server": "host2"})
    assert await desk.mac("web1-eth0") == mac
    await desk.restart()
    assert await desk.mac("web1-eth0") == mac
