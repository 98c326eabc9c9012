"""A behaving Open vSwitch: keeps flows by the OpenFlow rules and says where a packet comes out.

Implements agent.switch.Switch; held to the real thing by the contract suite. On its other side tests and the fake
hypervisor plug ports, inject packets, pull cables and make it fail. State lives as long as the object: `restart` is
what a restarted vswitchd would be (ports come back under other numbers, flows are gone).
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable

import msgspec

from weft.agent.announcements import packet_of
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.switch import (
    Announcement,
    HostAddress,
    HostRoute,
    PacketIn,
    PacketOut,
    Peer,
    StepFailure,
    SwitchChange,
    SwitchDump,
    SwitchFacts,
    SwitchMac,
    SwitchMeter,
    SwitchPort,
    SwitchUnavailable,
    Tunnel,
)
from weft.fakes import frames
from weft.fakes.addresses import OwnAddresses
from weft.fakes.conntrack import Tracker
from weft.fakes.flow_tables import FlowTables
from weft.fakes.listeners import Listeners
from weft.fakes.network import Delivery, Outer, ProviderNetwork
from weft.fakes.packet import Packet
from weft.fakes.passage import Passage, Sent, packet_in
from weft.fakes.steps import steps_of
from weft.model.values import Mac, PackedIp

MOST_WAITING = 1000
"""Packets for the agent."""
PATCH = "weft-to-phy"
_KEY_BITS = {"gre": 32, "vxlan": 24}


class Faults:
    """What goes wrong, until switched off again. All off at first."""

    def __init__(self) -> None:
        self.unavailable = False
        """Every call raises SwitchUnavailable."""
        self.die_after: int | None = None
        """The next apply raises SwitchUnavailable after this many steps, which stay done."""
        self.failing_steps: set[str] = set()
        """Steps (tunnel, peer, mtu, meter, flows) that fail, the others are done."""
        self.apply_seconds = 0.0
        """How long an apply takes."""
        self.has_not_looked = False
        """It is not known yet what the bridges have learnt."""
        self.over_rate: set[int] = set()
        """Meters above whose rate everything is: what comes to them is dropped."""


class FakeSwitch:
    """One host's integration bridge. `addresses` are the host's provider addresses on `network`."""

    def __init__(self, host: str, network: ProviderNetwork, addresses: Iterable[PackedIp] = ()) -> None:
        self.host = host
        self.faults = Faults()
        self.applied: list[SwitchChange] = []
        self.announced: deque[Delivery] = deque(maxlen=10_000)
        """What came out of ports, on whatever host, because the agent sent it: newest last."""
        self._network = network
        self._ports: dict[str, SwitchPort] = {}
        self._next_port = 1
        self._tables = FlowTables()
        self.meters = self._tables.meters
        self.metered: Counter[int] = Counter()
        """Packets that came to each meter."""
        self.tracker = Tracker()
        self._for_agent: asyncio.Queue[PacketIn] = asyncio.Queue(MOST_WAITING)
        self._lost = 0
        self._peers: set[PackedIp] = set()
        """Whose next hop it knows."""
        self._macs: set[SwitchMac] = set()
        self._listeners = Listeners()
        self.addresses = OwnAddresses(network, self)
        self.readdress(addresses)

    # What the agent sees.

    async def facts(self) -> SwitchFacts:
        self._answer()
        return SwitchFacts(
            tuple(self._ports.values()), addresses=self.addresses.found(), routes=self.addresses.routes()
        )

    async def macs(self) -> tuple[SwitchMac, ...] | None:
        self._answer()
        return None if self.faults.has_not_looked else tuple(self._macs)

    async def apply(self, change: SwitchChange) -> tuple[StepFailure, ...]:
        self._answer()
        if self.faults.apply_seconds:
            await asyncio.sleep(self.faults.apply_seconds)
        budget, self.faults.die_after = self.faults.die_after, None
        failures: list[StepFailure] = []
        for done, (step, subject, value) in enumerate(steps_of(change)):
            if budget is not None and done >= budget:
                raise SwitchUnavailable(f"{self.host}: the switch went away after {done} steps")
            if isinstance(value, Announcement):
                if not any(failure.step == "flows" for failure in failures):
                    self.send((packet_of(value),))
            elif step in self.faults.failing_steps:
                peer = value if isinstance(value, Peer) else None
                meter = value.id if isinstance(value, SwitchMeter) else None
                failures.append(StepFailure(step, subject, f"{step} was told to fail", peer, meter=meter))
            else:
                failures += self._carry_out(step, subject, value)
        self.applied.append(change)
        return tuple(failures)

    async def dump(self) -> SwitchDump:
        self._answer()
        return self._tables.dump()

    def events(self) -> AsyncIterator[None]:
        return self._listeners.events()

    async def packets_in(self) -> AsyncIterator[PacketIn]:
        while True:
            yield await self._for_agent.get()

    @property
    def packets_lost(self) -> int:
        return self._lost

    def send(self, packets: Iterable[PacketOut]) -> None:
        for one in packets:
            if self.faults.unavailable:
                self._lost += 1
                continue
            passage = Passage(frames.packet(one.frame), one.in_port, {}, self)
            passage.carry_out(one.actions)
            self.announced.extend(self._leave(passage, 0))

    def _answer(self) -> None:
        if self.faults.unavailable:
            raise SwitchUnavailable(f"{self.host}: the switch does not answer")

    def _changed(self) -> None:
        self._listeners.tell()

    def _carry_out(self, step: str, subject: str, value: object) -> list[StepFailure]:
        """One step of a change; what of it failed."""
        match step, value:
            case _, (HostAddress() | HostRoute() | Tunnel() as one, bool(wanted)):
                return self._turn(one, wanted)
            case "patch", bool(wanted):
                self._set_patch(wanted)
            case "peer", Peer() as peer:
                self._peers.add(peer.remote)
            case "mtu", (str(name), int(mtu)):
                if name not in self._ports:
                    return [StepFailure(step, subject, f"there is no port {name}")]
                self._ports[name] = msgspec.structs.replace(self._ports[name], mtu=mtu, mtu_of_ours=mtu)
            case "meter", SwitchMeter() as meter:
                self.meters[meter.id] = meter
            case "meter", int(number):
                self.take_meter(number)
            case "zone", int(zone):
                self.tracker.flush(zone)
            case "flows", SwitchChange() as change:
                return self._tables.bundle(change)
        return []

    def _turn(self, one: HostAddress | HostRoute | Tunnel, wanted: bool) -> list[StepFailure]:
        self._changed()
        return self._set_tunnel(one, wanted) if isinstance(one, Tunnel) else self.addresses.turn(one, wanted)

    def _set_tunnel(self, tunnel: Tunnel, wanted: bool) -> list[StepFailure]:
        name = f"{tunnel.kind}-{tunnel.local.hex()}" if tunnel.local else f"weft-{tunnel.kind}"
        if wanted and name in self._ports and self._ports[name].tunnel is None:
            return [StepFailure("tunnel", name, f"port {name} is another's")]
        if wanted and name not in self._ports:
            self._ports[name] = SwitchPort(name, self._number(), tunnel=tunnel)
            self._changed()
        elif not wanted and self._ports.pop(name, None) is not None:
            self._changed()
        return []

    def _set_patch(self, wanted: bool) -> None:
        if wanted and PATCH not in self._ports:
            self._ports[PATCH] = SwitchPort(PATCH, self._number(), patch=True)
        elif not wanted:
            self._ports.pop(PATCH, None)
        self._network.wire.plug(self.host, self.hears if wanted else None)
        self._changed()

    def hears(self, packet: Packet, hops: int) -> list[Delivery]:
        """A frame comes from the physical network."""
        port = self._ports.get(PATCH)
        return self._forward(port, packet, {}, hops) if port is not None else []

    # What happens on the host, and what tests do to it.

    def put_flow(self, flow: Flow) -> None:
        """As by another hand's ovs-ofctl add-flow; an equal flow keeps its counter."""
        self._tables.put(flow)

    def take_meter(self, number: int) -> None:
        """As by another hand's ovs-ofctl del-meter: the flows that name it go with it."""
        self._tables.take_meter(number)

    def take_flow(self, key: FlowKey) -> None:
        self._tables.take(key)

    def flows(self) -> tuple[Flow, ...]:
        return self._tables.all()

    def packets(self, flow: Flow) -> int:
        """n_packets of a flow."""
        return self._tables.packets(flow)

    def plug(self, name: str, iface_id: str = "", mac: Mac | None = None, mtu: int = 1500) -> SwitchPort:
        """A port appears with these external_ids, or has them changed; a new port gets a new number."""
        old = self._ports.get(name)
        number = old.ofport if old is not None else self._number()
        self._ports[name] = SwitchPort(name, number, iface_id.lower(), mac, mtu)
        self._changed()
        return self._ports[name]

    def unplug(self, name: str) -> None:
        if self._ports.pop(name, None) is not None:
            self._changed()

    def show_mac(self, one: SwitchMac) -> None:
        """Another hand's port on another bridge has this address, or a bridge has learnt it."""
        self._macs.add(one)
        self._changed()

    def hide_mac(self, mac: int) -> None:
        """That address is nowhere any more."""
        self._macs = {one for one in self._macs if one.mac != mac}
        self._changed()

    def port(self, name: str) -> SwitchPort | None:
        return self._ports.get(name)

    def restart(self) -> None:
        """vswitchd starts anew: the ports of the database under other numbers, no flow, meter, connection or neighbour
        known."""
        self._tables.clear()
        self.tracker.clear()
        self._peers.clear()
        self._next_port += 100
        for name, port in self._ports.items():
            self._ports[name] = msgspec.structs.replace(port, ofport=self._number())
        self._changed()

    def readdress(self, addresses: Iterable[PackedIp]) -> None:
        """The host has these provider addresses from now on, and no others: another hand's work."""
        self.addresses.are(addresses)
        self._changed()

    def inject(self, name: str, packet: Packet) -> list[Delivery]:
        """A guest sends a packet into its port: where it comes out, on whatever host. Nothing if the port is gone."""
        port = self._ports.get(name)
        return self._forward(port, packet, {}, 0) if port is not None else []

    def receive(self, outer: Outer, hops: int = 0) -> list[Delivery]:
        """An encapsulated packet arrives from the provider network."""
        ends = (Tunnel(outer.kind, outer.destination), Tunnel(outer.kind))
        found = {one.tunnel: one for one in self._ports.values() if one.tunnel in ends}
        port = found.get(ends[0]) or found.get(ends[1])
        if port is None:
            return []
        family = "tun_ipv6_" if len(outer.source) == 16 else "tun_"
        outside = {family + "src": int.from_bytes(outer.source), family + "dst": int.from_bytes(outer.destination)}
        return self._forward(port, outer.inner, {"tun_id": outer.key, **outside}, hops)

    def _forward(self, port: SwitchPort, packet: Packet, tunnel: dict[str, int], hops: int) -> list[Delivery]:
        passage = Passage(packet, port.ofport, tunnel, self)
        passage.walk(0)
        return self._leave(passage, hops)

    def _leave(self, passage: Passage, hops: int) -> list[Delivery]:
        for asked in passage.asked:
            try:
                self._for_agent.put_nowait(packet_in(asked))
            except asyncio.QueueFull:
                self._lost += 1
        return [delivery for sent in passage.sent for delivery in self._emit(sent, hops)]

    def flow_of(self, table: int, passage: Passage) -> Flow | None:
        """Which flow a packet meets now; it is counted."""
        return self._tables.meet(table, passage)

    def lets_through(self, meter: int) -> bool:
        """Does a meter let a packet through? It carries everything, unless told otherwise: there is no time here."""
        self.metered[meter] += 1
        return meter not in self.faults.over_rate

    def _emit(self, sent: Sent, hops: int) -> list[Delivery]:
        port = next((one for one in self._ports.values() if one.ofport == sent.port), None)
        if port is None:
            return []
        if port.patch:
            return self._network.wire.carry(self.host, sent.packet, hops)
        if port.tunnel is None:
            return [Delivery(self.host, port.name, sent.packet)]
        size = 4 if sent.tunnel["tun_dst"] else 16
        remote = self._remote(sent, size)
        if remote is None:
            return []
        value = sent.tunnel["tun_ipv6_src" if size == 16 else "tun_src"]
        local = port.tunnel.local or (PackedIp(value.to_bytes(size)) if value else self.addresses.first(size))
        key = sent.tunnel["tun_id"] & ((1 << _KEY_BITS[port.tunnel.kind]) - 1)
        return self._network.carry(Outer(port.tunnel.kind, local, remote, key, sent.packet), hops)

    def _remote(self, sent: Sent, size: int) -> PackedIp | None:
        """The outer destination; the first packet to one that is no peer is lost while its neighbour is looked up."""
        value = sent.tunnel["tun_ipv6_dst" if size == 16 else "tun_dst"]
        if not value:
            return None
        remote = PackedIp(value.to_bytes(size))
        known = remote in self._peers
        self._peers.add(remote)
        return remote if known else None

    def _number(self) -> int:
        self._next_port += 1
        return self._next_port - 1
