"""Stories of VMM and the hosts' own pools, as the models of weft.sim live them; beside each its absence under Weft.

Named by their ids.
"""

import pytest

from tests.stories.simulated import Worlds
from weft.sim.assignments import LeftToHost, Vmm
from weft.sim.hyperv import StartFailed


@pytest.fixture
def worlds() -> Worlds:
    """Addresses left to the hosts."""
    return Worlds(LeftToHost())


def vmm(*, dynamic: bool = False, zeros: bool = False) -> Worlds:
    return Worlds(Vmm(lambda name: dynamic, clones_show_zeros=zeros))


def test_story_1_1_the_257th_machine_of_a_host_does_not_start(worlds: Worlds) -> None:
    node, _ = worlds.nodes()
    for number in range(257):
        worlds.run(f"vm{number}")
    assert worlds.old.world.failed == 1
    with pytest.raises(StartFailed, match="Attempt to access invalid address"):
        node.start(worlds.machine("vm256"))
    assert worlds.ours.runs("vm256")
    worlds.check_ours()


def test_story_1_2_hosts_from_one_image_have_one_range(worlds: Worlds) -> None:
    first = worlds.host("golden", "10.0.0.1")
    second = worlds.host("copy", "10.0.0.2", "golden")
    assert second.range.first == first.range.first
    for number in range(5):
        worlds.run(f"a{number}", "golden")
        worlds.run(f"b{number}", "copy")
    assert worlds.old.world.duplicates == 5
    worlds.check_ours()


def test_story_1_3_sysprep_leaves_the_range_in_the_image(worlds: Worlds) -> None:
    worlds.host("golden", "10.0.0.1").sysprep()
    worlds.host("copy", "10.0.0.2", "golden").sysprep()
    worlds.run("a", "golden")
    worlds.run("b", "copy")
    assert worlds.old.twins == [("a", "b")]
    worlds.check_ours()


def test_story_1_4_the_manager_is_not_asked_for_a_dynamic_address() -> None:
    manager = Vmm(lambda name: True)
    worlds = Worlds(manager)
    node, _ = worlds.nodes()
    worlds.run("vm1")
    assert worlds.old.mac("vm1") in node.range
    assert manager.used == 0
    pool = worlds.weft.state.space("/macpools/pool1")
    assert pool is not None and pool.spec.first <= worlds.ours.mac("vm1") <= pool.spec.last
    assert pool.used("assigned") == 1
    worlds.check_ours()


def test_story_1_5_zeros_until_the_first_boot(worlds: Worlds) -> None:
    worlds.nodes()
    worlds.create("vm1")
    worlds.create("vm2")
    assert worlds.old.mac("vm1") == worlds.old.mac("vm2") == 0
    assert worlds.old.twins == [], "zeros are no conflict"
    ours = worlds.ours.mac("vm1"), worlds.ours.mac("vm2")
    assert 0 not in ours and ours[0] != ours[1]
    worlds.start("vm1")
    assert worlds.ours.mac("vm1") == ours[0]
    worlds.check_ours()


def test_story_1_6_a_dynamic_clone_shows_its_sources_address_until_it_starts() -> None:
    worlds = vmm(dynamic=True)
    worlds.nodes()
    worlds.run("vm1")
    worlds.clone("vm1", "vm2")
    shown = worlds.old.mac("vm2")
    assert shown == worlds.old.mac("vm1")
    ours = worlds.ours.mac("vm2")
    assert ours not in (0, worlds.ours.mac("vm1"))
    worlds.start("vm2")
    assert worlds.old.mac("vm2") != shown
    assert worlds.ours.mac("vm2") == ours
    worlds.check_ours()


def test_story_1_6c_a_dynamic_clone_shows_zeros_until_it_starts() -> None:
    worlds = vmm(dynamic=True, zeros=True)
    worlds.nodes()
    worlds.run("vm1")
    worlds.clone("vm1", "vm2")
    assert worlds.old.mac("vm2") == 0
    assert worlds.ours.mac("vm2") not in (0, worlds.ours.mac("vm1"))
    worlds.start("vm2")
    assert worlds.old.mac("vm2") not in (0, worlds.old.mac("vm1"))
    worlds.check_ours()


