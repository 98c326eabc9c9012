"""The NetWNV records of the fake host, by the rules that users of the real one met.

The values are those of the worked example of Blue (6001) on two hosts.
"""

import pytest

from tests.unit.core.hyperv.worlds import source_004
from tests.unit.fakes.hyperv.world import World
from weft.agent.hyperv.shell import ScriptFailed
from weft.core.hyperv.differences import difference
from weft.core.hyperv.found import read_found
from weft.core.hyperv.network_scripts import APPLY, FOUND
from weft.core.hyperv.policy_script import desired_of
from weft.fakes.hyperv.powershell.errors import PowerShellError
from weft.fakes.hyperv.shell import FakeShell

RDID = "{11111111-2222-3333-4444-000000000000}"
LOOKUP = (
    'New-NetVirtualizationLookupRecord -CustomerAddress "10.1.1.11" -ProviderAddress "192.168.1.10" -VirtualSubnetID'
    ' "6001" -MACAddress "101010101105" -Rule "TranslationMethodEncap"'
)
ROUTE = (
    f'New-NetVirtualizationCustomerRoute -RoutingDomainID "{RDID}" -VirtualSubnetID "6001" -DestinationPrefix'
    ' "10.1.1.0/24" -NextHop "0.0.0.0" -Metric 255'
)


@pytest.fixture
def world():
    return World()


def refusal(world, script):
    with pytest.raises(PowerShellError) as refused:
        world.type(script)
    return refused.value.message


def test_the_five_steps_of_blue(world):
    world.console.create("BlueVM1")
    world.type(
        f"""
Enable-NetAdapterBinding Ethernet -ComponentID ms_netwnv
$made = {LOOKUP}
$made = {ROUTE}
$NIC = (Get-NetAdapter Ethernet).InterfaceIndex
New-NetVirtualizationProviderAddress -InterfaceIndex $NIC -ProviderAddress "192.168.1.10" -PrefixLength 24
New-NetVirtualizationProviderRoute -InterfaceIndex $NIC -DestinationPrefix "0.0.0.0/0" -NextHop "192.168.1.1"
Set-VMNetworkAdapter -VMName BlueVM1 -StaticMacAddress 101010101105
Get-VMNetworkAdapter -VMName BlueVM1 | Where-Object {{ $_.MacAddress -eq "101010101105" }} |
    Set-VMNetworkAdapter -VirtualSubnetId 6001
"""
    )
    names = "'CustomerAddress', 'ProviderAddress', 'VirtualSubnetID', 'MACAddress', 'Context'"
    assert world.read(f"Get-NetVirtualizationLookupRecord | Select-Object -Property {names}") == {
        "CustomerAddress": "10.1.1.11",
        "ProviderAddress": "192.168.1.10",
        "VirtualSubnetID": 6001,
        "MACAddress": "101010101105",
        "Context": "",
    }
    assert world.type("[string](Get-NetVirtualizationLookupRecord).Rule") == ["TranslationMethodEncap"]
    assert world.type("(Get-NetVirtualizationCustomerRoute -VirtualSubnetID 6001).RoutingDomainID") == [RDID]
    assert world.type("[string](Get-NetVirtualizationProviderAddress).AddressState") == ["Preferred"]
    assert world.type("(Get-NetVirtualizationProviderRoute).NextHop") == ["192.168.1.1"]
    assert world.type("(Get-VMNetworkAdapter BlueVM1).VirtualSubnetId") == [6001]


def test_4_9_a_filter_that_finds_nothing_says_nothing(world):
    world.console.create("BlueVM1")
    world.type(
        "Get-VMNetworkAdapter BlueVM1 | Where-Object { $_.MacAddress -eq 'x' } |"
        " Set-VMNetworkAdapter -VirtualSubnetId 6001"
    )
    assert world.type("(Get-VMNetworkAdapter BlueVM1).VirtualSubnetId") == [0]


