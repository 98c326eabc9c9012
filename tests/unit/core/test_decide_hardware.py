"""What a machine may be made of."""

import pytest

from weft.core.decide.hardware import check_kind, checked_hardware
from weft.model.errors import Invalid
from weft.model.hypervisor import Disk, Hardware

ROOT = Disk("/vms/web1.qcow2", 8)


@pytest.mark.parametrize("hardware", [None, Hardware(), Hardware(4, 4096, (ROOT, Disk("/vms/data.raw", 0)))])
def test_what_can_be_is_kept_as_it_is(hardware):
    assert checked_hardware(hardware) is hardware


@pytest.mark.parametrize(
    ("hardware", "target"),
    [
        (Hardware(0), "hardware.cpu"),
        (Hardware(1, 31), "hardware.memoryMiB"),
        (Hardware(generation=3), "hardware.generation"),
        (Hardware(disks=(ROOT, Disk("/VMs/Web1.qcow2"))), "hardware.disks[1].path"),
        (Hardware(disks=(Disk(),)), "hardware.disks[0].path"),
        (Hardware(disks=(Disk("/etc/passwd"),)), "hardware.disks[0].path"),
        (Hardware(disks=(Disk("/vms/a.raw", source="/etc/passwd"),)), "hardware.disks[0].source"),
        (Hardware(disks=(Disk("/vms/a\nb.raw"),)), "hardware.disks[0].path"),
        (Hardware(disks=(Disk("/vms/a.raw", -1),)), "hardware.disks[0].sizeGib"),
        (Hardware(initrd="/boot/initrd"), "hardware.kernel"),
        (Hardware(disks=(Disk("web1.qcow2", 1),)), "hardware.disks[0].path"),
        (Hardware(disks=(ROOT, Disk("/vms/b.raw", source="../a.raw"))), "hardware.disks[1].source"),
        (Hardware(kernel="vmlinuz"), "hardware.kernel"),
        (Hardware(path="C:vms"), "hardware.path"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(hardware, target):
    with pytest.raises(Invalid) as refused:
        checked_hardware(hardware)
    assert refused.value.target == target


@pytest.mark.parametrize("path", ["/vms/a.vhdx", "D:\\VMs\\a.vhdx", "d:/VMs/a.vhdx", "\\\\san\\vms\\a.vhdx"])
def test_whole_paths_of_either_kind_of_host_can_be(path):
    checked_hardware(Hardware(disks=(Disk(path, 1),)))


NONE = {"generation": 0}
WINDOWS = Disk("D:\\VMs\\a.vhdx", 1)


@pytest.mark.parametrize(
    ("kind", "hardware", "target"),
    [
        ("libvirt", Hardware(generation=2), "hardware.generation"),
        ("libvirt", Hardware(path="/vms", **NONE), "hardware.path"),
        ("libvirt", Hardware(disks=(WINDOWS,), **NONE), "hardware.disks[0].path"),
        ("libvirt", Hardware(kernel="D:\\vmlinuz", **NONE), "hardware.kernel"),
        ("hyperv", Hardware(kernel="/boot/vmlinuz"), "hardware.kernel"),
        ("hyperv", Hardware(disks=(WINDOWS, ROOT)), "hardware.disks[1].path"),
        ("hyperv", Hardware(path="/vms"), "hardware.path"),
    ],
)
def test_what_the_kind_of_hypervisor_has_no_use_for_is_refused(kind, hardware, target):
    with pytest.raises(Invalid) as refused:
        check_kind(hardware, kind)
    assert refused.value.target == target
    check_kind(hardware, "")


def test_what_a_kind_of_hypervisor_can_do_is_not():
    check_kind(Hardware(disks=(ROOT,), kernel="/boot/vmlinuz", initrd="/boot/initrd", **NONE), "libvirt")
    check_kind(Hardware(disks=(WINDOWS,), generation=1, path="\\\\san\\vms"), "hyperv")
