"""Nobody receives what is not his: every guest against every other tenant's, and the wire against every guest.

The matrix is generated from what runs: each sender, each victim, each lie. It is asked of random clusters, also after
random churn (moves, stops, deletes and re-creations, new MACs and addresses) with agents and switches dying in between.
What must arrive is asked by pings; the lies told to one's own neighbours are in test_packets.py.
"""

import asyncio
import itertools
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.cluster.clusters import HOSTS, Vm, plans
from tests.cluster.test_convergence import Story, accident, change
from tests.cluster.test_packets import FULL
from tests.conftest import PROFILE
from weft.fakes import packet as p
from weft.fakes.network import Outer
from weft.model.values import ROUTER_MAC, PackedIp, ip_text, pack_ip

bounded = settings(max_examples=400 if PROFILE == "soak" else 15)
STRANGER = pack_ip("192.168.66.66")
GRE = 47


class Card(NamedTuple):
    """A running guest's adapter, as the state has it."""

    machine: str
    host: str
    tenant: str
    vsid: int
    mac: int
    addresses: tuple[str, ...]

    def address(self, version):
        return next((one for one in self.addresses if p.version(one) == version), None)


class Churn(Story):
    """A story in which machines also come back, and get other MACs."""

    def create(self, which):
        vm: Vm = self.plan.vms[which % len(self.names)]
        if self.world.state.get("virtualMachines", vm.name) is None:
            ref = f"/virtualNetworks/{vm.tenant}/subnets/{vm.subnet}"
            places = [(ref + ("6" if ":" in address else ""), address) for address in vm.addresses]
            self.world.interface(f"{vm.name}-eth0", vm.mac, *places)
            self.world.machine(vm.name, vm.host, [f"{vm.name}-eth0"], "Running")

    def renew(self, which, number):
        """Another MAC for the interface of a machine that is off, perhaps one that another tenant has."""
        name, machine = self._machine(which)
        if machine is None or machine.properties.power_state != "Off":
            return
        own = self.world.state.get("networkInterfaces", f"{name}-eth0").properties
        places = [
            (one.properties.subnet.resource_ref, one.properties.private_ip_address) for one in own.ip_configurations
        ]
        mac = 0x020000000000 + number + 50 * (self.plan.vms[which % len(self.names)].number)
        self.world.interface(f"{name}-eth0", mac, *places)


def cards(cluster):
    state = cluster.world.state
    found = []
    for guest in cluster.center.guests.values():
        own = state.get("networkInterfaces", f"{guest.name}-eth0")
        if not guest.host or own is None:
            continue
        places = [one.properties.subnet.resource_ref for one in own.properties.ip_configurations]
        network, _, subnet = places[0].removeprefix("/virtualNetworks/").partition("/subnets/")
        subnets = state.get("virtualNetworks", network).properties.subnets
        vsid = next(one.properties.virtual_subnet_id for one in subnets if one.resource_id.lower() == subnet.lower())
        (adapter,) = guest.adapters
        addresses = tuple(ip_text(address) for address, _ in adapter.addresses)
        found.append(Card(guest.name, guest.host, network.lower(), vsid, int(adapter.mac), addresses))
    return found


def from_guest(one, other):
    """What `one` sends to reach `other`, a guest of another tenant, or to be taken for it."""
    for version in (4, 6):
        mine, theirs = one.address(version), other.address(version)
        if mine is None or theirs is None:
            continue
        for source_mac, target_mac, source, target in itertools.product(
            (one.mac, other.mac), (other.mac, ROUTER_MAC, p.BROADCAST), (mine, theirs), (theirs, mine)
        ):
            plain = p.udp((source_mac, target_mac), (source, target), (4789, 4789))
            yield plain
            yield replace(plain, vlan_tci=0x1000 | other.vsid & 0xFFF)
            yield replace(plain, ip_proto=GRE, src_port=0, dst_port=0)
        resolve = p.arp_request if version == 4 else p.solicitation
        yield resolve(one.mac, mine, theirs)
        yield resolve(other.mac, theirs, mine)
        yield p.announcement(one.mac, theirs)
        yield p.announcement(other.mac, theirs)
    if other.address(6):
        advertises = p.solicitation(one.mac, one.address(6) or "fe80::1", other.address(6))
        yield replace(advertises, eth_dst=other.mac, icmp_type=134, nd_target=0, nd_option=0, nd_address=0)
    # as if the guest were a host: straight to a provider address
    for address in (f"192.168.{net}.{10 * n}" for net in (1, 2) for n in (1, 2, 3)):
        yield p.udp((one.mac, ROUTER_MAC), (one.addresses[0] if one.address(4) else "10.1.1.99", address), (9, 4789))


