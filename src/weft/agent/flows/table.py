"""Policy and ports in, flows out. Keeps which record made which flows: one record changed builds only its own again.

Called by reconcile.py. Pure, but not a function: FlowTable holds what it was told and what follows from it. It promises
that after any series of puts and removes `flows` equals what a fresh FlowTable makes of the records that are left.
"""

from collections.abc import Callable, Iterable, Mapping

from weft.agent.bindings import Local, Role
from weft.agent.flows import classify as flows_classify
from weft.agent.flows import decap as flows_decap
from weft.agent.flows import fixed as flows_fixed
from weft.agent.flows import l2 as flows_l2
from weft.agent.flows import l3 as flows_l3
from weft.agent.flows import ports as flows_ports
from weft.agent.flows import responder as flows_responder
from weft.agent.flows import segment as flows_segment
from weft.agent.flows.actions import Actions
from weft.agent.flows.domain import Domain, Part
from weft.agent.flows.doors import door_of, is_elsewhere, passed_on, stands_back
from weft.agent.flows.filters import Filters
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.flows.ways import Door, Way, into, into_each
from weft.agent.flows.ways_out import Dead, lookups_of
from weft.agent.physical import Physical
from weft.model.records import (
    GatewayRecord,
    LookupRecord,
    NetworkRecord,
    PeerNetwork,
    ProviderAddress,
    Record,
    RecordKey,
    SubnetRecord,
    UserRoute,
)
from weft.model.values import Mac, PackedIp, Rdid, Vsid


