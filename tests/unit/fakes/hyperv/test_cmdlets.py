"""The cmdlets of the fake host: what they do and what they refuse, in Hyper-V's words."""

import pytest

from tests.unit.fakes.hyperv.one_machine import refusal, world
from weft.core.hyperv.cmdlets import CMDLETS
from weft.fakes.hyperv.cmdlets.table import SPECS, cmdlets_of, missing
from weft.fakes.hyperv.powershell.errors import NotUnderstood

__all__ = ["world"]


PROFILE = """
$id = '9940cd46-8b06-43bb-b9d5-93d50381fd56'
$nic = Get-VMNetworkAdapter -VMName web1
$feature = Get-VMSystemSwitchExtensionPortFeature -FeatureId $id
$feature.SettingData.ProfileId = '{0f8fad5b-d9cb-469f-a165-70867728950e}'
$feature.SettingData.NetCfgInstanceId = '{56785678-a0e5-4a26-bc9b-c0cba27311a3}'
$feature.SettingData.CdnLabelString = 'TestCdn'
$feature.SettingData.CdnLabelId = 1111
$feature.SettingData.ProfileName = 'Testprofile'
$feature.SettingData.VendorId = '{1FA41B39-B444-4E43-B35A-E1F7985FD548}'
$feature.SettingData.VendorName = 'NetworkController'
$feature.SettingData.ProfileData = 1
"""


def test_the_fake_knows_nothing_that_is_not_in_the_table():
    for spec in SPECS:
        page = CMDLETS[spec.name.lower()]
        for word in spec.parameters.split():
            assert page.knows(word.strip("@<!")), (spec.name, word)


def test_what_the_fake_does_not_have_yet_is_loud(world):
    assert {page.name for page in missing().values()} == {
        "Compare-VM",
        "Get-Command",
        "Get-Module",
        "New-Object",
        "Set-Content",
        "Set-ItemProperty",
    }
    for name in missing():
        with pytest.raises(NotUnderstood, match="has no"):
            world.type(f"'x' | {CMDLETS[name].name}")
    with pytest.raises(NotUnderstood, match="the parameter -ComputerName of Get-VM"):
        world.type("Get-VM -ComputerName hv2")
    assert "Start-Sleep" not in cmdlets_of(world.host1)
    assert "'Start-Sleep' is not recognized" in refusal(world, "Start-Sleep 3")
    assert "parameter name 'StaticMac'" in refusal(world, "Set-VMNetworkAdapter -VMName web1 -StaticMac 00")


def test_a_machine_is_found_by_name_pattern_or_id(world):
    other = world.console.create("web2")
    assert world.type("(Get-VM).Name") == ["web1", "web2"]
    assert world.type("(Get-VM 'WEB*').Name") == ["web1", "web2"]
    assert world.type(f"(Get-VM -Id '{other.id}').Name") == ["web2"]
    assert world.type("@(Get-VM 'x*').Count") == [0]
    assert refusal(world, "Get-VM nope") == 'Hyper-V was unable to find a virtual machine with name "nope".'
    gone = "5eed0000-0000-4000-8000-00000000ffff"
    assert refusal(world, f"Get-VM -Id '{gone}'") == f'Hyper-V was unable to find a virtual machine with id "{gone}".'


def test_two_machines_may_bear_one_name(world):
    world.console.create("web1")
    assert world.type("@(Get-VM web1).Count") == [2]
    assert (
        world.type("Get-VM web1 | ForEach-Object { $_.Id } | Select-Object -Unique | Measure-Object").pop().get("Count")
        == 2
    )


def test_a_machine_renamed_or_deleted_between_two_cmdlets(world):
    world.host1.trouble.before["Start-VM"] = lambda: world.console.rename(world.web1, "other")
    world.type("$vm = Get-VM web1; Start-VM -VM $vm")
    assert world.web1.state == "Running"
    world.host1.trouble.before["Stop-VM"] = lambda: world.console.delete(world.web1)
    assert "The object might have been deleted" in refusal(world, "$vm = Get-VM other; Stop-VM -VM $vm -TurnOff")


