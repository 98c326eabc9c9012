"""Policy perHostInUse: a host's own provider address while something on it needs one.

Called by core.decide.provider_addresses after every command that may have changed what is on a host, and where a new
machine's host is chosen. Needed is one by a port in a virtual network that its provider network carries, or in a peer
of such a network, from the moment at which a machine is bound there until it has gone, both ends of a move until it is
over; and by a gateway, since it has no port. What was asked for by a PUT is its operator's word, and stays.
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from weft.core.changes import ResourceChange
from weft.core.decide.draft import Draft
from weft.core.decide.holding import hold_ip, holder_in, release
from weft.core.decide.own_addresses import Place, Server, ensure_provider_addresses, policy_of, put_server, take
from weft.core.decide.readdressing import without
from weft.core.index import last_id, lower
from weft.core.peerings import routed
from weft.core.pools import Segment
from weft.core.provider_places import named_by
from weft.core.provider_places import policy_of as policy_in
from weft.core.state import State
from weft.core.words import number_text
from weft.model.fabric import PER_HOST_IN_USE, PER_VIRTUAL_SUBNET
from weft.model.leases import Holder, ip_scope
from weft.model.resources import AnyResource
from weft.model.values import pack_ip

_COMING = (PER_HOST_IN_USE, PER_VIRTUAL_SUBNET)


def settle_own(draft: Draft, server_id: str, on_it: list[Segment]) -> None:
    """Grant a host its own address with the first that needs it, take it back with the last; `on_it` are the virtual
    subnets with an interface there. Raises PoolIsFull (PAIpAddressExhausted)."""
    server: Server | None = draft.get("servers", server_id)
    if server is None:
        return
    named = named_by(draft.state, server.properties.network_interfaces)
    by_network: dict[str, list[Segment]] = {}
    for segment in named:
        by_network.setdefault(segment.network, []).append(segment)
    if draft.changed("logicalNetworks") and any(_is_no_more(draft, server, one) for one in by_network):
        ensure_provider_addresses(draft, server)
        server = draft.get("servers", server_id) or server
    held = {scope[3:] for scope in draft.state.addresses.providers.get(f"/servers/{server_id}", {})}
    # where nothing names its subnets an address is all that says them: none is taken back that could not come again
    networks = [one for one in dict.fromkeys((*by_network, *held)) if named and _is_in_use(draft, server, one)]
    if not networks:
        return
    needed = networks if _is_gateway(draft, server_id) else _needed(draft, on_it, networks)
    gone = {text for one in networks if one not in needed for text in _taken_back(draft, server, one)}
    came = [text for one in networks if one in needed for text in _granted(draft, server, by_network.get(one, ()))]
    if gone or came:
        p = server.properties
        texts = (*(one for one in p.provider_addresses if one not in gone), *came)
        change = without(p.provider_address_change, gone)
        put_server(draft, server, msgspec.structs.replace(p, provider_addresses=texts, provider_address_change=change))


def may_need_others(state: State, change: ResourceChange) -> Iterator[str]:
    """Ids, lower case, of the servers that may need an address of their own, or none any more, by a change of something
    else than what is on them: a role as a gateway, a peering, the policy."""
    sides: list[AnyResource] = [one for one in (change.before, change.after) if one is not None]
    if change.kind == "gateways":
        yield from (last_id(one.properties.server) for one in sides)
    elif change.kind == "virtualNetworks" and len({one.properties.virtual_network_peerings for one in sides}) > 1:
        peerings = (side for one in sides for side in one.properties.virtual_network_peerings)
        for name in {change.id, *(last_id(one.properties.remote_virtual_network) for one in peerings)}:
            yield from state.servers_of(name)
    elif change.kind == "logicalNetworks":
        policies = {one.properties.provider_address_policy for one in sides}
        if len(policies) > 1 and PER_HOST_IN_USE in policies:
            # rare, and of servers there are few beside what is on them
            for server in state.all("servers"):
                named = named_by(state, server.properties.network_interfaces)
                if any(one.network == f"/logicalnetworks/{change.id}" for one in named):
                    yield server.resource_id.lower()


def has_room(state: State, server: Server, subnet: str) -> bool:
    """Has a server the provider address that an interface in a subnet needs there by its policy, or is one left?"""
    segment = state.segment(subnet)
    network = state.get("virtualNetworks", segment.network.rpartition("/")[2]) if segment and segment.virtual else None
    if segment is None or network is None:
        return True
    logical = lower(network.properties.logical_network)
    found = state.get("logicalNetworks", logical.rpartition("/")[2])
    policy, _ = policy_in(server.properties, found.properties if found is not None else None)
    if policy not in _COMING:
        return True
    ref, purpose = f"/servers/{server.resource_id.lower()}", segment.domain if policy == PER_VIRTUAL_SUBNET else ""
    if any(state.addresses.providing.get((ref, ip_scope(logical, version), purpose)) for version in (4, 6)):
        return True
    named = [one for one in named_by(state, server.properties.network_interfaces) if one.network == logical]
    if not purpose and _rested(state, ref, named) is not None:
        return True
    pools = [state.addresses.pools[key] for one in named for key in one.pools]
    return not pools or any(not one.spec.drain and one.next_free(one.spec.first) is not None for one in pools)


def _is_in_use(draft: Draft, server: Server, network: str) -> bool:
    return policy_of(draft, server.properties, network)[0] == PER_HOST_IN_USE


def _is_no_more(draft: Draft, server: Server, network: str) -> bool:
    """Was it the policy in a provider network, and is another now?"""
    before = draft.state.get("logicalNetworks", network.rpartition("/")[2])
    was = policy_in(server.properties, before.properties if before is not None else None)[0] == PER_HOST_IN_USE
    return was and not _is_in_use(draft, server, network)


def _is_gateway(draft: Draft, server_id: str) -> bool:
    names = {ref.rpartition("/")[2] for ref in draft.state.uses.of(f"/servers/{server_id}", "gateways")}
    found = (draft.get("gateways", one) for one in names | draft.changed("gateways"))
    return any(one is not None and last_id(one.properties.server) == server_id for one in found)


def _needed(draft: Draft, on_it: Iterable[Segment], among: Collection[str]) -> Collection[str]:
    """References, lower case, of the provider networks that carry what is on a host, and what that is routed to; no
    more are looked for once all of some are found."""
    needed = set[str]()
    for name in dict.fromkeys(one.network.rpartition("/")[2] for one in on_it):
        network = draft.get("virtualNetworks", name)
        if network is not None:
            near = (network, *(remote for _, _, remote in routed(draft, network)))
            needed.update(lower(one.properties.logical_network) for one in near)
        if needed.issuperset(among):
            break
    return needed


def _granted(draft: Draft, server: Server, segments: Iterable[Segment]) -> Iterator[str]:
    """One in a provider network, where the host lists none there: the one that it had, while that rests, so that a host
    that comes and goes uses up no others. Subnets without ipPools grant nothing."""
    ref, giving = f"/servers/{server.resource_id}", [one for one in segments if one.pools]
    if giving and not any(
        lies_in(draft, ref, text, giving[0].network) for text in server.properties.provider_addresses
    ):
        place = _rested(draft.state, ref, giving)
        if place is not None:
            hold_ip(draft, *place, Holder("server", ref, "", True))
        else:
            place = take(draft, ref, giving, "")
        yield number_text(int(place[0][2]), place[1])


def _rested(state: State, ref: str, segments: Iterable[Segment]) -> Place | None:
    """What a server had for itself in these subnets and may have again."""
    for pool in (state.addresses.pools[key] for one in segments for key in one.pools):
        spec = pool.spec
        for address in sorted(state.addresses.resting.get((ref.lower(), spec.scope), ())):
            if spec.first <= address <= spec.last and not spec.drain and not pool.why_excluded(address):
                return spec.scope, address
    return None


def lies_in(draft: Draft, ref: str, text: str, network: str) -> bool:
    """Does a server hold this provider address for itself, and in this provider network?"""
    packed = pack_ip(text)
    scope = ip_scope(network, 4 if len(packed) == 4 else 6)
    holder = holder_in(draft.lease(scope, int.from_bytes(packed)), ref)
    return holder is not None and not holder.domain


def _taken_back(draft: Draft, server: Server, network: str) -> Iterator[str]:
    """What was granted to a host for itself in a provider network."""
    ref = f"/servers/{server.resource_id}"
    scopes = draft.state.addresses.providers.get(ref.lower(), {})
    for scope in (ip_scope(network, version) for version in (4, 6)):
        for address, purpose in scopes.get(scope, {}).items():
            holder = holder_in(draft.lease(scope, address), ref)
            if not purpose and holder is not None and holder.granted:
                release(draft, scope, address, ref, f"nothing on {ref} needs it any more")
                yield number_text(int(scope[2]), address)
