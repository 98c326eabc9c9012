"""How refusals speak of addresses, their holders, full pools, and of what a reference does not find. Called by
core.decide, and by whoever else refuses before it."""

from collections.abc import Iterable

from weft.core.pools import Pool
from weft.core.state import State
from weft.model.kinds import LOGICAL_NETWORKS, SERVERS, VIRTUAL_NETWORKS, Kind
from weft.model.leases import (
    ASSIGNED,
    COOLING,
    FOREIGN,
    MAC_SCOPE,
    RESERVED,
    RETAINED,
    VSID_SCOPE,
    Holder,
    Lease,
    is_learnt,
)
from weft.model.values import Now, ip_text, mac_dashes

STATES = (ASSIGNED, RETAINED, COOLING, RESERVED, FOREIGN)
"""Every state but free."""


def number_text(version: int, address: int) -> str:
    """Canonical text of an IP address that is a number, as the ledger has it."""
    return ip_text(address.to_bytes(4 if version == 4 else 16))


def address_text(scope: str, address: int) -> str:
    """An address as its scope writes it: MAC with dashes, IP canonical, VSID and RDID as number."""
    if scope == MAC_SCOPE:
        return mac_dashes(address)
    if scope.startswith("ip"):
        return number_text(int(scope[2]), address)
    return str(address)


def place_text(state: State, key: str) -> str:
    """A subnet's reference as it is stored, for people; keys are in lower case."""
    segment = state.segment(key)
    return segment.ref if segment is not None else key


def hold_text(state: State, lease: Lease, holder: Holder | None = None) -> str:
    """Say who has an address, as a sentence without its stop."""
    address = address_text(lease.scope, lease.address)
    if holder is None:
        return f"{address} is {lease.state} ({lease.reason or 'no holder named'})"
    if lease.state == COOLING:
        return f"{address} is cooling down after {holder.ref} gave it up"
    if lease.state == ASSIGNED:
        where = f" in {place_text(state, holder.domain)}" if holder.domain else ""
        brought = ", whose guest brought it" if is_learnt(lease) else ""
        return f"{address} is held by {holder.ref}{where}{brought}"
    reason = f" ({lease.reason})" if lease.reason else ""
    return f"{address} is {lease.state}: {holder.ref} has it{reason}"


def why_full(state: State, pools: Iterable[Pool], now: Now) -> str:
    """Say what holds the space of pools that have too few free addresses, and what would give some back."""
    every = list(pools)
    if not every:
        return "There is no pool to grant an address from: create one first."
    parts = " nor in ".join(_fill_text(pool) for pool in every)
    if all(pool.spec.drain for pool in every):
        return f"No address is granted from {parts}. End the drain (drain false), or add a pool."
    free = sum(pool.capacity - pool.taken.used for pool in every if not pool.spec.drain)
    short = f"No more than {free} can be granted from {parts}." if free else f"No address is free in {parts}."
    ways = [_more_room(state, every[-1]), "delete what is not needed", *_reclaimable(every)]
    ends = state.cooling_ends() if any(pool.used(COOLING) for pool in every) else None
    if ends is not None:
        ways.append(f"or wait: a cool-down ends in {max(0, round(ends - now.ledger))} s")
    return f"{short} {', '.join(ways)}."


def _fill_text(pool: Pool) -> str:
    counts = [f"{pool.used(name)} {name}" for name in STATES if pool.used(name)]
    if pool.spec.drain:
        counts.append("drained, so it grants nothing")
    return f"{pool.spec.ref} ({_counted(pool.capacity)}: {', '.join(counts)})"


def _reclaimable(pools: list[Pool]) -> list[str]:
    """What would give some back that nothing uses now."""
    ways = []
    inactive = sum(len(pool.inactive) for pool in pools)
    if inactive:
        ways.append(f"release the {inactive} that inactive machines hold")
    retained = sum(pool.used(RETAINED) for pool in pools)
    if retained:
        ways.append(f"delete checkpoints and exports that keep {retained}")
    if any(RESERVED in pool.by_state and pool.by_state[RESERVED].used for pool in pools):
        ways.append("delete reservations")
    return ways


def _more_room(state: State, pool: Pool) -> str:
    """How more of a kind come about: a virtual subnet has no pools, and its prefix stays while it is in use."""
    if pool.spec.scope == VSID_SCOPE:
        return "Widen virtualSubnetIdRange of the virtualNetworkManager"
    if pool.spec.host_range:
        return "Use strategy central, put the interface on another server, make a plan with more interfaceDigits"
    segment = state.segment(pool.spec.ref)
    return "Use another subnet of the network" if segment is not None and segment.virtual else "Add a pool"


def _counted(addresses: int) -> str:
    return "1 address" if addresses == 1 else f"{addresses} addresses"


def no_server(name: str) -> str:
    """That the server that is named is not there, and which command shows those that are."""
    return f"There is no server '{name}'{see_all(SERVERS.name)}."


def see_all(kind: str) -> str:
    """Where to look for what was meant by a reference to a kind."""
    return f": see which there are with weft get {kind}"


def see_subnets(state: State, ref: str, *kinds: Kind) -> str:
    """Where to look for what was meant by a reference to a subnet: among those of its network, or, where that is not
    there either, among networks. `kinds`: of the networks that may be meant; virtual and logical ones if none is said.
    """
    among = kinds or (VIRTUAL_NETWORKS, LOGICAL_NETWORKS)
    first, _, below = ref.strip("/").partition("/")
    meant = tuple(kind for kind in among if kind.name.lower() == first.lower())
    network = state.get(meant[0].name, below.partition("/")[0]) if meant else None
    if network is not None:
        return see_all(f"subnets --of {meant[0].name}/{network.resource_id}")
    return f": see which networks there are with {' or '.join(f'weft get {kind.name}' for kind in meant or among)}"
