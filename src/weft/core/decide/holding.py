"""Taking, granting and releasing addresses: the ledger's rules of who may hold what (architecture: the ledger).

Called by the families that hold addresses. All changes go into the draft; a refusal names the holder and what to do.
"""

from weft.core.decide.draft import Draft
from weft.core.macs import why_forbidden
from weft.core.words import address_text, hold_text, why_full
from weft.model.errors import AddressInUse, Invalid, InvalidMacAddress, PoolIsFull, Refusal
from weft.model.leases import ASSIGNED, COOLING, MAC_SCOPE, Holder, Lease
from weft.model.values import Mac

MAC_IN_USE = "PrivateMacAddressInUse"
IP_IN_USE = "PrivateIPAddressInUse"


def can_meet(one: Holder, other: Holder) -> bool:
    """Whether two holders of one MAC address must not both be: one was picked by Weft, or they share an L2 domain."""
    return one.granted or other.granted or share_domain(one, other)


def share_domain(one: Holder, other: Holder) -> bool:
    """Whether two holders can be in one L2 domain; one without (it has no ipConfiguration) may meet everyone."""
    return not one.domain or not other.domain or one.domain == other.domain


def hold_mac(draft: Draft, mac: Mac, holder: Holder) -> None:
    """Take a MAC address that the client chose. Raises InvalidMacAddress (reserved) or AddressInUse."""
    try:
        _hold_mac(draft, mac, holder)
    except Refusal as refusal:
        about(refusal, MAC_SCOPE, mac, holder.ref)
        raise


def about(refusal: Refusal, scope: str, address: int, asker: str) -> Refusal:
    """Let a refusal say which address was not to be had, and by whom: that goes into the address's history."""
    refusal.scope, refusal.address, refusal.asker = scope, address, asker
    return refusal


def _hold_mac(draft: Draft, mac: Mac, holder: Holder) -> None:
    why = why_forbidden(mac)
    if why:
        raise InvalidMacAddress(address_text(MAC_SCOPE, mac), why)
    lease = draft.lease(MAC_SCOPE, mac)
    others: tuple[Holder, ...] = ()
    if lease is not None:
        _check_state(draft, lease, holder, MAC_IN_USE)
        others = _others(lease, holder.ref)
        for other in others:
            if can_meet(other, holder):
                raise AddressInUse(
                    f"{hold_text(draft.state, lease, other)}. Choose another address, or let Weft pick one: "
                    "privateMacAllocationMethod Dynamic.",
                    code=MAC_IN_USE,
                    target="privateMacAddress",
                )
    why = "" if _holds(lease, holder) else _why_excluded(draft, MAC_SCOPE, mac)
    if why:
        raise AddressInUse(f"{why}.", code=MAC_IN_USE)
    draft.turn(lease, Lease(MAC_SCOPE, mac, ASSIGNED, (*others, holder)), "assigned")


def grant_mac(draft: Draft, holder: Holder) -> Mac:
    """Take the next free MAC address, from the first pool that has one. Raises PoolIsFull."""
    for pool in draft.state.addresses.mac_pools:
        found = draft.grant(pool)
        if found is not None:
            draft.turn(None, Lease(MAC_SCOPE, found, ASSIGNED, (holder,)), "granted")
            return Mac(found)
    raise PoolIsFull(why_full(draft.state, draft.state.addresses.mac_pools, draft.now), target="privateMacAddress")


def hold_ip(draft: Draft, scope: str, address: int, holder: Holder) -> None:
    """Take an IP address that the client chose. Raises AddressInUse, Invalid (excluded)."""
    try:
        _hold_ip(draft, scope, address, holder)
    except Refusal as refusal:
        about(refusal, scope, address, holder.ref)
        raise


def _hold_ip(draft: Draft, scope: str, address: int, holder: Holder) -> None:
    lease = draft.lease(scope, address)
    if lease is not None:
        _check_state(draft, lease, holder, IP_IN_USE)
        for other in _others(lease, holder.ref):
            raise AddressInUse(
                f"{hold_text(draft.state, lease, other)}. Choose another address, or let Weft pick one: "
                "privateIPAllocationMethod Dynamic.",
                code=IP_IN_USE,
                target="privateIPAddress",
            )
    why = "" if _holds(lease, holder) else _why_excluded(draft, scope, address)
    if why:
        raise Invalid(f"{why}.", code="PrivateIPAddressInReservedRange", target="privateIPAddress")
    draft.turn(lease, Lease(scope, address, ASSIGNED, (holder,)), "assigned")


def release(draft: Draft, scope: str, address: int, ref: str, reason: str) -> None:
    """Give up one holder's part in a lease. The last to go lets the address cool, or be free if it lies in no pool."""
    lease = draft.lease(scope, address)
    assert lease is not None
    others = _others(lease, ref)
    if others:
        draft.turn(lease, Lease(scope, address, ASSIGNED, others), "released", reason)
        return
    pool = draft.state.addresses.pool_of(scope, address)
    if pool is None or pool.spec.cool_down == 0:
        draft.turn(lease, None, "released", reason)
        return
    until = draft.now.ledger + pool.spec.cool_down
    cooling = Lease(scope, address, COOLING, lease.holders, until=until, reason=reason)
    draft.turn(lease, cooling, "released", reason)


def note(draft: Draft, scope: str, address: int, event: str, reason: str) -> None:
    """Write an event into an address's history without changing its lease."""
    lease = draft.lease(scope, address)
    assert lease is not None
    draft.turn(lease, lease, event, reason)


def _others(lease: Lease, ref: str) -> tuple[Holder, ...]:
    """Present holders but one; while cooling there are none."""
    if lease.state == COOLING:
        return ()
    wanted = ref.lower()
    return tuple(holder for holder in lease.holders if holder.ref.lower() != wanted)


def _holds(lease: Lease | None, holder: Holder) -> bool:
    """Whether it is assigned to this holder: then a later exclusion does not take it away."""
    if lease is None or lease.state != ASSIGNED:
        return False
    return any(one.ref.lower() == holder.ref.lower() for one in lease.holders)


def _check_state(draft: Draft, lease: Lease, holder: Holder, code: str) -> None:
    """Assigned leases are the caller's question; a cooling one is open to its last holder; all others are closed."""
    if lease.state == ASSIGNED:
        return
    if lease.state == COOLING and any(one.ref.lower() == holder.ref.lower() for one in lease.holders):
        return
    wait = ""
    if lease.state == COOLING:
        left = max(0, round(lease.until - draft.now.ledger))
        wait = f" It can be had in {left} s, or at once by its last holder."
    raise AddressInUse(f"{hold_text(draft.state, lease, *lease.holders[:1])}.{wait}", code=code)


def _why_excluded(draft: Draft, scope: str, address: int) -> str:
    """Which pool keeps an address from everybody and why, with what to do; empty if none does."""
    pool = draft.state.addresses.pool_of(scope, address)
    why = pool.why_excluded(address) if pool is not None else ""
    if pool is None or not why:
        return ""
    return f"{address_text(scope, address)} is excluded from {pool.spec.ref} ({why}). Choose another address"
