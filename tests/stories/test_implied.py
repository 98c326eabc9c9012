"""Stories that the sources imply but do not tell, with the ids that the list of stories gives them."""

from typing import Any

from tests.stories.desk import Desk


async def test_a_host_whose_hypervisor_draws_no_addresses_says_so(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    state = await desk.get("/weft/v1/servers/host1/state")
    hypervisor = state["hypervisor"]
    assert state["dynamicRange"]["proposal"] is None, "what it cannot draw from is not proposed"
    for page in ("usage", "addresses"):
        error = await desk.refused("GET", f"/weft/v1/servers/host1/{page}", status=404)
        assert error["code"] == "NoDynamicRange"
        assert f"it runs {hypervisor}, which has no range of dynamic addresses" in error["message"]


async def test_story_x2_a_machine_deleted_outside_leaves_inactive_addresses(desk: Desk) -> None:
    """Seen within seconds, kept until an operator releases them, and given to nobody meanwhile."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01"))
    mac = await desk.machine("web1", "host1")
    await desk.center.hypervisors["host1"].forget("web1")

    async def so() -> bool:
        return bool((await desk.get("/weft/v1/virtualMachines/web1"))["properties"].get("inactive"))

    await desk.eventually(so)
    found = await desk.address(mac)
    assert (found["state"], bool(found["holders"][0]["inactive"])) == ("assigned", True)
    assert found["history"][-1]["event"] == "inactive"
    assert any(one["kind"] == "drift" for one in await desk.conflicts("drift"))
    other = await desk.machine("web2", "host1", start=False)
    assert other != mac
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n", desk.nic_body("blue", "web"), 409)
    assert error["code"] == "MacPoolIsFull"
    await desk.post(f"/weft/v1/addresses/{mac}/release", {"reason": "it will not come back"})
    assert (await desk.address(mac))["state"] == "cooling"
    await desk.missing("/networking/v1/networkInterfaces/web1-eth0")
    await desk.missing("/weft/v1/virtualMachines/web1")


async def test_story_x3_a_removed_host_leaves_its_machines_their_addresses(desk: Desk) -> None:
    """Inactive, with the reason; brought up on another host they are the same, those that are not wanted are freed."""
    await desk.cluster()
    macs = {name: await desk.machine(name, "host1") for name in ("web1", "web2")}
    await desk.machine("peer", "host2")
    error = await desk.refused("DELETE", "/networking/v1/servers/host1", status=409)
    assert error["code"] == "InUseServerCannotBeDeleted"
    # they would run on there: as a failover, it needs a dead host or somebody's word
    for path in (
        "/networking/v1/servers/host1?force=true&reason=burnt",
        "/networking/v1/servers/HOST1?force=1&dryRun=1",
    ):
        error = await desk.refused("DELETE", path, status=409)
        assert error["code"] == "ServerNotReady" and "machines (web1, web2) may run there" in error["message"], error
        assert "weft host evacuate host1" in error["message"] and "--fenced" in error["message"]
    assert await desk.answers("peer", await desk.ip("web1-eth0")) == ["web1"]
    await desk.crash("host1")
    await desk.delete("/networking/v1/servers/host1?force=true&reason=burnt")
    for name, mac in macs.items():
        machine = (await desk.get(f"/weft/v1/virtualMachines/{name}"))["properties"]
        assert (machine["powerState"], "burnt" in machine["inactive"]) == ("Off", True)
        assert (await desk.address(mac))["history"][-1]["reason"]
        assert await desk.mac(f"{name}-eth0") == mac
    await desk.vm("web1", "host2", ["web1-eth0"])
    await desk.act("web1", "start")
    assert await desk.mac("web1-eth0") == macs["web1"]
    await desk.eventually_answers("peer", await desk.ip("web1-eth0"), ["web1"])
    assert not (await desk.address(macs["web1"]))["holders"][0]["inactive"]
    await desk.post(f"/weft/v1/addresses/{macs['web2']}/release", {"reason": "burnt with it"})
    await desk.missing("/weft/v1/virtualMachines/web2")


async def test_story_x3_a_host_that_answers_is_removed_once_it_runs_nothing(desk: Desk) -> None:
    """Its machines are stopped, or have moved away; or somebody says that it is cut off."""
    await desk.cluster()
    for name in ("web1", "web2"):
        await desk.machine(name, "host1")
    await desk.machine("web3", "host2")
    path = "/networking/v1/servers/host1?force=true"
    await desk.act("web1", "stop")
    error = await desk.refused("DELETE", path, status=409)
    assert "machines (web2) may run there" in error["message"], error
    await desk.act("web2", "migrate", {"server": "host2"})
    await desk.delete(path)
    assert (await desk.get("/weft/v1/virtualMachines/web1"))["properties"]["inactive"]
    assert await desk.answers("web3", await desk.ip("web2-eth0")) == ["web2"]
    error = await desk.refused("DELETE", "/networking/v1/servers/host2?fenced=true", status=400)
    assert error["target"] == "fenced"
    await desk.delete("/networking/v1/servers/host2?force=true&fenced=true")
    assert (await desk.get("/weft/v1/virtualMachines/web2"))["properties"]["powerState"] == "Off"


async def test_story_x11_a_static_ip_goes_with_a_dynamic_mac(desk: Desk) -> None:
    """The other system refuses it, since its MAC would come later; ours is fixed by the time it answers."""
    await desk.cluster()
    nic = await desk.nic("web1-eth0", "blue", "web", ip="10.1.1.77")
    properties = nic["properties"]
    assert properties["privateMacAddress"].startswith("001DD8")
    assert properties["ipConfigurations"][0]["properties"]["privateIPAddress"] == "10.1.1.77"


async def test_story_x12_the_gateways_address_is_nobodys(desk: Desk) -> None:
    await desk.cluster()
    for address, word in (("10.1.1.1", "gateway"), ("10.1.1.0", "network"), ("10.1.1.255", "broadcast")):
        body = desk.nic_body("blue", "web", ip=address)
        error = await desk.refused("PUT", "/networking/v1/networkInterfaces/web1-eth0", body, 400)
        assert error["code"] == "PrivateIPAddressInReservedRange"
        assert word in error["message"]
    first = await desk.nic("web1-eth0", "blue", "web")
    assert first["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] == "10.1.1.2"


async def test_story_x13_a_released_mac_is_not_given_again_at_once(desk: Desk) -> None:
    """Neighbours, switches and leases remember it: it cools, also over a restart; its last owner alone may have it."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01"))
    mac = (await desk.nic("a", "blue", "web"))["properties"]["privateMacAddress"]
    await desk.nic("b", "blue", "web")
    await desk.delete("/networking/v1/networkInterfaces/a")
    await desk.restart()
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/c", desk.nic_body("blue", "web"), 409)
    assert (error["code"], "1 cooling" in error["message"]) == ("MacPoolIsFull", True)
    body = desk.nic_body("blue", "web", mac=mac)
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/c", body, 409)
    assert error["code"] == "PrivateMacAddressInUse"
    again = await desk.put("/networking/v1/networkInterfaces/a", body)
    assert again["properties"]["privateMacAddress"] == mac
    await desk.delete("/networking/v1/networkInterfaces/a")
    await desk.post(f"/weft/v1/addresses/{mac}/release", {"reason": "the switches were cleared"})
    assert (await desk.nic("c", "blue", "web"))["properties"]["privateMacAddress"] == mac