def test_power(world):
    assert world.type("Start-VM web1; Suspend-VM web1; (Get-VM web1).State -eq 'Paused'") == [True]
    assert world.type("Resume-VM web1; (Get-VM web1).State -eq 'Running'") == [True]
    assert world.type("Save-VM web1; [string](Get-VM web1).State") == ["Saved"]
    assert "current state" in refusal(world, "Stop-VM web1")
    assert world.type("Stop-VM web1 -TurnOff; [string](Get-VM web1).State") == ["Off"]
    assert "current state" in refusal(world, "Save-VM web1")
    assert "current state" in refusal(world, "Suspend-VM web1")
    world.type("Start-VM web1; Start-VM web1")
    assert "current state" in refusal(world, "Set-VM web1 -ProcessorCount 4")
    assert "current state" in refusal(world, "Remove-VM web1 -Force")


def test_what_asks_needs_an_answer_beforehand(world):
    assert "NonInteractive" in refusal(world, "Remove-VM web1")
    world.type("Remove-VM web1 -Force")
    assert world.host1.vms == []


def test_settings_are_kept(world):
    world.type('Set-VM web1 -ProcessorCount 4 -MemoryStartupBytes 4GB -Notes "line`r`nweft: web1 x" -NewVMName web9')
    assert world.read("Get-VM web9 | Select-Object -Property 'Name', 'ProcessorCount', 'MemoryStartup', 'Notes'") == {
        "Name": "web9",
        "ProcessorCount": 4,
        "MemoryStartup": 4 << 30,
        "Notes": "line\r\nweft: web1 x",
    }
    assert "Unable to match the identifier name Never" in refusal(world, "Set-VM web9 -AutomaticStartAction Never")


def test_adapters_are_added_set_and_removed(world):
    world.type(
        "Get-VM web1 | Get-VMNetworkAdapter | Remove-VMNetworkAdapter\n"
        "Add-VMNetworkAdapter web1 -Name eth0 -SwitchName 'Virtual Switch' -StaticMacAddress 00-1D-D8-B7-1C-01\n"
        "Add-VMNetworkAdapter -VMName web1 -Name eth1"
    )
    assert world.read(
        "Get-VMNetworkAdapter -VMName web1 |"
        " Select-Object -Property 'Name', 'MacAddress', 'DynamicMacAddressEnabled', 'SwitchName', 'Connected'"
    ) == [
        {
            "Name": "eth0",
            "MacAddress": "001DD8B71C01",
            "DynamicMacAddressEnabled": False,
            "SwitchName": "Virtual Switch",
            "Connected": True,
        },
        {
            "Name": "eth1",
            "MacAddress": "000000000000",
            "DynamicMacAddressEnabled": True,
            "SwitchName": None,
            "Connected": False,
        },
    ]
    world.type("Connect-VMNetworkAdapter -VMName web1 -Name eth1 -SwitchName 'Virtual Switch'")
    assert world.web1.nics[1].switch == "Virtual Switch"
    world.type("Get-VMNetworkAdapter -VMName web1 | Disconnect-VMNetworkAdapter")
    assert [nic.switch for nic in world.web1.nics] == ["", ""]
    assert "virtual switch with name" in refusal(world, "Connect-VMNetworkAdapter web1 -SwitchName no")
    world.type(
        "Get-VMNetworkAdapter web1 -Name eth0 | Set-VMNetworkAdapter -VirtualSubnetId 6001 -MacAddressSpoofing On"
    )
    assert world.type("(Get-VMNetworkAdapter web1 -Name eth0).VirtualSubnetId") == [6001]
    assert world.type("(Get-VMNetworkAdapter web1 -Name eth0).MacAddressSpoofing") == ["On"]
    assert "out of range" in refusal(world, "Set-VMNetworkAdapter web1 -Name eth0 -VirtualSubnetId 4095")


@pytest.mark.parametrize("mac", ["25:B6:84:17:8C:63", "000000000000"])
def test_0_4_a_group_address_is_refused_as_hyper_v_does(world, mac):
    script = f"Set-VMNetworkAdapter -VMName web1 -StaticMacAddress '{mac}'"
    assert refusal(world, script) == "Failed to modify device 'Synthetic Ethernet Port'."


