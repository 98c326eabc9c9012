"""Which provider addresses a host has, by the policy of its provider network: granted before anything is placed on it.

Called by core.decide.servers for what a host has for itself, by core.decide for what its virtual subnets have (policy
perVirtualSubnet), which follows where interfaces are. A host's own addresses are held by the server without a domain;
others name in `Holder.domain` what they are for, so that one host never has two for one purpose.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from weft.core import provider_places
from weft.core.addresses import holder_of
from weft.core.changes import ResourceChange
from weft.core.commands import Decision
from weft.core.decide.draft import Draft
from weft.core.decide.granting import next_in
from weft.core.decide.holding import release, take_granted
from weft.core.decide.on_hosts import OnHosts
from weft.core.decide.readdressing import changed, with_change, without
from weft.core.index import interfaces_of, lower, servers_of
from weft.core.layout import dual_stack_domains
from weft.core.pools import Pool, Segment
from weft.core.rewriting import interface_of, is_rewriting, purpose_of
from weft.core.state import State
from weft.core.words import hold_text, number_text, why_full
from weft.model.errors import Invalid, PoolIsFull
from weft.model.fabric import PER_HOST, PER_VIRTUAL_SUBNET, SEVERAL, ServerInterfaceProperties, ServerProperties
from weft.model.leases import Holder, ip_scope
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties

Server = Resource[ServerProperties]
Adapter = Resource[ServerInterfaceProperties]
Place = tuple[str, int]
"""Scope and address."""
Held = dict[Place, str]
"""Provider addresses, and their text."""

MOST = 64
"""Provider addresses of one host in one network with policy several."""

_SAYING = ("servers", "logicalNetworks", "virtualNetworks")
"""Kinds that say the policy."""

POLICIES = {"": "", "perhost": PER_HOST, "several": SEVERAL, "pervirtualsubnet": PER_VIRTUAL_SUBNET}


def settled_policy(policy: str, count: int, default: str) -> str:
    """A policy in its canonical spelling. Raises Invalid."""
    found = POLICIES.get(policy.lower())
    if found is None:
        raise Invalid(
            f"providerAddressPolicy is perHost, several or perVirtualSubnet, not '{policy}'.",
            target="providerAddressPolicy",
        )
    if not 0 <= count <= MOST:
        raise Invalid(f"providerAddressCount {count} is not in 0 to {MOST}.", target="providerAddressCount")
    return found or default


def policy_of(draft: Draft, server: ServerProperties, network: str) -> tuple[str, int]:
    """(Policy, count) of a host in a provider network, by the network's reference: its own, else the network's."""
    found = draft.get("logicalNetworks", network.rpartition("/")[2])
    return provider_places.policy_of(server, found.properties if found is not None else None)


def held_by(state: State, ref: str, server: Server | None) -> Held:
    """A host's own, in the order in which the server lists them; those that leave are none of them."""
    scopes = state.addresses.providers.get(ref.lower(), {})
    own = ((scope, a) for scope, addresses in scopes.items() for a, purpose in addresses.items() if not purpose)
    held = {(scope, a): number_text(int(scope[2]), a) for scope, a in own}
    listed = server.properties.provider_addresses if server is not None else ()
    return dict(sorted(((p, t) for p, t in held.items() if t in listed), key=lambda one: listed.index(one[1])))


def named_by(state: State, adapters: Iterable[Adapter]) -> list[Segment]:
    """The provider subnets that adapters are on; without any, the only one there is; else none."""
    keys = [ref.resource_ref.lower() for adapter in adapters for ref in adapter.properties.logical_subnets]
    segments = state.addresses.provider_segments
    named = [segments[key] for key in dict.fromkeys(keys) if key in segments]
    return named or (list(segments.values()) if len(segments) == 1 else [])


def _subnets_of(state: State, adapters: Iterable[Adapter], own: Iterable[Place]) -> list[Segment]:
    """The same; where no adapter says which subnets a host is on, those that its own addresses are of."""
    named = named_by(state, adapters)
    if named:
        return named
    every, places = state.addresses.provider_segments.values(), tuple(own)
    return [one for one in every if any(s == one.scope and one.first <= a <= one.last for s, a in places)]


def grant_missing(draft: Draft, ref: str, server: ServerProperties, held: Held) -> list[str]:
    """What the host lacks for itself in each provider network that it is on. Subnets without ipPools grant nothing.
    Raises PoolIsFull (PAIpAddressExhausted)."""
    by_network: dict[str, list[Segment]] = {}
    for segment in _subnets_of(draft.state, server.network_interfaces, held):
        if segment.pools:
            by_network.setdefault(segment.network, []).append(segment)
    texts = []
    for network, segments in by_network.items():
        has = sum(scope[3:] == network for scope, _ in held)
        for _ in range(policy_of(draft, server, network)[1] - has):
            scope, address = take(draft, ref, segments, "")
            texts.append(number_text(int(scope[2]), address))
    return texts


