"""Which port a local interface is reached by, which of two has a MAC address, and where broadcasts go beside. Pure.

Called by placing.py and by_mac.py.
"""

from collections.abc import Iterable

from weft.agent.bindings import Local, Role
from weft.agent.flows.domain import Domain
from weft.agent.flows.ways import Door
from weft.model.values import PackedIp, Vsid


def is_elsewhere(local: Local) -> bool:
    """On the physical network what is not here is found by its switches, and nobody passes it on."""
    return local.segment is not None and local.role in (Role.GONE, Role.IDLE)


def stands_back(local: Local) -> tuple[bool, bool]:
    """Of interfaces here with one MAC address, the least of these has it: one that runs, then one with a port."""
    return local.role is Role.IDLE, local.port is None


def door_of(local: Local) -> Door | None:
    return None if local.number is None else Door(local.number, local.filtered)


def passed_on(domain: Domain | None, vsid: Vsid, gone: Iterable[Local], others_here: bool) -> frozenset[PackedIp]:
    """Where this host passes on what others still send here for all of a virtual subnet: to the hosts that machines
    moved to, which a sender that does not know of it leaves out.

    Not to a host that has other machines of the subnet, since every sender sends there too. Nor, where the subnet has
    others here, once this host's own records know of the move: those who know it send to both hosts.
    """
    found = set()
    for local in gone:
        to, mac = local.binding.forward_to, local.binding.mac
        addresses = domain.addresses_of.get((vsid, mac), ()) if domain is not None else ()
        records = [record for address in addresses if domain and (record := domain.lookup(vsid, address))]
        moved = sum(record.provider_address == to for record in records)
        there = domain.hosts_in[vsid][to] if domain is not None and vsid in domain.hosts_in else 0
        if there <= moved and not (moved and others_here):
            found.add(to)
    return frozenset(found)
