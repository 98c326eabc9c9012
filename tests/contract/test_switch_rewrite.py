"""A network that rewrites, on the fake switch and on a real Open vSwitch: headers both ways; what has no mapping."""

import pytest

from tests.contract.pipeline import changed, counted, drops, settle
from tests.contract.switch_worlds import opened, seen, switch_world
from tests.unit.agent.policies import HOSTS, subnet_records, told
from weft.fakes import packet as p
from weft.model.records import LookupRecord, NeededNetwork, NetworkSettings, PortBinding, PortLimits
from weft.model.values import ROUTER_MAC, InstanceId, Mac, Rdid, Vsid, pack_ip

RDID, VSID, INSTANCE = Rdid(70), Vsid(7001), InstanceId("00000070-0000-0000-0000-000000000001")
HERE, THERE = Mac(0x001DD8B77001), Mac(0x001DD8B77002)
OWN, OTHER, DB = "10.7.1.11", "10.7.1.12", "10.7.2.21"
OWN_PA, OTHER_PA, DB_PA, NOBODYS_PA = (f"192.168.1.{last}" for last in (111, 112, 113, 114))
DB_MAC = Mac(0x001DD8B77003)


def network():
    yield NetworkSettings(RDID, "rewrite", "/virtualNetworks/green", scope=((pack_ip("10.7.0.0"), 16),))
    yield from subnet_records(VSID, "10.7.1.0/24")
    yield from subnet_records(VSID + 1, "10.7.2.0/24")
    for vsid, address, mac, provider in (
        (VSID, OWN, HERE, OWN_PA),
        (VSID, OTHER, THERE, OTHER_PA),
        (VSID + 1, DB, DB_MAC, DB_PA),
    ):
        yield LookupRecord(Vsid(vsid), pack_ip(address), mac, pack_ip(provider))


@pytest.fixture(params=["fake", pytest.param("ovs", marks=pytest.mark.root)])
async def world(request):
    async with switch_world(request.param) as made:
        await made.plug("host1", "green1", INSTANCE, HERE)
        await made.plug_outside("host1", "wire")
        await seen(made, "host1", opened("green1"))
        made.reconciler = told("host1")
        binding = PortBinding(INSTANCE, "green1-eth0", RDID, VSID, HERE, (pack_ip(OWN),), HOSTS["host1"])
        for record in (NeededNetwork(RDID, "/virtualNetworks/green"), binding):
            made.reconciler.put(0, record.key, record)
        for record in network():
            made.reconciler.put(RDID, record.key, record)
        await settle(made, {"host1": made.reconciler})
        yield made


async def got(world, port, sent):
    """What came out, and where; of the wire only what is of these machines, for hosts speak there too."""
    macs = {int(mac) for mac in (HERE, THERE, DB_MAC, ROUTER_MAC)}
    return {(name, one) for _, name, one in await world.send("host1", port, sent) if one.eth_src in macs}


async def test_headers_are_rewritten_both_ways(world):
    near = p.echo((HERE, THERE), (OWN, OTHER), "x")
    on_the_wire = changed(near, ip_src=p.number(OWN_PA), ip_dst=p.number(OTHER_PA))
    assert await got(world, "green1", near) == {("wire", changed(on_the_wire, size=0))}
    far = p.echo((HERE, ROUTER_MAC), (OWN, DB), "x")
    sent = changed(far, eth_dst=DB_MAC, ip_src=p.number(OWN_PA), ip_dst=p.number(DB_PA), ttl=63)
    assert await got(world, "green1", far) == {("wire", changed(sent, size=0))}
    back = p.echo((THERE, HERE), (OTHER_PA, OWN_PA), "x")
    arrives = changed(back, ip_src=p.number(OTHER), ip_dst=p.number(OWN), size=0)
    assert await got(world, "wire", back) == {("green1", arrives)}
    asked = p.arp_request(THERE, OTHER_PA, OWN_PA)
    [(where, answer)] = await got(world, "wire", asked)
    assert (where, answer.arp_op, answer.arp_sha, answer.arp_spa) == ("wire", 2, HERE, p.number(OWN_PA))


async def test_ipv6_too_on_a_host_that_has_an_ipv4_address_alone(world):
    own, other, own_pa, other_pa = "fd07:1::11", "fd07:1::12", "fd99::11", "fd99::12"
    more = [*subnet_records(VSID, "fd07:1::/64")]
    more += [LookupRecord(VSID, pack_ip(own), HERE, pack_ip(own_pa))]
    more += [LookupRecord(VSID, pack_ip(other), THERE, pack_ip(other_pa))]
    for record in more:
        world.reconciler.put(RDID, record.key, record)
    binding = PortBinding(INSTANCE, "green1-eth0", RDID, VSID, HERE, (pack_ip(OWN), pack_ip(own)), HOSTS["host1"])
    world.reconciler.put(0, binding.key, binding)
    await settle(world, {"host1": world.reconciler})
    sent = p.echo((HERE, THERE), (own, other), "x")
    on_the_wire = changed(sent, ip_src=p.number(own_pa), ip_dst=p.number(other_pa), size=0)
    assert await got(world, "green1", sent) == {("wire", on_the_wire)}
    back = p.echo((THERE, HERE), (other_pa, own_pa), "x")
    assert await got(world, "wire", back) == {
        ("green1", changed(back, ip_src=p.number(other), ip_dst=p.number(own), size=0))
    }
    before = await drops(world)
    assert await got(world, "wire", p.echo((THERE, HERE), (other_pa, "fd99::14"), "x")) == set()
    assert (await counted(world, before, expected={"no_rewrite": 1})).get("no_rewrite") == 1


async def test_what_has_no_mapping_is_counted(world):
    to_nobody = p.echo((THERE, HERE), (OTHER_PA, NOBODYS_PA), "x")
    before = await drops(world)
    assert await got(world, "wire", to_nobody) == set()
    assert (await counted(world, before, expected={"no_rewrite": 1})).get("no_rewrite") == 1
    from_nobody = p.echo((THERE, HERE), (NOBODYS_PA, OWN_PA), "x")
    before = await drops(world)
    assert await got(world, "wire", from_nobody) == set()
    assert (await counted(world, before, expected={"wrong_source": 1})).get("wrong_source") == 1
    limits = PortLimits(INSTANCE, spoofing=True)
    world.reconciler.put(0, limits.key, limits)
    await settle(world, {"host1": world.reconciler})
    for_another = p.echo((HERE, THERE), ("10.7.1.77", OTHER), "x")
    before = await drops(world)
    assert await got(world, "green1", for_another) == set()
    assert (await counted(world, before, expected={"no_rewrite": 1})).get("no_rewrite") == 1


async def test_a_host_without_such_networks_counts_nothing_so(world):
    def counting():
        flows = world.reconciler.table.flows.values()
        return [flow for flow in flows if (flow.table, flow.priority) == (0, 95)]

    assert len(counting()) == 2, "one of each family"
    for record in reversed(list(network())):
        world.reconciler.put(RDID, record.key, None)
    world.reconciler.plan(True)
    assert counting() == []
