"""`weft trace` and the data plane agree: random fabrics, random packets, the same end and the same reason."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.harness import Cluster
from tests.conftest import PROFILE, examples
from tests.property.agreement import edges
from tests.property.agreement.carried import Wires, disagreement
from tests.property.agreement.fabrics import Question, Sketch, fabrics
from weft.core.trace import trace
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


def wide_fabric():
    """A network whose address space has in it what connections of its gateway lead to, and a peer that uses that."""
    sketch = Sketch()
    sketch.call("protocol", "VXLAN")
    sketch.call("provider", {"pa1": "192.168.1.0/24"})
    sketch.call("server", "h1", "192.168.1.10")
    sketch.call("server", "gw1", "192.168.1.31")
    sketch.call("outside", "internet", "198.51.100.0/24")
    sketch.call("outside", "partners", "10.77.0.0/24", 77, False)
    sketch.call("outside", "vips", "10.20.0.0/24", 0, False)
    sketch.call("pool", "gp", ["/logicalNetworks/vips/subnets/out"])
    sketch.call("public_address", "p1", "198.51.100.20")
    sketch.call("gateway", "g1", "gw1")
    for rdid, network, space in ((50, "blue", "10.0.0.0/8"), (60, "red", "172.16.0.0/12")):
        prefix = f"{space.partition('.')[0]}.16.1"
        sketch.call("network", network, rdid, {"s1v4": (f"{prefix}.0/24", 5000 + rdid)}, {})
        sketch.call("space", network, space)
        sketch.call("interface", network, rdid, (f"/virtualNetworks/{network}/subnets/s1v4", f"{prefix}.11"))
        sketch.call("machine", network, "h1", [network], "Running")
    routes = [("10.200.0.0/16", "10.77.0.8", 0), ("10.16.0.0/15", "10.77.0.8", 0)]
    vlan, site = ("L3", "c0", "4", ["10.77.0.40/24"], routes), ("GRE", "c1", "", ["172.16.9.1/30"], [])
    sketch.call("way_out", "blue", "s1v4", "10.16.1.250", ("g1",), "p1", (vlan, site), ())
    sketch.peerings = {"blue": ["red"], "red": ["blue"]}
    sketch.call("lend", "blue", "red")
    sketch.carriers = {"gw1"}
    return sketch


def test_connections_lead_into_the_address_space_and_nat_does_not():
    cluster, facts = asyncio.run(settled(wide_fabric()))
    wires = Wires(cluster)
    led = "10.200.0.5", "10.77.0.9", "10.17.0.1", "10.16.2.1", "172.16.9.2", "8.8.8.8"
    for source in ("blue", "red"):
        for to in (*led, "10.201.0.5", "172.16.9.9", "10.16.1.77"):
            question = Question(source, to, "udp", 53)
            assert trace(cluster.world.state, source, to).delivered is (to in led), question
            assert not disagreement(cluster, facts, wires.carry(question), question)