class FlowTable:
    """All flows that this host should have."""

    def __init__(self) -> None:
        self.flows: dict[FlowKey, Flow] = {}
        self.changed: set[FlowKey] = set()
        """Keys whose flow came, went or changed; whoever has brought them to the switch clears it."""
        self.domains: dict[Rdid, Domain] = {}
        self.filters = Filters(self.domains)
        self.built = 0
        """Parts built so far: tests and metrics see that a small change stays small."""
        self._domain_of: dict[Vsid, list[Domain]] = {}
        """Domains that name a virtual subnet, newest (highest RDID) first; two only while it changes hands."""
        self._ways: dict[Rdid, Way] = {}
        self._tunnel_ports: dict[int, str] = {}
        self.physical = Physical()
        self._locals: dict[str, Local] = {}
        self._local_macs: dict[tuple[Vsid, Mac], Local] = {}
        self._left: frozenset[Vsid] = frozenset()
        self._dead: Dead = frozenset()
        self._pointers: dict[Rdid, frozenset[RecordKey]] = {}
        """Keys of the lookup records that follow from a domain's GatewayRecord."""
        self._made: dict[Part, tuple[FlowKey, ...]] = {}
        self._dirty: set[Part] = {("fixed",)}
        self._builders: dict[object, Callable[..., tuple[Flow, ...]]] = {
            "fixed": flows_fixed.all_of_them,
            "tunnel": self._tunnel,
            "port": self._port,
            "subnet": self._subnet,
            "gateway": self._gateway,
            "address": self._address,
            "mac": self._mac,
            "group": self._group,
            "endpoint": self._endpoint,
            "route": self._route,
            "exit": self._exit,
            "user": self._user,
            "patch": self.physical.of_patch,
            "segment": self._segment,
            "peer": self._peer,
            "list": self.filters.of_list,
            "rule": self.filters.of_rule,
            "scope": self.filters.of_scope,
        }

    def put(self, rdid: Rdid, record: NetworkRecord) -> None:
        domain = self.domains.get(rdid)
        if domain is None:
            domain = self.domains[rdid] = Domain(rdid)
        before = domain.rewriting
        self._touch(domain.put(record))
        if domain.rewriting != before:
            self._dirty |= domain.parts()
        if isinstance(record, SubnetRecord):
            self._note_subnets(rdid, record.vsid)
        elif isinstance(record, GatewayRecord):
            self._point(domain)

    def remove(self, rdid: Rdid, key: RecordKey) -> None:
        domain = self.domains.get(rdid)
        if domain is None:
            return
        record = domain.records.get(key)
        self._touch(domain.remove(key))
        if isinstance(record, GatewayRecord):
            self._point(domain)
        if not domain.records:
            del self.domains[rdid]
        if isinstance(record, SubnetRecord):
            self._note_subnets(rdid, record.vsid)

    def set_ways(self, ways: Mapping[Rdid, Way], tunnel_ports: Mapping[int, str]) -> None:
        """How each routing domain's packets travel now, and the numbers of all tunnel ports of ours."""
        for rdid in self._ways.keys() | ways.keys():
            if self._ways.get(rdid) != ways.get(rdid) and rdid in self.domains:
                self._dirty |= self.domains[rdid].parts()
                self._dirty |= {("group", vsid) for vsid in self.domains[rdid].hosts_in}
        self._ways = dict(ways)
        changed = self._tunnel_ports.items() ^ tunnel_ports.items()
        self._dirty |= {("tunnel", number) for number, _ in changed}
        self._tunnel_ports = dict(tunnel_ports)
        self._dirty_locals(self._locals.values())

    def set_patch(self, number: int | None, provider: tuple[ProviderAddress, ...]) -> None:
        """The number of the patch to the physical network, if it is there, and the host's own addresses on that."""
        known = self.physical
        if (number, provider) == (known.patch, known.provider):
            return
        before, known.patch, known.provider = known.patch, number, provider
        self._dirty |= {("patch", one) for one in (before, number) if one is not None}
        for domain in self.domains.values():
            self._dirty |= domain.parts() if domain.rewriting else set()
        for instance, local in self._locals.items():
            if local.segment is not None:
                self._dirty |= {("port", instance), ("segment", local.segment.vlan), ("group", local.binding.vsid)}

    def set_locals(self, local: Mapping[str, Local]) -> None:
        """The interfaces with a binding here, by instance id."""
        for instance in self._locals.keys() | local.keys():
            before, after = self._locals.get(instance), local.get(instance)
            if before != after:
                self._dirty.add(("port", instance))
                self._dirty_locals(one for one in (before, after) if one is not None)
        self._dirty |= self.filters.used_by(local.values())
        self._locals = dict(local)
        self._left = frozenset(one.binding.vsid for one in local.values() if one.binding.forward_to)
        self._local_macs = {}
        for instance in sorted(local):
            one = local[instance]
            place = (one.binding.vsid, one.binding.mac)
            known = self._local_macs.get(place)
            if known is None or stands_back(one) < stands_back(known):
                self._local_macs[place] = one

    def set_dead(self, dead: Dead) -> None:
        """Gateways that this host finds dead, by provider address: what goes outside takes another."""
        self._dead = frozenset(dead)
        for domain in self.domains.values():
            if domain.gateway is not None:
                self._point(domain)

    def _point(self, domain: Domain) -> None:
        wanted = {one.key: one for one in lookups_of(domain.gateway, self._dead)}
        for key in self._pointers.pop(domain.rdid, frozenset()) - wanted.keys():
            self._touch(domain.remove(key))
        for record in wanted.values():
            self._touch(domain.put(record))
        if wanted:
            self._pointers[domain.rdid] = frozenset(wanted)

    def set_list(self, key: RecordKey, record: Record | None) -> None:
        self._dirty |= self.filters.put(key, record)

    @property
    def wants_patch(self) -> bool:
        """Is there an interface on the physical network, or one whose addresses are rewritten to be?"""
        rewriting = any(one.rewriting for one in self.domains.values())
        return rewriting or any(one.segment is not None for one in self._locals.values())

    @property
    def dirty(self) -> bool:
        """Is there anything to build?"""
        return bool(self._dirty)

    def tunnel_mtu(self, rdid: Rdid) -> int:
        """Largest IP packet that a routing domain's tunnel carries from here; 0 if there is none."""
        way = self._ways.get(rdid)
        return way.mtu if way else 0

    def record(self, rdid: Rdid, key: RecordKey) -> NetworkRecord | None:
        """What was last put under a key."""
        domain = self.domains.get(rdid)
        return domain.records.get(key) if domain else None

    def subnets_in(self, rdid: Rdid, vsid: Vsid) -> tuple[SubnetRecord, ...]:
        """The prefixes of a virtual subnet: one, or one of each family."""
        domain = self.domains.get(rdid)
        prefixes = sorted(domain.subnets_of.get(vsid, ()), key=lambda prefix: (len(prefix), prefix)) if domain else ()
        found = (domain.records.get((2, vsid, prefix)) for prefix in prefixes) if domain else ()
        return tuple(record for record in found if isinstance(record, SubnetRecord))

    def build(self) -> None:
        """Bring `flows` up to date; the cost is that of what changed."""
        dirty, self._dirty = self._dirty, set()
        self.built += len(dirty)
        left: set[FlowKey] = set()
        made: dict[FlowKey, Flow] = {}
        builders, made_of = self._builders, self._made
        for part in dirty:
            left.update(made_of.pop(part, ()))
            flows = builders[part[0]](*part[1:])
            if flows:
                made_of[part] = keys = tuple([flow.key for flow in flows])
                made.update(zip(keys, flows, strict=True))
        # removals of all parts first: a port number freed by one interface may already belong to the next
        for key in left - made.keys():
            self.flows.pop(key, None)
            self.changed.add(key)
        # a key is hashed anew each time it is looked up, so a full load goes by whole sets
        for key in made.keys() & self.flows.keys():
            if self.flows[key] == made[key]:
                del made[key]
        self.flows.update(made)
        self.changed.update(made)

    def _touch(self, parts: set[Part]) -> None:
        self._dirty |= parts
        if self._local_macs:
            for part in parts:
                # where a local machine is decides whether broadcasts go to its port or its host, where others are
                # whether those of one that has left are passed on
                if part[0] == "mac" and (part[1:] in self._local_macs or part[1] in self._left):
                    self._dirty.add(("group", part[1]))

    def _note_subnets(self, rdid: Rdid, vsid: Vsid) -> None:
        """A virtual subnet came or went; if it changed hands, all of it is built again. Peers route to it too."""
        self._dirty |= {("peer", one.rdid, rdid) for one in self.domains.values() if (6, rdid) in one.records}
        before = self._domain(vsid)
        naming = [domain for domain in self.domains.values() if vsid in domain.subnets_of]
        self._domain_of[vsid] = sorted(naming, key=lambda domain: -domain.rdid)
        after = self._domain(vsid)
        if before is not after:
            for domain in (before, after):
                if domain is not None:
                    self._dirty |= {part for part in domain.parts() if len(part) > 1 and part[1] == vsid}
                    self._dirty |= {("group", vsid)}
        if not naming:
            del self._domain_of[vsid]

    def _domain(self, vsid: Vsid) -> Domain | None:
        naming = self._domain_of.get(vsid)
        return naming[0] if naming else None

    def _dirty_locals(self, local: Iterable[Local]) -> None:
        for one in local:
            self._dirty.add(("mac", one.binding.vsid, one.binding.mac))
            self._dirty.add(("group", one.binding.vsid))
            if one.segment is not None:
                self._dirty.add(("segment", one.segment.vlan))
            domain = self._domain(one.binding.vsid)
            if domain is not None and domain.rewriting:
                self._dirty |= domain.parts()

    def _tunnel(self, number: int) -> tuple[Flow, ...]:
        kind = self._tunnel_ports.get(number)
        return flows_classify.of_tunnel_port(number, kind) if kind is not None else ()

    def _subnet(self, vsid: Vsid) -> tuple[Flow, ...]:
        domain = self._domain(vsid)
        way = self._ways.get(domain.rdid) if domain else None
        return flows_classify.of_subnet(domain.rdid, vsid, way) if domain and way else ()

    def _gateway(self, vsid: Vsid, prefix: PackedIp) -> tuple[Flow, ...]:
        domain = self._domain(vsid)
        subnet = domain.records.get((2, vsid, prefix)) if domain else None
        if domain is None or not isinstance(subnet, SubnetRecord):
            return ()
        return (flows_responder.of_gateway(vsid, subnet.gateway), *flows_l3.of_gateway(domain.rdid, subnet.gateway))

    def _address(self, vsid: Vsid, address: PackedIp) -> tuple[Flow, ...]:
        """What every host knows of a customer address, wherever it is."""
        domain = self._domain(vsid)
        record = domain.lookup(vsid, address) if domain else None
        if record is None:
            return ()
        return (
            flows_responder.of_address(vsid, address, record.mac),
            flows_l3.of_neighbour(vsid, address, record.mac),
            *self._rewritten(domain, record),
        )

    def _rewritten(self, domain: Domain | None, record: LookupRecord) -> tuple[Flow, ...]:
        if domain is None or not domain.rewriting:
            return ()
        return self.physical.rewritten(domain.rdid, record, self._local_macs.get((record.vsid, record.mac)))

    def _port(self, instance: str) -> tuple[Flow, ...]:
        local = self._locals.get(instance)
        return flows_ports.of_local(local, self.physical.provider) if local is not None else ()

    def _segment(self, vlan: int) -> tuple[Flow, ...]:
        return self.physical.of_segment(vlan, self._locals.values())

    def _endpoint(self, rdid: Rdid, address: PackedIp) -> tuple[Flow, ...]:
        domain, way = self.domains.get(rdid), self._ways.get(rdid)
        if domain is None or (4, address) not in domain.records or way is None or address == way.tunnel.local:
            return ()
        return (flows_decap.of_endpoint(rdid, address),)

    def _route(self, rdid: Rdid, prefix: PackedIp, length: int) -> tuple[Flow, ...]:
        domain = self.domains.get(rdid)
        routes = domain.routes.get((prefix, length)) if domain else None
        if not routes:
            return ()
        best = min(routes.values(), key=lambda route: (route.metric, route.vsid))
        return (flows_l3.of_route(rdid, best),)

    def _exit(self, rdid: Rdid) -> tuple[Flow, ...]:
        """A way out that no gateway serves: what would take it is counted, instead of having no record."""
        domain = self.domains.get(rdid)
        record = domain.gateway if domain else None
        return flows_l3.of_no_gateway(record) if record is not None and not record.gateways else ()

    def _user(self, vsid: Vsid, prefix: PackedIp, length: int) -> tuple[Flow, ...]:
        domain = self._domain(vsid)
        route = domain.records.get((9, vsid, prefix, length)) if domain else None
        return (flows_l3.of_user_route(route),) if isinstance(route, UserRoute) else ()

    def _peer(self, rdid: Rdid, other: Rdid) -> tuple[Flow, ...]:
        """From one network into the subnets of another; that one's stream is here too."""
        domain, there = self.domains.get(rdid), self.domains.get(other)
        peer = domain.records.get((6, other)) if domain else None
        if there is None or not isinstance(peer, PeerNetwork):
            return ()
        return tuple(flow for subnet in there.subnets for flow in flows_l3.of_peer_subnet(rdid, peer, subnet))

    def _record_of_mac(self, domain: Domain | None, vsid: Vsid, mac: Mac) -> LookupRecord | None:
        addresses = domain.addresses_of.get((vsid, mac)) if domain else None
        return domain.lookup(vsid, addresses[0]) if domain and addresses else None

    def _mac(self, vsid: Vsid, mac: Mac) -> tuple[Flow, ...]:
        domain = self._domain(vsid)
        local = self._local_macs.get((vsid, mac))
        place = self._place(domain, vsid, mac, local)
        flows = []
        if isinstance(place, Door):
            flows.append(flows_l2.of_mac(vsid, mac, into(place)))
        elif place:
            way = self._way(domain, local)
            flows += [flows_l2.of_mac(vsid, mac, way.to(vsid, place))] if way else []
        if local is not None and self._gone(domain, local):
            # without a tunnel nothing can be passed on
            flows += (
                ()
                if domain and domain.rewriting
                else flows_decap.of_stray(vsid, mac, local.binding.forward_to, door_of(local))
            )
        elif local is not None and (door := door_of(local)) is not None and not is_elsewhere(local):
            flows.append(flows_decap.of_local_mac(vsid, mac, door))
        if domain is not None and any(len(address) == 16 for address in domain.addresses_of.get((vsid, mac), ())):
            flows.append(flows_responder.of_link_local(vsid, mac))
        return tuple(flows)

    def _way(self, domain: Domain | None, local: Local | None) -> Way | None:
        rdid = domain.rdid if domain else local.binding.rdid if local else None
        return self._ways.get(rdid) if rdid is not None else None

    def _gone(self, domain: Domain | None, local: Local) -> bool:
        """Has the machine left? Its record pointing to the new host says so too, where no hypervisor does."""
        if not local.binding.forward_to:
            return False
        record = self._record_of_mac(domain, local.binding.vsid, local.binding.mac)
        return local.role is Role.GONE or (record is not None and record.provider_address == local.binding.forward_to)

    def _place(self, domain: Domain | None, vsid: Vsid, mac: Mac, local: Local | None) -> Door | PackedIp | None:
        """Where this host sends frames for a MAC: a port, a provider address, or nowhere."""
        if local is not None and local.segment is not None:
            # elsewhere is wherever the physical network finds it
            return door_of(local) if local.role is Role.HERE else None
        record = self._record_of_mac(domain, vsid, mac)
        told = record.provider_address if record else None
        if local is None:
            way = self._way(domain, None)
            return told if way and told != way.tunnel.local else None
        own = local.binding.provider_address
        if self._gone(domain, local):
            return told if told and told != own else local.binding.forward_to
        if local.number is None or (local.role in (Role.COMING, Role.IDLE) and told is not None):
            return door_of(local) if told == own else told
        return door_of(local)

    def _group(self, vsid: Vsid) -> tuple[Flow, ...]:
        domain = self._domain(vsid)
        doors: set[Door] = set()
        hosts: set[PackedIp] = set(domain.hosts_in.get(vsid, ())) if domain else set()
        here = [(mac, local) for (where, mac), local in self._local_macs.items() if where == vsid]
        for mac, local in here:
            place = self._place(domain, vsid, mac, local)
            if isinstance(place, Door):
                doors.add(place)
            elif place:
                hosts.add(place)
        way = self._ways.get(domain.rdid) if domain else None
        ports = into_each(sorted(doors, key=lambda door: door.number))
        copies: Actions = way.copy_to(vsid, tuple(sorted(hosts - {way.tunnel.local}))) if way else ()
        if self.physical.patch is not None:
            vlans = {local.segment.vlan for _, local in here if local.segment is not None}
            copies += tuple(
                action for vlan in sorted(vlans) for action in flows_segment.out_by(self.physical.patch, vlan)
            )
        flows = [flows_l2.of_group(vsid, ports, copies)] if ports or copies else []
        gone = [local for _, local in here if way and self._gone(domain, local)]
        flows += flows_decap.of_group(vsid, ports, passed_on(domain, vsid, gone, bool(doors)))
        return tuple(flows)
