"""The ledger as one would keep it with paper and pencil: dicts and linear scans over what the resources say.

The oracle of the life machines. It reads resources only, never a lease, an index or a pool, but for what came and went
within one batch, which no resource shows. It keeps its own book of what cools until when and of what ports were seen;
then it compares all of that with the leases and the pools.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any, NamedTuple

from weft.core.commands import Batch, Command, NoteSeen, Put
from weft.core.copy_commands import Restore
from weft.core.state import State
from weft.model.kinds import BY_NAME, resource_ref
from weft.model.leases import MAC_SCOPE, ip_scope

Key = tuple[str, int]
"""Scope and address."""
Holders = dict[Key, dict[str, str]]
"""Who holds it: reference in lower case, and the kind of holder."""

UNDER_WAY = "/checkpoints/weft.restart-under-way"
"""Of a machine that control stops and starts for a change, while it does."""

STATES = ("assigned", "retained", "cooling", "reserved", "foreign")
_WEIGHT = {"networkInterface": "assigned", "server": "assigned", "checkpoint": "retained", "export": "retained"}
_WEIGHT |= {"reservation": "reserved", "port": "foreign"}


class Cooling(NamedTuple):
    until: float
    last: frozenset[str]


class PoolBook(NamedTuple):
    """A pool as its resource describes it."""

    key: str
    scope: str
    first: int
    last: int
    cool_down: int
    excluded: frozenset[int]
    drain: bool

    def has(self, key: Key) -> bool:
        return key[0] == self.scope and self.first <= key[1] <= self.last


Pools = tuple[list[PoolBook], list[PoolBook]]
"""Before a command and after it."""


class Port(NamedTuple):
    """What an agent said of one."""

    mac: int
    vlan: int
    learnt: bool


class User(NamedTuple):
    """An interface of a running machine."""

    machine: str
    interface: str
    domains: frozenset[str]
    addresses: frozenset[Key]


def mac_key(text: str) -> Key:
    return MAC_SCOPE, int("".join(digit for digit in text if digit.isalnum()), 16)


def ip_key(subnet: str, text: str) -> Key:
    address = ipaddress.ip_address(text)
    return ip_scope(subnet.partition("/subnets/")[0], address.version), int(address)


def addresses_of(interface: Any) -> set[Key]:
    """Of a stored interface."""
    p = interface.properties
    found = {mac_key(p.private_mac_address)} if p.private_mac_address else set()
    for one in p.ip_configurations:
        if one.properties.private_ip_address:
            found.add(ip_key(one.properties.subnet.resource_ref, one.properties.private_ip_address))
    return found


def captured(capture: Any) -> dict[str, set[Key]]:
    """What a checkpoint or an export names, per interface reference in lower case."""
    found: dict[str, set[Key]] = {}
    for one in capture.properties.network_interfaces:
        keys = {mac_key(one.mac_address)} if one.mac_address else set()
        keys |= {ip_key(a.subnet.resource_ref, a.private_ip_address) for a in one.ip_addresses if a.private_ip_address}
        found[one.network_interface.resource_ref.lower()] = keys
    return found


def reserved_keys(reservation: Any) -> set[Key]:
    p = reservation.properties
    subnet = p.pool.resource_ref
    return {ip_key(subnet, a) if "." in a or ":" in a else mac_key(a) for a in p.addresses}


def pools_of(state: State) -> list[PoolBook]:
    """MAC pools and virtual subnets."""
    return [*_mac_pools(state), *_subnets(state)]


def _mac_pools(state: State) -> Iterator[PoolBook]:
    for pool in state.all("macPools"):
        p = pool.properties
        excluded: set[int] = set()
        for one in p.excluded:
            excluded.update(range(mac_key(one.first)[1], mac_key(one.last or one.first)[1] + 1))
        first, last = mac_key(p.start_mac_address)[1], mac_key(p.end_mac_address)[1]
        key = f"/macpools/{pool.resource_id.lower()}"
        yield PoolBook(key, MAC_SCOPE, first, last, p.cool_down_seconds, frozenset(excluded), p.drain)


def _subnets(state: State) -> Iterator[PoolBook]:
    for network in state.all("virtualNetworks"):
        for subnet in network.properties.subnets:
            prefix = ipaddress.ip_network(subnet.properties.address_prefix)
            first, last = int(prefix.network_address), int(prefix.broadcast_address)
            never = {first, first + 1} | ({last} if prefix.version == 4 else set())
            ref = f"/virtualnetworks/{network.resource_id.lower()}/subnets/{subnet.resource_id.lower()}"
            scope = ip_scope(f"/virtualNetworks/{network.resource_id}", prefix.version)
            seconds = subnet.properties.cool_down_seconds
            yield PoolBook(f"{ref}/{prefix.version}", scope, first, last, seconds, frozenset(never), False)


class Domains:
    """Which subnets can meet: the same one, a dual-stack pair, or logical ones of one VLAN on one adapter."""

    def __init__(self, state: State) -> None:
        self._groups: list[set[str]] = []
        self._vlans: dict[str, int] = {}
        self._carried: dict[str, list[str]] = {}
        self._between_tunnels: set[str] = set()
        self._provider: set[str] = set()
        """Between tunnels no machine sends frames of its own."""
        for network in state.all("virtualNetworks"):
            for subnet in network.properties.subnets:
                pair = subnet.properties.dual_stack_subnet
                ref = f"/virtualnetworks/{network.resource_id}/subnets/{subnet.resource_id}".lower()
                self._join({ref} | ({pair.resource_ref.lower()} if pair is not None else set()))
        for network in state.all("logicalNetworks"):
            for subnet in network.properties.subnets:
                ref = f"/logicalnetworks/{network.resource_id}/subnets/{subnet.resource_id}".lower()
                self._vlans[ref] = subnet.properties.vlan_id
                if network.properties.network_virtualization_enabled:
                    self._between_tunnels.add(ref)
                if network.properties.network_virtualization_enabled:
                    self._provider.add(ref)
        for server in state.all("servers"):
            for adapter in server.properties.network_interfaces:
                carried = [ref.resource_ref.lower() for ref in adapter.properties.logical_subnets]
                self._carried.setdefault(server.resource_id.lower(), []).extend(carried)
                for one in carried:
                    self._join({other for other in carried if self._vlans.get(other) == self._vlans.get(one)})

    def _join(self, members: set[str]) -> None:
        apart = [group for group in self._groups if not group & members]
        self._groups = [*apart, members.union(*(group for group in self._groups if group & members))]

    def of(self, interface: Any) -> frozenset[str]:
        subnets = (one.properties.subnet.resource_ref.lower() for one in interface.properties.ip_configurations)
        return frozenset(self._name(ref) for ref in subnets)

    def of_port(self, server: str, port: Port) -> frozenset[str]:
        """Empty where it may meet anybody: it is untagged, or in a VLAN that the server's adapters do not name."""
        carried = [
            ref
            for ref in self._carried.get(server, ())
            if self._vlans.get(ref) == port.vlan and ref not in self._provider
        ]
        return frozenset(self._name(ref) for ref in carried) if port.vlan or port.learnt else frozenset()

    def _name(self, ref: str) -> str:
        return min(next((group for group in self._groups if ref in group), {ref}))