def test_0_20_a_mac_address_is_one_whatever_its_marks(world):
    world.type("Set-VMNetworkAdapter -VMName web1 -StaticMacAddress '00-11-22-33-44-55'")
    assert world.type("(Get-VMNetworkAdapter web1).MacAddress") == ["001122334455"]
    assert "not a valid MAC address" in refusal(world, "Set-VMNetworkAdapter -VMName web1 -StaticMacAddress 'x'")


def test_0_7_a_setter_may_have_no_effect(world):
    world.host1.trouble.ineffective.add("Set-VMNetworkAdapter")
    world.type("Set-VMNetworkAdapter -VMName web1 -StaticMacAddress 001DD8B71C01")
    assert world.macs(world.web1) == ["000000000000"]


def test_a_cmdlet_fails_before_or_after_it_acted(world):
    world.host1.trouble.failing["Start-VM"] = "no power"
    assert refusal(world, "Start-VM web1") == "no power"
    assert world.web1.state == "Off"
    world.host1.trouble.failing.clear()
    world.host1.trouble.half_way["Start-VM"] = "lost"
    assert refusal(world, "Start-VM web1") == "lost"
    assert world.web1.state == "Running"


def test_0_22_the_port_profile_is_added_once_and_set_afterwards(world):
    read = "Get-VMSwitchExtensionPortFeature -FeatureId $id -VMNetworkAdapter $nic"
    assert world.type(PROFILE + f"@({read}).Count") == [0]
    feature = "-VMSwitchExtensionFeature $feature -VMNetworkAdapter $nic"
    assert "object was not found" in refusal(world, PROFILE + f"Set-VMSwitchExtensionPortFeature {feature}")
    world.type(PROFILE + f"Add-VMSwitchExtensionPortFeature {feature}")
    assert "object exists" in refusal(world, PROFILE + f"Add-VMSwitchExtensionPortFeature {feature}")
    other = "{00000000-d9cb-469f-a165-70867728950e}"
    world.type(
        PROFILE + f"$found = {read}; $found.SettingData.ProfileId = '{other}'; $found.SettingData.ProfileData = 6\n"
        "Set-VMSwitchExtensionPortFeature -VMSwitchExtensionFeature $found -VMNetworkAdapter $nic"
    )
    assert world.type(PROFILE + f"$d = ({read}).SettingData; $d.ProfileId, $d.ProfileData, $d.VendorName") == [
        other,
        6,
        "NetworkController",
    ]


def test_the_fields_of_the_port_profile_have_their_limits(world):
    add = "\nAdd-VMSwitchExtensionPortFeature -VMSwitchExtensionFeature $feature -VMNetworkAdapter $nic"
    long = PROFILE + f"$feature.SettingData.ProfileName = '{'x' * 128}'" + add
    assert "ProfileName is longer than 127" in refusal(world, long)
    assert "Guid" in refusal(world, PROFILE + "$feature.SettingData.ProfileId = 'not-a-guid'" + add)
    with pytest.raises(NotUnderstood, match="setting ProfileIdd"):
        world.type(PROFILE + "$feature.SettingData.ProfileIdd = 1")


def test_a_port_profile_is_copied_with_the_machine_and_kept_by_checkpoints(world):
    world.type(PROFILE + "Add-VMSwitchExtensionPortFeature -VMSwitchExtensionFeature $feature -VMNetworkAdapter $nic")
    clone = world.console.clone(world.web1, "web2")
    assert clone.nics[0].profile == world.web1.nics[0].profile is not None
    world.type("Checkpoint-VM web1 -SnapshotName one")
    read = (
        "$nic = Get-VMSnapshot web1 | Get-VMNetworkAdapter\n$id = '9940cd46-8b06-43bb-b9d5-93d50381fd56'\n"
        "(Get-VMSwitchExtensionPortFeature -FeatureId $id -VMNetworkAdapter $nic).SettingData.ProfileId"
    )
    assert world.type(read) == ["{0f8fad5b-d9cb-469f-a165-70867728950e}"]


