"""The packet oracle: whatever the cluster, a packet arrives exactly where a model of twenty lines says.

A spoofed or forged one arrives nowhere. The model knows nothing of flows, records or tables.
"""

import asyncio
import ipaddress

import pytest
from hypothesis import example, given, settings
from msgspec.structs import replace

from tests.cluster.clusters import HOSTS, SUBNETS, Plan, Vm, build, moves_in, plans
from tests.cluster.harness import Cluster
from tests.conftest import PROFILE, examples
from weft.core.trace import trace
from weft.fakes import packet as p
from weft.fakes.network import Outer
from weft.model.values import ROUTER_MAC, pack_ip

SOAK = PROFILE == "soak"
bounded = settings(max_examples=examples(25, soak=500))

FULL = Plan(
    "NVGRE",
    (
        Vm("blue", "web", 11, "h1", "Running", True),
        Vm("blue", "web", 12, "H2", "Running", True),
        Vm("blue", "db", 13, "H2", "Running", True),
        Vm("blue", "web", 14, "h1", "Off", True),
        Vm("Red", "web", 11, "h1", "Running", True),
        Vm("Red", "web", 12, "H2", "Running", True),
        Vm("Red", "db", 13, "h3", "Running", False),
    ),
    (1, "h3", "switching"),
)


# The model.


def runs(vm):
    return vm.power == "Running"


def reaches(one, other, version):
    return (
        runs(one)
        and runs(other)
        and one.tenant == other.tenant
        and bool(one.address(version) and other.address(version))
    )


def ttl(one, other):
    return 64 if one.subnet == other.subnet else 63


def hears_broadcast(one, other):
    return runs(one) and runs(other) and (one.tenant, one.subnet) == (other.tenant, other.subnet) and one != other


# The cluster against it.


async def settled(plan):
    cluster = Cluster(build(plan))
    await cluster.settle()
    name, destination, phases = moves_in(plan)
    for phase in phases:
        cluster.world.move(name, destination, phase)
        await cluster.settle()
    return cluster


def heard_twice(plan):
    """The machine that has moved, until its move is done: its old host sends broadcasts on to it, and whoever knows
    that it moved sends it a copy too."""
    name, _, phases = moves_in(plan)
    return {name} if phases and phases[-1] in ("switching", "switched") else set()


def receivers(cluster, deliveries):
    found = (cluster.center.receiver(delivery) for delivery in deliveries)
    return sorted(one[0].name for one in found if one is not None)


def check_pings(cluster, plan):
    center = cluster.center
    for one in plan.vms:
        for other in plan.vms:
            for version in (4, 6):
                # the tenants share their addresses: whoever answers, it must be one's own neighbour
                address = other.address(version)
                if address is None or one.address(version) == address:
                    continue
                own = next((vm for vm in plan.vms if vm.tenant == one.tenant and vm.address(version) == address), other)
                center.reached.clear()
                ping = center.ping(one.name, address)
                where = f"{one.name} -> {address}: {ping}"
                assert ping.received == reaches(one, own, version), where
                assert not ping.received or ping.ttl == ttl(one, own), where
                strangers = {name for name, _ in center.reached} - {
                    one.name,
                    own.name if own.tenant == one.tenant else "",
                }
                assert not strangers, f"{where}: also seen by {strangers}"
                told = trace(cluster.world.state, f"{one.name}-eth0", address)
                assert told.delivered == ping.received, f"{where}, but trace says: {told.reason}"


def check_gateways(cluster, plan):
    for vm in filter(runs, plan.vms):
        for version, gateways in ((4, ("10.1.1.1", "10.1.2.1")), (6, ("fd00:1::1", "fd00:2::1"))):
            for gateway in gateways if vm.address(version) else ():
                assert cluster.center.ping(vm.name, gateway).received, f"{vm.name} -> {gateway}"
        assert not cluster.center.ping(vm.name, "203.0.113.9").received


def check_datagrams(cluster, plan):
    """One packet, and exactly one port that it comes out of; a broadcast at every neighbour, once."""
    for one in filter(runs, plan.vms):
        for other in plan.vms:
            near = other.subnet == one.subnet
            target = other.mac if near else ROUTER_MAC
            packet = p.udp((one.mac, target), (one.address(4), other.address(4)), (5000, 53))
            if one.address(4) == other.address(4):
                continue
            own = [vm for vm in plan.vms if vm.tenant == one.tenant and vm.address(4) == other.address(4)]
            expected = [vm.name for vm in own if reaches(one, vm, 4)]
            if near and not own:
                # the MAC may be a neighbour's although the address is nobody's: then it is told so by its owner
                expected = [vm.name for vm in plan.vms if hears_broadcast(one, vm) and vm.mac == other.mac]
            assert receivers(cluster, cluster.center.send(one.name, packet)) == expected, f"{one} -> {other}"
        loud = p.udp((one.mac, p.BROADCAST), (one.address(4), "255.255.255.255"), (68, 9999))
        expected = sorted(vm.name for vm in plan.vms if hears_broadcast(one, vm))
        heard = receivers(cluster, cluster.center.send(one.name, loud))
        assert sorted(set(heard)) == expected, f"broadcast of {one}"
        more = [name for name in set(heard) for _ in range(heard.count(name) - 1)]
        assert not more or set(more) == heard_twice(plan) and len(more) == 1, f"broadcast of {one} came twice: {more}"


