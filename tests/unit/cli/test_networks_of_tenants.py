"""Filters, routes and peerings in files and tables: faults with their lines, nothing to do the second time."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.api.conftest import Api, N, api, app, clock, controller, fabric, with_filters_routes_and_peers  # noqa: F401 - fixtures
from tests.unit.core.world import World
from weft.cli import columns
from weft.cli.compare import compare
from weft.cli.documents import Documents
from weft.cli.faults import BadFile
from weft.cli.files import parse_stream, read_stream
from weft.cli.plan import in_order
from weft.control.controller import Controller
from weft.core import peerings
from weft.core.commands import Batch, Put
from weft.core.commands import Path as Named
from weft.lab.plan import plan
from weft.model.kinds import (
    ACCESS_CONTROL_LISTS,
    ACL_RULES,
    ROUTE_TABLES,
    VIRTUAL_NETWORK_PEERINGS,
    VIRTUAL_NETWORKS,
    VIRTUAL_SUBNETS,
)

EXAMPLE = Path(__file__).parents[3] / "examples" / "tenant-networks.yaml"

RULE = """\
kind: accessControlLists
resourceId: front
properties:
  aclRules:
  - resourceId: ssh
    properties:
      priority: 110
      type: Inbound
      action: Allow
      protocol: TCP
      sourceAddressPrefix: "*"
      sourcePortRange: "*"
      destinationAddressPrefix: 10.1.1.0/24
      destinationPortRange: "22"
"""
AGAIN = RULE + RULE.partition("aclRules:\n")[2].replace("ssh", "again")
TABLE = """\
kind: routeTables
resourceId: hub
properties:
  routes:
  - resourceId: far
    properties:
      addressPrefix: 10.9.0.0/16
      nextHopType: VirtualAppliance
      nextHopIpAddress: 10.1.1.4
"""
PEER = """\
kind: virtualNetworks
resourceId: blue
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/l}
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  virtualNetworkPeerings:
  - resourceId: p
    properties:
      remoteVirtualNetwork: {resourceRef: /virtualNetworks/red}
