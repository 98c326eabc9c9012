"""Stories of sources 003 and 004 about networks, and those that they imply, which stood in no other file."""

import asyncio

from msgspec.structs import replace
from typer.testing import CliRunner

from tests.stories.bodies import network_body, vsid
from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red
from weft.cli.commands import app
from weft.fakes import packet as p
from weft.model.values import ip_text, parse_mac

LOGICAL = "/networking/v1/logicalNetworks/hnvpa"


async def test_story_3_8_an_interface_on_the_provider_network_is_refused(desk: Desk) -> None:
    await blue_and_red(desk)
    body = desk.nic_body("blue", "web")
    configuration = body["properties"]["ipConfigurations"][0]["properties"]
    configuration["subnet"] = {"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}
    error = await desk.refused("PUT", "/networking/v1/networkInterfaces/host-vnic", body, status=400)
    assert error["code"] == "InvalidSubnet" and "carries the hosts' tunnels" in error["message"]
    assert not await desk.exists("/networking/v1/networkInterfaces/host-vnic")


async def test_story_3_10_where_no_provider_address_is_left_no_machine_is_placed(desk: Desk) -> None:
    """Said before anything is placed, with the pool; a host that goes gives its address back."""
    await desk.cluster(hosts=1, provider_pool=("192.168.1.10", "192.168.1.10"))
    answer = await desk.refused("PUT", "/networking/v1/servers/host2", {"properties": {}})
    assert answer["code"] == "PAIpAddressExhausted"
    assert "192.168.1.10" in answer["message"] or "pool" in answer["message"]
    assert not await desk.exists("/networking/v1/servers/host2")
    pool = "/weft/v1/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool/usage"
    assert (await desk.get(pool))["assigned"] == 1
    await desk.delete("/networking/v1/servers/host1")
    usage = await desk.get(pool)
    assert (usage["assigned"], usage["cooling"]) == (0, 1)


async def by_virtual_subnet(desk: Desk) -> None:
    network = await desk.get(LOGICAL)
    network["properties"]["providerAddressPolicy"] = "perVirtualSubnet"
    await desk.put(LOGICAL, network)


async def test_story_3_10_the_address_of_a_virtual_subnet_is_freed_with_its_last_machine(desk: Desk) -> None:
    """Two addresses: the host's own and one more. The second virtual subnet is refused before anything is placed."""
    await desk.cluster(hosts=1, provider_pool=("192.168.1.10", "192.168.1.11"))
    await by_virtual_subnet(desk)
    await desk.machine("blue1", "host1")
    await desk.nic("red1-eth0", "red", "web")
    body = {
        "server": {"resourceRef": "/servers/host1"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/red1-eth0"}],
    }
    error = await desk.refused("PUT", "/weft/v1/virtualMachines/red1", {"properties": body})
    assert error["code"] == "PAIpAddressExhausted"
    assert "ipPools/pool" in error["message"] and "is held by /servers/host1" in error["message"]
    assert not await desk.exists("/weft/v1/virtualMachines/red1")
    assert (await desk.get("/networking/v1/servers/host1"))["properties"]["virtualSubnetAddresses"] == [
        {"providerAddress": "192.168.1.11", "virtualSubnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}
    ]
    await desk.act("blue1", "stop")
    await desk.delete("/weft/v1/virtualMachines/blue1")
    usage = await desk.get("/weft/v1/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool/usage")
    assert (usage["assigned"], usage["cooling"]) == (1, 1)
    assert "virtualSubnetAddresses" not in (await desk.get("/networking/v1/servers/host1"))["properties"]


async def test_story_3_12_each_virtual_subnet_has_its_own_address_on_host_records_and_wire(desk: Desk) -> None:
    await blue_and_red(desk)
    await by_virtual_subnet(desk)

    async def settled() -> bool:
        servers = [await desk.get(f"/networking/v1/servers/host{n}") for n in (1, 2)]
        return not any("providerAddressChange" in one["properties"] for one in servers)

    await desk.eventually(settled)
    outer: dict[str, tuple[str, str]] = {}
    for host in ("host1", "host2"):
        policy = await desk.get(f"/weft/v1/servers/{host}/policy")
        told = {one["providerAddress"]: one["virtualSubnet"] for one in policy["providerAddresses"]}
        on_host = {ip_text(one.address): one.ours for one in desk.center.switches[host].addresses.found()}
        assert on_host == {text: bool(subnet) for text, subnet in told.items()} and len(told) == 3
        of = {subnet.split("/")[2]: text for text, subnet in told.items() if subnet}
        for tenant in ("blue", "red"):
            number = (await desk.get(f"/networking/v1/virtualNetworks/{tenant}"))["properties"]["subnets"][0]
            records = [one for one in policy["lookupRecords"] if str(one["virtualSubnetId"]) == vsid(number)]
            by_address = {one["customerAddress"]: one["providerAddress"] for one in records}
            assert by_address["10.1.1.1"] == "169.254.254.254"
            assert by_address[f"10.1.1.1{host[-1]}"] == of[tenant]
            outer[tenant] = (*outer.get(tenant, ()), of[tenant])
    for tenant in ("blue", "red"):
        desk.center.network.seen.clear()
        assert await desk.answers(f"{tenant}1", "10.1.1.12") == [f"{tenant}2"]
        pairs = {(ip_text(one.source), ip_text(one.destination)) for one in desk.center.network.seen}
        assert pairs <= {outer[tenant], outer[tenant][::-1]} and pairs


async def test_story_4_1_a_new_tenant_is_one_request_and_nothing_physical_changes(desk: Desk) -> None:
    await blue_and_red(desk)
    before = (await desk.get(LOGICAL))["properties"]["subnets"]
    web = {"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}
    await desk.put("/networking/v1/virtualNetworks/green", network_body("10.1.0.0/16", [web]))
    await desk.machine("green1", "host1", "green", ip="10.1.1.11")
    await desk.machine("green2", "host2", "green", ip="10.1.1.12")
    for tenant in ("blue", "red", "green"):
        await desk.eventually_answers(f"{tenant}1", "10.1.1.12", [f"{tenant}2"])
    after = (await desk.get(LOGICAL))["properties"]["subnets"]
    assert [one["properties"]["ipPools"] for one in after] == [one["properties"]["ipPools"] for one in before]
    assert [one["resourceId"] for one in after] == ["pa1", "pa2"]


async def test_story_x1_a_controller_that_dies_while_a_machine_moves(desk: Desk) -> None:
    """It stays on the network all the while, and is at one of the two hosts afterwards: the move can be repeated."""
    await blue_and_red(desk)
    body = {"server": {"resourceRef": "/servers/host1"}}
    for hypervisor in desk.center.hypervisors.values():
        hypervisor.verb_seconds = 0.1
    desk.background("POST", "/weft/v1/virtualMachines/blue2/migrate", body)

    async def moves() -> bool:
        return "move" in (await desk.get("/weft/v1/virtualMachines/blue2"))["properties"]

    await desk.eventually(moves)
    await desk.restart()
    for hypervisor in desk.center.hypervisors.values():
        hypervisor.verb_seconds = 0.0
    for host in ("host1", "host2"):
        await desk.eventually(lambda host=host: desk.applied(host))
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])

    async def arrived() -> bool:
        found = await desk._call("POST", "/weft/v1/virtualMachines/blue2/migrate", body)
        there = (await desk.get("/weft/v1/virtualMachines/blue2"))["properties"]["server"]["resourceRef"]
        return found.status_code < 500 and there == "/servers/host1"

    await desk.eventually(arrived)
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])


