"""Faults of files: each found, all together, with line and what to do."""

# ruff: noqa: E501 - whole messages in one table read better unbroken

from pathlib import Path

import pytest

from tests.unit.cli.faults import faults
from weft.cli.documents import document
from weft.cli.faults import BadFile
from weft.cli.files import parse_stream, read_stream

NETWORK = """\
kind: virtualNetworks
resourceId: blue
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/hnvpa}
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets:
  - resourceId: web
    properties: {addressPrefix: 10.1.1.0/24}
"""


def test_a_good_stream_is_typed_and_keeps_only_what_was_written() -> None:
    documents = parse_stream(
        NETWORK + "---\nkind: LAB/host\nresourceId: host1\nproperties: {gateway: 192.168.1.1}\n", "f"
    )
    (blue,) = documents.resources
    assert blue.name == "virtualNetworks/blue"
    assert blue.body == {
        "resourceId": "blue",
        "properties": {
            "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
            "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
            "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}],
        },
    }
    assert blue.line(("properties", "subnets", 0, "properties", "addressPrefix")) == 8
    (host,) = documents.lab
    assert (host.kind, host.id, host.properties, host.line) == ("lab/host", "host1", {"gateway": "192.168.1.1"}, 10)


def test_a_mac_of_digits_alone_is_text_whatever_yaml_thinks_of_it() -> None:
    for mac in ("001122334455", "0015E0112233", "112233445566", "00:15:50:11:22:33"):
        members = f"privateMacAllocationMethod: Static, privateMacAddress: {mac}"
        text = f"kind: networkInterfaces\nresourceId: n\nproperties: {{{members}}}\n"
        (nic,) = parse_stream(text, "f").resources
        assert nic.body["properties"]["privateMacAddress"] == mac


def test_numbers_booleans_and_member_names_in_any_spelling() -> None:
    text = """\
Kind: logicalnetworks
resourceID: hnvpa
properties:
  NetworkVirtualizationEnabled: "True"
  subnets: [{resourceId: pa, properties: {addressPrefix: 192.168.1.0/24, vlanid: "7"}}]
"""
    (network,) = parse_stream(text, "f").resources
    assert network.body["properties"]["networkVirtualizationEnabled"] is True
    assert network.body["properties"]["subnets"][0]["properties"]["vlanID"] == 7


def test_anchors_and_merge_keys() -> None:
    text = NETWORK.replace("{addressPrefix: 10.1.1.0/24}", "&p {addressPrefix: 10.1.1.0/24}")
    text += "  - resourceId: db\n    properties: {<<: *p, addressPrefix: 10.1.2.0/24}\n"
    (blue,) = parse_stream(text, "f").resources
    assert [s["properties"]["addressPrefix"] for s in blue.body["properties"]["subnets"]] == [
        "10.1.1.0/24",
        "10.1.2.0/24",
    ]


def test_what_weft_get_prints_can_be_applied() -> None:
    text = (
        NETWORK
        + '  provisioningState: Succeeded\n  configurationState: {status: Success}\netag: W/"1"\nresourceRef: /x\n'
    )
    (blue,) = parse_stream(text, "f").resources
    assert "provisioningState" not in blue.body["properties"]
    assert "etag" not in blue.body


