"""How refusals speak of addresses, their holders and full pools. Called by core.decide."""

from collections.abc import Iterable
from ipaddress import IPv6Address

from weft.core.pools import Pool
from weft.core.state import State
from weft.model.leases import ASSIGNED, COOLING, FOREIGN, MAC_SCOPE, RESERVED, RETAINED, Holder, Lease
from weft.model.values import Now, mac_dashes

STATES = (ASSIGNED, RETAINED, COOLING, RESERVED, FOREIGN)
"""Every state but free."""


def ip_text(version: int, address: int) -> str:
    """Canonical text of an address."""
    if version == 4:
        return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"
    return str(IPv6Address(address))


def address_text(scope: str, address: int) -> str:
    """An address as its scope writes it: MAC with dashes, IP canonical, VSID and RDID as number."""
    if scope == MAC_SCOPE:
        return mac_dashes(address)
    if scope.startswith("ip"):
        return ip_text(int(scope[2]), address)
    return str(address)


def hold_text(lease: Lease, holder: Holder | None = None) -> str:
    """Say who has an address, as a sentence without its stop."""
    address = address_text(lease.scope, lease.address)
    if holder is None:
        return f"{address} is {lease.state} ({lease.reason or 'no holder named'})"
    if lease.state == COOLING:
        return f"{address} is cooling down after {holder.ref} gave it up"
    if lease.state == ASSIGNED:
        where = f" in {holder.domain}" if holder.domain else ""
        return f"{address} is held by {holder.ref}{where}"
    reason = f" ({lease.reason})" if lease.reason else ""
    return f"{address} is {lease.state}: {holder.ref} has it{reason}"


def why_full(state: State, pools: Iterable[Pool], now: Now) -> str:
    """Say what holds the space of pools that have no free address, and what would give some back."""
    parts = []
    cooling = False
    for pool in pools:
        counts = [f"{pool.used(name)} {name}" for name in STATES if pool.used(name)]
        parts.append(f"{pool.spec.ref} ({pool.capacity} addresses: {', '.join(counts)})")
        cooling = cooling or pool.used(COOLING) > 0
    if not parts:
        return "There is no pool to grant an address from: create one first."
    text = f"No address is free in {' nor in '.join(parts)}. Add a pool, delete what is not needed"
    ends = state.cooling_ends() if cooling else None
    if ends is None:
        return f"{text}."
    return f"{text}, or wait: a cool-down ends in {max(0, round(ends - now.ledger))} s."
