"""The virtualNetworkPeerings of a virtual network (MS-NCNBI 3.1.5.18.3): each network writes its own side.

Called by core.decide.virtual_networks. The side that comes second notes in the first that they have met, and what
address space it found: that cannot change while a network has peerings.
"""

import ipaddress
from collections.abc import Sequence

import msgspec

from weft.core.decide.draft import Draft
from weft.core.index import last_id, lower
from weft.core.peerings import Peering, VirtualNetwork, peering_to, remote_of
from weft.core.state import State
from weft.model.errors import Conflict, InUse, Invalid, InvalidReference
from weft.model.kinds import VIRTUAL_GATEWAYS, VIRTUAL_NETWORKS
from weft.model.resources import Ref
from weft.model.tenancy import VirtualNetworkPeeringProperties
from weft.model.values import IpPrefix

_NETWORKS = "/virtualnetworks/"


def settle_peerings(
    draft: Draft, sent: VirtualNetwork, old: VirtualNetwork | None, space: tuple[str, ...]
) -> tuple[Peering, ...]:
    """The peerings as they will be stored; `space` is the network's own, canonical. Raises a Refusal."""
    peerings = sent.properties.virtual_network_peerings
    if old is not None and peerings and old.properties.virtual_network_peerings and _changes(old, space):
        raise Conflict(
            f"The address space of /virtualNetworks/{old.resource_id} is fixed while it has peerings, since others "
            "route by it: delete them first.",
            code="VnetAddressSpaceCannotChangeDueToPeerings",
            target="addressPrefixes",
        )
    before = (
        {one.resource_id.lower(): one for one in old.properties.virtual_network_peerings} if old is not None else {}
    )
    settled: list[Peering] = []
    for peering in peerings:
        kept = before.get(peering.resource_id.lower())
        settled.append(_settled(draft, sent, peering, kept))
    _check_each_other(settled)
    _check_spaces(f"/virtualNetworks/{sent.resource_id}", space, settled)
    _check_peers_of_peers(draft.state, sent.resource_id, space, settled)
    return tuple(settled)


def note_meeting(draft: Draft, network: VirtualNetwork) -> None:
    """Tell the other sides of a network's peerings, as it will be stored, that they have met."""
    for peering in network.properties.virtual_network_peerings:
        remote: VirtualNetwork | None = draft.get("virtualNetworks", last_id(peering.properties.remote_virtual_network))
        back = peering_to(remote, network.resource_id) if remote is not None else None
        if remote is None or back is None or back.properties.remote_instance_id != network.instance_id:
            continue
        met = msgspec.structs.replace(
            back.properties, matched=True, remote_address_space=network.properties.address_space
        )
        if met != back.properties:
            _store(draft, remote, back, msgspec.structs.replace(back, properties=met))


def _store(draft: Draft, network: VirtualNetwork, old: Peering, new: Peering) -> None:
    sides = tuple(new if one is old else one for one in network.properties.virtual_network_peerings)
    properties = msgspec.structs.replace(network.properties, virtual_network_peerings=sides)
    after = msgspec.structs.replace(network, properties=properties)
    draft.put(VIRTUAL_NETWORKS.name, network.resource_id.lower(), network, after)


def _settled(draft: Draft, network: VirtualNetwork, peering: Peering, kept: Peering | None) -> Peering:
    p = peering.properties
    name = peering.resource_id
    asked = lower(p.remote_virtual_network)
    if not asked:
        raise Invalid(
            f"Peering {name} names no remoteVirtualNetwork.",
            code="RemoteVirtualNetworkNotSpecified",
            target="remoteVirtualNetwork",
        )
    if kept is not None and lower(kept.properties.remote_virtual_network) != asked:
        raise Invalid(
            f"The remoteVirtualNetwork of peering {name} is fixed: delete the peering and create another.",
            code="ChangingRemoteVirtualNetworkNotAllowed",
            target="remoteVirtualNetwork",
        )
    if asked == f"{_NETWORKS}{network.resource_id}".lower():
        raise Invalid(
            f"Peering {name} leads back to its own network.",
            code="PeeringRemoteVnetIsSameAsParentVnet",
            target="remoteVirtualNetwork",
        )
    remote = _remote(draft.state, name, asked, kept)
    if remote is None:
        assert kept is not None
        return _unchanged(peering, kept)
    back = _back(network, name, remote)
    _check_gateways(name, p, back)
    own = draft.state.uses.of(f"/virtualNetworks/{network.resource_id}", VIRTUAL_GATEWAYS.name)
    if p.use_remote_gateways and own:
        raise Conflict(
            f"Peering {name} has useRemoteGateways, but the network has a gateway of its own, {own[0]}: a network is "
            "left by one.",
            code="UseRemoteGatewaysWithOwnGateway",
            target="useRemoteGateways",
        )
    settled = VirtualNetworkPeeringProperties(
        remote_virtual_network=Ref(resource_ref=f"/virtualNetworks/{remote.resource_id}"),
        allow_virtual_network_access=p.allow_virtual_network_access,
        allow_forwarded_traffic=p.allow_forwarded_traffic,
        allow_gateway_transit=p.allow_gateway_transit,
        use_remote_gateways=p.use_remote_gateways,
        remote_address_space=remote.properties.address_space,
        remote_instance_id=remote.instance_id,
        matched=back is not None or (kept is not None and kept.properties.matched),
    )
    return msgspec.structs.replace(peering, properties=settled)


def _remote(state: State, name: str, asked: str, kept: Peering | None) -> VirtualNetwork | None:
    """The other network; None where it is gone, which only leaves a peering that was there before."""
    if kept is not None:
        return remote_of(state, kept)
    found = state.get("virtualNetworks", asked[len(_NETWORKS) :]) if asked.startswith(_NETWORKS) else None
    if found is None:
        raise InvalidReference(
            f"Peering {name}: there is no virtual network {asked}. Create it first, or send both in one batch.",
            target="remoteVirtualNetwork",
        )
    return found


