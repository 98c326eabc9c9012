"""PUT and DELETE of gatewayPools (MS-NCNBI 3.1.5.3): gateways that can stand in for each other."""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.gateway_order import reorder
from weft.core.decide.public_addresses import attach, refuse_doubles
from weft.core.index import lower
from weft.core.state import State
from weft.core.words import see_subnets
from weft.model.errors import InUse, Invalid, InvalidReference
from weft.model.gateways import GatewayPoolIpConfiguration, GatewayPoolProperties
from weft.model.kinds import GATEWAY_POOLS, LOGICAL_NETWORKS, resource_ref
from weft.model.resources import Ref, Resource

GatewayPool = Resource[GatewayPoolProperties]

ALL = "All"
_TYPES = {"s2sgre": "s2sGre", "forwarding": "forwarding", "all": ALL}
SERVES = {"s2sGre": ("GRE",), "forwarding": ("L3",), ALL: ("GRE", "L3")}
"""Types of connections by the type of the pool; NAT needs no connection, so every pool does it."""


def settle(draft: Draft, sent: GatewayPool, old: GatewayPool | None) -> GatewayPoolProperties:
    """The properties as they will be stored. Raises a Refusal."""
    p = sent.properties
    ref = resource_ref(GATEWAY_POOLS, sent.resource_id)
    kind = _type(p.type)
    for name, value in (
        ("redundantGatewayCount", p.redundant_gateway_count),
        ("gatewayCapacityKiloBitsPerSecond", p.gateway_capacity_kilo_bits_per_second),
    ):
        if value < 0:
            raise Invalid(f"{name} {value} is below 0.", target=name)
    configuration = GatewayPoolIpConfiguration(
        gre_vip_subnets=tuple(_vip_subnet(draft.state, one) for one in p.ip_configuration.gre_vip_subnets),
        public_ip_addresses=tuple(attach(draft.state, one, ref) for one in p.ip_configuration.public_ip_addresses),
    )
    refuse_doubles(list(configuration.public_ip_addresses))
    if "GRE" in SERVES[kind] and not configuration.gre_vip_subnets:
        raise Invalid(
            f"A pool of type {kind} needs ipConfiguration.greVipSubnets: logical subnets whose ipPools give the outer "
            "addresses of GRE tunnels.",
            code="RequiredParamMissing",
            target="greVipSubnets",
        )
    settled = msgspec.structs.replace(p, type=kind, ip_configuration=configuration)
    if old is not None:
        _check_old(draft.state, ref, old.properties, settled)
        if settled.redundant_gateway_count != old.properties.redundant_gateway_count:
            reorder(draft, (ref,), standby={ref.lower(): settled.redundant_gateway_count})
    return settled


def remove(draft: Draft, old: GatewayPool) -> None:
    """Refuse while a gateway is in it or a virtual gateway draws on it."""
    ref = resource_ref(GATEWAY_POOLS, old.resource_id)
    for user in draft.state.uses.of(ref):
        raise InUse(f"{ref} is in use by {user}: delete or change that first.", target=ref)


def _type(text: str) -> str:
    if text.lower() == "s2sipsec":
        raise Invalid(
            "type s2sIPsec is not served: gateways have no IPsec (their kernels carry no ESP). Use s2sGre, forwarding "
            "or All.",
            code="OperationNotSupported",
            target="type",
        )
    found = _TYPES.get(text.lower())
    if found is None:
        raise Invalid(f"type is required: s2sGre, forwarding or All, not '{text}'.", target="type")
    return found


def _vip_subnet(state: State, ref: Ref) -> Ref:
    segment = state.segment(ref.resource_ref)
    if segment is None or segment.virtual:
        where = see_subnets(state, ref.resource_ref, LOGICAL_NETWORKS)
        raise InvalidReference(f"{ref.resource_ref} is no logical subnet{where}.", target="greVipSubnets")
    if segment.version != 4:
        raise Invalid(f"{segment.ref} has no IPv4 prefix: the ends of GRE tunnels are IPv4.", target="greVipSubnets")
    if segment.virtualized:
        raise Invalid(
            f"{segment.ref} is of the provider network, in which gateways have addresses of their own: near ends of "
            "tunnels need a subnet beside it.",
            target="greVipSubnets",
        )
    return Ref(resource_ref=segment.ref)


def _check_old(state: State, ref: str, old: GatewayPoolProperties, new: GatewayPoolProperties) -> None:
    """What virtual gateways draw on stays."""
    users = state.uses.of(ref, "virtualGateways")
    lost = {lower(one) for one in old.ip_configuration.gre_vip_subnets}
    lost -= {lower(one) for one in new.ip_configuration.gre_vip_subnets}
    if users and (not set(SERVES[old.type]) <= set(SERVES[new.type]) or lost):
        raise InUse(f"{users[0]} draws on {ref}: its type cannot serve less, and its greVipSubnets stay.", target=ref)
