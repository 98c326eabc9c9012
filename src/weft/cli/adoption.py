"""What importing an inventory comes to: the requests that bring it in, given what the controller has already. Pure.

Names become resource ids, the same on every run: letters, digits, '.', '_', '-' stay, others become '-'; the name
itself is kept as the tag `name`. Where two machines would get one id, those that had to be changed get a suffix made
from their own identity, and those of one name all of them; a machine that was imported before keeps its id.
"""

import ipaddress
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from weft.core.naming import slug, suffixed
from weft.model.inventory import Adapter, Host, Inventory, Machine
from weft.model.values import mac_dashes, parse_mac
from weft.wire.client import NETWORKING, WEFT, path_of

_POWERS = {"running": "Running", "off": "Off", "saved": "Saved"}

Identity = tuple[str, str, str]
"""Server id, the hypervisor's id of the machine, its name there; lower case."""


class Subnet(msgspec.Struct, frozen=True):
    """A subnet that --map names, as the controller has it."""

    ref: str
    prefixes: tuple[str, ...] = ()

    def holds(self, text: str) -> bool:
        """Whether an address of an inventory lies in it."""
        address = ipaddress.ip_address(text.partition("/")[0].partition("%")[0].strip())
        return any(address in ipaddress.ip_network(prefix) for prefix in self.prefixes)


class Present(msgspec.Struct, frozen=True):
    """What the controller has: servers and machines as it answers them."""

    servers: tuple[Mapping[str, Any], ...] = ()
    machines: tuple[Mapping[str, Any], ...] = ()


class Step(msgspec.Struct, frozen=True):
    """One server or machine: `action` is create, change, adopt or unchanged, `request` an element of a batch."""

    action: str
    name: str
    """As people know it: the resource's name, behind it the inventory's where it differs."""
    request: dict[str, Any] = {}
    marks: dict[str, Any] = {}
    """Members to set once the machine is there: its tags and its hypervisor's id for it."""


class Adoption(msgspec.Struct, frozen=True):
    """The whole plan."""

    servers: tuple[Step, ...]
    machines: tuple[Step, ...]
    unmapped: tuple[tuple[str, int], ...]
    """Networks that no --map names, with how many addresses are left out for that."""
    outside: tuple[str, ...]
    """Machine and address, where an address does not lie in the subnet that its network is mapped to."""
    moved: tuple[str, ...] = ()
    """Machines that came in before, from another host."""


def plan(inventory: Inventory, subnets: Mapping[str, Subnet], present: Present) -> Adoption:
    """Compare with what is there. `subnets` by name of a network or switch, lower case; NAME:VLAN goes before NAME."""
    return _Planner(inventory, subnets, present).plan()


