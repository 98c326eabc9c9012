"""Tables TUNNEL_SOURCE and DECAP: what comes out of a tunnel goes to a port of this host and VSID, or nowhere. Pure.

TUNNEL_SOURCE
priority 105, 104  what rewrite.py has
priority 100  a host of the routing domain; where its tunnels must be encrypted, by an encrypted one
priority  90  such a host by another tunnel: in clear
priority   0  nobody of the routing domain
DECAP
priority 120  a broadcast of a machine that moved away: not sent on to itself
priority 110  a broadcast from where one moved to behind which others may be: not sent on to there
              a machine that moved away, and the packet comes from where it is now: to the port if that is still here,
              else dropped, never back (a loop between two hosts would not end: each tunnel starts a new TTL), but
              while its hypervisor hands it over, which only one of two hosts does
priority 100  a MAC of this host; a machine that moved away: onward to its new host, from tunnel to tunnel
priority   0  no such port
"""

from weft.agent.bindings import Local
from weft.agent.flows.actions import Actions, Goto, InPort
from weft.agent.flows.doors import door_of
from weft.agent.flows.fields import COOKIE_DROPS, ETH_SRC, RDID, REASON, Category, DropReason, Table, cookie
from weft.agent.flows.flow import Flow, dropped, exact, in_order
from weft.agent.flows.l2 import to_group, to_mac
from weft.agent.flows.onward import Onward
from weft.agent.flows.ways import Door, Way, from_host, into, sent_from, to_host, toward


def of_fixed() -> tuple[Flow, ...]:
    fixed = cookie(Category.FIXED)
    return (
        Flow(Table.TUNNEL_SOURCE, 0, (), dropped(DropReason.WRONG_SOURCE), fixed),
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


def of_group(vsid: int, local: Actions, onward: Onward) -> tuple[Flow, ...]:
    """A broadcast from another host: to the local ports, and on to machines that have left; never back to the machine
    that sent it, nor to all of the host that it comes from."""
    mark, group = cookie(Category.NETWORK, vsid), to_group(vsid)

    def copies(to: Onward) -> Actions:
        further = to.by(InPort())
        return (*local, *(sent_from(to.own) if further else ()), *further) or dropped(DropReason.LOOP)

    flows = []
    for host, mac in onward.each:
        match = in_order((*group, exact(ETH_SRC, mac)))
        flows.append(Flow(Table.DECAP, 120, match, copies(onward.but(host, mac)), mark))
    for host in onward.whole:
        flows.append(Flow(Table.DECAP, 110, in_order((from_host(host), *group)), copies(onward.but(host)), mark))
    if local or onward.each or onward.whole:
        flows.append(Flow(Table.DECAP, 100, group, copies(onward), mark))
    return tuple(flows)


def of_stray(vsid: int, local: Local, may: bool) -> tuple[Flow, ...]:
    """A machine that has moved; `may`: nothing forbids to send it on to where it is."""
    own, forward_to = local.binding.provider_address, local.binding.forward_to
    match, mark = to_mac(vsid, local.binding.mac), cookie(Category.LOOKUP, vsid)
    onward: Actions = (*sent_from(own), toward(forward_to), InPort())
    flows = (Flow(Table.DECAP, 100, match, onward if may else dropped(DropReason.NOT_ENCRYPTED), mark),)
    if local.handed_over:
        return flows
    door = door_of(local)
    stay: Actions = dropped(DropReason.LOOP) if door is None else into(door)
    return (Flow(Table.DECAP, 110, (from_host(forward_to), *match), stay, mark), *flows)
