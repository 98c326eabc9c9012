"""Policy and ports in, flows out. Keeps which record made which flows: one record changed builds only its own again.

Called by reconcile.py. Pure, but not a function: FlowTable holds what it was told and what follows from it. It promises
that after any series of puts and removes `flows` equals what a fresh FlowTable makes of the records that are left.
"""

from collections.abc import Callable, Iterable, Mapping

from weft.agent.bindings import Local
from weft.agent.flows import classify, fixed, l3
from weft.agent.flows.by_address import ByAddress
from weft.agent.flows.by_mac import ByMac
from weft.agent.flows.domain import Domain, Part
from weft.agent.flows.filters import Filters
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.flows.placing import Placing
from weft.agent.flows.ways import Way
from weft.agent.flows.ways_out import Dead, lookups_of
from weft.model.records import (
    GatewayRecord,
    NetworkRecord,
    PeerNetwork,
    ProviderAddress,
    Record,
    RecordKey,
    SubnetRecord,
)
from weft.model.values import PackedIp, Rdid, Vsid


class FlowTable:
    """All flows that this host should have."""

    def __init__(self) -> None:
        self.flows: dict[FlowKey, Flow] = {}
        self.changed: set[FlowKey] = set()
        """Keys whose flow came, went or changed; whoever has brought them to the switch clears it."""
        self._placing = Placing()
        self.domains = self._placing.domains
        self.physical = self._placing.physical
        self.filters = Filters(self.domains)
        self.built = 0
        """Parts built so far: tests and metrics see that a small change stays small."""
        self._tunnel_ports: dict[int, str] = {}
        self._dead: Dead = frozenset()
        self._pointers: dict[Rdid, frozenset[RecordKey]] = {}
        """Keys of the lookup records that follow from a domain's GatewayRecord."""
        self._made: dict[Part, tuple[FlowKey, ...]] = {}
        self._dirty: set[Part] = {("fixed",)}
        by_mac, by_address = ByMac(self._placing), ByAddress(self._placing)
        self._builders: dict[object, Callable[..., tuple[Flow, ...]]] = {
            "fixed": fixed.all_of_them,
            "tunnel": self._tunnel,
            "port": by_mac.of_port,
            "segment": by_mac.of_segment,
            "mac": by_mac.of_mac,
            "group": by_mac.of_group,
            "subnet": by_address.of_subnet,
            "gateway": by_address.of_gateway,
            "address": by_address.of_address,
            "endpoint": by_address.of_endpoint,
            "route": by_address.of_route,
            "exit": by_address.of_exit,
            "user": by_address.of_user_route,
            "peer": by_address.of_peer,
            "patch": self.physical.of_patch,
            "unmapped": self._unmapped,
            "list": self.filters.of_list,
            "rule": self.filters.of_rule,
            "scope": self._scope,
        }

    def put(self, rdid: Rdid, record: NetworkRecord) -> None:
        domain = self.domains.get(rdid)
        if domain is None:
            domain = self.domains[rdid] = Domain(rdid)
        before = domain.rewriting
        self._touch(domain.put(record))
        if domain.rewriting != before:
            self._dirty |= domain.parts() | {("unmapped",)}
        if isinstance(record, SubnetRecord):
            self._note_subnets(rdid, record.vsid)
        elif isinstance(record, GatewayRecord):
            self._point(domain)

    def remove(self, rdid: Rdid, key: RecordKey) -> None:
        domain = self.domains.get(rdid)
        if domain is None:
            return
        record, before = domain.records.get(key), domain.rewriting
        self._touch(domain.remove(key))
        self._dirty |= {("unmapped",)} if domain.rewriting != before else set()
        if isinstance(record, GatewayRecord):
            self._point(domain)
        if not domain.records:
            del self.domains[rdid]
        if isinstance(record, SubnetRecord):
            self._note_subnets(rdid, record.vsid)

    def set_ways(
        self, ways: Mapping[Rdid, Way], tunnel_ports: Mapping[int, str], own: frozenset[PackedIp] = frozenset()
    ) -> None:
        """How each routing domain's packets travel now, the numbers of all tunnel ports of ours, and the host's own
        provider addresses."""
        for domain in self.domains.values():
            self._dirty |= domain.parts_at(own ^ self._placing.own)
        self._placing.own = own
        for rdid in self._placing.ways.keys() | ways.keys():
            if self._placing.ways.get(rdid) != ways.get(rdid) and rdid in self.domains:
                self._dirty |= self.domains[rdid].parts()
                self._dirty |= {("group", vsid) for vsid in self.domains[rdid].hosts_in}
        self._placing.ways = dict(ways)
        changed = self._tunnel_ports.items() ^ tunnel_ports.items()
        self._dirty |= {("tunnel", number) for number, _ in changed}
        self._tunnel_ports = dict(tunnel_ports)
        self._dirty_locals(self._placing.locals.values())

    def set_patch(self, number: int | None, provider: tuple[ProviderAddress, ...]) -> None:
        """The number of the patch to the physical network, if it is there, and the host's own addresses on that."""
        known = self.physical
        if (number, provider) == (known.patch, known.provider):
            return
        before, known.patch, known.provider = known.patch, number, provider
        self._dirty |= {("unmapped",), *(("patch", one) for one in (before, number) if one is not None)}
        for domain in self.domains.values():
            self._dirty |= domain.parts() if domain.rewriting else set()
        for instance, local in self._placing.locals.items():
            if local.segment is not None:
                self._dirty |= {("port", instance), ("segment", local.segment.vlan), ("group", local.binding.vsid)}

    def set_locals(self, local: Mapping[str, Local]) -> None:
        """The interfaces with a binding here, by instance id."""
        for instance in self._placing.locals.keys() | local.keys():
            before, after = self._placing.locals.get(instance), local.get(instance)
            if before != after:
                self._dirty.add(("port", instance))
                self._dirty_locals(one for one in (before, after) if one is not None)
        self._dirty |= self.filters.used_by(local.values())
        self._placing.set_locals(local)

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
        return self._rewrites or any(one.segment is not None for one in self._placing.locals.values())

    @property
    def _rewrites(self) -> bool:
        return any(one.rewriting for one in self.domains.values())

    @property
    def dirty(self) -> bool:
        """Is there anything to build?"""
        return bool(self._dirty)

    def tunnel_mtu(self, rdid: Rdid) -> int:
        """Largest IP packet that a routing domain's tunnel carries from here; 0 if there is none."""
        way = self._placing.ways.get(rdid)
        return way.mtu if way else 0

    def record(self, rdid: Rdid, key: RecordKey) -> NetworkRecord | None:
        """What was last put under a key."""
        domain = self.domains.get(rdid)
        return domain.records.get(key) if domain else None

    def subnets_in(self, rdid: Rdid, vsid: Vsid) -> tuple[SubnetRecord, ...]:
        """The prefixes of a virtual subnet: one, or one of each family."""
        domain = self.domains.get(rdid)
        prefixes = sorted(domain.subnets_of.get(vsid, ()), key=lambda prefix: (len(prefix), prefix)) if domain else ()
        found = (domain.find(SubnetRecord, vsid, prefix) for prefix in prefixes) if domain else ()
        return tuple(record for record in found if record is not None)

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
        if self._placing.local_macs:
            for part in parts:
                # where a local machine is decides whether broadcasts go to its port or its host; while one leaves,
                # whether others are where it goes decides whether they go to all of that host
                if part[0] == "mac" and (part[1:] in self._placing.local_macs or part[1] in self._placing.left):
                    self._dirty.add(("group", part[1]))

    def _note_subnets(self, rdid: Rdid, vsid: Vsid) -> None:
        """A virtual subnet came or went; if it changed hands, all of it is built again. Peers route to it too."""
        key = PeerNetwork(rdid, "").key
        self._dirty |= {("peer", one.rdid, rdid) for one in self.domains.values() if key in one.records}
        self._dirty |= {("mac", *place) for place in self._placing.bridging if place[0] == vsid}
        before = self._placing.domain(vsid)
        self._placing.note_subnet(vsid)
        after = self._placing.domain(vsid)
        if before is not after:
            for domain in (before, after):
                if domain is not None:
                    self._dirty |= {part for part in domain.parts() if len(part) > 1 and part[1] == vsid}
                    self._dirty |= {("group", vsid)}

    def _dirty_locals(self, local: Iterable[Local]) -> None:
        for one in local:
            self._dirty.add(("mac", one.binding.vsid, one.binding.mac))
            self._dirty.add(("group", one.binding.vsid))
            if one.segment is not None:
                self._dirty.add(("segment", one.segment.vlan))
            domain = self._placing.domain(one.binding.vsid)
            if domain is not None and domain.rewriting:
                self._dirty |= domain.parts()

    def _scope(self, rdid: Rdid) -> tuple[Flow, ...]:
        domain = self.domains.get(rdid)
        known = domain.settings if domain is not None else None
        return (*self.filters.of_scope(rdid), *(l3.of_space(rdid, known.scope) if known is not None else ()))

    def _unmapped(self) -> tuple[Flow, ...]:
        return self.physical.unmapped() if self._rewrites else ()

    def _tunnel(self, number: int) -> tuple[Flow, ...]:
        kind = self._tunnel_ports.get(number)
        return classify.of_tunnel_port(number, kind) if kind is not None else ()
