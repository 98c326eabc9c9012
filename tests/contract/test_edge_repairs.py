"""What another hand does to an edge is undone by the next look, and an edge that nobody touched is left alone."""

import asyncio
import re

import msgspec
import pytest

from tests.contract.edge_worlds import edge_world
from tests.contract.test_edge import EDGE, FAR_OFF, LEG, SECOND
from weft.agent.edge.database import Database
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.agent.edge.watch import Watch
from weft.lab.commands import run
from weft.model.values import pack_ip

pytestmark = pytest.mark.root

PEER = pack_ip("192.168.1.11")
WANTED = Wanted(msgspec.structs.replace(EDGE, legs=(LEG, SECOND), gateways=(EDGE.provider_address, PEER)), True, 1458)
IN_THE_EDGE = [
    "ip addr del 203.0.113.20/32 dev o0",
    "ip addr del 10.1.254.2/29 dev inner",
    "ip addr add 203.0.113.99/32 dev o0",
    "ip link set dev inner mtu 1300",
    "ip link set dev o0 down",
    "ip link del dev o0",
    "ip route del default",
    "ip route add 198.51.100.0/24 dev o0 proto 87",
    "ip rule del pref 1001",
    "ip rule add pref 1002 fwmark 1002 lookup 1002 proto 87",
    "ip route del default table 1001",
    "ip route add 198.51.100.0/24 dev o1 proto 87 table 1001",
    "ip route del unreachable default table 1001",
    "ip route add unreachable 198.51.100.0/24 proto 87 table 1002",
    "ip -6 route add default dev o0 metric 5 proto 87",
    "ip -6 route add unreachable default metric 4294967295 proto 87 table 1001",
    "nft flush ruleset",
    "nft delete chain ip weft outward",
    "tc qdisc del dev o0 root",
    "tc class del dev inner classid 1:10",
    "pkill -x conntrackd --ns $$ --nslist net",
]
ON_THE_HOST = [
    "ovs-vsctl del-port we7i",
    "ovs-vsctl del-port br-phy we7o0",
    "ovs-vsctl set port we7o0 tag=7",
    "ovs-vsctl remove interface we7i external_ids iface-id",
    "ip link del dev we7i",
]


def standing(world) -> list[str]:
    """All that an edge is made of, as kernel and switch show it; without what is random,
    in the order of words."""
    shows = [
        "ip -o link show | sed 's/^[0-9]*: //; s/ qlen.*//'",
        *(
            "ip -br addr show",
            "ip route show table all",
            "ip -6 route show table all | grep default",
            "ip rule show",
            "nft list ruleset",
            "tc qdisc show",
            "tc class show dev inner",
        ),
    ]
    inside = [world.in_the_edge(EDGE, one) for one in shows]
    daemons = len(run(["ip", "netns", "pids", world.edge_space(EDGE)]).split())
    ids = "ovs-vsctl --bare --columns=name,external_ids find interface external_ids:weft=edge"
    tag = world.on_the_host("ovs-vsctl --if-exists get port we7o0 tag")
    bridges = [world.on_the_host(f"ovs-vsctl list-ports {one}") for one in ("br-int", "br-phy")]
    whole = re.sub(r"@if\d+|fe80::\S+|(?<=tbf )\w+:", "", "".join(inside)) + "\n".join(
        (str(daemons), tag, *bridges, *sorted(world.on_the_host(ids).splitlines()))
    )
    return sorted(whole.split())


async def test_a_touched_edge_is_mended_and_another_is_left_alone(tmp_path_factory):
    async with edge_world("namespace", tmp_path_factory.mktemp("e")) as world:
        await world.driver.put(WANTED)
        before = standing(world)
        assert {"203.0.113.20/32", "snat", "tbf", "we7i"} <= set(before)

        for _ in range(2):
            await world.driver.there()
            await world.driver.put(WANTED)
        watch = Watch(world.edge_space(EDGE))
        await world.driver.there()
        await world.driver.put(WANTED)
        assert watch.is_quiet(), "nobody touched it: nothing is said to its kernel"
        for carries in (False, True):
            await world.driver.put(msgspec.structs.replace(WANTED, carries=carries))
        assert standing(world) == before and not watch.is_quiet()
        await world.driver.there()
        await world.driver.put(WANTED)
        assert watch.is_quiet(), "nor after it was handed to another gateway and taken back"
        watch.close()
        world.in_the_edge(EDGE, "nft flush ruleset")
        for carries in (False, True):
            await world.driver.put(msgspec.structs.replace(WANTED, carries=carries))
        await world.driver.there()
        await world.driver.put(WANTED)
        assert standing(world) == before, "what was touched before that is mended afterwards"

        for act, deeds in ((lambda deed: world.in_the_edge(EDGE, deed), IN_THE_EDGE), (world.on_the_host, ON_THE_HOST)):
            for deed in deeds:
                act(deed)
                assert standing(world) != before, deed
                await world.driver.there()
                await world.driver.put(WANTED)
                assert standing(world) == before, deed
        await rules_of_an_agent_before_are_taken_away(world)


async def rules_of_an_agent_before_are_taken_away(world):
    """The leg that they were for went while no agent ran."""
    world.in_the_edge(EDGE, "ip -6 rule add pref 1003 fwmark 1003 lookup 1003 proto 87")
    rules = "ip rule show; ip -6 rule show"
    assert world.in_the_edge(EDGE, rules).count("proto 87") == 2
    alone = msgspec.structs.replace(WANTED, network=msgspec.structs.replace(WANTED.network, legs=(LEG,)))
    await world.afresh().put(alone)
    assert "proto 87" not in world.in_the_edge(EDGE, rules)


async def test_a_connection_behind_nat_goes_on_when_its_machine_gets_an_address_elsewhere(tmp_path_factory):
    async with edge_world("namespace", tmp_path_factory.mktemp("e")) as world:
        begun = [EDGE, "10.1.1.14", FAR_OFF]
        await world.driver.put(Wanted(EDGE, True, 1458))
        assert await world.outward(*begun) == LEG.nat
        for network in (WANTED.network, msgspec.structs.replace(WANTED.network, legs=(SECOND, LEG))):
            await world.driver.put(msgspec.structs.replace(WANTED, network=network))
            assert await world.outward(network, *begun[1:], leg=network.legs.index(LEG)) == LEG.nat
            later = await world.outward(network, "10.1.1.14", "8.8.4.4", leg=network.legs.index(SECOND))
            assert later == SECOND.addresses[0], "what begins now has its own address"


async def test_changes_that_come_together_fail_alone(tmp_path_factory):
    async with edge_world("namespace", tmp_path_factory.mktemp("e")) as world:
        database = Database(world.lab.rundir(world.lab.host("host1")) / "db.sock")
        add = ("--", "add-port", "br-phy")
        asked = [(*add, "x1"), ("--", "add-port", "br-none", "x2"), (), (*add, "x3")]
        found = await asyncio.gather(*map(database.change, asked), return_exceptions=True)
        assert [type(one) for one in found] == [type(None), EdgeFailure, type(None), type(None)]
        assert "br-none" in str(found[1])
        there = (await database.ask(("list-ports", "br-phy"))).split()
        assert {"x1", "x3"} <= set(there) and "x2" not in there
        await asyncio.gather(*(database.change(("--", "del-port", one)) for one in ("x1", "x3")))
        assert "x1" not in (await database.ask(("list-ports", "br-phy"))).split()
