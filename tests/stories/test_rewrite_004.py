"""IP rewrite of source 004 (rule TranslationMethodNat): one provider address per customer address, and no tunnel."""

from typing import Any

from tests.stories.desk import Desk

POOL = ("192.168.1.10", "192.168.1.15")


def network(protocol: str = "Rewrite", **more: Any) -> dict[str, Any]:
    subnets = [
        {"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}},
        {"resourceId": "db", "properties": {"addressPrefix": "10.1.2.0/24"}},
    ]
    properties = {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "networkVirtualizationProtocol": protocol,
        "subnets": subnets,
    }
    return {"properties": properties | more}


async def fabric(desk: Desk, *more: dict[str, Any]) -> None:
    """Two hosts on one provider subnet, whose pool has six addresses: two are the hosts' own."""
    pool = {"resourceId": "p", "properties": {"startIpAddress": POOL[0], "endIpAddress": POOL[1]}}
    subnet = {"resourceId": "pa", "properties": {"addressPrefix": "192.168.1.0/24", "ipPools": [pool]}}
    body = {"properties": {"networkVirtualizationEnabled": True, "subnets": [subnet, *more]}}
    await desk.put("/networking/v1/logicalNetworks/hnvpa", body)
    macs = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-B7-1C-FF"}
    await desk.put("/networking/v1/macPools/pool1", {"properties": macs})
    for n in (1, 2):
        address = f"192.168.1.1{n - 1}"
        await desk.put(f"/networking/v1/servers/host{n}", {"properties": {"providerAddresses": [address]}})
        desk._add_host(f"host{n}", address)
        await desk.start_agent(f"host{n}")


async def machine(desk: Desk, name: str, host: str, subnet: str, address: str) -> None:
    await desk.nic(f"{name}-eth0", "green", subnet, ip=address)
    await desk.vm(name, host, [f"{name}-eth0"])
    await desk.act(name, "start")


async def records(desk: Desk) -> dict[str, str]:
    """Provider address by customer address."""
    policy = await desk.get("/weft/v1/servers/host1/policy")
    rules = {(one["rule"], one.get("useVmMACAddress")) for one in policy["lookupRecords"] if "networkInterface" in one}
    assert rules == {("TranslationMethodNat", True)}
    return {
        one["customerAddress"]: one["providerAddress"] for one in policy["lookupRecords"] if "networkInterface" in one
    }


async def test_headers_are_rewritten_both_ways_within_and_between_subnets(desk: Desk) -> None:
    await fabric(desk)
    await desk.put("/networking/v1/virtualNetworks/green", network())
    await machine(desk, "one", "host1", "web", "10.1.1.11")
    await machine(desk, "two", "host2", "web", "10.1.1.12")
    await machine(desk, "base", "host2", "db", "10.1.2.11")
    stands = await records(desk)
    assert len(set(stands.values())) == 3 and not set(stands.values()) & {"192.168.1.10", "192.168.1.11"}
    for source, target, there in (
        ("one", "10.1.1.12", "two"),
        ("two", "10.1.1.11", "one"),
        ("one", "10.1.2.11", "base"),
    ):
        assert await desk.answers(source, target) == [there]
    assert desk.tunnelled() == 0
    asked = {"from": "/networkInterfaces/one-eth0", "to": "10.1.2.11"}
    found = await desk.post("/weft/v1/trace", asked)
    assert found["delivered"]
    said = [step["text"] for step in found["path"] if step["stage"] == "rewriting"]
    assert said == [
        f"10.1.1.11 travels as {stands['10.1.1.11']}, to {stands['10.1.2.11']}; no tunnel",
        f"{stands['10.1.2.11']} stands for 10.1.2.11",
    ]
    mac = int(await desk.mac("one-eth0"), 16)
    wire = [frame for frame in desk.center.network.wire.seen if frame.eth_type == 0x0800 and frame.eth_src == mac]
    assert wire, "it goes from its own MAC address, so that adapters spread it"
    outer = {int.from_bytes(bytes(map(int, text.split(".")))) for text in stands.values()}
    assert {frame.ip_src for frame in wire} | {frame.ip_dst for frame in wire} <= outer, "no customer address is seen"


async def test_a_machine_that_moves_takes_its_customer_address_along_and_has_another_for_it(desk: Desk) -> None:
    await fabric(desk)
    await desk.put("/networking/v1/virtualNetworks/green", network())
    await machine(desk, "one", "host1", "web", "10.1.1.11")
    await machine(desk, "two", "host2", "web", "10.1.1.12")
    before = await records(desk)
    await desk.act("two", "migrate", {"server": {"resourceRef": "/servers/host1"}})
    assert await desk.answers("one", "10.1.1.12") == ["two"]
    await desk.act("two", "migrate", {"server": {"resourceRef": "/servers/host2"}})
    assert await desk.answers("one", "10.1.1.12") == ["two"]
    after = await records(desk)
    assert after.keys() == before.keys()
    await desk.act("two", "stop")
    assert await desk.answers("one", "10.1.1.12") == []


async def test_story_4_16_two_customer_addresses_never_share_a_provider_address(desk: Desk) -> None:
    """Six provider addresses: two hosts and four customer addresses, and no fifth."""
    await fabric(desk)
    await desk.put("/networking/v1/virtualNetworks/green", network())
    for n in range(4):
        await machine(desk, f"m{n}", f"host{n % 2 + 1}", "web", f"10.1.1.{20 + n}")
    stands = await records(desk)
    assert len(set(stands.values())) == 4
    await desk.nic("m4-eth0", "green", "web", ip="10.1.1.24")
    body = {
        "server": {"resourceRef": "/servers/host1"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/m4-eth0"}],
    }
    error = await desk.refused("PUT", "/weft/v1/virtualMachines/m4", {"properties": body})
    assert error["code"] == "PAIpAddressExhausted" and "m4-eth0" in error["message"]
    assert await records(desk) == stands


SIX = {"resourceId": "six", "properties": {"addressPrefix": "fd00:1::/64"}}


def six(vlan: int = 0) -> dict[str, Any]:
    pool = {"resourceId": "p", "properties": {"startIpAddress": "fd99::10", "endIpAddress": "fd99::1f"}}
    return {"resourceId": "six", "properties": {"addressPrefix": "fd99::/64", "vlanID": vlan, "ipPools": [pool]}}


async def test_ipv6_is_rewritten_on_hosts_that_have_ipv4_addresses_themselves(desk: Desk) -> None:
    await fabric(desk, six())
    body = network(addressSpace={"addressPrefixes": ["fd00:1::/64"]}, subnets=[SIX])
    await desk.put("/networking/v1/virtualNetworks/green", body)
    await machine(desk, "one", "host1", "six", "fd00:1::11")
    await machine(desk, "two", "host2", "six", "fd00:1::12")
    assert all(stands.startswith("fd99::1") for stands in (await records(desk)).values())
    assert await desk.answers("one", "fd00:1::12") == ["two"]
    assert await desk.answers("two", "fd00:1::11") == ["one"]


async def test_where_it_cannot_work_it_is_refused_with_the_reason(desk: Desk) -> None:
    await fabric(desk)
    green = "/networking/v1/virtualNetworks/green"
    only_six = network(addressSpace={"addressPrefixes": ["fd00:1::/64"]}, subnets=[SIX])
    error = await desk.refused("PUT", green, only_six)
    assert error["code"] == "RewriteNotPossible" and "no IPv6 provider subnet" in error["message"]
    carrier = await desk.get("/networking/v1/logicalNetworks/hnvpa")
    carrier["properties"]["subnets"].append(six(vlan=7))
    await desk.put("/networking/v1/logicalNetworks/hnvpa", carrier)
    error = await desk.refused("PUT", green, only_six)
    assert error["code"] == "RewriteNotPossible" and "subnets/six is on VLAN 7 and" in error["message"]
    await desk.put(green, network("NVGRE"))
    await desk.nic("m-eth0", "green", "web", ip="10.1.1.11")
    changed = await desk.get(green)
    changed["properties"]["networkVirtualizationProtocol"] = "Rewrite"
    error = await desk.refused("PUT", green, changed)
    assert error["code"] == "VnetInUse" and "to or from Rewrite" in error["message"]
    learning = {"resourceId": "web", "properties": {"addressPrefix": "10.2.1.0/24"}}
    learning["properties"]["guestSpecifiedAddresses"] = {"enabled": True}
    other = network(addressSpace={"addressPrefixes": ["10.2.0.0/16"]}, subnets=[learning])
    assert (await desk.refused("PUT", "/networking/v1/virtualNetworks/other", other))["code"]


async def test_hosts_on_two_provider_subnets_cannot_rewrite(desk: Desk) -> None:
    await desk.cluster()
    error = await desk.refused("PUT", "/networking/v1/virtualNetworks/green", network())
    assert error["code"] == "RewriteNotPossible" and "2 provider subnets" in error["message"]
