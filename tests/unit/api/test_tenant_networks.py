"""accessControlLists, routeTables and virtualNetworkPeerings as they are answered, with what refers to them."""

from typing import Any

import pytest

from tests.unit.api.conftest import BLUE, FRONT, Api, N, put_past_the_gates, with_filters_routes_and_peers
from weft.api.access import rule_hits
from weft.control.controller import Controller
from weft.wire.messages import Facts

RULE = {
    "protocol": "All",
    "sourcePortRange": "0-65535",
    "destinationPortRange": "2003",
    "action": "Allow",
    "sourceAddressPrefix": "*",
    "destinationAddressPrefix": "13.168.100.21",
    "priority": "200",
    "type": "Inbound",
    "logging": "Enabled",
}


@pytest.fixture
async def joined(fabric: Api, controller: Controller) -> Api:
    await with_filters_routes_and_peers(fabric, controller)
    return fabric


async def properties(api: Api, path: str) -> Any:
    return (await api.body(f"{N}{path}"))["properties"]


async def test_a_list_says_what_it_filters(joined: Api) -> None:
    found = await properties(joined, FRONT)
    assert found["subnets"] == [{"resourceRef": "/virtualNetworks/blue/subnets/web"}]
    assert found["ipConfigurations"] == [{"resourceRef": "/networkInterfaces/n9/ipConfigurations/ip1"}]
    assert (found["inboundDefaultAction"], found["outboundDefaultAction"]) == ("Deny", "Permit")
    assert "listNumber" not in found
    rule = found["aclRules"][0]
    assert (rule["resourceRef"], rule["properties"]["priority"]) == (f"{FRONT}/aclRules/ssh", "110")
    assert rule["properties"]["protocol"] == "TCP"


async def test_who_names_a_list_says_so(joined: Api) -> None:
    subnet = await properties(joined, "/virtualNetworks/blue/subnets/web")
    assert subnet["accessControlList"] == {"resourceRef": FRONT}
    assert subnet["routeTable"] == {"resourceRef": "/routeTables/hub"}
    assert subnet["encryptionEnabled"] is False
    configuration = await properties(joined, "/networkInterfaces/n9/ipConfigurations/ip1")
    assert configuration["accessControlList"] == {"resourceRef": FRONT}


async def test_the_specification_s_own_body_is_taken(api: Api) -> None:
    rules = [{"resourceId": "port2003", "properties": RULE}]
    answer = await api.put(f"{N}/accessControlLists/x", {"aclRules": rules, "securityTags": []})
    assert answer.status_code == 201, answer.text
    assert (await api.put(f"{N}/accessControlLists/x/aclRules/port2004", {**RULE, "priority": 204})).status_code == 201
    assert len((await properties(api, "/accessControlLists/x"))["aclRules"]) == 2
    assert (await api.delete(f"{N}/accessControlLists/x/aclRules/port2003")).status_code == 200
    assert [r["resourceId"] for r in (await properties(api, "/accessControlLists/x"))["aclRules"]] == ["port2004"]


async def test_a_refused_rule_names_its_code_and_property(api: Api) -> None:
    answer = await api.put(f"{N}/accessControlLists/x/aclRules/r", RULE)
    assert answer.status_code == 412
    await api.made(f"{N}/accessControlLists/x", {})
    answer = await api.put(f"{N}/accessControlLists/x/aclRules/r", {**RULE, "priority": 65535})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["target"]) == (400, "InvalidAclRulePriority", "priority")


async def test_a_route_table_says_what_it_routes(joined: Api) -> None:
    found = await properties(joined, "/routeTables/hub")
    assert found["subnets"] == [{"resourceRef": "/virtualNetworks/blue/subnets/web"}]
    route = found["routes"][0]["properties"]
    assert route["nextHopIpAddress"] == "10.1.1.4"
    await joined.put(f"{N}/routeTables/hub/routes/nowhere", {"addressPrefix": "10.8.0.0/16", "nextHopType": "none"})
    second = await properties(joined, "/routeTables/hub/routes/nowhere")
    assert second["nextHopType"] == "None"
    assert "nextHopIpAddress" not in second


