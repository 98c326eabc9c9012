"""The addresses of one host's range as a pool of their own: what is free there, and who has the rest.

Called by weft.api.host_addresses. A hypervisor's own range may share addresses with pools, with other hosts' ranges, or
with none, so it is made anew for each question: costs by the addresses in the range that somebody has and by the pools
that it shares some with, never by the ledger.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from weft.core.host_ranges import bounds
from weft.core.pools import Exclusion, Pool, PoolSpec
from weft.core.state import State
from weft.model.fabric import ServerProperties
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.leases import FOREIGN, MAC_SCOPE
from weft.model.resources import Resource


class HostRange(NamedTuple):
    """Where a host's dynamic addresses come from."""

    first: int
    last: int
    member: str
    """Of the server, which says so."""


def range_of(server: Resource[ServerProperties]) -> HostRange | None:
    """What its hypervisor draws from, else what its plan gave it; None if neither is known."""
    p = server.properties
    if p.dynamic_mac_range is not None:
        return HostRange(*bounds(p.dynamic_mac_range), "dynamicMacRange")
    return HostRange(*bounds(p.mac_range), "macRange") if p.mac_range is not None else None


def pool_of(state: State, ref: str, own: HostRange, others: Iterable[int] = ()) -> Pool:
    """The range as a pool. `others` are addresses that its hypervisor knows somebody to have: foreign, where the ledger
    knows nothing of them."""
    first, last = own.first, own.last
    pools = list(state.addresses.ranges(MAC_SCOPE).within(first, last))
    excluded = tuple(sorted(one for pool in pools for one in _clipped(pool.spec.excluded, first, last)))
    made = Pool(PoolSpec(f"{ref.lower()}/{own.member.lower()}", ref, MAC_SCOPE, first, last, excluded=excluded))
    leased = set(state.addresses.leased_outside(MAC_SCOPE, first, last))
    for pool in pools:
        leased.update(_leased_in(pool, first, last))
    for address in sorted(leased):
        lease = state.lease(MAC_SCOPE, address)
        assert lease is not None
        made.note(address, None, lease.state)
    for address in sorted({mac for mac in others if first <= mac <= last} - leased):
        made.note(address, None, FOREIGN)
    return made


def _clipped(excluded: tuple[Exclusion, ...], first: int, last: int) -> Iterator[Exclusion]:
    for low, high, why in excluded:
        if low <= last and first <= high:
            yield max(low, first), min(high, last), why


def _leased_in(pool: Pool, first: int, last: int) -> Iterator[int]:
    base = pool.spec.first
    for space in pool.by_state.values():
        for low, high in space.used_ranges(max(0, first - base)):
            if base + low > last:
                break
            yield from range(base + low, min(base + high, last) + 1)


def seen_by(hypervisor: HypervisorState | None) -> dict[int, str]:
    """Who has a MAC address by what a hypervisor says: the machine's name, and the checkpoint that would bring it
    back."""
    found: dict[int, str] = {}
    for machine in hypervisor.machines if hypervisor is not None else ():
        name = _name(machine)
        for point in machine.checkpoints:
            found |= {one.mac: f"{name}, checkpoint {point.name}" for one in point.adapters if one.mac not in found}
        found |= {one.mac: name for one in machine.adapters}
    found.pop(0, None)
    return found


def _name(machine: MachineState) -> str:
    return machine.name or machine.machine or machine.id
