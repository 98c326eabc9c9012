"""Stories about hosts on the provider network: addresses that another has, adapters, and what crosses it in clear."""

import pytest
from msgspec.structs import replace

from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red
from weft.agent.outside import CHECKSUM_OFFLOAD, GRE_OFFLOAD, VXLAN_OFFLOAD, Adapter
from weft.agent.switch import SwitchMac
from weft.fakes.outside import ProviderLan

HOST2 = "192.168.2.20"
OTHER = "02-AA-00-00-00-07"


@pytest.fixture(autouse=True)
def at_once(asked_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of the host's own driver of encryption."""
    monkeypatch.setattr("weft.agent.encryption_keeper.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("weft.control.clockwork.TICK_S", 0.05)


async def status_of(desk: Desk, host: str) -> tuple[str, str]:
    """configurationState of a server: its status, and all that it says."""
    found = (await desk.get(f"/networking/v1/servers/{host}"))["properties"]["configurationState"]
    return found["status"], " ".join(one["message"] for one in found["detailedInfo"])


async def test_story_x4_a_provider_address_that_another_has_is_not_used(desk: Desk) -> None:
    """Found before a tunnel starts from it; named with the other's MAC address; used once it is free."""
    lan = desk.lans["host2"] = ProviderLan()
    lan.claim(HOST2, OTHER)
    await desk.cluster()
    await desk.machine("b1", "host1", ip="10.1.1.11")
    await desk.machine("b2", "host2", ip="10.1.1.12", start=False)

    async def told_of_it() -> bool:
        return bool((await desk.get("/weft/v1/servers/host2/state"))["ports"])

    await desk.eventually(told_of_it)
    switch = desk.center.switches["host2"]
    assert [one for one in (await switch.facts()).ports if one.tunnel] == []
    status, words = await status_of(desk, "host2")
    assert status == "Failure" and HOST2 in words and OTHER in words
    (conflict,) = await desk.conflicts("foreign")
    assert conflict["address"] == HOST2 and conflict["holders"][0]["resourceRef"] == "/servers/host2"
    assert OTHER in conflict["remedy"] and "uses it for nothing" in conflict["remedy"]
    state = await desk.get("/weft/v1/servers/host2/state")
    assert state["providerNetwork"]["otherHolders"] == [{"providerAddress": HOST2, "mac": OTHER, "used": False}]
    lan.give_up(HOST2)
    await desk.act("b2", "start")
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])

    async def mended() -> bool:
        return not await desk.conflicts("foreign") and (await status_of(desk, "host2"))[0] == "Success"

    await desk.eventually(mended)


async def test_story_x4_one_that_another_claims_later_is_kept_and_told(desk: Desk) -> None:
    lan = desk.lans["host2"] = ProviderLan()
    await blue_and_red(desk)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])
    lan.claim(HOST2, await desk.mac("blue1"))

    async def told() -> bool:
        """It answers probes, too, so it is not forgotten meanwhile."""
        found = await desk.conflicts("foreign")
        return bool(found) and [one["resourceRef"] for one in found[0]["holders"]] == [
            "/servers/host2",
            "/networkInterfaces/blue1",
        ]

    await desk.eventually(told)
    status, words = await status_of(desk, "host2")
    assert status == "Warning" and "also" in words
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"], "nobody takes a host's tunnels from it by one packet"
    lan.give_up(HOST2)

    async def mended() -> bool:
        return not await desk.conflicts("foreign") and (await status_of(desk, "host2"))[0] == "Success"

    await desk.eventually(mended)


async def test_story_4_15_an_adapter_that_offloads_no_tunnels_is_recorded_and_warned_of(desk: Desk) -> None:
    everything = frozenset({GRE_OFFLOAD, VXLAN_OFFLOAD, CHECKSUM_OFFLOAD})
    able = Adapter("br-phy", b"\x02\0\0\0\0\1", 1500, uplinks=("eth1",), offloads=everything)
    plain = replace(able, offloads=frozenset({VXLAN_OFFLOAD, CHECKSUM_OFFLOAD}))
    desk.lans["host1"], desk.lans["host2"] = ProviderLan(able), ProviderLan(plain)
    await blue_and_red(desk)

    async def recorded() -> bool:
        found = [(await desk.get(f"/networking/v1/servers/host{n}"))["properties"] for n in (1, 2)]
        return all((one.get("providerNetwork") or {}).get("adapters") for one in found)

    await desk.eventually(recorded)
    server = (await desk.get("/networking/v1/servers/host2"))["properties"]
    assert server["providerNetwork"]["adapters"] == [
        {
            "providerAddress": HOST2,
            "name": "br-phy",
            "mtu": 1500,
            "uplinks": ["eth1"],
            "offloads": [CHECKSUM_OFFLOAD, VXLAN_OFFLOAD],
        }
    ]
    await desk.eventually(lambda: has_status(desk, "host2", "Warning"))
    assert "br-phy does not offload NVGRE (tx-gre-segmentation is off)" in (await status_of(desk, "host2"))[1]
    assert (await status_of(desk, "host1"))[0] == "Success"
    body = (await desk.get("/networking/v1/servers/host2"))["properties"] | {"rackSlot": "7"}
    again = await desk.put("/networking/v1/servers/host2", {"properties": body})
    assert again["properties"]["providerNetwork"] == server["providerNetwork"], "nobody writes it but its agent"
    await desk.kill_agent("host2")
    assert (await desk.get("/networking/v1/servers/host2"))["properties"]["providerNetwork"], "nor forgets it"
    # what the warning says helps: the encapsulation that the adapter does know
    await desk.start_agent("host2")
    manager = {"properties": {"networkVirtualizationProtocol": "VXLAN"}}
    await desk.put("/networking/v1/virtualNetworkManager/configuration", manager)
    await desk.eventually(lambda: has_status(desk, "host2", "Success"))


