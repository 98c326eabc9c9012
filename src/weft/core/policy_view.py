"""A host's policy for people and scripts: GET /weft/v1/servers/{id}/policy.

Called by core.policy and through it by the API. Words and forms are those of the HNV cmdlets, New-NetVirtualization...,
so that the view can be laid beside Get-NetVirtualizationLookupRecord on a Hyper-V host. Only networks that the host
needs are in it. Unlike the streams it shows the distributed router too: each subnet has a record of its gateway, with a
provider address that is never sent to the wire.
"""

from collections.abc import Iterator
from typing import Any

from weft.core import policy_gateways, policy_host, policy_network, policy_routes
from weft.core.hyperv.network_virtualization import context_of, provider_routes
from weft.core.policy_peers import networks_near
from weft.core.policy_places import SERVERS, Interface, Network
from weft.core.provider_places import told_addresses
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.errors import NotFound
from weft.model.records import LookupRecord, PortBinding, PortLearning, ProviderAddress, SegmentPort
from weft.model.values import GATEWAY_DUMMY_PROVIDER_ADDRESS, ROUTER_MAC, PackedIp, Vsid, ip_text, mac_digits


def view(state: State, server_id: str) -> dict[str, Any]:
    """The readable policy of a host. Raises NotFound for an unknown server."""
    server = state.get(SERVERS, server_id)
    if server is None:
        raise NotFound(f"There is no server '{server_id}'.", target=f"/servers/{server_id}")
    addresses = list(policy_host.provider_addresses(state, server))
    held = ((address, state.segment(purpose)) for _, address, purpose in told_addresses(state, server_id) if purpose)
    subnets = {address: segment.ref for address, segment in held if segment is not None}
    networks = sorted(networks_near(state, server.resource_id), key=lambda one: one.resource_id.lower())
    return {
        "providerAddresses": [_provider_address(one, subnets.get(one.address, "")) for one in addresses],
        "providerRoutes": [
            {"destinationPrefix": one.destination_prefix, "nextHop": one.next_hop, "metric": one.metric}
            for one in provider_routes(addresses)
        ],
        "lookupRecords": [record for network in networks for record in _lookup_records(state, network)],
        "customerRoutes": [route for network in networks for route in _customer_routes(state, network)],
        "userRoutes": [route for network in networks for route in _user_routes(state, network)],
        "ports": list(_ports(state, server.resource_id)),
    }


def _provider_address(record: ProviderAddress, subnet: str) -> dict[str, Any]:
    """`subnet`: resourceRef of the virtual subnet that has it on this host; empty where it is the host's own."""
    return {
        "providerAddress": ip_text(record.address),
        "prefixLength": record.prefix_length,
        "logicalNetwork": record.logical_network,
        "virtualSubnet": subnet,
    }


def _lookup_records(state: State, network: Network) -> Iterator[dict[str, Any]]:
    """Per subnet the gateway's record, then those of its running machines by address."""
    found: dict[LookupRecord, Interface] = {}
    for subnet in network.properties.subnets:
        own = policy_network.subnet_record(subnet)
        gateway = LookupRecord(own.vsid, own.gateway, ROUTER_MAC, GATEWAY_DUMMY_PROVIDER_ADDRESS)
        context = context_of(network.resource_id, gateway=True)
        yield _lookup_record(gateway, f"{subnet.resource_id}-DG", context)
        for interface in policy_network.interfaces_of(state, network, subnet):
            for record in policy_network.lookups(state, interface, network):
                found[record] = interface
    for record in sorted(found, key=lambda one: (one.vsid, one.customer_address)):
        name = found[record].resource_id
        shown = _lookup_record(record, _machine_name(state, name), context_of(network.resource_id))
        nat = {"rule": "TranslationMethodNat", "useVmMACAddress": True} if is_rewriting(network.properties) else {}
        kind = {"type": "Dynamic"} if _is_learnt(found[record], record) else {}
        yield shown | nat | kind | {"networkInterface": f"/networkInterfaces/{name}"}
    yield from _ways_out(state, network)


