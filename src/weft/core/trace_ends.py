"""The two ends of a traced packet: who sends it, and who has the address that it is for. Called by core.trace.

Pure; whatever is in the way of an end raises Stopped with the verdict.
"""

import ipaddress
from collections.abc import Callable
from typing import NoReturn

import msgspec

from weft.core import policy_network
from weft.core.notable import present
from weft.core.peerings import routed
from weft.core.policy_places import (
    INTERFACES,
    MACHINES,
    RUNNING,
    SERVERS,
    Interface,
    Seat,
    Subnet,
    VirtualMachine,
    has_mac,
    instance_of,
    learnt_seats,
    network_ref,
    port_seats,
    server_of,
)
from weft.core.state import State
from weft.core.trace_steps import Stopped
from weft.model.errors import InvalidReference
from weft.model.leases import MAC_SCOPE
from weft.model.records import LookupRecord
from weft.model.values import PackedIp, Vsid, ip_text, mac_of_link_local


def _bound(instance_id: str) -> str | None:
    return None


def _none_dead(server: str) -> frozenset[PackedIp]:
    return frozenset()


def _sealed(server: str, remote: PackedIp) -> bool:
    return False


class HostFacts(msgspec.Struct, frozen=True):
    """What hosts report beyond their policy, by instanceId of an interface."""

    closed: Callable[[str], str | None] = _bound
    """Why a port is not bound on its switch; None where it is, or nothing is known of it."""
    dead: Callable[[str], frozenset[PackedIp]] = _none_dead
    """Provider addresses of the gateways that a server finds dead."""
    in_clear: Callable[[str, PackedIp], bool] = _sealed
    """Does a server say that its tunnels to a provider address are to be encrypted and are not?"""
    silent: frozenset[str] = frozenset()
    """Ports whose guest was reached but answered nothing."""


def interface_named(state: State, text: str, target: str) -> Interface:
    name = text.strip("/")
    name = name.split("/", 1)[1] if name.lower().startswith("networkinterfaces/") else name
    interface: Interface | None = state.get(INTERFACES, name)
    if interface is None:
        raise InvalidReference(no_interface(state, name, ": see which there are with weft nic list"), target=target)
    return interface


def no_interface(state: State, name: str, what_to_do: str = "") -> str:
    """That there is none of this name, and which may be meant; `what_to_do` where nothing is known of it."""
    machine: VirtualMachine | None = state.get(MACHINES, name)
    if machine is not None:
        own = ", ".join(ref.resource_ref.rpartition("/")[2] for ref in machine.properties.network_interfaces)
        return f"'{name}' is a machine and no network interface: name one of its own, {own or 'of which it has none'}."
    try:
        ipaddress.ip_address(name)
    except ValueError:
        looks_like_address = name.replace(".", "").replace("/", "").isdecimal()
        also = ", and it is no IP address" if looks_like_address else ""
        return f"There is no network interface '{name}'{also}{what_to_do}."
    return f"'{name}' is an address, which interfaces of several networks may have: name the interface."


def ref_of(interface: Interface) -> str:
    return f"/networkInterfaces/{interface.resource_id}"