def test_a_cluster_has_roles_that_move(world):
    assert "cluster service is not running" in refusal(world, "Get-ClusterGroup")
    world.datacenter.add_cluster("cl1", "hv1", "hv2")
    world.type("Start-VM web1; Add-ClusterVirtualMachineRole -VMId (Get-VM web1).Id | Out-Null")
    assert world.type("(Get-VM web1).IsClustered; (Get-ClusterGroup web1).OwnerNode.Name") == [True, "hv1"]
    assert "already a role" in refusal(world, "Add-ClusterVirtualMachineRole -VMName web1")
    assert "clustered virtual machine" in refusal(world, "Move-VM web1 -DestinationHost hv2")
    world.type("Move-ClusterVirtualMachineRole -Name web1 -Node hv2 -MigrationType Live | Out-Null")
    assert world.type("[string](Get-ClusterGroup web1).State; (Get-ClusterGroup web1).OwnerNode.Name") == [
        "Online",
        "hv2",
    ]
    assert world.host2.vms == [world.web1]
    assert "NonInteractive" in refusal(world, "Remove-ClusterGroup -Name web1")
    world.type("Remove-ClusterGroup -VMId (Get-VM web1).Id -Force -RemoveResources", world.host2)
    assert world.type("@(Get-ClusterGroup).Count; (Get-ClusterNode).Name") == [0, "hv1", "hv2"]
    assert world.host2.vms == [world.web1]


def test_0_10_the_range_of_the_host_is_set_and_forgotten(world):
    assert world.type("(Get-VMHost).MacAddressMinimum; (Get-VMHost).MacAddressMaximum") == [
        "00155D010A00",
        "00155D010AFF",
    ]
    world.type("Start-VM web1; Set-VMHost -MacAddressMinimum 00155D020600 -MacAddressMaximum 00155D0206FF")
    assert world.macs(world.web1) == ["00155D010A00"]
    assert "less than or equal" in refusal(world, "Set-VMHost -MacAddressMinimum 00155D020700")
    world.type(
        r"""
$key = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization'
Remove-ItemProperty -LiteralPath $key -Name 'MinimumMacAddress'
Remove-ItemProperty -LiteralPath $key -Name 'MaximumMacAddress'
Restart-Service -Name vmms
"""
    )
    assert world.type("(Get-VMHost).MacAddressMinimum") == ["00155D010A00"]


def test_4_19_a_binding_is_enabled_on_a_physical_adapter(world):
    read = "(Get-NetAdapterBinding Ethernet -ComponentID ms_netwnv).Enabled"
    assert world.type(read) == [False]
    world.type("Enable-NetAdapterBinding Ethernet -ComponentID ms_netwnv")
    assert world.type(read) == [True]
    assert world.type("(Get-NetAdapter Ethernet).InterfaceIndex") == [4]
    assert "No MSFT_NetAdapter objects" in refusal(world, "Get-NetAdapter Wireless")


def test_files(world):
    script = r"""
New-Item -Path 'C:\a' -ItemType Directory | Out-Null
New-Item -Path 'C:\a\[1].txt' -ItemType File -Value 'x' | Out-Null
Copy-Item -LiteralPath 'C:\a\[1].txt' -Destination 'C:\a\b.txt'
(Get-ChildItem -LiteralPath 'C:\a').Name
Test-Path -LiteralPath 'C:\A\B.TXT' -PathType Leaf
"""
    assert world.type(script) == ["[1].txt", "b.txt", True]
    assert "has children" in refusal(world, r"Remove-Item -LiteralPath 'C:\a'")
    world.type(r"Remove-Item -LiteralPath 'C:\a' -Recurse -Force")
    assert world.type(r"Test-Path -LiteralPath 'C:\a\b.txt'") == [False]
    assert "Cannot find path" in refusal(world, r"Get-Item -LiteralPath 'C:\a'")
    with pytest.raises(NotUnderstood, match="use -LiteralPath"):
        world.type(r"Test-Path 'C:\*'")
