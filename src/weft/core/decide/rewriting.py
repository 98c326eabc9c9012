"""Where IP rewrite cannot work, and why. Called by core.decide.virtual_networks and virtual_gateways.

A rewritten packet is an ordinary one of the provider network, sent to the MAC address of the machine that it is for. So
all hosts must be on one provider subnet, each customer address needs a provider address of its family, and there is no
tunnel in which anything else could travel: no broadcast, no other network, no gateway.
"""

import ipaddress

from weft.core.index import lower
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.errors import InUse, Invalid
from weft.model.kinds import VIRTUAL_GATEWAYS
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties

CODE = "RewriteNotPossible"


def check_rewriting(
    state: State, ref: str, p: VirtualNetworkProperties, old: Resource[VirtualNetworkProperties] | None
) -> None:
    """Raises Invalid, InUse."""
    was = old is not None and is_rewriting(old.properties)
    if old is not None and was != is_rewriting(p) and any(True for _ in state.interfaces_in(ref.lower())):
        raise InUse(
            f"{ref} cannot change to or from Rewrite while interfaces are in it: each has a provider address of its "
            "own with Rewrite, and shares its host's without.",
            code="VnetInUse",
            target="networkVirtualizationProtocol",
        )
    if is_rewriting(p):
        for why in (_carrier(state, p), _neighbours(state, ref, p)):
            if why:
                raise Invalid(f"{ref} cannot rewrite: {why}", code=CODE, target="networkVirtualizationProtocol")


def check_no_rewriting(state: State, network: str) -> None:
    """A virtual gateway of a network that rewrites. Raises Invalid."""
    found = state.find_ref(network)
    if found is not None and is_rewriting(found.properties):
        raise Invalid(
            f"{network} rewrites addresses instead of tunnelling: no gateway can serve it.",
            code=CODE,
            target="gatewaySubnets",
        )


def _carrier(state: State, p: VirtualNetworkProperties) -> str:
    logical = lower(p.logical_network)
    every = [one for one in state.addresses.provider_segments.values() if one.network == logical]
    for version in sorted({ipaddress.ip_network(one.properties.address_prefix).version for one in p.subnets}):
        own = [one for one in every if one.version == version]
        if not own:
            return f"it has IPv{version} subnets, and {logical} has no IPv{version} provider subnet to stand for them."
        if len(own) > 1:
            return (
                f"hosts of {logical} are on {len(own)} provider subnets; a rewritten packet is sent to the machine's "
                "own MAC address, so all must be on one."
            )
        if not own[0].pools:
            return f"{own[0].ref} has no ipPools to take a provider address for each customer address from."
        other = next((one for one in every if one.vlan != own[0].vlan), None)
        if version == 6 and other is not None:
            return (
                f"{own[0].ref} is on VLAN {own[0].vlan} and {other.ref} on VLAN {other.vlan}: hosts with an address "
                "in that one alone send all that they rewrite by its VLAN. Give both the same."
            )
    return ""


def _neighbours(state: State, ref: str, p: VirtualNetworkProperties) -> str:
    if p.virtual_network_peerings:
        return "it has peerings, and packets to another network have no provider address there."
    if any(True for _ in state.uses.of(ref.lower(), VIRTUAL_GATEWAYS.name)):
        return "it has a virtual gateway, which only tunnels reach."
    guests = [one.resource_id for one in p.subnets if one.properties.guest_specified_addresses.enabled]
    if guests:
        return f"guests of subnet {guests[0]} may bring addresses, for which no provider address stands."
    return ""
