"""The parts that follow from ports and MAC addresses: entrances, and where frames within a virtual subnet go.

Called by table.py, a method per kind of part. Pure.
"""

from collections.abc import Iterable

from weft.agent.bindings import Local
from weft.agent.flows import decap, l2, onward, ports, responder, segment
from weft.agent.flows.actions import Actions, Output
from weft.agent.flows.domain import Domain
from weft.agent.flows.doors import bridges, door_of, is_elsewhere
from weft.agent.flows.flow import Flow
from weft.agent.flows.onward import Leaving, Onward, others_at, sent_on
from weft.agent.flows.placing import Placing
from weft.agent.flows.ways import Door, Way, into, into_each
from weft.model.values import Mac, PackedIp, Vsid


class ByMac:
    """Builds from where things are now."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    def of_port(self, instance: str) -> tuple[Flow, ...]:
        local = self._placing.locals.get(instance)
        return ports.of_local(local, self._placing.physical.provider) if local is not None else ()

    def of_segment(self, vlan: int) -> tuple[Flow, ...]:
        return self._placing.physical.of_segment(vlan, self._placing.locals.values())

    def of_mac(self, vsid: Vsid, mac: Mac) -> tuple[Flow, ...]:
        placing = self._placing
        domain, local = placing.domain(vsid), placing.local_macs.get((vsid, mac))
        place = placing.place(domain, vsid, mac)
        flows = []
        if isinstance(place, Door):
            flows.append(l2.of_mac(vsid, mac, into(place)))
        elif place:
            way = placing.way(domain, local)
            flows += [l2.of_mac(vsid, mac, way.to(vsid, place))] if way else []
        if local is not None and placing.gone(domain, local):
            # without a tunnel nothing can be passed on
            if not (domain and domain.rewriting):
                flows += decap.of_stray(vsid, local, self._may_reach(domain, local))
                flows += onward.of_machine(vsid, local)
        elif local is not None and (door := door_of(local)) is not None and not is_elsewhere(local):
            flows.append(decap.of_local_mac(vsid, mac, door))
            if domain is not None and bridges(local):
                prefixes = [(one.prefix, one.prefix_length) for one in domain.subnets if one.vsid == vsid]
                flows += decap.of_bridge(vsid, local, door, prefixes)
        if domain is not None and any(len(address) == 16 for address in domain.addresses_of.get((vsid, mac), ())):
            flows.append(responder.of_link_local(vsid, mac))
        return tuple(flows)

    def _may_reach(self, domain: Domain | None, local: Local) -> bool:
        """May what comes for a machine that has left be sent on to where it is?"""
        way = self._placing.way(domain, local)
        return way is None or way.may_reach(local.binding.forward_to)

    def of_group(self, vsid: Vsid) -> tuple[Flow, ...]:
        """Broadcast and multicast of a virtual subnet: a copy to each port here and each host with one."""
        placing = self._placing
        domain = placing.domain(vsid)
        way = placing.way(domain, None)
        here = [(mac, local) for (where, mac), local in placing.local_macs.items() if where == vsid]
        gone = {mac: local for mac, local in here if way and placing.gone(domain, local)}
        further = self._sent_on(domain, way, gone.values()) if way else Onward()
        doors: set[Door] = set()
        hosts = others_at(domain, vsid, further) if domain else set()
        for mac, _ in here:
            place = placing.place(domain, vsid, mac) if mac not in gone else None
            if isinstance(place, Door):
                doors.add(place)
            elif place:
                hosts.add(place)
        into_ports = into_each(sorted(doors, key=lambda door: door.number))
        copies = _copies(way, vsid, hosts - placing.own, further) if way else ()
        if placing.physical.patch is not None:
            vlans = {local.segment.vlan for _, local in here if local.segment is not None}
            copies += tuple(action for vlan in sorted(vlans) for action in segment.out_by(placing.physical.patch, vlan))
        flows = [l2.of_group(vsid, into_ports, copies)] if into_ports or copies else []
        return (*flows, *decap.of_group(vsid, into_ports, further))

    def _sent_on(self, domain: Domain | None, way: Way, gone: Iterable[Local]) -> Onward:
        leaving = (Leaving(local, self._placing.is_there(domain, local)) for local in gone)
        return sent_on(one for one in leaving if way.may_reach(one.host))


def _copies(way: Way, vsid: Vsid, hosts: set[PackedIp], further: Onward) -> Actions:
    """To hosts, and then to machines that have left this one."""
    copies = way.copy_to(vsid, tuple(sorted(hosts.union(further.whole))))
    each = further.by(Output(way.number))
    return (*copies, *((way.key(vsid),) if each and not copies else ()), *each)