async def test_story_x8_what_is_stored_and_what_is_so_on_the_host_are_told_apart(desk: Desk) -> None:
    await blue_and_red(desk)
    desk.replug("blue2", mac="10-10-10-10-11-99")
    await desk.eventually(lambda: desk.failing("blue2"))
    properties = (await desk.get("/networking/v1/networkInterfaces/blue2"))["properties"]
    assert properties["provisioningState"] == "Succeeded"
    assert properties["configurationState"]["status"] == "Failure"


async def test_story_x9_a_tag_on_a_port_of_a_virtual_network_goes_nowhere_and_is_counted(desk: Desk) -> None:
    await blue_and_red(desk)
    macs = [int(parse_mac(await desk.mac(f"blue{n}"))) for n in (1, 2)]
    plain = p.udp((macs[0], macs[1]), ("10.1.1.11", "10.1.1.12"), (5000, 53))
    assert [one.host for one in desk.center.send("blue1", plain)] == ["host2"]
    assert desk.center.send("blue1", replace(plain, vlan_tci=0x1005)) == []

    async def counted() -> bool:
        return (await desk.get("/weft/v1/servers/host1/state"))["drops"].get("vlan_tagged") == 1

    await desk.eventually(counted)
    page = (await desk.http.get("/metrics")).text
    assert 'weft_dropped_packets_total{reason="vlan_tagged",server="host1"} 1.0' in page
    asked = ["host", "state", "host1", "--controller", f"unix:{desk.socket}"]
    said = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert ["vlan_tagged", "1"] in [line.split() for line in said.output.splitlines()], said.output
    await desk.kill_agent("host1")

    async def absent() -> bool:
        return 'vlan_tagged",server="host1"' not in (await desk.http.get("/metrics")).text

    await desk.eventually(absent)


async def test_story_x10_a_pool_that_overlaps_another_is_refused(desk: Desk) -> None:
    """A part of the default pool is given to somebody by exclusion or by an owner, never by a second pool over it."""
    await desk.cluster()
    half = {"startMacAddress": "00-1D-D8-B7-1D-00", "endMacAddress": "00-1D-D8-B7-1D-FF"}
    error = await desk.refused("PUT", "/networking/v1/macPools/half", {"properties": half})
    assert "pool1" in error["message"]
