"""Isolation kinds of source 004 beside each other: NVGRE, VXLAN, VLAN and none, and what is between them."""

from tests.stories.desk import Desk

LAN = {
    "v20": {"addressPrefix": "10.1.1.0/24", "vlanID": 20, "defaultGateways": ["10.1.1.1"]},
    "v30": {"addressPrefix": "10.1.1.0/24", "vlanID": 30},
    "bare": {"vlanID": 0},
}


async def vlans(desk: Desk) -> None:
    for name, properties in LAN.items():
        subnet = {"resourceId": name, "properties": properties}
        await desk.put(f"/networking/v1/logicalNetworks/{name}", {"properties": {"subnets": [subnet]}})


async def on_vlan(desk: Desk, machine: str, host: str, subnet: str, address: str | None) -> None:
    """A machine on a logical network, running; without an address it is Unmanaged."""
    given = {"privateIPAllocationMethod": "Static", "privateIPAddress": address}
    configuration = given if address else {"privateIPAllocationMethod": "Unmanaged"}
    configuration |= {"subnet": {"resourceRef": f"/logicalNetworks/{subnet}/subnets/{subnet}"}}
    body = {
        "privateMacAllocationMethod": "Dynamic",
        "ipConfigurations": [{"resourceId": "ip1", "properties": configuration}],
    }
    await desk.put(f"/networking/v1/networkInterfaces/{machine}-eth0", {"properties": body})
    await desk.vm(machine, host, [f"{machine}-eth0"])
    await desk.act(machine, "start")


async def every_kind(desk: Desk) -> None:
    """Six pairs of machines with the same two addresses, one of each pair on either host."""
    await desk.cluster()
    await vlans(desk)
    red = await desk.get("/networking/v1/virtualNetworks/red")
    red["properties"]["networkVirtualizationProtocol"] = "VXLAN"
    await desk.put("/networking/v1/virtualNetworks/red", red)
    for n in (1, 2):
        for tenant in ("blue", "red"):
            await desk.machine(f"{tenant}{n}", f"host{n}", tenant, ip=f"10.1.1.1{n}")
        await on_vlan(desk, f"shop{n}", f"host{n}", "v20", f"10.1.1.1{n}")
        await on_vlan(desk, f"desk{n}", f"host{n}", "v30", f"10.1.1.1{n}")


async def trace(desk: Desk, source: str, to: str) -> tuple[bool, str]:
    asked = {"from": f"/networkInterfaces/{source}-eth0", "to": to}
    found = await desk.post("/weft/v1/trace", asked)
    return found["delivered"], found["reason"]


async def test_isolation_kinds_side_by_side_keep_equal_addresses_apart(desk: Desk) -> None:
    await every_kind(desk)
    for tenant in ("blue", "red", "shop", "desk"):
        assert await desk.answers(f"{tenant}1", "10.1.1.12") == [f"{tenant}2"]
        assert await desk.answers(f"{tenant}2", "10.1.1.11") == [f"{tenant}1"]
        assert await trace(desk, f"{tenant}1", "10.1.1.12") == (True, f"delivered to port {tenant}2-eth0 on host2")
    assert {outer.kind for outer in desk.center.network.seen} == {"gre", "vxlan"}
    assert {frame.vlan_tci & 0xFFF for frame in desk.center.network.wire.seen} == {20, 30}
    for tenant in ("shop", "blue"):
        await desk.act(f"{tenant}2", "stop")
        assert await desk.answers(f"{tenant}1", "10.1.1.12") == [], "nobody else's machine answers for it"
    assert (await desk.get("/weft/v1/conflicts"))["value"] == []
    state = await desk.get("/weft/v1/servers/host1/state")
    assert state["problems"] == [] and state["drift"] == []


async def test_a_networks_tunnel_kind_changes_while_it_is_used(desk: Desk) -> None:
    await every_kind(desk)
    blue = await desk.get("/networking/v1/virtualNetworks/blue")
    for protocol, kind in (("VXLAN", "vxlan"), ("NVGRE", "gre"), ("", "gre")):
        blue["properties"]["networkVirtualizationProtocol"] = protocol
        blue.pop("etag", None)
        blue = await desk.put("/networking/v1/virtualNetworks/blue?wait=hosts", blue)
        desk.center.network.seen.clear()
        assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
        assert {outer.kind for outer in desk.center.network.seen} == {kind}
        assert await desk.answers("red1", "10.1.1.12") == ["red2"]


async def test_a_machine_on_a_vlan_moves_with_its_addresses(desk: Desk) -> None:
    await every_kind(desk)
    before = await desk.mac("shop2-eth0")
    await desk.act("shop2", "migrate", {"server": {"resourceRef": "/servers/host1"}})
    assert await desk.mac("shop2-eth0") == before
    assert await desk.answers("shop1", "10.1.1.12") == ["shop2"]
    assert (await trace(desk, "shop1", "10.1.1.12")) == (True, "delivered to port shop2-eth0 on host1")
    await desk.act("shop2", "migrate", {"server": {"resourceRef": "/servers/host2"}})
    assert await desk.answers("shop1", "10.1.1.12") == ["shop2"]
    rarps = [frame for frame in desk.center.network.wire.seen if frame.eth_type == 0x8035]
    assert {f"{frame.eth_src:012X}" for frame in rarps} >= {before}, "the physical network was shown where it is"
