"""Out of a virtual network and in again, through the port of an edge on whichever gateway is alive."""

import asyncio

from tests.cluster import ways_out
from tests.cluster.harness import Cluster
from tests.cluster.world import sample
from weft.fakes import packet as p
from weft.model.values import ROUTER_MAC, Mac, pack_ip

OUTSIDE = "198.51.100.7"
GUEST, EDGE = 0x101010101101, 0x101010109904
GATEWAYS = {"gw1": "192.168.1.31", "gw2": "192.168.2.32"}


def world(carriers=("g1", "g2")):
    made = sample()
    made.network("Blue", 60, {"web": ("10.1.1.0/24", 6001), "db": ("10.1.2.0/24", 6002), "gw": ("10.1.9.0/24", 6009)})
    for number, (name, address) in enumerate(GATEWAYS.items(), 1):
        made.server(name, address)
        ways_out.gateway(made, f"g{number}", name)
    ways_out.way_out(made, "Blue", "gw", "10.1.9.4", carriers)
    return made


async def cluster(carriers=("g1", "g2")):
    made = Cluster(world(carriers))
    for name in GATEWAYS:
        made.center.switches[name].plug("edge", "weft-edge-60", Mac(EDGE))
    await made.settle()
    return made


def outward(source="10.1.1.11"):
    return p.udp((GUEST, ROUTER_MAC), (source, OUTSIDE), (5000, 53))


def places(deliveries):
    return [(one.host, one.port, one.packet.eth_dst) for one in deliveries]


async def die(made, *dead):
    for host in made.hosts.values():
        host.reconciler.dead_are(frozenset(map(pack_ip, dead)))
    await made.rest()


def test_what_is_for_outside_reaches_the_edge_on_the_first_gateway_that_is_alive():
    async def story():
        made = await cluster()
        assert places(made.center.send("blue1", outward())) == [("gw1", "edge", EDGE)]
        assert places(made.center.send("blue3", p.udp((GUEST + 2, ROUTER_MAC), ("10.1.2.21", OUTSIDE), (1, 2)))) == [
            ("gw1", "edge", EDGE)
        ]
        await die(made, GATEWAYS["gw1"])
        assert places(made.center.send("blue1", outward())) == [("gw2", "edge", EDGE)]
        await die(made, *GATEWAYS.values())
        assert places(made.center.send("blue1", outward())) == [("gw1", "edge", EDGE)], "where all are dead, the first"
        await die(made)
        assert places(made.center.send("blue1", outward())) == [("gw1", "edge", EDGE)]

    asyncio.run(story())


def test_what_comes_in_by_an_edge_has_any_source_and_reaches_its_own_network_only():
    async def story():
        made = await cluster()
        for gateway in GATEWAYS:
            inward = p.udp((EDGE, ROUTER_MAC), (OUTSIDE, "10.1.1.12"), (53, 5000))
            found = made.center.switches[gateway].inject("edge", inward)
            assert [made.center.receiver(one)[0].name for one in found] == ["blue2"]
            assert [one.packet.ip_src for one in found] == [p.number(OUTSIDE)]

    asyncio.run(story())


def test_the_other_tenant_has_no_way_out():
    async def story():
        made = await cluster()
        packet = p.udp((0x101010102201, ROUTER_MAC), ("10.1.1.11", OUTSIDE), (5000, 53))
        assert made.center.send("red1", packet) == []
        assert (await made.center.switches["Host1"].dump()).drops["no_route"] == 1

    asyncio.run(story())


def test_without_a_gateway_it_is_counted_as_that():
    async def story():
        made = await cluster(())
        assert made.center.send("blue1", outward()) == []
        assert (await made.center.switches["Host1"].dump()).drops["no_gateway"] == 1
        ways_out.way_out(made.world, "Blue", "gw", "10.1.9.4", ("g2",))
        await made.follow()
        assert places(made.center.send("blue1", outward())) == [("gw2", "edge", EDGE)]
        made.world.delete("virtualGateways", "Blue")
        await made.follow()
        assert made.center.send("blue1", outward()) == []
        assert (await made.center.switches["Host1"].dump()).drops["no_route"] == 1

    asyncio.run(story())
