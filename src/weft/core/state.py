"""Every resource and lease at one revision, in memory, indexed.

Called by core.decide, core.policy, core.trace, core.words and the API to read, by control.writer to apply and revert.
`apply` and `revert` are exact inverses: what is derived (indexes, pools, counts, cooling) follows from resources and
leases alone. Not safe for threads; reads between two applies see one revision. Ids are taken in any case.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from weft.core.addresses import Addresses
from weft.core.changes import Change, CursorChange, LeaseChange
from weft.core.commands import Path
from weft.core.deadlines import Deadlines
from weft.core.index import Index, last_id, lower
from weft.core.l2 import Domains
from weft.core.layout import NOTHING, Layout, host_range_of, layout_of
from weft.core.pools import Pool, Segment
from weft.core.uses import Uses
from weft.model.fabric import VirtualNetworkManagerProperties
from weft.model.kinds import BY_NAME, GATEWAY_KINDS, KINDS, VIRTUAL_SUBNETS, Kind, owned_id, owned_kind
from weft.model.leases import Lease
from weft.model.resources import AnyResource, Resource
from weft.model.workload import VirtualMachineProperties

MANAGER_INSTANCE = "5f1a8f0e-57ef-4d3c-9b1e-000000000001"
"""instanceId of virtualNetworkManager/configuration, the same in every installation."""


class Stored(Protocol):
    """What the store gives back at start."""

    @property
    def generation(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def resources(self) -> Mapping[str, Iterable[AnyResource]]: ...
    @property
    def leases(self) -> Iterable[Lease]: ...
    @property
    def cursors(self) -> Mapping[str, int]: ...


class State:
    """One revision of the world. Equal states hold the same resources, leases and cursors and all that follows."""

    def __init__(self, generation: str = "") -> None:
        self.generation = generation
        self.revision = 0
        """Of the last commit; control.writer moves it."""
        self.cursors: dict[str, int] = {}
        self._resources: dict[str, dict[str, AnyResource]] = {kind.name: {} for kind in KINDS}
        self._layouts: dict[tuple[str, str], Layout] = {}
        self.addresses = Addresses()
        self.index = Index(self._resources)
        self.uses = Uses()
        self.domains = Domains(self.addresses.segments)
        self.expiring: Deadlines[str] = Deadlines()
        """Ids, lower case, of the reservations that expire."""
        self._turn_resource("virtualNetworkManager", "configuration", None, _default_manager())

    @classmethod
    def load(cls, stored: Stored) -> "State":
        """Build a state from the store's rows, in any order."""
        state = cls(stored.generation)
        state.revision = stored.revision
        for kind in KINDS:
            for resource in stored.resources.get(kind.name, ()):
                key = resource.resource_id.lower()
                state._turn_resource(kind.name, key, state._resources[kind.name].get(key), resource)
        state.addresses.load(stored.leases)
        state.cursors.update((pool, at) for pool, at in stored.cursors.items() if at)
        return state

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        mine = (self.cursors, self._layouts, self.addresses, self.index, self.uses, self.domains, self.expiring)
        theirs = (
            other.cursors,
            other._layouts,
            other.addresses,
            other.index,
            other.uses,
            other.domains,
            other.expiring,
        )
        return self._resources == other._resources and mine == theirs

    # -- changes

    def apply(self, change: Change) -> None:
        """Make a change that core.decide made for this state."""
        if isinstance(change, LeaseChange):
            self.addresses.turn_lease(change.scope, change.address, change.before, change.after)
        elif isinstance(change, CursorChange):
            self._turn_cursor(change.pool, change.after)
        else:
            self._turn_resource(change.kind, change.id, change.before, change.after)

    def revert(self, change: Change) -> None:
        """Undo the last change that was applied and not reverted."""
        if isinstance(change, LeaseChange):
            self.addresses.turn_lease(change.scope, change.address, change.after, change.before)
        elif isinstance(change, CursorChange):
            self._turn_cursor(change.pool, change.before)
        else:
            self._turn_resource(change.kind, change.id, change.after, change.before)

    def _turn_cursor(self, pool: str, at: int) -> None:
        if at:
            self.cursors[pool] = at
        else:
            self.cursors.pop(pool, None)

    def _turn_resource(self, kind: str, key: str, before: AnyResource | None, after: AnyResource | None) -> None:
        table = self._resources[kind]
        if after is None:
            table.pop(key, None)
        else:
            if key == after.resource_id:
                key = after.resource_id  # one text for both, in all tables
            table[key] = after
        self.index.turn(kind, key, before, after)
        self.uses.turn(kind, before, after)
        if kind == "servers":
            self.domains.turn_server(before, after)
            self._turn_layout(kind, key, self._range_of(after))
        elif kind == "addressPlans":
            for server in self.index.servers.planned.get(key, ()):
                self._turn_layout("servers", server, self._range_of(self._resources["servers"][server]))
        elif kind not in _WITHOUT_LAYOUT:
            self._turn_layout(kind, key, layout_of(kind, after))
        elif kind == "reservations":
            self.expiring.put(key, (after.properties.expires or None) if after is not None else None)

    def _turn_layout(self, kind: str, key: str, new: Layout) -> None:
        old = self._layouts.pop((kind, key), NOTHING)
        if new != NOTHING:
            self._layouts[kind, key] = new
        if old != new:
            self.addresses.turn_layout(old, new)

    def _range_of(self, server: AnyResource | None) -> Layout:
        """The range that a server has of its plan, as a pool."""
        if server is None:
            return NOTHING
        return host_range_of(server, self._resources["addressPlans"].get(last_id(server.properties.address_plan)))

    # -- resources

    def get(self, kind: str, resource_id: str) -> AnyResource | None:
        """A top-level resource by the canonical name of its kind and its id in any case."""
        return self._resources[kind].get(resource_id.lower())

    def all(self, kind: str) -> Iterable[AnyResource]:
        """All resources of a kind, in no promised order."""
        return self._resources[kind].values()

    def find(self, path: Path) -> AnyResource | None:
        """The resource or child that a path names, in any case."""
        path = owned_path(path)
        kind = BY_NAME.get(path.kind.lower())
        found = self.get(kind.name, path.id) if kind is not None else None
        for name, child_id in path.below:
            if found is None or kind is None:
                return None
            kind = child_kind(kind, name)
            found = child_of(found, kind, child_id) if kind is not None else None
        return found

    def find_ref(self, ref: str) -> AnyResource | None:
        """The resource or child that a resourceRef names, in any case."""
        path = path_of(ref)
        return None if path is None else self.find(path)

    def by_instance(self, instance_id: str) -> tuple[str, AnyResource] | None:
        """(Kind, resource) of a top-level resource by its instanceId."""
        wanted = instance_id.lower()
        for kind, ids in self.index.instances.items():
            if wanted in ids:
                return kind, self._resources[kind][ids[wanted]]
        return None

    def owned(self, kind: str, owner_id: str) -> list[AnyResource]:
        """What is named below an owner, such as the `checkpoints` of a machine, in the order of their ids."""
        table = self._resources[kind]
        return [table[key] for key in sorted(self.index.owned.get(f"{kind} {owner_id.lower()}", ()))]

    # -- references

    def captures_in(self, ref: str) -> Iterator[tuple[str, AnyResource]]:
        """(Kind, resource) of the checkpoints and exports that hold an address in a subnet or network."""
        return ((kind, self._resources[kind][key]) for kind, key in self.index.captures_in.get(ref.lower(), ()))

    def machine_of(self, interface_id: str) -> Resource[VirtualMachineProperties] | None:
        """The machine that has an interface."""
        key = self.index.machine_of.get(interface_id.lower())
        return None if key is None else self._resources["virtualMachines"][key]

    def interfaces_in(self, ref: str) -> Iterator[AnyResource]:
        """Interfaces with an ipConfiguration in a subnet, or in any subnet of a network, virtual or logical."""
        table = self._resources["networkInterfaces"]
        return (table[key] for key in self.index.users_of(ref.lower()))

    def interfaces_with_list(self, ref: str) -> Iterator[AnyResource]:
        """Interfaces with an ipConfiguration that names an accessControlList."""
        table = self._resources["networkInterfaces"]
        return (table[key] for key in self.index.filtered.get(ref.lower(), ()))

    def interfaces_learning(self, ref: str) -> list[AnyResource]:
        """Interfaces with learnt addresses in a virtual subnet."""
        table = self._resources["networkInterfaces"]
        return [table[key] for key in sorted(self.index.learning.get(ref.lower(), ()))]

    def servers_with_list(self, ref: str) -> set[str]:
        """Ids, lower case, of the servers with a port that is under an accessControlList: its own or its subnet's."""
        index, named = self.index, ref.lower()
        found = set(index.filters_on.get(named, ()))
        return found.union(*(index.ports_in.get(subnet, ()) for subnet in index.networks.filtered.get(named, ())))

    def has_port_with_list(self, server_id: str, ref: str) -> bool:
        """Is the server one of servers_with_list()?"""
        index, named, server = self.index, ref.lower(), server_id.lower()
        subnets = index.networks.filtered.get(named, ())
        own = server in index.filters_on.get(named, ())
        return own or any(server in index.ports_in.get(subnet, ()) for subnet in subnets)

    def subnets_with_list(self, ref: str) -> Iterator[tuple[AnyResource, AnyResource]]:
        """(Virtual network, subnet) of the subnets that name an accessControlList."""
        return self._subnets(self.index.networks.filtered.get(ref.lower(), ()))

    def subnets_with_table(self, ref: str) -> Iterator[tuple[AnyResource, AnyResource]]:
        """(Virtual network, subnet) of the subnets that name a routeTable."""
        return self._subnets(self.index.networks.routed.get(ref.lower(), ()))

    def _subnets(self, refs: Iterable[str]) -> Iterator[tuple[AnyResource, AnyResource]]:
        for ref in refs:
            _, _, network_id, _, subnet_id = ref.split("/")
            network = self._resources["virtualNetworks"][network_id]
            subnet = child_of(network, VIRTUAL_SUBNETS, subnet_id)
            assert subnet is not None
            yield network, subnet

    def peering_to(self, network_id: str) -> Iterator[AnyResource]:
        """Virtual networks that have a peering to one, whether it exists or not."""
        table = self._resources["virtualNetworks"]
        return (table[key] for key in self.index.networks.peered.get(network_id.lower(), ()))

    def machines_on(self, server_id: str) -> Iterator[Resource[VirtualMachineProperties]]:
        """Machines bound to a server at any power, those moving to it and, until the move is done, those that left."""
        table = self._resources["virtualMachines"]
        return (table[key] for key in self.index.machines_on.get(server_id.lower(), ()))

    def count_on(self, server_id: str) -> int:
        """How many machines_on() would give, without going through them."""
        return len(self.index.machines_on.get(server_id.lower(), ()))

    def templates_on(self, server_id: str) -> list[Resource[VirtualMachineProperties]]:
        """Templates whose copies go to a server."""
        table = self._resources["virtualMachines"]
        return [table[key] for key in self.index.templates_on.get(server_id.lower(), ())]

    def servers_of(self, network_id: str) -> list[str]:
        """Ids, lower case, of the servers with interest in a virtual network."""
        return list(self.index.servers_of.get(network_id.lower(), ()))

    def networks_on(self, server_id: str) -> list[str]:
        """Ids, lower case, of the virtual networks that a server has interest in."""
        return list(self.index.networks_on.get(server_id.lower(), ()))

    # -- addresses

    def lease(self, scope: str, address: int) -> Lease | None:
        table = self.addresses.leases.get(scope)
        return None if table is None else table.get(address)

    def leases(self, scope: str) -> Mapping[int, Lease]:
        """All leases of a scope by address."""
        return self.addresses.leases.get(scope, {})

    def segment(self, ref: str) -> Segment | None:
        """A virtual or logical subnet, compiled, by its reference."""
        return self.addresses.segments.get(ref.lower())

    def space(self, pool: str) -> Pool | None:
        """A pool by its key: reference in lower case, with /4 or /6 for a virtual subnet, or `vsid`, `rdid`."""
        return self.addresses.pools.get(pool)

    def next_cooled(self, now: float, limit: int = 1000) -> list[Lease]:
        """Leases whose cooling has ended by ledger time `now`, soonest first."""
        return self.addresses.cooled(now, limit)

    def cooling_ends(self) -> float | None:
        """Ledger time at which the next cooling ends; None if nothing cools."""
        return self.addresses.cooling_ends()

    def next_expired(self, now: float, limit: int = 100) -> list[str]:
        """Ids, lower case, of reservations that have expired by ledger time `now`, soonest first."""
        return self.expiring.due(now, limit)

    def reservations_end(self) -> float | None:
        """Ledger time at which the next reservation expires; None if none does."""
        return self.expiring.first()

    def meet(self, one: str, other: str) -> bool:
        """Whether holders in two L2 domains (`Holder.domain`) could meet; one without a subnet may meet everyone."""
        return self.domains.meet(self._wire_of(one), self._wire_of(other))

    def _wire_of(self, domain: str) -> str:
        """Where frames of a domain go by their MAC addresses: on the provider network, if a network rewrites."""
        name = domain.split("/")[2] if domain.startswith("/virtualnetworks/") else ""
        if name not in self.index.networks.rewriting:
            return domain
        logical = lower(self.get("virtualNetworks", name).properties.logical_network)  # type: ignore[union-attr]
        carriers = (key for key, one in self.addresses.provider_segments.items() if one.network == logical)
        return min(carriers, default=domain)


