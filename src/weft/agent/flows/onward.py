"""Copies for all of a virtual subnet, where machines of it have left this host: they are sent on, whoever knows of the
move already. Pure.

Called by by_mac.py and decap.py. What decides is one word, whether the machine is here, which this host has before all
others; who among the senders and at the other end knows what decides nothing. So nothing is lost, and of what a sender
sends to both ends itself the machine hears a second copy, until the move is done: then every host knows the place.

A copy is sent on to the machine alone, as a frame for its MAC address (RFC 6085 has hosts take such a one as what it
was). So it waits at the port of one that is still handed over, nobody else there hears it twice, and it goes no
further: the other end takes it for any stray. Behind a port that may send from other addresses are others, who listen
to the group's address: there it is sent on as it is, to all of the subnet on that host.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from weft.agent.bindings import Local
from weft.agent.flows.actions import Action, Actions, SetField
from weft.agent.flows.domain import Domain
from weft.agent.flows.fields import ETH_DST
from weft.agent.flows.ways import toward
from weft.model.records import LookupRecord
from weft.model.values import Mac, PackedIp, Vsid


class Onward(msgspec.Struct, frozen=True):
    """Where copies are sent on to."""

    each: tuple[tuple[PackedIp, Mac], ...] = ()
    """Machines, and the hosts that they are on now."""
    whole: tuple[PackedIp, ...] = ()
    """Hosts where all of the subnet get it."""
    own: PackedIp = PackedIp(b"")
    """The address of this host that it is sent on from."""

    def but(self, host: PackedIp | None = None, mac: Mac | None = None) -> "Onward":
        """Without a host where all get it, and without a machine."""
        each = tuple(one for one in self.each if one[1] != mac)
        return Onward(each, tuple(one for one in self.whole if one != host), self.own)

    def by(self, out: Action) -> Actions:
        """By a tunnel; to be the last thing done with a packet."""
        whole = [action for host in self.whole for action in (toward(host), out)]
        each = [action for host, mac in self.each for action in (SetField(ETH_DST, mac), toward(host), out)]
        return (*whole, *each)


def sent_on(gone: Iterable[Local], may_reach: Callable[[PackedIp], bool]) -> Onward:
    """Of machines that have left this host."""
    leaving = [local for local in gone if may_reach(local.binding.forward_to)]
    own = next((local.binding.provider_address for local in leaving), PackedIp(b""))
    each = sorted((local.binding.forward_to, local.binding.mac) for local in leaving if not _bridges(local))
    whole = sorted({local.binding.forward_to for local in leaving if _bridges(local)})
    return Onward(tuple(each), tuple(whole), own)


def _bridges(local: Local) -> bool:
    """May others be behind its port?"""
    return local.limits is not None and local.limits.spoofing


def others_at(domain: Domain, vsid: Vsid, onward: Onward) -> set[PackedIp]:
    """The hosts with machines of the subnet, beside those that have none but what is sent on to alone."""
    alone: Counter[PackedIp] = Counter()
    for host, mac in onward.each:
        records = (domain.find(LookupRecord, vsid, address) for address in domain.addresses_of.get((vsid, mac), ()))
        alone[host] += sum(one is not None and one.provider_address == host for one in records)
    return {host for host, count in domain.hosts_in.get(vsid, {}).items() if count > alone[host]}
