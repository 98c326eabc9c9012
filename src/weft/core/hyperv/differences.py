"""What to change on a host so that its Hyper-V Network Virtualization is as it should be. Pure.

Rules of the cmdlets (the pages of Set- and New-NetVirtualization...): a lookup record's provider address, rule and
context are set in place; another MAC address is another record, so it is removed and added. Windows takes one customer
route for each VSID, so the old one goes before the new one comes. Nothing survives a restart of the host: found empty,
all is added again.

Only what is ours is removed, and nothing is before the agent is in sync. A lookup record is ours by the mark in its
Context, a customer route by its RDID, which such a record or the policy names, a provider address or route if it stood
in the policy that was applied `before`. Everything else is foreign: told and left alone, also where it is in our way.
"""

from collections.abc import Iterator

import msgspec

from weft.core.hyperv.found import Found, FoundAdapter
from weft.core.hyperv.network_virtualization import (
    CustomerRoute,
    Desired,
    LookupRecord,
    Port,
    ProviderAddress,
    ProviderRoute,
)

LEARNT = "Dynamic"
"""Type of the records that Windows makes itself of what it hears from guests; neither ours nor another hand's."""


class Replacement(msgspec.Struct, frozen=True, rename="pascal"):
    before: LookupRecord
    after: LookupRecord


class BoundPort(msgspec.Struct, frozen=True, rename="pascal"):
    """An adapter's port that gets another virtual subnet."""

    machine_id: str
    adapter_id: str
    virtual_subnet_id: int


class Changes(msgspec.Struct, frozen=True, rename="pascal"):
    """What network_scripts.APPLY is told, in the order in which it does it."""

    bind: bool = False
    """Bind the network virtualization filter to the physical adapter."""
    take_provider_addresses: tuple[ProviderAddress, ...] = ()
    """Ours on another adapter: to be taken from there first."""
    add_provider_addresses: tuple[ProviderAddress, ...] = ()
    set_provider_addresses: tuple[ProviderAddress, ...] = ()
    remove_provider_routes: tuple[ProviderRoute, ...] = ()
    add_provider_routes: tuple[ProviderRoute, ...] = ()
    remove_customer_routes: tuple[CustomerRoute, ...] = ()
    """Before anything of the lookup records by which they are known as ours."""
    replace_lookup_records: tuple[Replacement, ...] = ()
    set_lookup_records: tuple[LookupRecord, ...] = ()
    add_lookup_records: tuple[LookupRecord, ...] = ()
    set_customer_routes: tuple[CustomerRoute, ...] = ()
    add_customer_routes: tuple[CustomerRoute, ...] = ()
    set_ports: tuple[BoundPort, ...] = ()
    remove_lookup_records: tuple[LookupRecord, ...] = ()
    """Gateways last: while a subnet has its gateway's record, its route is known as ours."""
    remove_provider_addresses: tuple[ProviderAddress, ...] = ()

    def __bool__(self) -> bool:
        return self != Changes()


class Difference(msgspec.Struct, frozen=True):
    """`problems` are what keeps the host from being as it should, in sentences; `foreign` what another hand made."""

    changes: Changes = Changes()
    problems: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def difference(desired: Desired, found: Found, before: Desired | None = None, in_sync: bool = True) -> Difference:
    """Compare what should be with what is. `before` is the policy that was last applied, None if nobody remembers;
    `in_sync`: all of `desired` is known, so what it does not have may go."""
    if found.interface_index is None:
        return Difference(problems=("This host has no physical adapter of that name to carry its tunnels.",))
    work = _Work(desired, found, before or Desired(), in_sync)
    work.provider()
    work.lookups()
    work.routes()
    work.ports()
    lists = {name: tuple(values) for name, values in work.lists.items()}
    return Difference(Changes(bind=found.unbound, **lists), tuple(work.problems), tuple(work.foreign))  # type: ignore[arg-type]


