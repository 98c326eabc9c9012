"""Fake Hyper-V hosts that know each other: shared files, live migration, failover clusters, one clock, one rng of ids.

Made by tests and the demo. Time passes only when someone calls `pass_time`, so that a run is the same each time.
"""

from collections.abc import AsyncIterator, Callable

from weft.fakes.hyperv.cluster import FakeCluster
from weft.fakes.hyperv.files import Files
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Vm
from weft.fakes.listeners import Listeners
from weft.sim.hyperv import RUNNING

_EPOCH = 1_700_000_000.0


def counted_ids(start: int = 1) -> Callable[[], str]:
    """Ids that are the same in each run."""
    last = start - 1

    def next_id() -> str:
        nonlocal last
        last += 1
        return f"5eed0000-0000-4000-8000-{last:012x}"

    return next_id


class HyperVDatacenter:
    """Hosts by name."""

    def __init__(self, new_id: Callable[[], str] | None = None) -> None:
        self.hosts: dict[str, FakeHost] = {}
        self.shared = Files()
        self.clusters: list[FakeCluster] = []
        self.clock = _EPOCH
        self._new_id = new_id or counted_ids()
        self._listeners = Listeners()

    def add_host(self, name: str, ipv4: str) -> FakeHost:
        """`ipv4` is the address of its first adapter: of it the range of dynamic MAC addresses is made."""
        host = FakeHost(self, name, ipv4, self.shared)
        self.hosts[name] = host
        return host

    def add_cluster(self, name: str, *nodes: str) -> FakeCluster:
        cluster = FakeCluster(name, [self.hosts[node] for node in nodes])
        self.clusters.append(cluster)
        return cluster

    def host_named(self, name: str) -> FakeHost | None:
        """By its name or its address, in any case."""
        wanted = name.lower()
        return next((each for each in self.hosts.values() if wanted in (each.name.lower(), each.ipv4)), None)

    def find(self, id: str) -> tuple[FakeHost, Vm] | None:
        """Where a machine is now."""
        for host in self.hosts.values():
            vm = host.vm(id)
            if vm is not None:
                return host, vm
        return None

    def move(self, vm: Vm, source: FakeHost, destination: FakeHost) -> None:
        """Live migration, or of a machine that is off its move: addresses stay, connections go to the switch of the
        same name. Raises HyperVError, and then it is where it was."""
        if not destination.alive or destination.trouble.unreachable:
            raise HyperVError(
                f"The Virtual Machine Management Service failed to establish a connection for a Virtual Machine "
                f"migration with host '{destination.name}'."
            )
        for nic in vm.nics:
            if nic.switch and nic.switch not in destination.switches:
                raise HyperVError(
                    f"The virtual machine '{vm.name}' is not compatible with physical computer '{destination.name}'. "
                    f"Could not find Ethernet switch '{nic.switch}'."
                )
        source.live_migrate(vm, destination)

    # -- Surroundings

    def new_id(self) -> str:
        return self._new_id()

    def now(self) -> float:
        return self.clock

    def changed(self) -> None:
        self._listeners.tell()

    # -- time, trouble

    def is_role(self, machine: str) -> bool:
        """Whether a cluster has a role for the machine of that id."""
        return any(each.role_of(machine) is not None for each in self.clusters)

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds

    def events(self) -> AsyncIterator[None]:
        """Yields whenever something changed on a host; a real host has no such thing."""
        return self._listeners.events()

    def die(self, name: str) -> None:
        """A node dies: its machines' roles come up on other nodes, where it has a cluster."""
        host = self.hosts[name]
        ran = [vm for vm in host.vms if vm.power == RUNNING]
        host.lose_power()
        if isinstance(host.cluster, FakeCluster):
            host.cluster.fail_over(host, ran)
