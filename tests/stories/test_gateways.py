"""Stories of what is outside: the gateway of source 003's portal, and what readers of source 004 asked about it."""

from typing import Any

from tests.stories.desk import Desk
from weft.model.values import pack_ip

N = "/networking/v1"
OUTSIDE = "198.51.100.7"


def ref(text: str) -> dict[str, str]:
    return {"resourceRef": text}


async def outside(desk: Desk, *gateways: str) -> None:
    """A public subnet, a pool of gateways on these servers, and blue with a subnet for its gateway."""
    pool = {"resourceId": "p", "properties": {"startIpAddress": "203.0.113.10", "endIpAddress": "203.0.113.20"}}
    public: dict[str, Any] = {"addressPrefix": "203.0.113.0/24", "defaultGateways": ["203.0.113.1"], "isPublic": True}
    subnet = {"resourceId": "public", "properties": public | {"ipPools": [pool]}}
    await desk.put(f"{N}/logicalNetworks/internet", {"properties": {"subnets": [subnet]}})
    await desk.put(f"{N}/publicIPAddresses/nat", {"properties": {}})
    await desk.put(f"{N}/virtualNetworks/blue/subnets/gw", {"properties": {"addressPrefix": "10.1.254.0/29"}})
    await desk.put(f"{N}/gatewayPools/gp", {"properties": {"type": "forwarding", "redundantGatewayCount": 1}})
    for server in gateways:
        body = {"pool": ref("/gatewayPools/gp"), "server": ref(f"/servers/{server}")}
        await desk.put(f"{N}/gateways/{server}", {"properties": body})


async def way_out(desk: Desk) -> Any:
    properties = {
        "GatewayPools": [ref("/gatewayPools/gp")],
        "gatewaySubnets": [ref("/virtualNetworks/blue/subnets/gw")],
        "nat": {"enabled": True, "publicIPAddress": ref("/publicIPAddresses/nat")},
    }
    return await desk.put(f"{N}/virtualGateways/blue", {"properties": properties})


async def trace(desk: Desk, interface: str, to: str) -> Any:
    return await desk.post("/weft/v1/trace", {"from": f"/networkInterfaces/{interface}", "to": to})


async def test_story_3_5_without_a_gateway_that_is_a_state_and_not_silence(desk: Desk) -> None:
    """A machine calls the physical network: the trace says what is missing; in the network all is well."""
    await desk.cluster()
    for n, host in ((1, "host1"), (2, "host2")):
        await desk.machine(f"b{n}", host, ip=f"10.1.1.1{n}")
    said = await trace(desk, "b1-eth0", OUTSIDE)
    assert not said["delivered"] and said["reason"].startswith("no gateway:")
    await outside(desk)
    assert (await way_out(desk))["properties"]["gateways"] == []
    state = (await desk.get(f"{N}/virtualGateways/blue"))["properties"]["configurationState"]
    assert state["detailedInfo"][0]["message"].startswith("no gateway:")
    said = await trace(desk, "b1-eth0", OUTSIDE)
    assert said["reason"].startswith("no gateway:") and said["missing"]["virtualGateway"] == "/virtualGateways/blue"
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])


async def test_story_3_6_a_server_that_was_chosen_is_the_gateway(desk: Desk) -> None:
    """A host becomes a gateway by name; it is one gateway, and its own agent makes the edge. It need not be dedicated:
    its machines stay, and leave by it as others do. As long as it is one it is not taken away."""
    await desk.cluster()
    for n, host in ((1, "host1"), (2, "host2")):
        await desk.machine(f"b{n}", host, ip=f"10.1.1.1{n}")
    await outside(desk, "host2")
    again = {"properties": {"pool": ref("/gatewayPools/gp"), "server": ref("/servers/host2")}}
    assert (await desk.refused("PUT", f"{N}/gateways/other", again))["code"] == "ServerInUse"
    await way_out(desk)

    async def carried() -> bool:
        active = (await desk.get(f"{N}/virtualGateways/blue"))["properties"].get("activeGateway")
        return active == ref("/gateways/host2")

    await desk.eventually(carried)
    assert not desk.edges["host1"].edges
    [edge] = desk.edges["host2"].edges.values()
    assert edge.carries and edge.network.resource_ref == "/virtualGateways/blue"
    for n in (1, 2):
        said = await trace(desk, f"b{n}-eth0", OUTSIDE)
        assert said["delivered"] and "left by the gateway on host2" in said["reason"]
        await desk.eventually_answers(f"b{n}", f"10.1.1.1{3 - n}", [f"b{3 - n}"])
    error = await desk.refused("DELETE", f"{N}/servers/host2?force=true&reason=gone")
    assert "/gateways/host2" in error["message"]


async def test_story_4_c2_the_gateway_record_is_made_and_no_dummy_reaches_the_wire(desk: Desk) -> None:
    """The record that was made by hand with a dummy provider address: generated, and real where packets go."""
    await desk.cluster()
    await outside(desk, "host2")
    await desk.machine("b1", "host1", ip="10.1.1.11")
    made = (await way_out(desk))["properties"]
    policy = await desk.get("/weft/v1/servers/host1/policy")
    [wildcard] = [one for one in policy["lookupRecords"] if one["type"] == "GatewayWildcard"]
    gateway = (await desk.get(f"{N}/servers/host2"))["properties"]["providerAddresses"][0]
    assert (wildcard["customerAddress"], wildcard["providerAddress"]) == ("0.0.0.0", gateway)
    assert wildcard["macAddress"] == made["gatewayMacAddress"]
    default = [one["nextHop"] for one in policy["customerRoutes"] if one["destinationPrefix"] == "0.0.0.0/0"]
    assert default == made["gatewayAddresses"]
    told = repr(desk.center.switches["host1"].flows) + repr(desk.center.switches["host2"].flows)
    assert str(int.from_bytes(pack_ip("169.254.254.254"))) not in told


async def test_story_4_c3_a_machine_reaches_the_physical_network(desk: Desk) -> None:
    """By the gateway with a leg on each side; behind the network's public address, or its own."""
    await desk.cluster()
    await outside(desk, "host2")
    await desk.machine("b1", "host1", ip="10.1.1.11")
    await way_out(desk)

    async def made() -> bool:
        return bool(desk.edges["host2"].edges)

    await desk.eventually(made)
    said = await trace(desk, "b1-eth0", OUTSIDE)
    assert said["delivered"] and "left by the gateway on host2" in said["reason"]
    assert any("known outside as 203.0.113.10" in step["text"] for step in said["path"])
    [rdid] = desk.edges["host2"].edges
    assert desk.edges["host2"].outward(rdid, pack_ip("10.1.1.11"), pack_ip(OUTSIDE)) == pack_ip("203.0.113.10")


async def test_story_4_c4_another_kind_of_gateway_fulfils_the_same_protocol(desk: Desk) -> None:
    """No plugin of a vendor was to be had: here any driver of three methods does, and what it refuses is told."""
    await desk.cluster()
    await outside(desk, "host2")
    desk.edges["host2"].refuses = "the appliance wants a licence"
    await way_out(desk)

    async def told() -> bool:
        state = await desk.get("/weft/v1/servers/host2/state")
        return any("the appliance wants a licence" in one["message"] for one in state["problems"])

    await desk.eventually(told)
    assert "activeGateway" not in (await desk.get(f"{N}/virtualGateways/blue"))["properties"]
    desk.edges["host2"].refuses = ""

    async def carried() -> bool:
        return "activeGateway" in (await desk.get(f"{N}/virtualGateways/blue"))["properties"]

    await desk.eventually(carried)
