"""Stories about hosts on the provider network: addresses that another has, adapters, and what crosses it in clear."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.stories.bodies import network_body
from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red
from weft.agent.encryption import Pair
from weft.agent.outside import CHECKSUM_OFFLOAD, GRE_OFFLOAD, VXLAN_OFFLOAD, Adapter
from weft.agent.switch import SwitchMac
from weft.fakes.encryption import Ipsec
from weft.fakes.outside import ProviderLan

HOST2 = "192.168.2.20"
OTHER = "02-AA-00-00-00-07"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the provider network every few seconds."""
    monkeypatch.setattr("weft.agent.claims.AGAIN_SECONDS", 0.05)
    monkeypatch.setattr("weft.agent.provider_keeper.LOOK_SECONDS", 0.05)
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
    await desk.eventually(lambda: _is(desk, "host2", "Warning"))
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
    await desk.eventually(lambda: _is(desk, "host2", "Success"))


async def _is(desk: Desk, host: str, status: str) -> bool:
    return (await status_of(desk, host))[0] == status


WEB = {"addressPrefix": "10.9.1.0/24", "virtualSubnetId": 7001, "encryptionEnabled": True}
ENCRYPTED = network_body("10.9.0.0/16", [{"resourceId": "web", "properties": WEB}])
SECRET = "/networking/v1/virtualNetworks/secret"


