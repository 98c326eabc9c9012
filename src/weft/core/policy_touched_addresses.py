"""Which provider addresses a commit concerns: a part of core.policy_touched.

A host's own addresses stand in its server too, so that a change of it says what came and went; those of virtual subnets
are the ledger's alone.
"""

from collections.abc import Iterable, Iterator

from weft.core.addresses import holder_of
from weft.core.changes import LeaseChange
from weft.core.index import interfaces_of, lower
from weft.core.layout import dual_stack_domains
from weft.core.policy_places import INTERFACES, LOGICAL_NETWORKS, SERVERS, Network, Server, network_ref
from weft.core.policy_segments import ProviderSubnets
from weft.core.policy_touched_versions import Versions
from weft.core.provider_places import SUBNETS, own_texts, told_addresses
from weft.core.state import State
from weft.model.fabric import LogicalNetworkProperties
from weft.model.resources import Resource
from weft.model.values import PackedIp, pack_ip


def of_subnets(changes: Iterable[LeaseChange]) -> Iterator[tuple[str, PackedIp, str]]:
    """(Server id in lower case, address, purpose) of what virtual subnets came to have on hosts, or have no more."""
    for change in changes:
        if "/logicalnetworks/" not in change.scope:
            continue
        size = 4 if change.scope[2] == "4" else 16
        held = [holder_of(one, "server") for one in (change.before, change.after)]
        for holder in held if held[0] != held[1] else ():
            if holder is not None and holder.domain.startswith(SUBNETS):
                yield holder.ref.rpartition("/")[2].lower(), PackedIp(change.address.to_bytes(size)), holder.domain


def interfaces_in(state: State, server_id: str, purpose: str) -> Iterator[str]:
    """Ids, lower case, of the interfaces on a host that are in an L2 domain now."""
    for machine in state.machines_on(server_id):
        for interface_id in interfaces_of(machine):
            interface = state.get(INTERFACES, interface_id)
            for configuration in interface.properties.ip_configurations if interface is not None else ():
                segment = state.segment(lower(configuration.properties.subnet))
                if segment is not None and segment.domain == purpose:
                    yield interface_id


def beside(state: State, old: ProviderSubnets, new: ProviderSubnets) -> Iterator[str]:
    """Ids, lower case, of the interfaces on logical networks on whose VLANs the provider subnets are others now."""
    vlans = {vlan for _, vlan in {(p, vlan) for p, _, vlan, _ in old} ^ {(p, vlan) for p, _, vlan, _ in new}}
    for network in state.all(LOGICAL_NETWORKS) if vlans else ():
        for subnet in network.properties.subnets:
            if subnet.properties.vlan_id in vlans:
                ref = f"/logicalNetworks/{network.resource_id}/subnets/{subnet.resource_id}"
                yield from (one.resource_id.lower() for one in state.interfaces_in(ref))


def paired_otherwise(before: Network | None, after: Network | None) -> set[str]:
    """Ids, lower case, of the subnets of a network that are in another L2 domain than before, by their partners."""
    if before is None or after is None:
        return set()
    old, new = (dual_stack_domains(network_ref(one), one.properties.subnets) for one in (before, after))
    return {ref.rpartition("/")[2] for ref in old.keys() & new.keys() if old[ref] != new[ref]}


def of_server(state: State, server_id: str, versions: Versions) -> Iterator[PackedIp]:
    """All that a host has, and what it had of its own in any version of the commit."""
    for version in versions.changed(SERVERS, server_id):
        yield from map(pack_ip, own_texts(version))
    yield from (address for _, address, _ in told_addresses(state, server_id))


def named_by(*versions: Server | None) -> Iterator[str]:
    """Addresses that versions of a server name: its own, and those that come and leave."""
    for version in versions:
        yield from own_texts(version)
        change = version.properties.provider_address_change if version is not None else None
        yield from change.coming if change is not None else ()


def used(server: Server | None) -> object:
    """What of a server says which addresses its host has and which of them it uses."""
    if server is None:
        return None
    p = server.properties
    return p.provider_addresses, p.primary_provider_addresses, p.provider_address_change, p.provider_address_policy


def shared_out(network: Resource[LogicalNetworkProperties] | None) -> str:
    """How a provider network's hosts use what addresses they have."""
    return network.properties.provider_address_policy if network is not None else ""
