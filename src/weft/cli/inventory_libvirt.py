"""Reads machines from libvirt's XML: `virsh dumpxml` of domains, `snapshot-dumpxml` and `net-dumpxml`, many in a file.

A domain does not say its host: it is the one given with the file (HOST=FILE); else the folder's name if a whole folder
was named, or if the file has its only machine's name; else the name of the file.
"""

import msgspec

from weft.cli.inventory_sources import Found, Origin, Source
from weft.cli.inventory_xml import Element, NotXml, read_documents
from weft.model.inventory import Adapter, Host, Machine, MachineCheckpoint, Switch

_SNAPSHOTS = ("domainsnapshot", "domaincheckpoint")
_PRIVATE_NETWORK = "default"
"""The network that libvirt makes by itself: behind NAT, so of one host alone."""


class _Domain(msgspec.Struct):
    element: Element
    source: Source
    checkpoints: list[MachineCheckpoint] = []


class LibvirtReader:
    """Takes files one after another; snapshots find their domains in whatever file those are."""

    def __init__(self) -> None:
        self._domains: dict[tuple[str, str], _Domain] = {}
        self._snapshots: list[tuple[Element, str, Source]] = []
        self._switches: dict[str, dict[str, Switch]] = {}
        self._shared: dict[str, Switch] = {}
        """Networks that some host says a bridge of: hosts that say nothing of them are taken to have the same."""
        self._origins: dict[str, Origin] = {}

    def read(self, source: Source, found: Found) -> None:
        """Keep what the file holds; its faults are told at once."""
        try:
            documents = read_documents(source.text)
        except NotXml as fault:
            found.faults.append(source.fault(fault.line, fault.message))
            return
        elements = _unwrapped(documents)
        host = _host_of(elements, source)
        known = sum([self._take(element, host, source) for element in elements])
        if not known:
            names = ", ".join(sorted({element.name for element in documents})) or "nothing"
            message = f"holds no domain, domainsnapshot or network ({names}); write it with: virsh dumpxml MACHINE"
            found.faults.append(source.fault(1, message))

    def _take(self, element: Element, host: str, source: Source) -> bool:
        self._switches.setdefault(host, {})
        self._origins.setdefault(host, Origin(source))
        if element.name == "domain":
            self._domains.setdefault((host, _identity(element)), _Domain(element, source))
        elif element.name in _SNAPSHOTS:
            self._snapshots.append((element, host, source))
        elif element.name == "network":
            self._network(element, host)
        else:
            return False
        return True

    def _network(self, element: Element, host: str) -> None:
        """A network of libvirt's own is of one host unless it is forwarded to a bridge or device that others share."""
        name = element.text_of("name")
        shared = element.attribute_of(("forward",), "mode") in ("bridge", "passthrough", "private", "vepa", "hostdev")
        through = element.attribute_of(("bridge",), "name") or element.attribute_of(("forward",), "dev")
        segment = through if shared and through else name if shared else f"{name} of {host}"
        self._switches[host][name] = Switch(name=name, segment=segment)
        if shared:
            self._shared.setdefault(name, self._switches[host][name])

    def finish(self, found: Found) -> None:
        """Add the machines of all files, with their snapshots, and their hosts."""
        for element, host, source in self._snapshots:
            self._attach(element, host, source, found)
        for (host, _), domain in self._domains.items():
            machine = _machine(domain, host)
            for name in {adapter.switch for adapter in machine.interfaces} - self._switches[host].keys():
                self._assume(name, host)
            found.machines.append((machine, Origin(domain.source, domain.element.line)))
        for host, switches in self._switches.items():
            known = Host(name=host, type="libvirt", switches=tuple(switches.values()))
            found.hosts.append((known, self._origins[host]))

    def _assume(self, name: str, host: str) -> None:
        """What is behind a network or bridge of which its host says nothing, if that can be told."""
        private = Switch(name=name, segment=f"{name} of {host}") if name == _PRIVATE_NETWORK else None
        known = private or self._shared.get(name)
        if known is not None:
            self._switches[host][name] = known

    def _attach(self, element: Element, host: str, source: Source, found: Found) -> None:
        captured = element.first("domain") or element.first("inactiveDomain")
        owner = self._domains.get((host, _identity(captured))) if captured is not None else None
        if captured is None or owner is None:
            message = f"the machine of snapshot '{element.text_of('name')}' is in no file; add its virsh dumpxml"
            found.faults.append(source.fault(element.line, message))
            return
        checkpoint = MachineCheckpoint(name=element.text_of("name"), interfaces=_adapters(captured))
        owner.checkpoints.append(checkpoint)


def _host_of(elements: list[Element], source: Source) -> str:
    names = {element.text_of("name") for element in elements if element.name == "domain"}
    in_folder = source.whole_folder or names == {source.stem}
    return source.host or (source.folder if in_folder else source.stem) or "localhost"


def _unwrapped(documents: list[Element]) -> list[Element]:
    """Lists as tools write them (`domainstatus` around a domain) are looked into."""
    known = ("domain", "network", *_SNAPSHOTS)
    return [each for one in documents for each in ([one] if one.name in known else one.children)]


def _identity(domain: Element) -> str:
    return (domain.text_of("uuid") or domain.text_of("name")).lower()


def _machine(domain: _Domain, host: str) -> Machine:
    """`virsh dumpxml` gives an id to what runs, and to nothing else."""
    element = domain.element
    return Machine(
        name=element.text_of("name"),
        id=element.text_of("uuid"),
        host=host,
        power="running" if element.attributes.get("id", "-1") != "-1" else "off",
        interfaces=_adapters(element),
        checkpoints=tuple(domain.checkpoints),
    )


def _adapters(domain: Element) -> tuple[Adapter, ...]:
    owner = domain.text_of("name")
    return tuple(_adapter(element, owner) for element in domain.all("devices", "interface"))


def _adapter(element: Element, owner: str) -> Adapter:
    """libvirt writes every address into the definition, so all are static. A running domain names the bridge of its
    network too: the network counts, since the bridge's name is the host's own affair. In user mode there is no
    network but the machine's own process."""
    source = element.first("source")
    said = source.attributes if source is not None else {}
    switch = said.get("network") or said.get("bridge") or said.get("dev") or said.get("switch") or ""
    if said.get("portgroup"):
        switch = f"{switch}/{said['portgroup']}"
    tag = element.attribute_of(("vlan", "tag"), "id")
    return Adapter(
        name=element.attribute_of(("target",), "dev") or element.attribute_of(("alias",), "name"),
        mac=element.attribute_of(("mac",), "address"),
        vlan=int(tag) if tag.isdecimal() and 0 < int(tag) <= 4094 else None,
        network=f"user mode of {owner}" if element.attributes.get("type") == "user" else "",
        switch=switch,
        ip_addresses=tuple(
            ip.attributes.get("address", "") for ip in element.all("ip") if ip.attributes.get("address")
        ),
    )
