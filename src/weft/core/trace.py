"""Would this packet arrive, and if not, what decided so?

Called by the API (POST /weft/v1/trace). Pure: it walks the state as the data plane walks its tables (docs/pipeline.md),
so it answers for what the hosts are told to do; what only a host knows (a port that it keeps closed, a guest that
answers nothing) comes in as `HostFacts`. "Delivered to port" is as far as the network can promise: a firewall inside
the guest may still drop the packet.
"""

import ipaddress
from typing import NoReturn

import msgspec

from weft.core import policy_gateways, policy_network, policy_routes
from weft.core.peerings import why_not_by_peering
from weft.core.policy_places import (
    SERVERS,
    Interface,
    Seat,
    Subnet,
    has_mac,
    instance_of,
    known,
    learnt_seats,
    mac_of,
    network_ref,
    port_seats,
)
from weft.core.policy_segments import stands
from weft.core.provider_places import provider_address
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.core.trace_access import Probe, filtered
from weft.core.trace_edge import passed_edge, reached_edge
from weft.core.trace_ends import Ends, HostFacts, interface_named, ref_of
from weft.core.trace_segments import SegmentWalk
from weft.core.trace_steps import Step, Stopped, TraceResult
from weft.model.errors import Invalid
from weft.model.records import CustomerRoute, GatewayRecord, LookupRecord
from weft.model.values import ROUTER_LINK_LOCAL, PackedIp, ip_text, link_local_of, mac_dashes

PROTOCOLS = ("icmp", "icmpv6", "tcp", "udp")
PING = ("icmp", "icmpv6")
EPHEMERAL = 49152  # the first port that clients take for their own end (RFC 6335 section 6)


def trace(  # noqa: PLR0913 - one question, asked in the words of the API
    state: State,
    from_interface: str,
    to: str,
    protocol: str = "icmp",
    port: int = 0,
    facts: HostFacts | None = None,
    source_port: int = EPHEMERAL,
) -> TraceResult:
    """Follow one packet that begins something, from an interface (resourceRef or id) to an address or an interface.

    `port` is the destination port of tcp and udp, `source_port` the other. Raises InvalidReference for an interface
    that is not there, Invalid for a protocol or a target that cannot be traced.
    """
    source = interface_named(state, from_interface, "from")
    if protocol.lower() not in PROTOCOLS:
        raise Invalid(f"'{protocol}' is not traced: name one of {', '.join(PROTOCOLS)}.", target="protocol")
    walk = _Walk(state, source, (protocol.lower(), port, source_port), facts or HostFacts())
    try:
        return walk.follow(to)
    except Stopped as stop:
        return TraceResult(False, tuple(walk.path), stop.reason, stop.decided_by, stop.missing)


