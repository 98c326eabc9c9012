"""What a machine may be made of."""

import pytest

from weft.core.decide.hardware import checked_hardware
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
    ],
)
def test_what_cannot_be_is_refused_by_its_name(hardware, target):
    with pytest.raises(Invalid) as refused:
        checked_hardware(hardware)
    assert refused.value.target == target