def test_a_record_is_not_made_twice(world):
    world.type(LOOKUP)
    assert refusal(world, LOOKUP) == "The object already exists."
    world.type(LOOKUP.replace("101010101105", "101010101106"))
    assert world.type("@(Get-NetVirtualizationLookupRecord).Count") == [2]


@pytest.mark.parametrize("vsid", [0, 4095, 16777215])
def test_4_12_a_vsid_must_be_above_4095(world, vsid):
    assert refusal(world, LOOKUP.replace("6001", str(vsid))) == "The parameter is incorrect."


@pytest.mark.parametrize(
    ("old", "new"), [("10.1.1.11", "10.1.1.300"), ("TranslationMethodEncap", "Encap"), ("192.168.1.10", "x")]
)
def test_what_is_no_value_is_refused(world, old, new):
    assert refusal(world, LOOKUP.replace(old, new)) == "The parameter is incorrect."


def test_one_route_for_each_vsid_and_no_gateway_that_ends_in_1(world):
    gateway = ROUTE.replace("10.1.1.0/24", "0.0.0.0/0").replace('NextHop "0.0.0.0"', 'NextHop "10.1.1.254"')
    assert refusal(world, gateway.replace("254", "1")) == "The parameter is incorrect."
    world.type(ROUTE)
    assert refusal(world, gateway) == "The object already exists."


def test_a_provider_address_in_use_elsewhere_is_a_duplicate(world):
    world.host1.in_use.add("192.168.1.10")
    script = 'New-NetVirtualizationProviderAddress -InterfaceIndex {} -ProviderAddress "192.168.1.10" -PrefixLength 24'
    assert refusal(world, script.format(9)) == "Element not found."
    assert world.type(f"[string]({script.format(4)}).AddressState") == ["Duplicate"]
    assert refusal(world, script.format(4)) == "The object already exists."


def test_set_changes_the_provider_address_in_place_and_remove_takes_away(world):
    world.type(LOOKUP + ' -Context "weft:blue"')
    world.type(
        'Set-NetVirtualizationLookupRecord -CustomerAddress "10.1.1.11" -VirtualSubnetID 6001'
        ' -ProviderAddress "192.168.2.20"'
    )
    assert world.type("$r = Get-NetVirtualizationLookupRecord; $r.ProviderAddress; $r.Context") == [
        "192.168.2.20",
        "weft:blue",
    ]
    assert "No matching" in refusal(world, "Remove-NetVirtualizationLookupRecord -CustomerAddress '10.1.1.12'")
    world.type("Get-NetVirtualizationLookupRecord | Remove-NetVirtualizationLookupRecord")
    assert world.type("@(Get-NetVirtualizationLookupRecord).Count") == [0]
    assert "No matching" in refusal(world, "Get-NetVirtualizationLookupRecord -VirtualSubnetID 6001")


def test_the_router_may_be_outside(world):
    world.type("Set-NetVirtualizationGlobal -UseExternalRouter $true")
    assert world.type("(Get-NetVirtualizationGlobal).UseExternalRouter") == [True]


async def test_a_change_that_fails_half_way_is_finished_by_the_next(world):
    shell, desired = FakeShell(world.host1), desired_of(source_004().state, "host1")
    count = "@(Get-NetVirtualizationLookupRecord).Count; @(Get-NetVirtualizationCustomerRoute).Count"

    async def changes():
        return difference(desired, read_found(await shell.run(FOUND, {"Adapter": "Ethernet"}))).changes

    world.host1.trouble.failing["New-NetVirtualizationCustomerRoute"] = "The device is not ready."
    with pytest.raises(ScriptFailed, match="New-NetVirtualizationCustomerRoute: The device is not ready."):
        await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": await changes()})
    assert world.type(count) == [3, 0]
    world.host1.trouble.failing.clear()
    rest = await changes()
    assert not rest.add_lookup_records
    await shell.run(APPLY, {"Adapter": "Ethernet", "Changes": rest})
    assert world.type(count) == [3, 1]