class _Work:
    """One comparison. The methods fill `lists` (members of Changes), `problems` and `foreign`."""

    def __init__(self, desired: Desired, found: Found, before: Desired, in_sync: bool) -> None:
        self.desired = desired
        self.found = found
        self.before = before
        self.in_sync = in_sync
        self.lists: dict[str, list[object]] = {}
        self.problems: list[str] = list(desired.warnings)
        self.foreign: list[str] = []

    def _note(self, name: str, value: object) -> None:
        self.lists.setdefault(name, []).append(value)

    def _remove(self, name: str, value: object) -> None:
        if self.in_sync:
            self._note(name, value)

    def provider(self) -> None:
        """Provider addresses and routes."""
        wanted = {one.provider_address: one for one in self.desired.provider_addresses}
        here, mine = set(), {one.provider_address for one in self.before.provider_addresses}
        for found in self.found.provider_addresses:
            own = wanted.get(found.address.provider_address)
            if found.managed_by_cluster:
                self.foreign.append(f"provider address {found.address.provider_address} is the cluster's")
                here.add(found.address.provider_address)
            elif own is not None and found.interface_index != self.found.interface_index:
                self._note("take_provider_addresses", found.address)
            elif own is not None:
                here.add(own.provider_address)
                if found.duplicate:
                    self.problems.append(
                        f"Another machine on the provider network has the provider address {own.provider_address}, so "
                        "Windows does not use it: take it from there, or give this host another."
                    )
                if own != found.address:
                    self._note("set_provider_addresses", own)
            elif found.address.provider_address in mine:
                self._remove("remove_provider_addresses", found.address)
            else:
                self.foreign.append(f"provider address {found.address.provider_address}")
        for name, one in wanted.items():
            if name not in here:
                self._note("add_provider_addresses", one)
        self._provider_routes()

    def _provider_routes(self) -> None:
        """One for each prefix of the adapter, as Windows takes them."""
        wanted = {one.destination_prefix: one for one in self.desired.provider_routes}
        mine = {_way(one) for one in self.before.provider_routes}
        taken = set()
        for found in self.found.provider_routes:
            prefix, here = found.route.destination_prefix, found.interface_index == self.found.interface_index
            if here and prefix in wanted and _way(found.route) == _way(wanted[prefix]):
                taken.add(prefix)
            elif here and _way(found.route) in mine and (prefix in wanted or self.in_sync):
                self._note("remove_provider_routes", found.route)
            else:
                self.foreign.append(f"provider route {prefix} by {found.route.next_hop}")
                if here and prefix in wanted:
                    taken.add(prefix)
                    self.problems.append(f"Another hand has a provider route {prefix}: ours is not added.")
        for prefix, one in wanted.items():
            if prefix not in taken:
                self._note("add_provider_routes", one)

    def lookups(self) -> None:
        """Lookup records: at most one of ours or of another hand for each (VSID, customer address)."""
        there: dict[tuple[int, str], list[LookupRecord]] = {}
        for one in self.found.lookup_records:
            if one.type != LEARNT:
                there.setdefault(one.place, []).append(one)
        stale: list[LookupRecord] = []
        for own in self.desired.lookup_records:
            stale += self._lookup(own, there.pop(own.place, []))
        for one in (one for others in there.values() for one in others):
            if one.is_ours:
                stale.append(one)
            else:
                self.foreign.append(_said(one))
        for one in sorted(stale, key=lambda one: one.is_gateway):
            self._remove("remove_lookup_records", one)

    def _lookup(self, own: LookupRecord, there: list[LookupRecord]) -> list[LookupRecord]:
        """Note what one record needs; what of ours is left over at its place."""
        same = next((one for one in there if (one.mac_address, one.type) == (own.mac_address, own.type)), None)
        others = [one for one in there if one is not same]
        mine = [one for one in others if one.is_ours]
        for one in others:
            if not one.is_ours:
                self.foreign.append(_said(one))
        if same is not None:
            if same != own:
                self._note("set_lookup_records", own)
            return mine
        if any(not one.is_ours for one in others):
            self.problems.append(f"{_said(own)} is not added: another hand has a record for that address.")
            return mine
        if mine:
            self._note("replace_lookup_records", Replacement(mine[0], own))
            return mine[1:]
        self._note("add_lookup_records", own)
        return []

    def routes(self) -> None:
        """Customer routes: one for each VSID."""
        wanted = {one.virtual_subnet_id: one for one in self.desired.customer_routes}
        ours = {(one.virtual_subnet_id, one.customer_id) for one in self.found.lookup_records if one.is_ours}
        ours |= {(one.virtual_subnet_id, one.routing_domain_id) for one in self.desired.customer_routes}
        have, blocked = set(), set()
        for found in self.found.customer_routes:
            vsid, own = found.virtual_subnet_id, wanted.get(found.virtual_subnet_id)
            if own is not None and _target(own) == _target(found):
                have.add(vsid)
                if own.metric != found.metric:
                    self._note("set_customer_routes", own)
            elif (vsid, found.routing_domain_id) in ours and (own is not None or self.in_sync):
                # one that is in the way of ours goes in any case: Windows would refuse the second
                self._note("remove_customer_routes", found)
            else:
                self.foreign.append(f"customer route {found.destination_prefix} of virtual subnet {vsid}")
                blocked.add(vsid)
        for vsid, own in wanted.items():
            if vsid in blocked and vsid not in have:
                self.problems.append(f"Virtual subnet {vsid} has a customer route by another hand: ours is not added.")
            elif vsid not in have:
                self._note("add_customer_routes", own)

    def ports(self) -> None:
        """The virtual subnet of each adapter that is here."""
        matched = set()
        for port in self.desired.ports:
            adapter = adapter_of(port, self.found.adapters)
            if isinstance(adapter, str):
                self.problems += [adapter] if adapter else []
                continue
            matched.add(adapter.id)
            if adapter.virtual_subnet_id != port.virtual_subnet_id:
                self._note("set_ports", BoundPort(adapter.machine_id, adapter.id, port.virtual_subnet_id))
        ours = {one.virtual_subnet_id for one in self.desired.customer_routes}
        for one in self.found.adapters:
            if one.virtual_subnet_id in ours and one.id not in matched:
                self.foreign.append(f"an adapter of {one.machine} in virtual subnet {one.virtual_subnet_id}")


