"""Stories of a portal over network virtualization."""

from tests.stories.bodies import network_body, vsid
from tests.stories.desk import Desk


async def test_story_3_1_more_isolated_subnets_than_vlans(desk: Desk) -> None:
    """4 200 virtual subnets in one transaction, each with a VSID of its own."""
    await desk.cluster()
    subnets = [
        {"resourceId": f"s{i}", "properties": {"addressPrefix": f"10.{64 + i // 256}.{i % 256}.0/24"}}
        for i in range(4200)
    ]
    network = await desk.put("/networking/v1/virtualNetworks/big", network_body("10.64.0.0/10", subnets))
    vsids = {int(vsid(subnet)) for subnet in network["properties"]["subnets"]}
    assert len(vsids) == 4200
    assert all(4096 <= vsid <= 16_777_214 for vsid in vsids)


async def test_story_3_2_a_new_subnet_changes_nothing_physical(desk: Desk) -> None:
    """Provider addresses and routes of every host, and the logical network, are as before."""
    await desk.cluster()
    await desk.nic("b1", "blue", "web")
    await desk.vm("b1", "host1", ["b1"])
    policies = [await desk.get(f"/weft/v1/servers/{host}/policy") for host in ("host1", "host2")]
    physical = await desk.get("/networking/v1/logicalNetworks/hnvpa")
    await desk.put("/networking/v1/virtualNetworks/blue/subnets/new", {"properties": {"addressPrefix": "10.1.9.0/24"}})
    for before, host in zip(policies, ("host1", "host2"), strict=True):
        after = await desk.get(f"/weft/v1/servers/{host}/policy")
        assert after["providerAddresses"] == before["providerAddresses"]
        assert after["providerRoutes"] == before["providerRoutes"]
    assert await desk.get("/networking/v1/logicalNetworks/hnvpa") == physical


async def test_story_3_3_two_tenants_share_addresses_and_macs(desk: Desk) -> None:
    """Equal customer addresses and equal MACs in two networks: both work, neither hears the other."""
    await desk.cluster()
    for tenant in ("blue", "red"):
        for host, n in (("host1", 1), ("host2", 2)):
            await desk.nic(f"{tenant}{n}", tenant, "web", mac=f"10-10-10-10-11-0{n}", ip=f"10.1.1.1{n}")
            await desk.vm(f"{tenant}{n}", host, [f"{tenant}{n}"])
            await desk.post(f"/weft/v1/virtualMachines/{tenant}{n}/start", {})
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
    assert await desk.answers("red1", "10.1.1.12") == ["red2"]


async def test_story_3_4_overlap_inside_one_network_is_refused(desk: Desk) -> None:
    await desk.cluster()
    error = await desk.refused(
        "PUT",
        "/networking/v1/virtualNetworks/blue/subnets/again",
        {"properties": {"addressPrefix": "10.1.1.128/25"}},
    )
    assert "web" in error["message"]
    await desk.missing("/networking/v1/virtualNetworks/blue/subnets/again")


async def test_story_3_12_the_view_of_a_host_equals_the_intent(desk: Desk) -> None:
    """One machine started: its host shows its provider address and two records, the gateway's and the machine's."""
    await desk.cluster(networks={"vdi": ("192.168.1.0/24", 16412478)}, provider=("10.10.10.0/24", "10.10.10.9"))
    mac = (await desk.nic("VMTEST01", "vdi", "web", ip="192.168.1.3"))["properties"]["privateMacAddress"]
    await desk.vm("VMTEST01", "host1", ["VMTEST01"])
    await desk.post("/weft/v1/virtualMachines/VMTEST01/start", {})
    policy = await desk.get("/weft/v1/servers/host1/policy")
    assert [pa["providerAddress"] for pa in policy["providerAddresses"]] == ["10.10.10.9"]
    records = {record["customerAddress"]: record for record in policy["lookupRecords"]}
    assert sorted(records) == ["192.168.1.1", "192.168.1.3"]
    assert {record["virtualSubnetId"] for record in records.values()} == {16412478}
    assert records["192.168.1.3"]["macAddress"] == mac
    assert records["192.168.1.3"]["providerAddress"] == "10.10.10.9"


async def test_story_3_14_one_host_alone_works(desk: Desk) -> None:
    """Two machines on the only host reach each other; nothing is encapsulated."""
    await desk.cluster(hosts=1)
    for n in (1, 2):
        await desk.nic(f"b{n}", "blue", "web", ip=f"10.1.1.1{n}")
        await desk.vm(f"b{n}", "host1", [f"b{n}"])
        await desk.post(f"/weft/v1/virtualMachines/b{n}/start", {})
    assert await desk.answers("b1", "10.1.1.12") == ["b2"]
    assert desk.tunnelled() == 0
