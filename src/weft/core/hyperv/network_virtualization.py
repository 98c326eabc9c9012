"""A host's policy as Hyper-V Network Virtualization has it (version 1, the NetWNV cmdlets), as values.

`desired` compiles it from the records that the host's agent gets (weft.model.records), so that the API's script, the
driver and the tests share one compile. Members are named as the parameters of New-NetVirtualization..., and so are the
JSON members that scripts take. Pure; the same records always make equal values in the same order.

Each lookup record bears our mark at the start of its Context, and the RDID as its CustomerID. What else Windows keeps
of this has no room for a mark: a customer route is ours by its RDID, a GUID that Weft made, where the policy or a
lookup record of ours in the same virtual subnet names it (each has at least its gateway's).
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import NamedTuple

import msgspec

from weft.model import records
from weft.model.records import HostRecord, NetworkRecord
from weft.model.values import (
    GATEWAY_DUMMY_PROVIDER_ADDRESS,
    ROUTER_MAC,
    InstanceId,
    PackedIp,
    Vsid,
    ip_text,
    mac_digits,
)

MARK = "weft:"
"""How the Context of a lookup record of ours begins."""

ENCAP = "TranslationMethodEncap"
"""NVGRE (RFC 7637); the only rule that we write."""

WILDCARD = "GatewayWildcard"
"""Type of the record for all that is outside: whoever has it is the gateway of the network."""
OUTSIDE_METRIC = 255
STATIC = "Static"

NOT_HERE_YET = ("Incoming", "Absent")
"""Powers of a machine (weft.model.records.Machine) that this host need not have."""


class LookupRecord(msgspec.Struct, frozen=True, rename="pascal"):
    """Where a customer address is. Windows keeps it by (VSID, customer address, MAC, type); we have one for each
    (VSID, customer address)."""

    customer_address: str
    virtual_subnet_id: int
    mac_address: str
    """Twelve digits in upper case, as Hyper-V writes them."""
    provider_address: str
    rule: str = ENCAP
    type: str = STATIC
    context: str = ""
    customer_id: str = ""
    """The RDID, as a customer route has it. Windows leaves it to whoever makes the record."""

    @property
    def place(self) -> tuple[int, str]:
        return self.virtual_subnet_id, self.customer_address

    @property
    def is_ours(self) -> bool:
        return self.context.startswith(MARK)

    @property
    def is_gateway(self) -> bool:
        """The distributed router's: its provider address is never sent to the wire."""
        return self.provider_address == ip_text(GATEWAY_DUMMY_PROVIDER_ADDRESS)


class CustomerRoute(msgspec.Struct, frozen=True, rename="pascal"):
    """A subnet's own route: next hop all zeros is on link. Windows takes one for each VSID."""

    routing_domain_id: str
    """GUID in braces, lower case."""
    virtual_subnet_id: int
    destination_prefix: str
    next_hop: str
    metric: int


class ProviderAddress(msgspec.Struct, frozen=True, rename="pascal"):
    """The host's own tunnel address, on one physical adapter."""

    provider_address: str
    prefix_length: int
    vlan_id: int = 0


class ProviderRoute(msgspec.Struct, frozen=True, rename="pascal"):
    """How packets between hosts leave the provider subnet."""

    destination_prefix: str
    next_hop: str
    metric: int = 0


class Port(msgspec.Struct, frozen=True, rename="pascal"):
    """The port of a machine's adapter: found by the interface id of its port profile, else by its place among the
    machine's adapters; never by its MAC address, which may be another than it should be."""

    network_interface: str
    instance_id: InstanceId
    virtual_subnet_id: int
    mac_address: str
    machine: str
    machine_id: str
    """The hypervisor's own; empty where it is not known: then the machine bears its resource id as its name."""
    position: int
    """Place among the machine's adapters, from 0."""
    of: int
    """How many the machine has."""
    expected: bool = True
    """The machine is on this host; False where it may come."""