class _Planner:
    def __init__(self, inventory: Inventory, subnets: Mapping[str, Subnet], present: Present) -> None:
        self._inventory = inventory
        self._subnets = subnets
        self._servers = {str(each["resourceId"]).lower(): each for each in present.servers}
        self._machines = {str(each["resourceId"]).lower(): each for each in present.machines}
        self._known = dict(_identities(present.machines))
        self._unmapped: Counter[str] = Counter()
        self._outside: list[str] = []
        self._moved: list[str] = []

    def plan(self) -> Adoption:
        hosts = {host.name.lower(): host for host in self._inventory.hosts}
        for machine in self._inventory.machines:
            if machine.host:
                hosts.setdefault(machine.host.lower(), Host(name=machine.host))
        names = sorted({host.name for host in hosts.values()})
        ids = ids_of([(name, name) for name in names], {})
        server_ids = {name.lower(): made for name, made in zip(names, ids, strict=True)}
        servers = [self._server(host, server_ids[key]) for key, host in sorted(hosts.items())]
        types = {key: host.type for key, host in hosts.items()}
        machines = self._inventory.machines
        strangers = self._strangers(machines, server_ids)
        made = ids_of([_keys(machine) for machine in machines], self._remembered(machines, server_ids), strangers)
        steps = [
            self._machine(machine, one, server_ids.get(machine.host.lower(), ""), types.get(machine.host.lower(), ""))
            for machine, one in zip(machines, made, strict=True)
        ]
        unmapped = tuple(sorted(self._unmapped.items()))
        return Adoption(tuple(servers), tuple(steps), unmapped, tuple(self._outside), tuple(self._moved))

    def _remembered(self, machines: Iterable[Machine], servers: Mapping[str, str]) -> dict[int, str]:
        """Ids of machines that were imported before, by their place in the inventory."""
        keys = [(servers.get(one.host.lower(), "").lower(), one.id.lower(), one.name.lower()) for one in machines]
        return {at: self._known[key] for at, key in enumerate(keys) if key in self._known}

    def _strangers(self, machines: Iterable[Machine], servers: Mapping[str, str]) -> set[int]:
        """Machines, by their place in the inventory, whose name is the id of another one that came in before."""
        return {
            at
            for at, one in enumerate(machines)
            if (there := self._machines.get(slug(one.name).lower())) is not None
            and not _is_it(there, one, servers.get(one.host.lower(), "").lower())
        }

    def _server(self, host: Host, made: str) -> Step:
        """The range is a fact about the host; the rest of a server that is there stays as it is."""
        there = self._servers.get(made.lower())
        properties = dict(there["properties"]) if there is not None else {}
        wanted = dict(properties)
        if host.dynamic_mac_range is not None:
            first, last = parse_mac(host.dynamic_mac_range.first), parse_mac(host.dynamic_mac_range.last)
            wanted["dynamicMacRange"] = {"first": mac_dashes(first), "last": mac_dashes(last)}
        if there is not None and wanted == properties:
            return Step("unchanged", f"servers/{made}")
        body = {**(there or {}), "resourceId": made, "properties": wanted}
        if there is None and made != host.name:
            body["tags"] = {"name": host.name}
        request = {"method": "PUT", "path": f"{NETWORKING}/servers/{made}", "body": body}
        return Step("change" if there is not None else "create", _shown(f"servers/{made}", made, host.name), request)

    def _machine(self, machine: Machine, made: str, server: str, kind: str) -> Step:
        shown = _shown(f"virtualMachines/{made}", made, machine.name)
        marks = _marks(machine, made, kind)
        there = self._machines.get(made.lower())
        if there is not None:
            known = _server_of(there)
            if server and known and known != server.lower():
                self._moved.append(f"{machine.name} is on {known} here, and on {machine.host} in the inventory")
            return Step("unchanged" if is_marked(there, marks) else "change", shown, marks=marks)
        if machine.is_template:
            return Step("adopt", shown, self._template(machine, made, server), marks)
        body: dict[str, Any] = {
            "resourceId": made,
            "networkInterfaces": [self._interface(machine, adapter, count=True) for adapter in machine.interfaces],
            "powerState": _POWERS[machine.power.lower()] if server else "Off",
            "checkpoints": list(self._checkpoints(machine)),
            "addresses": "keep",
            "adopt": True,
        }
        body |= {"hypervisor": marks["hypervisor"]} if "hypervisor" in marks else {}
        body |= {"server": {"resourceRef": f"/servers/{server}"}} if server else {}
        return Step("adopt", shown, {"method": "POST", "path": f"{WEFT}/virtualMachines/import", "body": body}, marks)

    def _template(self, machine: Machine, made: str, server: str) -> dict[str, Any]:
        """A template holds no address; what it has is left out."""
        subnets = [self._subnet_of(adapter) for adapter in machine.interfaces]
        networks = [{"subnet": {"resourceRef": subnet.ref}} for subnet in subnets if subnet is not None]
        properties: dict[str, Any] = {"isTemplate": True, "networks": networks}
        properties |= {"server": {"resourceRef": f"/servers/{server}"}} if server else {}
        body = {"resourceId": made, "properties": properties}
        return {"method": "PUT", "path": f"{WEFT}/virtualMachines/{made}", "body": body}

    def _checkpoints(self, machine: Machine) -> Iterator[dict[str, Any]]:
        names = [(checkpoint.name or "checkpoint", checkpoint.name) for checkpoint in machine.checkpoints]
        for checkpoint, made in zip(machine.checkpoints, ids_of(names, {}), strict=True):
            interfaces = [self._interface(machine, adapter, count=False) for adapter in checkpoint.interfaces]
            yield {"resourceId": made, "networkInterfaces": interfaces}

    def _subnet_of(self, adapter: Adapter) -> Subnet | None:
        name = (adapter.network or adapter.switch).lower()
        return self._subnets.get(f"{name}:{adapter.vlan or 0}") or self._subnets.get(name)

    def _interface(self, machine: Machine, adapter: Adapter, count: bool) -> dict[str, Any]:
        subnet = self._subnet_of(adapter)
        ips = [text for text in adapter.ip_addresses if not _is_link_local(text)]
        found: dict[str, Any] = {"macAddress": adapter.mac.strip()}
        if subnet is None:
            network = adapter.network or adapter.switch or "(no network)"
            self._unmapped[network if not adapter.vlan else f"{network}:{adapter.vlan}"] += len(ips) if count else 0
            return found
        inside = [text.partition("/")[0].strip() for text in ips if subnet.holds(text)]
        if count:
            self._outside += [
                f"{machine.name}: {text} is not in {subnet.ref}" for text in ips if not subnet.holds(text)
            ]
        return found | {"ipAddresses": inside, "subnet": {"resourceRef": subnet.ref}}


