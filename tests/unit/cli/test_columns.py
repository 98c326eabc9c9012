"""What tables show of each kind, and which columns only where there is something in them."""

from typing import Any

import pytest

from weft.cli import columns, texts
from weft.model.kinds import (
    ACCESS_CONTROL_LISTS,
    ADDRESS_PLANS,
    CHECKPOINTS,
    KINDS,
    MAC_POOLS,
    PUBLIC_IP_ADDRESSES,
    RESERVATIONS,
    SERVERS,
    VIRTUAL_GATEWAYS,
    VIRTUAL_MACHINES,
    Kind,
)


def shown(kind: Kind, **properties: Any) -> dict[str, Any]:
    heads, (row,) = columns.table_of(kind, [{"resourceId": "r", "properties": properties}])
    return dict(zip(heads, row, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_has_columns_and_can_be_empty(kind: Kind) -> None:
    assert len(shown(kind)) > 1
    assert columns.table_of(kind, []) == (columns.heads(kind), [])


def test_interfaces_of_a_server_stand_as_people_count() -> None:
    refs = [{"resourceRef": f"/networkInterfaces/{name}"} for name in ("red1", "m10", "m2")]
    assert shown(SERVERS, virtualNetworkInterfaces=refs)["interfaces"] == "m2, m10, red1"


@pytest.mark.parametrize(
    ("user", "name"),
    [("/networkInterfaces/web1-eth0/ipConfigurations/ip1", "web1-eth0"), ("/virtualGateways/blue", "blue")],
)
def test_a_public_address_says_who_has_it(user: str, name: str) -> None:
    assert shown(PUBLIC_IP_ADDRESSES, ipConfiguration={"resourceRef": user})["used by"] == name


def test_an_address_plan() -> None:
    found = shown(ADDRESS_PLANS, prefix="00-15-5D", clusterDigits=2, hostDigits=1, interfaceDigits=3)
    assert found == {
        "name": "r", "addresses": "00155Dcchiii", "clusters": 256, "hosts each": 16, "addresses each": 4096
    }  # fmt: skip


def test_a_checkpoint_says_what_it_holds() -> None:
    interface = {
        "networkInterface": {"resourceRef": "/networkInterfaces/web1-eth0"},
        "macAddress": "00-1D-D8-00-00-01",
        "ipAddresses": [{"resourceId": "ip1", "privateIPAddress": "10.1.1.2"}, {"resourceId": "ip2"}],
    }
    found = shown(
        CHECKPOINTS, virtualMachine={"resourceRef": "/weft/virtualMachines/web1"}, networkInterfaces=[interface]
    )
    assert (found["machine"], found["holds"]) == ("web1", "web1-eth0 00-1D-D8-00-00-01 10.1.1.2")


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([], []),
        (["10.1.1.9"], ["10.1.1.9"]),
        (["10.1.1.10", "10.1.1.9", "10.1.1.12"], ["10.1.1.9 to 10.1.1.10 (2)", "10.1.1.12"]),
        (["00-1D-D8-00-00-FF", "00-1D-D8-00-01-00"], ["00-1D-D8-00-00-FF to 00-1D-D8-00-01-00 (2)"]),
    ],
)
def test_addresses_that_follow_each_other_are_one_range(addresses: list[str], expected: list[str]) -> None:
    assert texts.ranges_of(addresses) == expected
    assert shown(RESERVATIONS, addresses=addresses)["addresses"] == ", ".join(expected)


def test_a_column_that_is_empty_everywhere_is_left_out() -> None:
    plain = {"resourceId": "a", "properties": {"strategy": "central"}}
    excluded = [{"first": "00-1D-D8-00-00-01", "last": "00-1D-D8-00-00-01", "reason": "the router"}]
    drained = {"resourceId": "b", "properties": {"drain": True, "tenantId": "blue", "excluded": excluded}}
    heads, rows = columns.table_of(MAC_POOLS, [plain, drained])
    assert heads[-3:] == ["drain", "only for", "excluded"]
    assert [row[-3:] for row in rows] == [["", "", ""], ["yes", "blue", "00-1D-D8-00-00-01 (the router)"]]
    assert columns.table_of(MAC_POOLS, [plain])[0] == columns.heads(MAC_POOLS)


