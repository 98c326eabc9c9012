"""Broadcasts to a machine that moves: whoever knows of it, and whoever else is there, it hears all of them, and of what
its sender sends to both ends itself a second copy; nobody else hears anything twice, and it never hears itself."""

import itertools

import pytest

from tests.unit.agent.three_hosts import LEGION, MACS, MANY, PLACES, RDID, TWINS, VSID, Cluster
from weft.fakes import packet as p
from weft.model.records import SubnetRecord
from weft.model.values import pack_ip

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


GROUPS = {
    "255.255.255.255": p.BROADCAST,
    "10.0.0.255": p.BROADCAST,
    "224.0.0.18": 0x01005E000012,
    "ff02::12": 0x333300000012,
}


@pytest.mark.parametrize(("group", "mac"), GROUPS.items())
async def test_behind_a_port_that_may_send_from_other_addresses_a_groups_address_is_listened_to(group, mac):
    """So a broadcast comes out of it; the others there hear nothing twice, and it waits there too."""
    for knowing in KNOWING if mac == 0x01005E000012 else ("", "b", "ac"):
        cluster = Cluster({"sender": "a", "mover": "b", "stays": "b", "other": "c"})
        cluster.spoof("mover")
        await cluster.move(knowing)
        found = [(f"{one.host} {one.port}", one.packet.eth_dst) for one in cluster.hears_of("sender", "a", mac, group)]
        once = [("b stays", mac), ("c mover", mac), ("c other", mac)]
        assert sorted(found) == sorted([*once, ("c mover", p.BROADCAST)])
        assert cluster.heard("stays", "b") in (["a sender", *["c mover"] * count, "c other"] for count in (1, 2))
        assert cluster.heard("other", "c") == ["a sender", "b stays", "c mover"]
        # one that is behind it has another MAC address, which must not come back from another side
        assert cluster.heard("mover", "c") == ["a sender", "b stays", "c other"]


@pytest.mark.parametrize(("group", "mac"), GROUPS.items())
async def test_behind_such_a_port_it_waits_while_hypervisors_hold_the_machine(group, mac):
    cluster = Cluster({"sender": "a", "mover": "b", "stays": "b", "other": "c"})
    cluster.spoof("mover")
    await cluster.move(handing_over=True)
    others = {"sender": "a", "stays": "b", "other": "c"}
    for name, host in others.items():
        found = [(f"{one.host} {one.port}", one.packet.eth_dst) for one in cluster.hears_of(name, host, mac, group)]
        once = [(f"{at} {one}", mac) for one, at in others.items() if one != name]
        assert sorted(found) == sorted([*once, ("c mover", p.BROADCAST)])


async def test_what_is_for_such_a_machine_alone_stays_so():
    cluster = Cluster({"sender": "a", "mover": "b"})
    cluster.spoof("mover")
    await cluster.settle()
    text = ("10.0.0.1", "10.0.0.2")
    found = cluster.switches["a"].inject("sender", p.udp((MACS["sender"], MACS["mover"]), text, (9, 9), "x"))
    assert [(one.port, one.packet.eth_dst) for one in found] == [("mover", MACS["mover"])]


async def test_the_broadcast_address_of_another_prefix_is_known_too():
    cluster = Cluster({"sender": "a", "mover": "b"})
    cluster.spoof("mover")
    await cluster.move("")
    wider = SubnetRecord(VSID, pack_ip("10.0.0.0"), 16, pack_ip("10.0.0.254"))
    for told in cluster.told.values():
        told.put(RDID, wider.key, wider)
    await cluster.settle()
    (one,) = cluster.hears_of("sender", "a", p.BROADCAST, "10.0.255.255")
    assert (one.port, one.packet.eth_dst) == ("mover", p.BROADCAST)


RING = [("mover", "a", "b"), ("stays", "b", "c"), ("other", "c", "a")]
SWAP = [("mover", "a", "b"), ("stays", "b", "a")]
TWIN_RING = [(name, old, new) for name, (_, old, new) in zip(TWINS, RING, strict=True)]