async def test_story_4_14_encryption_where_hosts_have_it_and_nothing_in_clear_where_they_do_not(desk: Desk) -> None:
    ipsec = Ipsec()
    for n in (1, 2, 3):
        lan = desk.lans[f"host{n}"] = ProviderLan()
        lan.encryption = ipsec.host(f"host{n}")
        ipsec.host(f"host{n}").lacks = "its kernel has no ESP (CONFIG_INET_ESP)"
    await desk.cluster(hosts=3)

    async def said() -> bool:
        found = [(await desk.get(f"/networking/v1/servers/host{n}"))["properties"] for n in (1, 2, 3)]
        told = [(one.get("providerNetwork") or {}).get("tunnelEncryption", {}) for one in found]
        return all("ESP" in one.get("reason", "") for one in told)

    await desk.eventually(said)
    error = await desk.refused("PUT", SECRET, ENCRYPTED, status=409)
    assert error["code"] == "EncryptionNotAvailable" and "host2 (its kernel has no ESP" in error["message"]
    await desk.missing(SECRET)
    for n in (1, 2):
        ipsec.host(f"host{n}").lacks = ""

    async def able() -> bool:
        found = [(await desk.get(f"/networking/v1/servers/host{n}"))["properties"]["providerNetwork"] for n in (1, 2)]
        return all(one["tunnelEncryption"]["available"] for one in found)

    await desk.eventually(able)
    await desk.put(SECRET, ENCRYPTED)
    for n in (1, 2):
        await desk.machine(f"s{n}", f"host{n}", "secret", ip=f"10.9.1.1{n}")
    await desk.eventually_answers("s1", "10.9.1.12", ["s2"])
    # a host that cannot is no place for its machines
    await desk.nic("s3", "secret", "web")
    place = {
        "server": {"resourceRef": "/servers/host3"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/s3"}],
    }
    error = await desk.refused("PUT", "/weft/v1/virtualMachines/s3", {"properties": place}, status=409)
    assert error["code"] == "EncryptionNotAvailable" and "host3" in error["message"] and "ESP" in error["message"]
    await desk.machine("b3", "host3", "blue", start=False)
    body = desk.nic_body("secret", "web")
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/b3-eth0", body, status=409)
    assert error["code"] == "EncryptionNotAvailable", error
    body = {"server": {"resourceRef": "/servers/host3"}}
    assert (await desk.refused("POST", "/weft/v1/virtualMachines/s1/migrate", body))["code"] == "EncryptionNotAvailable"
    # nor may an open network be joined to it from there
    peer = {"remoteVirtualNetwork": {"resourceRef": "/virtualNetworks/blue"}, "allowVirtualnetworkAccess": True}
    back = peer | {"remoteVirtualNetwork": {"resourceRef": "/virtualNetworks/secret"}}
    await desk.put(f"{SECRET}/virtualNetworkPeerings/blue", {"properties": peer})
    error = await desk.refused(
        "PUT", "/networking/v1/virtualNetworks/blue/virtualNetworkPeerings/secret", {"properties": back}
    )
    assert error["code"] == "EncryptionNotAvailable" and "host3" in error["message"], error
    # it comes back with another kernel: not one packet goes in clear, from either side
    ipsec.host("host2").lacks = "its kernel has no ESP (CONFIG_INET_ESP)"
    await desk.eventually(lambda: _dropped(desk, "host1"))
    sent = len(desk.center.network.seen)
    assert await desk.answers("s1", "10.9.1.12") == await desk.answers("s2", "10.9.1.11") == []
    assert [one for one in desk.center.network.seen[sent:] if one.key >> 8 == 7001] == []
    trace = await desk.post("/weft/v1/trace", {"from": "/networkInterfaces/s1-eth0", "to": "10.9.1.12"})
    assert not trace["delivered"] and "not encrypted" in str(trace)
    await desk.eventually(lambda: _is(desk, "host2", "Warning"))
    words = (await status_of(desk, "host2"))[1]
    assert "from 192.168.2.20 to 192.168.1.10" in words and "ESP" in words
    ipsec.host("host2").lacks = ""
    await desk.eventually_answers("s1", "10.9.1.12", ["s2"])
    # nor where what encrypts does not answer: what comes meanwhile is not believed either
    ipsec.host("host2").failure = "charon does not answer"

    async def said_so() -> bool:
        return "charon does not answer" in (await status_of(desk, "host2"))[1]

    await desk.eventually(said_so)
    assert await desk.answers("s1", "10.9.1.12") == []
    await desk.eventually(lambda: _dropped(desk, "host2"))


async def _dropped(desk: Desk, host: str) -> bool:
    await desk.answers("s1", "10.9.1.12")
    return bool((await desk.get(f"/weft/v1/servers/{host}/state"))["drops"].get("not_encrypted"))


DB = {"resourceId": "db", "properties": WEB | {"addressPrefix": "10.9.2.0/24", "virtualSubnetId": 7002}}


@pytest.fixture
async def sealed(desk: Desk) -> Ipsec:
    """Three hosts whose IPsec takes 0.4 s for each new pair; s1 and s2 are on host1 and host2."""
    ipsec = Ipsec()
    for n in (1, 2, 3):
        lan = desk.lans[f"host{n}"] = ProviderLan()
        lan.encryption = ipsec.host(f"host{n}")
    await desk.cluster(hosts=3)

    async def able() -> bool:
        found = [(await desk.get(f"/networking/v1/servers/host{n}"))["properties"] for n in (1, 2, 3)]
        told = [(one.get("providerNetwork") or {}).get("tunnelEncryption", {}) for one in found]
        return all(one.get("available") for one in told)

    await desk.eventually(able)
    await desk.put(SECRET, network_body("10.9.0.0/16", [{"resourceId": "web", "properties": WEB}, DB]))
    for n in (1, 2):
        await desk.machine(f"s{n}", f"host{n}", "secret", ip=f"10.9.1.1{n}")
    await desk.eventually_answers("s1", "10.9.1.12", ["s2"])
    ipsec.takes_s = 0.4
    return ipsec


class Pinging:
    """Both ways, for as long as something is done; what crosses between hosts must be encrypted at both ends."""

    def __init__(self, desk: Desk, ipsec: Ipsec) -> None:
        self.sent = self.lost = 0
        self.who = [("s1", "10.9.1.12"), ("s2", "10.9.1.11")]
        self._desk, self._ipsec = desk, ipsec

    def once(self) -> None:
        center = self._desk.center
        before = len(center.network.seen)
        for name, address in self.who:
            self.sent += 1
            self.lost += not center.ping(name, address).received
        for one in center.network.seen[before:]:
            if one.key >> 8 in (7001, 7002):
                assert self._ipsec.holds(Pair(one.source, one.destination)), one

    async def until(self, so: Callable[[], Awaitable[bool]]) -> None:
        waiting = asyncio.create_task(self._desk.eventually(so))
        while not waiting.done():
            self.once()
            await asyncio.sleep(0.002)
        await waiting

    async def on(self) -> None:
        """For a moment longer."""
        for _ in range(20):
            self.once()
            await asyncio.sleep(0.01)


async def _changes(desk: Desk, host: str) -> bool:
    return "providerAddressChange" in (await desk.get(f"/networking/v1/servers/{host}"))["properties"]


@pytest.mark.parametrize("change", ["address", "policy"])
async def test_story_4_14_a_provider_address_changes_once_its_tunnels_are_encrypted(
    desk: Desk, sealed: Ipsec, change: str
) -> None:
    """Nothing is lost, however long that takes, and it is said for what the change waits; then back again."""
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]
    (before,) = server["providerAddresses"]
    after = (
        {"providerAddresses": ["192.168.1.77"]}
        if change == "address"
        else {"providerAddressPolicy": "perVirtualSubnet"}
    )
    pinging, reasons = Pinging(desk, sealed), set()

    async def over() -> bool:
        reasons.update((await desk.get("/weft/v1/servers/host1/state"))["providerAddressesWaitFor"])
        return not await _changes(desk, "host1")

    for properties in (after, {"providerAddresses": [before], "providerAddressPolicy": "perHost"}):
        reasons.clear()
        began = asyncio.get_running_loop().time()
        await desk.put("/networking/v1/servers/host1", {"properties": server | properties})
        assert await _changes(desk, "host1")
        await pinging.until(over)
        await pinging.on()
        assert pinging.lost == 0, f"{pinging.lost} of {pinging.sent}"
        if properties is after or change == "address":
            assert asyncio.get_running_loop().time() - began >= sealed.takes_s
            assert any("host1 and host2 to encrypt tunnels between 192.168.1." in one for one in reasons), reasons
    assert pinging.sent > 50


