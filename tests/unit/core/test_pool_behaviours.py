"""How pools behave in what people have run into elsewhere: sizes, ends, order, exclusions that go, single addresses."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface
from weft.model.values import Now


def pool(first: int, last: int, **more: Any) -> dict[str, Any]:
    return {"startMacAddress": f"{first:012X}", "endMacAddress": f"{last:012X}", **more}


def granted(world: World, name: str) -> int:
    return int(world.interface(name, None).properties.private_mac_address, 16)


@pytest.mark.parametrize("bits", [0, 1, 2, 8, 12, 13, 20, 24, 32, 39, 40])
def test_a_pool_of_any_size_counts_right_and_grants_both_its_ends(bits: int) -> None:
    world = World()
    first = 0x120000000000
    world.put("/macPools/p", pool(first, first + 2**bits - 1))
    assert world.counts("/macpools/p") == {"free": 2**bits}
    assert granted(world, "n1") == first
    held = world.state.space("/macpools/p")
    assert held is not None
    if bits:
        world.put("/networkInterfaces/last", static_interface(f"{first + 2**bits - 1:012X}", None))
        assert held.used("assigned") == 2
        assert held.taken.largest_gap() == 2**bits - 2


def test_a_pool_that_would_reach_over_the_group_bit_is_refused_whatever_its_size() -> None:
    refusal = World().refused("/macPools/p", pool(0x020000000000, 0x020000000000 + 2**44 - 1))
    assert refusal.code == "MacPoolContainsMulticastAddresses"


def test_grants_fill_what_is_free_in_the_middle_in_order() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x020000000006))
    for taken in (0, 2, 5):
        world.put(f"/networkInterfaces/s{taken}", static_interface(f"{0x020000000000 + taken:012X}", None))
    assert [granted(world, f"n{at}") & 0xFF for at in range(4)] == [1, 3, 4, 6]
    assert world.refused("/networkInterfaces/n5", dynamic_interface(None)).code == "MacPoolIsFull"


def test_a_grant_wraps_at_the_top_and_takes_what_was_given_back_last() -> None:
    world = World()
    world.put("/macPools/p", pool(0x0200000000FE, 0x020000000101, coolDownSeconds=0))
    assert [granted(world, f"n{at}") for at in range(4)] == list(range(0x0200000000FE, 0x020000000102))
    world.delete("/networkInterfaces/n2")
    world.delete("/networkInterfaces/n1")
    assert [granted(world, name) & 0xFFF for name in ("a", "b")] == [0x0FF, 0x100]


@pytest.mark.parametrize("full", [0, 1, 2])
def test_whichever_of_several_pools_is_full_the_others_grant(full: int) -> None:
    world = World()
    for at in range(3):
        world.put(
            f"/macPools/p{at}", pool(0x020000000000 + 256 * at, 0x020000000000 + 256 * at + (0 if at == full else 1))
        )
    got = sorted(granted(world, f"n{at}") for at in range(5))
    assert len(set(got)) == 5
    assert world.refused("/networkInterfaces/more", dynamic_interface(None)).message.count("assigned") == 3


def test_pools_of_one_address_each_are_all_used_and_reclaimed() -> None:
    world = World()
    for at in range(40):
        world.put(f"/macPools/p{at:02}", pool(0x020000000000 + 3 * at, 0x020000000000 + 3 * at, coolDownSeconds=10))
    first = [granted(world, f"n{at}") for at in range(40)]
    assert len(set(first)) == 40
    for at in range(0, 40, 2):
        world.delete(f"/networkInterfaces/n{at}")
    assert world.refused("/networkInterfaces/x", dynamic_interface(None)).code == "MacPoolIsFull"
    world.wait(10)
    assert sorted(granted(world, f"m{at}") for at in range(20)) == sorted(first[::2])


def test_an_excluded_address_that_is_released_stays_away_from_everybody() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x020000000001, coolDownSeconds=5))
    assert granted(world, "n1") == 0x020000000000
    excluded = pool(0x020000000000, 0x020000000001, coolDownSeconds=5, excluded=[{"first": "020000000000"}])
    world.put("/macPools/p", excluded)
    world.delete("/networkInterfaces/n1")
    world.wait(5)
    assert world.counts("/macpools/p") == {"reserved": 1, "free": 1}
    assert granted(world, "n2") == 0x020000000001
    assert world.refused("/networkInterfaces/n3", dynamic_interface(None)).code == "MacPoolIsFull"
    world.put("/macPools/p", pool(0x020000000000, 0x020000000001, coolDownSeconds=5))
    assert granted(world, "n3") == 0x020000000000


def test_random_grants_recycle_no_address_that_is_kept() -> None:
    world = World()
    kept = {"excluded": [{"first": "020000000000", "last": "020000000007", "reason": "kept"}]}
    world.put("/macPools/p", pool(0x020000000000, 0x02000000000F, strategy="random", coolDownSeconds=100, **kept))
    for turn in range(30):
        found = granted(world, f"n{turn}")
        assert found & 0xF >= 8
        world.delete(f"/networkInterfaces/n{turn}")
        world.now = Now(world.now.ledger + 20, world.now.wall)
        world.wait(0)


def test_a_pool_that_comes_back_counts_every_address_once() -> None:
    world = World()
    world.put("/macPools/p", pool(0x020000000000, 0x02000000000F, coolDownSeconds=60))
    for at in range(6):
        granted(world, f"n{at}")
    for at in range(6):
        world.delete(f"/networkInterfaces/n{at}")
    world.delete("/macPools/p")
    world.put("/macPools/q", pool(0x020000000004, 0x02000000000F))
    assert world.counts("/macpools/q") == {"cooling": 2, "free": 10}
    world.put("/macPools/p", pool(0x020000000000, 0x020000000003))
    assert world.counts("/macpools/p") == {"cooling": 4}
    world.wait(60)
    assert (world.counts("/macpools/p"), world.counts("/macpools/q")) == ({"free": 4}, {"free": 12})