@pytest.mark.parametrize("knowing", ["", "b", "abc"])
@pytest.mark.parametrize("spoofing", [False, True])
@pytest.mark.parametrize("moves", [RING, SWAP, TWIN_RING], ids=["ring", "swap", "ring of one MAC address"])
async def test_a_copy_that_was_sent_on_is_sent_on_by_nobody(moves, spoofing, knowing):
    """Each host forwards to the next, and none of the moves is done."""
    cluster = Cluster({"sender": "a"} | {name: old for name, old, _ in moves})
    for name, _, _ in moves if spoofing else ():
        cluster.spoof(name)
    await cluster.settle()
    for name, old, new in moves:
        cluster.switches[old].unplug(name)
        cluster.cross(name, knowing, old, new)
    await cluster.settle()
    for name, host in [("sender", "a"), *((name, new) for name, _, new in moves)]:
        before = len(cluster.network.seen)
        heard = cluster.heard(name, host)
        # to two hosts from its own, at most, and from each host to the one machine that has left it
        assert len(cluster.network.seen) - before <= 5
        if moves is TWIN_RING:
            continue  # nobody can tell which of them says something
        everybody = {f"{new} {one}" for one, _, new in moves if one != name} | ({"a sender"} - {f"{host} {name}"})
        assert set(heard) == everybody
        assert max(map(heard.count, heard)) <= 2


async def evacuated(held=(), **at):
    """So many that more than a few are at c and not done, but the first, which hypervisors still hold."""
    cluster = Cluster({"sender": "a", **dict.fromkeys(MANY, "b"), **at})
    await cluster.settle()
    cluster.hand_over(held)
    for name in MANY:
        if name in held:
            cluster.cross(name, "")
            continue
        cluster.switches["b"].unplug(name)
        cluster.cross(name, "bc")
    await cluster.settle()
    return cluster


async def test_of_many_that_have_left_for_one_host_all_hear_one_copy_that_goes_there():
    cluster = await evacuated(stays="b", other="c")
    before = len(cluster.network.seen)
    found = cluster.hears()
    # a sends to b and c, b one copy for all of c
    assert len(cluster.network.seen) - before == 3
    assert {one.packet.eth_dst for one in found} == {p.BROADCAST}
    there = sorted(f"c {name}" for name in (*MANY, "other"))
    assert sorted(f"{one.host} {one.port}" for one in found) == sorted(["b stays", *there, *there])
    # nothing comes back, neither to it nor to others
    assert cluster.heard("many1", "c") == sorted(["a sender", "b stays", *there[1:]])
    assert cluster.heard("stays", "b") == sorted(["a sender", *there])


async def test_those_of_many_that_are_still_held_hear_their_own_copy():
    """Their new host gives them nothing that is for all."""
    held = MANY[:3]
    cluster = await evacuated(held, stays="b")
    before = len(cluster.network.seen)
    heard = cluster.heard()
    assert len(cluster.network.seen) - before == 1 + len(held) + 1
    assert sorted(heard) == sorted(["b stays", *(f"c {name}" for name in MANY)])
    assert sorted(cluster.heard("stays", "b")) == sorted(["a sender", *(f"c {name}" for name in MANY)])
    # by b, which does not know who of all there it is from, to those that wait
    assert set(cluster.heard("many9", "c")) == {"a sender", "b stays", *(f"c {name}" for name in MANY)} - {"c many9"}


async def test_what_was_sent_on_to_all_of_a_host_is_not_sent_on_from_there():
    """Half of them go from b to c and half from c to a."""
    cluster = Cluster({"sender": "a", **{name: "bc"[n % 2] for n, name in enumerate(LEGION)}})
    await cluster.settle()
    for n, name in enumerate(LEGION):
        old, new = ("b", "c") if n % 2 == 0 else ("c", "a")
        cluster.switches[old].unplug(name)
        cluster.cross(name, "bc", old, new)
    await cluster.settle()
    before = len(cluster.network.seen)
    heard = cluster.heard()
    assert len(cluster.network.seen) - before == 3, "a to b and c, and b to c"
    assert {one: heard.count(one) for one in heard} == {
        f"{'ca'[n % 2]} {name}": 2 - n % 2 for n, name in enumerate(LEGION)
    }


async def leaves_one_by_one(names):
    """How many flows change at b for each that leaves for c, without any being done."""
    cluster = Cluster({"sender": "a", **dict.fromkeys(names, "b"), "stays": "b"})
    await cluster.settle()
    told, counts = cluster.told["b"], []
    for name in names:
        cluster.switches["b"].unplug(name)
        cluster.cross(name, "b")
        count = 0
        for _ in range(4):
            told.switch_is(await cluster.switches["b"].facts())
            change = told.plan(True)
            count += len(change.puts) + len(change.removes)
            told.done(change, await cluster.switches["b"].apply(change))
        counts.append(count)
    return counts


async def test_the_last_of_many_that_leave_changes_as_few_flows_as_the_first():
    counts = await leaves_one_by_one([*MANY, *LEGION[-5:]])
    first, rest = counts[:5], counts[5:]
    assert max(rest) <= max(first) + 3, "where there are too many for a copy each"
    assert sum(rest[-5:]) <= sum(first)


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
