"""The part of a trace that begins on a VLAN of the physical network, or on its untagged frames.

Called by core.trace. What is outside of Weft's hosts is not known here: there the walk ends with "out to the physical
network", which is as far as a host can promise.
"""

import ipaddress
from collections.abc import Callable, Iterator

from weft.core import policy_places
from weft.core.policy_segments import Stand, lies_in, stands, words_of
from weft.core.state import State
from weft.core.trace_steps import Stopped
from weft.model.errors import Invalid
from weft.model.leases import ip_scope
from weft.model.values import PackedIp, ip_text, mac_dashes

Interface = policy_places.Interface


class SegmentWalk:
    """One packet of an interface on a logical network. `step` notes a stage: its name, text and record."""

    def __init__(self, state: State, source: Interface, step: Callable[..., None]) -> None:
        self.outside = ""
        """Why it is let go, where it leaves for the physical network."""
        self._state = state
        self._source = source
        self._step = step
        self._own = stands(state, source)
        self._vlan = self._own[0].segment.vlan
        self.source = self.target = PackedIp(b"")
        """Both ends, once they are known; empty where one is the guest's own affair."""

    def follow(self, wanted: Interface | None, target: PackedIp | None) -> Interface | None:
        """The interface that it is for; None if it leaves for something that is none of ours. Raises Stopped."""
        if wanted is not None:
            self._check_same(wanted)
            target = next((one.address for one in stands(self._state, wanted) if one.address), None)
        own = self._classify(target)
        if target is None:
            return wanted
        self.source, self.target = own.address, target
        if ipaddress.ip_address(target).is_multicast:
            raise Invalid(f"{ip_text(target)} is every port of the VLAN; trace one of them.", target="to")
        if any(one.address == target for one in self._own):
            raise Stopped("its own address: such a packet never leaves the guest", self._ref)
        if wanted is None:
            wanted = next(self._holders(target), None)
        if wanted is None:
            self._leave(own, target)
        return wanted

    def deliver(self, holder: Interface, host: str, there: str) -> None:
        """The last stretch to a port."""
        name, words = holder.resource_id, words_of(self._vlan)
        if there == host:
            self._step("output", f"{name} is on this host, on the same VLAN", "")
        else:
            self._step("output", f"{name} is not here: out by the patch to the physical network, {words}", "")

    @property
    def _ref(self) -> str:
        return f"/networkInterfaces/{self._source.resource_id}"

    def _classify(self, target: PackedIp | None) -> Stand:
        fitting = (one for one in self._own if target is None or one.free or len(one.address) == len(target))
        own = next(fitting, None)
        if own is None:
            family = "IPv4" if target is not None and len(target) == 4 else "IPv6"
            raise Stopped(f"{self._source.resource_id} has no {family} address to send from", self._ref)
        instance = policy_places.instance_of(self._source)
        text = f"port of {self._source.resource_id} is on {words_of(self._vlan)} of {own.segment.ref}"
        self._step("classify", text, f"SegmentPort {instance}")
        mac = mac_dashes(policy_places.mac_of(self._source))
        address = "any address" if own.free else ip_text(own.address)
        self._step("port security", f"source {mac} and {address} are the port's own")
        return own

    def _check_same(self, wanted: Interface) -> None:
        theirs = stands(self._state, wanted)
        if not theirs or theirs[0].segment.vlan != self._vlan:
            where = words_of(theirs[0].segment.vlan) if theirs else "in a virtual network"
            text = f"{wanted.resource_id} is {where} and {self._source.resource_id} is {words_of(self._vlan)}"
            raise Stopped(f"no route: {text}; only a router outside can join them", self._ref)

    def _holders(self, target: PackedIp) -> Iterator[Interface]:
        """Interfaces on the same VLAN with this address, by the ledger."""
        address = ipaddress.ip_address(target)
        for subnet in {one.segment.network for one in self._own}:
            lease = self._state.lease(ip_scope(subnet, address.version), int(address))
            for holder in lease.holders if lease is not None else ():
                found = self._state.find_ref(holder.ref) if holder.kind == "networkInterface" else None
                places = stands(self._state, found) if found is not None else ()
                if found is not None and any(one.address == target for one in places):
                    if places[0].segment.vlan == self._vlan:
                        yield found

    def _leave(self, own: Stand, target: PackedIp) -> None:
        words = words_of(self._vlan)
        through = ""
        if not own.free and not lies_in(target, own.subnet):
            if not own.subnet.default_gateways:
                text = f"no gateway: {ip_text(target)} is outside {own.segment.ref}, which names no defaultGateways"
                raise Stopped(text, own.segment.ref)
            through = f" to router {own.subnet.default_gateways[0]}"
        self._step("output", f"out by the patch to the physical network, {words}{through}", "")
        self.outside = f"left {words} for the physical network{through}; what is there is not Weft's"
