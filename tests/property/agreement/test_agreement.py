"""`weft trace` and the data plane agree: random fabrics, random packets, the same end and the same reason."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.harness import Cluster
from tests.conftest import PROFILE
from tests.property.agreement.carried import Wires, disagreement
from tests.property.agreement.fabrics import fabrics
from weft.model.values import Mac

SOAK = PROFILE == "soak"
QUESTIONS = 40
"""Of each fabric."""


async def settled(sketch):
    cluster = Cluster(sketch.build())
    for host in sketch.carriers:
        for network in sketch.edges:
            p = cluster.world.state.get("virtualNetworks", network).properties
            gateway = cluster.world.state.get("virtualGateways", network).properties
            mac = Mac(int(gateway.gateway_mac_address, 16))
            cluster.center.switches[host].plug(
                f"edge{p.routing_domain_number}", f"weft-edge-{p.routing_domain_number}", mac
            )
    await cluster.settle()
    return cluster


def check(sketch, seed, count=QUESTIONS):
    cluster = asyncio.run(settled(sketch))
    wires = Wires(cluster)
    found = [disagreement(cluster.world.state, wires.carry(one), one) for one in sketch.questions(seed, count)]
    assert not any(found), "\n".join(filter(None, found))


@settings(max_examples=300 if SOAK else 30)
@given(fabrics(), st.integers(0, 1 << 16))
def test_trace_says_what_the_switches_do(sketch, seed):
    check(sketch, seed)
