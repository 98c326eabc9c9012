"""Our mark on a domain: an element in its metadata, of a namespace of our own. Pure.

    <weft:machine xmlns:weft="urn:weft:machine" name="web1" uuid="...">
      <weft:disk path="/var/lib/libvirt/images/web1.qcow2"/>
    </weft:machine>

It counts only where `uuid` is the domain's own: virt-clone, exports and imports copy metadata along. The disks are
those that Define makes, and the only files that Remove takes away. The metadata of a domain's present life say with a
second element, `<run state="held"/>` or `"ran"`, whether Prepare holds it or Start has resumed it: so a paused domain
that never ran yet is told from one that somebody paused; and with a third, `<isolated><adapter mac="..."/></isolated>`,
which of its adapters Disconnect has unplugged. `<making/>` stands in the configuration until all those disks are made.
"""

from collections.abc import Iterable
from xml.etree import ElementTree as ET

import msgspec

NAMESPACE = "urn:weft:machine"
RUN_NAMESPACE = "urn:weft:run"
PREFIX = "weft"
_MACHINE, _DISK, _RUN = f"{{{NAMESPACE}}}machine", f"{{{NAMESPACE}}}disk", f"{{{RUN_NAMESPACE}}}run"
HELD, RAN = "held", "ran"

ERRAND_NAMESPACE = "urn:weft:errand"
_ERRAND = f"{{{ERRAND_NAMESPACE}}}errand"
LUGGAGE_NAMESPACE = "urn:weft:snapshots"
_LUGGAGE, _KEPT = f"{{{LUGGAGE_NAMESPACE}}}snapshots", f"{{{LUGGAGE_NAMESPACE}}}snapshot"
ISOLATED_NAMESPACE = "urn:weft:isolated"
_ISOLATED, _UNPLUGGED = f"{{{ISOLATED_NAMESPACE}}}isolated", f"{{{ISOLATED_NAMESPACE}}}adapter"
MAKING_NAMESPACE = "urn:weft:making"
_MAKING = f"{{{MAKING_NAMESPACE}}}making"
ET.register_namespace("weftmaking", MAKING_NAMESPACE)
ET.register_namespace("weftisolated", ISOLATED_NAMESPACE)
ET.register_namespace("weftsnapshots", LUGGAGE_NAMESPACE)
ET.register_namespace(PREFIX, NAMESPACE)
ET.register_namespace("wefterrand", ERRAND_NAMESPACE)
ET.register_namespace("weftrun", RUN_NAMESPACE)
ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")


class Mark(msgspec.Struct, frozen=True):
    """What the mark says, whether it counts or not."""

    name: str
    """resourceId of the machine."""
    uuid: str
    disks: tuple[str, ...] = ()
    """Paths of the disks that Define makes."""

    def element(self) -> ET.Element:
        made = ET.Element(_MACHINE, name=self.name, uuid=self.uuid)
        for path in self.disks:
            ET.SubElement(made, _DISK, path=path)
        return made


def mark_of(domain: ET.Element) -> Mark | None:
    """The mark on a domain element; None if there is none."""
    found = domain.find(f"metadata/{_MACHINE}")
    if found is None:
        return None
    disks = tuple(disk.get("path", "") for disk in found.iter(_DISK))
    return Mark(found.get("name", ""), found.get("uuid", "").lower(), disks)


def run_of(domain: ET.Element) -> str:
    """Of its present life, here or where it came from: HELD, RAN, or empty where Weft has not started it."""
    found = domain.find(f"metadata/{_RUN}")
    return found.get("state", "") if found is not None else ""


def run_element(state: str) -> str:
    """As virDomainSetMetadata takes it: it adds the namespace."""
    return f'<run state="{state}"/>'


def announced_of(domain: ET.Element) -> int:
    """Number of the restore that was announced on it; 0 if none was, or it was carried out."""
    found = domain.find(f"metadata/{_ERRAND}")
    return int(found.get("number", "0")) if found is not None else 0


def errand_element(number: int) -> str:
    """As virDomainSetMetadata takes it."""
    return f'<errand number="{number}"/>'


def isolated_of(domain: ET.Element) -> frozenset[str]:
    """MAC addresses, as libvirt writes them, of the adapters that Disconnect has unplugged."""
    return frozenset(one.get("mac", "") for one in domain.iterfind(f"metadata/{_ISOLATED}/{_UNPLUGGED}"))


def isolated_element(macs: Iterable[str]) -> str:
    """As virDomainSetMetadata takes it."""
    made = ET.Element("isolated")
    for mac in sorted(macs):
        ET.SubElement(made, "adapter", mac=mac)
    return ET.tostring(made, encoding="unicode")


def is_making(domain: ET.Element) -> bool:
    """Are disks of it still to be made?"""
    return domain.find(f"metadata/{_MAKING}") is not None


class KeptSnapshot(msgspec.Struct, frozen=True):
    """What libvirt knows of a snapshot."""

    name: str
    xml: str
    current: bool = False


def luggage_element(kept: Iterable[KeptSnapshot]) -> str:
    """Snapshots in the metadata of a domain that moves, parents first, as virDomainSetMetadata takes it."""
    made = ET.Element("snapshots")
    for one in kept:
        ET.SubElement(made, "snapshot", name=one.name, current=str(one.current).lower()).text = one.xml
    return ET.tostring(made, encoding="unicode")


def luggage_of(domain: ET.Element) -> tuple[KeptSnapshot, ...]:
    found = domain.findall(f"metadata/{_LUGGAGE}/{_KEPT}")
    return tuple(KeptSnapshot(one.get("name", ""), one.text or "", one.get("current") == "true") for one in found)


def put_mark(domain: ET.Element, mark: Mark | None) -> None:
    """Replace the mark on a domain element, or take it away; what else of ours was copied goes in any case. The disks
    that the mark names are still to be made."""
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(domain, "metadata")
    _take(metadata, metadata.findall(_MACHINE))
    _take(metadata, metadata.findall(_RUN))
    _take(metadata, metadata.findall(_LUGGAGE))
    _take(metadata, metadata.findall(_ERRAND))
    _take(metadata, metadata.findall(_ISOLATED))
    _take(metadata, metadata.findall(_MAKING))
    if mark is not None:
        metadata.append(mark.element())
        if mark.disks:
            ET.SubElement(metadata, _MAKING)


def _take(metadata: ET.Element, found: Iterable[ET.Element]) -> None:
    for one in found:
        metadata.remove(one)