_WITHOUT_LAYOUT = GATEWAY_KINDS | frozenset(
    {
        "networkInterfaces",
        "virtualMachines",
        "reservations",
        "checkpoints",
        "exports",
        "clusters",
        "accessControlLists",
        "routeTables",
    }
)


def child_kind(kind: Kind, name: str) -> Kind | None:
    """A kind of children by its name in any case."""
    return next((child for child in kind.children if child.name.lower() == name.lower()), None)


def child_of(parent: AnyResource, kind: Kind, child_id: str) -> AnyResource | None:
    """A child by its id in any case."""
    wanted = child_id.lower()
    children: tuple[AnyResource, ...] = getattr(parent.properties, kind.member)
    return next((child for child in children if child.resource_id.lower() == wanted), None)


def owned_path(path: Path) -> Path:
    """The path of a resource that is named below another one, by its own kind and id; any other path as it is."""
    if len(path.below) == 1:
        kind = BY_NAME.get(path.kind.lower())
        owned = owned_kind(kind, path.below[0][0]) if kind is not None else None
        if owned is not None:
            return Path(owned.name, owned_id(path.id, path.below[0][1]))
    return path


def path_of(ref: str) -> Path | None:
    """Read a resourceRef; None if it has not the form of one."""
    parts = ref.strip("/").split("/")
    if parts[0].lower() == "weft":
        parts = parts[1:]
    if len(parts) % 2 or not all(parts):
        return None
    pairs = tuple(zip(parts[::2], parts[1::2], strict=True))
    return Path(pairs[0][0], pairs[0][1], pairs[1:]) if pairs else None


def _default_manager() -> AnyResource:
    return msgspec.structs.replace(
        Resource(properties=VirtualNetworkManagerProperties()),
        resource_id="configuration",
        instance_id=MANAGER_INSTANCE,
        etag=f'W/"{MANAGER_INSTANCE}"',
    )