def test_story_1_7_a_static_clone_keeps_its_sources_address_for_good() -> None:
    worlds = vmm()
    worlds.nodes()
    worlds.run("vm1")
    worlds.clone("vm1", "vm2", "node2")
    worlds.start("vm2")
    worlds.power_cycle("vm2")
    assert worlds.old.twins == [("vm1", "vm2")]
    assert worlds.ours.mac("vm1") != worlds.ours.mac("vm2")
    worlds.check_ours()


def test_story_1_8_with_all_addresses_running_a_start_fails(worlds: Worlds) -> None:
    worlds.nodes(size=3)
    for number in range(4):
        worlds.run(f"vm{number}")
    assert not worlds.old.runs("vm3")
    assert worlds.ours.runs("vm3")
    worlds.check_ours()


def test_story_1_9_with_all_addresses_used_one_is_taken_from_a_machine_that_is_off(worlds: Worlds) -> None:
    worlds.nodes(size=3)
    for number in range(3):
        worlds.run(f"vm{number}")
    worlds.stop("vm1")
    worlds.run("thief")
    assert worlds.old.mac("thief") == worlds.old.mac("vm1")
    assert worlds.ours.mac("thief") != worlds.ours.mac("vm1")
    worlds.check_ours()


def test_story_1_10_the_victim_starts_with_another_address_or_not_at_all(worlds: Worlds) -> None:
    worlds.nodes(size=3)
    for number in range(3):
        worlds.run(f"vm{number}")
    worlds.stop("vm1")
    worlds.run("thief")
    before = worlds.ours.mac("vm1")
    worlds.start("vm1")
    assert worlds.old.world.failed == 1
    worlds.stop("vm2")
    worlds.start("vm1")
    assert worlds.old.world.changed == 1
    assert worlds.ours.mac("vm1") == before
    worlds.check_ours()


def test_story_1_10_the_victim_meets_the_thief_when_that_has_moved_away(worlds: Worlds) -> None:
    """The thief has moved away: the first host looks at its own machines only, and finds the address unused."""
    worlds.nodes(size=1)
    worlds.run("victim")
    worlds.stop("victim")
    worlds.run("thief")
    worlds.move("thief", "node2")
    worlds.start("victim")
    assert worlds.old.twins == [("thief", "victim")]
    worlds.check_ours()


def test_story_1_11_an_address_is_promised_for_life_and_kept_on_one_host_only(worlds: Worlds) -> None:
    worlds.nodes()
    worlds.run("vm1")
    worlds.power_cycle("vm1")
    assert worlds.old.world.changed == 0, "the promise holds on one host"
    for number in range(4):
        worlds.move("vm1", f"node{number % 2 + 1}")
        worlds.power_cycle("vm1")
    assert worlds.old.world.changed >= 3
    worlds.check_ours()


def test_story_1_12_the_address_is_not_known_after_creation(worlds: Worlds) -> None:
    """A system that must register the machine's address would have to start it first."""
    worlds.nodes()
    registered: dict[str, tuple[int, int]] = {}
    for name in ("vm1", "vm2"):
        worlds.create(name)
        registered[name] = (worlds.old.mac(name), worlds.ours.mac(name))
    for name in registered:
        worlds.start(name)
    assert all(registered[name][0] != worlds.old.mac(name) for name in registered)
    assert all(registered[name][1] == worlds.ours.mac(name) for name in registered)
    worlds.check_ours()


def test_story_1_13_who_forgets_the_generate_button_gets_a_dynamic_address() -> None:
    manager = Vmm(lambda name: name == "forgotten")
    worlds = Worlds(manager)
    node, _ = worlds.nodes()
    worlds.run("remembered")
    worlds.run("forgotten")
    assert worlds.old.mac("remembered") not in node.range
    assert worlds.old.mac("forgotten") in node.range
    assert manager.used == 1
    assert worlds.ours.mac("forgotten") == worlds.ours.mac("remembered") + 1
    worlds.check_ours()
