"""accessControlLists and routeTables that a subnet or an ipConfiguration names: they exist, and they fit there.

Called by the families whose resources name them, and by core.decide.route_tables where the table changes under them.
"""

import ipaddress
from collections.abc import Sequence

from weft.core.filters import first_tagged
from weft.core.index import lower
from weft.core.layout import reserved_in
from weft.core.pools import Segment, merge, why_in
from weft.core.state import State
from weft.model.errors import Invalid, InvalidReference
from weft.model.resources import Ref, Resource, common_ref
from weft.model.tenancy import RouteTableProperties, VirtualSubnetProperties
from weft.model.values import IpPrefix, gateway_of

_LISTS = "/accesscontrollists/"
_TABLES = "/routetables/"


def list_named(state: State, ref: Ref | None, segment: Segment | None = None) -> Ref | None:
    """The reference of an accessControlList as it will be stored, None for none; `segment` is where an ipConfiguration
    is that names it. Raises InvalidReference, Invalid."""
    text = lower(ref)
    if not text:
        return None
    found = state.get("accessControlLists", text[len(_LISTS) :]) if _is_one(text, _LISTS) else None
    if found is None:
        raise InvalidReference(
            f"There is no accessControlList {ref.resource_ref if ref is not None else ''}: create it first.",
            target="accessControlList",
        )
    rule = first_tagged(found.properties)
    if rule and segment is not None and not segment.virtual:
        raise Invalid(
            f"Rule {rule} of /accessControlLists/{found.resource_id} has a tag, which means nothing in {segment.ref}: "
            "it is no virtual subnet.",
            code="AclRuleTagsNotSupportedOnLogicalNetwork",
            target="accessControlList",
        )
    return common_ref(f"/accessControlLists/{found.resource_id}")


def table_named(
    state: State, network: str, subnet: Resource[VirtualSubnetProperties], all_subnets: Sequence[IpPrefix]
) -> Ref | None:
    """The reference of a subnet's routeTable as it will be stored, None for none. Raises InvalidReference, Invalid."""
    text = lower(subnet.properties.route_table)
    if not text:
        return None
    found = state.get("routeTables", text[len(_TABLES) :]) if _is_one(text, _TABLES) else None
    if found is None:
        raise InvalidReference(f"There is no routeTable {text}: create it first.", target="routeTable")
    _check_hops(network, all_subnets, subnet.resource_id, found.properties)
    return common_ref(f"/routeTables/{found.resource_id}")


def check_next_hops(
    network: str, subnets: Sequence[Resource[VirtualSubnetProperties]], name: str, table: RouteTableProperties
) -> None:
    """Every appliance of a table is where a machine of the virtual network could be. Raises Invalid."""
    prefixes = [ipaddress.ip_network(one.properties.address_prefix) for one in subnets]
    _check_hops(network, prefixes, name, table)


def _check_hops(network: str, prefixes: Sequence[IpPrefix], name: str, table: RouteTableProperties) -> None:
    for route in table.routes:
        text = route.properties.next_hop_ip_address
        if text is None:
            continue
        address = ipaddress.ip_address(text)
        prefix = next((one for one in prefixes if address in one), None)
        if prefix is None:
            raise Invalid(
                f"The next hop {text} of route {route.resource_id} lies in no subnet of /virtualNetworks/{network}, "
                f"whose subnet {name} is routed by it: name an address of one of its machines.",
                code="RouteNextHopIpAddressNotFound",
                target="nextHopIpAddress",
            )
        gateway = int(gateway_of(prefix))
        why = why_in(merge([*reserved_in(prefix), (gateway, gateway, "the gateway address")]), int(address))
        if why:
            raise Invalid(
                f"The next hop {text} of route {route.resource_id} is {why} of {prefix}, which no machine has.",
                code="InvalidNextHopIpAddress",
                target="nextHopIpAddress",
            )


def _is_one(ref: str, collection: str) -> bool:
    return ref.startswith(collection) and "/" not in ref[len(collection) :]