async def test_story_x14_a_saved_machine_owns_its_addresses_and_resumes_alone(desk: Desk) -> None:
    """Saved here and resumed there: nobody got its MAC meanwhile, and it does not wake up beside its own twin."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-03"))
    for host in ("plain1", "plain2"):
        await desk.put(f"/networking/v1/servers/{host}", {"properties": {}})
    mac = await desk.machine("web1", "plain1")
    saved = await desk.act("web1", "save")
    assert saved["powerState"] == "Saved"
    others = {(await desk.nic(f"n{i}", "blue", "web"))["properties"]["privateMacAddress"] for i in range(3)}
    assert mac not in others
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n9", desk.nic_body("blue", "web", mac=mac), 409)
    assert error["code"] == "PrivateMacAddressInUse"
    await desk.act("web1", "clone", {"resourceId": "twin", "addresses": "keep", "server": "plain2"})
    await desk.act("twin", "start")
    await desk.act("web1", "migrate", {"server": "plain2"})
    error = await desk.refused("POST", "/weft/v1/virtualMachines/web1/start", {}, 409)
    assert (error["code"], "twin" in error["message"]) == ("ActiveTwin", True)
    await desk.act("twin", "stop")
    resumed = await desk.act("web1", "start")
    assert (resumed["powerState"], await desk.mac("web1-eth0")) == ("Running", mac)


def exported(machine: str, mac: str, ip: str, addresses: str) -> dict[str, Any]:
    nic = {"macAddress": mac, "ipAddresses": [ip], "subnet": "/virtualNetworks/blue/subnets/web"}
    return {"resourceId": machine, "server": "host2", "networkInterfaces": [nic], "addresses": addresses}


async def test_story_x15_an_exported_machine_imported_twice_never_runs_twice(desk: Desk) -> None:
    """`keep` makes legal twins of which one runs; `newIfTaken` gives the second one addresses of its own."""
    await desk.cluster()
    mac, ip = await desk.machine("web1", "host1"), await desk.ip("web1-eth0")
    await desk.act("web1", "stop")
    await desk.act("web1", "export", {"resourceId": "x"})
    await desk.delete("/weft/v1/virtualMachines/web1")
    await desk.delete("/networking/v1/networkInterfaces/web1-eth0")
    assert (await desk.address(mac))["state"] == "retained"
    for name in ("first", "second"):
        await desk.post("/weft/v1/virtualMachines/import", exported(name, mac, ip, "keep"))
        assert await desk.mac(f"{name}-eth0") == mac
    await desk.act("first", "start")
    error = await desk.refused("POST", "/weft/v1/virtualMachines/second/start", {}, 409)
    assert (error["code"], "first" in error["message"]) == ("ActiveTwin", True)
    await desk.post("/weft/v1/virtualMachines/import", exported("third", mac, ip, "newIfTaken"))
    assert await desk.mac("third-eth0") != mac
    assert await desk.ip("third-eth0") != ip
    await desk.act("third", "start")
    assert await desk.answers("third", ip) == ["first"]