def spoofs(one, other):
    """What `one` must not get through, each a lie in one place: (drop reason, packet). All would be answered or
    delivered if the lie were believed."""
    mac, near, third = other.mac, one.address(4), 1 + SUBNETS.index(one.subnet)
    gateway, honest = f"10.1.{third}.1", p.udp((one.mac, other.mac), (near, other.address(4)), (1, 2))
    lie = str(ipaddress.IPv4Address(near) + 100)
    yield "spoofed_mac", replace(honest, eth_src=one.mac ^ 0x100)
    yield "spoofed_ipv4", replace(honest, ip_src=p.number(lie))
    yield "vlan_tagged", replace(honest, vlan_tci=0x1005)
    yield "ethertype", replace(honest, eth_type=0x88CC)
    yield "spoofed_arp", p.arp_reply(one.mac, lie, (mac, other.address(4)))
    yield "spoofed_arp", p.arp_request(one.mac, lie, gateway)
    yield "spoofed_arp", p.arp_request(one.mac, lie, lie)
    yield "spoofed_arp", replace(p.arp_request(one.mac, near, gateway), arp_sha=mac ^ 0x200)
    yield "ttl_expired", replace(honest, eth_dst=ROUTER_MAC, ttl=1)
    if one.address(6):
        yield from spoofs6(one, other, f"fd00:{third}::1")


def spoofs6(one, other, gateway):
    asks = p.solicitation(one.mac, one.address(6), gateway)
    other_mac, false = other.mac ^ 0x200, p.number("fd00:1::77")
    target = {"eth_dst": other.mac, "ip_dst": p.number(other.address(6) or "fd00:1::55")}
    claim = replace(asks, **target, icmp_type=p.ADVERTISEMENT, nd_target=false, nd_option=p.TARGET_OPTION)
    yield "spoofed_nd", claim
    yield "spoofed_nd", replace(claim, nd_target=asks.ip_src, nd_address=other_mac)
    yield "spoofed_nd", replace(asks, nd_address=other_mac)
    yield "spoofed_nd", replace(asks, ip_src=false)
    yield "router_advertisement", replace(asks, **target, icmp_type=134, nd_target=0, nd_option=0, nd_address=0)
    yield "router_advertisement", replace(asks, **target, icmp_type=137, nd_target=0, nd_option=0, nd_address=0)
    data = p.udp((one.mac, other.mac), (one.address(6), other.address(6) or "fd00:1::55"), (1, 2))
    yield "spoofed_ipv6", replace(data, ip_src=false)


async def check_spoofs(cluster, plan):
    for one in filter(runs, plan.vms):
        switch = cluster.center.switches[cluster.center.guests[one.name].host]
        for other in plan.vms:
            if other.tenant == one.tenant and other != one:
                for reason, packet in spoofs(one, other):
                    counted = (await switch.dump()).drops.get(reason, 0)
                    assert cluster.center.send(one.name, packet) == [], f"{reason} of {one.name} to {other.name}"
                    assert (await switch.dump()).drops.get(reason, 0) == counted + 1, f"{reason}: {packet}"


def check_forged(cluster, plan):
    """From the provider network: no outer source but a host's, no other tenant's VSID, no unknown one."""
    kind = "gre" if plan.protocol == "NVGRE" else "vxlan"
    shift = 8 if kind == "gre" else 0
    stranger = pack_ip("192.168.66.66")
    for vm in filter(runs, plan.vms):
        host = cluster.center.guests[vm.name].host
        local, *_ = cluster.world.state.get("servers", host).properties.provider_addresses
        peers = [one for one in HOSTS if one != host]
        peer, *_ = cluster.world.state.get("servers", peers[0]).properties.provider_addresses
        inner = p.udp((vm.mac ^ 0x40, vm.mac), ("10.1.1.99", vm.address(4)), (1, 2))
        for source, vsid in ((stranger, 5000), (pack_ip(peer), 4999), (pack_ip(peer), 0), (pack_ip(peer), 0xFFFFFF)):
            outer = Outer(kind, source, pack_ip(local), vsid << shift, inner)
            assert cluster.center.switches[host].receive(outer) == [], f"{outer} to {vm.name}"


async def check(plan):
    cluster = await settled(plan)
    for one in (check_pings, check_gateways, check_datagrams, check_forged):
        one(cluster, plan)
    await check_spoofs(cluster, plan)
    return cluster


@bounded
@given(plans)
@example(FULL)
@example(FULL._replace(policy="several"))
@example(FULL._replace(policy="perVirtualSubnet"))
def test_a_packet_arrives_exactly_where_the_model_says(plan):
    asyncio.run(check(plan))


@pytest.mark.parametrize("phase", ["preparing", "switching", "switched", "done", "failed"])
@pytest.mark.parametrize("protocol", ["NVGRE", "VXLAN"])
def test_in_every_phase_of_a_move_everyone_reaches_the_machine(phase, protocol):
    cluster = asyncio.run(check(FULL._replace(move=(1, "h3", phase), protocol=protocol)))
    expected = "H2" if phase in ("preparing", "failed") else "h3"
    assert cluster.center.guests["blue12"].host == expected
