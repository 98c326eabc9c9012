"""PUT and DELETE of virtualGateways (MS-NCNBI 3.1.5.17): the way out of one virtual network.

A virtual gateway has a MAC address and a customer address in its gateway subnet, the same on whichever gateway serves
it, and the near end of each of its connections; all are in the ledger. Connections are settled by network_connections.
"""

from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_gateways
from weft.core.decide.gateway_order import order_of
from weft.core.decide.gateway_pools import GatewayPool
from weft.core.decide.holding import grant_ip, grant_mac, release
from weft.core.decide.network_connections import check_apart, ends_of, settle_connections
from weft.core.decide.public_addresses import PublicAddress, attach
from weft.core.decide.rewriting import check_no_rewriting
from weft.core.index import last_id, lower
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import number_text, see_subnets
from weft.model.errors import Conflict, Invalid, InvalidReference
from weft.model.gateways import Nat, VirtualGatewayProperties
from weft.model.kinds import GATEWAY_POOLS, VIRTUAL_GATEWAYS, VIRTUAL_NETWORKS, resource_ref
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.resources import Ref, Resource
from weft.model.values import mac_digits, pack_ip

VirtualGateway = Resource[VirtualGatewayProperties]
Place = tuple[str, int]


def settle(draft: Draft, sent: VirtualGateway, old: VirtualGateway | None) -> VirtualGatewayProperties:
    """The properties as they will be stored, addresses and gateways included. Raises a Refusal."""
    p, ref = sent.properties, resource_ref(VIRTUAL_GATEWAYS, sent.resource_id)
    pools = _pools(draft.state, p.gateway_pools)
    segments = _segments(draft.state, p.gateway_subnets)
    _check_network(draft.state, ref, segments[0], old)
    holder = Holder("virtualGateway", ref, segments[0].domain, True)
    nat = _nat(draft.state, ref, p.nat)
    connections = settle_connections(draft, ref, p.network_connections, pools, old)
    network = draft.get(VIRTUAL_NETWORKS.name, segments[0].network.rpartition("/")[2])
    assert network is not None
    check_apart(connections, [one.properties.address_prefix for one in network.properties.subnets])
    before = old.properties if old is not None else VirtualGatewayProperties()
    gateways = order_of(
        draft.state, segments[0].network, p.gateway_pools, before.gateways
    )  # what is sent of it is not believed
    if gateways != before.gateways:
        servers = draft.state.index.gateways.servers
        check_gateways(draft.state, segments[0].network, [servers.get(last_id(one), "") for one in gateways])
    return VirtualGatewayProperties(
        gateway_pools=tuple(Ref(resource_ref=resource_ref(GATEWAY_POOLS, pool.resource_id)) for pool in pools),
        gateway_subnets=tuple(Ref(resource_ref=segment.ref) for segment in segments),
        network_connections=connections,
        nat=nat,
        gateways=gateways,
        gateway_mac_address=before.gateway_mac_address or mac_digits(grant_mac(draft, holder)),
        gateway_addresses=_addresses(draft, holder, segments, before),
    )


def remove(draft: Draft, old: VirtualGateway) -> None:
    """All that it held cools down."""
    ref = resource_ref(VIRTUAL_GATEWAYS, old.resource_id)
    mac = MAC_SCOPE, int(old.properties.gateway_mac_address, 16)
    for place in (mac, *_held(draft.state, old.properties), *ends_of(draft.state, old)):
        release(draft, *place, ref, f"{ref} deleted")


def virtual_network_of(p: VirtualGatewayProperties) -> str:
    """Id, lower case, of the virtual network that a stored virtual gateway is of."""
    return last_id(Ref(resource_ref=lower(p.gateway_subnets[0]).partition("/subnets/")[0]))


def _pools(state: State, refs: tuple[Ref, ...]) -> list[GatewayPool]:
    if not refs:
        raise Invalid(
            "GatewayPools is required: name the pools whose gateways may serve it.",
            code="RequiredParamMissing",
            target="GatewayPools",
        )
    found = []
    for ref in refs:
        pool = state.get("gatewayPools", last_id(ref)) if lower(ref) == f"/gatewaypools/{last_id(ref)}" else None
        if pool is None:
            raise InvalidReference(f"There is no gatewayPool {ref.resource_ref}.", target="GatewayPools")
        found.append(pool)
    return found


