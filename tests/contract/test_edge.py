"""What every maker of edges promises: the fake and the namespaces."""

import asyncio

import msgspec
import pytest

from tests.contract.edge_worlds import FAR, NEAR, OUTSIDE, UNHEARD_SECONDS, edge_world
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.model.records import EdgeLeg, EdgeNetwork, EdgeRoute, EdgeTunnel
from weft.model.values import Mac, PackedIp, Rdid, Vsid, pack_ip

PUBLIC, NAT = "203.0.113.20", "203.0.113.10"
LEG = EdgeLeg(
    "/logicalnetworks/outside/subnets/public",
    100,
    pack_ip("203.0.113.0"),
    24,
    pack_ip(OUTSIDE),
    (pack_ip(NAT), pack_ip(PUBLIC)),
    outbound_kbps=5000,
    inbound_kbps=8000,
    nat=pack_ip(NAT),
    mappings=((pack_ip(PUBLIC), pack_ip("10.1.1.12")),),
)
EDGE = EdgeNetwork(
    rdid=Rdid(7),
    resource_ref="/virtualGateways/blue",
    vsid=Vsid(6254),
    mac=Mac(0x001DD8B71C00),
    addresses=((pack_ip("10.1.254.2"), 29),),
    routers=(pack_ip("10.1.254.1"),),
    prefixes=((pack_ip("10.1.1.0"), 24), (pack_ip("10.1.254.0"), 29)),
    provider_address=pack_ip("192.168.1.10"),
    gateways=(pack_ip("192.168.1.10"),),
    legs=(LEG,),
)
NOWHERE = PackedIp(b"")
SITE, STRANGER = "10.9.0.1", "203.0.113.66"
ROUTED = EdgeLeg(
    "/logicalnetworks/site/subnets/vlan200",
    200,
    pack_ip("10.9.0.0"),
    24,
    NOWHERE,
    (pack_ip("10.9.0.2"),),
    routes=(EdgeRoute(pack_ip("10.10.0.0"), 16, pack_ip(SITE)),),
    outbound_kbps=99_999_999_999_999,
    inbound_kbps=100_000_000,
)
"""As an L3 connection has it, with limits of a release that took any; the edge is made all the same."""
TUNNEL = EdgeTunnel(
    "far",
    pack_ip(NEAR),
    pack_ip(FAR),
    vlan=0,
    local_length=24,
    gateway=NOWHERE,
    key_value=77,
    addresses=((pack_ip("172.16.0.1"), 30),),
    routes=(EdgeRoute(pack_ip("10.9.0.0"), 16, NOWHERE), EdgeRoute(pack_ip("fd09::"), 16, NOWHERE)),
)
SIX = {
    "addresses": (*EDGE.addresses, (pack_ip("fd01:fe::2"), 64)),
    "routers": (*EDGE.routers, pack_ip("fd01:fe::1")),
    "prefixes": (*EDGE.prefixes, (pack_ip("fd01:1::"), 64), (pack_ip("fd01:fe::"), 64)),
}
BESIDE, PUBLIC2, FAR_OFF = "192.0.2.1", "192.0.2.20", "8.8.8.8"


def leg_of_one(subnet, vlan, prefix, gateway, public, inside):
    """A leg on which one machine is known."""
    first, _, length = prefix.partition("/")
    mapping = pack_ip(public), pack_ip(inside)
    where = f"/logicalnetworks/outside/subnets/{subnet}"
    return EdgeLeg(where, vlan, pack_ip(first), int(length), pack_ip(gateway), mapping[:1], mappings=(mapping,))


SECOND = leg_of_one("second", 300, "192.0.2.0/24", BESIDE, PUBLIC2, "10.1.1.14")
"""Another subnet with a public address of one machine."""
OUTSIDE6, PUBLIC6 = "2001:db8:ff::1", "2001:db8:ff::20"
LEG6 = leg_of_one("public6", 100, "2001:db8:ff::/64", OUTSIDE6, PUBLIC6, "fd01:1::12")
BESIDE6, PUBLIC6_2, FAR_OFF6 = "2001:db8:fe::1", "2001:db8:fe::14", "2001:db8::8"
SECOND6 = leg_of_one("second6", 300, "2001:db8:fe::/64", BESIDE6, PUBLIC6_2, "fd01:1::14")
WANTED = Wanted(EDGE, True, 1458)


@pytest.fixture(params=["fake", pytest.param("namespace", marks=pytest.mark.root)])
async def world(request, tmp_path_factory):
    async with edge_world(request.param, tmp_path_factory.mktemp("e")) as made:
        yield made


