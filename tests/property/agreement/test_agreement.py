"""`weft trace` and the data plane agree: random fabrics, random packets, the same end and the same reason."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.harness import Cluster
from tests.conftest import PROFILE, examples
from tests.property.agreement import edges
from tests.property.agreement.carried import Wires, disagreement
from tests.property.agreement.fabrics import fabrics
from weft.core.trace_ends import HostFacts
from weft.fakes.encryption import Ipsec

SOAK = PROFILE == "soak"
QUESTIONS = 40
"""Of each fabric."""


async def settled(sketch):
    cluster = Cluster(sketch.build())
    await cluster.settle()
    for host in sketch.carriers:
        edges.plug(cluster, host)
    await cluster.rest()
    return cluster, await encrypted(cluster, sketch.without_encryption)


async def encrypted(cluster, without):
    """By a driver on each host but for these. Returns what agents tell of it."""
    if without is None:
        return HostFacts()
    world = Ipsec()
    asked = {name: host.reconciler.tunnels.to_encrypt for name, host in cluster.hosts.items()}
    for name in without:
        world.host(name).lacks = "no ESP"
    for name, pairs in asked.items():
        await world.host(name).keep(pairs)
    clear = {}
    for name, pairs in asked.items():
        sealed = await world.host(name).keep(pairs)
        cluster.hosts[name].reconciler.sealed_are(sealed)
        clear[name] = {one.remote for one in pairs - sealed}
    await cluster.rest()
    return HostFacts(in_clear=lambda server, remote: remote in clear[server])


def check(sketch, seed, count=QUESTIONS):
    cluster, facts = asyncio.run(settled(sketch))
    wires = Wires(cluster)
    found = [disagreement(cluster, facts, wires.carry(one), one) for one in sketch.questions(seed, count)]
    assert not any(found), "\n".join(filter(None, found))


@settings(max_examples=examples(30, soak=300))
@given(fabrics(), st.integers(0, 1 << 16))
def test_trace_says_what_the_switches_do(sketch, seed):
    check(sketch, seed)
