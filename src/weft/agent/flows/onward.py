"""Table ONWARD: copies for all of a virtual subnet, where machines of it have left this host. They are sent on, whoever
knows of the move already. Pure.

Called by by_mac.py and decap.py. What decides is one word, whether the machine is here, which this host has before all
others; who among the senders and at the other end knows what decides nothing. So nothing is lost, and of what a sender
sends to both ends itself the machine hears a second copy, until the move is done: then every host knows the place.

A copy is sent on to the machine alone, as a frame for its MAC address (RFC 6085 has hosts take such a one as what it
was). So it waits at the port of one that is still handed over, nobody else there hears it twice, and it goes no
further: the other end takes it for any stray. Where more than MOST have left, those that this host knows to run at
the other end hear it there together with all others of the subnet: one copy for each host, for SENT_ON_MAC, which goes
no further either. So of a copy there is never a copy of a copy.

ONWARD
priority 110  a copy for a machine that said it itself, or, if others are behind it, that comes from its new host; one
              for all of the host that it comes from: not made
priority 105  what another host has sent on: to the ports here
priority 100  to the ports here, and on to the others
priority   0  a copy that is aimed: sent
"""

from collections import Counter
from collections.abc import Iterable

import msgspec

from weft.agent.bindings import Local
from weft.agent.flows.actions import Action, Actions, InPort, Resubmit, SetField
from weft.agent.flows.domain import Domain
from weft.agent.flows.doors import bridges
from weft.agent.flows.fields import (
    ETH_DST,
    ETH_SRC,
    FROM_HOST,
    MARKS,
    SENT_ON,
    TUN_DST,
    TUN_IPV6_DST,
    VSID,
    Category,
    Table,
    cookie,
)
from weft.agent.flows.flow import Flow, exact, in_order
from weft.agent.flows.l2 import to_group, to_mac
from weft.agent.flows.ways import number_of, sent_from, toward
from weft.model.records import LookupRecord
from weft.model.values import SENT_ON_MAC, Mac, PackedIp, Vsid

MOST = 32
"""Copies of one packet to single machines. Open vSwitch makes some 860 copies for tunnels of one packet."""


class Leaving(msgspec.Struct, frozen=True):
    """A machine that has left this host."""

    local: Local
    is_there: bool
    """This host knows it to run at the other end, which gives it what is for all."""

    @property
    def host(self) -> PackedIp:
        """Where it is now."""
        return self.local.binding.forward_to


class Onward(msgspec.Struct, frozen=True):
    """Where copies are sent on to."""

    each: tuple[tuple[PackedIp, Mac], ...] = ()
    """Machines, and the hosts that they are on now."""
    whole: tuple[PackedIp, ...] = ()
    """Hosts where all of the subnet get it."""
    bridging: frozenset[PackedIp] = frozenset()
    """Hosts with machines that others are behind: what these say has any source address."""
    own: PackedIp = PackedIp(b"")
    """The address of this host that it is sent on from."""

    def by(self, out: Action) -> Actions:
        """To each machine; to be the last thing done with a packet."""
        return tuple(step for host, mac in self.each for step in (SetField(ETH_DST, mac), toward(host), out))

    @property
    def not_back(self) -> list[PackedIp]:
        """The hosts to which not everything goes back that comes from there."""
        return sorted(self.bridging.union(self.whole))


def sent_on(leaving: Iterable[Leaving]) -> Onward:
    """Of machines that have left this host: those first that nothing else reaches at the other end."""
    gone = sorted(leaving, key=lambda one: (one.is_there, one.host, one.local.binding.mac))
    if len(gone) > MOST:
        alone = [one for one in gone if not one.is_there][:MOST]
    else:
        alone = gone
    return Onward(
        each=tuple(sorted((one.host, one.local.binding.mac) for one in alone)),
        whole=tuple(sorted({one.host for one in gone[len(alone) :]})),
        bridging=frozenset(one.host for one in alone if bridges(one.local) and not one.local.handed_over),
        own=gone[0].local.binding.provider_address if gone else PackedIp(b""),
    )


def others_at(domain: Domain, vsid: Vsid, onward: Onward) -> set[PackedIp]:
    """The hosts with machines of the subnet, beside those that have none but what is sent on to alone."""
    alone: Counter[PackedIp] = Counter()
    for host, mac in onward.each:
        records = (domain.find(LookupRecord, vsid, address) for address in domain.addresses_of.get((vsid, mac), ()))
        alone[host] += sum(one is not None and one.provider_address == host for one in records)
    return {host for host, count in domain.hosts_in.get(vsid, {}).items() if count > alone[host]}


def of_fixed() -> tuple[Flow, ...]:
    return (Flow(Table.ONWARD, 0, (), (InPort(),), cookie(Category.FIXED)),)


def of_group(vsid: int, local: Actions, onward: Onward) -> tuple[Flow, ...]:
    """Copies from another host, to ports here, one way or the other, and to where machines have gone."""
    mark, group = cookie(Category.NETWORK, vsid), to_group(vsid)
    each = onward.by(Resubmit(Table.ONWARD))
    whole = tuple(step for host in onward.whole for step in (toward(host), Resubmit(Table.ONWARD)))
    for_all: Actions = (SetField(ETH_DST, SENT_ON_MAC), *whole) if whole else ()
    sent_on_here = in_order((*group, (MARKS, 1 << SENT_ON, 1 << SENT_ON)))
    return (
        Flow(Table.ONWARD, 105, sent_on_here, local, mark),
        Flow(Table.ONWARD, 100, group, (*local, *sent_from(onward.own), *each, *for_all), mark),
        *(_not_back(vsid, host, SENT_ON_MAC, mark) for host in onward.whole),
    )


def of_machine(vsid: int, local: Local) -> tuple[Flow, ...]:
    """What is not sent on to a machine that has left. Of one that its hypervisor hands over nothing comes."""
    mac, mark = local.binding.mac, cookie(Category.LOOKUP, vsid)
    own = Flow(Table.ONWARD, 110, in_order((*to_mac(vsid, mac), exact(ETH_SRC, mac))), (), mark)
    if not bridges(local):
        return (own,)
    return () if local.handed_over else (_not_back(vsid, local.binding.forward_to, mac, mark),)


def _not_back(vsid: int, host: PackedIp, mac: Mac, mark: int) -> Flow:
    """A copy under this MAC address, to the host that it comes from."""
    field = TUN_DST if len(host) == 4 else TUN_IPV6_DST
    aimed = exact(field, int.from_bytes(host))
    back = (exact(VSID, vsid), exact(ETH_DST, mac), exact(FROM_HOST, number_of(host)), aimed)
    return Flow(Table.ONWARD, 110, in_order(back), (), mark)
