"""The cmdlets of the fake host that have to do with disks: checkpoints, exports, copies and moves."""

from tests.unit.fakes.hyperv.one_machine import refusal, world

__all__ = ["world"]


def test_disks_are_made_attached_and_found(world):
    world.type(
        r"""
New-VHD -Path 'C:\VMs\a.vhdx' -SizeBytes 10GB -Dynamic | Out-Null
$drive = Add-VMHardDiskDrive -VMName web1 -Path 'C:\VMs\a.vhdx' -Passthru
Set-VMFirmware -VMName web1 -FirstBootDevice $drive -EnableSecureBoot Off
"""
    )
    assert world.type("(Get-VMHardDiskDrive web1).Path; (Get-VHD 'c:\\vms\\A.vhdx').Size") == [
        "C:\\VMs\\a.vhdx",
        10 << 30,
    ]
    assert "The file exists" in refusal(world, "New-VHD -Path 'C:\\VMs\\a.vhdx' -SizeBytes 1GB")
    assert "already attached to virtual machine 'web1'" in refusal(
        world, "New-VM web2 | Out-Null; Add-VMHardDiskDrive web2 -Path 'C:\\VMs\\a.vhdx'"
    )
    assert "not found" in refusal(world, "Add-VMHardDiskDrive web1 -Path 'C:\\VMs\\b.vhdx'")
    world.host1.files.remove("C:\\VMs\\a.vhdx")
    assert "The system cannot find the file specified" in refusal(world, "Start-VM web1")


def test_a_new_machine_may_have_its_disk_at_once(world):
    world.type(r"New-VM web2 -NewVHDPath 'C:\VMs\w.vhdx' -NewVHDSizeBytes 1GB -Path 'D:\VMs' | Out-Null")
    assert world.type("(Get-VM web2).Path; Test-Path -LiteralPath 'C:\\VMs\\w.vhdx'") == ["D:\\VMs\\web2", True]
    assert "not found" in refusal(world, r"New-VM web3 -VHDPath 'C:\VMs\no.vhdx'")
    assert "virtual switch" in refusal(world, "New-VM web3 -SwitchName no")
    assert world.type("(Get-VM).Name") == ["web1", "web2"]


def test_a_checkpoint_brings_back_adapters_settings_and_disks(world):
    vm = world.console.create("web2", disk=True)
    disk = vm.settings.disks[0].path
    world.console.set_static(vm, 0x001DD8B71C01)
    world.type("Checkpoint-VM web2 -SnapshotName one; Checkpoint-VM web2 -SnapshotName two")
    assert vm.settings.disks[0].path.endswith(".avhdx")
    assert world.type("(Get-VMSnapshot web2).Name; (Get-VM web2).ParentSnapshotName") == ["one", "two", "two"]
    world.console.set_static(vm, 0x001DD8B71C02)
    world.console.annotate(vm, "later")
    assert "NonInteractive" in refusal(world, "Restore-VMSnapshot -VMName web2 -Name one")
    world.type("Get-VMSnapshot web2 -Name one | Restore-VMSnapshot -Confirm:$false")
    assert (world.macs(vm), vm.settings.notes) == (["001DD8B71C01"], "")
    assert world.type("(Get-VM web2).ParentSnapshotName") == ["one"]
    world.type("Remove-VMSnapshot -VMName web2")
    assert vm.settings.disks[0].path == disk
    assert [file.path for file in world.host1.files.below(world.host1.disk_path)] == [disk]
    assert "snapshot with name" in refusal(world, "Get-VMSnapshot web2 -Name one")


def test_disks_of_a_removed_checkpoint_may_be_merged_later(world):
    vm = world.console.create("web2", disk=True)
    disk = vm.settings.disks[0].path
    taken = world.console.checkpoint(vm, "one")
    world.host1.slow_merges = True
    world.host1.forget(vm, taken)
    assert vm.settings.disks[0].path.endswith(".avhdx")
    world.host1.finish_merges()
    assert vm.settings.disks[0].path == disk


