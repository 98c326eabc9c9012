"""A random life of a cluster: hosts, machines, clones, moves, reboots, power cycles, rollbacks, dead hosts. Seeded, so
it can be repeated.

`events` makes what happens in order of time, the same for every strategy, since it assumes that each start succeeds.
Called by sim.run.
"""

import random
from collections.abc import Iterator

import msgspec

from weft.sim.cast import Cast
from weft.sim.events import (
    CheckpointTaken,
    Cloned,
    Created,
    Deleted,
    Event,
    HostAdded,
    HostDied,
    Moved,
    PowerCycled,
    Rebooted,
    RolledBack,
    Started,
    Stopped,
)

DAY = 86_400
HOUR = 3_600
ROLLBACK = "RDV_ROLLBACK"
MACHINES_PER_DOMAIN = 250
MOST_DOMAINS = 250
POOL = 40
"""Desktops of one pool: they log off together in the evening."""


class Scale(msgspec.Struct, frozen=True, rename="camel"):
    """How large, how long, which one of all lives."""

    hosts: int = 5
    machines: int = 1500
    days: int = 30
    seed: int = 1
    cloned_hosts: int = 1
    """Hosts made from the disk image of another one."""

    @property
    def domains(self) -> int:
        """L2 domains, numbered from 0."""
        return min(MOST_DOMAINS, max(1, self.machines // MACHINES_PER_DOMAIN))


class Rates(msgspec.Struct, frozen=True):
    """How often, per machine and day unless said otherwise."""

    power_cycle: float = 0.15
    reboot: float = 0.1
    move: float = 0.1
    stop: float = 0.08
    """As many are started again, so that about a tenth is off."""
    replace: float = 0.02
    """Deleted, and another one made."""
    log_off: float = 0.25
    """Of a pooled desktop by itself, besides the evening's."""
    pooled: float = 0.4
    """Share of the machines that are pooled desktops."""
    cloned: float = 0.2
    """Share of the other new machines that are clones."""
    off: float = 0.1
    """Share of the machines that are off on the first day."""
    host_death: float = 0.005
    """Per host and day."""
    drain: float = 0.05
    """Per host and day: emptied for maintenance by moving all that runs there."""


class Life:
    """One life. Make it anew for every strategy: it is used up by reading it."""

    def __init__(self, scale: Scale, rates: Rates | None = None) -> None:
        self._scale = scale
        self._rates = rates if rates is not None else Rates()
        self._rng = random.Random(scale.seed)
        self._cast = Cast(self._rng)

    def events(self) -> Iterator[Event]:
        """In order of time, the first day's set-up at time 0."""
        yield from self._hosts()
        for number in range(self._scale.machines):
            yield from self._new_machine(0, stays_off=number % POOL < POOL * self._rates.off)
        for day in range(self._scale.days):
            for at, kind in self._plan(day * DAY):
                yield from self._act(at, kind)

    def _hosts(self) -> Iterator[Event]:
        """Hosts have addresses of their own; one in twenty is in another site and has the last two octets of its
        neighbour.
        """
        others = range(1, self._scale.hosts)
        imaged = set(self._rng.sample(others, min(self._scale.cloned_hosts, len(others))))
        for number in range(self._scale.hosts):
            alike = number % 20 == 19
            last = number - 1 if alike else number
            ipv4 = f"10.{2 if alike else 1}.{last // 200}.{last % 200 + 10}"
            source = f"host{number}" if number in imaged else ""
            self._cast.add_host(f"host{number + 1}")
            yield HostAdded(0, f"host{number + 1}", ipv4, source)

    # -- a day

    def _plan(self, begin: int) -> list[tuple[int, str]]:
        """Times and kinds of what happens on a day; to whom is picked when its time comes."""
        rates, machines, rng = self._rates, len(self._cast), self._rng
        desktops = machines * rates.pooled
        counts = {
            "power_cycle": machines * rates.power_cycle,
            "reboot": machines * rates.reboot,
            "move": machines * rates.move,
            "stop": machines * rates.stop,
            "start": machines * rates.stop,
            "replace": machines * rates.replace,
            "log_off": desktops * rates.log_off,
            "host_death": self._scale.hosts * rates.host_death,
            "drain": self._scale.hosts * rates.drain,
        }
        plan = [(begin + rng.randrange(DAY), kind) for kind, mean in counts.items() for _ in range(_rounded(mean, rng))]
        evening = begin + 18 * HOUR
        plan += [(evening + rng.randrange(2 * HOUR), f"evening {pool}") for pool in self._cast.pools()]
        return sorted(plan)

    def _act(self, at: int, kind: str) -> Iterator[Event]:
        if kind.startswith("evening"):
            desktops = self._cast.desktops_of(int(kind.partition(" ")[2]))
            return iter((RolledBack(at, desktops, ROLLBACK),) if desktops else ())
        if kind in _OF_HOSTS:
            return self._of_host(at, kind)
        machine = self._cast.pick_off() if kind == "start" else self._cast.pick_desktop() if kind == "log_off" else ""
        machine = machine if kind in ("start", "log_off") else self._cast.pick_running()
        return self._of_machine(at, kind, machine) if machine else iter(())

    def _of_machine(self, at: int, kind: str, machine: str) -> Iterator[Event]:
        match kind:
            case "power_cycle":
                yield PowerCycled(at, machine)
            case "reboot":
                yield Rebooted(at, machine)
            case "log_off":
                yield RolledBack(at, (machine,), ROLLBACK)
            case "stop":
                self._cast.stop(machine)
                yield Stopped(at, machine)
            case "start":
                self._cast.start(machine)
                yield Started(at, machine)
            case "move":
                yield from self._move(at, machine)
            case "replace":
                self._cast.remove(machine)
                yield Deleted(at, machine)
                yield from self._new_machine(at)

    def _of_host(self, at: int, kind: str) -> Iterator[Event]:
        host = self._cast.pick_host()
        if len(self._cast.hosts) < 2:
            return
        if kind == "drain":
            for machine in self._cast.running_on(host):
                yield from self._move(at, machine)
            return
        to = []
        for machine in self._cast.machines_on(host):
            other = self._cast.place(but=host)
            self._cast.move(machine, other)
            to.append((machine, other))
        yield HostDied(at, host, tuple(to))

    def _move(self, at: int, machine: str) -> Iterator[Event]:
        if len(self._cast.hosts) > 1:
            host = self._cast.place(but=self._cast.host_of(machine))
            self._cast.move(machine, host)
            yield Moved(at, machine, host)

    def _new_machine(self, at: int, *, stays_off: bool = False) -> Iterator[Event]:
        """A desktop is started and its checkpoint taken soon after; another machine may be a clone."""
        rng, cast = self._rng, self._cast
        host = cast.place()
        if rng.random() < self._rates.pooled:
            name, domain = cast.add_desktop(host, POOL, self._scale.domains)
            yield Created(at, name, host, domain, pooled=True)
            yield Started(at, name)
            yield CheckpointTaken(at, name, ROLLBACK)
        else:
            source = cast.pick_server() if rng.random() < self._rates.cloned else ""
            domain = cast.domain_of(source) if source else rng.randrange(self._scale.domains)
            name = cast.add_server(host, domain)
            yield Cloned(at, name, source, host) if source else Created(at, name, host, domain)
            yield Started(at, name)
        if stays_off:
            cast.stop(name)
            yield Stopped(at, name)


_OF_HOSTS = ("host_death", "drain")


def _rounded(mean: float, rng: random.Random) -> int:
    """A whole number near a mean, right on average."""
    whole = int(mean)
    return whole + (rng.random() < mean - whole)
