"""Which pool a grant comes from, and where in it: tenant, host group, host, strategy, reservation. Takes nothing.

Called by core.decide.holding and ip_configurations, which take the address that is found. For a MAC address: the
interface's reservation if it names one; its host's range if its strategy says so; else the macPools that are for its
tenant or host group, then those that are for everybody, each in the order of their ids. What is drained grants nothing.
"""

import bisect
import hashlib
import heapq
from collections.abc import Sequence

import msgspec

from weft.core.decide.draft import Draft
from weft.core.index import last_id, lower
from weft.core.pools import Pool, Segment
from weft.core.state import State
from weft.core.words import no_server, why_full
from weft.model.errors import Conflict, Invalid, InvalidReference, PoolIsFull
from weft.model.fabric import ServerProperties
from weft.model.leases import MAC_SCOPE, RESERVED, Holder
from weft.model.resources import Ref, Resource
from weft.model.values import NewId
from weft.model.workload import NetworkInterfaceProperties

STRATEGIES = {"": "", "central": "", "hostrange": "hostRange", "random": "random"}
"""As clients write them, in lower case, and as they are stored; central is what needs no saying."""


class Origin(msgspec.Struct, frozen=True):
    """What decides where the addresses of an interface come from."""

    tenant: str = ""
    host_group: str = ""
    server: str = ""
    """Resource id, lower case."""
    strategy: str = ""
    """Empty, hostRange or random."""
    reservation: str = ""
    """resourceRef in lower case."""

    def waits(self) -> bool:
        """Whether no MAC address can be granted before it is known on which host the interface will be."""
        return self.strategy == "hostRange" and not self.server and not self.reservation


ANYWHERE = Origin()
"""Of most interfaces: no owner, no wish."""

_EVERYBODY = ("", "")


def origin_of(
    state: State, interface: Resource[NetworkInterfaceProperties], old: Resource[NetworkInterfaceProperties] | None
) -> Origin:
    """Read it from an interface as sent and what is stored. Raises Invalid (strategy), InvalidReference."""
    p = interface.properties
    metadata = interface.resource_metadata
    tenant = metadata.tenant_id or "" if metadata is not None else ""
    machine = state.machine_of(interface.resource_id)
    if not tenant and machine is None and p.server is None and not p.strategy and p.reservation is None:
        return ANYWHERE
    strategy = STRATEGIES.get(p.strategy.lower())
    if strategy is None:
        raise Invalid(f"strategy is central, hostRange or random, not '{p.strategy}'.", target="strategy")
    server = (machine.properties.server if machine is not None else None) or p.server
    found = state.get("servers", last_id(server)) if server is not None and server.resource_ref else None
    if found is None and server is not None and server.resource_ref:
        raise InvalidReference(no_server(server.resource_ref), target="server")
    return Origin(
        tenant=tenant.lower(),
        host_group=found.properties.host_group.lower() if found is not None else "",
        server=found.resource_id.lower() if found is not None else "",
        strategy=strategy,
        reservation=_reservation(state, p.reservation, old),
    )


def origin_on(
    state: State,
    interface: Resource[NetworkInterfaceProperties],
    old: Resource[NetworkInterfaceProperties] | None,
    server: Resource[ServerProperties] | None,
) -> Origin:
    """The same for an interface of a machine that is or will be on `server`, whatever it says of that itself."""
    properties = msgspec.structs.replace(interface.properties, server=None)
    origin = origin_of(state, msgspec.structs.replace(interface, properties=properties), old)
    if server is None:
        return origin
    place = server.resource_id.lower()
    return msgspec.structs.replace(origin, server=place, host_group=server.properties.host_group.lower())


def _reservation(state: State, ref: Ref | None, old: Resource[NetworkInterfaceProperties] | None) -> str:
    """One that is over may stay named by an interface that has named it before: it has its addresses."""
    text = lower(ref)
    if not text:
        return ""
    if text == f"/weft/reservations/{last_id(ref)}" and state.get("reservations", last_id(ref)) is not None:
        return text
    if old is not None and lower(old.properties.reservation) == text:
        return ""
    raise InvalidReference(
        f"There is no reservation '{ref.resource_ref if ref is not None else ''}': it may have expired.",
        target="reservation",
    )


def next_mac(draft: Draft, origin: Origin = ANYWHERE) -> int:
    """A MAC address that may be taken. Raises PoolIsFull, Conflict (NoHostRange)."""
    if origin is ANYWHERE:
        pools = draft.state.addresses.mac_pools_of.get(_EVERYBODY, ())
    elif (found := _reserved_mac(draft, origin.reservation)) is not None:
        return found
    else:
        pools = _pools_for(draft.state, origin)
    random = origin.strategy == "random"
    for pool in pools:
        found = next_in(draft, pool, random)
        if found is not None:
            return found
    raise PoolIsFull(_why_none(draft, pools), target="privateMacAddress")


