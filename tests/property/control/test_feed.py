"""The feed under any order of commits, lost frames, slow agents, reconnects, compaction and restarts.

Whatever happened, when everybody is connected and everything is delivered each agent holds exactly the policy's full
state of its own streams and of no other, and the controller knows that it does.
"""

import asyncio
import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.feed_agent import FeedAgent
from tests.cluster.world import World, sample
from tests.conftest import examples
from weft.control import recent, session
from weft.control.publisher import Publisher
from weft.control.waits import lagging
from weft.core import policy
from weft.core.changes import Commit
from weft.core.state import State
from weft.store.store import Retention, Store
from weft.wire.messages import HOST_STREAM

SERVERS = ("Host1", "host2", "host3")


class Cluster:
    """A store, a state, a publisher and an agent per server."""

    def __init__(self, folder: Path):
        self.store = Store.open(folder, lambda: "generation-1")
        self.world: World = sample()
        self.world.server("host3", "192.168.2.30")
        self.commit()
        self.publisher = self._publisher()
        self.agents = [FeedAgent(server) for server in SERVERS]

    def _publisher(self) -> Publisher:
        return Publisher(self.world.state, self.store, "generation-1")

    def commit(self) -> None:
        changes = tuple(self.world.taken())
        if not changes:
            return
        state = self.world.state
        made = Commit(state.revision + 1, 0.0, 0.0, changes, ("test",))
        self.store.commit(made, ["test"] * len(changes))
        state.revision = made.revision
        if hasattr(self, "publisher"):
            self.publisher.committed(made)

    async def restart(self) -> None:
        """Kill and come back: the state is read from the store, all connections are gone."""
        for agent in self.agents:
            await agent.disconnect()
        self.world.state = State.load(self.store.load())
        self.publisher = self._publisher()

    async def quiet(self) -> None:
        """Let every session send what it has."""
        for _ in range(40):
            await asyncio.sleep(0)


def mutate(world: World, number: int) -> None:
    """Any change to machines, interfaces, networks; no reference dangles."""
    machine = ("blue1", "blue2", "blue3", "red1", "red2")[number % 5]
    server = SERVERS[number // 5 % 3].lower()
    kind = number // 15 % 8
    found = world.state.get("virtualMachines", machine)
    moving = found is not None and found.properties.move is not None
    if world.state.get("networkInterfaces", f"{machine}-eth0") is None or kind == 4:
        tenant = "Blue" if machine.startswith("blue") else "red"
        place = (f"/virtualNetworks/{tenant}/subnets/web", f"10.1.1.{50 + number % 100}")
        world.interface(f"{machine}-eth0", 0x101010104400 + number, place)
    elif found is None or kind == 0:
        world.machine(machine, server, [f"{machine}-eth0"], "Running" if number % 2 else "Off")
    elif kind == 1:
        world.power(machine, "Off" if found.properties.power_state == "Running" else "Running")
    elif kind == 2:
        world.delete("virtualMachines", machine)
    elif kind == 3 and found.properties.server is not None:
        phase = (
            {"preparing": "switched", "switched": "done"}.get(found.properties.move.phase) if moving else "preparing"
        )
        destination = found.properties.move.destination if moving else server
        if moving or not found.properties.server.resource_ref.lower().endswith(server):
            world.move(machine, destination, phase)
    elif kind == 5:
        world.delete("virtualMachines", machine)
        world.drop_interface(f"{machine}-eth0")
    elif kind == 6:
        subnets = {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002)}
        if number % 2:
            subnets["spare"] = ("10.1.3.0/24", 6003)
        world.network("Blue", 60, subnets)
    else:
        index = number // 5 % 3
        world.server(SERVERS[index], f"192.168.2.{40 + 10 * index + number % 9}")


OPERATIONS = {
    "mutate": 30,
    "commit": 25,
    "connect": 8,
    "disconnect": 5,
    "deliver": 20,
    "lose": 2,
    "slow": 2,
    "fast": 4,
    "compact": 1,
    "restart": 1,
    "yield": 10,
}


async def step(cluster: Cluster, verb: str, number: int) -> None:
    agent = cluster.agents[number % 3]
    await cluster_step(cluster, verb, number)
    match verb:
        case "connect" if not agent.connected:
            cluster.commit()
            agent.connect(cluster.publisher)
        case "disconnect":
            await agent.disconnect()
        case "deliver":
            agent.deliver(number // 3 % 4 + 1)
        case "lose":
            agent.lose(number // 3)
        case "slow":
            agent.gate.clear()
        case "fast":
            agent.gate.set()


async def cluster_step(cluster: Cluster, verb: str, number: int) -> None:
    match verb:
        case "mutate":
            mutate(cluster.world, number)
        case "commit":
            cluster.commit()
        case "compact":
            cluster.commit()
            cluster.store.compact(0.0, 0.0, Retention(log_revisions=number % 6))
        case "restart":
            cluster.commit()
            await cluster.restart()
        case "yield":
            await cluster.quiet()


async def settle(cluster: Cluster) -> None:
    cluster.commit()
    for agent in cluster.agents:
        agent.gate.set()
    for _ in range(4):
        await cluster.quiet()
        for agent in cluster.agents:
            agent.deliver()
    for agent in cluster.agents:
        # nothing came after a lost frame to show the gap; on a real connection that means it is broken
        if agent.lost:
            await agent.disconnect()
        if not agent.connected:
            agent.connect(cluster.publisher)
    for _ in range(4):
        await cluster.quiet()
        for agent in cluster.agents:
            agent.deliver()


def check(cluster: Cluster) -> None:
    state = cluster.world.state
    for agent in cluster.agents:
        wanted = {HOST_STREAM: policy.host_stream(state, agent.server)}
        for key in list(wanted[HOST_STREAM]):
            if key[0] == 12:
                wanted[int(key[1])] = policy.network_stream(state, int(key[1]))
        assert agent.streams == wanted
        assert cluster.publisher.missing(agent.server.lower()) is None
    assert lagging(cluster.publisher, state.revision) == []


async def run(folder: Path, rng: random.Random) -> None:
    cluster = Cluster(folder)
    try:
        for verb in rng.choices(list(OPERATIONS), list(OPERATIONS.values()), k=rng.randrange(20, 250)):
            await step(cluster, verb, rng.randrange(120))
        await settle(cluster)
        check(cluster)
    finally:
        for agent in cluster.agents:
            await agent.disconnect()
        cluster.store.close()


# long histories from a seed: drawing each step by itself makes Hypothesis prefer histories too short to go wrong
@settings(max_examples=examples(50, soak=3000))
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 2000]), st.sampled_from([5, 200_000]))
def test_every_agent_ends_with_the_full_state(seed: int, frames: int, keys: int) -> None:
    limits = session.MAX_FRAMES, recent.MAX_KEYS
    session.MAX_FRAMES, recent.MAX_KEYS = frames, keys
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder), random.Random(seed)))
    finally:
        session.MAX_FRAMES, recent.MAX_KEYS = limits