def take(draft: Draft, ref: str, segments: Iterable[Segment], purpose: str) -> Place:
    """Grant one provider address to a host: for itself, or for a purpose, by its key in lower case. Raises PoolIsFull
    (PAIpAddressExhausted), naming the pools and who holds their addresses."""
    pools = [draft.state.addresses.pools[key] for segment in segments for key in segment.pools]
    for pool in pools:
        found = next_in(draft, pool)
        if found is not None:
            take_granted(draft, pool.spec.scope, found, Holder("server", ref, purpose, True))
            return pool.spec.scope, found
    what = f" for {purpose}" if purpose else ""
    raise PoolIsFull(
        f"{ref} needs a provider address{what}. {why_full(draft.state, pools, draft.now)}{_who(draft.state, pools)}",
        code="PAIpAddressExhausted",
    )


def follow(draft: Draft, decision: Decision) -> Decision:
    """The decision with the provider addresses of hosts' virtual subnets: on hosts of policy perVirtualSubnet one for
    each that has come, none for one whose last interface has gone. Raises PoolIsFull (PAIpAddressExhausted)."""
    index = draft.state.index
    if not (index.servers.by_subnet or index.networks.rewriting) and not any(
        isinstance(one, ResourceChange) and one.kind in _SAYING for one in decision.changes
    ):
        return decision
    on_hosts = OnHosts(draft)
    for server_id, wholly in sorted(_touched(draft, decision).items()):
        server: Server | None = draft.get("servers", server_id)
        if server is not None:
            _settle_subnets(draft, server, on_hosts, wholly)
    changes = draft.changes()
    if changes == decision.changes:
        return decision
    answered = decision.resource
    if isinstance(answered, Resource) and isinstance(answered.properties, ServerProperties):
        answered = draft.get("servers", answered.resource_id)
    return msgspec.structs.replace(decision, changes=changes, resource=answered)


def _settle_subnets(draft: Draft, server: Server, on_hosts: OnHosts, wholly: bool) -> None:
    """What a policy changes while machines run comes and leaves with the host's change of addresses; what interfaces
    bring along, or leave behind, is used or released at once. Unless wholly, mappings of IP rewrite are looked at for
    the interfaces that the command touches: those of others are as they were."""
    ref = f"/servers/{server.resource_id}"
    before, after_it = on_hosts.segments(server.resource_id.lower())
    rewriting, looked_at = _rewriting_on(draft, server, on_hosts, wholly)
    wanted = rewriting | dict(_for_domains(draft, server, after_it))
    held = {
        purpose: place
        for place, purpose in _for_purposes(draft.state, ref)
        if looked_at(purpose) and _is_held(draft, place)
    }
    change = server.properties.provider_address_change
    leaving: set[str] = set(change.leaving) if change is not None else set()
    stay, gone, came = set[str](), set[str](), set[str]()
    if held.keys() != wanted.keys() or leaving:
        stay = {one.domain for one in before} & {one.domain for one in after_it}
    for purpose, place in held.items():
        if purpose not in wanted and purpose not in stay:
            gone.add(_text(place))
            release(draft, *place, ref, f"the last interface in {purpose} has left {ref}")
    left = {_text(place) for purpose, place in held.items() if purpose not in wanted and purpose in stay} - leaving
    for purpose, segments in wanted.items():
        if purpose not in held:
            place = take(draft, ref, segments, purpose)
            came |= {_text(place)} if purpose in stay else set()
        elif _text(held[purpose]) in leaving:
            came.add(_text(held[purpose]))
    after = changed(draft, ref, without(change, gone), came, left)
    unused = set(change.coming) if change is not None else set()
    for place in held.values():
        if _text(place) in left & unused:
            release(draft, *place, ref, "the policy that it was for is another again")
    if after != change:
        with_change(draft, server, after)


def _is_held(draft: Draft, place: Place) -> bool:
    """Still, after what the command has done so far?"""
    return holder_of(draft.lease(*place), "server") is not None


def _text(place: Place) -> str:
    return number_text(int(place[0][2]), place[1])


def _touched(draft: Draft, decision: Decision) -> dict[str, bool]:
    """Ids of the servers where interfaces may have come or gone; True where all that they hold may be another."""
    some, whole = set[str](), set[str]()
    for change in decision.changes:
        if not isinstance(change, ResourceChange):
            continue
        sides = [one for one in (change.before, change.after) if one is not None]
        if change.kind == "virtualMachines":
            some.update(server for machine in sides for server in servers_of(machine))
        elif change.kind == "networkInterfaces":
            machine = draft.state.machine_of(change.id)
            some.update(servers_of(machine) if machine is not None else ())
        elif change.kind == "servers":
            whole.add(change.id)
        elif change.kind == "virtualNetworks" and len({_places_of(one) for one in sides}) > 1:
            whole.update(draft.state.servers_of(change.id))
        elif change.kind == "logicalNetworks":
            whole.update(_servers_on(draft.state, f"/logicalnetworks/{change.id}"))
    return dict.fromkeys(some, False) | dict.fromkeys(whole, True)