def running(state: State, *also: str) -> list[User]:
    """Interfaces of machines that run, and of machines `also`, lower case, that are about to."""
    domains = Domains(state)
    found = []
    for machine in state.all("virtualMachines"):
        if machine.properties.power_state != "Running" and machine.resource_id.lower() not in also:
            continue
        for ref in machine.properties.network_interfaces:
            interface = state.get("networkInterfaces", ref.resource_ref.rpartition("/")[2])
            name = interface.resource_id.lower()
            keys = frozenset(addresses_of(interface))
            found.append(User(machine.resource_id.lower(), name, domains.of(interface), keys))
    return found


def clash(one: User, other: User) -> set[Key]:
    """Addresses with which two interfaces disturb each other."""
    if one.machine == other.machine:
        return set()
    meeting = meet(one.domains, other.domains)
    return {key for key in one.addresses & other.addresses if key[0] != MAC_SCOPE or meeting}


def meet(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two that have these domains can; one without a subnet may meet everyone."""
    return not one or not other or bool(one & other)


def _mac_of(port: Port | None) -> int | None:
    return port.mac if port is not None else None


def _meets_its_like(domains: Domains, place: tuple[str, Port], others: list[tuple[str, Port]]) -> bool:
    """Whether a port at a server meets another one with its address."""
    own = domains.of_port(*place)
    return any(port.mac == place[1].mac and meet(own, domains.of_port(at, port)) for at, port in others)


class Book:
    """One ledger's book. `follow` after each command that was carried out, `compare` when nothing is under way."""

    def __init__(self) -> None:
        self.cooling: dict[Key, Cooling] = {}
        self.ports: dict[str, dict[str, Port]] = {}
        """By name, per server in lower case."""
        self.holders: Holders = {}
        self.used: set[Key] = set()
        """Somebody has had it since it was free: a reservation alone leaves nothing to cool."""
        self.pools: list[PoolBook] = []

    def read(self, state: State) -> Holders:
        """All present holders."""
        found: Holders = {}

        def hold(key: Key, ref: str, kind: str) -> None:
            found.setdefault(key, {})[ref.lower()] = kind

        for kind, ref, keys in _held(state):
            for key in keys:
                hold(key, ref, kind)
        for server, ports in self.ports.items():
            for name, port in ports.items():
                hold((MAC_SCOPE, port.mac), f"/servers/{server}/ports/{name}", "port")
        return found

    def pool_of(self, key: Key, pools: list[PoolBook]) -> PoolBook | None:
        return next((pool for pool in pools if pool.has(key)), None)

    def follow(self, state: State, command: Command, now: float) -> None:
        """Write down what a command has changed by ledger second `now`; refuse what must not happen."""
        for one in command.commands if isinstance(command, Batch) else (command,):
            if isinstance(one, NoteSeen):
                self._note_ports(state, one)
        for server in [name for name in self.ports if state.get("servers", name) is None]:
            del self.ports[server]
        before, pools_before = self.holders, self.pools
        after, pools = self.read(state), pools_of(state)
        for key in before.keys() - after.keys():
            if key in self.used or set(before[key].values()) != {"reservation"}:
                self._rest(key, before[key], now, (pools_before, pools))
        if isinstance(command, Batch):
            self._given_in_between(state, command, now, (pools_before, pools))
        self.used = {key for key, held in after.items() if key in self.used or set(held.values()) - {"reservation"}}
        for key in after.keys() & self.cooling.keys():
            rest = self.cooling.pop(key)
            assert rest.until <= now or _may_end(rest, after[key]), f"{key} was given to {after[key]} while it cools"
        self.holders, self.pools = after, pools
        self._end_coolings(state, command, now)

    def _given_in_between(self, state: State, batch: Batch, now: float, pools: Pools) -> None:
        """What one part of a batch was given and a later one gave up again has been given all the same, and rests."""
        given = {f"/{one.path.kind}/{one.path.id}".lower() for one in batch.commands if isinstance(one, Put)}
        for one in batch.commands:
            if isinstance(one, Restore):
                machine = state.get("virtualMachines", one.machine)
                given |= {ref.resource_ref.lower() for ref in machine.properties.network_interfaces}
        for scope in {pool.scope for pool in pools[1]}:
            for address, lease in state.leases(scope).items():
                last = {one.ref.lower(): one.kind for one in lease.holders}
                known = self.holders.keys() | self.cooling.keys()
                if lease.state == "cooling" and (scope, address) not in known and last.keys() <= given:
                    self._rest((scope, address), last, now, pools)

    def _note_ports(self, state: State, command: NoteSeen) -> None:
        """A learnt address is no news where we know better: it is an interface's, or was until a moment ago, or another
        port that it meets has it."""
        ours = {key for one in state.all("networkInterfaces") for key in addresses_of(one)}
        ours |= {key for key, rest in self.cooling.items() if not all("/ports/" in ref for ref in rest.last)}
        server, domains = command.server.lower(), Domains(state)
        had = self.ports.pop(server, {})
        others = [(at, port) for at, ports in self.ports.items() for port in ports.values()]
        noted: dict[str, Port] = {}
        for one in sorted(command.seen, key=lambda one: (one.learnt, _mac_of(had.get(one.port)) != one.mac)):
            port = Port(one.mac, one.vlan, one.learnt)
            places = [*others, *((server, other) for other in noted.values())]
            if one.learnt and ((MAC_SCOPE, one.mac) in ours or _meets_its_like(domains, (server, port), places)):
                continue
            noted[one.port] = port
        self.ports[server] = noted

    def _rest(self, key: Key, last: dict[str, str], now: float, pools: Pools) -> None:
        """Nobody has it any more: it cools if a pool says so."""
        for one in reversed(pools):
            pool = self.pool_of(key, one)
            if pool is not None and pool.cool_down:
                self.cooling[key] = Cooling(now + pool.cool_down, frozenset(last))
                return

    def _end_coolings(self, state: State, command: Command, now: float) -> None:
        """A cool-down ends when its time has come, or when an operator ends it."""
        early = getattr(command, "scope", None), getattr(command, "address", None)
        for key in list(self.cooling):
            if state.lease(*key) is not None:
                continue
            ended = self.cooling.pop(key)
            assert ended.until <= now or key == early, f"{key} is free before its cool-down ended: {ended}, {now}"

    # -- the book beside the leases and the pools

    def compare(self, state: State) -> None:
        """Every lease has the holders and the state that the book has; every pool counts what the book counts."""
        for scope in {MAC_SCOPE} | {pool.scope for pool in self.pools}:
            leases = state.leases(scope)
            for address, lease in leases.items():
                self._compare((scope, address), lease)
            missing = {key for key in (self.holders.keys() | self.cooling.keys()) if key[0] == scope}
            assert {(scope, address) for address in leases} == missing
        for pool in self.pools:
            self._count(pool, state)

    def _compare(self, key: Key, lease: Any) -> None:
        holders = {one.ref.lower(): one.kind for one in lease.holders}
        # a capture may hold one MAC address for two interfaces, which can never meet
        assert len({(one.ref.lower(), one.domain) for one in lease.holders}) == len(lease.holders), f"{key}: {lease}"
        rest = self.cooling.get(key)
        if rest is not None:
            assert (lease.state, lease.until) == ("cooling", rest.until), f"{key}: {lease} but the book has {rest}"
            # of several that went at once, whoever went last
            strangers = {ref for ref in holders.keys() - rest.last if not ref.endswith(UNDER_WAY)}
            assert holders and not strangers, f"{key}: last were {rest.last}, not {holders}"
            return
        assert holders == self.holders.get(key), f"{key}: {lease} but the book has {self.holders.get(key)}"
        assert lease.state == self.state_of(key), f"{key}: {lease.state}, but {self.state_of(key)} by the book"

    def state_of(self, key: Key) -> str:
        """By the book; free if it is neither held nor cools."""
        if key in self.cooling:
            return "cooling"
        held = {_WEIGHT[kind] for kind in self.holders.get(key, {}).values()}
        return next((state for state in STATES if state in held), "free")

    def _count(self, pool: PoolBook, state: State) -> None:
        counts = dict.fromkeys((*STATES, "free"), 0)
        for address in range(pool.first, pool.last + 1):
            found = self.state_of((pool.scope, address))
            counts["reserved" if found == "free" and address in pool.excluded else found] += 1
        theirs = state.space(pool.key)
        assert theirs is not None
        used = {name: theirs.used(name) for name in STATES}
        used["free"] = theirs.capacity - theirs.taken.used
        assert used == counts, f"{pool.key}: {used}, but {counts} by the book"
        assert sum(counts.values()) == theirs.capacity

    def free_in(self, pool: PoolBook) -> list[int]:
        """Addresses that could be granted."""
        numbers = range(pool.first, pool.last + 1)
        return [a for a in numbers if a not in pool.excluded and self.state_of((pool.scope, a)) == "free"]


def _held(state: State) -> Iterator[tuple[str, str, set[Key]]]:
    """Kind of holder, reference and addresses of every resource that holds any."""
    for interface in state.all("networkInterfaces"):
        yield "networkInterface", f"/networkInterfaces/{interface.resource_id}", addresses_of(interface)
    for kind, name in (("checkpoint", "checkpoints"), ("export", "exports")):
        for capture in state.all(name):
            for keys in captured(capture).values():
                yield kind, resource_ref(BY_NAME[name], capture.resource_id), keys
    for reservation in state.all("reservations"):
        yield "reservation", f"/weft/reservations/{reservation.resource_id}", reserved_keys(reservation)


def _may_end(rest: Cooling, holders: dict[str, str]) -> bool:
    """Who had it last may have it back, with the captures that come along; a port has it whatever we say."""
    back = any(ref in rest.last for ref in holders)
    return all(
        kind == "port" or ref in rest.last or (back and kind in ("checkpoint", "export"))
        for ref, kind in holders.items()
    )
