"""Stories of Hyper-V Network Virtualization, step by step, with the source's own addresses.

4.2 and 4.4 are shown again with real packets between network namespaces in tests/e2e.
"""

import pytest

from tests.stories.bodies import network_body
from tests.stories.desk import Desk
from tests.stories.tenants import BLUE, blue_and_red
from tests.unit.fakes.hyperv.network_host import NetworkHost
from weft.agent.flows.fields import ETH_TYPE, Table
from weft.agent.flows.flow import Flow, exact, flow_text
from weft.model.values import parse_mac


async def test_story_4_2_a_machine_moves_across_subnets_and_keeps_its_addresses(desk: Desk) -> None:
    await blue_and_red(desk)
    before = await desk.get("/networking/v1/networkInterfaces/blue2")
    await desk.post("/weft/v1/virtualMachines/blue2/migrate", {"server": {"resourceRef": "/servers/host1"}})
    after = await desk.get("/networking/v1/networkInterfaces/blue2")
    assert after["properties"]["privateMacAddress"] == before["properties"]["privateMacAddress"]
    assert (
        after["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
        == before["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
        == "10.1.1.12"
    )
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
    policy = await desk.get("/weft/v1/servers/host1/policy")
    moved = next(r for r in policy["lookupRecords"] if r["customerAddress"] == "10.1.1.12")
    assert moved["providerAddress"] == "192.168.1.10"


async def test_story_4_4_overlapping_tenants_are_isolated(desk: Desk) -> None:
    await blue_and_red(desk)
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
    assert await desk.answers("red1", "10.1.1.12") == ["red2"]
    await desk.post("/weft/v1/virtualMachines/red2/stop", {})
    assert await desk.answers("red1", "10.1.1.12") == []


async def test_story_4_5_a_record_is_on_every_host_of_its_routing_domain(desk: Desk) -> None:
    """A host whose agent does not answer is named as the one that lags, and the others have the record."""
    await blue_and_red(desk)
    for host in ("host1", "host2"):
        policy = await desk.get(f"/weft/v1/servers/{host}/policy")
        assert {"10.1.1.11", "10.1.1.12"} <= {r["customerAddress"] for r in policy["lookupRecords"]}
    await desk.kill_agent("host2")
    late = await desk.refused(
        "PUT",
        "/networking/v1/networkInterfaces/blue1?wait=hosts&timeout=3",
        desk.nic_body("blue", "web", mac=BLUE[1][0], ip="10.1.1.21"),
        status=504,
    )
    assert "host2" in late["message"]
    assert "host1" not in late["message"]
    state = await desk.get("/networking/v1/networkInterfaces/blue2")
    assert state["properties"]["configurationState"]["status"] == "Failure"
    assert state["properties"]["configurationState"]["detailedInfo"][0]["code"] == "HostNotConnectedToController"
    await desk.start_agent("host2")
    await desk.eventually(lambda: desk.applied("host2"))
    assert desk.resolves("blue2", "10.1.1.21")


async def test_story_4_7_the_customer_route_is_made_with_its_subnet(desk: Desk) -> None:
    await blue_and_red(desk)
    policy = await desk.get("/weft/v1/servers/host1/policy")
    routes = {
        (r["virtualSubnetId"], r["destinationPrefix"], r["nextHop"], r["metric"]) for r in policy["customerRoutes"]
    }
    assert (6001, "10.1.1.0/24", "0.0.0.0", 255) in routes
    assert (5001, "10.1.1.0/24", "0.0.0.0", 255) in routes


async def test_story_4_8_a_host_without_provider_address_is_not_ready(desk: Desk) -> None:
    """Nothing is placed on it in silence: starting there is refused and says why."""
    await desk.cluster(provider_pool=("192.168.1.10", "192.168.1.10"))
    await desk.nic("b1", "blue", "web")
    error = await desk.refused("PUT", "/networking/v1/servers/host9", {"properties": {}})
    assert error["code"] == "PAIpAddressExhausted"
    await desk.missing("/networking/v1/servers/host9")
    policy = await desk.get("/weft/v1/servers/host1/policy")
    assert policy["providerRoutes"][0]["destinationPrefix"] == "0.0.0.0/0"
    assert policy["providerRoutes"][0]["nextHop"] == "192.168.1.1"


async def test_story_4_9_ports_are_bound_by_interface_id(desk: Desk) -> None:
    """A port with the right MAC and another interface's id stays closed and is named; no silent no-op."""
    await blue_and_red(desk)
    desk.replug("blue2", instance_id="00000000-0000-0000-0000-00000000beef")
    await desk.eventually(lambda: desk.failing("blue2"))
    state = (await desk.get("/networking/v1/networkInterfaces/blue2"))["properties"]["configurationState"]
    assert state["detailedInfo"][0]["code"] == "PolicyConfigurationFailure"
    assert "port" in state["detailedInfo"][0]["message"]
    host = await desk.get("/weft/v1/servers/host2/state")
    assert "00000000-0000-0000-0000-00000000beef" in str(host["foreign"])
    assert await desk.answers("blue1", "10.1.1.12") == []


async def test_story_4_10_a_port_that_differs_from_its_record_is_found(desk: Desk) -> None:
    """The port says another MAC than the interface has: it is closed, and the difference is told."""
    await blue_and_red(desk)
    desk.replug("blue2", mac="10-10-10-10-11-99")
    await desk.eventually(lambda: desk.failing("blue2"))
    state = (await desk.get("/networking/v1/networkInterfaces/blue2"))["properties"]["configurationState"]
    assert "10-10-10-10-11-99" in state["detailedInfo"][0]["message"].upper().replace(":", "-")
    assert await desk.answers("blue1", "10.1.1.12") == []


async def test_story_4_11_a_second_holder_of_a_customer_address_is_refused(desk: Desk) -> None:
    await blue_and_red(desk)
    error = await desk.refused(
        "PUT", "/networking/v1/networkInterfaces/blue3", desk.nic_body("blue", "web", ip="10.1.1.11")
    )
    assert error["code"] == "PrivateIPAddressInUse"
    assert "/networkInterfaces/blue1" in error["message"]


@pytest.mark.parametrize("vsid", [4095, 16_777_215, 6001, -1])
async def test_story_4_12_a_bad_vsid_is_refused_centrally(desk: Desk, vsid: int) -> None:
    await desk.cluster()
    subnets = [{"resourceId": "a", "properties": {"addressPrefix": "10.9.1.0/24", "virtualSubnetId": vsid}}]
    error = await desk.refused("PUT", "/networking/v1/virtualNetworks/green", network_body("10.9.0.0/16", subnets))
    assert str(vsid) in error["message"]
    await desk.missing("/networking/v1/virtualNetworks/green")


async def test_story_4_14_encryption_that_hosts_cannot_give_is_refused_and_not_pretended(desk: Desk) -> None:
    """A tunnel is clear text: who asks for more is told that it cannot be had, and nothing is made."""
    await desk.cluster()
    subnet = {"resourceId": "web", "properties": {"addressPrefix": "10.9.1.0/24", "encryptionEnabled": True}}
    body = {
        "properties": {
            "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
            "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
            "subnets": [subnet],
        }
    }
    error = await desk.refused("PUT", "/networking/v1/virtualNetworks/secret", body)
    assert "IPsec" in str(error) and "ncryption" in str(error), error
    await desk.missing("/networking/v1/virtualNetworks/secret")


async def test_story_4_17_what_a_hand_changed_on_a_host_is_put_back_and_told(desk: Desk) -> None:
    """What Weft did not make is shown, and left alone."""
    await blue_and_red(desk)
    theirs = Flow(Table.CLASSIFY, 5, (exact(ETH_TYPE, 0x88CC),), (), 0x99)
    desk.tamper("host1")
    desk.center.switches["host1"].put_flow(theirs)
    await desk.eventually(lambda: desk.drifted("host1"))
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]

    async def shown() -> bool:
        state = await desk.get("/weft/v1/servers/host1/state")
        return bool(state["foreign"] == [flow_text(theirs)])

    await desk.eventually(shown)
    assert theirs in desk.center.switches["host1"].flows()


async def test_story_4_18_a_host_that_rebooted_gets_everything_again(desk: Desk) -> None:
    """Its switch is empty after the reboot; when its machines are back, so is their policy."""
    await blue_and_red(desk)
    await desk.reboot("host2")
    await desk.eventually(lambda: desk.applied("host2"))
    await desk.eventually_answers("blue1", "10.1.1.12", ["blue2"])
    await desk.eventually_answers("red1", "10.1.1.12", ["red2"])


async def test_story_4_20_a_trace_says_that_the_guest_got_the_packet(desk: Desk) -> None:
    """The guest's own firewall drops pings: the trace says delivered to the port, so nobody blames the network."""
    await blue_and_red(desk)
    desk.mute("blue2")
    assert await desk.answers("blue1", "10.1.1.12") == []
    answer = await desk.post(
        "/weft/v1/trace", {"from": {"resourceRef": "/networkInterfaces/blue1"}, "to": "10.1.1.12", "protocol": "icmp"}
    )
    assert answer["delivered"] is True
    assert "delivered to" in str(answer["path"])
    assert "port" in str(answer["path"])


async def test_the_five_steps_as_a_script_on_two_hyperv_hosts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """4.5, 4.7, 4.8, 4.9, 4.c2: each host's script from the API, run on a fake Hyper-V host that has its machines. Both
    tenants' addresses are equal; so are the records of both hosts, before and after a machine moves."""
    # these agents' machines have ids of another hypervisor: the scripts must know them by their names
    monkeypatch.setattr("weft.control.observations.EVERY_S", 3600.0)
    await blue_and_red(desk)
    hosts = {n: NetworkHost(f"blue{n}", f"red{n}") for n in BLUE}
    for n, (mac, _) in BLUE.items():
        for vm in hosts[n].machines.values():
            hosts[n].console.set_static(vm, parse_mac(mac))
    printed = {n: hosts[n].run_script(await policy_script(desk, f"host{n}")) for n in hosts}
    assert printed[1][-2:] == ["set blue1 of blue1 to 6001", "set red1 of red1 to 5001"]
    one, two = (hosts[n].found() for n in hosts)
    assert set(one.lookup_records) == set(two.lookup_records)
    assert {(r.virtual_subnet_id, r.customer_address, r.provider_address) for r in one.lookup_records} == {
        *((vsid, "10.1.1.1", "169.254.254.254") for vsid in (5001, 6001)),
        *((vsid, "10.1.1.11", "192.168.1.10") for vsid in (5001, 6001)),
        *((vsid, "10.1.1.12", "192.168.2.20") for vsid in (5001, 6001)),
    }
    assert len({route.routing_domain_id for route in one.customer_routes}) == 2
    assert [way.route.next_hop for way in (*one.provider_routes, *two.provider_routes)] == [
        "192.168.1.1",
        "192.168.2.1",
    ]

    await desk.post("/weft/v1/virtualMachines/blue2/migrate", {"server": {"resourceRef": "/servers/host1"}})
    # host2 forwards strays, and so needs Blue, until every host knows the new place
    await desk.eventually(lambda: has_moved(desk, "blue2"))
    # host1 has the record's new place; its hypervisor has not the machine yet, which is an error and no silence
    script = await policy_script(desk, "host1")
    hosts[1].run_script(script)
    assert {r.provider_address for r in hosts[1].found().lookup_records if r.virtual_subnet_id == 6001} == {
        "169.254.254.254",
        "192.168.1.10",
    }
    assert hosts[1].warned == ["0 machines of this host are blue2."]
    assert hosts[1].failed
    # host2 has no machine of Blue any more, so it needs nothing of that network
    script = await policy_script(desk, "host2")
    assert hosts[2].run_script(script) == []
    assert len(hosts[2].run_script(script, Sweep=True)) == 4
    assert {one.virtual_subnet_id for one in hosts[2].found().lookup_records} == {5001}
    assert [one.virtual_subnet_id for one in hosts[2].found().customer_routes] == [5001]


async def has_moved(desk: Desk, machine: str) -> bool:
    """Its move has ended, which is later than the answer to who asked for it."""
    return "move" not in (await desk.get(f"/weft/v1/virtualMachines/{machine}"))["properties"]


async def policy_script(desk: Desk, host: str) -> str:
    answer = await desk.http.get(f"/weft/v1/servers/{host}/policy?format=powershell")
    assert answer.status_code == 200, answer.text
    return answer.text
