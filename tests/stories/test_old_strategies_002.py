"""Stories of dynamic addresses in a failover cluster, as the models of weft.sim live them; beside each its absence
under Weft.

Named by their ids.
"""

import pytest

from tests.stories.simulated import Worlds
from weft.core.changes import LeaseChange
from weft.core.commands import Batch
from weft.core.copy_commands import Restore
from weft.sim import events
from weft.sim.assignments import LeftToHost


@pytest.fixture
def worlds() -> Worlds:
    """Addresses left to the hosts."""
    return Worlds(LeftToHost())


def test_story_2_1_a_new_address_after_a_move_and_a_restart(worlds: Worlds) -> None:
    _, node2 = worlds.nodes()
    worlds.run("vdi1")
    before = worlds.old.mac("vdi1")
    worlds.move("vdi1", "node2")
    assert worlds.old.mac("vdi1") == before, "live migration keeps it"
    worlds.live(events.Rebooted, "vdi1")
    assert worlds.old.mac("vdi1") == before, "so does a reboot from inside"
    worlds.power_cycle("vdi1")
    assert worlds.old.mac("vdi1") == node2.range.first
    worlds.check_ours()


def test_story_2_2_the_dhcp_lease_is_another_one_then(worlds: Worlds) -> None:
    worlds.nodes()
    worlds.run("vdi1")
    before = {side: side.ip("vdi1") for side in (worlds.old, worlds.ours)}
    worlds.move("vdi1", "node2")
    worlds.power_cycle("vdi1")
    assert worlds.old.ip("vdi1") != before[worlds.old]
    assert worlds.ours.ip("vdi1") == before[worlds.ours]
    worlds.check_ours()


def test_story_2_3_the_first_host_gives_the_address_again(worlds: Worlds) -> None:
    worlds.nodes(size=4)
    worlds.run("moved")
    worlds.move("moved", "node2")
    for number in range(4):
        worlds.run(f"new{number}")
    assert worlds.old.twins == [("moved", "new3")]
    worlds.check_ours()


def rollback_duplicate(worlds: Worlds) -> None:
    """The desktop is made on node1, restarted on node2, and its first address given to another machine."""
    worlds.nodes(size=2)
    worlds.create("desktop", pooled=True)
    worlds.start("desktop")
    worlds.checkpoint("desktop")
    worlds.move("desktop", "node2")
    worlds.power_cycle("desktop")
    worlds.run("b1")
    worlds.run("b2")
    assert worlds.old.twins == []
    worlds.roll_back("desktop")


def test_story_2_4_a_rollback_brings_back_an_address_that_another_machine_has_now(worlds: Worlds) -> None:
    rollback_duplicate(worlds)
    assert worlds.old.twins == [("b2", "desktop")]
    worlds.check_ours()


def test_story_2_6_a_blanked_checkpoint_changes_the_address_of_a_running_machine(worlds: Worlds) -> None:
    node, _ = worlds.nodes()
    worlds.run("desktop")
    worlds.checkpoint("desktop")
    before = worlds.old.mac("desktop")
    worlds.machine("desktop").blank("clean")
    node.apply(worlds.machine("desktop"), "clean")
    assert worlds.old.mac("desktop") != before
    assert worlds.machine("desktop").adapters[0].cut_off
    worlds.power_cycle("desktop")
    assert not worlds.machine("desktop").adapters[0].cut_off
    worlds.check_ours()


def test_story_2_7_the_workaround_gives_another_identity_at_every_log_off() -> None:
    worlds = Worlds(LeftToHost(), blanks_checkpoints=True)
    rollback_duplicate(worlds)
    assert worlds.old.twins == [], "it does prevent this duplicate"
    changed = worlds.old.world.changed
    for _ in range(5):
        worlds.roll_back("desktop")
    assert worlds.old.world.changed == changed + 5
    worlds.check_ours()


def test_story_2_10_two_machines_with_one_address_have_one_lease_and_one_port_is_dead(worlds: Worlds) -> None:
    rollback_duplicate(worlds)
    assert worlds.old.ip("desktop") == worlds.old.ip("b2")
    worlds.move("b2", "node2")
    (event,) = worlds.switch_events()
    assert (event.id, event.port, event.pinned_to) == (28, "b2/eth0", "desktop/eth0")
    assert worlds.machine("b2").adapters[0].cut_off
    assert worlds.ours.ip("desktop") != worlds.ours.ip("b2")
    worlds.check_ours()


def test_story_2_11_a_cluster_without_a_manager_has_no_pool_of_its_own(worlds: Worlds) -> None:
    """Each node counts for itself: the sum of what they say is used is less than what runs."""
    nodes = worlds.nodes()
    for number in range(6):
        worlds.run(f"vm{number}")
        worlds.move(f"vm{number}", "node2")
    assert sum(node.range.used for node in nodes) == 0
    pool = worlds.weft.state.space("/macpools/pool1")
    assert pool is not None and pool.used("assigned") == 6
    worlds.check_ours()


def test_story_2_12_desktops_that_log_off_together_are_a_storm_of_draws() -> None:
    worlds = Worlds(LeftToHost(), blanks_checkpoints=True)
    worlds.nodes()
    desktops = tuple(f"desktop{number}" for number in range(40))
    for name in desktops:
        worlds.create(name, pooled=True)
        worlds.start(name)
        worlds.checkpoint(name)
    worlds.roll_back(*desktops)
    assert worlds.old.world.changed == 40
    decision = worlds.weft.do(Batch(tuple(Restore(name, "clean") for name in desktops)))
    leases = [change for change in decision.changes if isinstance(change, LeaseChange)]
    assert [change for change in leases if change.before != change.after] == [], "not one address was touched"
    worlds.check_ours()
