"""Broadcasts to a machine that moves: whoever knows of it, and whoever else is there, it hears all of them, and of what
its sender sends to both ends itself a second copy; nobody else hears anything twice, and it never hears itself."""

import itertools

import pytest

from tests.unit.agent.three_hosts import MACS, PLACES, Cluster
from weft.fakes import packet as p

KNOWING = ["".join(some) for count in range(4) for some in itertools.combinations("abc", count)]
BESIDE = [{}, {"stays": "b"}, {"other": "c"}, {"stays": "b", "other": "c"}]
ALONE = pytest.mark.parametrize("beside", BESIDE, ids=["alone", "others stay", "others are there", "both"])


async def moved(beside, knowing, **how):
    cluster = Cluster({"sender": "a", "mover": "b", **beside})
    await cluster.settle()
    everybody = sorted(f"{host} {name}" for name, host in cluster.at.items() if name != "sender")
    assert cluster.heard() == everybody
    await cluster.move(knowing, **how)
    return cluster


def senders(beside):
    return {"sender": "a", **beside}


@ALONE
@pytest.mark.parametrize("knowing", KNOWING)
async def test_nothing_is_lost_and_only_the_machine_itself_hears_anything_twice(beside, knowing):
    cluster = await moved(beside, knowing)
    for name, host in senders(beside).items():
        heard = cluster.heard(name, host)
        copies = heard.count("c mover")
        others = sorted(f"{there} {one}" for one, there in senders(beside).items() if one != name)
        assert sorted(one for one in heard if one != "c mover") == others, "all others once"
        # it is sent on while the old host may hold it back, and what its sender sends to both ends comes twice
        to_old = host == "b" or host not in knowing or ("stays" in beside and name != "stays")
        to_new = name == "other" or (host != "b" and (host in knowing or "other" in beside))
        if host == "b":
            to_new = "other" in beside
        assert copies == to_old + to_new, f"{name}: {heard}"
        assert copies in (1, 2)


# that it has moved the controller tells once it runs there: only where others stay copies come to its old host then
HELD = [
    (beside, knowing)
    for beside in BESIDE
    for knowing in ("", "a", "b", "ab")
    if "a" not in knowing or "stays" in beside
]


@pytest.mark.parametrize(("beside", "knowing"), HELD)
async def test_what_comes_while_its_hypervisors_hold_it_waits_at_its_new_port(beside, knowing):
    """The new host's port is not among those of the subnet yet, or it would be full of what the machine has heard."""
    cluster = await moved(beside, knowing, handing_over=True)
    for name, host in senders(beside).items():
        others = [f"{there} {one}" for one, there in senders(beside).items() if one != name]
        assert cluster.heard(name, host) == sorted(["c mover", *others]), name


@ALONE
@pytest.mark.parametrize("knowing", KNOWING)
async def test_its_own_broadcasts_do_not_come_back_to_it(beside, knowing):
    cluster = await moved(beside, knowing)
    others = sorted(f"{host} {name}" for name, host in senders(beside).items())
    assert cluster.heard("mover", "c") == others


async def test_the_copy_that_is_sent_on_is_for_the_machine_alone():
    cluster = await moved({"stays": "b"}, "b")
    found = {f"{one.host} {one.port}": one.packet.eth_dst for one in cluster.hears()}
    assert found == {"b stays": p.BROADCAST, "c mover": MACS["mover"]}


async def test_behind_a_port_that_may_send_from_other_addresses_the_groups_address_is_listened_to():
    """So it is sent on as it is, and the others there hear it twice; never back to where it came from."""
    for knowing in KNOWING:
        cluster = Cluster({"sender": "a", "mover": "b", "stays": "b", "other": "c"})
        cluster.spoof("mover")
        await cluster.move(knowing)
        found = cluster.hears()
        assert {one.packet.eth_dst for one in found} == {p.BROADCAST}
        assert cluster.heard() == ["b stays", "c mover", "c mover", "c other", "c other"]
        assert cluster.heard("stays", "b") == ["a sender", "c mover", "c other"]
        assert cluster.heard("other", "c") == ["a sender", "b stays", "c mover"]
        assert cluster.heard("mover", "c") == ["a sender", "b stays", "c other"]


@pytest.mark.parametrize("knowing", ["", "b", "a"])
async def test_two_that_left_for_one_host_hear_each_other_and_not_themselves(knowing):
    """A host is evacuated: the old host's records name two at the new one, the sender's may name none."""
    cluster = Cluster({"sender": "a", "mover": "b", "stays": "b"})
    await cluster.move(knowing)
    cluster.switches["b"].unplug("stays")
    cluster.cross("stays", knowing)
    await cluster.settle()
    assert set(cluster.heard()) == {"c mover", "c stays"}
    assert max(map(cluster.heard().count, cluster.heard())) == 1
    for one, other in (("mover", "stays"), ("stays", "mover")):
        heard = cluster.heard(one, "c")
        assert set(heard) == {"a sender", f"c {other}"} and heard.count("a sender") == 1
        assert heard.count(f"c {other}") <= 2


@pytest.mark.parametrize("knowing", ["", "b"])
async def test_a_subnet_that_changes_under_a_move_is_followed(knowing):
    """Another machine of the subnet comes to the new host: the sender sends there itself from then on."""
    cluster = await moved({}, knowing)
    cluster.plug("other", "c")
    for host in PLACES:
        cluster.know(host, "other", "c")
    await cluster.settle()
    assert cluster.heard() == ["c mover", "c mover", "c other"]


async def test_once_the_move_is_done_everything_comes_once():
    cluster = await moved({"stays": "b", "other": "c"}, "abc")
    assert cluster.heard() == ["b stays", "c mover", "c mover", "c other"]
    cluster.told["b"].put(0, (13, b"mover"), None)
    await cluster.settle()
    assert cluster.heard() == ["b stays", "c mover", "c other"]
