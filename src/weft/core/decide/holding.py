"""Taking, granting and releasing addresses: the ledger's rules of who may hold what (architecture: the ledger).

Called by the families that hold addresses. All changes go into the draft; a refusal names the holder and what to do.
An address may have several holders: checkpoints and exports beside the interface whose address they captured, and legal
twins, which only `hold_twin` makes. Its state follows from those that are present.
"""

from collections.abc import Container

import msgspec

from weft.core.decide.cool_down import resting
from weft.core.decide.draft import Draft
from weft.core.decide.granting import ANYWHERE, Origin, next_ip, next_mac, used_reservations
from weft.core.macs import why_forbidden
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import address_text, hold_text
from weft.model.errors import AddressInUse, Invalid, InvalidMacAddress, Refusal
from weft.model.leases import ASSIGNED, COOLING, MAC_SCOPE, RESERVED, RETAINED, Holder, Lease, state_of
from weft.model.values import Mac

MAC_IN_USE = "PrivateMacAddressInUse"
IP_IN_USE = "PrivateIPAddressInUse"

CAPTURES = ("checkpoint", "export")
"""Holders that would bring an address back, but use it by nobody now."""

NOBODY: frozenset[str] = frozenset()

_EVENTS = {RETAINED: "retained", RESERVED: "reserved"}
"""What the history calls it when the last user of an address goes and others still hold it."""


def can_meet(state: State, one: Holder, other: Holder) -> bool:
    """Whether two holders of one MAC address must not both be: one was picked by Weft, or they share an L2 domain."""
    return one.granted or other.granted or share_domain(state, one, other)


def share_domain(state: State, one: Holder, other: Holder) -> bool:
    """Whether two holders can be in one L2 domain; one without (it has no ipConfiguration) may meet everyone."""
    return state.meet(one.domain, other.domain)


def about(refusal: Refusal, scope: str, address: int, asker: str) -> Refusal:
    """Let a refusal say which address was not to be had, and by whom: that goes into the address's history."""
    refusal.scope, refusal.address, refusal.asker = scope, address, asker
    return refusal


def hold_mac(draft: Draft, mac: Mac, holder: Holder, beside: Container[str] = NOBODY) -> None:
    """Take a MAC address that the client chose. `beside`: references, lower case, of holders that do not stand in the
    way. Raises InvalidMacAddress (reserved) or AddressInUse."""
    try:
        _hold_mac(draft, mac, holder, beside)
    except Refusal as refusal:
        about(refusal, MAC_SCOPE, mac, holder.ref)
        raise


def _hold_mac(draft: Draft, mac: Mac, holder: Holder, beside: Container[str]) -> None:
    why = why_forbidden(mac)
    if why:
        raise InvalidMacAddress(address_text(MAC_SCOPE, mac), why)
    lease = draft.lease(MAC_SCOPE, mac)
    others: tuple[Holder, ...] = ()
    if lease is not None:
        check_rest(draft, lease, holder)
        others = others_of(lease, holder.ref)
        for other in others:
            if other.ref.lower() not in beside and can_meet(draft.state, other, holder):
                raise AddressInUse(
                    f"{hold_text(draft.state, lease, other)}. Choose another address, or let Weft pick one: "
                    "privateMacAllocationMethod Dynamic.",
                    code=MAC_IN_USE,
                    target="privateMacAddress",
                )
    why = "" if _holds(lease, holder) else why_excluded(draft, MAC_SCOPE, mac)
    if why:
        raise AddressInUse(f"{why}.", code=MAC_IN_USE)
    draft.turn(lease, Lease(MAC_SCOPE, mac, ASSIGNED, (*others, holder)), "assigned")


def grant_mac(draft: Draft, holder: Holder, origin: Origin = ANYWHERE, reason: str = "") -> Mac:
    """Take the next free MAC address from where the interface's come from. Raises PoolIsFull, Conflict."""
    mac = next_mac(draft, origin)
    take_granted(draft, MAC_SCOPE, mac, holder, reason)
    return Mac(mac)


def grant_ip(draft: Draft, segment: Segment, holder: Holder, origin: Origin = ANYWHERE, reason: str = "") -> int:
    """Take the next free address of a subnet. Raises PoolIsFull (SubnetIsFull)."""
    address = next_ip(draft, segment, origin.reservation)
    take_granted(draft, segment.scope, address, holder, reason)
    return address


def take_granted(draft: Draft, scope: str, address: int, holder: Holder, reason: str = "") -> None:
    """It is free, or kept for us by a reservation, which goes on holding it beside us."""
    lease = draft.lease(scope, address)
    others = lease.holders if lease is not None else ()
    draft.turn(lease, Lease(scope, address, ASSIGNED, (*others, holder)), "granted", reason)


def hold_ip(draft: Draft, scope: str, address: int, holder: Holder, beside: Container[str] = NOBODY) -> None:
    """Take an IP address that the client chose; `beside` as in hold_mac. Raises AddressInUse, Invalid (excluded)."""
    try:
        _hold_ip(draft, scope, address, holder, beside)
    except Refusal as refusal:
        about(refusal, scope, address, holder.ref)
        raise