@pytest.mark.parametrize("has", ["nothing", "another subnet"])
async def test_story_4_14_a_machine_goes_to_a_host_once_the_tunnels_there_are_encrypted(
    desk: Desk, sealed: Ipsec, has: str
) -> None:
    """host3 has had none of its network, or with perVirtualSubnet none of its subnet: nothing is encrypted there before
    it comes. What runs there is not disturbed."""
    pinging = Pinging(desk, sealed)
    if has == "another subnet":
        server = (await desk.get("/networking/v1/servers/host3"))["properties"]
        policy = {"properties": server | {"providerAddressPolicy": "perVirtualSubnet"}}
        await desk.put("/networking/v1/servers/host3", policy)
        await desk.nic("s3", "secret", "db", ip="10.9.2.13")
        await desk.vm("s3", "host3", ["s3"])
        await desk.act("s3", "start")
        await desk.eventually_answers("s3", "10.9.1.12", ["s2"])
        pinging.who += [("s3", "10.9.1.12"), ("s2", "10.9.2.13")]
    moving = desk.background(
        "POST", "/weft/v1/virtualMachines/s1/migrate", {"server": {"resourceRef": "/servers/host3"}}
    )
    await pinging.until(lambda: _done(moving))
    assert moving.result().status_code == 200, moving.result().text
    await pinging.on()
    assert desk.center.guests["s1"].host == "host3"
    assert pinging.lost == 0 and pinging.sent > 50, f"{pinging.lost} of {pinging.sent}"


@pytest.mark.parametrize("peer", ["is there", "has gone"])
async def test_story_4_14_a_machine_begins_once_what_it_sends_is_encrypted_and_stops_nobody(
    desk: Desk, sealed: Ipsec, monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    """With perVirtualSubnet the first machine of a subnet brings its host an address. Where that never comes to be
    encrypted, since the other host's agent has gone, it begins all the same after a while."""
    monkeypatch.setattr("weft.agent.ovs.plane.SEALING_SECONDS", 5.0 if peer == "is there" else 0.5)
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]
    policy = {"properties": server | {"providerAddressPolicy": "perVirtualSubnet"}}
    await desk.put("/networking/v1/servers/host1", policy)
    pinging = Pinging(desk, sealed)

    async def over() -> bool:
        return not await _changes(desk, "host1")

    await pinging.until(over)
    if peer == "has gone":
        await desk.kill_agent("host2")
    await desk.nic("d1", "secret", "db", ip="10.9.2.11")
    await desk.vm("d1", "host1", ["d1"])
    starting = desk.background("POST", "/weft/v1/virtualMachines/d1/start", {})
    await pinging.until(lambda: _done(starting))
    assert starting.result().status_code == 200, starting.result().text
    if peer == "has gone":
        assert await desk.answers("s1", "10.9.2.11") == ["d1"]
        return
    pinging.who += [("d1", "10.9.1.12"), ("s2", "10.9.2.11")]
    await pinging.on()
    assert pinging.lost == 0 and pinging.sent > 50, f"{pinging.lost} of {pinging.sent}"


async def _done(task: "asyncio.Task[Any]") -> bool:
    return task.done()


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
