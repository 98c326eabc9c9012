"""Tables TUNNEL_SOURCE and DECAP: what comes out of a tunnel goes to a port of this host and VSID, or nowhere. Pure.

TUNNEL_SOURCE
priority 105, 104  what rewrite.py has
priority 100  a host of the routing domain; where its tunnels must be encrypted, by an encrypted one
priority  90  such a host by another tunnel: in clear
priority   0  nobody of the routing domain
DECAP
priority 120  a broadcast that another host has sent on to all of the subnet here: marked, and taken for a broadcast
priority 110  a broadcast from a host where machines have moved to: marked with that, if not all goes back there
              a machine that moved away, and the packet comes from where it is now: to the port if that is still here,
              else dropped, never back (a loop between two hosts would not end: each tunnel starts a new TTL), but
              while its hypervisor hands it over, which only one of two hosts does
priority 105  for a group's IP address and the MAC of a machine that others are behind: broadcast to them
priority 100  a MAC of this host, or the group bit; a machine that moved away: onward to its new host, from tunnel to
              tunnel
priority   0  no such port
"""

import ipaddress
from collections.abc import Iterable

from weft.agent.bindings import Local
from weft.agent.flows import onward
from weft.agent.flows.actions import Actions, Goto, InPort, Resubmit, SetBits, SetField
from weft.agent.flows.doors import door_of
from weft.agent.flows.fields import (
    COOKIE_DROPS,
    ETH_DST,
    FROM_HOST,
    IP_DST,
    IPV6_DST,
    MARKS,
    RDID,
    REASON,
    SENT_ON,
    VSID,
    Category,
    DropReason,
    Table,
    cookie,
)
from weft.agent.flows.flow import IS_IPV4, IS_IPV6, Flow, Term, dropped, exact, in_order, prefixed
from weft.agent.flows.l2 import to_group, to_mac
from weft.agent.flows.ways import Door, Way, from_host, into, number_of, sent_from, to_host, toward
from weft.model.records import PackedPrefix
from weft.model.values import BROADCAST_MAC, SEGMENT, SENT_ON_MAC

_SENT_ON: Actions = (
    SetField(ETH_DST, BROADCAST_MAC),
    SetBits(MARKS, 1 << SENT_ON, 1 << SENT_ON),
    Resubmit(Table.DECAP),
)
_TUNNELLED: Term = (VSID, 0, SEGMENT)
"""From no port of the physical network, where anybody could send it."""
_ALL_HOSTS = ipaddress.IPv4Address("255.255.255.255")


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    return (
        Flow(Table.TUNNEL_SOURCE, 0, (), dropped(DropReason.WRONG_SOURCE), fixed),
        Flow(Table.DECAP, 120, in_order((_TUNNELLED, exact(ETH_DST, SENT_ON_MAC))), _SENT_ON, fixed),
        Flow(Table.DECAP, 0, (), dropped(DropReason.NO_SUCH_PORT), fixed),
        *(Flow(Table.DROP, 100, (exact(REASON, one),), _onward(one), COOKIE_DROPS | one) for one in DropReason),
    )


def _onward(reason: DropReason) -> Actions:
    """Nowhere, or to where its sender is told, or the agent is."""
    return (Goto(Table.TELL),) if reason in (DropReason.TTL_EXPIRED, DropReason.UNLEARNT) else ()


def of_endpoint(rdid: int, provider_address: bytes, way: Way) -> tuple[Flow, ...]:
    """A host that may send packets of this routing domain. Where they must be encrypted, which a packet does not show
    any more, only to the address of this host at which the other's tunnel is."""
    match, mark = (from_host(provider_address), exact(RDID, rdid)), cookie(Category.NETWORK, rdid)
    if way.sealed is None:
        return (Flow(Table.TUNNEL_SOURCE, 100, match, (Goto(Table.DECAP),), mark),)
    own = sorted(one.local for one in way.taken if one.remote == provider_address)
    return (
        *(Flow(Table.TUNNEL_SOURCE, 100, in_order((*match, to_host(one))), (Goto(Table.DECAP),), mark) for one in own),
        Flow(Table.TUNNEL_SOURCE, 90, match, dropped(DropReason.NOT_ENCRYPTED), mark),
    )


def of_local_mac(vsid: int, mac: int, door: Door) -> Flow:
    return Flow(Table.DECAP, 100, to_mac(vsid, mac), into(door), cookie(Category.LOOKUP, vsid))


def of_group(vsid: int, local: Actions, further: onward.Onward) -> tuple[Flow, ...]:
    """A broadcast from another host: to the local ports; by way of table ONWARD if machines have left."""
    mark, group = cookie(Category.NETWORK, vsid), to_group(vsid)
    if not further.each and not further.whole:
        return (Flow(Table.DECAP, 100, group, local, mark),) if local else ()
    flows = [Flow(Table.DECAP, 100, group, (Goto(Table.ONWARD),), mark)]
    for host in further.not_back:
        noted: Actions = (SetField(FROM_HOST, number_of(host)), Goto(Table.ONWARD))
        flows.append(Flow(Table.DECAP, 110, in_order((from_host(host), *group)), noted, mark))
    return (*flows, *onward.of_group(vsid, local, further))


def of_bridge(vsid: int, local: Local, door: Door, prefixes: Iterable[PackedPrefix]) -> tuple[Flow, ...]:
    """Behind a port that may send from other addresses are others, who listen to a group's Ethernet address: of a copy
    for all that was sent on to the machine alone they get a broadcast, which everybody takes for what its IP
    destination says."""
    networks = [ipaddress.IPv4Network(one, strict=False) for one in prefixes if len(one[0]) == 4]
    loud = {int(_ALL_HOSTS), *(int(one.broadcast_address) for one in networks if one.prefixlen < 31)}
    groups = [
        (*IS_IPV4, prefixed(IP_DST, 0xE0 << 24, 4)),
        *((*IS_IPV4, exact(IP_DST, address)) for address in sorted(loud)),
        (*IS_IPV6, prefixed(IPV6_DST, 0xFF << 120, 8)),
    ]
    actions, mark = (SetField(ETH_DST, BROADCAST_MAC), *into(door)), cookie(Category.LOOKUP, vsid)
    own = to_mac(vsid, local.binding.mac)
    return tuple(Flow(Table.DECAP, 105, in_order((*own, *group)), actions, mark) for group in groups)


def of_stray(vsid: int, local: Local, may: bool) -> tuple[Flow, ...]:
    """A machine that has moved; `may`: nothing forbids to send it on to where it is."""
    own, forward_to = local.binding.provider_address, local.binding.forward_to
    match, mark = to_mac(vsid, local.binding.mac), cookie(Category.LOOKUP, vsid)
    further: Actions = (*sent_from(own), toward(forward_to), InPort())
    flows = (Flow(Table.DECAP, 100, match, further if may else dropped(DropReason.NOT_ENCRYPTED), mark),)
    if local.handed_over:
        return flows
    door = door_of(local)
    stay: Actions = dropped(DropReason.LOOP) if door is None else into(door)
    return (Flow(Table.DECAP, 110, (from_host(forward_to), *match), stay, mark), *flows)
