"""Which provider addresses come to a host and leave it with what is on it: granted before anything is placed there.

Called by core.decide, after every command: those of its virtual subnets (policy perVirtualSubnet) and of what is
rewritten follow where interfaces are, and so does its own with policy perHostInUse (core.decide.in_use).
"""

from collections.abc import Callable, Iterator

import msgspec

from weft.core.addresses import holder_of
from weft.core.changes import ResourceChange
from weft.core.commands import Decision
from weft.core.decide.draft import Draft
from weft.core.decide.holding import release
from weft.core.decide.in_use import may_need_others, settle_own
from weft.core.decide.on_hosts import OnHosts
from weft.core.decide.own_addresses import Place, Server, held_by, policy_of, subnets_of, take
from weft.core.decide.primary_addresses import settle_primary
from weft.core.decide.readdressing import changed, with_change, without
from weft.core.index import interfaces_of, lower, servers_of
from weft.core.layout import dual_stack_domains
from weft.core.pools import Segment
from weft.core.rewriting import interface_of, is_rewriting, purpose_of
from weft.core.state import State
from weft.core.words import number_text
from weft.model.fabric import PER_VIRTUAL_SUBNET, ServerProperties
from weft.model.leases import ip_scope
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties

_SAYING = ("servers", "logicalNetworks", "virtualNetworks")
"""Kinds that say the policy."""


def follow(draft: Draft, decision: Decision) -> Decision:
    """The decision with the provider addresses that come and go: on hosts of policy perVirtualSubnet one for each
    virtual subnet that has come, none for one whose last interface has gone; on those of policy perHostInUse their own.
    Raises PoolIsFull (PAIpAddressExhausted), NotReady where a host would go on with what another machine has."""
    index = draft.state.index
    if not (index.servers.by_use or index.networks.rewriting) and not any(
        isinstance(one, ResourceChange) and one.kind in _SAYING for one in decision.changes
    ):
        return decision
    on_hosts = OnHosts(draft)
    for server_id, wholly in sorted(_touched(draft, decision).items()):
        server: Server | None = draft.get("servers", server_id)
        if server is not None:
            before, after_it = on_hosts.segments(server_id)
            _settle_subnets(draft, server, on_hosts, (before, after_it), wholly)
            settle_own(draft, server_id, after_it)
            if wholly:
                settle_primary(draft, server_id, after_it)
    changes = draft.changes()
    if changes == decision.changes:
        return decision
    answered = decision.resource
    if isinstance(answered, Resource) and isinstance(answered.properties, ServerProperties):
        answered = draft.get("servers", answered.resource_id)
    return msgspec.structs.replace(decision, changes=changes, resource=answered)


def _settle_subnets(
    draft: Draft, server: Server, on_hosts: OnHosts, sides: tuple[list[Segment], list[Segment]], wholly: bool
) -> None:
    """What a policy changes while machines run comes and leaves with the host's change of addresses; what interfaces
    bring along, or leave behind, is used or released at once. Unless wholly, mappings of IP rewrite are looked at for
    the interfaces that the command touches: those of others are as they were."""
    ref = f"/servers/{server.resource_id}"
    before, after_it = sides
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
        some.update(may_need_others(draft.state, change))
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
    on = subnets_of(draft.state, server.properties.network_interfaces, own)
    return [one for one in on if one.network == logical and one.pools]


def _for_purposes(state: State, ref: str) -> list[tuple[Place, str]]:
    """What a host holds besides its own, each with what it is for."""
    scopes = state.addresses.providers.get(ref.lower(), {})
    return [((scope, a), why) for scope, addresses in scopes.items() for a, why in addresses.items() if why]