def check_guests(cluster):
    """Whatever it sends, only its own network's guests get anything; and only under its own MAC and addresses."""
    found = cards(cluster)
    by_name = {one.machine: one for one in found}
    for one, other in itertools.permutations(found, 2):
        if one.tenant == other.tenant:
            continue
        for packet in from_guest(one, other):
            for delivery in cluster.center.send(one.machine, packet):
                reached = cluster.center.receiver(delivery)
                if reached is None:
                    continue
                got = by_name[reached[0].name]
                where = f"{packet} of {one} reached {got}"
                assert got.tenant == one.tenant, where
                mine = {p.number(address) for address in one.addresses}
                honest = packet.eth_src == one.mac and not packet.vlan_tci and packet.ip_src in (0, *mine)
                assert got == one or honest, where


def check_wire(cluster):
    """What comes from the provider network reaches a guest only in his own VSID, from a host of his network."""
    state = cluster.world.state
    hosts = {name: state.get("servers", name).properties.provider_addresses[0] for name in HOSTS}
    found = cards(cluster)
    vsids = {one.vsid for one in found}
    tenants = {name: {one.tenant for one in found if one.host == name} for name in HOSTS}
    for one in found:
        for source, vsid, kind in itertools.product(
            (*hosts.values(), STRANGER), (*vsids, 0, 0xFFFFFF), ("gre", "vxlan")
        ):
            packed: PackedIp = source if isinstance(source, bytes) else pack_ip(source)
            inner = p.udp((one.mac ^ 0x40, one.mac), ("10.1.1.99", one.address(4)), (1, 2))
            key = vsid << 8 if kind == "gre" else vsid
            for packet in (inner, replace(inner, vlan_tci=0x1005), replace(inner, eth_dst=p.BROADCAST)):
                outer = Outer(kind, packed, pack_ip(hosts[one.host]), key, packet)
                got = cluster.center.switches[one.host].receive(outer)
                sender = next((name for name, address in hosts.items() if address == source), None)
                reached = {to[0].name for to in map(cluster.center.receiver, got) if to is not None}
                for other in (other for other in found if other.machine in reached):
                    where = f"{outer} at {one.host} reached {other}"
                    assert other.vsid == vsid and not packet.vlan_tci, where
                    assert sender is not None and _may_send(cluster, sender, other, tenants), where


def _may_send(cluster, sender, other, tenants):
    """Has the host machines of that network, or had it them until a move that is not over?"""
    machines = cluster.world.state.machines_on(sender.lower())
    bound = {one.resource_id.rstrip("0123456789") for one in machines}
    return other.tenant in tenants[sender] | bound


def check_arrivals(cluster):
    """And what must arrive does: guests of one network hear each other."""
    found = cards(cluster)
    for one, other in itertools.permutations(found, 2):
        theirs = other.address(4)
        if (
            one.tenant == other.tenant
            and cluster.world.state.get("virtualMachines", other.machine).properties.move is None
        ):
            assert cluster.center.ping(one.machine, theirs).received, f"{one} -> {other}"


async def check(plan, history):
    story = Churn(plan)
    await story.cluster.settle()
    for (name, *arguments), befalls in history:
        getattr(story, name)(*arguments)
        story.befall(befalls)
        await story.cluster.follow()
    check_arrivals(story.cluster)
    check_guests(story.cluster)
    check_wire(story.cluster)


churn = st.one_of(
    change,
    st.tuples(st.just("create"), st.integers(0, 7)),
    st.tuples(st.just("renew"), st.integers(0, 7), st.integers(11, 14)),
)


@bounded
@given(plans, st.lists(st.tuples(churn, accident), max_size=10))
@example(FULL, [])
@example(
    FULL,
    [(("delete", 1), None), (("power", 0, "Off"), None), (("renew", 0, 12), ("switch", "h1")), (("create", 1), None)],
)
def test_no_tenant_and_no_wire_gets_through(plan, history):
    asyncio.run(check(plan, history))