def test_a_template_and_a_machine_that_is_gone() -> None:
    template = shown(
        VIRTUAL_MACHINES,
        isTemplate=True,
        powerState="Off",
        networks=[{"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}],
    )
    assert (template["power"], template["networks"]) == ("Template", "blue/web")
    assert "checkpoints" not in template
    gone = shown(VIRTUAL_MACHINES, inactive="deleted outside", checkpoints=[{"resourceRef": "/weft/x/a/checkpoints/c"}])
    assert (gone["inactive"], gone["checkpoints"]) == ("deleted outside", "c")


def test_short_names_of_references() -> None:
    assert texts.name_of({"resourceRef": "/virtualNetworks/blue/subnets/web"}) == "blue/web"
    assert texts.name_of("/servers/host1/macRange") == "host1/macRange"
    assert texts.name_of("/weft/virtualMachines/web1/checkpoints/a") == "a"
    assert texts.name_of(None) == ""


def test_what_is_under_way_on_a_machine_and_what_failed() -> None:
    assert {"under way", "failed"}.isdisjoint(shown(VIRTUAL_MACHINES, errand={}))
    asked = shown(VIRTUAL_MACHINES, errand={"kind": "checkpoint", "name": "c", "phase": "asked"})
    assert asked["under way"] == "checkpoint c" and "failed" not in asked
    over = {"kind": "restore", "name": "c", "phase": "failed", "failure": "no space", "ended": "2026-01-02T03:04:05.6Z"}
    failed = shown(VIRTUAL_MACHINES, errand=over)
    assert failed["failed"] == "restore c (2026-01-02T03:04:05Z): no space" and "under way" not in failed


def test_what_keeps_a_move_from_its_end() -> None:
    move = {"source": "/servers/host1", "destination": "/servers/host2", "phase": "withdrawing"}
    found = {"status": "Failure", "detailedInfo": [{"message": "web stands paused: `virsh resume web`"}]}
    assert "failed" not in shown(VIRTUAL_MACHINES, configurationState=found), "it does not move"
    assert "failed" not in shown(VIRTUAL_MACHINES, move=move, configurationState={"status": "Success"})
    told = shown(VIRTUAL_MACHINES, move=move, configurationState=found)
    assert told["failed"] == "move: web stands paused: `virsh resume web`"
    undone = shown(VIRTUAL_MACHINES, creation={"phase": "undoing", "failure": "no space"})
    assert undone["under way"] == "undoing: no space"


def test_an_access_list_says_how_much_it_decided_and_whether_it_is_in_place() -> None:
    rules = [{"resourceId": each, "properties": {"hits": {"packets": 3, "bytes": 180}}} for each in ("ssh", "web")]
    found = shown(
        ACCESS_CONTROL_LISTS,
        aclRules=rules,
        inboundDefaultHits={"packets": 2, "bytes": 84},
        configurationState={"status": "Success"},
    )
    assert (found["rules"], found["packets"], found["status"]) == (2, 8, "Success")
    assert shown(ACCESS_CONTROL_LISTS, aclRules=[{"resourceId": "old", "properties": {}}])["packets"] == 0


def test_a_virtual_gateway_shows_its_connections_and_whether_they_are_up() -> None:
    site = {"connectionType": "GRE", "connectionState": "Connected"}
    found = shown(VIRTUAL_GATEWAYS, networkConnections=[{"resourceId": "site", "properties": site}])
    assert found["connections"] == "site (GRE, Connected)"


def test_a_server_without_a_provider_address_says_why_that_is_right() -> None:
    assert shown(SERVERS, providerAddresses=["192.168.1.10"])["provider addresses"] == "192.168.1.10"
    found = shown(SERVERS, providerAddresses=[], noProviderAddress="nothing here needs one")
    assert found["provider addresses"] == "none: nothing here needs one"
    assert shown(SERVERS, providerAddresses=[])["provider addresses"] == ""
