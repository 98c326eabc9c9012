"""Remedies name the tools of whoever has the machines in his hands: PowerCLI for vSphere, VMM's cmdlets for VMM."""

from tests.unit.core.audit.world import host, machine, nic, only, report

M = "02-00-00-00-00-01"
ESX = {"name": "esx1", "type": "vmware", "managedBy": "vcenter"}


def test_vsphere_is_told_by_powercli_with_an_address_that_it_takes() -> None:
    twins = [machine("a", "esx1", nic(M, "static")), machine("it's [b]", "esx1", nic(M, "static"))]
    stop, wait, change, start = only(report([ESX], twins), "duplicateMac").commands
    which = "Get-VMHost -Name 'esx1' | Get-VM -Name 'it''s `[b`]'"
    assert stop == f"{which} | Stop-VMGuest -Confirm:$false"
    assert wait == f"while (({which}).PowerState -ne 'PoweredOff') {{ Start-Sleep 1 }}"
    assert change == (
        f"{which} | Get-NetworkAdapter | Where-Object MacAddress -eq '02:00:00:00:00:01' | "
        "Set-NetworkAdapter -MacAddress '00:50:56:00:00:00' -Confirm:$false"
    )
    assert start == f"{which} | Start-VM"


def test_a_machine_of_vsphere_that_is_off_is_only_changed() -> None:
    taken = machine("c", "esx1", nic("00-50-56-00-00-00", "static"))
    both = [
        machine("a", "esx1", nic(M, "static"), nic(M, "static"), power="off"),
        machine("b", "esx1", nic(M, "static")),
    ]
    lines = only(report([ESX], [taken, *both]), "duplicateAtStart").commands
    assert all(" | Select-Object -First 1 | Set-NetworkAdapter -MacAddress '00:50:56:00:00:0" in line for line in lines)
    assert "00:50:56:00:00:01" in lines[0]


def test_what_vmm_has_is_changed_in_vmm() -> None:
    hosts = [host("n1", managedBy="scvmm")]
    twins = [machine("a", "n1", nic(M)), machine("b", "n1", nic(M), id="GUID'1")]
    stop, change, start = only(report(hosts, twins), "duplicateMac").commands
    which = "Get-SCVirtualMachine | Where-Object VMId -eq 'GUID''1'"
    assert stop == f"{which} | Stop-SCVirtualMachine -Shutdown"
    assert change == (
        f"{which} | Get-SCVirtualNetworkAdapter | Where-Object MACAddress -eq '02:00:00:00:00:01' | "
        "Set-SCVirtualNetworkAdapter -MACAddressType Static -MACAddress '02:57:00:00:00:00'"
    )
    assert start == f"{which} | Start-SCVirtualMachine"
    off = [machine("b", "n1", nic(M)), machine("it's", "n1", nic(M, "static"), nic(M, "static"), power="off")]
    for line in only(report(hosts, off), "duplicateAtStart").commands:
        assert line.startswith("Get-SCVirtualMachine -Name 'it''s' | Get-SCVirtualNetworkAdapter | Where-Object ")
        assert " | Select-Object -First 1 | Set-SCVirtualNetworkAdapter " in line


def test_a_snapshot_of_vsphere_is_taken_anew() -> None:
    point = [{"name": "before", "interfaces": [nic(M, "static")]}]
    machines = [
        machine("a", "esx1", nic("02-00-00-00-00-02", "static"), checkpoints=point),
        machine("b", "esx1", nic(M)),
    ]
    found = only(report([ESX], machines), "duplicateAtRollback")
    assert "take the snapshot anew" in found.remedy
    assert found.commands == ("weft import INVENTORY",)
