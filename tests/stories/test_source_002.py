"""Stories of dynamic MAC addresses in a failover cluster."""

from tests.stories.desk import Desk


async def test_story_2_1_a_machine_keeps_its_mac_when_it_moves_and_restarts(desk: Desk) -> None:
    await desk.cluster()
    mac = (await desk.nic("vdi1-eth0", "blue", "web"))["properties"]["privateMacAddress"]
    await desk.vm("vdi1", "host1", ["vdi1-eth0"])
    await desk.post("/weft/v1/virtualMachines/vdi1/start", {})
    await desk.post("/weft/v1/virtualMachines/vdi1/migrate", {"server": {"resourceRef": "/servers/host2"}})
    await desk.post("/weft/v1/virtualMachines/vdi1/stop", {})
    await desk.post("/weft/v1/virtualMachines/vdi1/start", {})
    assert await desk.mac("vdi1-eth0") == mac
    policy = await desk.get("/weft/v1/servers/host2/policy")
    assert mac in str(policy)


async def test_story_2_3_the_first_host_never_gives_the_mac_again(desk: Desk) -> None:
    """The pool is drained by new machines on the first host while the moved one is off: none gets its address."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-03"))
    mac = (await desk.nic("moved-eth0", "blue", "web"))["properties"]["privateMacAddress"]
    await desk.vm("moved", "host1", ["moved-eth0"])
    await desk.post("/weft/v1/virtualMachines/moved/start", {})
    await desk.post("/weft/v1/virtualMachines/moved/migrate", {"server": {"resourceRef": "/servers/host2"}})
    await desk.post("/weft/v1/virtualMachines/moved/stop", {})
    for i in range(3):
        other = (await desk.nic(f"new{i}-eth0", "blue", "web"))["properties"]["privateMacAddress"]
        await desk.vm(f"new{i}", "host1", [f"new{i}-eth0"])
        assert other != mac
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/one-more", desk.nic_body("blue", "web"))
    assert error["code"] == "MacPoolIsFull"


async def test_story_2_c1_the_free_addresses_of_a_pool_can_be_seen(desk: Desk) -> None:
    """The reader's question: counts of every state that add up, and the free ranges themselves."""
    await desk.cluster(
        mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-FF"),
        excluded=[{"first": "00-1D-D8-B7-1C-10", "last": "00-1D-D8-B7-1C-1F", "reason": "appliances"}],
    )
    for i in range(3):
        await desk.nic(f"n{i}", "blue", "web")
    await desk.delete("/networking/v1/networkInterfaces/n1")
    usage = await desk.get("/weft/v1/macPools/pool1/usage")
    states = {state: usage[state] for state in ("free", "assigned", "retained", "cooling", "reserved", "foreign")}
    assert states == {"free": 237, "assigned": 2, "retained": 0, "cooling": 1, "reserved": 16, "foreign": 0}
    assert sum(states.values()) == usage["capacity"] == 256
    free = await desk.get("/weft/v1/macPools/pool1/addresses?state=free")
    assert [(r["first"], r["last"], r["count"]) for r in free["value"]] == [
        ("00-1D-D8-B7-1C-03", "00-1D-D8-B7-1C-0F", 13),
        ("00-1D-D8-B7-1C-20", "00-1D-D8-B7-1C-FF", 224),
    ]
    reserved = await desk.get("/weft/v1/macPools/pool1/addresses?state=reserved")
    assert "appliances" in str(reserved)