async def at_last(driver, wanted):
    """As the keeper does: again until it can be made."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await driver.put(wanted)
            except EdgeFailure:
                await asyncio.sleep(0.05)


async def test_a_life(world):
    """One story, since a real Open vSwitch takes a second to come."""
    driver = world.driver
    assert await driver.there() == {}
    await driver.put(msgspec.structs.replace(WANTED, carries=False))
    assert await driver.there() == {7: False}, "who stands by answers for nothing outside"
    await driver.put(WANTED)
    await driver.put(WANTED)
    assert await driver.there() == {7: True}

    assert await world.outward(EDGE, "10.1.1.11", OUTSIDE) == pack_ip(NAT)
    assert await world.outward(EDGE, "10.1.1.12", OUTSIDE) == pack_ip(PUBLIC), "its own address, before the network's"
    assert await world.outward(EDGE, "10.1.1.11", "10.1.1.12") is None
    assert not await world.comes_back(EDGE, "10.2.1.11", "10.1.1.12"), (
        "or peers that are none of each other's meet here"
    )
    assert await world.inward(EDGE, PUBLIC) == pack_ip("10.1.1.12")
    assert await world.inward(EDGE, NAT) is None, "nobody is behind it that has not begun"
    assert await world.outward(EDGE, "66.6.6.6", OUTSIDE, UNHEARD_SECONDS) is None, "whose is it?"

    both = msgspec.structs.replace(EDGE, legs=(LEG, ROUTED))
    await driver.put(msgspec.structs.replace(WANTED, network=both))
    for target in ("10.1.1.11", "10.1.1.12"):
        assert not await world.lets_in(both, 0, STRANGER, target), "who routes to it by the network's public address"
        assert await world.lets_in(both, 1, SITE, target), "customer addresses are routed by that connection"
    assert not await world.lets_in(both, 1, "10.1.1.13", "10.1.1.11"), "the network's own do not come from outside"
    assert await world.outward(both, "10.1.1.11", OUTSIDE) == pack_ip(NAT)
    assert not await world.crosses(both, SITE), "nor is anybody outside led to somebody else outside"
    assert await world.inward(both, PUBLIC) == pack_ip("10.1.1.12")

    two = msgspec.structs.replace(EDGE, legs=(LEG, SECOND))
    await driver.put(msgspec.structs.replace(WANTED, network=two))
    for target in (FAR_OFF, BESIDE, OUTSIDE):
        assert await world.outward(two, "10.1.1.14", target, leg=1) == pack_ip(PUBLIC2), "as itself, by its own router"
        assert await world.outward(two, "10.1.1.11", target) == pack_ip(NAT)
    assert await world.outward(two, "10.1.1.12", FAR_OFF) == pack_ip(PUBLIC)
    assert await world.inward(two, PUBLIC2, leg=1) == pack_ip("10.1.1.14")
    for place, address in enumerate((PUBLIC, PUBLIC2)):
        assert await world.complains(two, address, leg=place) == pack_ip(address), "what does not fit it says by itself"
    assert not await world.comes_back(two, "10.1.1.14", "10.1.1.12")
    for carries in (False, True):
        await driver.put(msgspec.structs.replace(WANTED, network=two, carries=carries))
    assert await world.outward(two, "10.1.1.14", FAR_OFF, leg=1) == pack_ip(PUBLIC2), "it stood by meanwhile"

    no_router = msgspec.structs.replace(two, legs=(LEG, msgspec.structs.replace(SECOND, gateway=NOWHERE)))
    await driver.put(msgspec.structs.replace(WANTED, network=no_router))
    for carries in (False, True):
        await driver.put(msgspec.structs.replace(WANTED, network=no_router, carries=carries))
        silent = await world.outward(no_router, "10.1.1.14", "8.8.4.4", UNHEARD_SECONDS)
        assert silent is None, "its own subnet leads nowhere, and it is not all others"
    assert await world.outward(no_router, "10.1.1.11", "8.8.4.4") == pack_ip(NAT)
    assert await world.outward(no_router, "10.1.1.14", BESIDE, leg=1) == pack_ip(PUBLIC2)

    alone = msgspec.structs.replace(
        EDGE, legs=(msgspec.structs.replace(LEG, nat=NOWHERE, addresses=LEG.addresses[1:]),)
    )
    await driver.put(msgspec.structs.replace(WANTED, network=alone))
    assert await world.outward(alone, "10.1.1.12", OUTSIDE) == pack_ip(PUBLIC)
    assert await world.outward(alone, "10.1.1.11", OUTSIDE, UNHEARD_SECONDS) is None, "it has no address there"
    await driver.put(WANTED)

    await driver.put(msgspec.structs.replace(WANTED, carries=False))
    await driver.put(WANTED)
    assert await world.outward(EDGE, "10.1.1.11", OUTSIDE) == pack_ip(NAT), "it stood by, and lost no route by that"

    routed = msgspec.structs.replace(LEG, nat=pack_ip(NAT)[:0], mappings=(), outbound_kbps=0)
    changed = msgspec.structs.replace(WANTED, network=msgspec.structs.replace(EDGE, legs=(routed,)))
    fresh = world.afresh()
    assert await fresh.there() == {7: True}, "known without memory"
    await fresh.put(changed)
    world.driver = fresh
    assert await world.outward(changed.network, "10.1.1.13", OUTSIDE) == pack_ip("10.1.1.13")
    assert await world.outward(changed.network, "66.6.6.6", OUTSIDE, UNHEARD_SECONDS) is None, "routed, or not"
    assert await world.inward(EDGE, PUBLIC) is None

    six = msgspec.structs.replace(EDGE, legs=(LEG6,), **SIX)
    await fresh.put(Wanted(six, True, 1458))
    assert await world.outward(six, "fd01:1::12", OUTSIDE6) == pack_ip(PUBLIC6), "one to one in IPv6, too"
    assert await world.outward(six, "fd01:1::11", OUTSIDE6, UNHEARD_SECONDS) is None
    assert not await world.lets_in(six, 0, "2001:db8:ff::66", "fd01:1::11")
    assert await world.inward(six, PUBLIC6) == pack_ip("fd01:1::12")

    six = msgspec.structs.replace(EDGE, legs=(LEG6, SECOND6), **SIX)
    await fresh.put(Wanted(six, True, 1458))
    assert await world.outward(six, "fd01:1::14", FAR_OFF6, leg=1) == pack_ip(PUBLIC6_2)
    for place, address in enumerate((PUBLIC6, PUBLIC6_2)):
        assert await world.complains(six, address, leg=place) == pack_ip(address)

    tunnelled = msgspec.structs.replace(EDGE, legs=(), tunnels=(TUNNEL,), **SIX)
    wanted = Wanted(tunnelled, True, 1458)
    await fresh.put(wanted)
    ends = pack_ip(NEAR), pack_ip(FAR), 77
    assert await world.into_tunnel(tunnelled, "10.1.1.11", "10.9.0.1") == ends
    assert await world.into_tunnel(tunnelled, "10.1.1.11", "10.8.0.1", 1) is None, "no route leads there"
    assert await world.out_of_tunnel(tunnelled, 77, "10.1.1.11")
    assert not await world.out_of_tunnel(tunnelled, 78, "10.1.1.11", 1), "another key is another network's"
    assert not await world.out_of_tunnel(tunnelled, -1, "10.1.1.11", 1)
    assert await world.into_tunnel(tunnelled, "fd01:1::11", "fd09::1") == ends, "IPv6 inside IPv4"
    assert await world.out_of_tunnel(tunnelled, 77, "fd01:1::11")
    assert not await world.hears_other_than_gre(), "the host itself has nothing at a near end"
    assert await world.afresh().there() == {7: True}
    await world.restart_switch()
    await at_last(fresh, wanted)
    assert await world.into_tunnel(tunnelled, "10.1.1.11", "10.9.0.1") == ends, "no port or flow of before is missing"
    assert await world.out_of_tunnel(tunnelled, 77, "10.1.1.11")

    # another network with the same far end: it has a near end of its own, and the other's goes on without it
    beside = msgspec.structs.replace(TUNNEL, local=pack_ip("198.51.100.11"), key_value=-1)
    other = msgspec.structs.replace(EDGE, rdid=Rdid(8), legs=(), tunnels=(beside,))
    await fresh.put(Wanted(other, True, 1458))
    assert await world.into_tunnel(other, "10.1.1.11", "10.9.0.1") == (pack_ip("198.51.100.11"), pack_ip(FAR), -1)
    both = Wanted(other, False, 1458), msgspec.structs.replace(wanted, carries=False)
    await world.put_all(*both)
    assert await world.afresh().there() == {7: False, 8: False}
    await world.put_all(both[0], wanted)
    assert await world.into_tunnel(tunnelled, "10.1.1.11", "10.9.0.1") == ends
    await fresh.remove(Rdid(8))
    assert await world.out_of_tunnel(tunnelled, 77, "10.1.1.11")

    await fresh.put(msgspec.structs.replace(wanted, carries=False))
    assert await world.afresh().there() == {7: False}
    assert await world.into_tunnel(tunnelled, "10.1.1.11", "10.9.0.1", 1) is None, "who stands by has not the near end"
    assert not await world.out_of_tunnel(tunnelled, 77, "10.1.1.11", 1)
    keyless = msgspec.structs.replace(tunnelled, tunnels=(msgspec.structs.replace(TUNNEL, key_value=-1),))
    await fresh.put(Wanted(keyless, True, 1458))
    assert await world.into_tunnel(keyless, "10.1.1.11", "10.9.0.1") == (*ends[:2], -1)
    assert await world.out_of_tunnel(keyless, -1, "10.1.1.11")
    assert not await world.out_of_tunnel(keyless, 77, "10.1.1.11", 1)

    await fresh.remove(Rdid(7))
    await fresh.remove(Rdid(7))
    assert await fresh.there() == {}
    assert await world.left() == []