def next_ip(draft: Draft, segment: Segment, reservation: str = "") -> int:
    """An address of a subnet's pools that may be taken. Raises PoolIsFull (SubnetIsFull)."""
    found = _reserved_ip(draft, reservation, segment) if reservation else None
    if found is not None:
        return found
    every = draft.state.addresses.pools
    for key in segment.pools:
        found = next_in(draft, every[key])
        if found is not None:
            return found
    pools = [every[key] for key in segment.pools]
    why = (
        why_full(draft.state, pools, draft.now)
        if pools
        else f"{segment.ref} has no ipPool to grant from: add one to it, or ask for a Static address."
    )
    raise PoolIsFull(why, code="SubnetIsFull", target="privateIPAddress")


def next_in(draft: Draft, pool: Pool, random: bool = False) -> int | None:
    """The next free address of one pool; None if it is full or drained."""
    spec = pool.spec
    if spec.drain:
        return None
    if random or spec.random:
        return draft.grant(pool, anywhere_in(pool, draft.new_id))
    return draft.grant(pool)


def anywhere_in(pool: Pool, new_id: NewId) -> int:
    """Some address of a pool, each as likely as any: where a random grant begins to look for the next free one."""
    digest = hashlib.blake2b(new_id().encode(), digest_size=24).digest()
    return pool.spec.first + int.from_bytes(digest) % pool.capacity


def _pools_for(state: State, origin: Origin) -> list[Pool]:
    """In the order in which they are tried."""
    if origin.strategy == "hostRange":
        return [_host_range(state, origin.server)]
    pools_of = state.addresses.mac_pools_of
    own = {(origin.tenant, origin.host_group), (origin.tenant, ""), ("", origin.host_group)} - {_EVERYBODY}
    first = list(heapq.merge(*(pools_of.get(owners, ()) for owners in own), key=_key_of))
    return first + pools_of.get(_EVERYBODY, [])


def _host_range(state: State, server: str) -> Pool:
    pool = state.space(f"/servers/{server}/macrange")
    if pool is None:
        raise Conflict(
            f"/servers/{server} has no macRange to grant from: give it an addressPlan and a clusterNumber, or leave "
            "strategy out.",
            code="NoHostRange",
            target="strategy",
        )
    return pool


def _key_of(pool: Pool) -> str:
    return pool.spec.key


def _why_none(draft: Draft, pools: Sequence[Pool]) -> str:
    state = draft.state
    if not pools and state.addresses.mac_pools:
        other = state.addresses.mac_pools[0]
        return (
            f"No macPool is open to this interface: {other.spec.ref} is for {_owners_text(other)}. Create one for "
            "everybody, or give the interface that tenantId, or its server that hostGroup."
        )
    return why_full(state, pools, draft.now)


def _owners_text(pool: Pool) -> str:
    tenant, group = pool.spec.tenant, pool.spec.host_group
    return " and ".join([f"tenant {tenant}"] * bool(tenant) + [f"host group {group}"] * bool(group))


def _reserved_mac(draft: Draft, reservation: str) -> int | None:
    pool = _pool_reserved(draft.state, reservation)
    space = draft.state.space(pool)
    if space is None or space.spec.scope != MAC_SCOPE:
        return None
    return _take_reserved(draft, reservation, MAC_SCOPE, 0, "privateMacAddress")


def _reserved_ip(draft: Draft, reservation: str, segment: Segment) -> int | None:
    pool = _pool_reserved(draft.state, reservation)
    if pool != segment.key and pool not in segment.pools:
        return None
    return _take_reserved(draft, reservation, segment.scope, segment.first, "privateIPAddress")


def _pool_reserved(state: State, reservation: str) -> str:
    """Key of the pool or subnet that a reservation holds addresses of; empty for none."""
    found = state.get("reservations", reservation.rpartition("/")[2]) if reservation else None
    return lower(found.properties.pool) if found is not None else ""


def used_reservations(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """The holders that stay when a user goes: reservations remember that the address must cool after them."""
    return tuple(msgspec.structs.replace(one, granted=True) if one.kind == "reservation" else one for one in holders)


def _take_reserved(draft: Draft, reservation: str, scope: str, first: int, target: str) -> int:
    """The lowest address of a reservation that nobody has taken; what it holds is all in one scope."""
    places = draft.state.addresses.notable.reserved.get(reservation, [])
    for at in range(bisect.bisect_left(places, (scope, first)), len(places)):
        lease = draft.lease(*places[at])
        if lease is not None and lease.state == RESERVED:
            return places[at][1]
    raise PoolIsFull(
        f"No address of {reservation} is left: all are in use. Reserve more, or leave reservation out.",
        code="ReservationIsEmpty",
        target=target,
    )
