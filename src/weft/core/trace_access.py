"""What the access lists of a port make of a packet that begins a connection, and which rule says so.

Called by core.trace. Pure. The same records decide here that hosts make their flows of.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from weft.core.filters import EVERYTHING, VIRTUAL_NETWORK
from weft.core.policy_access import AccessControlList, access_list, list_ref, pair_for
from weft.core.policy_places import Interface, port_seats
from weft.core.policy_routes import scope
from weft.core.state import State
from weft.core.trace_steps import Stopped
from weft.model.records import AccessRule, PackedPrefix
from weft.model.values import PackedIp

_WORDS = {("icmp", 4): "ICMPv4", ("icmpv6", 4): "ICMPv4", ("icmp", 16): "ICMPv6", ("icmpv6", 16): "ICMPv6"}
_WITH_PORTS = ("TCP", "UDP")


class Probe(NamedTuple):
    """A packet as rules see it."""

    protocol: str
    """As trace has it: icmp, icmpv6, tcp, udp."""
    source: PackedIp
    source_port: int
    destination: PackedIp
    port: int

    @property
    def word(self) -> str:
        """The protocol as rules have it."""
        return _WORDS.get((self.protocol, len(self.source)), self.protocol.upper())


class Passed(NamedTuple):
    """One list that permits."""

    text: str
    record: str


def filtered(state: State, interface: Interface, probe: Probe, *, inbound: bool) -> Iterator[Passed]:
    """The lists that permit it, in the order in which they are asked. Raises Stopped at the first that does not."""
    own, subnet = pair_for(state, interface, probe.destination if inbound else probe.source)
    for found in (subnet, own) if inbound else (own, subnet):
        if found is None:
            continue
        allow, ref, words = _verdict(state, interface, found, probe, inbound)
        way = "into" if inbound else "out of"
        text = f"{words} of {list_ref(found)} {'permits' if allow else 'denies'} it {way} {interface.resource_id}"
        if not allow:
            raise Stopped(f"access denied: {text}", ref)
        yield Passed(text, f"AccessList {found.properties.list_number}")


def _verdict(
    state: State, interface: Interface, found: AccessControlList, probe: Probe, inbound: bool
) -> tuple[bool, str, str]:
    """Whether it permits, what of it says so, and that in words."""
    known = access_list(found)
    seats = port_seats(state, interface)
    # its own addresses are of its network, whoever else's it is sent or sends on
    prefixes = (
        (*scope(state, seats[0].network), *((one.address, 8 * len(one.address)) for one in seats)) if seats else ()
    )
    for rule in known.rules:
        if rule.inbound == inbound and _matches(rule, probe, prefixes):
            return rule.allow, f"{known.resource_ref}/aclRules/{rule.name}", f"rule {rule.name}"
    allow = known.inbound_allow if inbound else known.outbound_allow
    return allow, known.resource_ref, f"{'inbound' if inbound else 'outbound'}DefaultAction"


def _matches(rule: AccessRule, probe: Probe, prefixes: tuple[PackedPrefix, ...]) -> bool:
    if rule.protocol not in ("All", probe.word):
        return False
    if (rule.source_ports, rule.destination_ports) != ((0, 65535), (0, 65535)):
        if probe.word in _WITH_PORTS:
            ports = (rule.source_ports, probe.source_port), (rule.destination_ports, probe.port)
            if not all(first <= port <= last for (first, last), port in ports):
                return False
        elif rule.protocol == "All":
            return False
    here = (rule.destination, probe.destination) if rule.inbound else (rule.source, probe.source)
    there = (rule.source, probe.source) if rule.inbound else (rule.destination, probe.destination)
    return _is_in(*here, prefixes) and _is_in(*there, prefixes)


def _is_in(where: PackedPrefix | str, address: PackedIp, prefixes: tuple[PackedPrefix, ...]) -> bool:
    if not isinstance(where, str):
        return _covers(where, address)
    if where == EVERYTHING:
        return True
    parsed = ipaddress.ip_address(address)
    near = parsed.is_multicast or (parsed.version == 6 and parsed.is_link_local)
    inside = near or any(_covers(one, address) for one in prefixes)
    return inside if where == VIRTUAL_NETWORK else where == "INTERNET" and not inside


def _covers(prefix: PackedPrefix, address: PackedIp) -> bool:
    network, length = prefix
    if len(network) != len(address):
        return False
    shift = 8 * len(address) - length
    return int.from_bytes(network) >> shift == int.from_bytes(address) >> shift
