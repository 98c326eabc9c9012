"""PUT and DELETE of servers (MS-NCNBI 3.1.5.15) and their provider addresses.

A server has one provider address per provider network that its adapters name, or in the only one there is; asked for or
granted, and kept for life.
"""

from collections.abc import Iterable

import msgspec

from weft.core.decide.adapters import follow_adapter_macs
from weft.core.decide.address_plans import own_range, range_for, wanted_range
from weft.core.decide.clusters import leave
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.decide.holding import hold_ip, release
from weft.core.decide.machines import put_machine
from weft.core.decide.parsing import ip_of
from weft.core.decide.seen import forget_ports
from weft.core.decide.stranger_rules import adoption, blank_checkpoints, twin_policy
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import ip_text, why_full
from weft.model.errors import InUse, Invalid, InvalidReference, PoolIsFull
from weft.model.fabric import ServerInterfaceProperties, ServerProperties
from weft.model.leases import ASSIGNED, Holder, Lease
from weft.model.resources import Ref, Resource

Server = Resource[ServerProperties]
Adapter = Resource[ServerInterfaceProperties]
Held = dict[tuple[str, int], str]
"""(Scope, address) of provider addresses, and their text."""


def settle(draft: Draft, sent: Server, old: Server | None) -> ServerProperties:
    """The properties as they will be stored, provider addresses included. Raises a Refusal."""
    ref = f"/servers/{sent.resource_id}"
    adapters = tuple(_adapter(draft.state, adapter) for adapter in sent.properties.network_interfaces)
    follow_adapter_macs(draft, ref, old.properties.network_interfaces if old is not None else (), adapters)
    held = _held(draft.state, ref, old)
    asked = _asked(draft.state, sent.properties.provider_addresses, adapters, held)
    if asked and set(asked) != set(held):
        _replace(draft, ref, held, asked)
        held = asked
    texts = (*held.values(), *_grant_missing(draft, ref, adapters, held))
    before = old.properties if old is not None else None
    properties = range_for(draft, sent.properties, before)
    if old is not None and old.properties.mac_range is not None and old.properties.mac_range != properties.mac_range:
        draft.forget_cursors((f"{ref.lower()}/macrange",))
    return msgspec.structs.replace(
        properties,
        network_interfaces=adapters,
        provider_addresses=texts,
        dynamic_mac_range=own_range(properties.dynamic_mac_range),
        wanted_dynamic_mac_range=wanted_range(draft.state, ref, properties, before),
        twin_policy=twin_policy(properties.twin_policy),
        adoption=adoption(draft.state, properties.adoption),
        blank_checkpoints=blank_checkpoints(properties.blank_checkpoints),
    )


def remove(draft: Draft, old: Server) -> None:
    """Refuse while machines are bound to it; its provider addresses cool down, its range goes back to its plan."""
    ref = f"/servers/{old.resource_id}"
    for machine in draft.state.machines_on(old.resource_id):
        raise InUse(
            f"/weft/virtualMachines/{machine.resource_id} is bound to {ref}: migrate or delete it first.",
            code="InUseServerCannotBeDeleted",
            target=ref,
        )
    for gateway in draft.state.uses.of(ref, "gateways"):
        raise InUse(f"{ref} is {gateway}: delete that first.", code="InUseServerCannotBeDeleted", target=ref)
    give_up(draft, old)


def give_up(draft: Draft, old: Server) -> None:
    """All that a server holds: its provider addresses cool down, its adapters' and its ports' are forgotten; copies of
    templates go nowhere of themselves."""
    ref = f"/servers/{old.resource_id}"
    for template in draft.state.templates_on(old.resource_id):
        put_machine(draft, template, server=None)
    for scope, address in _held(draft.state, ref, old):
        release(draft, scope, address, ref, f"{ref} deleted")
    follow_adapter_macs(draft, ref, old.properties.network_interfaces, ())
    forget_ports(draft, old.resource_id)
    draft.forget_cursors((f"{ref.lower()}/macrange",))
    leave(draft, old.resource_id)


def ensure_provider_addresses(draft: Draft, server: Server) -> None:
    """Grant what a server still lacks, now that a machine is bound to it. Raises PoolIsFull (PAIpAddressExhausted)."""
    ref = f"/servers/{server.resource_id}"
    held = _held(draft.state, ref, server)
    granted = _grant_missing(draft, ref, server.properties.network_interfaces, held)
    if granted:
        texts = (*server.properties.provider_addresses, *granted)
        properties = msgspec.structs.replace(server.properties, provider_addresses=texts)
        after = msgspec.structs.replace(server, etag=new_etag(draft.new_id), properties=properties)
        draft.put("servers", server.resource_id.lower(), server, after)


