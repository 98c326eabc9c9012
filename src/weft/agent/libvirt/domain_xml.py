"""The domain of a machine that Weft defines. Pure; called by the driver's definitions.

Format: https://libvirt.org/formatdomain.html. Every adapter has a static MAC address: libvirt draws one (52:54:00 and
three random octets) where none is given, and QEMU by itself gives every machine the same.
"""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import msgspec

from weft.agent.libvirt.mark import Mark, put_mark
from weft.model.hypervisor import Disk, Hardware
from weft.model.records import PortBinding
from weft.model.values import mac_colons

DISK_FORMATS = {".qcow2": "qcow2", ".raw": "raw", ".img": "raw", ".vhdx": "vhdx", ".vhd": "vpc"}
"""QEMU's name of the format by what the file's name ends with; anything else is raw."""


class Platform(msgspec.Struct, frozen=True):
    """What the host's QEMU offers."""

    domain_type: str = "qemu"
    """kvm, or qemu where the processor cannot be used directly."""
    machine: str = "q35"
    """q35, or pc where that is all there is."""
    arch: str = "x86_64"
    bridge: str = "br-int"
    """Where adapters go that name no other."""
    most_processors: int = 0
    """Of one machine; 0 if it is not known."""


def disk_format(path: str) -> str:
    stem, dot, ending = path.rpartition(".")
    return DISK_FORMATS.get(f"{dot}{ending}".lower(), "raw") if stem else "raw"


def domain_xml(mark: Mark, hardware: Hardware, ports: Sequence[PortBinding], platform: Platform) -> str:
    """The whole document; `mark` names the machine and its new UUID."""
    domain = ET.Element("domain", type=platform.domain_type)
    _text(domain, "name", mark.name)
    _text(domain, "uuid", mark.uuid)
    put_mark(domain, mark)
    ET.SubElement(domain, "memory", unit="MiB").text = str(hardware.memory_mib)
    _text(domain, "vcpu", str(hardware.cpu))
    _boot(domain, hardware, platform)
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if platform.domain_type == "kvm":
        ET.SubElement(domain, "cpu", mode="host-model")
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(domain, event, action)
    devices = ET.SubElement(domain, "devices")
    for place, disk in enumerate(hardware.disks):
        devices.append(disk_element(disk, place))
    for port in ports:
        devices.append(interface_element(port, hardware.switch or platform.bridge))
    _console(devices)
    return ET.tostring(domain, encoding="unicode")


def disk_element(disk: Disk, place: int) -> ET.Element:
    """vda, vdb ..."""
    made = ET.Element("disk", type="file", device="disk")
    ET.SubElement(made, "driver", name="qemu", type=disk_format(disk.path), discard="unmap")
    ET.SubElement(made, "source", file=disk.path)
    ET.SubElement(made, "target", dev=f"vd{chr(ord('a') + place)}", bus="virtio")
    return made


def interface_element(port: PortBinding, bridge: str) -> ET.Element:
    """Its port on Open vSwitch gets iface-id, attached-mac and vm-id from libvirt, and lives as long as the domain."""
    made = ET.Element("interface", type="bridge")
    ET.SubElement(made, "mac", address=mac_colons(port.mac))
    ET.SubElement(made, "source", bridge=bridge)
    virtual_port = ET.SubElement(made, "virtualport", type="openvswitch")
    ET.SubElement(virtual_port, "parameters", interfaceid=port.instance_id)
    ET.SubElement(made, "model", type="virtio")
    return made


def _boot(domain: ET.Element, hardware: Hardware, platform: Platform) -> None:
    boot = ET.SubElement(domain, "os")
    ET.SubElement(boot, "type", arch=platform.arch, machine=platform.machine).text = "hvm"
    if hardware.kernel:
        _text(boot, "kernel", hardware.kernel)
        if hardware.initrd:
            _text(boot, "initrd", hardware.initrd)
        if hardware.kernel_arguments:
            _text(boot, "cmdline", hardware.kernel_arguments)
    else:
        ET.SubElement(boot, "boot", dev="hd")


def _console(devices: ET.Element) -> None:
    """A serial console, which `virsh console` opens, and no source of interrupts that a still machine does not need."""
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "target", port="0")
    console = ET.SubElement(devices, "console", type="pty")
    ET.SubElement(console, "target", type="serial", port="0")
    ET.SubElement(devices, "controller", type="usb", model="none")
    ET.SubElement(devices, "memballoon", model="none")


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