def _is_learnt(interface: Interface, record: LookupRecord) -> bool:
    """Whether its guest brought the address: HNV has that as a type of record."""
    learnt = interface.properties.learned_ip_addresses
    return bool(learnt) and ip_text(record.customer_address) in [one.ip_address for one in learnt]


def _ways_out(state: State, network: Network) -> Iterator[dict[str, Any]]:
    """The edge, at the gateway that carries the network if it is alive; there is no such record without a gateway."""
    record = policy_gateways.gateway_record(state, network)
    if record is not None and record.gateways:
        for address in record.addresses:
            anyone = PackedIp(bytes(len(address)))
            named = LookupRecord(record.vsid, anyone, record.mac, record.gateways[0])
            shown = _lookup_record(named, f"{network.resource_id}-GW", context_of(network.resource_id, gateway=True))
            yield shown | {"type": "GatewayWildcard"}


def _machine_name(state: State, interface_id: str) -> str:
    machine = state.machine_of(interface_id)
    assert machine is not None, "an interface with a record or a port has a machine"
    return machine.resource_id


def _lookup_record(record: LookupRecord, name: str, context: str) -> dict[str, Any]:
    return {
        "customerAddress": ip_text(record.customer_address),
        "virtualSubnetId": record.vsid,
        "macAddress": mac_digits(record.mac),
        "providerAddress": ip_text(record.provider_address),
        "rule": "TranslationMethodEncap",
        "type": "Static",
        "vmName": name,
        "context": context,
    }


def _customer_routes(state: State, network: Network) -> Iterator[dict[str, Any]]:
    own = map(policy_network.customer_route, network.properties.subnets)
    outward = (*policy_gateways.ways_out(state, network), *policy_routes.ways_inside(state, network))
    for route in (*own, *outward):
        yield {
            "routingDomainId": "{" + network.instance_id + "}",
            "virtualSubnetId": Vsid(route.vsid),
            "destinationPrefix": f"{ip_text(route.prefix)}/{route.prefix_length}",
            "nextHop": ip_text(route.next_hop),
            "metric": route.metric,
        }


def _user_routes(state: State, network: Network) -> Iterator[dict[str, Any]]:
    """What routeTables add, by the subnet whose machines have it; the words of MS-NCNBI 3.1.5.10.2."""
    for record, ref in policy_routes.user_routes(state, network):
        yield {
            "virtualSubnetId": record.vsid,
            "destinationPrefix": f"{ip_text(record.prefix)}/{record.prefix_length}",
            "nextHopType": record.kind,
            "nextHop": ip_text(record.next_hop) if record.next_hop else None,
            "route": ref,
        }


def _ports(state: State, server_id: str) -> Iterator[dict[str, Any]]:
    records = policy_host.stream(state, server_id).values()
    segments = {one.instance_id: one for one in records if isinstance(one, SegmentPort)}
    learning = {one.instance_id: one for one in records if isinstance(one, PortLearning)}
    bindings = (one for one in records if isinstance(one, PortBinding))
    for binding in sorted(bindings, key=lambda one: one.network_interface):
        segment = segments.get(binding.instance_id)
        place = {"logicalSubnet": segment.logical_subnet, "vlanID": segment.vlan} if segment is not None else {}
        yield {
            "networkInterface": f"/networkInterfaces/{binding.network_interface}",
            "instanceId": binding.instance_id,
            "virtualSubnetId": binding.vsid if segment is None else 0,
            **place,
            "macAddress": mac_digits(binding.mac),
            "ipAddresses": [ip_text(address) for address in binding.addresses],
            **_brought(learning.get(binding.instance_id)),
            "virtualMachine": f"/weft/virtualMachines/{_machine_name(state, binding.network_interface)}",
        }


def _brought(learning: PortLearning | None) -> dict[str, Any]:
    """What the guest of a port may bring, and what it has."""
    if learning is None:
        return {}
    prefixes = [f"{ip_text(address)}/{length}" for address, length in learning.prefixes]
    return {"learnsFrom": prefixes, "learnedIPAddresses": [ip_text(address) for address in learning.learnt]}
