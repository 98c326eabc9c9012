"""Leases that deserve a look, kept up with every change of a lease, so that nothing scans the ledger for them.

Called by core.addresses; read by core.conflicts, core.decide.seen, core.decide.granting and release. Places are (scope,
address). Turning a change back restores all of it.
"""

import bisect

from weft.model.leases import COOLING, MAC_SCOPE, RESERVED, Holder, Lease

Place = tuple[str, int]

_PLAIN = frozenset(
    {"networkInterface", "server", "virtualSubnet", "virtualNetwork", "checkpoint", "export"}
    | {"publicIPAddress", "virtualGateway"}
)
"""A lease with one of these alone, not inactive, is as a lease should be."""

_ACTIVE = frozenset({"networkInterface", "port"})
"""Holders that may send frames from the address."""


OFF = "machines"
"""Stands in the reference of a stranger that does not run where `ports` stands else."""


def present(lease: Lease | None) -> tuple[Holder, ...]:
    """Who holds an address now; what cools has only those who held it last."""
    return () if lease is None or lease.state == COOLING else lease.holders


def is_plain(lease: Lease | None) -> bool:
    """Whether there is nothing to note about a lease; true of nearly all, so it is asked first."""
    if lease is None or lease.state == COOLING:
        return True
    holders = lease.holders
    if not holders:
        return True
    return len(holders) == 1 and holders[0].kind in _PLAIN and not holders[0].inactive


def server_of_port(ref: str) -> str:
    """The id, lower case, of the server in a port's reference: /servers/ID/ports/NAME, or, of a machine there that does
    not run, /servers/ID/machines/NAME."""
    return ref.split("/")[2].lower()


def is_off(holder: Holder) -> bool:
    """Whether it is a stranger that does not run: it has the address, and does not use it."""
    return holder.kind == "port" and holder.ref.split("/")[3] == OFF


class Notable:
    """What is to be noted about the leases of one state."""

    def __init__(self) -> None:
        self.contested: dict[Place, None] = {}
        """Leases with two present holders, or more, that could both send from the address."""
        self.inactive: dict[Place, None] = {}
        """Leases with a holder that is known to be gone outside Weft."""
        self.ports: dict[str, dict[tuple[int, str], None]] = {}
        """(MAC address, reference of the port) seen on each server's switches, by its id in lower case."""
        self.reserved: dict[str, list[Place]] = {}
        """By reservation, in order: its addresses that nobody has taken."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notable) and vars(self) == vars(other)

    def turn(self, place: Place, before: Lease | None, after: Lease | None) -> None:
        """Follow one lease."""
        old, new = present(before), present(after)
        _set(self.contested, place, _is_contested(place, new))
        _set(self.inactive, place, any(holder.inactive for holder in new))
        for holder in old:
            if holder.kind == "port":
                self._forget_port(place[1], holder.ref)
        for holder in new:
            if holder.kind == "port":
                self.ports.setdefault(server_of_port(holder.ref), {})[place[1], holder.ref] = None
        if before is not None and before.state == RESERVED:
            self._turn_reserved(place, before, False)
        if after is not None and after.state == RESERVED:
            self._turn_reserved(place, after, True)

    def _forget_port(self, mac: int, ref: str) -> None:
        server = server_of_port(ref)
        del self.ports[server][mac, ref]
        if not self.ports[server]:
            del self.ports[server]

    def _turn_reserved(self, place: Place, lease: Lease, there: bool) -> None:
        for holder in lease.holders:
            if holder.kind != "reservation":
                continue
            key = holder.ref.lower()
            places = self.reserved.setdefault(key, [])
            at = bisect.bisect_left(places, place)
            if there:
                places.insert(at, place)
            else:
                del places[at]
            if not places:
                del self.reserved[key]


def _is_contested(place: Place, holders: tuple[Holder, ...]) -> bool:
    """A server's own adapter sends from its MAC address too; its provider address is nobody else's anyhow."""
    active = sum(one.kind in _ACTIVE or (one.kind == "server" and place[0] == MAC_SCOPE) for one in holders)
    return active > 1


def _set(table: dict[Place, None], place: Place, there: bool) -> None:
    if there:
        table[place] = None
    else:
        table.pop(place, None)
