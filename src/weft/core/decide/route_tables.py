"""PUT and DELETE of routeTables with their routes (MS-NCNBI 3.1.5.10)."""

import ipaddress

import msgspec

from weft.core.decide.attaching import check_next_hops
from weft.core.decide.draft import Draft
from weft.core.decide.parsing import ip_of
from weft.model.errors import InUse, Invalid
from weft.model.resources import Resource
from weft.model.tenancy import RouteProperties, RouteTableProperties
from weft.model.values import IpPrefix

RouteTable = Resource[RouteTableProperties]

APPLIANCE = "VirtualAppliance"
_HOPS = {one.lower(): one for one in (APPLIANCE, "VnetLocal", "VirtualNetworkGateway", "Internet", "None")}
_DEFAULTS = ("0.0.0.0/0", "::/0")


def settle(draft: Draft, sent: RouteTable, old: RouteTable | None) -> RouteTableProperties:
    """The properties as they will be stored. Raises a Refusal."""
    ref = f"/routeTables/{sent.resource_id}"
    routes = tuple(
        msgspec.structs.replace(one, properties=_route(one.resource_id, one.properties))
        for one in sent.properties.routes
    )
    seen: dict[str, str] = {}
    for route in routes:
        other = seen.setdefault(route.properties.address_prefix, route.resource_id)
        if other is not route.resource_id:
            raise Invalid(
                f"Routes {other} and {route.resource_id} are both for {route.properties.address_prefix}: keep one.",
                code="RouteConflict",
                target="addressPrefix",
            )
    settled = RouteTableProperties(routes=routes)
    for network, subnet in draft.state.subnets_with_table(ref) if old is not None else ():
        check_next_hops(network.resource_id, network.properties.subnets, subnet.resource_id, settled)
    return settled


def remove(draft: Draft, old: RouteTable) -> None:
    """Refuse while a subnet names it."""
    ref = f"/routeTables/{old.resource_id}"
    for network, subnet in draft.state.subnets_with_table(ref):
        raise InUse(
            f"{ref} cannot be deleted: /virtualNetworks/{network.resource_id}/subnets/{subnet.resource_id} is routed "
            "by it. Take it from there first.",
            code="InUseRouteTableCannotBeDeleted",
            target=ref,
        )


def _route(name: str, p: RouteProperties) -> RouteProperties:
    prefix = _prefix(name, p.address_prefix)
    kind = _HOPS.get(p.next_hop_type.lower())
    if kind is None:
        raise Invalid(
            f"The nextHopType of route {name} is one of {', '.join(_HOPS.values())}, not '{p.next_hop_type}'.",
            target="nextHopType",
        )
    if kind == "Internet" and str(prefix) not in _DEFAULTS and not prefix.is_global:
        raise Invalid(
            f"Route {name} sends {prefix} to the Internet, where nobody has such addresses: use another next hop.",
            code="AddressPrefixMustBeInPublicAddressSpace",
            target="addressPrefix",
        )
    return RouteProperties(
        address_prefix=str(prefix),
        next_hop_type=kind,
        next_hop_ip_address=_next_hop(name, prefix, kind, p.next_hop_ip_address),
    )


def _prefix(name: str, text: str) -> IpPrefix:
    try:
        prefix = ipaddress.ip_network(text.strip())
    except ValueError as why:
        raise Invalid(
            f"The addressPrefix of route {name} is '{text}': {why}. Write one such as 10.2.0.0/16.",
            code="InvalidRouteAddressPrefix",
            target="addressPrefix",
        ) from None
    default = str(prefix) in _DEFAULTS
    if not default and (prefix.is_multicast or prefix.is_loopback or prefix.is_link_local or prefix.is_unspecified):
        raise Invalid(
            f"Packets to {prefix} of route {name} are never routed: choose another prefix.",
            code="AddressPrefixInRestrictedAddressSpace",
            target="addressPrefix",
        )
    return prefix


def _next_hop(name: str, prefix: IpPrefix, kind: str, text: str | None) -> str | None:
    if kind != APPLIANCE:
        if text:
            raise Invalid(
                f"Route {name} has nextHopIpAddress {text}, which only goes with nextHopType {APPLIANCE}.",
                code="NextHopIpAddressNotAllowed",
                target="nextHopIpAddress",
            )
        return None
    if not text:
        raise Invalid(
            f"Route {name} goes to an appliance: nextHopIpAddress is its address.",
            code="MissingNextHopIpAddress",
            target="nextHopIpAddress",
        )
    address = ip_of(text, "nextHopIpAddress", "InvalidNextHopIpAddress")
    if address.version != prefix.version or address.is_multicast or address.is_unspecified or address.is_loopback:
        raise Invalid(
            f"The next hop {address} of route {name} is no address of a machine that could take packets to {prefix}.",
            code="InvalidNextHopIpAddress",
            target="nextHopIpAddress",
        )
    return str(address)
