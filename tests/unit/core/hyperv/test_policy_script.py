"""The script of a host: in order for a host of any name, with all data in its one literal."""

import json
import re

import pytest
from msgspec.structs import replace

from tests.powershell import faults, literals
from tests.unit.core.hyperv.worlds import source_004
from weft.core.hyperv.network_virtualization import Desired
from weft.core.hyperv.policy_script import VERSIONS, Subject, adapter_of, policy_script, script_of
from weft.model.errors import Invalid, NotFound
from weft.model.fabric import ServerInterfaceProperties, ServerProperties
from weft.model.resources import Ref, Resource

HOSTILE = "it's `$(Remove-VM *)` \"$x\" #\r\n'@\n@'\n\u2018\u2019\u201c\u202e\u2028\x00\x07\x7f\U0001f600"


def data_of(text: str):
    (literal,) = literals(text)
    assert literal.startswith("{")
    return json.loads(literal)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("host", ["host1", "host2"])
def test_the_script_of_a_host_parses_and_calls_what_is_documented(host, version):
    assert faults(script_of(source_004().state, host, version)) == []


def test_the_values_of_source_004_go_in():
    data = data_of(script_of(source_004().state, "HOST1"))
    assert (data["Server"], data["Adapter"], data["Warnings"]) == ("host1", "Ethernet", [])
    blue = [record for record in data["LookupRecords"] if not record["Context"].endswith("gateway")]
    assert [
        [record[name] for name in ("CustomerAddress", "ProviderAddress", "VirtualSubnetId", "MacAddress", "Rule")]
        for record in blue
    ] == [
        ["10.1.1.11", "192.168.1.10", 6001, "101010101105", "TranslationMethodEncap"],
        ["10.1.1.12", "192.168.2.20", 6001, "101010101107", "TranslationMethodEncap"],
    ]
    assert data["CustomerRoutes"] == [
        {
            "RoutingDomainId": "{11111111-2222-3333-4444-000000000000}",
            "VirtualSubnetId": 6001,
            "DestinationPrefix": "10.1.1.0/24",
            "NextHop": "0.0.0.0",
            "Metric": 255,
        }
    ]
    assert data["ProviderAddresses"] == [{"ProviderAddress": "192.168.1.10", "PrefixLength": 24, "VlanId": 0}]
    assert data["ProviderRoutes"] == [{"DestinationPrefix": "0.0.0.0/0", "NextHop": "192.168.1.1", "Metric": 0}]
    (port,) = data["Ports"]
    assert (port["Machine"], port["VirtualSubnetId"]) == ("BlueVM1", 6001)
    assert re.fullmatch(r"\{[0-9a-f-]{36}\}", port["ProfileId"])


def test_the_second_version_has_ports_alone():
    data = data_of(script_of(source_004().state, "host2", "v2"))
    assert set(data) == {"Server", "Revision", "Adapter", "Ports"}
    assert [port["Machine"] for port in data["Ports"]] == ["BlueVM2"]


def test_story_4_9_no_adapter_is_looked_for_by_its_mac_address():
    """The address is compared after the adapter was found; it never is what finds it."""
    for version in VERSIONS:
        text = script_of(source_004().state, "host1", version)
        assert not re.search(r"Where-Object \{[^}]*MacAddress", text)


def test_the_steps_stand_in_the_order_of_the_source():
    text = script_of(source_004().state, "host1")
    steps = re.findall(r"^# Steps? (\d)", text, re.MULTILINE)
    assert steps == ["1", "2", "3", "5"]
    cmdlets = [
        *("Enable-NetAdapterBinding", "New-NetVirtualizationLookupRecord", "New-NetVirtualizationCustomerRoute"),
        *("New-NetVirtualizationProviderAddress", "New-NetVirtualizationProviderRoute", "Set-VMNetworkAdapter "),
    ]
    assert sorted(cmdlets, key=text.index) == cmdlets


@pytest.mark.parametrize("version", VERSIONS)
def test_no_name_gets_out_of_the_literal(version):
    """All but the literal's line is the same for every host."""
    hostile = Subject(HOSTILE, 1, HOSTILE)
    text = policy_script(hostile, Desired(warnings=(HOSTILE,)), version)
    assert faults(text) == []
    assert data_of(text)["Adapter"] == HOSTILE
    plain = policy_script(Subject("a", 1), Desired(), version)
    assert [a for a, b in zip(text.splitlines(), plain.splitlines(), strict=True) if a != b] == [
        line for line in text.splitlines() if line.startswith("{")
    ]


def test_what_there_is_not():
    with pytest.raises(Invalid, match="v1 or v2"):
        script_of(source_004().state, "host1", "v3")
    with pytest.raises(NotFound):
        script_of(source_004().state, "nowhere")


def server(*adapters: ServerInterfaceProperties) -> ServerProperties:
    return ServerProperties(
        network_interfaces=tuple(Resource(resource_id=f"nic{n}", properties=one) for n, one in enumerate(adapters))
    )


def nic(name: str, on_provider: bool = False, **values) -> ServerInterfaceProperties:
    subnets = (Ref("/logicalNetworks/hnvpa/subnets/pa1"),) if on_provider else ()
    return ServerInterfaceProperties(interface_name=name, logical_subnets=subnets, **values)


@pytest.mark.parametrize(
    ("adapters", "name"),
    [
        ([], "Ethernet"),
        ([nic("")], "Ethernet"),
        ([nic("pNIC 7")], "pNIC 7"),
        ([nic("management"), nic("storage")], "Ethernet"),
        ([nic("management"), nic("tunnels", on_provider=True)], "tunnels"),
        ([nic("ilo", on_provider=True, is_bmc=True), nic("pNIC 7")], "pNIC 7"),
    ],
)
def test_the_adapter_that_carries_the_tunnels(adapters, name):
    assert adapter_of(server(*adapters)) == name


def test_the_script_names_the_servers_own_adapter():
    world = source_004()
    old = world.state.get("servers", "host1").properties
    world.put("servers", "host1", replace(old, network_interfaces=server(nic("pNIC 7")).network_interfaces))
    assert data_of(script_of(world.state, "host1"))["Adapter"] == "pNIC 7"