def test_a_member_that_is_not_kept_is_a_note_not_a_fault() -> None:
    documents = parse_stream(NETWORK + "  futureThing: 1\n", "f.yaml")
    assert [str(n) for n in documents.notes] == [
        "f.yaml:9: 'futureThing' is not kept by this controller; it is left out"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: virtualNetwork\nresourceId: a\n", "f.yaml:1: unknown kind 'virtualNetwork'; did you mean virtualNetworks?"),
        ("kind: subnets\n", "f.yaml:1: unknown kind 'subnets'; they are written inside their logicalNetworks or virtualNetworks"),
        ("resourceId: a\n", "f.yaml:1: kind is missing; write one of virtualNetworkManager, macPools"),
        ("kind: servers\n", "f.yaml:1: resourceId is missing; give"),
        ("kind: servers\nresourceId: a/b\n", "f.yaml:2: 'a/b' is no resource id; use 1 to 64"),
        ("- 1\n", "f.yaml:1: not a resource; write kind"),
        ("# nothing\n", "f.yaml:1: holds no document; write"),
        ("kind: servers\nresourceId: a\n---\nkind: [\n", "f.yaml:5: not YAML: "),
        ("kind: servers\nresourceId: a\n---\nkind: servers\nresourceId: A\n", "f.yaml:5: servers/A is already in line 1;"),
        ("kind: servers\nresourceId: a\nresourceId: b\n", "f.yaml:3: resourceId is written twice; keep one"),
        ("kind: servers\nresourceId: a\nproperties: []\n", "f.yaml:3: properties is a list; write members"),
        (NETWORK.replace("10.1.1.0/24", "10.1.1.5/24"), "f.yaml:8: '10.1.1.5/24' is not a prefix; its host bits are set: write 10.1.1.0/24"),
        (NETWORK.replace("10.1.1.0/24", "10.2.1.0/24"), "f.yaml:8: 10.2.1.0/24 is outside the address space 10.1.0.0/16;"),
        (NETWORK.replace("addressPrefix:", "adressPrefix:"), "f.yaml:8: unknown member 'adressPrefix'; did you mean addressPrefix?"),
        (NETWORK.replace("24}", "24, virtualSubnetId: 12}"), "f.yaml:8: VSID 12 is reserved; write 4096"),
        (NETWORK.replace("24}", "24, virtualSubnetId: x}"), "f.yaml:8: virtualSubnetId is 'x'; write a whole number"),
        (NETWORK + "  - {resourceId: b, properties: {addressPrefix: 10.1.0.0/16}}\n", "f.yaml:9: 10.1.0.0/16 overlaps 10.1.1.0/24 of line 8; choose disjoint prefixes"),
        (NETWORK + "  - {resourceId: WEB, properties: {addressPrefix: 10.1.2.0/24}}\n", "f.yaml:9: 'web' is already in line 7;"),
        (NETWORK.replace("{resourceRef: /logicalNetworks/hnvpa}", "hnvpa"), "f.yaml:4: logicalNetwork is 'hnvpa'; write {resourceRef: /logicalNetworks/hnvpa}"),
        (NETWORK.replace("{resourceRef: /logicalNetworks/hnvpa}", "/logicalNetworks/hnvpa"), "f.yaml:4: logicalNetwork is '/logicalNetworks/hnvpa'; write {resourceRef: /logicalNetworks/hnvpa}"),
        (NETWORK + "  addressPrefixes: [10.1.0.0/16]\n", "f.yaml:9: addressPrefixes is no member here; write it inside addressSpace"),
        (NETWORK + "  encryptionEnabled: true\n", "f.yaml:9: encryptionEnabled is no member here; write it inside subnets/properties"),
        (NETWORK + "  - {resourceId: b, virtualSubnetId: 6002, properties: {addressPrefix: 10.1.2.0/24}}\n", "f.yaml:9: virtualSubnetId is no member here; write it inside properties"),
        (NETWORK.replace("24}", "24, acl: front}"), "f.yaml:8: unknown member 'acl'; did you mean accessControlList?"),
        (NETWORK.replace("/logicalNetworks/", "/logicalNetwork/"), "f.yaml:4: logicalNetwork refers to '/logicalNetwork/hnvpa'; write"),
    ],
)  # fmt: skip
def test_each_fault_names_line_and_remedy(text: str, expected: str) -> None:
    (fault,) = faults(text)
    assert fault.startswith(expected)


