"""Stories of the MAC strategies on a failover cluster: what went wrong there, shown absent through the public API."""

import asyncio
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
    await desk.nic("b2", "blue", "web", mac="10-10-10-10-11-99", ip="10.1.1.12")
    await desk.post("/weft/v1/virtualMachines/b2/start", {})
    assert await desk.answers("b1", "10.1.1.12") == ["b2"]
    assert desk.center.guests["b2"].adapters[0].mac == 0x101010101199
