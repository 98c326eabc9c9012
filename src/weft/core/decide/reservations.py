"""Addresses held for a purpose: Reserve and EndReservations, and the DELETE of a reservation.

Called through core.decide. The same request id finds the same reservation again. What a reservation gives back cools if
an interface has had it, and is free at once if none has.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from weft.core.commands import Decision, EndReservations, Reserve
from weft.core.decide.cool_down import resting
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.pools import Pool
from weft.core.state import State
from weft.core.words import address_text, why_full
from weft.model.errors import Conflict, Invalid, InvalidResourceName, NotFound, PoolIsFull
from weft.model.fabric import ReservationProperties
from weft.model.leases import MAC_SCOPE, RESERVED, Holder, Lease, ip_scope, state_of
from weft.model.resources import Ref, Resource
from weft.model.values import check_resource_id, parse_mac, wall_text

Reservation = Resource[ReservationProperties]

MOST_ADDRESSES = 4096
LONGEST_PURPOSE = 256
"""Characters; it stands in the history of every address of the reservation."""


def reserve(draft: Draft, command: Reserve) -> Decision:
    """Hold addresses of a pool or subnet. Raises NotFound, Invalid, PoolIsFull, Conflict (NoContiguousBlock)."""
    known = draft.state.index.requests.get(command.request_id) if command.request_id else None
    if known is not None:
        return Decision(changes=(), outcome="unchanged", resource=draft.state.get("reservations", known))
    if not 1 <= command.count <= MOST_ADDRESSES:
        raise Invalid(f"count {command.count} is not in 1 to {MOST_ADDRESSES}.", target="count")
    if command.until is not None and command.until <= draft.now.wall:
        raise Invalid(f"until {wall_text(command.until)} is not in the future.", target="until")
    if len(command.purpose) > LONGEST_PURPOSE:
        raise Invalid(f"purpose has {len(command.purpose)} characters: at most {LONGEST_PURPOSE}.", target="purpose")
    ref, pools = _pools(draft.state, command.pool)
    name = _name(draft, command.request_id)
    holder = Holder("reservation", f"/weft/reservations/{name}")
    places = _contiguous(pools, command.count) if command.contiguous else _scattered(draft, pools, command.count)
    for scope, address in places:
        draft.turn(
            None, Lease(scope, address, RESERVED, (holder,), reason=command.purpose), "reserved", command.purpose
        )
    reservation: Reservation = Resource(
        resource_id=name,
        instance_id=draft.new_id(),
        etag=new_etag(draft.new_id),
        properties=ReservationProperties(
            pool=Ref(resource_ref=ref),
            count=command.count,
            contiguous=command.contiguous,
            purpose=command.purpose,
            until="" if command.until is None else wall_text(command.until),
            expires=0.0 if command.until is None else draft.now.ledger + command.until - draft.now.wall,
            request_id=command.request_id,
            addresses=tuple(address_text(scope, address) for scope, address in places),
        ),
    )
    draft.put("reservations", name.lower(), None, reservation)
    return Decision(changes=draft.changes(), outcome="created", resource=reservation)


def end(draft: Draft, command: EndReservations) -> Decision:
    """Give back what has expired by the ledger's time."""
    for key in draft.state.next_expired(draft.now.ledger, command.limit):
        reservation = draft.state.get("reservations", key)
        assert reservation is not None
        _give_back(draft, reservation, "expired")
        draft.put("reservations", key, reservation, None)
    changes = draft.changes()
    return Decision(changes=changes, outcome="done" if changes else "unchanged")


def settle(draft: Draft, sent: Reservation, old: Reservation | None) -> ReservationProperties:
    """Refuse: reservations are made by an action of their pool."""
    raise Invalid(
        "A reservation is made by the reserve action of a macPool, ipPool or subnet, and not changed after that.",
        code="OperationNotSupported",
    )


def remove(draft: Draft, old: Reservation) -> None:
    """Give back what it holds; what interfaces have of it stays theirs."""
    _give_back(draft, old, "deleted")


