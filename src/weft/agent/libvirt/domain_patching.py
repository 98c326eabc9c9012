"""Changes in a domain's or a snapshot's XML that leave everything else as it is. Pure; called by the driver's verbs."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

import msgspec

from weft.agent.libvirt.domain_reading import is_unplugged
from weft.agent.libvirt.mark import Mark, isolated_of, put_mark
from weft.model.records import PortBinding
from weft.model.values import InstanceId, Mac, mac_colons


class Unfit(Exception):
    """The document and what shall be in it cannot be told together; the message says why."""


def with_ports(xml: str, ports: Sequence[PortBinding], bridge: str = "") -> str:
    """The domain whose adapters have the MAC addresses and interface ids of these ports.

    An adapter that bears a port's interface id is that port's; the others go by their order. `bridge` is given to
    adapters that are on no bridge of Open vSwitch, as those of a machine that was taken in may be: on a Linux bridge or
    a libvirt network no port is ever bound. Raises Unfit where there are more or fewer adapters than ports.
    """
    domain = ET.fromstring(xml)
    for interface, port in _paired(domain, ports):
        _child(interface, "mac").set("address", mac_colons(port.mac))
        if bridge and not _is_on_switch(interface):
            _move(interface, bridge)
        if interface.get("type") == "bridge":
            virtual_port = _child(interface, "virtualport")
            virtual_port.set("type", "openvswitch")
            _child(virtual_port, "parameters").set("interfaceid", port.instance_id)
    return ET.tostring(domain, encoding="unicode")


def _is_on_switch(interface: ET.Element) -> bool:
    """Whether it names a bridge of Open vSwitch."""
    source, port = interface.find("source"), interface.find("virtualport")
    named = source is not None and bool(source.get("bridge"))
    return interface.get("type") == "bridge" and named and port is not None and port.get("type") == "openvswitch"


def _move(interface: ET.Element, bridge: str) -> None:
    """To a bridge of Open vSwitch, without what only where it was had a meaning."""
    interface.set("type", "bridge")
    for name in ("source", "virtualport", "target", "vlan", "backend", "portForwards"):
        for found in interface.findall(name):
            interface.remove(found)
    ET.SubElement(interface, "source", bridge=bridge)


def with_mtu(xml: str, mtu: int) -> str:
    """The domain whose virtio adapters tell the guest this MTU."""
    domain = ET.fromstring(xml)
    for interface in _virtio(domain):
        _child(interface, "mtu").set("size", str(mtu))
    return ET.tostring(domain, encoding="unicode")


def read_mtus(xml: str) -> set[int]:
    """The MTUs that its virtio adapters tell the guest; 0 where they tell none."""
    found = [interface.find("mtu") for interface in _virtio(ET.fromstring(xml))]
    return {int(one.get("size", "0")) if one is not None else 0 for one in found}


def _virtio(domain: ET.Element) -> list[ET.Element]:
    """Of the adapters only virtio's can tell the guest anything."""
    found = []
    for interface in domain.findall("devices/interface"):
        model = interface.find("model")
        if model is not None and model.get("type", "").startswith("virtio"):
            found.append(interface)
    return found


def snapshot_with_macs(xml: str, macs: Mapping[InstanceId, Mac]) -> str:
    """The snapshot whose adapters have these MAC addresses, in whatever domain element it has.

    Raises Unfit where an adapter of it bears no interface id of these, or two bear the same.
    """
    document = ET.fromstring(xml)
    for kind in ("domain", "inactiveDomain"):
        domain = document.find(kind)
        if domain is not None:
            _give(domain, macs)
    return ET.tostring(document, encoding="unicode")


