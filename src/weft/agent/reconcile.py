"""What should be on the switch, what is there, and so what to do. Pure: the agent's loop carries the plan out.

Called by agent.py. Level, not edge: it may be told the same thing twice, in any order, and after a restart it is told
everything again. It promises that
* nothing is removed while the policy is not complete (`in_sync`), nor while it is not known what the switch has;
* the cost of a plan is that of what changed, also with 100 k flows;
* once a plan was carried out and nothing changed, the next is empty.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from weft.agent.bindings import (
    CLOSED,
    Local,
    Role,
    bind,
    foreign_ports,
    under_lists,
    with_learning,
    with_limits,
    without_rules,
)
from weft.agent.encryption import Pair
from weft.agent.flows.flow import Flow
from weft.agent.flows.installed import Installed
from weft.agent.flows.metering import Meters
from weft.agent.flows.table import FlowTable
from weft.agent.flows.ways_out import Dead, binding_of, instance_of
from weft.agent.identity import own_adapters
from weft.agent.mtus import Mtus
from weft.agent.own_addresses import OwnAddresses
from weft.agent.provider_routes import ProviderRoutes
from weft.agent.switch import StepFailure, SwitchChange, SwitchFacts, SwitchMeter
from weft.agent.told import Told
from weft.agent.tunnels import Tunnels, numbers_of
from weft.agent.unseen import Unseen
from weft.model.hypervisor import MachineState
from weft.model.records import (
    EdgeNetwork,
    HostRecord,
    HostSettings,
    Machine,
    NetworkSettings,
    PortService,
    Record,
    RecordKey,
    TunnelEndpoint,
)
from weft.model.values import InstanceId, PackedIp, Rdid
from weft.wire.messages import HOST_STREAM, PortFact, Problem

BLOCKED, FAILED = "PortBlocked", "PolicyConfigurationFailure"
"""configurationState codes, MS-NCNBI 2.2.4."""
NO_TUNNELS = "its network has no tunnels on this host, of which another machine has a provider address"


class Reconciler:
    """Desired state and facts of one host."""

    def __init__(self, carrier: str = "") -> None:
        """`carrier`: the interface of the provider network, where none of the host's addresses says it."""
        self.table = FlowTable()
        self.locals: dict[str, Local] = {}
        self.failures: tuple[StepFailure, ...] = ()
        """Of the last plan that was carried out."""
        self._told = Told()
        self._facts = SwitchFacts()
        self._meters = Meters()
        self._installed = Installed(self.table)
        self._unseen = Unseen()
        self.addresses = OwnAddresses(carrier)
        self.routes = ProviderRoutes()
        self.tunnels = Tunnels(self._told, self.table.domains)
        self._stale = True
        """Bindings and ways must be worked out again."""
        self._peers_stale = True
        self._shut_out = False
        """A machine is to come here whose network has no tunnels for want of an address."""
        self.mtus = Mtus(self.tunnels, self.table.domains)

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

    def withhold(self, addresses: frozenset[PackedIp], taken: frozenset[PackedIp] = frozenset()) -> None:
        """Use these provider addresses of this host for nothing; those that are taken another machine has."""
        if (addresses, taken) != (self.addresses.withheld, self.addresses.taken):
            self.tunnels.withheld = self.addresses.withheld = addresses
            self.addresses.taken, self._stale = taken, True

    def sealed_are(self, pairs: frozenset[Pair]) -> None:
        """Between these provider addresses tunnels are encrypted, and between no others."""
        if pairs != self.tunnels.sealed:
            self.tunnels.sealed, self._stale = pairs, True

    def switch_lost(self) -> None:
        """The connection broke: what the switch has must be read again, and every peer be prepared again."""
        self._installed.lost()
        self._meters.lost()
        self.tunnels.reached.clear()

    def switch_has(self, flows: Iterable[Flow], meters: Iterable[SwitchMeter] = ()) -> tuple[str, ...]:
        """All flows with our mark, and all meters. Returns in words which flows another hand changed since the last
        plan; nothing at first."""
        self._work_out()
        changed = self._meters.has(meters)
        drifted = self._installed.read(flows)
        return () if drifted is None else (*drifted, *changed)

    # asked

    @property
    def knows_switch(self) -> bool:
        return self._installed.known

    @property
    def settled(self) -> bool:
        """Has the switch confirmed everything that can be done now? Then what was received is applied."""
        return (
            self._installed.settled
            and not self._meters.to_set
            and not self._stale
            and not self.table.dirty
            and self.addresses.are_there
            and not self._shut_out
            and (self.routes.are_there or any(one.step == "route" for one in self.failures))
            and self.tunnels.are_open(self._facts)
            and (self._patch or not self.table.wants_patch or any(one.step == "patch" for one in self.failures))
            and not any(failure.step in ("flows", "tunnel") for failure in self.failures)
        )

    def plan(self, in_sync: bool) -> SwitchChange:
        """What to do next."""
        self._work_out()
        puts, removes = self._installed.changes()
        zones = self._installed.zones(puts)
        if self._unseen.emptied(zones, self.locals.values(), self.table.filters.lists):
            self._stale = True
            self._work_out()
            puts, removes = self._installed.changes()
        return SwitchChange(
            addresses_add=self.addresses.to_add,
            routes_add=self.routes.to_add,
            tunnels_add=self.tunnels.to_add(self._facts),
            patch_add=self._physical() if self.table.wants_patch and not self._patch else None,
            peers=self.tunnels.to_reach(),
            mtus=self.mtus.to_set(self.locals.values()),
            meters=self._meters.to_set,
            zones_flush=zones,
            puts=puts,
            removes=removes if in_sync else (),
            meters_remove=self._meters.to_remove if in_sync else (),
            tunnels_remove=self.tunnels.to_remove(self._facts) if in_sync else (),
            routes_remove=self.routes.to_remove if in_sync else (),
            addresses_remove=self.addresses.to_remove if in_sync else (),
            patch_remove=in_sync and self._patch and not self.table.wants_patch,
        )

    def done(self, change: SwitchChange, failures: tuple[StepFailure, ...]) -> None:
        """The change was carried out, but for the steps that failed; those stay to be done."""
        for failure in failures:
            if failure.step == "mtu":
                self.mtus.failed(failure.subject)
        self._meters.done(change, failures)
        self.tunnels.reached |= set(change.peers) - {failure.peer for failure in failures}
        self.tunnels.made(change.tunnels_add)
        refused = {failure.flow for failure in failures if failure.step == "flows"}
        if None not in refused:
            self._installed.done(change, {key for key in refused if key is not None})
        self.failures = failures

    def provider_places(self) -> Mapping[PackedIp, str]:
        """On which interface each provider address of this host is or will be; empty for none."""
        self._work_out()
        return self.addresses.places

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
    def encrypted(self) -> dict[Rdid, bool]:
        """Whether the tunnels of a network are to be encrypted, of those of which that is known."""
        known = ((rdid, domain.settings) for rdid, domain in self.table.domains.items())
        return {rdid: settings.encrypted for rdid, settings in known if settings is not None}

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
        failed = [Problem(FAILED, words) for words in self.addresses.words]
        failed += [Problem(FAILED, f"{one.step} {one.subject}: {one.message}") for one in self.failures]
        unruled = [Problem(BLOCKED, words, one) for one, words in without_rules(self.locals, self.table.filters.lists)]
        alone = [
            Problem(FAILED, f"{local.binding.network_interface}: {NO_TUNNELS}", instance)
            for instance, local in sorted(self.locals.items())
            if self.addresses.taken and local.role is Role.HERE and self._is_alone(local)
        ]
        too_large = self.mtus.too_large(self.locals, self.machines, self.states)
        large = [Problem(FAILED, words, one) for one, words in too_large]
        silent = [Problem(FAILED, f"the switch does not answer: {trouble}")] if trouble else []
        return (*silent, *closed, *dead, *failed, *alone, *large, *unruled)

    def _is_alone(self, local: Local) -> bool:
        """Has it no tunnels, and does not wait for them?"""
        waits = local.number is None and self.tunnels.is_withheld(local.binding)
        return not waits and self.tunnels.lacks_way(local.binding)

    def foreign(self) -> tuple[str, ...]:
        return foreign_ports(self.locals, self._facts)

    def own_adapters(self) -> frozenset[tuple[str, int]]:
        """Ports, by name and MAC address, that the hypervisor says are our machines', with an address of theirs."""
        return own_adapters(self.states, self.machines)

    def missing_tunnels(self) -> tuple[str, ...]:
        """Tunnel ports that were there and are gone: another hand's work, to be reported."""
        return self.tunnels.missing(self._facts)

    # worked out

    def _work_out(self) -> None:
        if self._stale:
            self._stale = False
            bindings = [*self._told.bindings, *map(binding_of, self._told.edges)]
            bound = bind(bindings, self.machines.values(), self._facts, self._told.states, self._told.segments)
            bound = with_limits(under_lists(bound, self._told.access), self._told.limits)
            bound = self._unseen.mark(bound, self.table.filters.lists)
            self.locals = with_learning(bound, self._told.learning)
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
            self.tunnels.find_peers()
        self.table.build()
        self._installed.follow()

    def _find_ways(self) -> None:
        patch = next((port.ofport for port in self._facts.ports if port.patch and port.ofport > 0), None)
        self.table.set_patch(patch, tuple(self._told.provider_addresses))
        self.addresses.are(self._told.provider_addresses, self._facts.addresses)
        self.routes.are(self._told.provider_addresses, self._facts, self.addresses.withheld)
        there = (one for one in self.locals.values() if one.number is not None and one.role != Role.COMING)
        self.tunnels.opened = tuple(one.binding for one in there)
        coming = (one.binding for one in self.locals.values() if one.role is Role.COMING)
        self._shut_out = any(map(self.tunnels.lacks_way, coming))
        self.tunnels.find_ways(self._facts)
        kinds = {number: tunnel.kind for tunnel, number in numbers_of(self._facts).items()}
        self.table.set_ways(self.tunnels.ways, kinds, self.tunnels.own)

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
