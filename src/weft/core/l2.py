"""Which subnets are one L2 domain: where two holders of one MAC address would meet.

Kept by core.state, asked by core.decide and core.conflicts: what adapters name is counted, and the domains follow from
that and from the VLANs of the subnets, which are fixed while an adapter names them. A virtual subnet is a domain of its
own, with its dual-stack partner (its name says so already); one whose network rewrites is on the provider network
(core.state). Logical subnets of one VLAN, or untagged, that one adapter carries are one switched segment; what several
adapters join so is one domain. A holder without a subnet may meet everyone.
"""

from collections.abc import Mapping
from typing import Any

from weft.core.pools import Segment
from weft.model.fabric import ServerProperties
from weft.model.resources import Resource

Trunk = tuple[str, ...]
"""The logical subnets that an adapter carries: references in lower case, in order."""


class Domains:
    """The L2 domains of one state. `segments` is the state's own table, read only."""

    def __init__(self, segments: Mapping[str, Segment]) -> None:
        self._segments = segments
        self._trunks: dict[Trunk, int] = {}
        """How many adapters carry the same subnets; hosts are alike, so there are few."""
        self._roots: dict[str, str] | None = {}
        """The lowest subnet of each domain, by subnet; for those that are joined. None: to be found again."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domains) and self._trunks == other._trunks

    def turn_server(self, before: Resource[ServerProperties] | None, after: Resource[ServerProperties] | None) -> None:
        """Follow one server's adapters."""
        for trunk in _trunks(before):
            self._count(trunk, -1)
        for trunk in _trunks(after):
            self._count(trunk, 1)

    def meet(self, one: str, other: str) -> bool:
        """Whether holders in two domains (`Holder.domain`) could meet."""
        return not one or not other or one == other or self.domain_of(one) == self.domain_of(other)

    def domain_of(self, subnet: str) -> str:
        """The subnet, lower case, that its whole domain goes by."""
        if self._roots is None:
            self._roots = self._join()
        return self._roots.get(subnet, subnet)

    def _count(self, trunk: Trunk, by: int) -> None:
        count = self._trunks.get(trunk, 0) + by
        if count:
            self._trunks[trunk] = count
        else:
            del self._trunks[trunk]
        if count == 0 or count == by:
            self._roots = None

    def _join(self) -> dict[str, str]:
        roots: dict[str, str] = {}
        for trunk in self._trunks:
            first_of: dict[int, str] = {}
            for subnet in trunk:
                _unite(roots, first_of.setdefault(self._segments[subnet].vlan, subnet), subnet)
        return {subnet: _root(roots, subnet) for subnet in roots}


def subnet_on(segments: Mapping[str, Segment], server: Resource[ServerProperties], vlan: int) -> str:
    """The logical subnet, lower case, that a server's adapters carry with a VLAN (0: untagged); empty for none.

    Provider subnets do not count: between tunnels no machine sends frames of its own.
    """
    for trunk in sorted(_trunks(server, alone=True)):
        for subnet in trunk:
            segment = segments[subnet]
            if segment.vlan == vlan and not segment.virtualized:
                return subnet
    return ""


def _trunks(server: Resource[Any] | None, alone: bool = False) -> list[Trunk]:
    """What each adapter carries; one subnet alone joins nothing, so it counts only where it is asked for."""
    if server is None:
        return []
    found = []
    for adapter in server.properties.network_interfaces:
        trunk = tuple(sorted({ref.resource_ref.lower() for ref in adapter.properties.logical_subnets}))
        if len(trunk) > 1 or (alone and trunk):
            found.append(trunk)
    return found


def _root(roots: dict[str, str], subnet: str) -> str:
    while (above := roots.get(subnet, subnet)) != subnet:
        roots[subnet] = roots.get(above, above)
        subnet = above
    return subnet


def _unite(roots: dict[str, str], one: str, other: str) -> None:
    low, high = sorted((_root(roots, one), _root(roots, other)))
    if low != high:
        roots[high] = low