def adapter_of(port: Port, adapters: tuple[FoundAdapter, ...]) -> FoundAdapter | str:
    """The adapter of a port; else what is wrong, in a sentence, and nothing where its machine may yet come.

    By the interface id of its port profile, else by its place; never by its MAC address (story 4.9), which must be
    the port's, though: a guest that sends with another one is heard by nobody.
    """
    machines = list(_machine(port, adapters))
    if len({one.machine_id for one in machines}) > 1:
        return f"{port.machine}: several machines of this host have that name, and the port of one is meant."
    if not machines:
        return f"{port.machine} has no adapter on this host for {port.network_interface}." if port.expected else ""
    named = [one for one in machines if one.instance_id == port.instance_id]
    if not named and len(machines) == port.of and not machines[port.position].instance_id:
        named = [machines[port.position]]
    if len(named) != 1:
        return f"{port.machine} has {len(named) or 'no'} adapters that are {port.network_interface}."
    if named[0].mac_address != port.mac_address:
        return (
            f"{port.machine}: the adapter of {port.network_interface} has MAC address {named[0].mac_address} instead of"
            f" {port.mac_address}."
        )
    return named[0]


def _machine(port: Port, adapters: tuple[FoundAdapter, ...]) -> Iterator[FoundAdapter]:
    for one in adapters:
        if one.machine_id == port.machine_id if port.machine_id else one.machine.lower() == port.machine.lower():
            yield one


def _way(route: ProviderRoute) -> tuple[str, str]:
    return route.destination_prefix, route.next_hop


def _target(route: CustomerRoute) -> tuple[str, str, str]:
    return route.routing_domain_id, route.destination_prefix, route.next_hop


def _said(record: LookupRecord) -> str:
    return f"lookup record {record.customer_address} of virtual subnet {record.virtual_subnet_id}"
