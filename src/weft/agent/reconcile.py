"""What should be on the switch, what is there, and so what to do. Pure: the agent's loop carries the plan out.

Called by agent.py. Level, not edge: it may be told the same thing twice, in any order, and after a restart it is told
everything again. It promises that
* nothing is removed while the policy is not complete (`in_sync`), nor while it is not known what the switch has;
* the cost of a plan is that of what changed, also with 100 k flows;
* once a plan was carried out and nothing changed, the next is empty.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from weft.agent.bindings import CLOSED, Local, Role, bind, foreign_ports, under_lists, with_limits, without_rules
from weft.agent.drift import drift
from weft.agent.flows import classify as flows_classify
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.flows.metering import Meters
from weft.agent.flows.table import FlowTable
from weft.agent.flows.ways import TUNNEL_KINDS, Way, mtu_for
from weft.agent.flows.ways_out import Dead, binding_of, instance_of
from weft.agent.identity import own_adapters
from weft.agent.reach import Other
from weft.agent.switch import Peer, StepFailure, SwitchChange, SwitchFacts, SwitchMeter, Tunnel
from weft.agent.told import Told
from weft.model.hypervisor import MachineState
from weft.model.records import (
    EdgeNetwork,
    HostRecord,
    HostSettings,
    Machine,
    NetworkSettings,
    PortBinding,
    PortService,
    Record,
    RecordKey,
    TunnelEndpoint,
)
from weft.model.values import InstanceId, PackedIp, Rdid, ip_text
from weft.wire.messages import HOST_STREAM, PortFact, Problem

BLOCKED, FAILED = "PortBlocked", "PolicyConfigurationFailure"
"""configurationState codes, MS-NCNBI 2.2.4."""


class Reconciler:
    """Desired state and facts of one host."""

    def __init__(self) -> None:
        self.table = FlowTable()
        self.locals: dict[str, Local] = {}
        self.failures: tuple[StepFailure, ...] = ()
        """Of the last plan that was carried out."""
        self._told = Told()
        self._facts = SwitchFacts()
        self._meters = Meters()
        self._installed: dict[FlowKey, Flow] | None = None
        self._pending: set[FlowKey] = set()
        self._stale = True
        """Bindings and ways must be worked out again."""
        self._peers_stale = True
        self._peers: frozenset[Peer] = frozenset()
        self._ways: dict[Rdid, Way] = {}
        self.others: frozenset[Other] = frozenset()
        """Hosts that networks here send to."""
        self._reached: set[Peer] = set()
        self._tunnels: frozenset[Tunnel] = frozenset()
        self._made: set[Tunnel] = set()
        self._mtus_asked: dict[str, tuple[int, int]] = {}
        """By port name: its number, and the MTU last asked for."""

    # told

    def put(self, stream: int, key: RecordKey, record: Record | None) -> None:
        """A record of a stream is this now, or gone."""
        if stream == HOST_STREAM:
            self._told.put(key, record)
            self.table.set_list(key, record)
            self._stale = True
            return
        rdid = Rdid(stream)
        if record is None:
            self.table.remove(rdid, key)
        elif not isinstance(record, HostRecord):
            self.table.put(rdid, record)
        if key[0] == NetworkSettings.__struct_config__.tag:
            self._stale = True
        if key[0] == TunnelEndpoint.__struct_config__.tag:
            self._peers_stale = True

    def switch_is(self, facts: SwitchFacts) -> None:
        if facts != self._facts:
            self._facts, self._stale = facts, True

    def machines_are(self, states: Iterable[MachineState]) -> None:
        """All that the hypervisor has, strangers too. Told only where there is a driver."""
        self._stale = self._told.machines_are(states) or self._stale

    def dead_are(self, dead: Dead) -> None:
        """These gateways do not answer this host, by provider address."""
        self.table.set_dead(dead)

    def switch_lost(self) -> None:
        """The connection broke: what the switch has must be read again, and every peer be prepared again."""
        self._installed = None
        self._meters.lost()
        self._reached.clear()

    def switch_has(self, flows: Iterable[Flow], meters: Iterable[SwitchMeter] = ()) -> tuple[str, ...]:
        """All flows with our mark, and all meters. Returns in words which flows another hand changed since the last
        plan; nothing at first."""
        self._work_out()
        changed = self._meters.has(meters)
        before = self._installed
        self._installed = {flow.key: flow for flow in flows}
        desired = self.table.flows
        self._pending |= {key for key, flow in desired.items() if self._installed.get(key) != flow}
        self._pending |= self._installed.keys() - desired.keys()
        return () if before is None else (*drift(before, self._installed), *changed)

    # asked

    @property
    def knows_switch(self) -> bool:
        return self._installed is not None

    @property
    def settled(self) -> bool:
        """Has the switch confirmed everything that can be done now? Then what was received is applied."""
        present = {port.tunnel for port in self._facts.ports if port.tunnel and port.ofport > 0}
        return (
            self._installed is not None
            and not self._pending
            and not self._meters.to_set
            and not self._stale
            and not self.table.dirty
            and self._tunnels <= present
            and (self._patch or not self.table.wants_patch or any(one.step == "patch" for one in self.failures))
            and not any(failure.step in ("flows", "tunnel") for failure in self.failures)
        )

    def plan(self, in_sync: bool) -> SwitchChange:
        """What to do next."""
        self._work_out()
        present = {port.tunnel for port in self._facts.ports if port.tunnel}
        puts, removes = self._flow_changes(in_sync) if self._installed is not None else ((), ())
        return SwitchChange(
            tunnels_add=tuple(sorted(self._tunnels - present, key=_tunnel_order)),
            patch_add=self._physical() if self.table.wants_patch and not self._patch else None,
            peers=tuple(sorted(self._peers - self._reached, key=lambda peer: (peer.local, peer.remote))),
            mtus=self._mtus(),
            meters=self._meters.to_set,
            zones_flush=self._zones(puts),
            puts=puts,
            removes=removes,
            meters_remove=self._meters.to_remove if in_sync else (),
            tunnels_remove=tuple(sorted(present - self._tunnels, key=_tunnel_order)) if in_sync else (),
            patch_remove=in_sync and self._patch and not self.table.wants_patch,
        )

    def done(self, change: SwitchChange, failures: tuple[StepFailure, ...]) -> None:
        """The change was carried out, but for the steps that failed; those stay to be done."""
        refused = {failure.flow for failure in failures if failure.step == "flows"}
        for failure in failures:
            if failure.step == "mtu":
                self._mtus_asked.pop(failure.subject, None)
        self._meters.done(change, failures)
        self._reached |= set(change.peers) - {failure.peer for failure in failures}
        self._made |= set(change.tunnels_add)
        if None not in refused and self._installed is not None:
            for key in change.removes:
                self._installed.pop(key, None)
            for flow in change.puts:
                key = flow.key
                if key not in refused:
                    self._installed[key] = flow
            self._drop_settled(self._installed)
        self.failures = failures

    def mtu(self, binding: PortBinding) -> int:
        """Largest IP packet that the interface's network carries."""
        if not binding.rdid:  # a logical network: no tunnel
            return self._facts.provider_mtu
        family = 6 if len(binding.provider_address) == 16 else 4
        return mtu_for(self._encapsulation(binding), self._facts.provider_mtu, family)

    def _encapsulation(self, binding: PortBinding) -> str:
        domain = self.table.domains.get(binding.rdid)
        return domain.settings.encapsulation if domain and domain.settings else "vxlan"

    def guest_mtu(self, local: Local) -> int:
        """What the guest is told: also not more than a port takes that another hand has made smaller."""
        port, most = local.port, self.mtu(local.binding)
        return min(most, port.mtu) if port is not None and port.mtu and not port.mtu_of_ours else most

    def service_of(self, instance_id: str) -> PortService | None:
        """What was told of one interface's guest alone."""
        found = self._told.records.get(PortService(InstanceId(instance_id)).key)
        return found if isinstance(found, PortService) else None

    def port_facts(self) -> tuple[PortFact, ...]:
        return tuple(self.locals[instance].fact() for instance in sorted(self.locals) if not self.locals[instance].edge)

    @property
    def machines(self) -> Mapping[str, Machine]:
        return self._told.machines

    @property
    def edges(self) -> list[EdgeNetwork]:
        """What this host does as a gateway."""
        return self._told.edges

    @property
    def gateways(self) -> frozenset[Peer]:
        """Gateways that networks here use, each with the address that this host sends from."""
        own = self._own_addresses()
        found = set()
        for rdid, domain in self.table.domains.items():
            local = own.get(rdid) or own.get(None)
            if domain.gateway is not None and local is not None:
                found |= {Peer(local, remote) for remote in domain.gateway.gateways if remote != local}
        return frozenset(found)

    @property
    def settings(self) -> HostSettings:
        """What is wanted of the host itself."""
        return self._told.settings

    @property
    def switch_facts(self) -> SwitchFacts:
        """What the switch last said."""
        return self._facts

    @property
    def states(self) -> Mapping[str, MachineState]:
        """What the hypervisor says of our machines, by resource id."""
        return self._told.states or {}

    def problems(self, trouble: str = "") -> tuple[Problem, ...]:
        """What keeps the host from its policy; `trouble` is why the switch does not answer."""
        closed = [
            Problem(BLOCKED, f"{local.binding.network_interface}: {local.reason}; the port is closed", instance)
            for instance, local in sorted(self.locals.items())
            if local.fact().state == CLOSED
        ]
        dead = [
            Problem(FAILED, f"the switch could not open tunnel port {port.name}")
            for port in self._facts.ports
            if port.tunnel and port.ofport <= 0
        ]
        failed = [Problem(FAILED, f"{one.step} {one.subject}: {one.message}") for one in self.failures]
        unruled = [Problem(BLOCKED, words, one) for one, words in without_rules(self.locals, self.table.filters.lists)]
        silent = [Problem(FAILED, f"the switch does not answer: {trouble}")] if trouble else []
        return (*silent, *closed, *dead, *failed, *self._too_large(), *unruled)

    def _too_large(self) -> Iterable[Problem]:
        """Guests that believe that their network carries more than it does: each such packet costs an error."""
        machine_of: dict[str, str] = {
            instance: one.machine for one in self.machines.values() for instance in one.instance_ids
        }
        for instance, local in sorted(self.locals.items()):
            machine, most = machine_of.get(instance, ""), self.mtu(local.binding)
            state = self.states.get(machine)
            kind = self._encapsulation(local.binding).upper() if local.segment is None else "a frame"
            within = f"{kind} inside {self._facts.provider_mtu} carries {most}"
            name = local.binding.network_interface
            if state is not None and state.power == "Running" and state.mtu > most:
                words = (
                    f"{name}: the guest's MTU is {state.mtu}, {within}; restart {machine} or lower its MTU to {most}"
                )
                yield Problem(FAILED, words, instance)

    def foreign(self) -> tuple[str, ...]:
        return foreign_ports(self.locals, self._facts)

    def own_adapters(self) -> frozenset[tuple[str, int]]:
        """Ports, by name and MAC address, that the hypervisor says are our machines', with an address of theirs."""
        return own_adapters(self.states, self.machines)

    def missing_tunnels(self) -> tuple[str, ...]:
        """Tunnel ports that were there and are gone: another hand's work, to be reported."""
        present = {port.tunnel for port in self._facts.ports if port.tunnel}
        gone = (self._made & self._tunnels) - present
        self._made = (self._made | (present & self._tunnels)) - gone
        return tuple(
            f"tunnel port {one.kind} of {ip_text(one.local)} was gone" for one in sorted(gone, key=_tunnel_order)
        )

    # worked out

    def _work_out(self) -> None:
        if self._stale:
            self._stale = False
            bindings = [*self._told.bindings, *map(binding_of, self._told.edges)]
            bound = bind(bindings, self.machines.values(), self._facts, self._told.states, self._told.segments)
            self.locals = with_limits(under_lists(bound, self._told.access), self._told.limits)
            for edge in self._told.edges:
                # it stands back as a machine that does not run: neighbours take the gateway that carries the network
                local = self.locals[instance_of(edge)]
                self.locals[instance_of(edge)] = replace(local, role=Role.IDLE, edge=True)
            self.table.set_locals(self.locals)
            self._meters.want(self.locals.values())
            self._find_ways()
            self._peers_stale = True
        if self._peers_stale:
            self._peers_stale = False
            self._peers = frozenset(self._wanted_peers())
            self.others = frozenset(self._reached_by_tunnel())
            self._reached &= self._peers
        self.table.build()
        self._pending |= self.table.changed
        self.table.changed.clear()

    def _find_ways(self) -> None:
        numbers = {port.tunnel: port.ofport for port in self._facts.ports if port.tunnel and port.ofport > 0}
        wanted: set[Tunnel] = set()
        ways: dict[Rdid, Way] = {}
        patch = next((port.ofport for port in self._facts.ports if port.patch and port.ofport > 0), None)
        self.table.set_patch(patch, tuple(self._told.provider_addresses))
        own = self._own_addresses()
        for rdid, domain in self.table.domains.items():
            local = own.get(rdid) or own.get(None)
            if domain.settings is None or domain.rewriting or local is None:
                continue
            tunnel = Tunnel(TUNNEL_KINDS[domain.settings.encapsulation], local)
            wanted.add(tunnel)
            if tunnel in numbers:
                mtu = mtu_for(domain.settings.encapsulation, self._facts.provider_mtu, 6 if len(local) == 16 else 4)
                ways[rdid] = Way(tunnel, numbers[tunnel], mtu)
        self._tunnels = frozenset(wanted)
        self._ways = ways
        self.table.set_ways(ways, {number: tunnel.kind for tunnel, number in numbers.items()})

    @property
    def _patch(self) -> bool:
        """Is the patch to the physical network there, open or not?"""
        return any(port.patch for port in self._facts.ports)

    @property
    def rewriting(self) -> Mapping[Rdid, int]:
        """Networks without a tunnel, with the VLAN of the provider network."""
        vlan = next((one.vlan for one in self._told.provider_addresses), 0)
        return {rdid: vlan for rdid, domain in self.table.domains.items() if domain.rewriting}

    def _physical(self) -> tuple[PackedIp, ...]:
        return tuple(one.address for one in self._told.provider_addresses)

    def _own_addresses(self) -> Mapping[Rdid | None, PackedIp]:
        """This host's provider address per routing domain; under None the one for domains without a port here."""
        first = min((one.address for one in self._told.provider_addresses), default=None)
        own: dict[Rdid | None, PackedIp] = {} if first is None else {None: first}
        for binding in (*self._told.bindings, *map(binding_of, self._told.edges)):
            if binding.provider_address:
                own[binding.rdid] = binding.provider_address
        return own | self._told.places

    def _wanted_peers(self) -> Iterable[Peer]:
        own = self._own_addresses()
        for rdid, domain in self.table.domains.items():
            local = own.get(rdid) or own.get(None)
            if local is not None:
                for remote in domain.endpoints():
                    if remote != local:
                        yield Peer(local, remote)

    def _reached_by_tunnel(self) -> Iterable[Other]:
        for rdid, way in self._ways.items():
            domain = self.table.domains.get(rdid)
            for remote in domain.endpoints() if domain is not None else ():
                if remote != way.tunnel.local:
                    yield Other(way, remote)

    def _flow_changes(self, in_sync: bool) -> tuple[tuple[Flow, ...], tuple[FlowKey, ...]]:
        self._drop_settled(self._installed or {})
        puts = tuple(self.table.flows[key] for key in self._pending if key in self.table.flows)
        removes = tuple(key for key in self._pending if key not in self.table.flows)
        return puts, removes if in_sync else ()

    def _zones(self, puts: Iterable[Flow]) -> tuple[int, ...]:
        """Conntrack zones of ports that are bound anew: connections of whoever had the number before are not theirs.

        A port whose entrance is on the switch as it was keeps its connections: also over a restart of the agent.
        """
        installed = self._installed or {}
        fresh = set()
        for flow in puts:
            number = flows_classify.entrance(flow)
            if number is not None:
                before = installed.get(flow.key)
                if before is None or flows_classify.identity(before) != flows_classify.identity(flow):
                    fresh.add(number)
        return tuple(sorted(fresh))

    def _drop_settled(self, installed: Mapping[FlowKey, Flow]) -> None:
        """A new set: walking one that once was large takes as long as if it still were."""
        desired = self.table.flows
        self._pending = {key for key in self._pending if desired.get(key) != installed.get(key)}

    def _mtus(self) -> tuple[tuple[str, int], ...]:
        """Ports with another MTU than they should have: the physical network's, for a port drops what is larger in
        silence; of what no tunnel carries the guest is told. An edge's kernel tells it itself, so its port takes what
        the tunnel carries. Asked once per port and MTU until it is so: not every switch can set it."""
        wanted = []
        for local in self.locals.values():
            port, most = local.port, self.mtu(local.binding) if local.edge else self._facts.provider_mtu
            if port is None:
                continue
            if not (port.mtu > most or (port.mtu_of_ours and port.mtu < most)):
                self._mtus_asked.pop(port.name, None)
                continue
            if self._mtus_asked.get(port.name) != (asked := (port.ofport, most)):
                self._mtus_asked[port.name] = asked
                wanted.append((port.name, most))
        return tuple(sorted(wanted))


def _tunnel_order(tunnel: Tunnel) -> tuple[str, bytes]:
    return tunnel.kind, tunnel.local