WEB = "subnet: {resourceRef: /virtualNetworks/blue/subnets/web}"


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ("privateMacAddress: 00-11-22", "'00-11-22' is not a MAC address; write six octets"),
        ("privateMacAllocationMethod: Static", "a Static interface has no privateMacAddress; write one"),
        ("privateMacAllocationMethod: Sometimes", "'Sometimes' is no allocation method; write Static or Dynamic"),
        ("isPrimary: perhaps", "isPrimary is 'perhaps'; write true or false"),
        (
            f"ipConfigurations: [{{resourceId: a, properties: {{privateIPAddress: 10.1.1.300, {WEB}}}}}]",
            "'10.1.1.300' is not an IP",
        ),
        ("ipConfigurations: {resourceId: a}", "ipConfigurations is members; write a list"),
        (
            "ipConfigurations: [{resourceId: a, properties: {subnet: {resourceRef: /virtualNetworks/blue}}}]",
            "subnet refers",
        ),
        (
            "ipConfigurations: [{resourceId: a, properties: {subnet: /virtualNetworks/blue/subnets/web}}]",
            "subnet is '/virtualNetworks/blue/subnets/web'; write {resourceRef: /virtualNetworks/blue/subnets/web}",
        ),
        ("ipConfigurations: [{resourceId: a, properties: {}}]", "subnet is missing; write subnet: {resourceRef: /virt"),
        (
            f"ipConfigurations: [{{resourceId: a, properties: {{privateIPAddress: 10.1.1.12, {WEB}}}}}]",
            "10.1.1.12 would not be asked for; write privateIPAllocationMethod: Static beside it",
        ),
        ("isPrimary: true", "privateMacAllocationMethod is missing; write privateMacAllocationMethod: Dynamic, or"),
    ],
)
def test_faults_of_interfaces(member: str, expected: str) -> None:
    said = (
        ""
        if "Method is missing" in expected or "MacAllocation" in member
        else "  privateMacAllocationMethod: Dynamic\n"
    )
    (fault,) = faults(f"kind: networkInterfaces\nresourceId: n\nproperties:\n  {member}\n{said}")
    assert f": {expected}" in fault
    assert fault.startswith(("f.yaml:4: ", "f.yaml:3: "))


def test_pools_out_of_order_outside_and_overlapping() -> None:
    found = faults("""\
kind: logicalNetworks
resourceId: hnvpa
properties:
  subnets:
  - resourceId: pa
    properties:
      addressPrefix: 192.168.1.0/24
      ipPools:
      - {resourceId: a, properties: {startIpAddress: 192.168.1.10, endIpAddress: 192.168.1.50}}
      - {resourceId: b, properties: {startIpAddress: 192.168.1.50, endIpAddress: 192.168.1.60}}
      - {resourceId: c, properties: {startIpAddress: 192.168.1.90, endIpAddress: 192.168.1.80}}
      - {resourceId: d, properties: {startIpAddress: 192.168.2.1, endIpAddress: 192.168.2.2}}
""")
    assert [f.split(";")[0] for f in found] == [
        "f.yaml:10: 192.168.1.50 to 192.168.1.60 overlaps the pool 192.168.1.10 to 192.168.1.50 of line 9",
        "f.yaml:11: the end 192.168.1.80 lies before the start 192.168.1.90",
        "f.yaml:12: 192.168.2.1 is not inside the subnet 192.168.1.0/24",
        "f.yaml:12: 192.168.2.2 is not inside the subnet 192.168.1.0/24",
    ]


def test_the_two_subnets_of_a_dual_stack_pair_may_say_the_vsid_that_they_share() -> None:
    pair = """kind: virtualNetworks
resourceId: green
properties:
  logicalNetwork: {resourceRef: /logicalNetworks/hnvpa}
  addressSpace: {addressPrefixes: [10.2.0.0/16, "fd00:2::/48"]}
  subnets:
  - resourceId: app
    properties:
      addressPrefix: 10.2.0.0/24
      virtualSubnetId: "4096"
      dualStackSubnet: {resourceRef: /virtualNetworks/green/subnets/app6}
  - {resourceId: app6, properties: {addressPrefix: "fd00:2::/64", virtualSubnetId: "4096"}}
"""
    third = '  - {resourceId: db, properties: {addressPrefix: 10.2.1.0/24, virtualSubnetId: "4096"}}\n'
    assert [fault.split(";")[0] for fault in faults(pair + third) if "VSID" in fault] == [
        "f.yaml:13: VSID 4096 is already taken by virtualNetworks/green, line 10"
    ]


