"""Which routes of the host lead out of its provider subnet, and which of ours are to go. Pure.

They lead to the other subnets of its provider network by its subnet's gateway, and by next hops of their own to what
the subnet's routes name.

Asked by reconcile.py. What the host's operator set up comes first: where he has a way to a prefix, ours is not put
there, and goes if it is. There is never a default route among them.
"""

import ipaddress
from collections.abc import Iterable, Iterator

from weft.agent.switch import HostAddress, HostRoute, SwitchFacts
from weft.model.records import ProviderAddress
from weft.model.values import PackedIp

Prefix = tuple[PackedIp, int]


class ProviderRoutes:
    """Of one host."""

    def __init__(self) -> None:
        self._wanted: frozenset[HostRoute] = frozenset()
        self._ours: frozenset[HostRoute] = frozenset()

    def are(self, told: Iterable[ProviderAddress], facts: SwitchFacts, withheld: frozenset[PackedIp]) -> None:
        """The host is to have these addresses, has those and its routes, and is to use none that is withheld."""
        places = {one.address: one for one in facts.addresses}
        # its own addresses lead before those of virtual subnets, which come and go
        usable = sorted(
            (one for one in told if _usable(one, places, withheld)),
            key=lambda one: (one.for_subnet, len(one.address), one.address),
        )
        self._ours = frozenset(one for one in facts.routes if one.ours)
        theirs = [one for one in facts.routes if not one.ours]
        here = [(one.address, one.prefix_length) for one in told]
        wanted: dict[Prefix, HostRoute] = {}
        for one in usable:
            device = places[one.address].device
            for prefix, hop, by_default in _ways(one, here):
                there = _have_way(theirs, prefix, device if by_default else None)
                # a host that has the next hop's address is the router itself
                if hop not in places and prefix not in wanted and not there:
                    wanted[prefix] = HostRoute(*prefix, device, hop, one.address, ours=True)
        self._wanted = frozenset(wanted.values())

    @property
    def to_add(self) -> tuple[HostRoute, ...]:
        return tuple(sorted(self._wanted - self._ours, key=_order))

    @property
    def to_remove(self) -> tuple[HostRoute, ...]:
        """None to a prefix that another of ours takes: putting that one takes its place."""
        taken = {(one.prefix, one.prefix_length) for one in self._wanted}
        gone = (one for one in self._ours if (one.prefix, one.prefix_length) not in taken)
        return tuple(sorted(gone, key=_order))

    @property
    def are_there(self) -> bool:
        return self._wanted <= self._ours


def _usable(one: ProviderAddress, places: dict[PackedIp, HostAddress], withheld: frozenset[PackedIp]) -> bool:
    """Can the host send from it?"""
    place = places.get(one.address)
    return place is not None and place.ready and one.address not in withheld


def _ways(one: ProviderAddress, here: Iterable[Prefix]) -> Iterator[tuple[Prefix, PackedIp, bool]]:
    """Prefixes, next hops, and whether a default route by the same interface leads there as well; `here` are the
    subnets that the host has addresses in. A route of the subnet may sum up prefixes, so it may be wider than one of
    those: the way there is the narrower one, and stays. It names its next hop because the default one is wrong."""
    for prefix, length, hop in one.routes:
        if not any(_covers(own, (prefix, length)) for own in here):
            yield (prefix, length), hop, False
    for beyond in one.beyond:
        if not any(_covers(beyond, own) or _covers(own, beyond) for own in here):
            yield beyond, one.gateway, True


def _have_way(theirs: Iterable[HostRoute], prefix: Prefix, device: str | None) -> bool:
    """Does a route of another hand lead to all of a prefix? A default route does only by `device`, the provider
    address's own interface: by another it is the way to the rest of the world. None: none does."""
    ways = (one for one in theirs if _covers((one.prefix, one.prefix_length), prefix))
    return any(one.prefix_length > 0 or one.device == device for one in ways)


def _covers(outer: Prefix, inner: Prefix) -> bool:
    (prefix, length), (address, inner_length) = outer, inner
    if len(prefix) != len(address) or length > inner_length:
        return False
    shift = len(prefix) * 8 - length
    return int(ipaddress.ip_address(prefix)) >> shift == int(ipaddress.ip_address(address)) >> shift


def _order(one: HostRoute) -> tuple[int, bytes, int]:
    return len(one.prefix), one.prefix, one.prefix_length