def _is_link_local(text: str) -> bool:
    return ipaddress.ip_address(text.partition("/")[0].partition("%")[0].strip()).is_link_local


def _keys(machine: Machine) -> tuple[str, str]:
    """A machine's name, and what tells it from another of that name."""
    return machine.name, f"{machine.host}/{machine.id}"


def _identities(machines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Identity, str]]:
    for machine in machines:
        properties = machine["properties"]
        hypervisor = properties.get("hypervisor") or {}
        name = (machine.get("tags") or {}).get("name") or machine["resourceId"]
        yield (
            (_server_of(machine), str(hypervisor.get("id", "")).lower(), str(name).lower()),
            str(machine["resourceId"]),
        )


def _server_of(there: Mapping[str, Any]) -> str:
    return str((there["properties"].get("server") or {}).get("resourceRef", "")).rpartition("/")[2].lower()


def _is_it(there: Mapping[str, Any], machine: Machine, server: str) -> bool:
    """Whether a machine that is there is this one: by its hypervisor's id, since it may have moved; else by its host,
    as far as both are known. A replica has its primary's id."""
    known = str((there["properties"].get("hypervisor") or {}).get("id", "")).lower()
    if known and machine.id and not (machine.is_replica and known == machine.id.lower()):
        return known == machine.id.lower()
    return not server or _server_of(there) in ("", server)


def _marks(machine: Machine, made: str, kind: str) -> dict[str, Any]:
    """What a machine is known by: its name as it was, which an import's body cannot say, and its hypervisor's id."""
    marks: dict[str, Any] = {"tags": {"name": machine.name}} if made != machine.name else {}
    return marks | ({"hypervisor": {"type": kind.lower(), "id": machine.id}} if machine.id else {})


def is_marked(there: Mapping[str, Any], marks: Mapping[str, Any]) -> bool:
    """Whether a machine, as answered, has its marks."""
    tags, hypervisor = there.get("tags") or {}, there["properties"].get("hypervisor")
    return dict(tags) == {**tags, **marks.get("tags", {})} and marks.get("hypervisor", hypervisor) == hypervisor


def marked(machine: Mapping[str, Any], marks: Mapping[str, Any]) -> dict[str, Any]:
    """The element of a batch that gives a machine, as answered, its marks."""
    properties = dict(machine["properties"])
    properties |= {"hypervisor": marks["hypervisor"]} if "hypervisor" in marks else {}
    tags = {**(machine.get("tags") or {}), **marks.get("tags", {})}
    body = {**machine, "properties": properties, "tags": tags or None}
    return {"method": "PUT", "path": path_of(f"/weft/virtualMachines/{machine['resourceId']}"), "body": body}


def _shown(path: str, made: str, name: str) -> str:
    return path if made == name else f"{path} ({name})"


def ids_of(
    named: list[tuple[str, str]], remembered: Mapping[int, str], strangers: Container[int] = frozenset()
) -> list[str]:
    """Ids for (name, what tells it from others of that name), whatever their order; `remembered` and `strangers`, whose
    plain id somebody else has, by position."""
    plain = [slug(name) for name, _ in named]
    uses = Counter(made.lower() for made in plain)
    exact = Counter(name.lower() for (name, _), made in zip(named, plain, strict=True) if name == made)
    found: list[str] = []
    for at, ((name, rest), made) in enumerate(zip(named, plain, strict=True)):
        alone = at not in strangers and (uses[made.lower()] == 1 or (name == made and exact[name.lower()] == 1))
        found.append(remembered.get(at) or (made if alone else suffixed(made, f"{name}/{rest}")))
    return found
