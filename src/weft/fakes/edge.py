"""Edges as a host has them, without the host: what was put is there, and translates as the rules of an edge say.

Implements weft.agent.edge.wanted.Edge for tests; passes the same contract suite as the namespaces.
"""

from weft.agent.edge import replication
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.core.edge_routes import exit_for, known_as, lets_in
from weft.model.records import EdgeLeg, EdgeTunnel
from weft.model.values import PackedIp, Rdid


class FakeEdge:
    """One host's. `refuses` makes every call fail with these words while it is set; `lacks` is what puts answer;
    `deaf` is why the others cannot be asked for their connections, while it is set."""

    def __init__(self) -> None:
        self.edges: dict[Rdid, Wanted] = {}
        self.puts = 0
        self.asked: dict[Rdid, int] = {}
        """The others were asked for its connections, after so many splits."""
        self.refuses = ""
        self.lacks = ""
        self.deaf = ""

    async def there(self) -> dict[Rdid, bool]:
        self._check()
        return {rdid: one.carries for rdid, one in self.edges.items()}

    async def put(self, wanted: Wanted) -> str:
        self._check()
        self.puts += 1
        rdid = wanted.network.rdid
        self.edges[rdid] = wanted
        if replication.peers(replication.told(wanted)) and self.asked.get(rdid) != wanted.splits:
            if self.deaf:
                return self.deaf
            self.asked[rdid] = wanted.splits
        return self.lacks

    async def remove(self, rdid: Rdid) -> None:
        self._check()
        self.edges.pop(rdid, None)
        self.asked.pop(rdid, None)

    def _check(self) -> None:
        if self.refuses:
            raise EdgeFailure(self.refuses)

    def outward(self, rdid: Rdid, source: PackedIp, target: PackedIp) -> PackedIp | None:
        """The source address with which a packet of the network leaves; None: it does not."""
        return self.way_out(rdid, source, target)[1]

    def way_out(
        self, rdid: Rdid, source: PackedIp, target: PackedIp
    ) -> tuple[EdgeLeg | EdgeTunnel | None, PackedIp | None]:
        """The same with the leg or tunnel by which it would leave."""
        edge = self.edges.get(rdid)
        found = exit_for(edge.network, source, target) if edge is not None else None
        return (found.by, known_as(edge.network, found.by, source)) if edge and found else (None, None)

    def lets_in(self, rdid: Rdid, leg: int, source: PackedIp, target: PackedIp) -> bool:
        """Whether a packet that begins something and comes by a leg, named by its place, for a customer address as it
        is reaches the network."""
        edge = self.edges.get(rdid)
        return edge is not None and lets_in(edge.network, edge.network.legs[leg], source, target)

    def inward(self, rdid: Rdid, target: PackedIp) -> PackedIp | None:
        """Whom a packet for an outer address reaches in the network; None: nobody."""
        edge = self.edges.get(rdid)
        for leg in edge.network.legs if edge is not None else ():
            for public, inside in leg.mappings if isinstance(leg, EdgeLeg) else ():
                if public == target:
                    return inside
        return None

    def into_tunnel(self, rdid: Rdid, source: PackedIp, target: PackedIp) -> EdgeTunnel | None:
        """The GRE connection by which a packet of the network for an address outside leaves; None: by none."""
        edge = self.edges.get(rdid)
        found = exit_for(edge.network, source, target) if edge is not None and edge.carries else None
        return found.by if found is not None and isinstance(found.by, EdgeTunnel) else None

    def out_of_tunnel(self, near: PackedIp, far: PackedIp, key: int) -> Rdid | None:
        """The network that a GRE packet of these ends and this key (-1: none) reaches; None: nobody takes it."""
        for rdid, edge in self.edges.items():
            for one in edge.network.tunnels if edge.carries else ():
                if (one.local, one.remote, one.key_value) == (near, far, key):
                    return rdid
        return None
