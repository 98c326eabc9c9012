"""Which tunnels this host needs, to whom they lead and how each network's packets travel by them. Pure.

Kept by reconcile.py. It follows from what the host is told, from its networks and from the ports that the switch has.
"""

from collections.abc import Iterable, Mapping

from weft.agent.encryption import Pair
from weft.agent.flows.domain import Domain
from weft.agent.flows.ways import TUNNEL_KINDS, Way, mtu_for
from weft.agent.flows.ways_out import binding_of
from weft.agent.reach import Other
from weft.agent.switch import Peer, SwitchFacts, Tunnel
from weft.agent.told import Told
from weft.model.records import PortBinding
from weft.model.values import PackedIp, Rdid


class Tunnels:
    """Of one host. `domains` are its networks as it knows them now."""

    def __init__(self, told: Told, domains: Mapping[Rdid, Domain]) -> None:
        self._told = told
        self._domains = domains
        self.own: frozenset[PackedIp] = frozenset()
        """All provider addresses of this host."""
        self.withheld: frozenset[PackedIp] = frozenset()
        """Those of them that are not to be used: another machine has them, or it is not known yet that none has."""
        self.sealed: frozenset[Pair] = frozenset()
        """Between these provider addresses, this host's first, tunnels are encrypted."""
        self.opened: tuple[PortBinding, ...] = ()
        """Of the bindings those whose ports are there and whose machines are, or may be: what they send goes into the
        networks."""
        self.provider_mtu = 1500
        """MTU of the interfaces that carry the tunnels, the least of them."""
        self.wanted: frozenset[Tunnel] = frozenset()
        self.ways: dict[Rdid, Way] = {}
        self.peers: frozenset[Peer] = frozenset()
        """Hosts that networks here send to, each with the address that this one sends from."""
        self.reached: set[Peer] = set()
        """Those that the switch is prepared for."""
        self.others: frozenset[Other] = frozenset()
        """Hosts that networks here send to by a tunnel that is there."""
        self.to_encrypt: frozenset[Pair] = frozenset()
        """Between which provider addresses nothing may pass in clear."""
        self._made: set[Tunnel] = set()

    def find_ways(self, facts: SwitchFacts) -> None:
        """Work out which tunnels are wanted, and the ways by those that the switch has."""
        numbers = numbers_of(facts)
        wanted: set[Tunnel] = set()
        ways: dict[Rdid, Way] = {}
        own = self._own_addresses()
        sends = (one.provider_address for one in self._told.bindings if one.provider_address)
        self.own = frozenset((*own.values(), *sends, *(one.address for one in self._told.provider_addresses)))
        self.provider_mtu = min((one.mtu for one in facts.addresses if one.address in self.own), default=1500)
        for domain, local in self._sending():
            if domain.settings is None or domain.rewriting:
                continue
            tunnel = Tunnel(TUNNEL_KINDS[domain.settings.encapsulation])
            wanted.add(tunnel)
            number = numbers.get(tunnel) or numbers.get(Tunnel(tunnel.kind, local))
            if number is not None:
                mtu = mtu_for(domain.settings.encapsulation, self.provider_mtu, 6 if len(local) == 16 else 4)
                also = sorted(at for one, at in numbers.items() if one.kind == tunnel.kind and at != number)
                sealed = self._sealed(domain, local)
                taken = frozenset(one for one in self.sealed if sealed is not None and domain.has_endpoint(one.remote))
                ways[domain.rdid] = Way(tunnel, number, mtu, local, sealed, taken, tuple(also))
        self.wanted = frozenset(wanted)
        self.ways = ways

    def _sealed(self, domain: Domain, local: PackedIp) -> frozenset[PackedIp] | None:
        """Hosts to which the tunnels of a network are encrypted, from whichever address; None: they need not be."""
        if domain.settings is None or not domain.settings.encrypted:
            return None
        own = self._sources(domain, local, self.opened)
        return frozenset(one.remote for one in self.sealed if self._is_sealed(own, one.remote))

    def _is_sealed(self, own: Iterable[PackedIp], remote: PackedIp) -> bool:
        kin = [Pair(one, remote) for one in own if len(one) == len(remote)]
        return bool(kin) and all(one in self.sealed for one in kin)

    def _sources(self, domain: Domain, local: PackedIp, bindings: Iterable[PortBinding]) -> set[PackedIp]:
        """Addresses that this host sends packets into a network from: those of its ports there, and in its peers."""
        senders = {domain.rdid, *domain.peers}
        return {local, *(one.provider_address for one in bindings if one.rdid in senders and one.provider_address)}

    def _to_encrypt(self) -> Iterable[Pair]:
        for domain, local in self._sending():
            if domain.settings is not None and domain.settings.encrypted:
                bindings = (*self._told.bindings, *map(binding_of, self._told.edges))
                remotes = [one for one in domain.endpoints() if one not in self.own]
                ends = self._sources(domain, local, bindings) | self._known_by(domain)
                yield from (Pair(end, other) for end in ends for other in remotes if len(end) == len(other))

    def _known_by(self, domain: Domain) -> set[PackedIp]:
        """The addresses of this host that a network's other hosts are told of (TunnelEndpoint) and keep their end of:
        what is not used yet is encrypted before it is."""
        return {one for one in domain.endpoints() if one in self.own} - self.withheld

    def is_withheld(self, binding: PortBinding) -> bool:
        """Would a port with this binding send from an address that is withheld, where others of its network have one
        that is not? Where none of them has, it stops nobody."""
        if binding.provider_address not in self.withheld:
            return False
        others = (one.provider_address for one in self._told.bindings if one.rdid == binding.rdid)
        return any(one and one not in self.withheld for one in others)

    def stops_others(self, binding: PortBinding) -> bool:
        """Would a port with this binding close a way of its network, or of a peer, that is open here? What it sends
        from is not encrypted yet, as what others here send from is."""
        domain = self._domains.get(binding.rdid)
        peers = domain.peers if domain is not None else ()
        return any(self._closes(binding.provider_address, rdid) for rdid in (binding.rdid, *peers))

    def _closes(self, own: PackedIp, rdid: Rdid) -> bool:
        way, domain = self.ways.get(rdid), self._domains.get(rdid)
        if way is None or way.sealed is None or domain is None:
            return False
        open_to = (one for one in way.sealed if len(one) == len(own) and domain.has_endpoint(one))
        return any(Pair(own, one) not in self.sealed for one in open_to)

    def find_peers(self) -> None:
        """Work out who is at the other ends."""
        self.peers = frozenset(self._wanted_peers())
        self.others = frozenset(self._reached_by_tunnel())
        self.to_encrypt = frozenset(self._to_encrypt())
        self.reached &= self.peers

    def to_add(self, facts: SwitchFacts) -> tuple[Tunnel, ...]:
        return tuple(sorted(self.wanted - present(facts), key=_order))

    def to_remove(self, facts: SwitchFacts) -> tuple[Tunnel, ...]:
        """None before what is to take its place is there: packets still come by it."""
        return tuple(sorted(present(facts) - self.wanted, key=_order)) if self.are_open(facts) else ()

    def to_reach(self) -> tuple[Peer, ...]:
        return tuple(sorted(self.peers - self.reached, key=lambda peer: (peer.local, peer.remote)))

    def made(self, tunnels: Iterable[Tunnel]) -> None:
        """They were opened, by us."""
        self._made |= set(tunnels)

    def are_open(self, facts: SwitchFacts) -> bool:
        """Has the switch all that are wanted, with a number?"""
        return self.wanted <= numbers_of(facts).keys()

    def missing(self, facts: SwitchFacts) -> tuple[str, ...]:
        """Tunnel ports that were there and are gone: another hand's work, to be reported."""
        there = present(facts)
        gone = (self._made & self.wanted) - there
        self._made = (self._made | (there & self.wanted)) - gone
        return tuple(f"tunnel port {one.kind} was gone" for one in sorted(gone, key=_order))

    @property
    def gateways(self) -> frozenset[Peer]:
        """Gateways that networks here use, each with the address that this host sends from."""
        found = set()
        for domain, local in self._sending():
            if domain.gateway is not None:
                found |= {Peer(local, remote) for remote in domain.gateway.gateways if remote != local}
        return frozenset(found)

    def _sending(self) -> Iterable[tuple[Domain, PackedIp]]:
        """Each network with the address that this host sends from there. One of whose ports any sends from an address
        that is withheld has no tunnel here: there is one way for all of them. Who only comes sends nothing yet."""
        own, held_up = self._own_addresses(), self._held_up
        for rdid, domain in self._domains.items():
            local = own.get(rdid) or own.get(None)
            if local is not None and local not in self.withheld and rdid not in held_up:
                yield domain, local

    def lacks_way(self, binding: PortBinding) -> bool:
        """Has what this port sends, or is to send, no way to other hosts for want of an address that is withheld?"""
        if not self.withheld:
            return False
        own = binding.provider_address
        ends = own, self._told.own_beside().get(own, own)
        return binding.rdid in self._held_up or not self.withheld.isdisjoint(ends)

    @property
    def _held_up(self) -> frozenset[Rdid]:
        """Networks into which any port sends from an address that is withheld."""
        return frozenset(one.rdid for one in self.opened if one.provider_address in self.withheld)

    def _own_addresses(self) -> Mapping[Rdid | None, PackedIp]:
        """This host's own provider address per routing domain, or what its ports send from; under None the one for
        domains without a port here. A virtual subnet's stands for that of the host beside it."""
        beside = self._told.own_beside()
        every = [one for one in self._told.provider_addresses if not one.for_subnet]
        first = min(every, key=lambda one: (not one.primary, one.address), default=None)
        own: dict[Rdid | None, PackedIp] = {} if first is None else {None: first.address}
        for binding in (*self._told.bindings, *map(binding_of, self._told.edges)):
            if binding.provider_address:
                own[binding.rdid] = beside.get(binding.provider_address, binding.provider_address)
        return own | self._told.places

    def _wanted_peers(self) -> Iterable[Peer]:
        for domain, local in self._sending():
            for remote in domain.endpoints():
                if remote not in self.own:
                    yield Peer(local, remote)

    def _reached_by_tunnel(self) -> Iterable[Other]:
        own = self.own
        for rdid, way in self.ways.items():
            domain = self._domains.get(rdid)
            names = {one.provider_address: one for one in domain.who()} if domain is not None else {}
            mine = names[way.source].server if way.source in names else ""
            for remote, one in names.items():
                # a subnet's is the same host by the same interface as that one's own
                if remote not in own and not one.for_subnet:
                    yield Other(way, remote, one.server, one.probed, mine)


def numbers_of(facts: SwitchFacts) -> dict[Tunnel, int]:
    """The OpenFlow numbers of tunnel ports of ours that are open."""
    return {port.tunnel: port.ofport for port in facts.ports if port.tunnel and port.ofport > 0}


def present(facts: SwitchFacts) -> frozenset[Tunnel]:
    return frozenset(port.tunnel for port in facts.ports if port.tunnel)


def _order(tunnel: Tunnel) -> tuple[str, bytes]:
    return tunnel.kind, tunnel.local
