"""Where each MAC address is, seen from this host: a port of its own, another host, or nowhere.

Kept by table.py, which tells it everything; asked by by_mac.py and by_address.py. Pure: what it answers follows from
what it was last told.
"""

from collections.abc import Mapping

from weft.agent.bindings import Local, Role
from weft.agent.flows.domain import Domain
from weft.agent.flows.doors import bridges, door_of, stands_back
from weft.agent.flows.physical import Physical
from weft.agent.flows.ways import Door, Way
from weft.model.records import LookupRecord
from weft.model.values import Mac, PackedIp, Rdid, Vsid


class Placing:
    """Of one host. Two domains name a virtual subnet only while it changes hands."""

    def __init__(self) -> None:
        self.domains: dict[Rdid, Domain] = {}
        self.ways: dict[Rdid, Way] = {}
        """How each routing domain's packets travel; none where it has no tunnel."""
        self.own: frozenset[PackedIp] = frozenset()
        """The host's provider addresses, whatever each is for."""
        self.physical = Physical()
        self.locals: dict[str, Local] = {}
        """The interfaces with a binding here, by instance id."""
        self.local_macs: dict[tuple[Vsid, Mac], Local] = {}
        self.left: frozenset[Vsid] = frozenset()
        """Virtual subnets that a machine here moves away from, or has."""
        self.bridging: frozenset[tuple[Vsid, Mac]] = frozenset()
        """Machines here that others may be behind."""
        self._naming: dict[Vsid, list[Domain]] = {}
        """Domains that name a virtual subnet, newest (highest RDID) first."""

    def set_locals(self, local: Mapping[str, Local]) -> None:
        self.locals = dict(local)
        self.left = frozenset(one.binding.vsid for one in local.values() if one.binding.forward_to)
        self.bridging = frozenset((one.binding.vsid, one.binding.mac) for one in local.values() if bridges(one))
        self.local_macs = {}
        for instance in sorted(local):
            one = local[instance]
            place = (one.binding.vsid, one.binding.mac)
            known = self.local_macs.get(place)
            if known is None or stands_back(one) < stands_back(known):
                self.local_macs[place] = one

    def note_subnet(self, vsid: Vsid) -> None:
        """A record of a virtual subnet came or went."""
        naming = [domain for domain in self.domains.values() if vsid in domain.subnets_of]
        self._naming[vsid] = sorted(naming, key=lambda domain: -domain.rdid)
        if not naming:
            del self._naming[vsid]

    def domain(self, vsid: Vsid) -> Domain | None:
        naming = self._naming.get(vsid)
        return naming[0] if naming else None

    def way(self, domain: Domain | None, local: Local | None) -> Way | None:
        rdid = domain.rdid if domain else local.binding.rdid if local else None
        return self.ways.get(rdid) if rdid is not None else None

    def gone(self, domain: Domain | None, local: Local) -> bool:
        """Has the machine left? Its record pointing to the new host says so too, where no hypervisor does."""
        if not local.binding.forward_to:
            return False
        return local.role is Role.GONE or self.is_there(domain, local)

    def is_there(self, domain: Domain | None, local: Local) -> bool:
        """Is it known here that the machine is at its new host? Then that has it among those of the virtual subnet."""
        record = _record_of_mac(domain, local.binding.vsid, local.binding.mac)
        return record is not None and record.provider_address == local.binding.forward_to

    def place(self, domain: Domain | None, vsid: Vsid, mac: Mac) -> Door | PackedIp | None:
        """Where this host sends frames for a MAC: a port, a provider address, or nowhere."""
        local = self.local_macs.get((vsid, mac))
        if local is not None and local.segment is not None:
            # elsewhere is wherever the physical network finds it
            return door_of(local) if local.role is Role.HERE else None
        record = _record_of_mac(domain, vsid, mac)
        told = record.provider_address if record else None
        if local is None:
            way = self.way(domain, None)
            return told if way and told not in self.own else None
        here = told == local.binding.provider_address or told in self.own
        if self.gone(domain, local):
            return told if told and not here else local.binding.forward_to
        if local.number is None or (local.role in (Role.COMING, Role.IDLE) and told is not None):
            return door_of(local) if here else told
        return door_of(local)


def _record_of_mac(domain: Domain | None, vsid: Vsid, mac: Mac) -> LookupRecord | None:
    addresses = domain.addresses_of.get((vsid, mac)) if domain else None
    return domain.find(LookupRecord, vsid, addresses[0]) if domain and addresses else None