def _hold_ip(draft: Draft, scope: str, address: int, holder: Holder, beside: Container[str]) -> None:
    lease = draft.lease(scope, address)
    others: tuple[Holder, ...] = ()
    if lease is not None:
        check_rest(draft, lease, holder)
        others = others_of(lease, holder.ref)
        for other in others:
            if other.ref.lower() not in beside:
                raise AddressInUse(
                    f"{hold_text(draft.state, lease, other)}. Choose another address{_or_dynamic(holder)}.",
                    code=IP_IN_USE,
                    target="privateIPAddress",
                )
    why = "" if _holds(lease, holder) else why_excluded(draft, scope, address)
    if why:
        raise Invalid(f"{why}.", code="PrivateIPAddressInReservedRange", target="privateIPAddress")
    draft.turn(lease, Lease(scope, address, ASSIGNED, (*others, holder)), "assigned")


def _or_dynamic(holder: Holder) -> str:
    """For those that have such a member."""
    if holder.kind in ("server", "virtualGateway"):
        return ""
    return ", or let Weft pick one: privateIPAllocationMethod Dynamic"


def hold_twin(draft: Draft, scope: str, address: int, holder: Holder, reason: str) -> None:
    """Take an address beside whoever has it: a copy, an import or a restore may, for it does not run yet; and what is
    adopted has it already.

    Whether it rests, and whether those that have it may have twins, the caller has asked.
    """
    lease = draft.lease(scope, address)
    others = others_of(lease, holder.ref) if lease is not None else ()
    draft.turn(lease, Lease(scope, address, ASSIGNED, (*others, holder)), "assigned", reason)


def retain(draft: Draft, scope: str, address: int, holder: Holder, reason: str) -> None:
    """Let a checkpoint or an export hold an address beside those who have it now, once for each L2 domain."""
    lease = draft.lease(scope, address)
    holders: tuple[Holder, ...] = () if lease is None or lease.state == COOLING else lease.holders
    if not any(one.ref == holder.ref and one.domain == holder.domain for one in holders):
        holders = (*holders, holder)
    draft.turn(lease, Lease(scope, address, state_of(scope, holders), holders), "retained", reason)


def release(draft: Draft, scope: str, address: int, ref: str, reason: str) -> None:
    """Give up one holder's part in a lease. The last to go lets the address cool, or be free if nothing grants it."""
    lease = draft.lease(scope, address)
    assert lease is not None
    others = used_reservations(others_of(lease, ref))
    if others:
        state = state_of(scope, others)
        event = _EVENTS.get(state, "released") if state != lease.state else "released"
        draft.turn(lease, Lease(scope, address, state, others), event, reason)
        return
    draft.turn(lease, resting(draft, lease, reason), "released", reason)


def note(draft: Draft, place: tuple[str, int], ref: str, event: str, reason: str) -> None:
    """Write an event of one holder into an address's history without changing its lease."""
    lease = draft.lease(*place)
    assert lease is not None
    draft.turn(lease, lease, event, reason, ref)


def mark(draft: Draft, place: tuple[str, int], ref: str, since: float, reason: str) -> None:
    """Say since when the holder is known to be gone outside Weft, 0 that it is there again; what it holds stays."""
    lease = draft.lease(*place)
    assert lease is not None
    wanted = ref.lower()
    holders = tuple(
        msgspec.structs.replace(one, inactive=since) if one.ref.lower() == wanted else one for one in lease.holders
    )
    draft.turn(lease, msgspec.structs.replace(lease, holders=holders), "inactive" if since else "active", reason)


def holder_in(lease: Lease | None, ref: str) -> Holder | None:
    """A present holder by its reference."""
    if lease is None or lease.state == COOLING:
        return None
    wanted = ref.lower()
    return next((one for one in lease.holders if one.ref.lower() == wanted), None)


def others_of(lease: Lease, ref: str) -> tuple[Holder, ...]:
    """Present holders but one; while cooling there are none."""
    if lease.state == COOLING:
        return ()
    wanted = ref.lower()
    return tuple(holder for holder in lease.holders if holder.ref.lower() != wanted)


def check_rest(draft: Draft, lease: Lease, holder: Holder) -> None:
    """A cooling address is open to its last holders alone; present holders are the caller's question. Raises
    AddressInUse."""
    code = MAC_IN_USE if lease.scope == MAC_SCOPE else IP_IN_USE
    if lease.state == COOLING:
        if any(one.ref.lower() == holder.ref.lower() for one in lease.holders):
            return
        left = max(0, round(lease.until - draft.now.ledger))
        wait = f" It can be had in {left} s, or at once by its last holder."
        raise AddressInUse(f"{hold_text(draft.state, lease, *lease.holders[:1])}.{wait}", code=code)
    if not lease.holders:
        raise AddressInUse(f"{hold_text(draft.state, lease)}.", code=code)


def why_excluded(draft: Draft, scope: str, address: int) -> str:
    """Which pool keeps an address from everybody and why, with what to do; empty if none does."""
    pool = draft.state.addresses.pool_of(scope, address)
    why = pool.why_excluded(address) if pool is not None else ""
    if pool is None or not why:
        return ""
    return f"{address_text(scope, address)} is excluded from {pool.spec.ref} ({why}). Choose another address"


def _holds(lease: Lease | None, holder: Holder) -> bool:
    """Whether it is held by this holder: then a later exclusion does not take it away."""
    return holder_in(lease, holder.ref) is not None