async def test_what_is_in_use_is_not_deleted(joined: Api) -> None:
    for path, code in (
        ("/accessControlLists/front", "InUseAccessControlListCannotBeDeleted"),
        ("/routeTables/hub", "InUseRouteTableCannotBeDeleted"),
    ):
        answer = await joined.delete(f"{N}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)


async def test_both_sides_of_a_peering_are_answered(joined: Api, controller: Controller) -> None:
    path = "/virtualNetworks/blue/virtualNetworkPeerings/to-red"
    found = await properties(joined, path)
    assert found == {
        "provisioningState": "Succeeded",
        "remoteVirtualNetwork": {"resourceRef": "/virtualNetworks/red"},
        "allowVirtualNetworkAccess": True,
        "allowForwardedTraffic": False,
        "allowGatewayTransit": False,
        "useRemoteGateways": False,
        "remoteAddressSpace": {"addressPrefixes": ["10.2.0.0/16"]},
        "peeringState": "Connected",
    }
    inside = (await properties(joined, "/virtualNetworks/blue"))["virtualNetworkPeerings"]
    assert inside[0]["properties"] == found
    assert (await joined.delete(f"{N}/virtualNetworks/red")).status_code == 200
    found = await properties(joined, path)
    assert (found["peeringState"], found["remoteAddressSpace"]) == (
        "Disconnected",
        {"addressPrefixes": ["10.2.0.0/16"]},
    )
    assert (await joined.delete(f"{N}{path}")).status_code == 200
    assert (await properties(joined, "/virtualNetworks/blue"))["virtualNetworkPeerings"] == []


async def test_what_an_initiated_peering_answers_is_what_the_other_has_now(fabric: Api, controller: Controller) -> None:
    red = {**BLUE, "addressSpace": {"addressPrefixes": ["10.2.0.0/16"]}, "subnets": []}
    await fabric.made(f"{N}/virtualNetworks/red", red)
    peer = {"remoteVirtualNetwork": {"resourceRef": "/virtualNetworks/red"}}
    await put_past_the_gates(controller, "/virtualNetworks/blue/virtualNetworkPeerings/p", peer)
    await fabric.put(f"{N}/virtualNetworks/red", {**red, "addressSpace": {"addressPrefixes": ["10.3.0.0/16"]}})
    found = await properties(fabric, "/virtualNetworks/blue/virtualNetworkPeerings/p")
    assert (found["peeringState"], found["remoteAddressSpace"]) == ("Initiated", {"addressPrefixes": ["10.3.0.0/16"]})


async def test_numbers_that_only_flows_bear_are_nobody_s_business(fabric: Api) -> None:
    for path, body in (("accessControlLists/x", {}), ("virtualNetworks/green", {**BLUE, "subnets": []})):
        answer = await fabric.http.put(f"{N}/{path}?dryRun=true", json={"properties": body})
        assert len(answer.json()["changes"]) == 1, answer.text
        assert "Number" not in answer.text


async def test_a_protocol_of_its_own_is_answered_where_there_is_one(fabric: Api) -> None:
    assert "networkVirtualizationProtocol" not in await properties(fabric, "/virtualNetworks/blue")
    answer = await fabric.put(f"{N}/virtualNetworks/blue", {**BLUE, "networkVirtualizationProtocol": "nvgre"})
    assert answer.json()["properties"]["networkVirtualizationProtocol"] == "NVGRE"


async def test_hosts_counters_of_rules_bear_the_names_of_rules(fabric: Api, controller: Controller) -> None:
    await with_filters_routes_and_peers(fabric, controller)
    found = controller.state.get("accessControlLists", "front")
    assert found is not None
    number = found.properties.list_number
    hits = ((number, 110, 3), (number, 500, 9), (number, 65534, 2), (number + 1, 110, 9))
    told = list(rule_hits(controller.state, Facts(hits=hits, hit_bytes=(180, 9, 84, 9))))
    assert told == [(FRONT, "ssh", 3, 180), (FRONT, "inboundDefaultAction", 2, 84)]
