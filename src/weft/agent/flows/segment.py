"""Ports on logical networks, and the patch to the bridge of the physical network: what they may say, and where it goes.
Pure; called by ports.py and physical.py.

A segment is a VLAN of the physical network, or its untagged frames; it stands in the register of the VSID, above every
VSID, with no routing domain. So tables ROUTE to DECAP serve it as they serve a virtual subnet, but for four things:
questions are answered by whom they are for, not from policy; an address that is not here is looked for outside; there
is no router; and no tunnel.

CLASSIFY
priority 100  from the patch: the VLAN of a segment with ports here, its tag taken off
priority  90  from the patch, anything else: wrong VLAN
SECURITY
priority 135  where the VLAN is the provider network's: tunnels to hosts
priority 128  there too, of a guest that may use any address: the provider network's own
priority 125  multicast reports, router solicitations; what a guest asks a DHCP server of the VLAN, and what such a
              server sends from its own address (the guard against that is in flows/limits.py)
priority 100  ARP and neighbour discovery about the port's own addresses, or any
priority  90  IP from its own addresses, or any; RARP, by which hypervisors announce a machine that has moved
OUTPUT
priority  50  a MAC that is not here: out by the patch, tagged
"""

from collections.abc import Iterator

import msgspec

from weft.agent.flows.access import onward
from weft.agent.flows.actions import Actions, Goto, Output, PopVlan, PushVlan, SetField, SetVlan
from weft.agent.flows.dhcp import ANSWERS4, ANSWERS6, ASKS4, ASKS6
from weft.agent.flows.fields import (
    ARP_SHA,
    ARP_SPA,
    ETH_TYPE,
    IN_PORT,
    IP_PROTO,
    IP_SRC,
    IPV6_SRC,
    ND_SLL,
    ND_TARGET,
    ND_TLL,
    PROTO_IGMP,
    PROTO_UDP,
    UDP_DST,
    VLAN_PRESENT,
    VLAN_TCI,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_ARP, IS_IPV4, IS_IPV6, Flow, Match, dropped, exact, in_order, is_icmpv6, prefixed
from weft.agent.flows.security import ADVERTISEMENT, MULTICAST_LISTENER, ROUTER_SOLICITATION, SOLICITATION
from weft.agent.flows.ways import BoundPort
from weft.model.records import PackedPrefix
from weft.model.values import link_local_of, vlan_segment

_GRE, _VXLAN = 47, 4789
_RARP = 0x8035
_REPORTS = (*MULTICAST_LISTENER, ROUTER_SOLICITATION)
"""The physical network listens to these; in a virtual subnet nobody does."""
_LETS: Actions = (Goto(Table.ROUTE),)


class Rules(msgspec.Struct, frozen=True):
    """What a port on a logical network may say beyond the addresses that it has."""

    vlan: int
    free: bool
    provider: tuple[PackedPrefix, ...] = ()
    """Provider subnets on the same VLAN: nobody may play a host there, whether this one has an address there or not."""


def out_by(patch: int, vlan: int) -> Actions:
    """Out to the physical network. Nothing may be done to the packet afterwards."""
    return (PushVlan(), SetVlan(vlan), Output(patch)) if vlan else (Output(patch),)


def of_patch(patch: int) -> Flow:
    """What comes from the physical network for no segment of ours."""
    wrong = dropped(DropReason.WRONG_VLAN)
    return Flow(Table.CLASSIFY, 90, (exact(IN_PORT, patch),), wrong, cookie(Category.FIXED))


def of_segment(vlan: int, patch: int) -> tuple[Flow, ...]:
    """In by the patch, and out by it what is not here."""
    segment, mark = vlan_segment(vlan), cookie(Category.NETWORK, vlan_segment(vlan))
    enter: Actions = (SetField(VSID, segment), Goto(Table.DECAP))
    # without mask: so Open vSwitch dumps what OXM_OF_VLAN_VID says of tag and VLAN, whatever the priority in the tag
    tag = exact(VLAN_TCI, VLAN_PRESENT | vlan) if vlan else (VLAN_TCI, 0, VLAN_PRESENT)
    return (
        Flow(Table.CLASSIFY, 100, (exact(IN_PORT, patch), tag), (PopVlan(), *enter) if vlan else enter, mark),
        Flow(Table.OUTPUT, 50, (exact(VSID, segment),), out_by(patch, vlan), mark),
    )


def of_port(port: BoundPort, rules: Rules) -> tuple[Flow, ...]:
    """What this port may say."""
    said = _of_anyone(port) if rules.free else (*_of_ipv4(port), *_of_ipv6(port))
    mark = cookie(Category.PORT, port.number)
    return tuple(
        Flow(Table.SECURITY, priority, in_order((port.in_port, *match)), actions, mark)
        for priority, match, actions in (*_guards(rules), *said)
    )


_Said = tuple[int, Match, Actions]


def _guards(rules: Rules) -> Iterator[_Said]:
    """On the VLAN of the provider network a guest is no host: a forged tunnel packet would be one of another tenant."""
    if not rules.provider:
        return
    for family, reason in ((IS_IPV4, DropReason.SPOOFED_IPV4), (IS_IPV6, DropReason.SPOOFED_IPV6)):
        yield 135, (*family, exact(IP_PROTO, _GRE)), dropped(reason)
        yield 135, (*family, exact(IP_PROTO, PROTO_UDP), exact(UDP_DST, _VXLAN)), dropped(reason)
    for prefix, length in rules.provider if rules.free else ():
        value = int.from_bytes(prefix)
        if len(prefix) == 4:
            yield 128, (*IS_IPV4, prefixed(IP_SRC, value, length)), dropped(DropReason.SPOOFED_IPV4)
            yield 128, (*IS_ARP, prefixed(ARP_SPA, value, length)), dropped(DropReason.SPOOFED_ARP)
        else:
            yield 127, (*IS_IPV6, prefixed(IPV6_SRC, value, length)), dropped(DropReason.SPOOFED_IPV6)
            told = (*is_icmpv6(ADVERTISEMENT), prefixed(ND_TARGET, value, length))
            yield 128, told, dropped(DropReason.SPOOFED_ND)


def _of_anyone(port: BoundPort) -> Iterator[_Said]:
    """Any address, with the own MAC in everything that names one."""
    yield 100, (*IS_ARP, exact(ARP_SHA, port.mac)), _LETS
    for option in (port.mac, 0):
        yield 100, (*is_icmpv6(SOLICITATION), exact(ND_SLL, option)), _LETS
        yield 100, (*is_icmpv6(ADVERTISEMENT), exact(ND_TLL, option)), _LETS
    for dhcp in (ASKS4, ANSWERS4, ASKS6, ANSWERS6):
        yield 125, dhcp, _LETS
    yield 125, (*IS_IPV4, exact(IP_PROTO, PROTO_IGMP)), _LETS
    for kind in _REPORTS:
        yield 125, is_icmpv6(kind), _LETS
    for family, anyone in ((IS_IPV4, bytes(4)), (IS_IPV6, bytes(16))):
        yield 90, family, onward(port, anyone)
    yield 90, (exact(ETH_TYPE, _RARP),), _LETS


def _of_ipv4(port: BoundPort) -> Iterator[_Said]:
    for address in (*port.v4, 0) if port.v4 else ():
        yield 100, (*IS_ARP, exact(ARP_SHA, port.mac), exact(ARP_SPA, address)), _LETS
        yield 125, (*ASKS4, exact(IP_SRC, address)), _LETS
    for address in port.v4:
        own = exact(IP_SRC, address)
        yield 125, (*IS_IPV4, exact(IP_PROTO, PROTO_IGMP), own), _LETS
        yield 125, (*ANSWERS4, own), _LETS
        yield 90, (*IS_IPV4, own), onward(port, address.to_bytes(4))
    yield 90, (exact(ETH_TYPE, _RARP),), _LETS


def _of_ipv6(port: BoundPort) -> Iterator[_Said]:
    link_local = link_local_of(port.mac)
    own = (*port.v6, link_local) if port.v6 else ()
    # duplicate address detection (RFC 4862 section 5.4) is for those outside to answer
    for address in (*port.v6, link_local):
        yield 100, (*is_icmpv6(SOLICITATION), exact(IPV6_SRC, 0), exact(ND_TARGET, address)), _LETS
    for address in own:
        for option in (port.mac, 0):
            yield 100, (*is_icmpv6(SOLICITATION), exact(IPV6_SRC, address), exact(ND_SLL, option)), _LETS
            yield 100, (*is_icmpv6(ADVERTISEMENT), exact(ND_TARGET, address), exact(ND_TLL, option)), _LETS
        for dhcp in (ASKS6, ANSWERS6):
            yield 125, (*dhcp, exact(IPV6_SRC, address)), _LETS
        yield 90, (*IS_IPV6, exact(IPV6_SRC, address)), onward(port, address.to_bytes(16))
    for kind in _REPORTS:
        for source in (link_local, 0):
            yield 125, (*is_icmpv6(kind), exact(IPV6_SRC, source)), _LETS
