"""What provider addresses a host has for itself, by the policy of its provider network: granted before anything is
placed on it.

Called by core.decide.servers and by whatever binds a machine. A host's own addresses are held by the server without a
domain; others name in `Holder.domain` what they are for, so that one host never has two for one purpose. Those that
come and go are core.decide.in_use's and core.decide.provider_addresses'.
"""

from collections.abc import Iterable

import msgspec

from weft.core import provider_places
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.granting import next_in
from weft.core.decide.holding import take_granted
from weft.core.decide.readdressing import changed, is_used
from weft.core.layout import layout_of
from weft.core.pools import Pool, Segment, why_in
from weft.core.provider_places import named_by
from weft.core.state import State
from weft.core.words import hold_text, number_text, why_full
from weft.model.errors import Invalid, PoolIsFull
from weft.model.fabric import (
    PER_HOST,
    PER_HOST_IN_USE,
    PER_VIRTUAL_SUBNET,
    SEVERAL,
    ServerInterfaceProperties,
    ServerProperties,
)
from weft.model.leases import Holder
from weft.model.resources import Resource

Server = Resource[ServerProperties]
Adapter = Resource[ServerInterfaceProperties]
Place = tuple[str, int]
"""Scope and address."""
Held = dict[Place, str]
"""Provider addresses, and their text."""

LOGICAL = "logicalNetworks"

MOST = 64
"""Provider addresses of one host in one network with policy several."""

POLICIES = {"": ""} | {one.lower(): one for one in (PER_HOST, PER_HOST_IN_USE, SEVERAL, PER_VIRTUAL_SUBNET)}


def settled_policy(policy: str, count: int, default: str) -> str:
    """A policy in its canonical spelling. Raises Invalid."""
    found = POLICIES.get(policy.lower())
    if found is None:
        raise Invalid(
            f"providerAddressPolicy is perHost, perHostInUse, several or perVirtualSubnet, not '{policy}'.",
            target="providerAddressPolicy",
        )
    if not 0 <= count <= MOST:
        raise Invalid(f"providerAddressCount {count} is not in 0 to {MOST}.", target="providerAddressCount")
    return found or default


def policy_of(draft: Draft, server: ServerProperties, network: str) -> tuple[str, int]:
    """(Policy, count) of a host in a provider network, by the network's reference: its own, else the network's."""
    found = draft.get(LOGICAL, network.rpartition("/")[2])
    return provider_places.policy_of(server, found.properties if found is not None else None)


def held_by(state: State, ref: str, server: Server | None) -> Held:
    """A host's own, in the order in which the server lists them; those that leave are none of them."""
    scopes = state.addresses.providers.get(ref.lower(), {})
    own = ((scope, a) for scope, addresses in scopes.items() for a, purpose in addresses.items() if not purpose)
    held = {(scope, a): number_text(int(scope[2]), a) for scope, a in own}
    listed = server.properties.provider_addresses if server is not None else ()
    return dict(sorted(((p, t) for p, t in held.items() if t in listed), key=lambda one: listed.index(one[1])))


def subnets_of(state: State, adapters: Iterable[Adapter], own: Iterable[Place]) -> list[Segment]:
    """The same; where no adapter says which subnets a host is on, those that its own addresses are of."""
    named = named_by(state, adapters)
    if named:
        return named
    every, places = state.addresses.provider_segments.values(), tuple(own)
    return [one for one in every if any(s == one.scope and one.first <= a <= one.last for s, a in places)]


def grant_missing(draft: Draft, ref: str, server: ServerProperties, held: Held) -> list[str]:
    """What the host lacks for itself in each provider network that it is on, whatever is there (so not with policy
    perHostInUse). Subnets without ipPools grant nothing. Raises PoolIsFull (PAIpAddressExhausted)."""
    by_network: dict[str, list[Segment]] = {}
    for segment in subnets_of(draft.state, server.network_interfaces, held):
        if segment.pools:
            by_network.setdefault(segment.network, []).append(segment)
    texts = []
    for network, segments in by_network.items():
        has = sum(scope[3:] == network for scope, _ in held)
        policy, count = policy_of(draft, server, network)
        for _ in range(count - has if policy != PER_HOST_IN_USE else 0):
            scope, address = take(draft, ref, segments, "")
            texts.append(number_text(int(scope[2]), address))
    return texts


def take(draft: Draft, ref: str, segments: Iterable[Segment], purpose: str) -> Place:
    """Grant one provider address to a host: for itself, or for a purpose, by its key in lower case. Raises PoolIsFull
    (PAIpAddressExhausted), naming the pools and who holds their addresses."""
    pools = [draft.state.addresses.pools[key] for segment in segments for key in segment.pools]
    for pool in pools:
        found = _next_that_stays(draft, pool)
        if found is not None:
            take_granted(draft, pool.spec.scope, found, Holder("server", ref, purpose, True))
            return pool.spec.scope, found
    what = f" for {purpose}" if purpose else ""
    first = " Pools that the same PUT adds grant nothing yet: put them first." if draft.changed(LOGICAL) else ""
    raise PoolIsFull(
        f"{ref} needs a provider address{what}. {why_full(draft.state, pools, draft.now)}{_who(draft.state, pools)}"
        f"{first}",
        code="PAIpAddressExhausted",
    )


def _next_that_stays(draft: Draft, pool: Pool) -> int | None:
    """The next free address of a pool, as it will be where the command changes its network too; None if there is
    none."""
    found = next_in(draft, pool)
    name = pool.spec.key.split("/")[2]
    if found is None or name not in draft.changed(LOGICAL):
        return found
    specs, _ = layout_of(LOGICAL, draft.get(LOGICAL, name))
    after = next((one for one in specs if one.key == pool.spec.key and not one.drain), None)
    if after is None:
        return None
    for _ in range(pool.capacity):
        if found is None or (after.first <= found <= after.last and not why_in(after.excluded, found)):
            return found
        found = next_in(draft, pool)
    return None


def ensure_provider_addresses(draft: Draft, server: Server) -> None:
    """Grant what a server still lacks, now that a machine is bound to it. Raises PoolIsFull (PAIpAddressExhausted)."""
    ref = f"/servers/{server.resource_id}"
    held, change = held_by(draft.state, ref, server), server.properties.provider_address_change
    used = bool(held) and is_used(draft.state, server.resource_id)
    if used and change is not None:
        return  # it lacks none that it could do without until then
    granted = grant_missing(draft, ref, server.properties, held)
    if granted:
        texts = (*server.properties.provider_addresses, *granted)
        change = changed(draft, ref, change, granted, ()) if used else change
        properties = msgspec.structs.replace(
            server.properties, provider_addresses=texts, provider_address_change=change
        )
        put_server(draft, server, properties)


def put_server(draft: Draft, server: Server, properties: ServerProperties) -> None:
    after = msgspec.structs.replace(server, etag=new_etag(draft.new_id), properties=properties)
    draft.put("servers", server.resource_id.lower(), server, after)


def _who(state: State, pools: Iterable[Pool]) -> str:
    """One that holds an address of them, for people to begin with."""
    for pool in pools:
        offset = pool.taken.next_used()
        lease = state.lease(pool.spec.scope, pool.spec.first + offset) if offset is not None else None
        if lease is not None:
            return f" {hold_text(state, lease, *lease.holders[:1])}."
    return ""