class Ends:
    """What the state and the hosts' facts say of them."""

    def __init__(self, state: State, facts: HostFacts) -> None:
        self._state = state
        self._facts = facts

    def running(self, interface: Interface) -> VirtualMachine:
        """The machine behind an interface; stops the walk unless it runs on a server with its port open."""
        machine: VirtualMachine | None = self._state.machine_of(interface.resource_id)
        if machine is None:
            raise Stopped(f"{interface.resource_id} belongs to no machine, so it has no port", ref_of(interface))
        ref = f"/weft/virtualMachines/{machine.resource_id}"
        if not server_of(machine):
            raise Stopped(f"machine {machine.resource_id} has no server", ref)
        if machine.properties.power_state != RUNNING:
            raise Stopped(f"machine {machine.resource_id} is {machine.properties.power_state}", ref)
        closed = self._facts.closed(instance_of(interface))
        if closed is not None:
            raise Stopped(f"the port of {interface.resource_id} is closed: {closed}", ref_of(interface))
        return machine

    def server_name(self, machine: VirtualMachine) -> str:
        """The server's id as it was written."""
        server = self._state.get(SERVERS, server_of(machine))
        return server.resource_id if server is not None else server_of(machine)

    def own_places(self, source: Interface) -> tuple[Seat, ...]:
        places = port_seats(self._state, source)
        if not places:
            raise Stopped(f"{source.resource_id} has no address in a virtual subnet", ref_of(source))
        if not has_mac(source):
            raise Stopped(f"{source.resource_id} has no MAC address yet, so it has no port", ref_of(source))
        return places

    def address_of(self, source: Interface, wanted: Interface, own: Seat) -> PackedIp:
        """The address of the wanted interface that the source would use."""
        theirs = port_seats(self._state, wanted)
        if not theirs:
            raise Stopped(f"{wanted.resource_id} has no address in a virtual subnet", ref_of(wanted))
        near = (own.network, *(remote for _, _, remote in routed(self._state, own.network)))
        if theirs[0].network.resource_id not in [one.resource_id for one in near]:
            here, there = own.network.resource_id, theirs[0].network.resource_id
            text = f"no route: {wanted.resource_id} is in virtual network {there}, which {here} cannot reach"
            raise Stopped(text, network_ref(own.network))
        families = {len(seat.address) for seat in port_seats(self._state, source)}
        return next((seat.address for seat in theirs if len(seat.address) in families), theirs[0].address)

    def holder(self, seat: Seat, subnet: Subnet, target: PackedIp) -> Interface:
        vsid = subnet.properties.virtual_subnet_id
        found = [
            interface
            for interface in policy_network.holders(self._state, seat.network, target)
            if any(one.vsid == vsid and one.address == target for one in self._seats(interface))
        ]
        for interface in found:
            # of twins, the one that runs
            if any(policy_network.lookups(self._state, interface, seat.network)):
                return interface
        if found:
            return found[0]
        ref = f"{network_ref(seat.network)}/subnets/{subnet.resource_id}"
        text = f"no lookup record: no network interface has {ip_text(target)} in subnet {subnet.resource_id}"
        raise Stopped(text, ref, _missing_lookup(vsid, target))

    def neighbour(self, seat: Seat, target: PackedIp) -> tuple[Interface, PackedIp]:
        """Who has a link-local address in the virtual subnet of a seat, and an address of its there."""
        mac = mac_of_link_local(target) if len(target) == 16 else None
        lease = self._state.lease(MAC_SCOPE, mac) if mac is not None else None
        for holder in present(lease):
            interface: Interface | None = self._state.get(INTERFACES, holder.ref.rpartition("/")[2])
            for one in port_seats(self._state, interface) if interface is not None else ():
                if one.vsid == seat.vsid and len(one.address) == 16:
                    assert interface is not None
                    return interface, one.address
        ref = f"{network_ref(seat.network)}/subnets/{seat.subnet.resource_id}"
        known = "only those that guests with an IPv6 address there make of their MAC are known"
        why = known if len(target) == 16 else "those of IPv4 are not known, nor routed"
        raise Stopped(f"no neighbour: nobody is known by link-local address {ip_text(target)}; {why}", ref)

    def _seats(self, interface: Interface) -> tuple[Seat, ...]:
        """Where a port has addresses, those included that its guest brought."""
        return (*port_seats(self._state, interface), *learnt_seats(self._state, interface))

    def lookup(self, seat: Seat, holder: Interface, target: PackedIp) -> LookupRecord:
        for record in policy_network.lookups(self._state, holder, seat.network):
            if record.customer_address == target:
                return record
        self._no_lookup(seat, holder, target)

    def _no_lookup(self, seat: Seat, holder: Interface, target: PackedIp) -> NoReturn:
        place = next(one for one in self._seats(holder) if one.address == target)
        missing = _missing_lookup(place.vsid, target)
        try:
            machine = self.running(holder)
        except Stopped as stop:
            raise Stopped(f"no lookup record: {stop.reason}", stop.decided_by, missing) from None
        if not has_mac(holder):
            raise Stopped(f"no lookup record: {holder.resource_id} has no MAC address yet", ref_of(holder), missing)
        server = self.server_name(machine)
        text = f"no lookup record: server {server} has no provider address for network {seat.network.resource_id}"
        raise Stopped(text, f"/servers/{server}", missing)


def _missing_lookup(vsid: Vsid | int, target: PackedIp) -> dict[str, str | int]:
    return {"record": "lookupRecord", "virtualSubnetId": int(vsid), "customerAddress": ip_text(target)}
