"""Nobody receives what is not his: every guest against every other tenant's, and the wire against every guest.

The matrix is generated from what runs: each sender, each victim, each lie. It is asked of random clusters, also after
random churn (moves, stops, deletes and re-creations, new MACs and addresses) with agents, switches and the controller
dying in between.
What must arrive is asked by pings; the lies told to one's own neighbours are in test_packets.py.
"""

import asyncio
import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.cluster.clusters import HOSTS, Vm, plans
from tests.cluster.lies import Card, from_guest, from_physical, from_wire, is_honest, may_get
from tests.cluster.test_convergence import Story, accident, change
from tests.cluster.test_packets import FULL
from tests.conftest import examples
from weft.core import policy
from weft.model.values import ip_text, pack_ip

bounded = settings(max_examples=examples(12, soak=400))


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
        ref = own.properties.ip_configurations[0].properties.subnet.resource_ref.lower()
        kind, network, *_ = ref[1:].split("/")
        subnet = state.find_ref(ref).properties
        (adapter,) = guest.adapters
        addresses = tuple(ip_text(address) for address, _ in adapter.addresses)
        card = Card(guest.name, guest.host, network, 0, int(adapter.mac), addresses)
        if kind == "virtualnetworks":
            vsid = subnet.virtual_subnet_id
            found.append(card._replace(vsid=vsid, stands=standing(state, network, vsid, addresses)))
        else:
            card = card._replace(vsid=subnet.vlan_id)
            found.append(card if addresses else card._replace(addresses=("10.1.1.14",), free=True))
    return found


def standing(state, network, vsid, addresses):
    """What stands for addresses, where headers are rewritten."""
    p = state.get("virtualNetworks", network).properties
    if p.network_virtualization_protocol != "Rewrite":
        return ()
    records = policy.network_stream(state, p.routing_domain_number)
    told = (records.get((5, vsid, pack_ip(address))) for address in addresses)
    return tuple(ip_text(one.provider_address) for one in told if one is not None)


def check_guests(cluster, known=()):
    """Whatever it sends, only its own network's guests get anything; and only under its own MAC and addresses. `known`
    are guests of before, that may still run though the state has them no more."""
    present = {one.machine: one for one in (*known, *cards(cluster))}
    running = {guest.name for guest in cluster.center.guests.values() if guest.host}
    found = [one for one in present.values() if one.machine in running]
    by_name = {one.machine: one for one in found}
    stands = [text for one in found for text in one.stands]
    for one, other in itertools.permutations(found, 2):
        if one.tenant == other.tenant:
            continue
        for packet in from_guest(one, other, stands):
            for delivery in cluster.center.send(one.machine, packet):
                reached = cluster.center.receiver(delivery)
                if reached is None:
                    continue
                got = by_name[reached[0].name]
                where = f"{packet} of {one} reached {got}"
                assert got.tenant == one.tenant, where
                assert got == one or is_honest(packet, one), where


def check_wire(cluster):
    """What comes from the provider network reaches a guest only in his own VSID, from a host of his network."""
    state = cluster.world.state
    hosts = {name: state.get("servers", name).properties.provider_addresses[0] for name in HOSTS}
    sources = {pack_ip(address): name for name, address in hosts.items()}
    everybody = cards(cluster)
    found = [one for one in everybody if one.vlan is None]
    vsids = {one.vsid for one in found}
    tenants = {name: {one.tenant for one in found if one.host == name} for name in HOSTS}
    for one in found:
        for vsid, outer in from_wire(one, hosts[one.host], sources, vsids):
            got = cluster.center.switches[one.host].receive(outer)
            sender = sources.get(outer.source)
            reached = {to[0].name for to in map(cluster.center.receiver, got) if to is not None}
            for other in (other for other in found if other.machine in reached):
                where = f"{outer} at {one.host} reached {other}"
                assert other.vsid == vsid and other.is_tunnelled and not outer.inner.vlan_tci, where
                assert sender is not None and _may_send(cluster, sender, other, tenants), where

    for one in everybody:
        for sent in from_physical(one, everybody, hosts.values()):
            reached = map(cluster.center.receiver, cluster.center.network.wire.carry("outside", sent))
            got = {to[0].name for to in reached if to is not None}
            assert got <= may_get(sent, everybody), f"{sent} for {one} reached {got}"


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
            and not (one.free or other.free)
            and cluster.world.state.get("virtualMachines", other.machine).properties.move is None
        ):
            assert cluster.center.ping(one.machine, theirs).received, f"{one} -> {other}"


async def check(plan, history):
    story = Churn(plan)
    await story.cluster.settle()
    for (name, *arguments), befalls in history:
        before = cards(story.cluster)
        getattr(story, name)(*arguments)
        if befalls is not None and befalls[0] == "controller":
            await die(story, befalls[1], before)
            continue
        story.befall(befalls)
        await story.cluster.follow()
    check_arrivals(story.cluster)
    check_guests(story.cluster)
    check_wire(story.cluster)


async def die(story, after, known):
    """The controller dies while it tells of a change: some hosts know of it, the others do not. It comes back on its
    store and tells everybody all. In between packets may be lost; nobody gets another's."""
    await story.cluster.follow(dies_after=after)
    check_guests(story.cluster, known)
    await story.cluster.settle()


protocols = st.sampled_from(("", "", "VXLAN", "NVGRE", "Rewrite"))
every_kind = st.builds(
    lambda plan, kinds, lans: plan._replace(kinds=kinds, lans=lans),
    plans,
    st.tuples(protocols, protocols).filter(lambda both: both != ("Rewrite", "Rewrite")),
    st.sampled_from(((), (20,), (30, 0), (20, 30))),
)
churn = st.one_of(
    change,
    st.tuples(st.just("create"), st.integers(0, 7)),
    st.tuples(st.just("renew"), st.integers(0, 7), st.integers(11, 14)),
)
accidents = st.one_of(accident, st.tuples(st.just("controller"), st.integers(0, len(HOSTS) - 1)))


@bounded
@given(every_kind, st.lists(st.tuples(churn, accidents), max_size=10))
@example(FULL, [])
@example(FULL._replace(kinds=("Rewrite", "VXLAN"), lans=(20, 0)), [])
@example(FULL._replace(kinds=("NVGRE", "Rewrite"), lans=(30, 20)), [(("move", 0, "h3", "preparing"), None)])
@example(
    FULL,
    [(("delete", 1), None), (("power", 0, "Off"), None), (("renew", 0, 12), ("switch", "h1")), (("create", 1), None)],
)
@example(
    FULL,
    [(("delete", 1), ("controller", 1)), (("move", 0, "h3", "preparing"), ("controller", 0)), (("create", 1), None)],
)
def test_no_tenant_and_no_wire_gets_through(plan, history):
    asyncio.run(check(plan, history))