def test_a_copy_of_a_machine_with_checkpoints_has_its_disks_whole(world):
    vm = world.console.create("web2", disk=True)
    world.console.checkpoint(vm, "one")
    copy = world.console.clone(vm, "web3")
    assert world.type("Get-VMSnapshot web3 | Remove-VMSnapshot; (Get-VMHardDiskDrive web3).Path") == [
        world.host1.disk_path + "\\web3\\web2.vhdx"
    ]
    assert [file.path for file in world.host1.files.below(world.host1.disk_path + "\\web3")] == [
        copy.settings.disks[0].path
    ]


def test_a_production_checkpoint_has_no_memory(world):
    world.type("Set-VM web1 -CheckpointType Production; Start-VM web1; Checkpoint-VM web1 -SnapshotName cold")
    world.type("Set-VM web1 -CheckpointType Standard; Checkpoint-VM web1 -SnapshotName warm")
    assert world.type("Get-VMSnapshot web1 | ForEach-Object { [string]$_.State }") == ["Off", "Saved"]
    restore = "$ConfirmPreference = 'None'; Restore-VMSnapshot -VMName web1 -Name {}; [string](Get-VM web1).State"
    assert world.type(restore.format("warm")) == ["Running"]
    assert world.type(restore.format("cold")) == ["Off"]
    assert world.type(restore.format("warm")) == ["Saved"]
    assert world.type("Get-VMSnapshot web1 | ForEach-Object { [string]$_.State }") == ["Off", "Saved"]
    assert world.type("Start-VM web1; [string](Get-VM web1).State") == ["Running"]


def test_export_and_import(world):
    vm = world.console.create("web2", disk=True)
    world.console.set_static(vm, 0x001DD8B71C01)
    world.type("Export-VM web2 -Path 'E:\\out'")
    assert "The file exists" in refusal(world, "Export-VM web2 -Path 'E:\\out'")
    find = "(Get-ChildItem -LiteralPath 'E:\\out' -Recurse -File | Where-Object { $_.Name -like '*.vmcx' }).FullName"
    assert "same identifier" in refusal(world, f"Import-VM -Path ({find}) -Copy")
    copy = f"Import-VM -Path ({find}) -Copy -GenerateNewId -VhdDestinationPath 'E:\\new' -VirtualMachinePath 'E:\\new'"
    assert world.type(
        f"$new = {copy}; $new.Name; (Get-VMHardDiskDrive -VM $new).Path; $new.NetworkAdapters.MacAddress"
    ) == [
        "web2",
        "E:\\new\\web2.vhdx",
        "001DD8B71C01",
    ]
    assert len({each.id for each in world.host1.vms}) == 3
    assert "The file exists" in refusal(world, copy)
    world.type("Get-VM web2 | Remove-VM -Force; Import-VM -Path (" + find + ") -Register | Out-Null")
    assert world.host1.vm(vm.id).settings.disks[0].path == "E:\\out\\web2\\Virtual Hard Disks\\web2.vhdx"


def test_a_move_takes_the_disks_along_or_needs_them_shared(world):
    vm = world.console.create("web2", disk=True)
    world.console.start(vm)
    assert "cannot access" in refusal(world, "Move-VM web2 -DestinationHost hv2")
    assert world.host1.vm(vm.id) is vm
    world.type("Move-VM web2 -DestinationHost hv2 -IncludeStorage -DestinationStoragePath 'D:\\VMs'")
    assert world.host2.vm(vm.id) is vm and vm.state == "Running"
    assert world.type("Test-Path -LiteralPath (Get-VMHardDiskDrive web2).Path", world.host2) == [True]
    assert list(world.host1.files.below(world.host1.disk_path)) == []
    assert "No such host is known" in refusal(world, "Move-VM web1 -DestinationHost hv9")
    assert "already on" in refusal(world, "Move-VM web1 -DestinationHost HV1")
    world.host2.switches = ["Other"]
    assert "Could not find Ethernet switch" in refusal(world, "Move-VM web1 -DestinationHost hv2")
    world.host2.trouble.unreachable = True
    assert "failed to establish a connection" in refusal(world, "Move-VM web1 -DestinationHost 192.168.2.20")
