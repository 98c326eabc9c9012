"""Stories about routes, through the public API: what of Hyper-V Network Virtualization went wrong by hand."""

from typing import Any

from tests.stories.desk import Desk

MACHINES = {"blue1": ("blue", "host1"), "blue2": ("blue", "host2"), "green1": ("green", "host2")}
NETWORKS = {"blue": ("10.1.1.0/24", 6001), "red": ("10.1.1.0/24", 5001), "green": ("10.9.1.0/24", 7001)}


async def three_networks(desk: Desk) -> None:
    """Blue and Red with equal prefixes, Green with others."""
    await desk.cluster(networks=NETWORKS)
    for name, (network, host) in MACHINES.items():
        await desk.machine(name, host, network, ip=f"10.{9 if network == 'green' else 1}.1.1{name[-1]}")


async def peer(desk: Desk, one: str, other: str, **more: Any) -> None:
    body = {"properties": {"remoteVirtualNetwork": {"resourceRef": f"/virtualNetworks/{other}"}, **more}}
    await desk.put(f"/networking/v1/virtualNetworks/{one}/virtualNetworkPeerings/to-{other}", body)


async def state(desk: Desk, one: str, other: str) -> str:
    found = await desk.get(f"/networking/v1/virtualNetworks/{one}/virtualNetworkPeerings/to-{other}")
    return str(found["properties"]["peeringState"])


async def test_story_4_6_networks_are_routed_together_when_both_say_so_and_never_by_mistake(desk: Desk) -> None:
    """Each has a routing domain of its own, whatever was asked for; two of equal addresses cannot be joined at all."""
    await three_networks(desk)
    domains = {(await desk.get(f"/networking/v1/virtualNetworks/{name}"))["instanceId"] for name in NETWORKS}
    assert len(domains) == 3
    assert await desk.answers("blue1", "10.9.1.11") == []
    overlap = {"properties": {"remoteVirtualNetwork": {"resourceRef": "/virtualNetworks/red"}}}
    path = "/networking/v1/virtualNetworks/blue/virtualNetworkPeerings/to-red"
    assert (await desk.refused("PUT", path, overlap))["code"] == "VnetAddressSpacesOverlap"
    await peer(desk, "blue", "green")
    assert await state(desk, "blue", "green") == "Initiated"
    assert await desk.answers("blue1", "10.9.1.11") == []
    await peer(desk, "green", "blue")
    assert await state(desk, "blue", "green") == "Connected"
    await desk.eventually_answers("blue1", "10.9.1.11", ["green1"])
    await desk.eventually_answers("green1", "10.1.1.12", ["blue2"])
    policy = await desk.get("/weft/v1/servers/host1/policy")
    assert "10.9.1.11" in {one["customerAddress"] for one in policy["lookupRecords"]}
    await desk.act("green1", "migrate", {"server": {"resourceRef": "/servers/host1"}})
    await desk.eventually_answers("blue2", "10.9.1.11", ["green1"])
    await desk.delete("/networking/v1/virtualNetworks/green/virtualNetworkPeerings/to-blue")
    assert await state(desk, "blue", "green") == "Disconnected"
    await desk.eventually_answers("blue1", "10.9.1.11", [])


async def test_story_4_7_a_route_is_of_a_table_and_a_trace_names_it(desk: Desk) -> None:
    """By hand a missing customer route left a machine mute; the network's own routes come with its subnets, a tenant's
    own are in a table, and a packet that one of them stops says which."""
    await three_networks(desk)
    subnet = "/networking/v1/virtualNetworks/blue/subnets/db"
    await desk.put(subnet, {"properties": {"addressPrefix": "10.1.2.0/24"}})
    await desk.nic("db1-eth0", "blue", "db", ip="10.1.2.21")
    await desk.vm("db1", "host2", ["db1-eth0"])
    await desk.act("db1", "start")
    await desk.eventually_answers("blue1", "10.1.2.21", ["db1"])
    route = {"resourceId": "shut", "properties": {"addressPrefix": "10.1.2.0/24", "nextHopType": "None"}}
    await desk.put("/networking/v1/routeTables/t", {"properties": {"routes": [route]}})
    web = {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001, "routeTable": {"resourceRef": "/routeTables/t"}}
    await desk.put("/networking/v1/virtualNetworks/blue/subnets/web", {"properties": web})
    await desk.eventually_answers("blue1", "10.1.2.21", [])
    told = await desk.post("/weft/v1/trace", {"from": "blue1-eth0", "to": "10.1.2.21"})
    assert (told["delivered"], told["decidedBy"]) == (False, "/routeTables/t/routes/shut")
    assert (await desk.refused("DELETE", "/networking/v1/routeTables/t"))["code"] == "InUseRouteTableCannotBeDeleted"
    await desk.put("/networking/v1/routeTables/t", {"properties": {"routes": []}})
    await desk.eventually_answers("blue1", "10.1.2.21", ["db1"])


async def test_story_4_c1_the_gateway_of_a_subnet_is_its_lowest_address_and_no_machines(desk: Desk) -> None:
    await three_networks(desk)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])
    assert desk.center.ping("blue1", "10.1.1.1").received
    taken = await desk.refused("PUT", "/networking/v1/networkInterfaces/x", desk.nic_body("blue", "web", ip="10.1.1.1"))
    assert taken["code"] == "PrivateIPAddressInReservedRange"
    route = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.1.1.1"}
    await desk.put(
        "/networking/v1/routeTables/t", {"properties": {"routes": [{"resourceId": "r", "properties": route}]}}
    )
    web = {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001, "routeTable": {"resourceRef": "/routeTables/t"}}
    hop = await desk.refused("PUT", "/networking/v1/virtualNetworks/blue/subnets/web", {"properties": web})
    assert hop["code"] == "InvalidNextHopIpAddress"
