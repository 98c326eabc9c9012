"""PUT and DELETE of accessControlLists: each rule of 3.1.5.1 with its code, who names a list, and its number."""

import copy
from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, virtual_network
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.core.filters import family_of, first_tagged, port_range
from weft.model.leases import LIST_SCOPE

LIST = "/accessControlLists/front"
SSH = {
    "action": "Allow",
    "type": "Inbound",
    "priority": 110,
    "protocol": "TCP",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "10.1.1.0/24",
    "destinationPortRange": "22",
}


def rules(*wanted: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A list of rules r0, r1 ..."""
    return {"aclRules": [{"resourceId": f"r{at}", "properties": one} for at, one in enumerate(wanted)], **more}


def named(ref: str = LIST) -> dict[str, Any]:
    return {"accessControlList": {"resourceRef": ref}}


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    world.network()
    return world


def stored(world: World) -> Any:
    return world.get(LIST).properties.acl_rules[0].properties


def test_a_list_is_stored_in_canonical_words(world: World) -> None:
    spelt = {
        "action": "allow",
        "type": "INBOUND",
        "protocol": "tcp",
        "sourceAddressPrefix": "VirtualNetwork",
        "destinationAddressPrefix": "FD00:0::1",
        "destinationPortRange": " 80 - 90",
        "logging": "disabled",
    }
    world.put(LIST, rules(SSH | spelt, inboundDefaultAction="deny"))
    rule = stored(world)
    assert (rule.action, rule.type, rule.protocol, rule.logging) == ("Allow", "Inbound", "TCP", "Disabled")
    assert (rule.source_address_prefix, rule.destination_address_prefix) == ("VIRTUALNETWORK", "fd00::1/128")
    assert rule.destination_port_range == "80-90"
    found = world.get(LIST).properties
    assert (found.inbound_default_action, found.outbound_default_action) == ("Deny", "Permit")


def test_logging_is_on_by_default_and_a_list_may_be_empty(world: World) -> None:
    world.put(LIST, rules(SSH))
    assert stored(world).logging == "Enabled"
    assert world.put("/accessControlLists/none", {}).outcome == "created"


@pytest.mark.parametrize(
    ("change", "code", "target"),
    [
        ({"priority": 0}, "InvalidAclRulePriority", "priority"),
        ({"priority": 99}, "InvalidAclRulePriority", "priority"),
        ({"priority": 65_001}, "InvalidAclRulePriority", "priority"),
        ({"action": ""}, "InvalidAclRuleAction", "action"),
        ({"action": "Permit"}, "InvalidAclRuleAction", "action"),
        ({"type": ""}, "InvalidAclRuleType", "type"),
        ({"type": "In"}, "InvalidAclRuleType", "type"),
        ({"protocol": ""}, "InvalidAclRuleProtocol", "protocol"),
        ({"protocol": "HTTP"}, "InvalidAclRuleProtocol", "protocol"),
        ({"protocol": "47"}, "InvalidAclRuleProtocol", "protocol"),
        ({"sourceAddressPrefix": " "}, "AclRuleNullOrEmptySourceAddressPrefix", "sourceAddressPrefix"),
        ({"sourceAddressPrefix": "10.1.1.1/24"}, "AclRuleInvalidSourceAddressPrefix", "sourceAddressPrefix"),
        ({"sourceAddressPrefix": "LAN"}, "AclRuleInvalidSourceAddressPrefix", "sourceAddressPrefix"),
        ({"destinationAddressPrefix": ""}, "AclRuleNullOrEmptyDestinationAddressPrefix", "destinationAddressPrefix"),
        ({"destinationAddressPrefix": "10/8"}, "AclRuleInvalidDestinationAddressPrefix", "destinationAddressPrefix"),
        ({"sourceAddressPrefix": "::/0"}, "AclRuleInvalidDestinationAddressPrefix", "destinationAddressPrefix"),
        ({"protocol": "ICMPv6", "destinationPortRange": "*"}, "InvalidAclRuleProtocol", "protocol"),
        ({"sourcePortRange": ""}, "AclRuleNullOrEmptySourcePortRange", "sourcePortRange"),
        ({"sourcePortRange": "65536"}, "AclRuleInvalidSourcePortRange", "sourcePortRange"),
        ({"sourcePortRange": "80,90"}, "AclRuleInvalidSourcePortRange", "sourcePortRange"),
        ({"destinationPortRange": ""}, "AclRuleNullOrEmptyDestinationPortRange", "destinationPortRange"),
        ({"destinationPortRange": "90-80"}, "AclRuleInvalidDestinationPortRange", "destinationPortRange"),
        ({"destinationPortRange": "-80"}, "AclRuleInvalidDestinationPortRange", "destinationPortRange"),
        ({"protocol": "ICMPv4"}, "AclRuleInvalidDestinationPortRange", "destinationPortRange"),
        ({"logging": "On"}, "InvalidParameterValue", "logging"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_code(world: World, change: dict[str, Any], code: str, target: str) -> None:
    refusal = world.refused(LIST, rules(SSH | change))
    assert (refusal.code, refusal.target) == (code, target)


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 100},
        {"priority": 65_000},
        {"destinationPortRange": "0-65535"},
        {"protocol": "All"},
        {"protocol": "ICMPv4", "destinationPortRange": "0-65535"},
        {"protocol": "ICMPv4", "destinationPortRange": "1-65535"},
        {"sourceAddressPrefix": "AzureLoadBalancer"},
        {"sourceAddressPrefix": "0.0.0.0/0"},
        {"destinationAddressPrefix": "13.168.100.21"},
    ],
)
def test_what_public_samples_write_is_taken(world: World, change: dict[str, Any]) -> None:
    assert world.put(LIST, rules(SSH | change)).outcome == "created"


def test_http_is_refused_with_what_to_write(world: World) -> None:
    assert "TCP with destinationPortRange 80" in world.refused(LIST, rules(SSH | {"protocol": "http"})).message


def test_two_rules_cannot_have_one_priority(world: World) -> None:
    refusal = world.refused(LIST, rules(SSH, SSH | {"type": "Outbound"}))
    assert refusal.code == "InvalidAclRulePriority"
    assert "r0 and r1" in refusal.message
    world.put(LIST, rules(SSH))
    assert world.refused(f"{LIST}/aclRules/other", SSH).code == "InvalidAclRulePriority"
    assert world.put(f"{LIST}/aclRules/R0", SSH | {"action": "Deny"}).outcome == "replaced"


@pytest.mark.parametrize("member", ["inboundDefaultAction", "outboundDefaultAction"])
def test_a_default_action_is_permit_or_deny(world: World, member: str) -> None:
    refusal = world.refused(LIST, rules(**{member: "Allow"}))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", member)


# -- its number


def numbers(world: World) -> dict[str, int]:
    return {one.resource_id: one.properties.list_number for one in world.state.all("accessControlLists")}


def test_each_list_has_a_number_of_its_own_for_life(world: World) -> None:
    for name in ("a", "b"):
        world.put(f"/accessControlLists/{name}", rules(SSH))
    first = numbers(world)
    world.put(
        "/accessControlLists/a",
        rules(
            SSH | {"action": "Deny"},
        ),
    )
    assert numbers(world) == first
    assert len(set(first.values())) == 2
    assert all(0 < one < 2**24 for one in first.values())
    world.delete("/accessControlLists/a")
    assert world.state.lease(LIST_SCOPE, first["a"]) is None
    world.put("/accessControlLists/c", {})
    assert numbers(world)["c"] not in first.values()


def test_a_number_cannot_be_asked_for(world: World) -> None:
    world.put(LIST, {"listNumber": 77})
    assert numbers(world)["front"] != 77


# -- who names it


def test_a_subnet_names_a_list_that_exists(world: World) -> None:
    for ref in (LIST, "/accessControlLists", "/routeTables/front", "/accessControlLists/front/aclRules/r0"):
        refusal = world.refused("/virtualNetworks/blue/subnets/db", {"addressPrefix": "10.1.2.0/24", **named(ref)})
        assert (refusal.code, refusal.target) == ("InvalidResourceReference", "accessControlList")
    world.put(LIST, rules(SSH))
    world.put("/virtualNetworks/blue/subnets/db", {"addressPrefix": "10.1.2.0/24", **named(LIST.upper())})
    ((network, subnet),) = world.state.subnets_with_list(LIST)
    assert (network.resource_id, subnet.resource_id) == ("blue", "db")
    assert subnet.properties.access_control_list.resource_ref == LIST


def with_list(subnet: str, ref: str = LIST) -> dict[str, Any]:
    body = dynamic_interface(subnet)
    body["ipConfigurations"][0]["properties"] |= named(ref)
    return body


def test_an_ip_configuration_names_a_list(world: World) -> None:
    web = "/virtualNetworks/blue/subnets/web"
    assert world.refused("/networkInterfaces/n1", with_list(web)).code == "InvalidResourceReference"
    world.put(LIST, rules(SSH))
    world.put("/networkInterfaces/n1", with_list(web))
    assert [one.resource_id for one in world.state.interfaces_with_list(LIST)] == ["n1"]
    world.put("/networkInterfaces/n1", dynamic_interface(web))
    assert list(world.state.interfaces_with_list(LIST)) == []


def test_a_list_in_use_cannot_be_deleted(world: World) -> None:
    world.put(LIST, rules(SSH))
    world.put("/networkInterfaces/n1", with_list("/virtualNetworks/blue/subnets/web"))
    refusal = world.refused_delete(LIST)
    assert refusal.code == "InUseAccessControlListCannotBeDeleted"
    assert "/networkInterfaces/n1" in refusal.message
    world.put("/virtualNetworks/red", virtual_network({"web": {"addressPrefix": "10.1.1.0/24", **named()}}))
    world.delete("/networkInterfaces/n1")
    assert "/virtualNetworks/red/subnets/web" in world.refused_delete(LIST).message
    world.delete("/virtualNetworks/red")
    assert world.delete(LIST).outcome == "deleted"


def test_tags_mean_nothing_in_a_logical_subnet(world: World) -> None:
    pool = {"startIpAddress": "10.9.0.10", "endIpAddress": "10.9.0.20"}
    ranges = {"addressPrefix": "10.9.0.0/24", "ipPools": [{"resourceId": "p1", "properties": pool}]}
    world.put("/logicalNetworks/plain", {"subnets": [{"resourceId": "s1", "properties": ranges}]})
    world.put(LIST, rules(SSH))
    world.put("/networkInterfaces/n1", with_list("/logicalNetworks/plain/subnets/s1"))
    refusal = world.refused(LIST, rules(SSH | {"sourceAddressPrefix": "VIRTUALNETWORK"}))
    assert refusal.code == "AclRuleTagsNotSupportedOnLogicalNetwork"
    world.put("/accessControlLists/tagged", rules(SSH | {"destinationAddressPrefix": "INTERNET"}))
    body = with_list("/logicalNetworks/plain/subnets/s1", "/accessControlLists/tagged")
    assert world.refused("/networkInterfaces/n2", body).code == "AclRuleTagsNotSupportedOnLogicalNetwork"
    body = with_list("/virtualNetworks/blue/subnets/web", "/accessControlLists/tagged")
    assert world.put("/networkInterfaces/n2", body).outcome == "created"


def test_a_clone_a_restore_and_an_import_keep_the_filter(world: World) -> None:
    world.put(LIST, rules(SSH))
    world.put("/networkInterfaces/n1", with_list("/virtualNetworks/blue/subnets/web"))
    world.machine("m1", "h1", "Off", "n1")
    world.do(Clone("m1", "m2"))
    assert len(list(world.state.interfaces_with_list(LIST))) == 2
    world.do(TakeCheckpoint("m1", "before"))
    world.do(Restore("m1", "before"))
    assert len(list(world.state.interfaces_with_list(LIST))) == 2


def fixed(address: str) -> dict[str, Any]:
    """An interface with the list, at an address of its own."""
    body = with_list("/virtualNetworks/blue/subnets/web")
    body["ipConfigurations"][0]["properties"] |= {"privateIPAllocationMethod": "Static", "privateIPAddress": address}
    return body


def list_of(world: World) -> str:
    (configuration,) = world.get("/networkInterfaces/n1").properties.ip_configurations
    named = configuration.properties.access_control_list
    return named.resource_ref if named is not None else ""


def test_an_address_that_comes_back_is_filtered_as_it_is_now(world: World) -> None:
    world.put(LIST, rules(SSH))
    world.put("/accessControlLists/later", rules(SSH))
    world.put("/networkInterfaces/n1", fixed("10.1.1.7"))
    world.machine("m1", "h1", "Off", "n1")
    world.do(TakeCheckpoint("m1", "before"))
    changed = fixed("10.1.1.8")
    changed["ipConfigurations"][0]["properties"] |= named("/accessControlLists/later")
    world.put("/networkInterfaces/n1", changed)
    world.do(Restore("m1", "before"))
    assert (
        world.get("/networkInterfaces/n1").properties.ip_configurations[0].properties.private_ip_address == "10.1.1.7"
    )
    assert list_of(world) == "/accessControlLists/later"


@pytest.mark.parametrize("kept", [True, False])
def test_an_interface_that_comes_back_is_filtered_as_it_was(world: World, kept: bool) -> None:
    world.put(LIST, rules(SSH))
    world.put("/networkInterfaces/n1", fixed("10.1.1.7"))
    world.machine("m1", "h1", "Off", "n1")
    world.do(TakeCheckpoint("m1", "before"))
    world.machine("m1", "h1", "Off")
    world.delete("/networkInterfaces/n1")
    if not kept:
        world.delete(LIST)
    world.do(Restore("m1", "before"))
    assert list_of(world) == (LIST if kept else "")


def test_turning_back_forgets_who_names_what(world: World) -> None:
    world.put(LIST, rules(SSH))
    before = copy.deepcopy(world.state)
    web = "/virtualNetworks/blue/subnets/web"
    decisions = [
        world.put(web, {"addressPrefix": "10.1.1.0/24", **named()}),
        world.put("/networkInterfaces/n1", with_list(web)),
        world.put("/accessControlLists/b", {}),
    ]
    for decision in reversed(decisions):
        for change in reversed(decision.changes):
            world.state.revert(change)
    world.state.revision = before.revision
    assert world.state == before


def test_what_texts_of_rules_mean() -> None:
    assert port_range("*") == (0, 65_535)
    assert (port_range("80"), port_range("80-90")) == ((80, 80), (80, 90))
    assert (family_of("*"), family_of("INTERNET"), family_of("10.0.0.0/8"), family_of("fd00::/8")) == (0, 0, 4, 6)


def test_the_first_rule_with_a_tag_is_named(world: World) -> None:
    world.put(LIST, rules(SSH, SSH | {"priority": 200, "sourceAddressPrefix": "INTERNET"}))
    assert first_tagged(world.get(LIST).properties) == "r1"