"""
RED = PEER.replace("blue", "RED").partition("  virtualNetworkPeerings")[0]


def test_the_pieces_are_right_as_they_are() -> None:
    parse_stream("---\n".join((RULE, TABLE, PEER, RED.replace("10.1", "10.2"))), "f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE.replace("110", "99"), "f:7: priority 99 is not for users; write 100 to 65000"),
        (RULE.replace("      priority: 110\n", ""), "f:6: priority is missing; write priority: 101"),
        (AGAIN, "f:17: priority 110 is already in line 7; give each rule its own"),
        (RULE.replace("Inbound", "In"), "f:8: 'In' is no type; write Inbound or Outbound"),
        (RULE.replace("Allow", "Permit"), "f:9: 'Permit' is no action; write Allow or Deny"),
        (RULE.replace("TCP", "HTTP"), "f:10: 'HTTP' is no protocol; write TCP or UDP or ICMPv4 or ICMPv6 or All"),
        (
            RULE.replace("10.1.1.0/24", "10.1.1.1/24"),
            "f:13: '10.1.1.1/24' is not a prefix; its host bits are set: write 10.1.1.0/24",
        ),
        (RULE.replace('"22"', "22-"), "f:14: '22-' is no range of ports"),
        (RULE.replace("TCP", "ICMPv4"), 'f:14: ICMPv4 has no ports; write "*"'),
        (
            RULE.replace("  aclRules", "  inboundDefaultAction: Drop\n  aclRules"),
            "f:4: 'Drop' is no inboundDefaultAction",
        ),
        (TABLE.replace("10.9.0.0/16", "10.9.0.1/16"), "f:7: '10.9.0.1/16' is not a prefix"),
        (TABLE.replace("VirtualAppliance", "Gateway"), "f:8: 'Gateway' is no nextHopType; write VirtualAppliance or"),
        (TABLE.replace("VirtualAppliance", "VnetLocal"), "f:9: nextHopIpAddress only goes with nextHopType"),
        (TABLE.replace("      nextHopIpAddress: 10.1.1.4\n", ""), "f:8: the appliance's address is missing"),
        (
            TABLE + TABLE.partition("routes:\n")[2].replace("far", "again"),
            "f:12: there is a route for 10.9.0.0/16 in line 7; keep one of them",
        ),
        (PEER.replace("/red", "/Blue"), "f:9: a network cannot be a peer of itself; name another one"),
        (
            PEER + PEER.partition("Peerings:\n")[2].replace("p\n", "q\n", 1).replace("red", "Red"),
            "f:12: there is a peering with /virtualnetworks/red in line 9; keep one of them",
        ),
        (PEER + "---\n" + RED, "f:9: 10.1.0.0/16 of /virtualNetworks/red overlaps 10.1.0.0/16; peers share no"),
        (PEER.replace("red", "red/subnets/web"), "f:9: remoteVirtualNetwork refers to"),
        (
            PEER.replace("  addressSpace", "  networkVirtualizationProtocol: GENEVE\n  addressSpace"),
            "f:5: 'GENEVE' is no networkVirtualizationProtocol; write VXLAN or NVGRE or Rewrite",
        ),
    ],
)
def test_a_fault_is_found_in_the_file_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse_stream(text, "f")
    assert said in str(caught.value)


def test_a_word_that_is_none_is_said_once() -> None:
    with pytest.raises(BadFile) as caught:
        parse_stream(TABLE.replace("VirtualAppliance", "VirtualAplliance"), "f")
    assert [(fault.line, fault.message.split(";")[0]) for fault in caught.value.faults] == [
        (8, "'VirtualAplliance' is no nextHopType")
    ]
    with pytest.raises(BadFile) as caught:
        parse_stream(RULE.replace("10.1.1.0/24", "VIRTUALNETWROK"), "f")
    assert "'VIRTUALNETWROK' is no prefix and none of VIRTUALNETWORK, " in str(caught.value)


def test_the_example_is_one_batch_that_the_rules_take() -> None:
    """As the controller will as soon as hosts do all of it; applied again it changes nothing."""
    world = World()
    puts = Batch(
        tuple(
            Put(Named(one.kind.name, one.id), msgspec.convert(one.body, one.kind.type, strict=False))
            for one in in_order(Documents(plan(read_stream(EXAMPLE)).resources))
        )
    )
    assert {part.outcome for part in world.do(puts).parts} == {"created"}
    shop = world.get("/virtualNetworks/shop")
    assert [remote.resource_id for _, _, remote in peerings.connected(world.state, shop)] == ["stock"]
    assert world.do(puts).outcome == "unchanged"


def found(text: str, present: Any) -> list[str]:
    (document,) = parse_stream(text, "f").resources
    return [each.member for each in compare(document, present)]


async def test_what_was_applied_differs_in_nothing(fabric: Api, controller: Controller) -> None:  # noqa: F811
    await with_filters_routes_and_peers(fabric, controller)
    spelt = RULE.replace("TCP", "tcp").replace('"22"', "22").replace('sourcePortRange: "*"', "sourcePortRange: 0-65535")
    spelt = spelt.replace("priority: 110", "priority: 110\n      description: SSH")
    spelt = spelt.replace("  aclRules", "  inboundDefaultAction: deny\n  aclRules")
    assert found(spelt, await fabric.body(f"{N}/accessControlLists/front")) == []
    assert found(spelt.replace("tcp", "UDP"), await fabric.body(f"{N}/accessControlLists/front")) == [
        "aclRules/ssh/protocol"
    ]
    assert found(TABLE, await fabric.body(f"{N}/routeTables/hub")) == []
    blue = PEER.replace("resourceId: p", "resourceId: to-red").replace("/l}", "/hnvpa}")
    blue += (
        "  subnets:\n  - resourceId: web\n    properties:\n      addressPrefix: 10.1.1.0/24\n"
        "      accessControlList: {resourceRef: /accessControlLists/front}\n"
        "      routeTable: {resourceRef: /routeTables/Hub}\n"
    )
    assert found(blue, await fabric.body(f"{N}/virtualNetworks/blue")) == []


async def test_tables_show_who_is_filtered_routed_and_joined(fabric: Api, controller: Controller) -> None:  # noqa: F811
    await with_filters_routes_and_peers(fabric, controller)

    async def shown(kind: Any, path: str) -> dict[str, Any]:
        heads, rows = columns.table_of(kind, [await fabric.body(f"{N}{path}")])
        return dict(zip(heads, rows[0], strict=True))

    assert await shown(ACCESS_CONTROL_LISTS, "/accessControlLists/front") == {
        "name": "front",
        "rules": 1,
        "inbound": "1, then Deny",
        "outbound": "Permit",
        "filters": "blue/web, n9",
        "packets": 0,
        "status": None,
    }
    rule = await shown(ACL_RULES, "/accessControlLists/front/aclRules/ssh")
    assert (rule["from"], rule["to"], rule["priority"]) == ("*", "10.1.1.0/24 22", "110")
    table = await shown(ROUTE_TABLES, "/routeTables/hub")
    assert (table["routes"], table["subnets"]) == ("10.9.0.0/16 -> 10.1.1.4", "blue/web")
    peer = await shown(VIRTUAL_NETWORK_PEERINGS, "/virtualNetworks/blue/virtualNetworkPeerings/to-red")
    assert (peer["with"], peer["state"], peer["access"], peer["their addresses"]) == (
        "red", "Connected", "yes", "10.2.0.0/16",
    )  # fmt: skip
    assert (await shown(VIRTUAL_NETWORKS, "/virtualNetworks/blue"))["peers"] == "red (Connected)"
    subnet = await shown(VIRTUAL_SUBNETS, "/virtualNetworks/blue/subnets/web")
    assert (subnet["access list"], subnet["routes"]) == ("front", "hub")
