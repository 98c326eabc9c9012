"""What counts as a difference between a file and the controller, and what does not."""

from typing import Any

import pytest

from weft.cli.compare import compare
from weft.cli.files import parse_stream

NIC = """\
kind: networkInterfaces
resourceId: n
properties:
  privateMacAllocationMethod: dynamic
  ipConfigurations:
  - resourceId: ip1
    properties: {subnet: {resourceRef: /virtualNetworks/Blue/subnets/web}}
"""

ANSWER: dict[str, Any] = {
    "resourceRef": "/networkInterfaces/n",
    "resourceId": "n",
    "instanceId": "1",
    "etag": 'W/"1"',
    "properties": {
        "provisioningState": "Succeeded",
        "privateMacAddress": "001DD8B71C00",
        "privateMacAllocationMethod": "Dynamic",
        "isPrimary": True,
        "server": {"resourceRef": "/servers/host1"},
        "counters": [],
        "ipConfigurations": [
            {
                "resourceId": "ip1",
                "properties": {
                    "provisioningState": "Succeeded",
                    "privateIPAddress": "10.1.1.4",
                    "privateIPAllocationMethod": "Dynamic",
                    "subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"},
                    "loadBalancerBackendAddressPools": [],
                },
            }
        ],
    },
}


def differences(text: str, answer: Any) -> list[tuple[str, Any, Any]]:
    (document,) = parse_stream(text, "f").resources
    return [(d.member, d.before, d.after) for d in compare(document, answer)]


def test_what_was_granted_and_the_file_does_not_name_stays() -> None:
    assert differences(NIC, ANSWER) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("privateMacAddress: 00:1d:d8:b7:1c:00", []),
        ("privateMacAddress: 00-1D-D8-B7-1C-01", [("privateMacAddress", "001DD8B71C00", "00-1D-D8-B7-1C-01")]),
        ("isPrimary: 'True'", []),
        ("isPrimary: no", [("isPrimary", True, False)]),
        ("internalDnsNameLabel: n", [("internalDnsNameLabel", None, "n")]),
    ],
)
def test_members_are_compared_by_value(line: str, expected: list[Any]) -> None:
    assert differences(f"{NIC}  {line}\n", ANSWER) == expected


def test_a_default_that_is_left_out_equals_it_written_and_resets_another_value() -> None:
    other = {**ANSWER, "properties": {**ANSWER["properties"], "isPrimary": False}}
    assert differences(NIC, other) == [("isPrimary", False, True)]


def test_children_by_name_added_removed_changed() -> None:
    text = """\
kind: virtualNetworks
resourceId: blue
properties:
  logicalNetwork: {resourceRef: /networking/v1/LogicalNetworks/hnvpa}
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets:
  - {resourceId: WEB, properties: {addressPrefix: 10.1.1.0/24}}
  - {resourceId: db, properties: {addressPrefix: 10.1.2.0/24}}
"""
    answer = {
        "resourceId": "blue",
        "properties": {
            "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
            "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
            "subnets": [
                {"resourceId": "old", "properties": {"addressPrefix": "10.1.9.0/24", "VirtualSubnetId": "6002"}},
                {"resourceId": "web", "properties": {"addressPrefix": "10.1.3.0/24", "VirtualSubnetId": "6001"}},
            ],
        },
    }
    assert differences(text, answer) == [
        ("subnets/WEB/addressPrefix", "10.1.3.0/24", "10.1.1.0/24"),
        ("subnets/db", None, "added"),
        ("subnets/old", "present", None),
    ]


def test_power_is_never_a_difference_but_tags_are() -> None:
    text = "kind: virtualMachines\nresourceId: web1\ntags: {a: 1}\nproperties: {powerState: Off}\n"
    answer = {"resourceId": "web1", "properties": {"powerState": "Running", "checkpoints": []}}
    assert differences(text, answer) == [("tags", None, {"a": "1"})]
