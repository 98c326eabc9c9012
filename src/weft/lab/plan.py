"""What a lab file asks for: the hosts to make and the resources to apply. Pure."""

import ipaddress
from collections.abc import Callable
from typing import Any

import msgspec

from weft.cli.documents import Document, Documents, LabDocument, document
from weft.cli.faults import BadFile, Fault
from weft.lab.plan_external import external
from weft.lab.plan_guests import asking
from weft.lab.state import ExternalState, HostState

MOST_HOSTS = 250
ROOM = 8
"""Machines that can move to a host before it needs new ports."""
_HOST_MEMBERS = ("provideraddress", "gateway", "hypervisor", "guest")
_HYPERVISORS = {"": "lab", "lab": "lab", "libvirt": "libvirt"}
_GUESTS = {"namespace": "lab", "qemu": "libvirt"}


class LabPlan(msgspec.Struct, frozen=True):
    hosts: tuple[HostState, ...]
    """Numbered in the order of the file."""
    resources: tuple[Document, ...]
    """To apply, the hosts' servers included."""
    running: tuple[str, ...]
    """Machines to start, unless the file says powerState Off."""
    off: tuple[str, ...] = ()
    """Machines of which the file says so."""
    externals: tuple[ExternalState, ...] = ()
    dhcp: tuple[str, ...] = ()
    """Machines, in lower case, that ask for their addresses by DHCP."""

    @property
    def booting(self) -> list[str]:
        """Hosts whose machines are booted."""
        return [host.name for host in self.hosts if host.hypervisor == "libvirt"]

    def legs_on(self, host: str) -> int:
        """Ports that a host may need: for its own interfaces, and room for others to move there."""
        own = total = 0
        for resource in self.resources:
            if resource.kind.name == "virtualMachines":
                properties = resource.body["properties"]
                count = len(properties.get("networkInterfaces") or ())
                total += count
                server = str((properties.get("server") or {}).get("resourceRef", ""))
                own += count if server.rpartition("/")[2].lower() == host.lower() else 0
        return min(total, own + ROOM)


def plan(documents: Documents) -> LabPlan:
    """Raises BadFile with every fault of the lab's own documents."""
    faults: list[Fault] = []
    hosts: list[HostState] = []
    for doc in documents.lab:
        found = _host(doc, len(hosts), faults) if doc.kind == "lab/host" else None
        if found is not None:
            hosts.append(found)
    outside = [doc for doc in documents.lab if doc.kind == "lab/external"]
    externals = [external(doc, number, hosts, faults) for number, doc in enumerate(outside)]
    dhcp = asking(documents, faults)
    faults += _clashes(documents, hosts)
    if not hosts and not faults:
        file = documents.resources[0].file if documents.resources else "-"
        faults.append(Fault(file, 1, "has no lab/host; a lab needs at least one host to run machines on"))
    if faults:
        raise BadFile(faults)
    resources, power = _resources(documents, hosts)
    running = tuple(name for name, said in power.items() if said == "running")
    off = tuple(name for name, said in power.items() if said == "off")
    made = tuple(one for one in externals if one is not None)
    return LabPlan(tuple(hosts), tuple(resources), running, off, made, dhcp)


def _host(doc: LabDocument, number: int, faults: list[Fault]) -> HostState | None:
    def fault(message: str) -> None:
        faults.append(Fault(doc.file, doc.line, f"lab/host {doc.id}: {message}"))

    said = {}
    for name, value in doc.properties.items():
        if name.lower() not in _HOST_MEMBERS:
            fault(f"unknown member {name}; write providerAddress, gateway where there is a router, hypervisor")
        else:
            said[name.lower()] = str(value)
    text = said.get("provideraddress", "")
    if "/" not in text:
        fault(f"providerAddress is '{text}'; write address and prefix length, such as 192.168.1.10/24")
        return None
    try:
        address = ipaddress.ip_interface(text)
        gateway = ipaddress.ip_address(said["gateway"]) if said.get("gateway") else None
    except ValueError as error:
        fault(f"{error}; write providerAddress: 192.168.1.10/24 and gateway: 192.168.1.1")
        return None
    if gateway is not None and (gateway not in address.network or gateway == address.ip):
        fault(f"gateway {gateway} is not another address of {address.network}; name the router's address there")
        return None
    hypervisor = _hypervisor(said, fault)
    return HostState(doc.id, number, str(address), str(gateway or ""), hypervisor=hypervisor)