class Desired(msgspec.Struct, frozen=True, rename="pascal"):
    """All that one host should have, each kind in order."""

    lookup_records: tuple[LookupRecord, ...] = ()
    customer_routes: tuple[CustomerRoute, ...] = ()
    provider_addresses: tuple[ProviderAddress, ...] = ()
    provider_routes: tuple[ProviderRoute, ...] = ()
    ports: tuple[Port, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the policy says and this version cannot do, in sentences for people."""


def context_of(network: str, gateway: bool = False) -> str:
    """The Context of a lookup record of a virtual network; `network` is its resource id or reference."""
    name = network.rpartition("/")[2]
    return f"{MARK}{name} gateway" if gateway else f"{MARK}{name}"


def desired(host: Iterable[HostRecord], networks: Mapping[int, Iterable[NetworkRecord]]) -> Desired:
    """What a host should have: `host` is its stream, `networks` the streams of the networks it needs, by rdid."""
    own = list(host)
    addresses = [one for one in own if isinstance(one, records.ProviderAddress)]
    needed = sorted((one for one in own if isinstance(one, records.NeededNetwork)), key=lambda one: one.resource_ref)
    compiled = [_network(one, list(networks.get(one.rdid, ()))) for one in needed]
    lookups = [record for network in compiled for record in network.lookups]
    return Desired(
        lookup_records=tuple(sorted(lookups, key=lambda one: (one.virtual_subnet_id, _order(one.customer_address)))),
        customer_routes=tuple(sorted((r for n in compiled for r in n.routes), key=lambda one: one.virtual_subnet_id)),
        provider_addresses=tuple(
            ProviderAddress(ip_text(one.address), one.prefix_length, one.vlan)
            for one in sorted(addresses, key=lambda one: one.address)
        ),
        provider_routes=tuple(provider_routes(addresses)),
        ports=tuple(sorted(_ports(own), key=lambda one: (one.machine, one.position, one.instance_id))),
        warnings=(*(text for network in compiled for text in network.warnings), *_reach(addresses, lookups, needed)),
    )


class _Network(NamedTuple):
    lookups: list[LookupRecord]
    routes: list[CustomerRoute]
    warnings: list[str]


def _network(needed: records.NeededNetwork, stream: list[NetworkRecord]) -> _Network:
    settings = next((one for one in stream if isinstance(one, records.NetworkSettings)), None)
    name = needed.resource_ref.rpartition("/")[2]
    if settings is None or not settings.instance_id:
        return _Network([], [], [f"The records of network {name} have not come yet."])
    warnings = []
    if settings.encapsulation != "nvgre":
        warnings.append(
            f"Network {name} is meant to travel over {settings.encapsulation.upper()}, and this version of Hyper-V"
            " Network Virtualization speaks NVGRE: set networkVirtualizationProtocol to NVGRE."
        )
    subnets, left_out = _one_prefix_each([one for one in stream if isinstance(one, records.SubnetRecord)])
    warnings += [
        f"{ip_text(one.prefix)}/{one.prefix_length} of network {name} is left out: Hyper-V takes one route for each"
        f" virtual subnet; {one.vsid} has another."
        for one in left_out
    ]
    families = {one.vsid: len(one.prefix) for one in subnets.values()}
    rdid = "{" + settings.instance_id + "}"
    gateways = [_gateway(one, name, rdid) for one in subnets.values()]
    lookups = [
        _lookup(one, context_of(name), rdid)
        for one in stream
        if isinstance(one, records.LookupRecord) and families.get(one.vsid) == len(one.customer_address)
    ]
    routes = [
        _customer_route(one, rdid)
        for one in stream
        if isinstance(one, records.CustomerRoute) and (one.vsid, one.prefix) in subnets and not any(one.next_hop)
    ]
    out = next((one for one in stream if isinstance(one, records.GatewayRecord) and one.gateways), None)
    if out is not None:
        ways = _way_out(out, families.get(out.vsid, 0), name, rdid)
        lookups += ways.lookups
        routes = [one for one in routes if one.virtual_subnet_id not in {way.virtual_subnet_id for way in ways.routes}]
        routes += ways.routes
        if any(isinstance(one, records.LookupRecord) and one.vsid == out.vsid for one in stream):
            warnings.append(
                f"Virtual subnet {out.vsid} of network {name} has the default route, in place of its own: machines in"
                " it are not reached from other subnets. Give the gateway a subnet for itself."
            )
    return _Network([*gateways, *lookups], routes, warnings)


def _way_out(record: records.GatewayRecord, size: int, network: str, rdid: str) -> _Network:
    """The gateway's own record, the one for all that is outside, and the default route; `size` is the bytes of an
    address of its subnet here. Windows takes one route for each VSID, so this one stands for the subnet's own."""
    address = next((one for one in record.addresses if len(one) == size), None)
    if address is None:
        return _Network([], [], [])
    own = records.LookupRecord(record.vsid, address, record.mac, record.gateways[0])
    outside = records.LookupRecord(record.vsid, PackedIp(bytes(size)), record.mac, record.gateways[0])
    context = context_of(network)
    wildcard = msgspec.structs.replace(_lookup(outside, context, rdid), type=WILDCARD)
    route = records.CustomerRoute(record.vsid, PackedIp(bytes(size)), 0, address, OUTSIDE_METRIC)
    return _Network([_lookup(own, context, rdid), wildcard], [_customer_route(route, rdid)], [])


def _one_prefix_each(
    subnets: list[records.SubnetRecord],
) -> tuple[dict[tuple[Vsid, bytes], records.SubnetRecord], list[records.SubnetRecord]]:
    """Of a dual-stack pair, which shares its VSID, the IPv4 half; and what that leaves out."""
    chosen: dict[Vsid, records.SubnetRecord] = {}
    left_out = []
    for one in sorted(subnets, key=lambda one: (one.vsid, len(one.prefix), one.prefix)):
        if one.vsid in chosen:
            left_out.append(one)
        else:
            chosen[one.vsid] = one
    return {(one.vsid, one.prefix): one for one in chosen.values()}, left_out


def _gateway(subnet: records.SubnetRecord, network: str, rdid: str) -> LookupRecord:
    """Every host's distributed router answers for the subnet's lowest address, with one MAC everywhere."""
    own = records.LookupRecord(subnet.vsid, subnet.gateway, ROUTER_MAC, GATEWAY_DUMMY_PROVIDER_ADDRESS)
    return _lookup(own, context_of(network, gateway=True), rdid)


def _lookup(record: records.LookupRecord, context: str, rdid: str) -> LookupRecord:
    return LookupRecord(
        customer_address=ip_text(record.customer_address),
        virtual_subnet_id=record.vsid,
        mac_address=mac_digits(record.mac),
        provider_address=ip_text(record.provider_address),
        context=context,
        customer_id=rdid,
    )


def _customer_route(route: records.CustomerRoute, rdid: str) -> CustomerRoute:
    return CustomerRoute(
        routing_domain_id=rdid,
        virtual_subnet_id=route.vsid,
        destination_prefix=f"{ip_text(route.prefix)}/{route.prefix_length}",
        next_hop=ip_text(route.next_hop),
        metric=route.metric,
    )


def provider_routes(addresses: Iterable[records.ProviderAddress]) -> Iterator[ProviderRoute]:
    """One to each gateway, however many addresses of the host are beside it, and what routes of their subnets add."""
    ordered = sorted(addresses, key=lambda one: one.address)
    for gateway in dict.fromkeys(one.gateway for one in ordered):
        if gateway:
            yield ProviderRoute("0.0.0.0/0" if len(gateway) == 4 else "::/0", ip_text(gateway))
    hops: dict[str, str] = {}
    for address in sorted(ordered, key=lambda one: one.for_subnet):
        for prefix, length, hop in address.routes:
            # Windows takes one next hop for a prefix
            hops.setdefault(f"{ip_text(prefix)}/{length}", ip_text(hop))
    yield from (ProviderRoute(prefix, hop) for prefix, hop in hops.items())


def _ports(own: list[HostRecord]) -> Iterator[Port]:
    places = {
        instance_id: (machine, position)
        for machine in own
        if isinstance(machine, records.Machine)
        for position, instance_id in enumerate(machine.instance_ids)
    }
    for binding in own:
        if isinstance(binding, records.PortBinding) and binding.rdid and binding.instance_id in places:
            machine, position = places[binding.instance_id]
            yield Port(
                network_interface=binding.network_interface,
                instance_id=binding.instance_id,
                virtual_subnet_id=binding.vsid,
                mac_address=mac_digits(binding.mac),
                machine=machine.machine,
                machine_id=machine.hypervisor_id.lower(),
                position=position,
                of=len(machine.instance_ids),
                expected=machine.power not in NOT_HERE_YET,
            )


def _reach(
    addresses: list[records.ProviderAddress], lookups: list[LookupRecord], needed: list[records.NeededNetwork]
) -> Iterator[str]:
    """What keeps tunnels from working (story 4.8): no address of one's own, or no way out of its subnet."""
    if needed and not addresses:
        yield "This host has no provider address: nothing of its virtual networks reaches other hosts."
    if not addresses or any(one.gateway for one in addresses):
        return
    ways = [(one.address, one.prefix_length) for one in addresses]
    ways += [(prefix, length) for one in addresses for prefix, length, _ in one.routes]
    prefixes = [ip_network(one, strict=False) for one in ways]
    peers = sorted({one.provider_address for one in lookups if not one.is_gateway}, key=_order)
    far = [peer for peer in peers if not any(ip_address(peer) in prefix for prefix in prefixes)]
    if far:
        yield f"The provider subnet of this host names no gateway, so {far[0]} and other subnets cannot be reached."


def _order(address: str) -> tuple[int, int]:
    parsed = ip_address(address)
    return parsed.version, int(parsed)