def _pools(state: State, text: str) -> tuple[str, list[Pool]]:
    """A pool's or subnet's reference, canonical, and the pools behind it. Raises NotFound, Conflict (PoolIsDrained)."""
    key = text.strip("/").lower()
    key = "/" + key.removeprefix("weft/")
    segment = state.segment(key)
    pool = state.space(key)
    if segment is None and pool is None:
        raise NotFound(f"There is no macPool, ipPool or subnet '{text}'.", target="pool")
    pools = [pool] if pool is not None else [state.addresses.pools[one] for one in segment.pools] if segment else []
    ref = pool.spec.ref if pool is not None else segment.ref if segment is not None else ""
    open_ones = [one for one in pools if not one.spec.drain]
    if pools and not open_ones:
        raise Conflict(f"{ref} is being drained: no address of it is given away.", code="PoolIsDrained", target="pool")
    return ref, open_ones


def _name(draft: Draft, request_id: str) -> str:
    """The request's id where it can be a resource's, else a fresh one."""
    try:
        name = check_resource_id(request_id)
    except InvalidResourceName:
        return draft.new_id()
    return draft.new_id() if draft.state.get("reservations", name) is not None else name


def _contiguous(pools: Iterable[Pool], count: int) -> list[tuple[str, int]]:
    largest, where = 0, ""
    for pool in pools:
        first = pool.taken.first_gap(count)
        if first is not None:
            start = pool.spec.first + first
            return [(pool.spec.scope, address) for address in range(start, start + count)]
        gap = pool.taken.largest_gap()
        if gap >= largest:
            largest, where = gap, pool.spec.ref
    raise Conflict(
        f"No {count} addresses in a row are free; the longest run has {largest}, in {where or 'no pool at all'}. "
        "Ask for fewer, or without contiguous.",
        code="NoContiguousBlock",
        target="count",
    )


def _scattered(draft: Draft, pools: list[Pool], count: int) -> list[tuple[str, int]]:
    free = sum(pool.capacity - pool.taken.used for pool in pools)
    if free < count:
        why = why_full(draft.state, pools, draft.now)
        code = "SubnetIsFull" if pools and pools[0].spec.scope != MAC_SCOPE else "MacPoolIsFull"
        asked = "1 address is" if count == 1 else f"{count} addresses are"
        raise PoolIsFull(f"{asked} asked for. {why}", code=code, target="count")
    places: list[tuple[str, int]] = []
    for pool in pools:
        for _ in range(min(count - len(places), pool.capacity - pool.taken.used)):
            found = draft.grant(pool)
            assert found is not None
            places.append((pool.spec.scope, found))
    return places


def held_by(reservation: Reservation) -> Iterator[tuple[str, int]]:
    """(Scope, address) of what a reservation was made for, also of what interfaces have by now."""
    p = reservation.properties
    pool = p.pool.resource_ref if p.pool is not None else ""
    network = "/".join(pool.split("/")[:3])
    for text in p.addresses:
        if pool.lower().startswith(("/macpools/", "/servers/")):
            yield MAC_SCOPE, parse_mac(text)
        else:
            address = ipaddress.ip_address(text)
            yield ip_scope(network, address.version), int(address)


def _give_back(draft: Draft, reservation: Reservation, event: str) -> None:
    ref = f"/weft/reservations/{reservation.resource_id}"
    reason = f"{ref} {event}"
    for scope, address in held_by(reservation):
        lease = draft.lease(scope, address)
        assert lease is not None
        mine = next(one for one in lease.holders if one.kind == "reservation" and one.ref == ref)
        others = tuple(one for one in lease.holders if one is not mine)
        after = None
        if others:
            after = Lease(scope, address, state_of(scope, others), others)
        elif mine.granted:
            after = resting(draft, lease, reason)
        draft.turn(lease, after, "expired" if event == "expired" else "released", reason)
