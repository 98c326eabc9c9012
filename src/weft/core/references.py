"""What interfaces and virtual networks refer to, as the index keeps it: in lower case. Pure.

Called by core.index and whoever compares references.
"""

from typing import TypeVar

from weft.model.resources import Ref, Resource
from weft.model.tenancy import VirtualNetworkProperties
from weft.model.workload import NetworkInterfaceProperties

Interface = Resource[NetworkInterfaceProperties]
VirtualNetwork = Resource[VirtualNetworkProperties]

_Member = TypeVar("_Member")
_Value = TypeVar("_Value")

VIRTUAL = "/virtualnetworks/"
SUBNETS = "/subnets/"


def lower(ref: Ref | None) -> str:
    """A reference as the tables have it; empty for none."""
    return "" if ref is None else ref.resource_ref.lower()


def last_id(ref: Ref | None) -> str:
    """The id that a reference ends in, lower case; empty for none."""
    return lower(ref).rpartition("/")[2]


Pairs = dict[tuple[str, str], None]
"""(What is referred to, what refers to it), lower case."""


def lists_of_interface(interface: Interface) -> Pairs:
    """The accessControlLists that its ipConfigurations name, and its id."""
    named = (one.properties.access_control_list for one in interface.properties.ip_configurations)
    return {(lower(ref), interface.resource_id.lower()): None for ref in named if lower(ref)}


def learnt_in(interface: Interface) -> Pairs:
    """The virtual subnets in which it has learnt addresses, and its id."""
    own = interface.resource_id.lower()
    return {(lower(one.subnet), own): None for one in interface.properties.learned_ip_addresses}


def lists_of_subnets(network: VirtualNetwork) -> Pairs:
    """The accessControlLists that its subnets name, each with the subnet's reference."""
    found = ((lower(one.properties.access_control_list), one.resource_id) for one in network.properties.subnets)
    return {(ref, _subnet_ref(network, name)): None for ref, name in found if ref}


def tables_of_subnets(network: VirtualNetwork) -> Pairs:
    """The routeTables that its subnets name, each with the subnet's reference."""
    found = ((lower(one.properties.route_table), one.resource_id) for one in network.properties.subnets)
    return {(ref, _subnet_ref(network, name)): None for ref, name in found if ref}


def peers_of(network: VirtualNetwork) -> Pairs:
    """The ids of the networks that it has a peering to, each with its own."""
    found = (last_id(one.properties.remote_virtual_network) for one in network.properties.virtual_network_peerings)
    return {(peer, network.resource_id.lower()): None for peer in found if peer}


def _subnet_ref(network: VirtualNetwork, name: str) -> str:
    return f"{VIRTUAL}{network.resource_id}{SUBNETS}{name}".lower()


def turn_pairs(table: dict[str, dict[str, None]], before: Pairs, after: Pairs, key: str = "") -> None:
    """Follow what refers to what; `key` is the text to keep for all that refer, so that it is not kept twice."""
    if before == after:
        return
    for ref, user in before:
        drop(table, ref, user)
    for ref, user in after:
        table.setdefault(ref, {})[key or user] = None


def drop(table: dict[str, dict[_Member, _Value]], key: str, member: _Member) -> None:
    """Take a member of a key away, and the key with its last."""
    members = table[key]
    del members[member]
    if not members:
        del table[key]
