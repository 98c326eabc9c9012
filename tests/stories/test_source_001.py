"""Stories of a management server that left dynamic addresses to the hosts."""

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