def _segments(state: State, refs: tuple[Ref, ...]) -> list[Segment]:
    """One subnet of a virtual network, or the two of a dual-stack pair."""
    found: list[Segment] = []
    for ref in refs:
        segment = state.segment(ref.resource_ref)
        if segment is None or not segment.virtual:
            where = see_subnets(state, ref.resource_ref, VIRTUAL_NETWORKS)
            raise InvalidReference(f"{ref.resource_ref} is no virtual subnet{where}.", target="gatewaySubnets")
        if found and (segment.domain != found[0].domain or segment in found):
            raise Invalid(
                f"{segment.ref} and {found[0].ref} are not a dual-stack pair: a gateway has one port in a network.",
                code="InvalidSubnet",
                target="gatewaySubnets",
            )
        found.append(segment)
    if not found:
        raise Invalid(
            "gatewaySubnets is required: name a subnet of the virtual network for the gateway to have an address in.",
            code="RequiredParamMissing",
            target="gatewaySubnets",
        )
    return found


def _check_network(state: State, ref: str, segment: Segment, old: VirtualGateway | None) -> None:
    check_no_rewriting(state, segment.network)
    if old is not None and f"/virtualnetworks/{virtual_network_of(old.properties)}" != segment.network:
        raise Invalid("A virtual gateway stays with its virtual network: create another.", target="gatewaySubnets")
    network = state.find_ref(segment.network)
    for other in state.uses.of(segment.network, VIRTUAL_GATEWAYS.name):
        if other.lower() != ref.lower():
            name = f"/virtualNetworks/{network.resource_id}" if network is not None else segment.network
            raise Conflict(
                f"{other} is the virtual gateway of {name} already: a network has one. Add your connections to that.",
                code="MultipleGatwaysUseSameVnet",
                target="gatewaySubnets",
            )

    for side in network.properties.virtual_network_peerings if network is not None else ():
        if side.properties.use_remote_gateways:
            raise Conflict(
                f"{segment.network} uses the gateway of its peer by peering {side.resource_id}: end useRemoteGateways "
                "there first.",
                code="UseRemoteGatewaysWithOwnGateway",
                target="gatewaySubnets",
            )


def _nat(state: State, ref: str, nat: Nat) -> Nat:
    if not lower(nat.public_ip_address):
        if nat.enabled:
            raise Invalid(
                "nat needs a publicIPAddress to put the network's connections behind.",
                code="PublicIPAddressMissing",
                target="nat.publicIPAddress",
            )
        return Nat()
    assert nat.public_ip_address is not None
    public = attach(state, nat.public_ip_address, ref)
    found: PublicAddress | None = state.find_ref(public.resource_ref)
    if found is not None and found.properties.public_ip_address_version != "IPv4":
        raise Invalid("NAT is for IPv4: IPv6 networks are routed.", target="nat.publicIPAddress")
    return Nat(enabled=nat.enabled, public_ip_address=public)


def _held(state: State, p: VirtualGatewayProperties) -> dict[Place, str]:
    """The customer addresses that it holds, and their text."""
    found: dict[Place, str] = {}
    for ref, text in zip(p.gateway_subnets, p.gateway_addresses, strict=True):
        segment = state.segment(ref.resource_ref)
        assert segment is not None
        found[segment.scope, int.from_bytes(pack_ip(text))] = text
    return found


def _addresses(
    draft: Draft, holder: Holder, segments: list[Segment], before: VirtualGatewayProperties
) -> tuple[str, ...]:
    """One in each gateway subnet, kept while it stays named."""
    held = _held(draft.state, before)
    texts = []
    for segment in segments:
        kept = next((p for p in held if p[0] == segment.scope and segment.first <= p[1] <= segment.last), None)
        if kept is not None:
            texts.append(held.pop(kept))
        else:
            texts.append(number_text(segment.version, grant_ip(draft, segment, holder)))
    for place in held:
        release(draft, *place, holder.ref, f"no gateway subnet of {holder.ref} has it any more")
    return tuple(texts)
