"""The strategies by name, and what each of them counts as its pools. Called by sim.run; makes each cluster anew."""

import random
from collections.abc import Callable, Iterable

import msgspec

from weft.sim.assignments import VMM_POOL, Assignment, HostRangePlan, LeftToHost, RandomOnNode, Vmm
from weft.sim.cluster import Cluster, Fill
from weft.sim.hyperv import Host
from weft.sim.life import Scale
from weft.sim.old_cluster import OldCluster

Make = Callable[[Scale], Cluster]


class Strategy(msgspec.Struct, frozen=True):
    """`title` for people, `means` in a sentence."""

    name: str
    title: str
    means: str
    make: Make


def ranges(hosts: list[Host]) -> Fill:
    """What the hosts' own ranges hold; each counts only what its own machines use."""
    used = sum(host.range.used for host in hosts)
    capacity = sum(host.range.size for host in hosts)
    return Fill(used, capacity, max((host.range.used / host.range.size for host in hosts), default=0.0))


def _left_to_hosts(assignment: Assignment, *, blanks_checkpoints: bool = False) -> Cluster:
    return OldCluster(assignment, ranges, blanks_checkpoints=blanks_checkpoints)


def _vmm(_: Scale) -> Cluster:
    vmm = Vmm(is_desktop)

    def pools(hosts: list[Host]) -> Fill:
        own = ranges(hosts)
        size = VMM_POOL[1] - VMM_POOL[0] + 1
        return Fill(own.used + vmm.used, own.capacity + size, max(own.fullest, vmm.used / size))

    return OldCluster(vmm, pools)


def _random(scale: Scale) -> Cluster:
    # a stream of its own, so that what happens stays the same whatever is drawn
    return OldCluster(RandomOnNode(random.Random(f"{scale.seed} random")), _drawn)


def _drawn(hosts: list[Host]) -> Fill:
    """Of all addresses that the script can draw and a host takes: 8 of the 15 second digits are even."""
    used = sum(len(host.machines) for host in hosts)
    capacity = 8 * 15**11
    return Fill(used, capacity, used / capacity)


def _weft(scale: Scale) -> Cluster:
    # the core is read only when it is run, so that other commands of the desk start quickly
    from weft.sim.weft_cluster import WeftCluster

    return WeftCluster(scale.domains)


def is_desktop(machine: str) -> bool:
    """Whether a machine of the life is pooled, so that its template may have no static address."""
    return machine.startswith("desktop")


STRATEGIES: tuple[Strategy, ...] = (
    Strategy(
        "hyperv",
        "Hyper-V dynamic",
        "each host draws from its own 256 addresses",
        lambda _: _left_to_hosts(LeftToHost()),
    ),
    Strategy(
        "blanked",
        "Hyper-V, blanked checkpoints",
        "as hyperv, checkpoints blanked, a restart after each rollback",
        lambda _: _left_to_hosts(LeftToHost(), blanks_checkpoints=True),
    ),
    Strategy(
        "scvmm",
        "SCVMM",
        "one static pool, clones copy; pooled desktops as hyperv",
        _vmm,
    ),
    Strategy(
        "random",
        "random on node",
        "a script draws digits until the host takes them",
        _random,
    ),
    Strategy(
        "hostRange",
        "range per host",
        "4,096 per host by a plan; drawn by a first start, then static",
        lambda _: _left_to_hosts(HostRangePlan()),
    ),
    Strategy(
        "weft",
        "Weft",
        "one ledger for all hosts, checkpoints and copies",
        _weft,
    ),
)

BY_NAME = {strategy.name.lower(): strategy for strategy in STRATEGIES}


def names() -> Iterable[str]:
    return (strategy.name for strategy in STRATEGIES)
