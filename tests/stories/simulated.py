"""One simulated world twice: hosts as they were, and Weft, living the same events. For test_old_strategies_*.py."""

from collections.abc import Callable

from weft.model.values import Mac
from weft.sim import events
from weft.sim.assignments import Assignment
from weft.sim.hyperv import Host, Machine, SwitchEvent
from weft.sim.old_cluster import OldCluster
from weft.sim.strategies import ranges
from weft.sim.weft_cluster import WeftCluster
from weft.sim.world import World


class Dhcp:
    """A DHCP server: one address per MAC address, for as long as it is asked with that."""

    def __init__(self) -> None:
        self._leases: dict[Mac, int] = {}

    def ask(self, mac: Mac) -> int:
        """The last number of the address."""
        return self._leases.setdefault(mac, len(self._leases) + 10)


class Side:
    """One half: a world, and what a network beside it would see."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dhcp = Dhcp()

    def mac(self, machine: str) -> Mac:
        seen = self.world.cluster.view(machine)
        assert seen is not None
        return seen.mac

    def runs(self, machine: str) -> bool:
        seen = self.world.cluster.view(machine)
        return seen is not None and seen.running

    def ip(self, machine: str) -> int:
        """What DHCP answers it."""
        return self.dhcp.ask(self.mac(machine))

    @property
    def twins(self) -> list[tuple[str, ...]]:
        """Running machines of one L2 domain that have one address."""
        return [who for _, who in self.world.twins()]


class Worlds:
    """`old` and `ours`. Events happen in both; hosts can be arranged on the old side, where arranging matters."""

    def __init__(self, assignment: Assignment, *, blanks_checkpoints: bool = False) -> None:
        self.cluster = OldCluster(assignment, ranges, blanks_checkpoints=blanks_checkpoints)
        self.weft = WeftCluster(1)
        self.old = Side(World(self.cluster))
        self.ours = Side(World(self.weft))
        self._at = 0

    def live(self, event: Callable[..., events.Event], *about: object) -> None:
        self._at += 60
        for side in (self.old, self.ours):
            side.world.live(event(self._at, *about))

    def host(self, name: str, ipv4: str, image_of: str = "", *, size: int = 256) -> Host:
        """Its model; `size` leaves only the first addresses of its range."""
        self.live(events.HostAdded, name, ipv4, image_of)
        host = self.cluster.hosts[name]
        if size < host.range.size:
            host.set_range(host.range.first, Mac(host.range.first + size - 1))
        return host

    def nodes(self, *, size: int = 256) -> tuple[Host, Host]:
        """Two hosts with addresses of their own."""
        return self.host("node1", "10.0.0.1", size=size), self.host("node2", "10.0.0.2", size=size)

    def create(self, machine: str, host: str = "node1", *, pooled: bool = False) -> None:
        self.live(events.Created, machine, host, 0, pooled)

    def start(self, machine: str) -> None:
        self.live(events.Started, machine)

    def stop(self, machine: str) -> None:
        self.live(events.Stopped, machine)

    def run(self, machine: str, host: str = "node1") -> None:
        """Create and start."""
        self.create(machine, host)
        self.start(machine)

    def clone(self, source: str, machine: str, host: str = "node1") -> None:
        self.live(events.Cloned, machine, source, host)

    def move(self, machine: str, host: str) -> None:
        self.live(events.Moved, machine, host)

    def power_cycle(self, machine: str) -> None:
        self.live(events.PowerCycled, machine)

    def checkpoint(self, machine: str) -> None:
        self.live(events.CheckpointTaken, machine, "clean")

    def roll_back(self, *machines: str) -> None:
        self.live(events.RolledBack, machines, "clean")

    def machine(self, name: str) -> Machine:
        """On the old side."""
        return self.cluster.machine(name)

    def switch_events(self) -> list[SwitchEvent]:
        return [event for host in self.cluster.hosts.values() for event in host.events]

    def check_ours(self) -> None:
        """Weft's side of every story: no duplicate ever, no changed identity, no failed start."""
        world = self.ours.world
        assert (world.duplicates_ever, world.changed, world.failed) == (0, 0, 0)
