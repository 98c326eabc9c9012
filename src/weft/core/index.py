"""Who refers to whom, kept up with every change of a resource, so that no question scans the state.

Called by core.state, which gives every change to `turn` in order; turning back is the same call with before and after
exchanged. Ids and references are kept in lower case.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from weft.core.gateway_places import GatewayPlaces
from weft.core.network_relations import NetworkRelations
from weft.core.references import (
    SUBNETS,
    VIRTUAL,
    Pairs,
    drop,
    last_id,
    learnt_in,
    lists_of_interface,
    lower,
    turn_pairs,
)
from weft.core.server_groups import ServerGroups
from weft.model.kinds import BY_NAME, owner_and_name
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties
from weft.model.workload import CaptureProperties, NetworkInterfaceProperties, VirtualMachineProperties

Machine = Resource[VirtualMachineProperties]
Interface = Resource[NetworkInterfaceProperties]
Capture = Resource[CaptureProperties]
VirtualNetwork = Resource[VirtualNetworkProperties]
Counts = dict[str, dict[str, int]]

__all__ = ["Index", "captured_references", "interfaces_of", "last_id", "lower", "references", "servers_of"]

_Turn = Callable[[str, Any, Any], None]


class Index:
    """References among interfaces, machines, servers and networks. `resources` is the state's own table, read only."""

    def __init__(self, resources: Mapping[str, Mapping[str, Resource[Any]]]) -> None:
        self._interfaces = resources["networkInterfaces"]
        self._machines = resources["virtualMachines"]
        self.users: dict[str, dict[str, None]] = {}
        """Interface ids per reference of a subnet."""
        self.subnets_used: dict[str, dict[str, None]] = {}
        """References of the subnets that have users, per reference of their network."""
        self.machine_of: dict[str, str] = {}
        """Machine id per interface id."""
        self.machines_on: dict[str, dict[str, None]] = {}
        """Machine ids per server id; a move counts for both its ends."""
        self.templates_on: dict[str, dict[str, None]] = {}
        """Template ids per id of the server that their copies go to."""
        self.servers_of: Counts = {}
        """Per virtual network id: server ids, and how many ports in the network each has, or ways out of it."""
        self.networks_on: Counts = {}
        """The same, per server id."""
        self.instances: dict[str, dict[str, str]] = {}
        """Id per instanceId of a top-level resource, per kind: a pair per resource would cost a megabyte in ten."""
        self.owned: dict[str, dict[str, None]] = {}
        """Ids of what is named below an owner, per `kind owner`: `checkpoints web1`."""
        self.captures_in: dict[str, dict[tuple[str, str], None]] = {}
        """(Kind, id) of the checkpoints and exports that name an address in a subnet or network, per its reference."""
        self.hypervised: dict[str, tuple[str, ...]] = {}
        """Machine ids, sorted, per id that their hypervisor has for them, lower case; templates among them. Nearly all
        have one, for which a dict would be large."""
        self.requests: dict[str, str] = {}
        """Reservation ids per request id."""
        self.filtered: dict[str, dict[str, None]] = {}
        """Interface ids per reference of the accessControlList that one of their ipConfigurations names."""
        self.filters_on: Counts = {}
        """Per reference of an accessControlList: server ids, and how many ports each has that name it themselves."""
        self.ports_in: Counts = {}
        """Per reference of a virtual subnet: server ids, and how many ports in the subnet each has."""
        self.learning: dict[str, dict[str, None]] = {}
        """Interface ids per reference of a virtual subnet in which they have learnt addresses."""
        self.gateways = GatewayPlaces()
        """Where gateways are, and what they serve."""
        self.servers = ServerGroups()
        self.networks = NetworkRelations()
        self._turns: dict[str, _Turn] = {
            "networkInterfaces": self._turn_interface,
            "virtualMachines": self._turn_machine,
            "virtualNetworks": self.networks.turn,
            "servers": self.servers.turn_server,
            "logicalNetworks": self.servers.turn_policy,
            "clusters": self.servers.turn_cluster,
            "reservations": self._turn_reservation,
            "gateways": self._turn_gateways,
            "virtualGateways": self._turn_gateways,
        }
        """What each kind refers to and is referred to by."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self._contents() == other._contents()

    def _contents(self) -> dict[str, object]:
        return {name: table for name, table in vars(self).items() if not name.startswith("_")}

    def turn(self, kind: str, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        """Follow one change. A machine's interfaces must be in the state while the machine is turned."""
        if before is None or after is None or before.instance_id != after.instance_id:
            if before is not None:
                drop(self.instances, kind, before.instance_id)
            if after is not None:
                self.instances.setdefault(kind, {})[after.instance_id] = key
        own = self._turns.get(kind)
        if own is not None:
            own(key, before, after)
        elif (before is None) != (after is None) and BY_NAME[kind.lower()].owner:
            self._turn_owned(kind, key, before, after)

    def _turn_owned(self, kind: str, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        if before is not None:
            for ref in captured_references(before):
                drop(self.captures_in, ref, (kind, key))
        if after is not None:
            for ref in captured_references(after):
                self.captures_in.setdefault(ref, {})[kind, key] = None
        below = f"{kind} {owner_and_name(key)[0]}"
        if after is None:
            drop(self.owned, below, key)
        else:
            self.owned.setdefault(below, {})[key] = None

    def _turn_reservation(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        if before is not None and before.properties.request_id:
            del self.requests[before.properties.request_id]
        if after is not None and after.properties.request_id:
            self.requests[after.properties.request_id] = key

    def _turn_gateways(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        for network, server, by in self.gateways.turn(key, before, after):
            self._count({server: None}, VIRTUAL + network, by)

    def _turn_machine(self, key: str, before: Machine | None, after: Machine | None) -> None:
        old = before.properties.hypervisor if before is not None else None
        new = after.properties.hypervisor if after is not None else None
        if old is not new:
            if old is not None and old.id:
                rest = tuple(one for one in self.hypervised.pop(old.id.lower()) if one != key)
                self.hypervised |= {old.id.lower(): rest} if rest else {}
            if new is not None and new.id:
                others = self.hypervised.get(new.id.lower(), ())
                self.hypervised[new.id.lower()] = tuple(sorted((*others, key)))
        if before is not None:
            self._unbind(key, before)
            if before.properties.is_template:
                drop(self.templates_on, last_id(before.properties.server), key)
        if after is not None:
            self._bind(key, after)
            if after.properties.is_template:
                self.templates_on.setdefault(last_id(after.properties.server), {})[key] = None

    def _turn_interface(self, key: str, before: Interface | None, after: Interface | None) -> None:
        machine = self.machine_of.get(key)
        servers = servers_of(self._machines[machine]) if machine is not None else {}
        filters = lists_of_interface(before) if before is not None else {}
        filtered = lists_of_interface(after) if after is not None else {}
        turn_pairs(self.filtered, filters, filtered, key)
        self._count_lists(servers, filters, -1)
        self._count_lists(servers, filtered, 1)
        learnt = learnt_in(before) if before is not None else {}
        turn_pairs(self.learning, learnt, learnt_in(after) if after is not None else {}, key)
        old = references(before) if before is not None else {}
        new = references(after) if after is not None else {}
        if old == new:
            return
        for ref in old:
            self._count(servers, ref, -1)
            if SUBNETS in ref:
                drop(self.users, ref, key)
                if ref not in self.users:
                    drop(self.subnets_used, ref.partition(SUBNETS)[0], ref)
        for ref in new:
            self._count(servers, ref, 1)
            if SUBNETS in ref:
                if ref not in self.users:
                    self.subnets_used.setdefault(ref.partition(SUBNETS)[0], {})[ref] = None
                self.users.setdefault(ref, {})[key] = None

    def users_of(self, ref: str) -> Iterator[str]:
        """Ids of the interfaces in a subnet, or in any subnet of a network, each once; `ref` in lower case.

        A network's are put together from its subnets': a table of a million of them would say nothing new.
        """
        if SUBNETS in ref:
            yield from self.users.get(ref, ())
            return
        before: list[dict[str, None]] = []
        for subnet in self.subnets_used.get(ref, ()):
            members = self.users[subnet]
            for key in members:
                if not any(key in others for others in before):
                    yield key
            before.append(members)

    def _bind(self, key: str, machine: Machine) -> None:
        servers = servers_of(machine)
        for server in servers:
            self.machines_on.setdefault(server, {})[key] = None
        for interface in interfaces_of(machine):
            # the text that the interface has already: a million copies of it would be wasted
            name = self._interfaces[interface].resource_id
            self.machine_of[name if name == interface else interface] = key
            self._count_lists(servers, lists_of_interface(self._interfaces[interface]), 1)
            for ref in references(self._interfaces[interface]):
                self._count(servers, ref, 1)

    def _unbind(self, key: str, machine: Machine) -> None:
        servers = servers_of(machine)
        for server in servers:
            drop(self.machines_on, server, key)
        for interface in interfaces_of(machine):
            del self.machine_of[interface]
            self._count_lists(servers, lists_of_interface(self._interfaces[interface]), -1)
            for ref in references(self._interfaces[interface]):
                self._count(servers, ref, -1)

    def _count(self, servers: dict[str, None], ref: str, by: int) -> None:
        if SUBNETS in ref and ref.startswith(VIRTUAL):
            for server in servers:
                _add(self.ports_in, ref, server, by)
        network = _network_id(ref) if servers else ""
        if not network:
            return
        for server in servers:
            _add(self.servers_of, network, server, by)
            _add(self.networks_on, server, network, by)

    def _count_lists(self, servers: dict[str, None], lists: Pairs, by: int) -> None:
        for ref, _ in lists:
            for server in servers:
                _add(self.filters_on, ref, server, by)


def interfaces_of(machine: Machine) -> list[str]:
    """Ids of a machine's interfaces, lower case, in order."""
    return [last_id(ref) for ref in machine.properties.network_interfaces]


def servers_of(machine: Machine) -> dict[str, None]:
    """Ids of the servers that carry a machine's ports: its own and both ends of a move. Ordered, lower case.

    None carries a template: its server is only where its copies go.
    """
    p = machine.properties
    if p.is_template:
        return {}
    found = {last_id(p.server): None}
    if p.move is not None:
        found[p.move.source.lower()] = None
        found[p.move.destination.lower()] = None
    found.pop("", None)
    return found


def references(interface: Interface) -> dict[str, None]:
    """The subnets and networks that an interface has an address in, as references in lower case."""
    found: dict[str, None] = {}
    for configuration in interface.properties.ip_configurations:
        subnet = configuration.properties.subnet
        found.update(_places("" if subnet is None else subnet.resource_ref))
    return found


@functools.lru_cache(maxsize=1 << 16)
def _places(subnet: str) -> dict[str, None]:
    """A subnet and its network, lower case; a million interfaces name a few subnets."""
    ref = subnet.lower()
    return {ref: None, ref.partition("/subnets/")[0]: None}


@functools.lru_cache(maxsize=1 << 16)
def _network_id(ref: str) -> str:
    """Of a virtual network's reference in lower case; empty for a subnet or a logical network."""
    network = ref[len(VIRTUAL) :] if ref.startswith(VIRTUAL) else ""
    return "" if "/" in network else network


def captured_references(capture: Capture) -> dict[str, None]:
    """The subnets and networks that a checkpoint or an export has an address in, as references in lower case."""
    found: dict[str, None] = {}
    for interface in capture.properties.network_interfaces:
        for one in interface.ip_addresses:
            ref = lower(one.subnet)
            found[ref] = None
            found[ref.partition("/subnets/")[0]] = None
    return found


def _add(table: Counts, key: str, member: str, by: int) -> None:
    members = table.setdefault(key, {})
    count = members.get(member, 0) + by
    if count:
        members[member] = count
        return
    del members[member]
    if not members:
        del table[key]
