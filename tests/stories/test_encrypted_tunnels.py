"""Stories about networks whose tunnels are encrypted: where hosts can do it, and while addresses and machines move."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.stories.bodies import network_body
from tests.stories.desk import Desk
from tests.stories.test_provider_network import at_once, has_status, status_of
from weft.agent.encryption import Pair
from weft.fakes.encryption import Ipsec
from weft.fakes.outside import ProviderLan

__all__ = ["at_once"]

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
    await desk.eventually(lambda: has_status(desk, "host2", "Warning"))
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


GOES_OVER = 10
"""Turns, of 2 ms at least: far fewer than new IPsec takes."""


class Pinging:
    """Both ways, for as long as something is done; what crosses between hosts must be encrypted at both ends. What is
    sent in the turns in which a machine goes over is not counted as lost: the fake ones are elsewhere at once, where
    QEMU holds them until their hosts have heard of it."""

    def __init__(self, desk: Desk, ipsec: Ipsec) -> None:
        self.sent = self.lost = 0
        self.who = [("s1", "10.9.1.12"), ("s2", "10.9.1.11")]
        self._desk, self._ipsec = desk, ipsec
        self._places = self._where()
        self._goes_over = 0

    def _where(self) -> dict[str, str]:
        return {name: guest.host for name, guest in self._desk.center.guests.items()}

    def once(self) -> None:
        center = self._desk.center
        before = len(center.network.seen)
        places = self._where()
        moved = any(places.get(name) != host for name, host in self._places.items() if host)
        self._places, self._goes_over = places, GOES_OVER if moved else max(0, self._goes_over - 1)
        for name, address in self.who:
            self.sent += 1
            self.lost += not center.ping(name, address).received and not self._goes_over
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
    monkeypatch.setattr("weft.agent.held_back.SEALING_SECONDS", 60.0 if peer == "is there" else 0.5)
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
