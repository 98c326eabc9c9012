"""A datacenter of fake hosts: machines that plug ports into fake switches, ping each other and move.

Used by the simulated demo and the cluster tests. Each host has a FakeHypervisor (agent.hypervisors.Hypervisor); the
Datacenter is what they share, for a machine that moves goes on existing while its host changes.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec

from weft.agent.hypervisors import HypervisorFailure, Migrate, Prepare, Remove, SetMacs, Start, Stop, Verb
from weft.fakes import packet as p
from weft.fakes.guest import Adapter, adapter_of, is_echo_reply, resolved
from weft.fakes.listeners import Listeners
from weft.fakes.network import Delivery, ProviderNetwork
from weft.fakes.packet import Packet
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import AdapterState, HypervisorState, MachineState
from weft.model.values import Mac, PackedIp, ip_text, pack_ip

_ROUNDS = 16
"""How often guests may answer each other before an exchange is over."""


class Ping(msgspec.Struct, frozen=True):
    """What came back: `ttl` as the pinging guest saw it."""

    received: bool
    ttl: int = 0
    reason: str = ""


class Guest:
    """A machine: where it runs, and its adapters. `silent` is a firewall inside that answers nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.host = ""
        """Where it runs; empty while it does not."""
        self.prepared: set[str] = set()
        """Hosts that have its ports."""
        self.adapters: tuple[Adapter, ...] = ()
        self.silent = False


class Datacenter:
    """Hosts by name, each with a switch and a hypervisor, and the machines on them."""

    def __init__(self, mtu: int = 1500) -> None:
        self.network = ProviderNetwork(mtu)
        self.switches: dict[str, FakeSwitch] = {}
        self.hypervisors: dict[str, FakeHypervisor] = {}
        self.guests: dict[str, Guest] = {}
        self.reached: list[tuple[str, Packet]] = []
        """Every packet that reached a running guest in an exchange, newest last: who saw what it should not have?"""

    def add_host(self, name: str, addresses: Iterable[str]) -> "FakeHypervisor":
        """A host with these provider addresses; `name` is its server's resource id."""
        self.switches[name] = FakeSwitch(name, self.network, [pack_ip(address) for address in addresses])
        self.hypervisors[name] = FakeHypervisor(self, name)
        return self.hypervisors[name]

    def readdress(self, name: str, addresses: Iterable[str]) -> None:
        """Another person gives the host other provider addresses."""
        self.switches[name].readdress([pack_ip(address) for address in addresses])

    def host_named(self, server: str) -> str:
        """The host of a server id in any case. Raises HypervisorFailure if there is none."""
        for name in self.switches:
            if name.lower() == server.lower():
                return name
        raise HypervisorFailure(f"there is no host {server}")

    # What guests do.

    def send(self, machine: str, packet: Packet, adapter: int = 0) -> list[Delivery]:
        """The machine sends any packet by one of its adapters, spoofed or not: where it comes out."""
        guest = self.guests[machine]
        if not guest.host:
            return []
        return self.switches[guest.host].inject(guest.adapters[adapter].name, packet)

    def receiver(self, delivery: Delivery) -> tuple[Guest, int] | None:
        """The running guest, and which of its adapters, that a delivery reached; None if nobody is there."""
        for guest in self.guests.values():
            for place, adapter in enumerate(guest.adapters):
                if guest.host == delivery.host and adapter.name == delivery.port:
                    return guest, place
        return None

    def exchange(self, machine: str, packet: Packet, adapter: int = 0) -> list[Packet]:
        """Send a packet, let every guest that it reaches answer, and so on: all that came back to the sender."""
        heard: list[Packet] = []
        waiting = [(machine, packet, adapter)]
        for _ in range(_ROUNDS):
            arrived = [delivery for name, one, place in waiting for delivery in self.send(name, one, place)]
            waiting = []
            for delivery in arrived:
                reached = self.receiver(delivery)
                if reached is None:
                    continue
                guest, place = reached
                self.reached.append((guest.name, delivery.packet))
                if guest.name == machine:
                    heard.append(delivery.packet)
                if not guest.silent:
                    waiting += [
                        (guest.name, answer, place) for answer in guest.adapters[place].answers(delivery.packet)
                    ]
            if not waiting:
                break
        return heard

    def resolve(self, machine: str, address: PackedIp, adapter: int = 0) -> int | None:
        """The MAC that the network answers for an address on the machine's link; None if nobody answers."""
        request = self.guests[machine].adapters[adapter].resolve(address)
        answers = (resolved(heard, address) for heard in self.exchange(machine, request, adapter))
        return next((mac for mac in answers if mac is not None), None)

    def ping(self, machine: str, address: str, adapter: int = 0) -> Ping:
        """One echo request and what became of it."""
        guest = self.guests.get(machine)
        if guest is None or not guest.host:
            return Ping(False, reason=f"{machine} does not run")
        own, target = guest.adapters[adapter], pack_ip(address)
        source, hop = own.source_for(target), own.next_hop(target)
        if source is None or hop is None:
            return Ping(False, reason="network is unreachable")
        mac = self.resolve(machine, hop, adapter)
        if mac is None:
            return Ping(False, reason=f"no answer for {ip_text(hop)}")
        request = p.echo((own.mac, mac), (ip_text(source), address))
        for heard in self.exchange(machine, request, adapter):
            if is_echo_reply(heard) and heard.ip_src == p.number(address) and heard.eth_dst == own.mac:
                return Ping(True, heard.ttl)
        return Ping(False, reason="no reply")


