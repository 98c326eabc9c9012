"""PUT and DELETE of servers (MS-NCNBI 3.1.5.15) and their provider addresses.

A server has one provider address per provider network that its adapters name, or in the only one there is; asked for or
granted, and kept for life, unless its policy is another.
"""

import msgspec

from weft.core.decide.adapters import follow_adapter_macs
from weft.core.decide.address_plans import own_range, range_for, wanted_range
from weft.core.decide.clusters import leave
from weft.core.decide.draft import Draft
from weft.core.decide.holding import hold_ip, release
from weft.core.decide.machines import put_machine
from weft.core.decide.own_addresses import Adapter, Held, Server, grant_missing, held_by, settled_policy
from weft.core.decide.parsing import ip_of
from weft.core.decide.readdressing import changed, is_used, without
from weft.core.decide.seen import forget_ports
from weft.core.decide.stranger_rules import adoption, blank_checkpoints, twin_policy
from weft.core.pools import Segment
from weft.core.provider_places import named_by
from weft.core.state import State
from weft.core.words import see_subnets
from weft.model.errors import AddressInUse, InUse, Invalid, InvalidReference
from weft.model.fabric import ProviderAddressChange, ServerProperties
from weft.model.kinds import LOGICAL_NETWORKS
from weft.model.leases import Holder
from weft.model.resources import Ref


def settle(draft: Draft, sent: Server, old: Server | None) -> ServerProperties:
    """The properties as they will be stored, provider addresses included. Raises a Refusal."""
    ref = f"/servers/{sent.resource_id}"
    adapters = tuple(_adapter(draft.state, adapter) for adapter in sent.properties.network_interfaces)
    follow_adapter_macs(draft, ref, old.properties.network_interfaces if old is not None else (), adapters)
    held = held_by(draft.state, ref, old)
    asked = _asked(draft.state, sent.properties.provider_addresses, adapters, held)
    change = old.properties.provider_address_change if old is not None else None
    if asked and set(asked) != set(held):
        change = _replace(draft, ref, change, (held, asked))
        held = asked
    policy = settled_policy(sent.properties.provider_address_policy, sent.properties.provider_address_count, "")
    own = msgspec.structs.replace(sent.properties, network_interfaces=adapters, provider_address_policy=policy)
    granted = grant_missing(draft, ref, own, held)
    if granted and held and is_used(draft.state, sent.resource_id):
        change = changed(draft, ref, change, granted, ())
    texts = (*held.values(), *granted)
    before = old.properties if old is not None else None
    properties = range_for(draft, own, before)
    if old is not None and old.properties.mac_range is not None and old.properties.mac_range != properties.mac_range:
        draft.forget_cursors((f"{ref.lower()}/macrange",))
    return msgspec.structs.replace(
        properties,
        provider_addresses=texts,
        provider_address_change=change,
        primary_provider_addresses=before.primary_provider_addresses if before is not None else (),
        dynamic_mac_range=own_range(properties.dynamic_mac_range),
        wanted_dynamic_mac_range=wanted_range(draft.state, ref, properties, before),
        twin_policy=twin_policy(properties.twin_policy),
        adoption=adoption(draft.state, properties.adoption),
        blank_checkpoints=blank_checkpoints(properties.blank_checkpoints),
        provider_network=before.provider_network if before is not None else None,
    )


def remove(draft: Draft, old: Server) -> None:
    """Refuse while machines are bound to it; its provider addresses cool down, its range goes back to its plan."""
    ref = f"/servers/{old.resource_id}"
    for machine in draft.state.machines_on(old.resource_id):
        raise InUse(
            f"/weft/virtualMachines/{machine.resource_id} is bound to {ref}: migrate or delete it first. All at once: "
            f"weft host evacuate {old.resource_id}; if the host will not come back: weft host remove "
            f"{old.resource_id} --force.",
            code="InUseServerCannotBeDeleted",
            target=ref,
        )
    refuse_gateway(draft, ref)
    give_up(draft, old)


def refuse_gateway(draft: Draft, ref: str) -> None:
    """A gateway goes first, whatever becomes of its server: then others of its pool carry its networks."""
    for gateway in draft.state.uses.of(ref, "gateways"):
        raise InUse(
            f"{ref} is {gateway}: delete that first (weft delete {gateway.lstrip('/')}), and the other gateways of its "
            "pool take its networks over.",
            code="InUseServerCannotBeDeleted",
            target=ref,
        )


def give_up(draft: Draft, old: Server) -> None:
    """All that a server holds: its provider addresses cool down, its adapters' and its ports' are forgotten; copies of
    templates go nowhere of themselves."""
    ref = f"/servers/{old.resource_id}"
    for template in draft.state.templates_on(old.resource_id):
        put_machine(draft, template, server=None)
    for scope, addresses in draft.state.addresses.providers.get(ref.lower(), {}).items():
        for address in addresses:
            release(draft, scope, address, ref, f"{ref} deleted")
    follow_adapter_macs(draft, ref, old.properties.network_interfaces, ())
    forget_ports(draft, old.resource_id)
    draft.forget_cursors((f"{ref.lower()}/macrange",))
    leave(draft, old.resource_id)


def _adapter(state: State, adapter: Adapter) -> Adapter:
    """With its logicalSubnets in canonical spelling. Raises InvalidReference."""
    refs = []
    for ref in adapter.properties.logical_subnets:
        segment = state.segment(ref.resource_ref)
        if segment is None or segment.virtual:
            raise InvalidReference(
                f"Adapter {adapter.resource_id}: {ref.resource_ref or 'an empty reference'} is no logical subnet"
                f"{see_subnets(state, ref.resource_ref, LOGICAL_NETWORKS)}.",
                target="logicalSubnets",
            )
        refs.append(Ref(resource_ref=segment.ref))
    if not refs:
        return adapter
    properties = msgspec.structs.replace(adapter.properties, logical_subnets=tuple(refs))
    return msgspec.structs.replace(adapter, properties=properties)


def _asked(state: State, texts: tuple[str, ...], adapters: tuple[Adapter, ...], held: Held) -> Held:
    """Where the addresses asked for lie: in one held already, in a subnet named, in any provider subnet."""
    every = list(state.addresses.provider_segments.values())
    segments = list({segment.key: segment for segment in (*named_by(state, adapters), *every)}.values())
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


def _replace(
    draft: Draft, ref: str, change: ProviderAddressChange | None, sides: tuple[Held, Held]
) -> ProviderAddressChange | None:
    """Take what was asked for; what was not goes at once if nobody uses it, else once others know its successor."""
    held, asked = sides
    gone = {held[place] for place in held if place not in asked}
    new = {asked[place] for place in asked if place not in held}
    unused = set(change.coming) if change is not None else set()
    if held and is_used(draft.state, ref.rpartition("/")[2]):
        after = changed(draft, ref, change, new, gone)
        gone &= unused
    else:
        after = without(change, gone)
    for scope, address in held:
        if held[scope, address] in gone:
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
            _check_purpose(draft.state, ref, (scope, address), asked)
            hold_ip(draft, scope, address, Holder("server", ref))
    return after


def _check_purpose(state: State, ref: str, place: tuple[str, int], asked: Held) -> None:
    purpose = state.addresses.providers.get(ref.lower(), {}).get(place[0], {}).get(place[1])
    if purpose:
        raise AddressInUse(
            f"{asked[place]} is held by {ref} for {purpose}: ask for another.",
            code="PrivateIPAddressInUse",
            target="providerAddresses",
        )
