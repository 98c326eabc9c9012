"""The range of MAC addresses from which one Hyper-V host draws: its bounds, its cursor, what this host's machines use.

Used by sim.hyperv. Plain and stateful; knows one host only, which is the fault of the system that it models.
"""

from weft.core.space import Space
from weft.model.values import Mac

MICROSOFT_OUI = 0x00155D
DEFAULT_SIZE = 256


def default_bounds(ipv4: str) -> tuple[Mac, Mac]:
    """What a host computes once, when its role is installed: 00-15-5D, the last two octets of its first IPv4 address,
    00 to FF.
    """
    octets = [int(octet) for octet in ipv4.split(".")]
    first = MICROSOFT_OUI << 24 | octets[2] << 16 | octets[3] << 8
    return Mac(first), Mac(first + DEFAULT_SIZE - 1)


def plan_bounds(cluster: int, host: int) -> tuple[Mac, Mac]:
    """The plan 00-15-5D-[c1][c2]-[h1][v1]-[v2][v3]: 4 096 addresses for each of 16 hosts in each of 256 clusters.

    Nothing checks the numbers, as nothing does when a person types them: host 16 lands in the next cluster.
    """
    first = (MICROSOFT_OUI << 24 | cluster << 16) + (host << 12)
    return Mac(first), Mac(first + 0xFFF)


class AddressRange:
    """Bounds, both included, a cursor, and how many of this host's adapters use each address (running ones apart).

    The cursor goes upward from the address given last and wraps at the end; the exact wrap is not documented.
    """

    def __init__(self, first: Mac, last: Mac) -> None:
        self.first = first
        self.last = last
        self.cursor = 0
        """Offset at which the next search begins."""
        self._users: dict[int, int] = {}
        self._running: dict[int, int] = {}
        self._used = Space(self.size)
        self._live = Space(self.size)

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def used(self) -> int:
        """Addresses of the range that machines of this host use, running or not."""
        return self._used.used

    def __contains__(self, mac: int) -> bool:
        return self.first <= mac <= self.last

    def users(self, mac: int) -> int:
        """How many adapters of this host have an address, in the range or not."""
        return self._users.get(mac, 0)

    def running(self, mac: int) -> int:
        """How many adapters of this host's running machines have an address."""
        return self._running.get(mac, 0)

    def use(self, mac: int) -> None:
        self._count(self._users, self._used, mac, 1)

    def leave(self, mac: int) -> None:
        self._count(self._users, self._used, mac, -1)

    def run(self, mac: int) -> None:
        self._count(self._running, self._live, mac, 1)

    def rest(self, mac: int) -> None:
        self._count(self._running, self._live, mac, -1)

    def next_unused(self) -> Mac | None:
        """The next address that no machine of this host uses; None if there is none. Moves the cursor."""
        return self._next(self._used)

    def next_not_running(self) -> Mac | None:
        """The next address that no running machine of this host uses, maybe a stopped one does. Moves the cursor."""
        return self._next(self._live)

    def moved_to(self, first: Mac, last: Mac) -> "AddressRange":
        """Other bounds with the same users; nothing that is assigned changes with them."""
        moved = AddressRange(first, last)
        for mac, count in self._users.items():
            for _ in range(count):
                moved.use(Mac(mac))
        for mac, count in self._running.items():
            for _ in range(count):
                moved.run(Mac(mac))
        return moved

    def _next(self, taken: Space) -> Mac | None:
        found = taken.next_free(self.cursor)
        if found is None and self.cursor:
            found = taken.next_free(0)
        if found is None:
            return None
        self.cursor = found + 1 if found + 1 < self.size else 0
        return Mac(self.first + found)

    def _count(self, counts: dict[int, int], space: Space, mac: int, step: int) -> None:
        before = counts.get(mac, 0)
        after = before + step
        if after:
            counts[mac] = after
        else:
            del counts[mac]
        if mac in self and not (before and after):
            (space.take if after else space.release)(mac - self.first)
