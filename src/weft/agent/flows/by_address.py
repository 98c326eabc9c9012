"""The parts that follow from addresses and prefixes: answers, routes, and who may send by a tunnel.

Called by table.py, a method per kind of part. Pure.
"""

from weft.agent.flows import classify, decap, l3, responder
from weft.agent.flows.domain import Domain
from weft.agent.flows.flow import Flow
from weft.agent.flows.placing import Placing
from weft.model.records import LookupRecord, PeerNetwork, SubnetRecord, UserRoute
from weft.model.values import PackedIp, Rdid, Vsid


class ByAddress:
    """Builds from what the streams say now."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    def of_subnet(self, vsid: Vsid) -> tuple[Flow, ...]:
        domain = self._placing.domain(vsid)
        way = self._placing.ways.get(domain.rdid) if domain else None
        return classify.of_subnet(domain.rdid, vsid, way) if domain and way else ()

    def of_gateway(self, vsid: Vsid, prefix: PackedIp) -> tuple[Flow, ...]:
        domain = self._placing.domain(vsid)
        subnet = domain.find(SubnetRecord, vsid, prefix) if domain else None
        if domain is None or subnet is None:
            return ()
        return (responder.of_gateway(vsid, subnet.gateway), *l3.of_gateway(domain.rdid, subnet.gateway))

    def of_address(self, vsid: Vsid, address: PackedIp) -> tuple[Flow, ...]:
        """What every host knows of a customer address, wherever it is."""
        domain = self._placing.domain(vsid)
        record = domain.find(LookupRecord, vsid, address) if domain else None
        if record is None:
            return ()
        return (
            responder.of_address(vsid, address, record.mac),
            l3.of_neighbour(vsid, address, record.mac),
            *self._rewritten(domain, record),
        )

    def _rewritten(self, domain: Domain | None, record: LookupRecord) -> tuple[Flow, ...]:
        if domain is None or not domain.rewriting:
            return ()
        local = self._placing.local_macs.get((record.vsid, record.mac))
        return self._placing.physical.rewritten(domain.rdid, record, local)

    def of_endpoint(self, rdid: Rdid, address: PackedIp) -> tuple[Flow, ...]:
        domain, way = self._placing.domains.get(rdid), self._placing.ways.get(rdid)
        if domain is None or not domain.has_endpoint(address) or way is None or address in self._placing.own:
            return ()
        return decap.of_endpoint(rdid, address, way)

    def of_route(self, rdid: Rdid, prefix: PackedIp, length: int) -> tuple[Flow, ...]:
        domain = self._placing.domains.get(rdid)
        routes = domain.routes.get((prefix, length)) if domain else None
        if not routes:
            return ()
        best = min(routes.values(), key=lambda route: (route.metric, route.vsid))
        return (l3.of_route(rdid, best),)

    def of_exit(self, rdid: Rdid) -> tuple[Flow, ...]:
        """A way out that no gateway serves: what would take it is counted, instead of having no record."""
        domain = self._placing.domains.get(rdid)
        record = domain.gateway if domain else None
        return l3.of_no_gateway(record) if record is not None and not record.gateways else ()

    def of_user_route(self, vsid: Vsid, prefix: PackedIp, length: int) -> tuple[Flow, ...]:
        domain = self._placing.domain(vsid)
        route = domain.find(UserRoute, vsid, prefix, length) if domain else None
        return (l3.of_user_route(route),) if route is not None else ()

    def of_peer(self, rdid: Rdid, other: Rdid) -> tuple[Flow, ...]:
        """From one network into the subnets of another; that one's stream is here too."""
        domain, there = self._placing.domains.get(rdid), self._placing.domains.get(other)
        peer = domain.find(PeerNetwork, other) if domain else None
        if there is None or peer is None:
            return ()
        return tuple(flow for subnet in there.subnets for flow in l3.of_peer_subnet(rdid, peer, subnet))
