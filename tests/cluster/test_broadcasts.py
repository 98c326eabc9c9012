"""Numbered broadcasts, a hundred a second, to a machine that moves, while each host hears of it late by its own time.

The feed is the publisher's word at the time of each commit; the phases of the move wait for hosts as control.moves
does. Time is counted and not waited for.
"""

import itertools
from collections import Counter, deque

import pytest

from tests.cluster.harness import Cluster
from tests.cluster.world import World
from tests.conftest import PROFILE
from weft.core import policy
from weft.fakes import packet as p
from weft.model.records import NeededNetwork
from weft.wire.messages import HOST_STREAM

HOSTS = {"sends": "192.168.1.1", "leaves": "192.168.1.2", "comes": "192.168.1.3"}
"""Where the sender is, where the mover comes from, and where it goes."""
BESIDE = {"alone": {}, "others stay": {"stays": "leaves"}, "others are there": {"other": "comes"}}
BESIDE["both"] = BESIDE["others stay"] | BESIDE["others are there"]
TICKS = 100
"""In a second."""
LAGS = (0, 1, 5) if PROFILE == "soak" else (0, 1)
"""Seconds."""


def number(name):
    return 11 + ["sender", "mover", "stays", "other"].index(name)


def mac(name):
    return 0x001DD8B70000 + number(name)


class Late:
    """A cluster whose hosts hear of each commit after their own time."""

    def __init__(self, cluster, lags):
        self.cluster, self.now = cluster, 0
        self._lags = {name: lag * TICKS for name, lag in lags.items()}
        self._coming = {name: deque() for name in lags}

    def commit(self):
        state = self.cluster.world.state
        for name, coming in self._coming.items():
            told = {HOST_STREAM: policy.host_stream(state, name)}
            needed = [one.rdid for one in told[HOST_STREAM].values() if isinstance(one, NeededNetwork)]
            told |= {rdid: policy.network_stream(state, rdid) for rdid in needed}
            coming.append((self.now + self._lags[name], told))

    @property
    def acked(self):
        return not any(self._coming.values())

    async def turn(self, name):
        """What has come to one host is told to it, and it works until it rests. Was there anything to do?"""
        host, coming, busy = self.cluster.hosts[name], self._coming[name], False
        while coming and coming[0][0] <= self.now:
            _, told = coming.popleft()
            for stream in set(host.streams) - set(told):
                host.drop(stream)
            for stream, records in told.items():
                host.tell_whole(stream, records)
        while await host.apply_once():
            busy = True
        return busy


class Counted:
    """What became of the broadcasts: by (sender, number) how often each other machine heard it."""

    def __init__(self, cluster, senders):
        self.heard, self.cluster, self.senders = {}, cluster, senders
        self.twice, self.stale = [], []

    def send(self, now):
        guests = self.cluster.center.guests
        machine_of = {adapter.name: name for name, guest in guests.items() for adapter in guest.adapters}
        for name in self.senders:
            ends = f"10.0.0.{number(name)}", "255.255.255.255"
            loud = p.udp((mac(name), p.BROADCAST), ends, (9, 9), str(len(self.heard)))
            found = self.cluster.center.send(name, loud)
            self.stale += [one for one in found if one.host != guests[machine_of[one.port]].host]
            names = Counter(machine_of[one.port] for one in found)
            self.heard[name, len(self.heard)] = names
            self.twice += [now] if names["mover"] > 1 else []


async def world_of(places):
    world = World()
    world.protocol("VXLAN")
    world.fabric(pa="192.168.1.0/24")
    for host, place in HOSTS.items():
        world.server(host, place)
    world.network("blue", 1, {"web": ("10.0.0.0/24", 5000)})
    for name, host in places.items():
        place = ("/virtualNetworks/blue/subnets/web", f"10.0.0.{number(name)}")
        world.interface(f"{name}-eth0", mac(name), place)
        world.machine(name, host, [f"{name}-eth0"], "Running")
    cluster = Cluster(world)
    await cluster.settle()
    return cluster


async def moved(places, lags):
    """A move from before its first commit until after its last, and everything that was sent meanwhile."""
    cluster = await world_of(places)
    late, counted = Late(cluster, lags), Counted(cluster, [name for name in places if name != "mover"])
    phases, began, ended = deque(("preparing", "switching", "switched", "done")), None, None
    while ended is None or late.now < ended + TICKS // 5:
        if phases and late.now >= TICKS // 10 and late.acked and (phases[0] != "switched" or began is not None):
            cluster.world.move("mover", "comes", phases.popleft())
            late.commit()
        # the old host's turn comes first: then the machine is between the two
        for name in ("leaves", "comes", "sends"):
            if await late.turn(name):
                began = late.now if began is None and cluster.center.guests["mover"].host == "comes" else began
                counted.send(late.now)
        counted.send(late.now)
        if ended is None and not phases and late.acked:
            ended = late.now
        late.now += 1
    return counted, (began, ended)


LATE = [dict(zip(HOSTS, lags, strict=True)) for lags in itertools.product(LAGS, repeat=len(HOSTS))]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("lags", LATE, ids=lambda lags: "-".join(map(str, lags.values())))
async def test_a_machine_that_moves_hears_every_broadcast_however_late_who_hears_of_it(beside, lags):
    places = {"sender": "sends", "mover": "leaves", **BESIDE[beside]}
    counted, (began, ended) = await moved(places, lags)
    for (name, nth), heard in counted.heard.items():
        assert heard["mover"] in (1, 2), f"{nth} of {name}: {heard}"
        others = {one: count for one, count in heard.items() if one != "mover"}
        assert others == dict.fromkeys(set(counted.senders) - {name}, 1), f"{nth} of {name}"
    assert counted.stale == [], "a port where it does not run fills with what it has heard"
    assert all(began <= now <= ended for now in counted.twice)
