"""Who is there: the hosts and machines of a life, as it means them to be. Kept by sim.life; every pick and change
costs the same at any size.
"""

import random
from collections.abc import Iterable

import msgspec


class Bag:
    """Names from which one can be picked at random."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._place: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterable[str]:
        return iter(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def add(self, name: str) -> None:
        if name not in self._place:
            self._place[name] = len(self._names)
            self._names.append(name)

    def discard(self, name: str) -> None:
        at = self._place.pop(name, None)
        if at is None:
            return
        last = self._names.pop()
        if last != name:
            self._names[at] = last
            self._place[last] = at

    def pick(self, rng: random.Random) -> str:
        """Empty text if there is none."""
        return self._names[rng.randrange(len(self._names))] if self._names else ""


class _Role(msgspec.Struct):
    host: str
    domain: int
    pool: int | None


class Cast:
    """Machines by power, by host, by pool."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.hosts: list[str] = []
        self._on: dict[str, dict[str, None]] = {}
        self._roles: dict[str, _Role] = {}
        self._running = Bag()
        self._off = Bag()
        self._desktops = Bag()
        self._servers = Bag()
        self._pools: list[dict[str, None]] = []
        self._pool_domains: list[int] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._roles)

    # -- hosts

    def add_host(self, host: str) -> None:
        self.hosts.append(host)
        self._on[host] = {}

    def pick_host(self) -> str:
        return self.hosts[self._rng.randrange(len(self.hosts))]

    def place(self, but: str = "") -> str:
        """The emptier of two hosts taken at random, which balances a cluster well."""
        one, other = (self._other_host(but) for _ in range(2))
        return one if len(self._on[one]) <= len(self._on[other]) else other

    def _other_host(self, but: str) -> str:
        while True:
            host = self.pick_host()
            if host != but:
                return host

    def machines_on(self, host: str) -> tuple[str, ...]:
        return tuple(self._on[host])

    def running_on(self, host: str) -> tuple[str, ...]:
        return tuple(machine for machine in self._on[host] if machine in self._running)

    # -- machines

    def add_desktop(self, host: str, pool_size: int, domains: int) -> tuple[str, int]:
        """Into the first pool with room; a pool is in one L2 domain. Its name and domain."""
        pool = next((at for at, members in enumerate(self._pools) if len(members) < pool_size), len(self._pools))
        if pool == len(self._pools):
            self._pools.append({})
            self._pool_domains.append(self._rng.randrange(domains))
        name = self._add("desktop", _Role(host, self._pool_domains[pool], pool))
        self._pools[pool][name] = None
        self._desktops.add(name)
        return name, self._pool_domains[pool]

    def add_server(self, host: str, domain: int) -> str:
        name = self._add("server", _Role(host, domain, None))
        self._servers.add(name)
        return name

    def _add(self, kind: str, role: _Role) -> str:
        self._made += 1
        name = f"{kind}{self._made}"
        self._roles[name] = role
        self._on[role.host][name] = None
        self._running.add(name)
        return name

    def remove(self, machine: str) -> None:
        role = self._roles.pop(machine)
        del self._on[role.host][machine]
        for bag in (self._running, self._off, self._desktops, self._servers):
            bag.discard(machine)
        if role.pool is not None:
            del self._pools[role.pool][machine]

    def move(self, machine: str, host: str) -> None:
        role = self._roles[machine]
        del self._on[role.host][machine]
        role.host = host
        self._on[host][machine] = None

    def start(self, machine: str) -> None:
        self._off.discard(machine)
        self._running.add(machine)

    def stop(self, machine: str) -> None:
        self._running.discard(machine)
        self._off.add(machine)

    def host_of(self, machine: str) -> str:
        return self._roles[machine].host

    def domain_of(self, machine: str) -> int:
        return self._roles[machine].domain

    # -- picks; empty text if there is none

    def pick_running(self) -> str:
        return self._running.pick(self._rng)

    def pick_off(self) -> str:
        return self._off.pick(self._rng)

    def pick_server(self) -> str:
        return self._servers.pick(self._rng)

    def pick_desktop(self) -> str:
        """One that runs."""
        name = self._desktops.pick(self._rng)
        return name if name in self._running else ""

    def pools(self) -> range:
        return range(len(self._pools))

    def desktops_of(self, pool: int) -> tuple[str, ...]:
        """Those of a pool that run."""
        return tuple(name for name in self._pools[pool] if name in self._running)
