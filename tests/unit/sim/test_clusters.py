"""What events do to a cluster of old hosts and to Weft's."""

import pytest

from weft.sim import events
from weft.sim.assignments import LeftToHost
from weft.sim.cluster import Cluster
from weft.sim.hyperv import Host
from weft.sim.life import Life, Scale
from weft.sim.old_cluster import OldCluster
from weft.sim.run import SAMPLES, run
from weft.sim.strategies import BY_NAME, STRATEGIES, is_desktop, names, ranges
from weft.sim.weft_cluster import WeftCluster


def old() -> OldCluster:
    return OldCluster(LeftToHost(), ranges)


@pytest.fixture(params=[old, lambda: WeftCluster(2)], ids=["old", "weft"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Two hosts; vm1 runs on the first, vm2 is off there."""
    made: Cluster = request.param()
    for number in (1, 2):
        made.happen(events.HostAdded(0, f"host{number}", f"10.0.0.{number}"))
    for name in ("vm1", "vm2"):
        made.happen(events.Created(0, name, "host1", 1))
    assert made.happen(events.Started(0, "vm1")) == 0
    return made


def runs(cluster: Cluster, machine: str) -> bool:
    seen = cluster.view(machine)
    assert seen is not None
    return seen.running


def mac(cluster: Cluster, machine: str) -> int:
    seen = cluster.view(machine)
    assert seen is not None
    return seen.mac


def test_a_machine_is_seen_until_it_is_deleted(cluster: Cluster) -> None:
    assert (runs(cluster, "vm1"), runs(cluster, "vm2")) == (True, False)
    cluster.happen(events.Deleted(1, "vm1"))
    assert cluster.view("vm1") is None


def test_machines_of_a_dead_host_are_restarted_elsewhere_and_those_that_were_off_are_not(cluster: Cluster) -> None:
    before = mac(cluster, "vm1")
    assert cluster.happen(events.HostDied(1, "host1", (("vm1", "host2"), ("vm2", "host2")))) == 0
    assert (runs(cluster, "vm1"), runs(cluster, "vm2")) == (True, False)
    assert (mac(cluster, "vm1") == before) == isinstance(cluster, WeftCluster)


def test_a_machine_that_is_off_moves_too(cluster: Cluster) -> None:
    cluster.happen(events.Moved(1, "vm2", "host2"))
    assert cluster.happen(events.Started(2, "vm2")) == 0
    assert runs(cluster, "vm2")


def test_a_stopped_machine_runs_again_after_a_power_cycle_or_a_rollback(cluster: Cluster) -> None:
    cluster.happen(events.CheckpointTaken(1, "vm1", "clean"))
    cluster.happen(events.Stopped(2, "vm1"))
    assert not runs(cluster, "vm1")
    cluster.happen(events.PowerCycled(3, "vm1"))
    assert runs(cluster, "vm1")
    cluster.happen(events.Stopped(4, "vm1"))
    cluster.happen(events.RolledBack(5, ("vm1",), "clean"))
    assert runs(cluster, "vm1")


def test_a_clone_is_off_and_of_its_own(cluster: Cluster) -> None:
    cluster.happen(events.Cloned(1, "vm3", "vm1", "host2"))
    assert not runs(cluster, "vm3")
    assert cluster.happen(events.Started(2, "vm3")) == 0
    assert mac(cluster, "vm3") != mac(cluster, "vm1")


def test_starts_that_fail_are_counted_and_tried_again() -> None:
    cluster = old()
    cluster.happen(events.HostAdded(0, "host1", "10.0.0.1"))
    for number in range(257):
        cluster.happen(events.Created(0, f"vm{number}", "host1", 0))
    assert sum(cluster.happen(events.Started(0, f"vm{number}")) for number in range(257)) == 1
    cluster.happen(events.Stopped(1, "vm0"))
    assert cluster.happen(events.PowerCycled(2, "vm256")) == 0


def test_an_image_is_of_a_host_that_has_its_range() -> None:
    cluster = old()
    cluster.happen(events.HostAdded(0, "host1", "10.0.0.1"))
    cluster.happen(events.HostAdded(0, "host2", "10.0.0.2", "host1"))
    assert cluster.hosts["host2"].range.first == cluster.hosts["host1"].range.first


def test_fill_of_hosts_is_each_of_its_own_range(cluster: Cluster) -> None:
    fill = cluster.fill()
    if isinstance(cluster, WeftCluster):
        assert (fill.used, fill.capacity) == (2, 3_998_720)
    else:
        assert (fill.used, fill.capacity, fill.fullest) == (1, 512, 1 / 256)


def test_without_hosts_nothing_is_full() -> None:
    hosts: list[Host] = []
    assert ranges(hosts).fullest == 0.0


# Strategies and runs


def test_strategies_are_found_by_name_in_any_case() -> None:
    assert list(names()) == ["hyperv", "blanked", "scvmm", "random", "hostRange", "weft"]
    assert BY_NAME["hostrange"].name == "hostRange"
    assert is_desktop("desktop12") and not is_desktop("server12")


SMALL = Scale(hosts=3, machines=90, days=8, seed=2)


def test_a_run_is_sampled_at_the_same_times_for_all_and_can_be_repeated() -> None:
    first, again = run(SMALL, STRATEGIES), run(SMALL, STRATEGIES)
    assert first == again
    times = {tuple(sample.at for sample in one.samples) for one in first}
    assert len(times) == 1
    assert len(first[0].samples) == SAMPLES
    assert first[0].samples[-1].at == 8 * 86_400


def test_the_old_strategies_go_wrong_as_they_do_and_weft_does_not() -> None:
    """On five hosts with 300 machines each, as in the defaults, but for a shorter time."""
    outcomes = {one.strategy: one for one in run(Scale(days=2), STRATEGIES)}
    hyperv, blanked, scvmm = outcomes["hyperv"], outcomes["blanked"], outcomes["scvmm"]
    assert hyperv.duplicates_peak and hyperv.changed and hyperv.failed and hyperv.fullest_peak == 1.0
    assert blanked.changed > hyperv.changed and blanked.failed > hyperv.failed
    assert scvmm.duplicates_peak > hyperv.duplicates_peak and scvmm.changed < hyperv.changed
    for name in ("random", "hostRange"):
        assert (outcomes[name].changed, outcomes[name].failed) == (0, 0)
    ours = outcomes["weft"]
    assert (ours.duplicates_peak, ours.duplicates_ever, ours.machines_hit, ours.changed, ours.failed) == (0, 0, 0, 0, 0)


def test_progress_is_told_up_to_the_end() -> None:
    told: list[tuple[str, float]] = []
    run(SMALL, [BY_NAME["random"]], lambda name, share: told.append((name, share)))
    assert told[-1] == ("random", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)


def test_what_happens_does_not_depend_on_what_a_strategy_draws() -> None:
    seen = []
    for name in ("random", "hyperv"):
        cluster = BY_NAME[name].make(SMALL)
        lived = []
        for event in Life(SMALL).events():
            cluster.happen(event)
            lived.append(event)
        seen.append(lived)
    assert seen[0] == seen[1]