def _give(domain: ET.Element, macs: Mapping[InstanceId, Mac]) -> None:
    interfaces = domain.findall("devices/interface")
    ids = [_interface_id(one) for one in interfaces]
    wanted = {instance.lower(): mac for instance, mac in macs.items()}
    if len(set(ids)) != len(ids) or not set(ids) <= wanted.keys():
        raise Unfit(f"its adapters bear the interface ids {', '.join(ids)}, asked for are {', '.join(sorted(wanted))}")
    for interface, instance in zip(interfaces, ids, strict=True):
        _child(interface, "mac").set("address", mac_colons(wanted[instance]))


class Copy(msgspec.Struct, frozen=True):
    """The identity of a copied domain."""

    mark: Mark
    ports: Sequence[PortBinding]
    disks: Mapping[str, str]
    """New path by that of the source's disk."""


def copied(xml: str, copy: Copy) -> str:
    """A domain like this one with an identity of its own: name, UUID, MAC addresses, interface ids, disks.

    Raises Unfit where it has more or fewer adapters than there are ports.
    """
    domain = ET.fromstring(xml)
    _child(domain, "name").text = copy.mark.name
    _child(domain, "uuid").text = copy.mark.uuid
    put_mark(domain, copy.mark)
    for name in ("title", "genid", "seclabel"):
        for found in domain.findall(name):
            domain.remove(found)
    for nvram in domain.findall("os/nvram"):
        nvram.text = None
        nvram.attrib.pop("template", None)
    for source in domain.findall("devices/disk/source"):
        if source.get("file") in copy.disks:
            source.set("file", copy.disks[source.get("file", "")])
    for uuid in domain.findall("sysinfo/system/entry[@name='uuid']"):
        uuid.text = copy.mark.uuid
    # ids that are copied along are the source's: only the order of the adapters counts
    for parameters in domain.findall("devices/interface/virtualport/parameters"):
        parameters.attrib.pop("interfaceid", None)
    return with_ports(ET.tostring(domain, encoding="unicode"), copy.ports)


def unmarked(xml: str) -> str:
    """The domain without our mark, as an export has it."""
    domain = ET.fromstring(xml)
    put_mark(domain, None)
    return ET.tostring(domain, encoding="unicode")


def plugged_in(xml: str) -> list[tuple[str, str]]:
    """The adapters of a domain whose link is up: MAC address, and a document of its own with its link down."""
    return _turned(xml, "up", "down")


def unplugged(xml: str) -> list[tuple[str, str]]:
    """Those whose link is down, with it up."""
    return _turned(xml, "down", "up")


def isolated(xml: str) -> frozenset[str]:
    """MAC addresses of the adapters that we have unplugged, by the domain's metadata."""
    return isolated_of(ET.fromstring(xml))


def _turned(xml: str, before: str, after: str) -> list[tuple[str, str]]:
    found = []
    for interface in ET.fromstring(xml).findall("devices/interface"):
        if ("down" if is_unplugged(interface) else "up") == before:
            _child(interface, "link").set("state", after)
            document = ET.tostring(interface, encoding="unicode")
            found.append((_child(interface, "mac").get("address", ""), document))
    return found


def _paired(domain: ET.Element, ports: Sequence[PortBinding]) -> list[tuple[ET.Element, PortBinding]]:
    interfaces = domain.findall("devices/interface")
    if len(interfaces) != len(ports):
        raise Unfit(f"it has {len(interfaces)} adapters and {len(ports)} network interfaces")
    by_id = {port.instance_id.lower(): port for port in ports}
    known = [_interface_id(one) for one in interfaces]
    if len(by_id) != len(ports) or len(set(known)) != len(known):
        return list(zip(interfaces, ports, strict=True))
    rest = iter([port for port in ports if port.instance_id.lower() not in known])
    return [(one, by_id.get(instance) or next(rest)) for one, instance in zip(interfaces, known, strict=True)]


def _interface_id(interface: ET.Element) -> str:
    parameters = interface.find("virtualport/parameters")
    return parameters.get("interfaceid", "").lower() if parameters is not None else ""


def _child(parent: ET.Element, name: str) -> ET.Element:
    found = parent.find(name)
    return found if found is not None else ET.SubElement(parent, name)
