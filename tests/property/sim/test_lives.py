"""Over many lives: Weft keeps every identity; what models and world keep on the way equals a count by hand."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from weft.sim.hyperv import RUNNING
from weft.sim.life import Life, Rates, Scale
from weft.sim.old_cluster import OldCluster
from weft.sim.strategies import STRATEGIES, Strategy
from weft.sim.weft_cluster import WeftCluster
from weft.sim.world import World

WILD = Rates(host_death=0.3, drain=0.3, move=0.6, power_cycle=0.6, stop=0.3, replace=0.3, cloned=0.6, log_off=0.5)
"""So much happens that a few days are enough."""

scales = st.builds(
    Scale,
    hosts=st.integers(1, 5),
    machines=st.integers(1, 60),
    days=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    cloned_hosts=st.integers(0, 2),
)


@settings(max_examples=examples(40, soak=1000))
@given(scales)
def test_weft_has_no_duplicate_no_changed_identity_no_failed_start(scale: Scale) -> None:
    cluster = WeftCluster(scale.domains)
    world = World(cluster)
    for event in Life(scale, WILD).events():
        world.live(event)
        assert (world.duplicates_ever, world.changed, world.failed) == (0, 0, 0), event
    machines = {one.resource_id for one in cluster.state.all("virtualMachines")}
    assert len(machines) == scale.machines
    macs = {view.mac for name in machines if (view := cluster.view(name)) is not None}
    assert len(macs) == scale.machines, "unique in the whole installation, running or not"


@pytest.mark.parametrize("strategy", [one for one in STRATEGIES if one.name != "weft"], ids=lambda one: one.name)
@settings(max_examples=examples(15, soak=300))
@given(scale=scales)
def test_what_is_counted_on_the_way_equals_a_count_by_hand(strategy: Strategy, scale: Scale) -> None:
    cluster = strategy.make(scale)
    assert isinstance(cluster, OldCluster)
    world = World(cluster)
    for number, event in enumerate(Life(scale, WILD).events()):
        world.live(event)
        if number % 50 == 0:
            check_hosts(cluster)
            assert world.duplicates == pairs_by_hand(world, cluster)
    check_hosts(cluster)
    assert world.duplicates == pairs_by_hand(world, cluster)


def check_hosts(cluster: OldCluster) -> None:
    for host in cluster.hosts.values():
        adapters = [(each, machine) for machine in host.machines.values() for each in machine.adapters if each.assigned]
        in_range = {each.mac for each, _ in adapters if each.mac in host.range}
        assert host.range.used == len(in_range)
        for mac in in_range:
            assert host.range.users(mac) == sum(each.mac == mac for each, _ in adapters)
            assert host.range.running(mac) == sum(each.mac == mac for each, of in adapters if of.power == RUNNING)


def pairs_by_hand(world: World, cluster: OldCluster) -> int:
    running = Counter(
        (world.domain_of(name), machine.adapters[0].mac)
        for host in cluster.hosts.values()
        for name, machine in host.machines.items()
        if machine.power == RUNNING and machine.adapters[0].mac
    )
    return sum(count * (count - 1) // 2 for count in running.values())