async def has_status(desk: Desk, host: str, status: str) -> bool:
    return (await status_of(desk, host))[0] == status


async def test_story_4_14_tunnels_in_clear_across_a_public_network_are_warned_of(desk: Desk) -> None:
    await blue_and_red(desk)
    assert await desk.conflicts("clearText") == []
    subnet = await desk.get("/networking/v1/logicalNetworks/hnvpa/subnets/pa2")
    properties = subnet["properties"] | {"isPublic": True}
    await desk.put("/networking/v1/logicalNetworks/hnvpa/subnets/pa2", {"properties": properties})
    (conflict,) = await desk.conflicts("clearText")
    assert conflict["address"] == "192.168.2.0/24"
    assert [one["resourceRef"] for one in conflict["holders"]] == [
        "/logicalNetworks/hnvpa/subnets/pa2",
        "/virtualNetworks/blue",
        "/virtualNetworks/red",
    ]
    state = (await desk.get("/networking/v1/virtualNetworks/blue"))["properties"]["configurationState"]
    assert state["status"] == "Warning" and "unencrypted" in state["detailedInfo"][0]["message"]
    await desk.put("/networking/v1/logicalNetworks/hnvpa/subnets/pa2", {"properties": properties | {"isPublic": False}})
    assert await desk.conflicts("clearText") == []


async def test_story_x5_hosts_need_no_addresses_of_the_mac_pool(desk: Desk) -> None:
    """There a provider address takes a MAC address of the pool, so that a full one stops a host; here it has its
    adapter's."""
    await desk.cluster(mac_pool=("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01"))
    for n in (1, 2):
        await desk.machine(f"b{n}", f"host{n}", ip=f"10.1.1.1{n}")
    assert (await desk.counts())["assigned"] == 2
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/n", desk.nic_body("blue", "web"), 409)
    assert error["code"] == "MacPoolIsFull"
    await desk.put("/networking/v1/servers/host3", {"properties": {"providerAddresses": ["192.168.2.30"]}})
    desk.center.add_host("host3", ["192.168.2.30"])
    await desk.start_agent("host3")
    await desk.act("b2", "migrate", {"server": {"resourceRef": "/servers/host3"}})
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])


@pytest.mark.parametrize(("mtu", "fits"), [(1500, False), (1541, False), (1542, True), (1600, True)])
async def test_story_x6_an_mtu_is_warned_of_only_where_it_is_too_small_for_the_guest(
    desk: Desk, mtu: int, fits: bool
) -> None:
    """1674 is asked for there whatever the guests send; here what they do and NVGRE's 42 bytes."""
    desk.center.network.mtu = mtu
    await desk.cluster(hosts=1)
    await desk.machine("b1", "host1")
    desk.center.guests["b1"].mtu = 1500
    desk.center.hypervisors["host1"].changed()
    if fits:
        await desk.eventually(lambda: desk.applied("host1"))
        assert not await desk.failing("b1-eth0")
        return
    await desk.eventually(lambda: desk.failing("b1-eth0"))
    nic = (await desk.get("/networking/v1/networkInterfaces/b1-eth0"))["properties"]["configurationState"]
    (words,) = [one["message"] for one in nic["detailedInfo"]]
    assert "the guest's MTU is 1500" in words and f"NVGRE inside {mtu} carries {mtu - 42}" in words


async def test_story_x7_a_port_on_another_switch_of_the_host_is_named(desk: Desk) -> None:
    """There a host may have network virtualization on one switch only. Here a machine's port is put back on ours, and
    what is seen of its address on another switch is a conflict that names the port."""
    await blue_and_red(desk)
    switch, adapter = desk._port_of("blue2")
    switch.unplug(adapter.name)
    switch.show_mac(SwitchMac(adapter.mac, "vnet3", "br-other"))

    async def named() -> bool:
        found = await desk.conflicts("foreign")
        return any(one["resourceRef"].startswith("/servers/host2/ports/vnet3") for c in found for one in c["holders"])

    await desk.eventually(named)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])
    switch.hide_mac(adapter.mac)

    async def mended() -> bool:
        return not await desk.conflicts("foreign")

    await desk.eventually(mended)


async def test_story_4_13_a_host_whose_agent_cannot_answer_is_not_called_blocked(desk: Desk) -> None:
    """host1's agent answers no probes, as one of before: host2's names it, by its name, and does not probe it."""
    desk.lans["host2"] = ProviderLan()
    await blue_and_red(desk)

    async def told() -> bool:
        return bool((await desk.get("/weft/v1/servers/host2/state"))["providerNetwork"]["notProbed"])

    await desk.eventually(told)
    (words,) = (await desk.get("/weft/v1/servers/host2/state"))["providerNetwork"]["notProbed"]
    assert words.startswith("host1 (192.168.1.10): not probed: its agent answers no probes")
    assert (await status_of(desk, "host2"))[0] == "Success"