def _places_of(network: Resource[VirtualNetworkProperties]) -> tuple[object, ...]:
    """What of a virtual network says which addresses its subnets have on hosts."""
    p = network.properties
    domains = dual_stack_domains(network.resource_id, p.subnets)
    return lower(p.logical_network), is_rewriting(p), tuple(sorted(domains.items()))


def _servers_on(state: State, network: str) -> set[str]:
    """Ids of the servers with an address of their own in a provider network."""
    scopes = {ip_scope(network, version) for version in (4, 6)}
    return {ref.rpartition("/")[2] for ref, held in state.addresses.providers.items() if scopes & held.keys()}


def _for_domains(draft: Draft, server: Server, on_it: list[Segment]) -> Iterator[tuple[str, list[Segment]]]:
    """L2 domains of the virtual subnets on a host that have an address of their own there, each with the provider
    subnets to grant from."""
    for segment in {one.domain: one for one in reversed(on_it)}.values():
        carriers = _carriers(draft, server, segment)
        if carriers:
            yield segment.domain, carriers


def _rewriting_on(
    draft: Draft, server: Server, on_hosts: OnHosts, wholly: bool
) -> tuple[dict[str, list[Segment]], Callable[[str], bool]]:
    """The ipConfigurations on a host that are rewritten there, each with the provider subnets to grant from; and of
    which purposes that says all."""
    if wholly:
        every = _interfaces_on(draft, server)
        return dict(one for i in every for one in _rewritten(draft, server, i)), lambda purpose: True
    there, touched = on_hosts.touched(server.resource_id.lower())
    found = dict(one for i in there for one in _rewritten(draft, server, i))
    touched.add("")
    return found, lambda purpose: interface_of(purpose) in touched


def _interfaces_on(draft: Draft, server: Server) -> Iterator[str]:
    """Ids of the interfaces of machines that are on a host or come to it, as they would be."""
    if not draft.state.index.networks.rewriting:
        return
    key = server.resource_id.lower()
    ids = {machine.resource_id.lower() for machine in draft.state.machines_on(key)}
    for machine_id in sorted(ids | draft.changed("virtualMachines")):
        machine = draft.get("virtualMachines", machine_id)
        if machine is not None and key in servers_of(machine):
            yield from interfaces_of(machine)


def _rewritten(draft: Draft, server: Server, interface_id: str) -> Iterator[tuple[str, list[Segment]]]:
    """One provider address for each customer address in a network that rewrites, of the same family."""
    interface = draft.get("networkInterfaces", interface_id) if draft.state.index.networks.rewriting else None
    for configuration in interface.properties.ip_configurations if interface is not None else ():
        segment = draft.state.segment(lower(configuration.properties.subnet))
        network = (
            draft.get("virtualNetworks", segment.network.rpartition("/")[2]) if segment and segment.virtual else None
        )
        if segment is None or network is None or not is_rewriting(network.properties):
            continue
        logical = lower(network.properties.logical_network)
        every = draft.state.addresses.provider_segments.values()
        carriers = [one for one in every if one.network == logical and one.version == segment.version and one.pools]
        yield purpose_of(interface_id, configuration.resource_id), carriers


def _carriers(draft: Draft, server: Server, segment: Segment) -> list[Segment]:
    """The provider subnets of a host that carry a virtual subnet, if it is to have an address of its own there."""
    network = draft.get("virtualNetworks", segment.network.rpartition("/")[2])
    logical = lower(network.properties.logical_network) if network is not None else ""
    if policy_of(draft, server.properties, logical)[0] != PER_VIRTUAL_SUBNET:
        return []
    own = held_by(draft.state, f"/servers/{server.resource_id}", server)
    on = _subnets_of(draft.state, server.properties.network_interfaces, own)
    return [one for one in on if one.network == logical and one.pools]


def _for_purposes(state: State, ref: str) -> list[tuple[Place, str]]:
    """What a host holds besides its own, each with what it is for."""
    scopes = state.addresses.providers.get(ref.lower(), {})
    return [((scope, a), why) for scope, addresses in scopes.items() for a, why in addresses.items() if why]


def _who(state: State, pools: Iterable[Pool]) -> str:
    """One that holds an address of them, for people to begin with."""
    for pool in pools:
        offset = pool.taken.next_used()
        lease = state.lease(pool.spec.scope, pool.spec.first + offset) if offset is not None else None
        if lease is not None:
            return f" {hold_text(state, lease, *lease.holders[:1])}."
    return ""