def _hypervisor(said: dict[str, str], fault: Callable[[str], None]) -> str:
    """Machines are namespaces, or booted by libvirt: `hypervisor: libvirt`, or `guest: qemu`, which is the same."""
    kind, guest = said.get("hypervisor", "").lower(), said.get("guest", "").lower()
    if kind not in _HYPERVISORS:
        fault(f"hypervisor is '{kind}'; write lab, whose machines are namespaces, or libvirt, whose machines boot")
    elif guest and guest not in _GUESTS:
        fault(f"guest is '{guest}'; write namespace or qemu")
    elif guest and kind and _GUESTS[guest] != _HYPERVISORS[kind]:
        fault(f"guest {guest} does not go with hypervisor {kind}: leave one of them out")
    return _GUESTS.get(guest) or _HYPERVISORS.get(kind, "lab")


def _clashes(documents: Documents, hosts: list[HostState]) -> list[Fault]:
    """Two hosts of one name or address, or a machine named as a host: their namespaces would be one."""
    lines = {doc.id: doc for doc in documents.lab if doc.kind == "lab/host"}
    seen: dict[str, str] = {}
    faults = []
    for host in hosts:
        doc = lines[host.name]
        for what in (host.name.lower(), host.provider_address.partition("/")[0]):
            if what in seen:
                faults.append(
                    Fault(doc.file, doc.line, f"lab/host {host.name}: {what} is {seen[what]}'s; choose another")
                )
            seen[what] = host.name
    names = {host.name.lower() for host in hosts}
    for doc in documents.lab:
        if doc.kind == "lab/external" and doc.id.lower() in names:
            faults.append(Fault(doc.file, doc.line, f"lab/external {doc.id} is named as a host; rename one"))
    names |= {doc.id.lower() for doc in documents.lab if doc.kind != "lab/guest"}
    for resource in documents.resources:
        if resource.kind.name == "virtualMachines" and resource.id.lower() in names:
            text = f"machine {resource.id} is named as a host; their namespaces would clash: rename one"
            faults.append(resource.fault(("resourceId",), text))
    if len(hosts) > MOST_HOSTS:
        faults.append(Fault(documents.lab[0].file, 1, f"{len(hosts)} hosts; a lab has at most {MOST_HOSTS}"))
    return faults


def _resources(documents: Documents, hosts: list[HostState]) -> tuple[list[Document], dict[str, str]]:
    """Servers get the provider address of their host; machines are applied as they are and started afterwards.

    Beside the resources: the machines' powerState, in lower case.
    """
    servers = {host.name.lower(): _server(host) for host in hosts}
    resources: list[Document] = []
    power: dict[str, str] = {}
    for resource in documents.resources:
        properties: dict[str, Any] = dict(resource.body.get("properties") or {})
        if resource.kind.name == "servers" and (given := servers.pop(resource.id.lower(), None)):
            properties = {**given, **properties}
        if resource.kind.name == "virtualMachines":
            power[resource.id] = str(properties.pop("powerState", "Running")).lower()
        resources.append(msgspec.structs.replace(resource, body={**resource.body, "properties": properties}))
    for doc in documents.lab:
        if doc.kind == "lab/host" and (given := servers.get(doc.id.lower())):
            resources.append(document("servers", doc.id, given, doc.file, doc.line))
    return resources, power


def _server(host: HostState) -> dict[str, Any]:
    """What a host's server has unless the file says otherwise. libvirt hosts move machines to each other's address."""
    address = host.provider_address.partition("/")[0]
    found: dict[str, Any] = {"providerAddresses": [address]}
    if host.hypervisor == "libvirt":
        found["connections"] = [{"managementAddresses": [address]}]
    return found
