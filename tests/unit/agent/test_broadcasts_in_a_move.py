"""Broadcasts to a machine that moves, from a host whose records lag: its old host passes them on, once, never back."""

import pytest

from tests.unit.agent.three_hosts import PLACES, Cluster


async def moved(at, knowing):
    cluster = Cluster({"sender": "a", "mover": "b", **at})
    await cluster.settle()
    everybody = sorted(f"{host} {name}" for name, host in cluster.at.items() if name != "sender")
    assert cluster.heard() == everybody
    await cluster.move(knowing)
    return cluster


@pytest.mark.parametrize("knowing", ["", "b", "c", "bc", "a", "abc"])
async def test_a_machine_that_leaves_an_empty_host_hears_everything_once(knowing):
    assert (await moved({}, knowing)).heard() == ["c mover"]


@pytest.mark.parametrize("knowing", ["", "c", "abc", "ab"])
async def test_a_machine_that_leaves_others_behind_hears_everything_once(knowing):
    assert (await moved({"stays": "b"}, knowing)).heard() == ["b stays", "c mover"]


@pytest.mark.parametrize("knowing", ["", "b", "c", "bc", "a", "abc"])
async def test_a_machine_that_comes_to_others_hears_everything_once(knowing):
    assert (await moved({"other": "c"}, knowing)).heard() == ["c mover", "c other"]
    both = await moved({"other": "c", "stays": "b"}, knowing)
    assert both.heard() == ["b stays", "c mover", "c other"]


async def test_what_is_left_of_the_gap_is_what_the_docs_say():
    """Others stay behind, and a sender's record is older, or newer, than the old host's."""
    assert (await moved({"stays": "b"}, "b")).heard() == ["b stays"]
    assert (await moved({"stays": "b"}, "a")).heard() == ["b stays", "c mover", "c mover"]


@pytest.mark.parametrize("knowing", ["", "b", "c", "bc"])
async def test_its_own_broadcasts_do_not_come_back_to_it(knowing):
    cluster = await moved({"stays": "b"}, knowing)
    assert cluster.heard("mover", "c") == ["a sender", "b stays"]
    assert cluster.heard("stays", "b") == ["a sender", "c mover"]
    alone = await moved({}, knowing)
    assert alone.heard("mover", "c") == ["a sender"]


@pytest.mark.parametrize("knowing", ["", "b"])
async def test_a_subnet_that_changes_under_a_move_is_followed(knowing):
    """Another machine of the subnet comes to the new host: the sender sends there itself from then on."""
    cluster = await moved({}, knowing)
    cluster.plug("other", "c")
    for host in PLACES:
        cluster.know(host, "other", "c")
    await cluster.settle()
    assert cluster.heard() == ["c mover", "c other"]