class _Walk:
    """One packet's way. `path` grows as it goes; Stopped ends it."""

    def __init__(self, state: State, source: Interface, flow: tuple[str, int, int], facts: HostFacts) -> None:
        self.path: list[Step] = []
        self._state = state
        self._source = source
        self._protocol, self._port, self._source_port = flow
        self._facts = facts
        self._ends = Ends(state, facts)
        self._host = ""
        self._probe: Probe | None = None

    def follow(self, to: str) -> TraceResult:
        wanted: Interface | None = None
        try:
            target: PackedIp | None = PackedIp(ipaddress.ip_address(to).packed)
        except ValueError:
            wanted, target = interface_named(self._state, to, "to"), None
        machine = self._ends.running(self._source)
        self._host = self._ends.server_name(machine)
        if not port_seats(self._state, self._source) and stands(self._state, self._source):
            return self._on_a_vlan(wanted, target)
        places = self._ends.own_places(self._source)
        if wanted is not None:
            target = self._ends.address_of(self._source, wanted, places[0])
        assert target is not None
        if (parsed := ipaddress.ip_address(target)).is_loopback or parsed.is_unspecified:
            raise Invalid(f"{parsed} is no address that a guest sends anything to; name another.", target="to")
        seat = self._classify(places, target)
        if ipaddress.ip_address(target).is_multicast or _is_broadcast(seat, target):
            raise Invalid(f"{ip_text(target)} is every port of the subnet; trace one of them.", target="to")
        made = link_local_of(mac_of(self._source)).to_bytes(16)
        if target == made or target in (one.address for one in (*places, *learnt_seats(self._state, self._source))):
            raise Stopped("its own address: such a packet never leaves the guest", ref_of(self._source))
        self._probe = Probe(self._protocol, seat.address, self._source_port, target, self._port)
        self._filter(self._source, inbound=False)
        return self._forward(seat, target)

    def _filter(self, interface: Interface, *, inbound: bool) -> None:
        if self._probe is not None:
            for text, record in filtered(self._state, interface, self._probe, inbound=inbound):
                self._step("access list", text, record)

    def _on_a_vlan(self, wanted: Interface | None, target: PackedIp | None) -> TraceResult:
        if not has_mac(self._source):
            raise Stopped(f"{self._source.resource_id} has no MAC address yet, so it has no port", ref_of(self._source))
        walk = SegmentWalk(self._state, self._source, self._step)
        holder = walk.follow(wanted, target)
        if walk.source and walk.target:
            self._probe = Probe(self._protocol, walk.source, self._source_port, walk.target, self._port)
            self._filter(self._source, inbound=False)
        if holder is not None:
            there = self._ends.server_name(self._ends.running(holder))
            walk.deliver(holder, self._host, there)
            self._host = there
            self._filter(holder, inbound=True)
            self._step("output", f"delivered to port {holder.resource_id}", f"PortBinding {instance_of(holder)}")
            return TraceResult(True, tuple(self.path), self._reached(holder, there), ref_of(holder))
        return TraceResult(True, tuple(self.path), walk.outside, ref_of(self._source))

    def _step(self, stage: str, text: str, record: str = "") -> None:
        self.path.append(Step(self._host, stage, record, text))

    def _classify(self, places: tuple[Seat, ...], target: PackedIp) -> Seat:
        seat = next((one for one in places if len(one.address) == len(target)), None)
        if seat is None:
            family = "IPv4" if len(target) == 4 else "IPv6"
            raise Stopped(f"{self._source.resource_id} has no {family} address to send from", ref_of(self._source))
        text = f"port of {self._source.resource_id} is bound to VSID {seat.vsid}, network {seat.network.resource_id}"
        self._step("classify", text, f"PortBinding {instance_of(self._source)}")
        mac = mac_dashes(mac_of(self._source))
        self._step("port security", f"source {mac} and {ip_text(seat.address)} are the port's own")
        return seat

    def _forward(self, seat: Seat, target: PackedIp) -> TraceResult:
        subnet = policy_routes.subnet_around(seat.network, target)
        there = seat
        if subnet is None:
            there, subnet = policy_routes.peer_around(self._state, seat, target)
        if subnet is not None and target == policy_network.subnet_record(subnet).gateway:
            return self._gateway(there, subnet, target)
        if subnet is None and ipaddress.ip_address(target).is_link_local:
            return self._on_link(seat, target)
        route = policy_routes.decided_by(self._state, seat, subnet, target)
        if route is not None:
            return self._by_table(seat, route, target)
        if subnet is None:
            return self._leave(seat, target, self._way_inside(seat, target))
        record = policy_network.subnet_record(subnet)
        if record.vsid != seat.vsid:
            into = f", into peered network {there.network.resource_id}" if there is not seat else ""
            text = f"routed from VSID {seat.vsid} to {record.vsid}{into}, TTL lowered by one"
            self._step("routing", text, _name_of_route(policy_network.customer_route(subnet)))
        if (edge := self._edge_with(there, target)) is not None:
            return self._at_edge(there, edge, target)
        holder = self._ends.holder(there, subnet, target)
        lookup = self._ends.lookup(there, holder, target)
        if record.vsid == seat.vsid:
            text = f"{ip_text(target)} is answered for with {mac_dashes(lookup.mac)}, the guest's request goes nowhere"
            self._step("responder", text, _name_of(lookup))
        return self._deliver(there, holder, lookup)

    def _on_link(self, seat: Seat, target: PackedIp) -> TraceResult:
        """A link-local address: nothing routes there, and only those of IPv6 that MACs make are known."""
        if target == ROUTER_LINK_LOCAL:
            return self._gateway(seat, seat.subnet, target)
        holder, address = self._ends.neighbour(seat, target)
        lookup = self._ends.lookup(seat, holder, address)
        text = f"{ip_text(target)} is answered for with {mac_dashes(lookup.mac)}, of which it is made"
        self._step("responder", text, _name_of(lookup))
        return self._deliver(seat, holder, lookup)

    def _by_table(self, seat: Seat, route: policy_routes.TableRoute, target: PackedIp) -> TraceResult:
        """A route of the sender's table decides."""
        record, table = route.record, route.ref
        prefix = f"{ip_text(record.prefix)}/{record.prefix_length}"
        named = f"UserRoute {record.vsid} {prefix}"
        if record.kind == "None":
            self._step("routing", f"{table} sends {prefix} nowhere", named)
            raise Stopped(f"blocked route: {table} has nextHopType None for {prefix}", table)
        if record.kind in ("Internet", "VirtualNetworkGateway"):
            self._step("routing", f"{table} sends {prefix} to the gateway", named)
            return self._leave(seat, target)
        hop = record.next_hop or target
        subnet = policy_routes.subnet_around(seat.network, hop)
        if not record.hop_vsid or subnet is None:
            self._step("routing", f"{table} sends {prefix} to a subnet that there is not", named)
            raise Stopped(f"no route: {ip_text(target)} of {table} lies in no subnet", table)
        way = f"to appliance {ip_text(hop)}" if record.next_hop else "inside the virtual network"
        self._step("routing", f"{table} sends {prefix} {way}, VSID {record.hop_vsid}, TTL lowered by one", named)
        if (edge := self._edge_with(seat, hop)) is not None:
            return self._at_edge(seat, edge, hop)
        holder = self._ends.holder(seat, subnet, hop)
        lookup = self._ends.lookup(seat, holder, hop)
        if holder.resource_id == self._source.resource_id:
            raise Stopped(f"{ip_text(hop)} is the sender itself, to whom no switch sends it back", table)
        found = self._deliver(seat, holder, lookup)
        if not record.next_hop:
            return found
        reason = f"{found.reason}, the appliance of {table}; what it does with it is its own"
        return msgspec.structs.replace(found, reason=reason, decided_by=table)

    def _way_inside(self, seat: Seat, target: PackedIp) -> CustomerRoute | None:
        """What lies in the network's address space is outside only where a connection leads, by such a route."""
        space = policy_routes.space_around(self._state, seat.network, target)
        way = policy_routes.way_around(self._state, seat.network, target)
        if space is None or way is not None:
            return way
        prefix, ref = f"{ip_text(space[0])}/{space[1]}", network_ref(seat.network)
        self._step("routing", f"{prefix} is address space: what is in no subnet goes nowhere", "NetworkSettings")
        text = f"no route: {ip_text(target)} lies in {prefix} of {ref} or a peer, and in no subnet that it is routed to"
        raise Stopped(text + why_not_by_peering(self._state, seat.network, ipaddress.ip_address(target)), ref)

    def _no_gateway(self, seat: Seat, target: PackedIp) -> NoReturn:
        address = ipaddress.ip_address(target)
        self._step("routing", f"no route to {address} in network {seat.network.resource_id}")
        text = f"no gateway: {address} is outside virtual network {seat.network.resource_id}, which has no gateway"
        text += why_not_by_peering(self._state, seat.network, address)
        missing: dict[str, str | int] = {
            "record": "customerRoute",
            "destinationPrefix": f"{address}/{address.max_prefixlen}",
        }
        raise Stopped(text, network_ref(seat.network), missing)

    def _leave(self, seat: Seat, target: PackedIp, by: CustomerRoute | None = None) -> TraceResult:
        """Out of the network, by the gateway that its host finds alive; `by` another route than the default one."""
        way = policy_gateways.way_out_of(self._state, seat.network)
        if way is None:
            self._no_gateway(seat, target)
        network, gateway = way
        record = policy_gateways.gateway_record(self._state, network)
        assert record is not None
        ref = f"/virtualGateways/{gateway.resource_id}"
        route = by or next((r for r in policy_gateways.default_routes(record) if len(r.prefix) == len(target)), None)
        if route is None and record.gateways:
            raise Stopped(f"no gateway: {ref} has no address of the family of {ip_text(target)}", ref)
        if route is not None:
            whose = "the network" if network is seat.network else f"peered network {network.resource_id}"
            self._step("routing", f"to the gateway of {whose}, {ip_text(route.next_hop)}", _name_of_route(route))
        seat = seat._replace(network=network)
        self._carry(seat, gateway, record)
        reason = passed_edge((self._state, self._host, ref), seat, target, self._step)
        return TraceResult(True, tuple(self.path), reason, ref)

    def _edge_with(self, seat: Seat, address: PackedIp) -> policy_gateways.VirtualGateway | None:
        """The gateway that has this address in the network, if it is a gateway's."""
        found = policy_gateways.virtual_gateway_of(self._state, seat.network)
        return found if found is not None and ip_text(address) in found.properties.gateway_addresses else None

    def _at_edge(self, seat: Seat, gateway: policy_gateways.VirtualGateway, target: PackedIp) -> TraceResult:
        """For the address that the gateway has in the network."""
        record = policy_gateways.gateway_record(self._state, seat.network)
        assert record is not None
        self._carry(seat, gateway, record)
        ref = f"/virtualGateways/{gateway.resource_id}"
        return TraceResult(True, tuple(self.path), reached_edge(self._host, target), ref)

    def _carry(self, seat: Seat, gateway: policy_gateways.VirtualGateway, record: GatewayRecord) -> None:
        """To the gateway that the sender's host finds alive."""
        ref = f"/virtualGateways/{gateway.resource_id}"
        if not record.gateways:
            raise Stopped(
                f"no gateway: none of the GatewayPools of {ref} has a gateway with a provider address",
                ref,
                {"record": "gatewayRecord", "virtualGateway": ref},
            )
        places = policy_gateways.places(self._state, seat.network, gateway.properties)
        place = next((one for one in record.gateways if one not in self._facts.dead(self._host)), None)
        if place is None:
            silent = ", ".join(server for server, _ in places)
            raise Stopped(f"no gateway: {self._host} finds none alive of those of {ref}: {silent}", ref)
        server = next(server for server, address in places if address == place)
        there = known(self._state, SERVERS, server).resource_id
        lookup = LookupRecord(record.vsid, record.addresses[0], record.mac, place)
        if there == self._host:
            self._step("output", "the gateway is on this host: no encapsulation", f"GatewayRecord {record.vsid}")
        else:
            self._tunnel(seat, lookup, there, f"GatewayRecord {record.vsid}")

    def _gateway(self, seat: Seat, subnet: Subnet, target: PackedIp) -> TraceResult:
        ref = f"{network_ref(seat.network)}/subnets/{subnet.resource_id}"
        self._step("routing", f"{ip_text(target)} is the distributed router of subnet {subnet.resource_id}")
        if self._protocol not in PING:
            raise Stopped(f"the distributed router answers ping only, not {self._protocol}", ref)
        return TraceResult(True, tuple(self.path), f"answered by the distributed router on {self._host}", ref)

    def _deliver(self, seat: Seat, holder: Interface, record: LookupRecord) -> TraceResult:
        machine = self._ends.running(holder)
        there = self._ends.server_name(machine)
        named = _name_of(record)
        address = record.customer_address
        if any(one.address == address for one in learnt_seats(self._state, holder)):
            self._step("learnt address", f"{ip_text(address)} was brought by the guest of {holder.resource_id}", named)
        if there == self._host:
            self._step("output", f"{holder.resource_id} is on this host: no encapsulation", named)
        else:
            self._tunnel(seat, record, there, named)
        self._filter(holder, inbound=True)
        self._step("output", f"delivered to port {holder.resource_id}", f"PortBinding {instance_of(holder)}")
        return TraceResult(True, tuple(self.path), self._reached(holder, there), ref_of(holder))

    def _reached(self, holder: Interface, there: str) -> str:
        silent = instance_of(holder) in self._facts.silent
        tail = "; the guest answers nothing (a firewall inside it?)" if silent else ""
        return f"delivered to port {holder.resource_id} on {there}{tail}"

    def _sent_from(self, seat: Seat) -> PackedIp | None:
        return provider_address(self._state, self._host, seat.network, seat.subnet)

    def _tunnel(self, seat: Seat, record: LookupRecord, there: str, named: str) -> None:
        own = self._sent_from(seat)
        if own is None:
            text = f"server {self._host} has no provider address for network {seat.network.resource_id}"
            raise Stopped(text, f"/servers/{self._host}", {"record": "providerAddress", "server": self._host})
        if is_rewriting(seat.network.properties):
            if self._probe is not None and self._probe.destination != record.customer_address:
                other = f"the packet would not say any more that it is for {ip_text(self._probe.destination)}"
                raise Stopped(f"no rewriting: {other}, so nobody on another host gets it", network_ref(seat.network))
            own = policy_network.rewritten(self._state, self._host, self._source, seat)
            if own is None:
                text = f"no rewriting: no provider address stands for {ip_text(seat.address)} on server {self._host}"
                raise Stopped(text, f"/servers/{self._host}", {"record": "providerAddress", "server": self._host})
            text = (
                f"{ip_text(seat.address)} travels as {ip_text(own)}, to {ip_text(record.provider_address)}; no tunnel"
            )
            self._step("rewriting", text, named)
            self._host = there
            stands = f"{ip_text(record.provider_address)} stands for {ip_text(record.customer_address)}"
            self._step("rewriting", stands, named)
            return
        settings = policy_network.settings(self._state, seat.network)
        encapsulation = settings.encapsulation.upper() + (", encrypted," if settings.encrypted else "")
        if settings.encrypted and self._facts.in_clear(self._host, record.provider_address):
            text = (
                f"not encrypted: tunnels from {self._host} to {there} are to be and are not, so the packet is dropped "
                f"there; weft host state {self._host} says why"
            )
            raise Stopped(text, f"/servers/{self._host}")
        outer = f"from {ip_text(own)} to {ip_text(record.provider_address)}"
        self._step("encapsulation", f"{encapsulation} {outer}, VSID {record.vsid}", named)
        self._host = there
        self._step("decapsulation", f"VSID {record.vsid} is known here", f"TunnelEndpoint {ip_text(own)}")


def _name_of(record: LookupRecord) -> str:
    return f"LookupRecord {record.vsid} {ip_text(record.customer_address)}"


def _name_of_route(route: CustomerRoute) -> str:
    return f"CustomerRoute {ip_text(route.prefix)}/{route.prefix_length}"


def _is_broadcast(seat: Seat, target: PackedIp) -> bool:
    if len(target) != 4:
        return False
    address = ipaddress.IPv4Address(target)
    prefixes = (
        ipaddress.ip_network(one.properties.address_prefix, strict=False) for one in seat.network.properties.subnets
    )
    return int(address) == 0xFFFFFFFF or any(
        isinstance(prefix, ipaddress.IPv4Network) and address == prefix.broadcast_address and prefix.prefixlen < 31
        for prefix in prefixes
    )
