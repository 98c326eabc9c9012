"""Stories of dynamic MAC addresses in a failover cluster."""

from tests.stories.desk import Desk
from weft.agent.hypervisors import Announce, CarryOut, Prepare, Start, Stop


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


async def test_story_2_2_the_lease_of_the_dhcp_server_stays_valid(desk: Desk) -> None:
    """It is kept by MAC address, which moves and restarts leave alone; and the IP address is the same as well."""
    await desk.cluster()
    mac, ip = await desk.machine("vdi1", "host1"), await desk.ip("vdi1-eth0")
    await desk.act("vdi1", "migrate", {"server": "host2"})
    await desk.act("vdi1", "stop")
    await desk.act("vdi1", "start")
    assert (await desk.mac("vdi1-eth0"), await desk.ip("vdi1-eth0")) == (mac, ip)
    await desk.machine("other", "host1")
    assert await desk.answers("other", ip) == ["vdi1"]


async def test_story_2_4_rollback_duplicate(desk: Desk) -> None:
    """The checkpoint's address is owned for as long as the checkpoint lasts: whatever becomes of the desktop, nobody
    else gets it, and applying the checkpoint brings it back without a duplicate and without an outage."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-03"))
    mac = await desk.machine("vdi1", "host1")
    await desk.act("vdi1", "checkpoint", {"resourceId": "clean"})
    await desk.act("vdi1", "migrate", {"server": "host2"})
    await desk.act("vdi1", "renewMac", {"networkInterface": "/networkInterfaces/vdi1-eth0", "force": True})
    changed = await desk.mac("vdi1-eth0")
    assert changed != mac
    assert (await desk.address(mac))["state"] == "retained"
    others = {await desk.machine(f"b{i}", "host1") for i in range(2)}
    assert mac not in others
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/one-more", desk.nic_body("blue", "web"))
    assert (error["code"], "retained" in error["message"]) == ("MacPoolIsFull", True)
    restored = await desk.act("vdi1", "restore", {"checkpoint": "clean"})
    (entry,) = restored["restore"]
    assert (entry["outcome"], restored["powerState"]) == ("restored", "Running")
    assert await desk.mac("vdi1-eth0") == mac
    assert (await desk.address(changed))["state"] == "cooling"
    assert await desk.conflicts("activeTwin") == []
    assert await desk.answers("b0", await desk.ip("vdi1-eth0")) == ["vdi1"]


async def test_story_2_4_rollback_keeps_the_present_address_where_that_is_wanted(desk: Desk) -> None:
    await desk.cluster()
    mac = await desk.machine("vdi1", "host1")
    await desk.act("vdi1", "checkpoint", {"resourceId": "clean"})
    await desk.act("vdi1", "renewMac", {"networkInterface": "/networkInterfaces/vdi1-eth0", "force": True})
    now = await desk.mac("vdi1-eth0")
    restored = await desk.act("vdi1", "restore", {"checkpoint": "clean", "addresses": "keep"})
    assert [one["outcome"] for one in restored["restore"]] == ["kept"]
    assert await desk.mac("vdi1-eth0") == now != mac
    await desk.delete("/weft/v1/virtualMachines/vdi1/checkpoints/clean")
    assert (await desk.address(mac))["state"] == "cooling"


async def test_story_2_4_rollback_asks_first_where_another_runs_with_the_address(desk: Desk) -> None:
    """A twin of the desktop runs with what the checkpoint has: refused naming it, remapped if that is asked for."""
    await desk.cluster()
    mac = await desk.machine("vdi1", "host1")
    await desk.act("vdi1", "checkpoint", {"resourceId": "clean"})
    await desk.act("vdi1", "stop")
    await desk.act("vdi1", "clone", {"resourceId": "copy", "addresses": "keep"})
    await desk.act("vdi1", "renewMac", {"networkInterface": "/networkInterfaces/vdi1-eth0"})
    now = await desk.mac("vdi1-eth0")
    await desk.act("copy", "start")
    path = "/weft/v1/virtualMachines/vdi1/restore"
    error = await desk.refused("POST", path, {"checkpoint": "clean"}, 409)
    assert error["code"] == "AddressesTaken"
    assert "copy" in error["message"]
    assert await desk.mac("vdi1-eth0") == now
    dry = await desk.post(path, {"checkpoint": "clean", "ifTaken": "remap", "dryRun": True})
    assert "remapped" in str(dry)
    assert await desk.mac("vdi1-eth0") == now
    restored = await desk.act("vdi1", "restore", {"checkpoint": "clean", "ifTaken": "remap"})
    assert [one["outcome"] for one in restored["restore"]] == ["remapped"]
    fresh = await desk.mac("vdi1-eth0")
    assert fresh not in (mac, await desk.mac("copy-eth0"))
    await desk.act("vdi1", "start")
    assert await desk.conflicts("activeTwin") == []
    history = (await desk.address(fresh))["history"]
    assert any(mac[-6:-4] in one["reason"] and "checkpoints/clean" in one["reason"] for one in history), history


async def test_story_2_10_a_duplicate_from_outside_is_named_within_seconds(desk: Desk) -> None:
    """Weft lets none arise; a stranger with the MAC of a running machine is seen, and both are named."""
    await desk.cluster()
    mac = await desk.machine("vdi1", "host1")
    desk.stranger("host2", mac)

    async def so() -> bool:
        return bool(await desk.conflicts("foreign"))

    await desk.eventually(so)
    (clash,) = await desk.conflicts("foreign")
    named = str(clash["holders"])
    assert "/networkInterfaces/vdi1-eth0" in named
    assert "/servers/host2/ports/vnet9" in named
    assert clash["remedy"]
    assert (await desk.get("/weft/v1/virtualMachines/vdi1"))["properties"]["conflicts"]
    desk.stranger_leaves("host2")

    async def gone() -> bool:
        return not await desk.conflicts("foreign")

    await desk.eventually(gone)


async def test_story_2_11_no_management_server_of_another_maker_is_needed(desk: Desk) -> None:
    """A plain cluster: one controller process and its file, and a pool for all of its hosts."""
    await desk.cluster()
    macs = {await desk.machine(name, host) for name, host in (("a", "host1"), ("b", "host2"))}
    assert len(macs) == 2
    assert (await desk.counts())["assigned"] == 2


async def test_story_2_12_a_mass_rollback_is_one_batch(desk: Desk) -> None:
    """Many users log off at once: one transaction, no address drawn, and the hosts go back with what each has."""
    await desk.cluster()
    count = 30
    macs = {}
    for i in range(count):
        macs[f"vdi{i}"] = await desk.machine(f"vdi{i}", f"host{i % 2 + 1}", start=i < 4)
        await desk.act(f"vdi{i}", "checkpoint", {"resourceId": "clean"})
    before = await desk.counts()
    requests = [
        {
            "method": "POST",
            "path": f"/weft/v1/virtualMachines/vdi{i}/restore",
            "body": {"checkpoint": "clean"},
        }
        for i in range(count)
    ]
    done = desk.center.hypervisors["host1"].carried_out[:]
    answered = await desk.post("/weft/v1/batch", {"atomic": True, "requests": requests})
    assert {one["status"] for one in answered["responses"]} == {200}
    assert {name: await desk.mac(f"{name}-eth0") for name in macs} == macs

    async def over() -> bool:
        found = (await desk.get("/weft/v1/virtualMachines"))["value"]
        return not any("errand" in each["properties"] for each in found)

    await desk.eventually(over)
    assert await desk.counts() == before
    verbs = desk.center.hypervisors["host1"].carried_out[len(done) :]
    assert {type(verb) for verb in verbs} <= {Stop, Announce, CarryOut, Prepare, Start}
    assert [verb.machine.machine for verb in verbs if isinstance(verb, CarryOut)] == ["vdi0", "vdi2"]


async def test_story_2_c1_what_is_free_can_be_reserved_and_listed_by_state(desk: Desk) -> None:
    """Quarantined, held by checkpoints, reserved for a deployment: each is seen as what it is, and why."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-0F"))
    kept = await desk.machine("a", "host1", start=False)
    await desk.act("a", "checkpoint", {"resourceId": "k"})
    await desk.act("a", "renewMac", {"networkInterface": "/networkInterfaces/a-eth0"})
    released = (await desk.nic("n1", "blue", "web"))["properties"]["privateMacAddress"]
    await desk.delete("/networking/v1/networkInterfaces/n1")
    asked = {"count": 4, "contiguous": True, "purpose": "cluster 7", "requestId": "deploy-7"}
    made = await desk.post("/weft/v1/macPools/pool1/reserve", asked)
    assert (await desk.post("/weft/v1/macPools/pool1/reserve", asked))["properties"] == made["properties"]
    held = [int(one.replace("-", ""), 16) for one in made["properties"]["addresses"]]
    assert held == list(range(held[0], held[0] + 4))
    counts = {"free": 9, "assigned": 1, "retained": 1, "cooling": 1, "reserved": 4}
    assert await desk.counts() == counts
    for state, word in (("retained", "checkpoints/k"), ("reserved", "deploy-7"), ("cooling", "n1")):
        listed = await desk.get(f"/weft/v1/macPools/pool1/addresses?state={state}")
        assert word in str(listed), state
    assert (await desk.address(kept))["state"] == "retained"
    assert (await desk.address(released))["until"]