class FakeHypervisor:
    """The hypervisor of one host. `failing` holds why a verb, by its name in lower case, fails until taken out."""

    def __init__(self, datacenter: Datacenter, host: str) -> None:
        self.host = host
        self.failing: dict[str, str] = {}
        self.verb_seconds = 0.0
        self.carried_out: list[Verb] = []
        self._datacenter = datacenter
        self._listeners = Listeners()

    async def facts(self) -> HypervisorState:
        guests = (guest for guest in self._datacenter.guests.values() if self.host in guest.prepared)
        return HypervisorState(tuple(self._state_of(guest) for guest in guests))

    def _state_of(self, guest: Guest) -> MachineState:
        adapters = tuple(AdapterState(one.mac, one.instance_id) for one in guest.adapters)
        power = "Running" if guest.host == self.host else "Off"
        return MachineState(guest.name, power, id=guest.name, name=guest.name, adapters=adapters)

    async def carry_out(self, verb: Verb) -> None:
        name = type(verb).__name__.lower()
        if self.verb_seconds:
            await asyncio.sleep(self.verb_seconds)
        if name in self.failing:
            raise HypervisorFailure(f"{name} on {self.host}: {self.failing[name]}")
        match verb:
            case Start():
                self._start(verb)
            case Prepare() | SetMacs():
                self._prepare(verb.machine.machine, tuple(adapter_of(port, ()) for port in verb.ports))
            case Migrate(machine, server):
                self._migrate(machine, server)
            case Stop(machine):
                self._stop(machine)
            case Remove(machine):
                self._remove(machine)
            case _:
                raise HypervisorFailure(f"{name} on {self.host}: a fake guest has no such thing")
        self.carried_out.append(verb)
        self.changed()

    def events(self) -> AsyncIterator[None]:
        return self._listeners.events()

    def changed(self) -> None:
        self._listeners.tell()

    async def forget(self, machine: str) -> None:
        """Another hand deletes the machine here: nobody asked for it, and what it had is gone."""
        self._remove(machine)
        self.changed()

    @property
    def _switch(self) -> FakeSwitch:
        return self._datacenter.switches[self.host]

    def _guest(self, machine: str) -> Guest:
        guest = self._datacenter.guests.get(machine)
        if guest is None or self.host not in guest.prepared:
            raise HypervisorFailure(f"{self.host} knows no machine {machine}")
        return guest

    def _prepare(self, machine: str, adapters: tuple[Adapter, ...]) -> Guest:
        """Plug the ports. A running machine keeps the stack that it has."""
        guest = self._datacenter.guests.setdefault(machine, Guest(machine))
        if not guest.host:
            self._unplug_all_but(guest, adapters)
            guest.adapters = adapters
        guest.prepared.add(self.host)
        for adapter in adapters:
            old = self._switch.port(adapter.name)
            if old is None or old.attached_mac != adapter.mac:
                self._switch.plug(adapter.name, adapter.instance_id, Mac(adapter.mac))
        return guest

    def _unplug_all_but(self, guest: Guest, wanted: tuple[Adapter, ...]) -> None:
        for adapter in guest.adapters:
            if adapter.name not in {one.name for one in wanted} and self.host in guest.prepared:
                self._switch.unplug(adapter.name)

    def _start(self, verb: Start) -> None:
        name = verb.machine.machine
        running = self._datacenter.guests.get(name)
        if running is not None and running.host not in ("", self.host):
            raise HypervisorFailure(f"{name} already runs on {running.host}")
        guest = self._prepare(name, tuple(adapter_of(port, verb.subnets) for port in verb.ports))
        guest.host = self.host

    def _migrate(self, machine: str, server: str) -> None:
        guest = self._guest(machine)
        target = self._datacenter.host_named(server)
        if guest.host == target:
            return
        if guest.host != self.host:
            raise HypervisorFailure(f"{machine} does not run on {self.host}")
        if target not in guest.prepared:
            raise HypervisorFailure(f"{target} is not prepared for {machine}")
        guest.host = target
        self._datacenter.hypervisors[target].changed()

    def _stop(self, machine: str) -> None:
        guest = self._datacenter.guests.get(machine)
        if guest is not None and guest.host == self.host:
            guest.host = ""

    def _remove(self, machine: str) -> None:
        guest = self._datacenter.guests.get(machine)
        if guest is None or self.host not in guest.prepared:
            return
        self._stop(machine)
        guest.prepared.discard(self.host)
        for adapter in guest.adapters:
            self._switch.unplug(adapter.name)
        if not guest.prepared:
            del self._datacenter.guests[machine]