def _unchanged(peering: Peering, kept: Peering) -> Peering:
    """A peering whose other network is gone stays as it was. Raises Conflict if it was to change."""
    a, b = peering.properties, kept.properties
    switches = (
        "allow_virtual_network_access",
        "allow_forwarded_traffic",
        "allow_gateway_transit",
        "use_remote_gateways",
    )
    if any(getattr(a, one) != getattr(b, one) for one in switches):
        raise Conflict(
            f"Peering {peering.resource_id} is Disconnected, since its remoteVirtualNetwork was deleted: delete it.",
            code="CannotUpdateDisconnectedPeeringWithNullRemoteVnet",
            target="remoteVirtualNetwork",
        )
    return msgspec.structs.replace(peering, properties=b)


def _back(network: VirtualNetwork, name: str, remote: VirtualNetwork) -> Peering | None:
    """The other side, if there is one. Raises Conflict if it was made for a network of this name that is gone."""
    back = peering_to(remote, network.resource_id)
    if back is not None and back.properties.remote_instance_id != network.instance_id:
        raise Conflict(
            f"/virtualNetworks/{remote.resource_id}/virtualNetworkPeerings/{back.resource_id} was made for another "
            f"network named {network.resource_id}, which is gone: delete it before you put peering {name}.",
            code="RemotePeeringIsStaleBecauseVnetWasRecreated",
            target="remoteVirtualNetwork",
        )
    return back


def _check_gateways(name: str, p: VirtualNetworkPeeringProperties, back: Peering | None) -> None:
    if p.use_remote_gateways and p.allow_gateway_transit:
        raise Invalid(
            f"Peering {name} has both useRemoteGateways and allowGatewayTransit: one of them at most.",
            code="UseRemoteAndAllowTransitCannotBeTrue",
            target="useRemoteGateways",
        )
    if p.use_remote_gateways and back is not None and not back.properties.allow_gateway_transit:
        raise Conflict(
            f"Peering {name} has useRemoteGateways, but the other side has allowGatewayTransit false: set it there.",
            code="RemotePeeringDoesNotAllowGatewayTransit",
            target="useRemoteGateways",
        )
    if back is not None and back.properties.use_remote_gateways and not p.allow_gateway_transit:
        raise InUse(
            f"Peering {name} keeps allowGatewayTransit while the other side has useRemoteGateways: end that first.",
            target="allowGatewayTransit",
        )


def _check_each_other(peerings: Sequence[Peering]) -> None:
    seen: dict[str, str] = {}
    using = ""
    for one in peerings:
        remote = lower(one.properties.remote_virtual_network)
        other = seen.setdefault(remote, one.resource_id)
        if other is not one.resource_id:
            raise Invalid(
                f"Peerings {other} and {one.resource_id} are both to {remote}: keep one.",
                code="AnotherPeeringAlreadyReferencesRemoteVnet",
                target="remoteVirtualNetwork",
            )
        if one.properties.use_remote_gateways and using:
            raise Invalid(
                f"Peerings {using} and {one.resource_id} both have useRemoteGateways: one of them at most.",
                code="AnotherPeeringAlreadyUsesRemoteGateways",
                target="useRemoteGateways",
            )
        using = one.resource_id if one.properties.use_remote_gateways else using


def _check_spaces(ref: str, space: tuple[str, ...], peerings: Sequence[Peering]) -> None:
    """A network and all its peers have addresses of their own each, since a packet has one destination."""
    taken = [(ipaddress.ip_network(text), ref) for text in space]
    for peering in peerings:
        remote = peering.properties.remote_virtual_network
        where = remote.resource_ref if remote is not None else ""
        theirs = [ipaddress.ip_network(text) for text in peering.properties.remote_address_space.address_prefixes]
        for prefix in theirs:
            _refuse_overlap(peering.resource_id, prefix, where, taken, ref)
        taken += [(prefix, where) for prefix in theirs]


def _check_peers_of_peers(state: State, own_id: str, space: tuple[str, ...], peerings: Sequence[Peering]) -> None:
    """The other network has peers too, which it must tell from this one."""
    prefixes = [ipaddress.ip_network(text) for text in space]
    for peering in peerings:
        remote = remote_of(state, peering)
        for other in remote.properties.virtual_network_peerings if remote is not None else ():
            if last_id(other.properties.remote_virtual_network) == own_id.lower():
                continue
            taken = [
                (ipaddress.ip_network(text), lower(other.properties.remote_virtual_network))
                for text in other.properties.remote_address_space.address_prefixes
            ]
            for prefix in prefixes:
                _refuse_overlap(peering.resource_id, prefix, f"/virtualNetworks/{own_id}", taken, "")


def _refuse_overlap(name: str, prefix: IpPrefix, where: str, taken: list[tuple[IpPrefix, str]], own: str) -> None:
    for other, holder in taken:
        if other.version == prefix.version and other.overlaps(prefix):
            message = (
                f"Peering {name}: {prefix} of {where} overlaps {other} of {holder}. Peers share no addresses: give one "
                "of the networks another addressSpace and subnets, or "
            )
            if holder == own:
                message += "leave the peering out."
                raise Conflict(message, code="VnetAddressSpacesOverlap", target="remoteVirtualNetwork")
            message += "keep one of the two peerings."
            raise Conflict(message, code="VnetAddressSpaceOverlapsWithAlreadyPeeredVnet", target="remoteVirtualNetwork")


def _changes(old: VirtualNetwork, space: tuple[str, ...]) -> bool:
    return set(space) != set(old.properties.address_space.address_prefixes)
