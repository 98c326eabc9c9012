"""What a domain's or a snapshot's XML says. Pure; called by the driver's facts and before a document is changed.

The documents come from libvirtd, which has parsed and written them anew, so their form is known.
"""

from xml.etree import ElementTree as ET

import msgspec

from weft.agent.libvirt.mark import KeptSnapshot, Mark, is_making, isolated_of, luggage_of, mark_of, run_of
from weft.model.errors import InvalidMacAddress
from weft.model.hypervisor import AdapterState, CheckpointState
from weft.model.values import InstanceId, parse_mac

WITH_MEMORY = ("running", "paused", "blocked", "pmsuspended")
"""States of a snapshot that has the memory of a machine."""


class DiskFile(msgspec.Struct, frozen=True):
    """A disk of the domain that is a file."""

    path: str
    target: str
    """vda, sda ...: unique in the domain."""
    format: str = "raw"
    read_only: bool = False


class DomainState(msgspec.Struct, frozen=True):
    """A domain as its XML has it."""

    uuid: str
    name: str
    mark: Mark | None = None
    adapters: tuple[AdapterState, ...] = ()
    disks: tuple[DiskFile, ...] = ()
    run: str = ""
    """HELD or RAN of mark.py."""
    luggage: tuple[KeptSnapshot, ...] = ()
    """Snapshots that came along and that libvirt has not been told yet."""
    isolated: bool = False
    """Disconnect has unplugged adapters of it."""
    making: bool = False
    """Disks of it are still to be made, if the mark counts."""

    @property
    def machine(self) -> str:
        """resourceId by a mark that counts; empty otherwise."""
        return self.mark.name if self.mark is not None and self.mark.uuid == self.uuid else ""

    @property
    def unfinished(self) -> bool:
        """Was it not made to the end?"""
        return self.making and bool(self.machine)

    @property
    def own_disks(self) -> tuple[str, ...]:
        """Paths of the disks that Define made and that the domain still has."""
        made = self.mark.disks if self.mark is not None and self.machine else ()
        return tuple(disk.path for disk in self.disks if disk.path in made)


def read_domain(xml: str) -> DomainState:
    return _domain(ET.fromstring(xml))


def files_of(xml: str) -> tuple[str, ...]:
    """Paths of all files that the machine writes to or has below what it writes to, as after a snapshot by hand."""
    sources = ET.fromstring(xml).iterfind("devices/disk//source")
    return tuple(dict.fromkeys(path for one in sources if (path := one.get("file", ""))))


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot; `parent` is the name of the one before it, empty at the root."""

    name: str
    with_memory: bool
    adapters: tuple[AdapterState, ...]
    parent: str = ""

    def state(self) -> CheckpointState:
        """libvirt knows a snapshot by its name in its domain."""
        return CheckpointState(self.name, self.name, self.adapters, self.with_memory)


def read_snapshot(xml: str) -> Snapshot:
    document = ET.fromstring(xml)
    domain = document.find("domain")
    adapters = _adapters(domain) if domain is not None else ()
    with_memory = document.findtext("state", "") in WITH_MEMORY
    return Snapshot(document.findtext("name", ""), with_memory, adapters, document.findtext("parent/name", ""))


def domain_types(capabilities: str, arch: str = "x86_64") -> tuple[str, ...]:
    """kvm, qemu: what this host's libvirt can run such machines with, best first; from virConnectGetCapabilities."""
    document = ET.fromstring(capabilities)
    guest = next(one for one in [*document.findall("guest"), ET.Element("guest")] if _is_for(one, arch))
    found = {one.get("type", "") for one in guest.iter("domain")}
    return tuple(kind for kind in ("kvm", "qemu") if kind in found)


def machine_types(capabilities: str, arch: str = "x86_64") -> frozenset[str]:
    """Names of machine types, the short ones that stand for the newest of their kind."""
    guests = [one for one in ET.fromstring(capabilities).findall("guest") if _is_for(one, arch)]
    return frozenset(machine.text or "" for guest in guests for machine in guest.iter("machine"))


def most_processors(capabilities: str) -> int:
    """Of one machine; from virConnectGetDomainCapabilities. 0 if it does not say."""
    found = ET.fromstring(capabilities).find("vcpu")
    return int(found.get("max", "0")) if found is not None else 0


def _is_for(guest: ET.Element, arch: str) -> bool:
    found = guest.find("arch")
    return found is None or (found.get("name") == arch and guest.findtext("os_type") == "hvm")


def _domain(domain: ET.Element) -> DomainState:
    return DomainState(
        domain.findtext("uuid", "").lower(),
        domain.findtext("name", ""),
        mark_of(domain),
        _adapters(domain),
        tuple(_disks(domain)),
        run_of(domain),
        luggage_of(domain),
        bool(isolated_of(domain)),
        is_making(domain),
    )


def _adapters(domain: ET.Element) -> tuple[AdapterState, ...]:
    return tuple(_adapter(one) for one in domain.findall("devices/interface"))


def _adapter(interface: ET.Element) -> AdapterState:
    """Never dynamic: libvirt draws an address once, when the domain is defined, and writes it down. One whose link is
    down is connected to nothing."""
    address, source = interface.find("mac"), interface.find("source")
    port = interface.find("virtualport/parameters")
    bridge = source.get("bridge") or source.get("network") or source.get("dev") or "" if source is not None else ""
    target, alias = interface.find("target"), interface.find("alias")
    return AdapterState(
        _mac(address.get("address", "") if address is not None else ""),
        InstanceId(port.get("interfaceid", "").lower() if port is not None else ""),
        id=alias.get("name", "") if alias is not None else "",
        name=target.get("dev", "") if target is not None else "",
        switch="" if is_unplugged(interface) else bridge,
    )


def is_unplugged(interface: ET.Element) -> bool:
    link = interface.find("link")
    return link is not None and link.get("state") == "down"


def _mac(text: str) -> int:
    try:
        return int(parse_mac(text))
    except InvalidMacAddress:
        return 0


def _disks(domain: ET.Element) -> list[DiskFile]:
    found = []
    for disk in domain.findall("devices/disk"):
        source, target, driver = disk.find("source"), disk.find("target"), disk.find("driver")
        if disk.get("device", "disk") != "disk" or source is None or not source.get("file"):
            continue
        kind = driver.get("type", "raw") if driver is not None else "raw"
        name = target.get("dev", "") if target is not None else ""
        found.append(DiskFile(source.get("file", ""), name, kind, disk.find("readonly") is not None))
    return found
