"""Which records a commit may have changed.

Called by core.policy only. Every resource that the changes name is seen in all the versions that it had in them and the
one that it has now, so a record that was made by a version already gone is still named. What is named too often costs
a few bytes; what is left out would never reach a host.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable

from weft.core import policy_touched_addresses, policy_touched_gateways, policy_touched_routes, policy_touched_ways
from weft.core.changes import Change, LeaseChange, ResourceChange
from weft.core.index import interfaces_of, last_id, lower, servers_of
from weft.core.policy_access import LISTS
from weft.core.policy_host import host_settings
from weft.core.policy_learning import told_of
from weft.core.policy_peers import networks_near
from weft.core.policy_places import (
    INTERFACES,
    LOGICAL_NETWORKS,
    MACHINES,
    NETWORKS,
    SERVERS,
    Interface,
    Network,
    Subnet,
    VirtualMachine,
    answers_probes,
    instance_of,
    network_ref,
    packed_prefix,
    subnet_of,
)
from weft.core.policy_segments import provider_subnets, segments_of
from weft.core.policy_services import told_to_all, told_to_one
from weft.core.policy_touched_addresses import shared_out, used
from weft.core.policy_touched_versions import Versions
from weft.core.policy_versions import (
    connections,
    ends,
    interface_identity,
    learnt,
    lists_named,
    machine_identity,
    network_identity,
    orders,
    peerings,
    scope_identity,
    subnet_identity,
    whereabouts,
)
from weft.core.provider_places import network_of_purpose, told_addresses
from weft.core.state import State
from weft.model.records import HostSettings, RecordKey
from weft.model.values import PackedIp, pack_ip

Stream = tuple[str, int | str]


class Touched:
    """One use: make it with the commit's changes and the state after them, then ask for `keys`."""

    def __init__(self, state: State, changes: Iterable[Change]) -> None:
        self._state = state
        every = list(changes)
        self._changes = [change for change in every if isinstance(change, ResourceChange)]
        self._leases = [change for change in every if isinstance(change, LeaseChange)]
        self._versions = Versions(state, self._changes)
        self._moved: set[str] = set()
        """Interfaces whose port, place or address may differ."""
        self._switched: set[str] = set()
        """Interfaces whose machine changed its power or its server: what points to them may differ."""
        self._bound: set[str] = set()
        """Interfaces whose machine began or ended a move: their ports may differ."""
        self._joined: dict[str, set[str]] = defaultdict(set)
        """Interface to the servers that its machine came to or left, without any other change of it."""
        self._filtered: set[str] = set()
        """Interfaces of which only the access lists may differ."""
        self._learning: set[str] = set()
        """Interfaces of which only what their guests bring may differ."""
        self._machines: set[str] = set()
        self._found: set[tuple[Stream, RecordKey]] = set()

    def keys(self) -> set[tuple[Stream, RecordKey]]:
        readers = {
            "virtualNetworkManager": self._protocol,
            LOGICAL_NETWORKS: self._logical_network,
            SERVERS: self._server,
            NETWORKS: self._network,
            INTERFACES: self._interface,
            MACHINES: self._machine,
            LISTS: self._list,
        }
        for change in self._changes:
            if change.kind in readers:
                readers[change.kind](change)
        for server_id, address, purpose in policy_touched_addresses.of_subnets(self._leases):
            self._subnet_address(server_id, address, purpose)
        self._name_all()
        return self._found

    def _name_all(self) -> None:
        """The records of every interface and machine that the readers found."""
        for interface_id in self._moved:
            self._joined[interface_id] |= self._versions.servers_with(interface_id)
        for interface_id, servers in self._joined.items():
            self._interests(interface_id, servers)
        for interface_id in self._moved | self._bound:
            self._ports(interface_id)
        for interface_id in self._moved | self._bound | self._filtered:
            self._accesses(interface_id)
        for interface_id in self._moved | self._switched:
            self._lookups(interface_id)
            self._machine_of(interface_id)
        for interface_id in self._learning:
            self._lookups(interface_id)
        for interface_id in self._learning | self._moved | self._bound:
            self._learns(interface_id)
        for machine_id in self._machines:
            self._machine_records(machine_id)
        self._found.update(policy_touched_gateways.touched(self._state, self._changes, self._versions))
        self._found.update(policy_touched_ways.touched(self._state, self._changes, self._versions))
        self._found.update(policy_touched_routes.touched(self._state, self._changes, self._versions))
        self._found.update(list(policy_touched_routes.beyond(self._state, self._found, self._versions)))

    def _network_key(self, network: Network, key: RecordKey) -> None:
        self._found.add((("network", network.properties.routing_domain_number), key))

    def _host_key(self, server_id: str, key: RecordKey) -> None:
        self._found.add((("host", server_id.lower()), key))

    # One reader per kind: what a change of it can reach.

    def _protocol(self, change: ResourceChange) -> None:
        versions = [one for one in (change.before, change.after) if one is not None]
        if len({one.properties.network_virtualization_protocol for one in versions}) > 1:
            for network in self._state.all(NETWORKS):
                self._network_key(network, (1,))

    def _logical_network(self, change: ResourceChange) -> None:
        for subnet in sorted(segments_of(change.before) ^ segments_of(change.after)):
            for interface in self._state.interfaces_in(f"/logicalNetworks/{change.id}/subnets/{subnet[0]}"):
                self._moved.add(interface.resource_id.lower())
        if shared_out(change.before) != shared_out(change.after):
            for server in self._state.all(SERVERS):
                self._resettle(server.resource_id)
        old, new = provider_subnets(change.before), provider_subnets(change.after)
        if old == new:
            return
        self._bound.update(policy_touched_addresses.beside(self._state, old, new))
        # an address is told with the prefixes of all the other subnets
        moved = {prefix for prefix, *_ in old} != {prefix for prefix, *_ in new}
        changed = [ipaddress.ip_network(prefix) for prefix, *_ in (old | new if moved else old ^ new)]
        for server in self._state.all(SERVERS):
            for _, address, _ in told_addresses(self._state, server.resource_id):
                if any(ipaddress.ip_address(address) in prefix for prefix in changed):
                    self._host_key(server.resource_id, (11, address))

    def _server(self, change: ResourceChange) -> None:
        if connections(change.before) != connections(change.after):
            # machines that are about to move to it name its management address
            self._machines.update(one.resource_id.lower() for one in self._state.machines_on(change.id))
        if host_settings(change.before) != host_settings(change.after):
            self._host_key(change.id, HostSettings().key)
        if (
            change.before is None
            or change.after is None
            or answers_probes(change.before) != answers_probes(change.after)
        ):
            for network in networks_near(self._state, change.id):
                for address in policy_touched_addresses.of_server(self._state, change.id, self._versions):
                    self._network_key(network, (4, address))
        if used(change.before) == used(change.after):
            return
        for text in policy_touched_addresses.named_by(change.before, change.after):
            self._host_key(change.id, (11, pack_ip(text)))
        self._resettle(change.id)

    def _subnet_address(self, server_id: str, address: PackedIp, purpose: str) -> None:
        """A virtual subnet on a host has come to have an address of its own there, or has it no more."""
        self._host_key(server_id, (11, address))
        for network in self._versions.seen(NETWORKS, network_of_purpose(purpose)):
            self._network_key(network, (4, address))
        self._moved.update(policy_touched_addresses.interfaces_in(self._state, server_id, purpose))

    def _resettle(self, server_id: str) -> None:
        """The server's tunnel address may be another one: all its ports are told anew."""
        for machine in self._state.machines_on(server_id):
            self._moved.update(interfaces_of(machine))

    def _network(self, change: ResourceChange) -> None:
        before: Network | None = change.before
        after: Network | None = change.after
        whole = before is None or after is None or network_identity(before) != network_identity(after)
        repaired = policy_touched_addresses.paired_otherwise(before, after)
        for network in (before, after):
            if network is None:
                continue
            if whole:
                self._network_key(network, (1,))
            other = after if network is before else before
            for subnet in network.properties.subnets:
                twin = subnet_of(other, subnet.resource_id.lower()) if other is not None else None
                other_one = whole or twin is None or subnet_identity(twin) != subnet_identity(subnet)
                if other_one or subnet.resource_id.lower() in repaired:
                    self._subnet(network, subnet)
                    continue
                assert twin is not None
                if other is not None and told_to_all(other, twin) != told_to_all(network, subnet):
                    prefix, _ = packed_prefix(subnet.properties.address_prefix)
                    self._network_key(network, (7, subnet.properties.virtual_subnet_id, prefix))
                if told_of(twin) != told_of(subnet):
                    self._learners(network, subnet)
                if lower(twin.properties.access_control_list) != lower(subnet.properties.access_control_list):
                    self._filtered.update(one.resource_id.lower() for one in self._interfaces_in(network, subnet))
                    # whoever has no ipConfiguration there may bring no address of a subnet with a list
                    self._learners(network, subnet)
        if whole or scope_identity(before) != scope_identity(after):
            self._scopes(change)

    def _learners(self, network: Network, subnet: Subnet) -> None:
        """Ports in a subnet, or in its dual-stack partner, whose guests may bring other addresses now."""
        for one in network.properties.subnets:
            if one.properties.virtual_subnet_id == subnet.properties.virtual_subnet_id:
                self._learning.update(each.resource_id.lower() for each in self._interfaces_in(network, one))

    def _scopes(self, change: ResourceChange) -> None:
        """What the tag VIRTUALNETWORK means in a network and in those that it has, or had, peerings with."""
        versions: list[Network] = [one for one in (change.before, change.after) if one is not None]
        named = {last_id(p.properties.remote_virtual_network) for n in versions for p in peerings(n)}
        named.update(one.resource_id.lower() for one in self._state.peering_to(change.id))
        named.update(policy_touched_routes.encryption_reaches(self._state, change.id, self._versions))
        for network_id in {change.id.lower(), *named}:
            for network in self._versions.seen(NETWORKS, network_id):
                self._network_key(network, (1,))

    def _list(self, change: ResourceChange) -> None:
        """A list reaches the hosts with a port under it, whose number stands in its own record only."""
        ref = f"/{LISTS}/{change.id}"
        for version in (change.before, change.after):
            if version is not None:
                for server_id in self._state.servers_with_list(ref):
                    self._host_key(server_id, (16, version.properties.list_number))

    def _subnet(self, network: Network, subnet: Subnet) -> None:
        vsid = subnet.properties.virtual_subnet_id
        prefix, length = packed_prefix(subnet.properties.address_prefix)
        self._network_key(network, (2, vsid, prefix))
        self._network_key(network, (3, vsid, prefix, length))
        self._network_key(network, (7, vsid, prefix))
        for interface in self._interfaces_in(network, subnet):
            self._moved.add(interface.resource_id.lower())
        if told_of(subnet).enabled:
            # it may have come as the partner of another, whose ports are in no other way concerned
            self._learners(network, subnet)

    def _interfaces_in(self, network: Network, subnet: Subnet) -> Iterable[Interface]:
        found: Iterable[Interface] = self._state.interfaces_in(f"{network_ref(network)}/subnets/{subnet.resource_id}")
        return found

    def _interface(self, change: ResourceChange) -> None:
        if interface_identity(change.before) != interface_identity(change.after):
            self._moved.add(change.id.lower())
            return
        if lists_named(change.before) != lists_named(change.after):
            self._filtered.add(change.id.lower())
        if learnt(change.before) != learnt(change.after):
            self._learning.add(change.id.lower())
        if told_to_one(change.before) != told_to_one(change.after):
            self._bound.add(change.id.lower())

    def _machine(self, change: ResourceChange) -> None:
        before: VirtualMachine | None = change.before
        after: VirtualMachine | None = change.after
        if before is None or after is None or machine_identity(before) != machine_identity(after):
            for version in (before, after):
                self._moved.update(interfaces_of(version) if version is not None else ())
        elif before.properties.move == after.properties.move and whereabouts(before) == whereabouts(after):
            if orders(before) == orders(after):
                return
        else:
            self._phase(before, after)
        self._machines.add(change.id.lower())

    def _phase(self, before: VirtualMachine, after: VirtualMachine) -> None:
        """Another power, another server, or a step of a move: each reaches a part of what the machine's records say."""
        interfaces = interfaces_of(after)
        if whereabouts(before) != whereabouts(after):
            self._switched.update(interfaces)
        joined = servers_of(before).keys() ^ servers_of(after).keys()
        for interface_id in interfaces if joined else ():
            self._joined[interface_id] |= joined
        if joined or ends(before) != ends(after):
            self._bound.update(interfaces)

    # What an affected interface or machine names, over all versions.

    def _lookups(self, interface_id: str) -> None:
        for network, vsid, address in self._versions.places(interface_id):
            if address:
                self._network_key(network, (5, vsid, pack_ip(address)))

    def _learns(self, interface_id: str) -> None:
        for server_id in self._versions.servers_with(interface_id):
            for version in self._versions.seen(INTERFACES, interface_id):
                self._host_key(server_id, (22, instance_of(version).encode()))

    def _machine_of(self, interface_id: str) -> None:
        """Its MAC address stands in its machine's record too."""
        self._machines.update(one.resource_id.lower() for one in self._versions.machines_with(interface_id))

    def _ports(self, interface_id: str) -> None:
        instances = {instance_of(one) for one in self._versions.seen(INTERFACES, interface_id)}
        for server_id in self._versions.servers_with(interface_id):
            for instance_id in instances:
                self._host_key(server_id, (13, instance_id.encode()))
                self._host_key(server_id, (18, instance_id.encode()))
                self._host_key(server_id, (19, instance_id.encode()))
                self._host_key(server_id, (20, instance_id.encode()))

    def _accesses(self, interface_id: str) -> None:
        """Which lists its port is under, and those lists, which a host has only as long as a port is under them."""
        versions: list[Interface] = self._versions.seen(INTERFACES, interface_id)
        numbers = {number for one in versions for number in self._versions.list_numbers(one)}
        for server_id in self._versions.servers_with(interface_id):
            for version in versions:
                self._host_key(server_id, (17, instance_of(version).encode()))
            for number in numbers:
                self._host_key(server_id, (16, number))

    def _interests(self, interface_id: str, servers: Iterable[str]) -> None:
        """Which networks these servers need, and whose tunnel endpoints they are."""
        networks = {one.properties.routing_domain_number: one for one, _, _ in self._versions.places(interface_id)}
        for server_id in servers:
            for rdid, network in networks.items():
                self._host_key(server_id, (12, rdid))
                for address in policy_touched_addresses.of_server(self._state, server_id, self._versions):
                    self._network_key(network, (4, address))

    def _machine_records(self, machine_id: str) -> None:
        versions: list[VirtualMachine] = self._versions.seen(MACHINES, machine_id)
        servers = {name for version in versions for name in servers_of(version)}
        for version in versions:
            for server_id in servers:
                self._host_key(server_id, (14, version.resource_id.encode()))