def _adapter(state: State, adapter: Adapter) -> Adapter:
    """With its logicalSubnets in canonical spelling. Raises InvalidReference."""
    refs = []
    for ref in adapter.properties.logical_subnets:
        segment = state.segment(ref.resource_ref)
        if segment is None or segment.virtual:
            raise InvalidReference(
                f"Adapter {adapter.resource_id}: {ref.resource_ref or 'an empty reference'} is no logical subnet.",
                target="logicalSubnets",
            )
        refs.append(Ref(resource_ref=segment.ref))
    if not refs:
        return adapter
    properties = msgspec.structs.replace(adapter.properties, logical_subnets=tuple(refs))
    return msgspec.structs.replace(adapter, properties=properties)


def _held(state: State, ref: str, server: Server | None) -> Held:
    """In the order in which the server lists them."""
    scopes = state.addresses.providers.get(ref.lower(), {})
    held = {(scope, a): ip_text(int(scope[2]), a) for scope, addresses in scopes.items() for a in addresses}
    listed = server.properties.provider_addresses if server is not None else ()
    return dict(sorted(held.items(), key=lambda one: listed.index(one[1])))


def _named(state: State, adapters: Iterable[Adapter]) -> list[Segment]:
    """The provider subnets that adapters are on; without any, the only one there is; else none."""
    keys = [ref.resource_ref.lower() for adapter in adapters for ref in adapter.properties.logical_subnets]
    segments = state.addresses.provider_segments
    named = [segments[key] for key in dict.fromkeys(keys) if key in segments]
    return named or (list(segments.values()) if len(segments) == 1 else [])


def _asked(state: State, texts: tuple[str, ...], adapters: tuple[Adapter, ...], held: Held) -> Held:
    """Where the addresses asked for lie: in one held already, in a subnet named, in any provider subnet."""
    every = list(state.addresses.provider_segments.values())
    segments = list({segment.key: segment for segment in (*_named(state, adapters), *every)}.values())
    found: Held = {}
    for text in texts:
        address = ip_of(text.partition("/")[0], "providerAddresses", "InvalidPrivateIPAddressFormat")
        number = int(address)
        kept = [key for key in held if key[1] == number and int(key[0][2]) == address.version]
        fitting = [one.scope for one in segments if one.version == address.version and _has(state, one, number)]
        if not kept and not fitting:
            raise Invalid(
                f"{address} lies in no ipPool of a provider subnet: add it to one, or ask for another.",
                code="PrivateIPAddressNotInSubnet",
                target="providerAddresses",
            )
        found[kept[0] if kept else (fitting[0], number)] = str(address)
    return found


def _has(state: State, segment: Segment, address: int) -> bool:
    pool = state.addresses.pool_of(segment.scope, address)
    return pool is not None and pool.spec.key in segment.pools


def _replace(draft: Draft, ref: str, held: Held, asked: Held) -> None:
    for machine in draft.state.machines_on(ref.rpartition("/")[2]) if held else ():
        raise InUse(
            f"The provider addresses of {ref} cannot change while /weft/virtualMachines/{machine.resource_id} is bound "
            "to it: migrate it first.",
            target="providerAddresses",
        )
    for scope, address in held:
        if (scope, address) not in asked:
            release(draft, scope, address, ref, "another provider address was asked for")
    for scope, address in asked:
        if (scope, address) not in held:
            pool = draft.state.addresses.pool_of(scope, address)
            why = pool.why_excluded(address) if pool is not None else ""
            if why:
                raise Invalid(
                    f"{asked[scope, address]} is reserved: {why}.",
                    code="PrivateIPAddressInReservedRange",
                    target="providerAddresses",
                )
            hold_ip(draft, scope, address, Holder("server", ref))


def _grant_missing(draft: Draft, ref: str, adapters: Iterable[Adapter], held: Held) -> list[str]:
    """One address in each provider network named where the server has none. Subnets without ipPools grant nothing."""
    by_network: dict[str, list[Segment]] = {}
    for segment in _named(draft.state, adapters):
        if segment.pools:
            by_network.setdefault(segment.network, []).append(segment)
    texts = []
    for network, segments in by_network.items():
        if any(scope[3:] == network for scope, _ in held):
            continue
        pools = [draft.state.addresses.pools[key] for segment in segments for key in segment.pools]
        for pool in pools:
            found = draft.grant(pool) if not pool.spec.drain else None
            if found is not None:
                scope = pool.spec.scope
                lease = Lease(scope, found, ASSIGNED, (Holder("server", ref, "", True),))
                draft.turn(None, lease, "granted")
                texts.append(ip_text(int(scope[2]), found))
                break
        else:
            raise PoolIsFull(
                f"{ref} needs a provider address. {why_full(draft.state, pools, draft.now)}",
                code="PAIpAddressExhausted",
            )
    return texts