def test_what_two_documents_may_not_share() -> None:
    text = NETWORK.replace("24}", "24, virtualSubnetId: 6001}")
    pool = "kind: macPools\nresourceId: {}\nproperties: {{startMacAddress: 00-1D-D8-00-00-00, endMacAddress: 00-1D-D8-00-00-FF}}\n"
    machine = "kind: virtualMachines\nresourceId: {}\nproperties: {{networkInterfaces: [{{resourceRef: /networkInterfaces/n}}]}}\n"
    parts = [
        text,
        text.replace("blue", "red"),
        pool.format("p"),
        pool.format("q"),
        machine.format("a"),
        machine.format("b"),
    ]
    assert [f.split(";")[0] for f in faults("---\n".join(parts))] == [
        "f.yaml:17: VSID 6001 is already taken by virtualNetworks/blue, line 8",
        "f.yaml:25: 00-1D-D8-00-00-00 to 00-1D-D8-00-00-FF overlaps macPools/p, line 21",
        "f.yaml:33: the interface /networkinterfaces/n is already taken by virtualMachines/a, line 29",
    ]


def test_all_faults_at_once() -> None:
    assert len(faults("kind: nonsense\n---\nkind: servers\n---\n" + NETWORK.replace("10.1.1.0/24", "x"))) == 3


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none.yaml:1: cannot be read \(No such file or directory\); name a YAML file"):
        read_stream(tmp_path / "none.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="not UTF-8"):
        read_stream(tmp_path / "binary")


def test_a_document_of_no_file() -> None:
    made = document("Servers", "host1", {"providerAddresses": ["192.168.1.10"]}, "lab.yaml", 3)
    assert (made.name, made.line(("properties", "providerAddresses"))) == ("servers/host1", 3)


@pytest.mark.slow
def test_a_stream_nested_without_end_is_a_fault_and_no_failure() -> None:
    with pytest.raises(BadFile, match="f:1: is nested more deeply"):
        parse_stream("[" * 3000 + "]" * 3000, "f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{kind: virtualNetworkManager, properties: {networkVirtualizationProtocol: GENEVE}}", "f:1: 'GENEVE' is no"),
        (
            "kind: macPools\nresourceId: p\nproperties:\n  startMacAddress: 01-00-00-00-00-00\n"
            "  endMacAddress: 01-00-00-00-00-0F",
            "f:4: the pool would hold group addresses, 01-00-00-00-00-00 the first",
        ),
        (
            "kind: macPools\nresourceId: p\nproperties:\n  startMacAddress: 00-00-5D-FF-FF-FF\n"
            "  endMacAddress: 00-00-5E-00-00-0F",
            "f:4: the pool would hold 00-00-5E-00-00-00, and 00-00-5E belongs to IANA",
        ),
        (
            "kind: virtualNetworks\nresourceId: n\nproperties:\n  logicalNetwork: {resourceRef: /logicalNetworks/l}\n"
            "  addressSpace:\n    addressPrefixes:\n    - 10.0.0.0/8\n    - 10.0.0.0/8",
            "f:8: 10.0.0.0/8 overlaps 10.0.0.0/8 of line 7",
        ),
    ],
)
def test_what_the_controller_would_refuse_first_is_seen_in_the_file(text: str, said: str) -> None:
    with pytest.raises(BadFile) as caught:
        parse_stream(text, "f")
    assert said in str(caught.value)
