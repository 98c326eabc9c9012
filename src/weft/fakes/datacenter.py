"""A datacenter of fake hosts: machines that plug ports into fake switches, ping each other and move.

Used by the simulated demo and the cluster tests. Each host has a FakeHypervisor (agent.hypervisors.Hypervisor); the
Datacenter is what they share, for a machine that moves goes on existing while its host changes.
"""

from collections.abc import Iterable

import msgspec

from weft.agent.hypervisors import HypervisorFailure
from weft.fakes import packet as p
from weft.fakes.guest import is_echo_reply, resolved
from weft.fakes.hypervisor import FakeHypervisor
from weft.fakes.machine import Guest
from weft.fakes.network import Delivery, ProviderNetwork
from weft.fakes.packet import Packet
from weft.fakes.switch import FakeSwitch
from weft.model.values import PackedIp, ip_text, pack_ip

_ROUNDS = 16
"""How often guests may answer each other before an exchange is over."""


class Ping(msgspec.Struct, frozen=True):
    """What came back: `ttl` as the pinging guest saw it."""

    received: bool
    ttl: int = 0
    reason: str = ""


class Datacenter:
    """Hosts by name, each with a switch and a hypervisor, and the machines on them."""

    def __init__(self, mtu: int = 1500, *, on_legs: bool = False) -> None:
        """`on_legs`: guests are as the lab's, which have a leg on each host that is prepared for them: what comes to
        any of them reaches the guest. Others are at one host's port and from one moment to the next at another's."""
        self._on_legs = on_legs
        self.network = ProviderNetwork(mtu)
        self.switches: dict[str, FakeSwitch] = {}
        self.hypervisors: dict[str, FakeHypervisor] = {}
        self.guests: dict[str, Guest] = {}
        self.reached: list[tuple[str, Packet]] = []
        """Every packet that reached a running guest in an exchange, newest last: who saw what it should not have?"""

    def add_host(self, name: str, addresses: Iterable[str]) -> FakeHypervisor:
        """A host with these provider addresses; `name` is its server's resource id."""
        self.switches[name] = FakeSwitch(name, self.network, [pack_ip(address) for address in addresses])
        self.hypervisors[name] = FakeHypervisor(self, name)
        return self.hypervisors[name]

    def readdress(self, name: str, addresses: Iterable[str]) -> None:
        """Another person gives the host other provider addresses."""
        self.switches[name].readdress([pack_ip(address) for address in addresses])

    def guest(self, machine: str) -> Guest:
        """A machine, made if there was none of that name."""
        return self.guests.setdefault(machine, Guest(machine))

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
                if adapter.name == delivery.port and self._is_at(guest, delivery.host):
                    return guest, place
        return None

    def _is_at(self, guest: Guest, host: str) -> bool:
        return guest.host == host or (self._on_legs and bool(guest.host) and host in guest.prepared)

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
