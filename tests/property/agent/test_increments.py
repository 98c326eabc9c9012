"""After any history the flow table equals one built afresh, and the switch ends up with exactly that."""

import asyncio

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.unit.agent.policies import HOSTS, access_list
from weft.agent.flows.fields import FIELD_ORDER
from weft.agent.reconcile import Reconciler
from weft.agent.switch import SwitchFacts, SwitchPort, Tunnel
from weft.fakes.network import ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.hypervisor import MachineState
from weft.model.records import (
    CustomerRoute,
    LookupRecord,
    Machine,
    NetworkSettings,
    PortAccess,
    PortBinding,
    ProviderAddress,
    SubnetRecord,
    TunnelEndpoint,
)
from weft.model.values import pack_ip

OWN = HOSTS["host1"]
ADDRESSES = [pack_ip(text) for text in ("192.168.1.10", "192.168.2.20", "192.168.2.21", "2001:db8::1")]
rdids = st.sampled_from([50, 60, 60])
vsids = st.sampled_from([5001, 6001, 6001])
macs = st.integers(1, 4)
prefixes = st.sampled_from([(pack_ip("10.1.1.0"), 24), (pack_ip("10.1.0.0"), 16), (pack_ip("fd00:1::"), 64)])
customers = st.sampled_from([pack_ip(text) for text in ("10.1.1.2", "10.1.1.3", "10.1.1.4", "fd00:1::2", "fd00:1::3")])
hosts = st.sampled_from(ADDRESSES)
hops = st.sampled_from(["0.0.0.0", "10.1.1.2"])
instances = st.sampled_from(["a", "b", "c"])
numbers = st.sampled_from([7, 8])
RULES = (
    "100 in allow TCP 10.1.1.0/24 * * 80-90",
    "100 in deny All * * * *",
    "110 out deny All * 1-7 INTERNET *",
    "120 out allow ICMPv6 * * VIRTUALNETWORK *",
    "130 in allow UDP VIRTUALNETWORK 53 * *",
)
powers = st.sampled_from(["Running", "Off", "Incoming"])


@st.composite
def network_records(draw):
    kind = draw(st.integers(0, 5))
    if kind == 0:
        scope = draw(st.lists(prefixes, max_size=2, unique=True))
        return NetworkSettings(draw(rdids), draw(st.sampled_from(["nvgre", "vxlan"])), "net", scope=tuple(scope))
    if kind == 1:
        return TunnelEndpoint(draw(hosts))
    prefix, length = draw(prefixes)
    if kind == 2:
        vsid = draw(vsids)
        # prefixes of a routing domain do not overlap, so two of its subnets never have one gateway address
        gateway = prefix[:-1] + (b"\1" if vsid == 6001 else bytes([vsid % 251]))
        return SubnetRecord(vsid, prefix, length, gateway)
    if kind == 3:
        hop = pack_ip(draw(hops)) if len(prefix) == 4 else bytes(16)
        return CustomerRoute(draw(vsids), prefix, length, hop, draw(st.integers(1, 3)))
    return LookupRecord(draw(vsids), draw(customers), draw(macs), draw(hosts))


@st.composite
def host_records(draw):
    kind = draw(st.integers(0, 5))
    if kind == 4:
        texts = draw(st.lists(st.sampled_from(RULES), max_size=3, unique_by=lambda text: text.split()[0]))
        return access_list(draw(numbers), *texts, inbound=draw(st.booleans()))
    if kind == 5:
        lists = st.tuples(customers, st.sampled_from([0, 7, 8]), st.sampled_from([0, 8]))
        return PortAccess(draw(instances), tuple(draw(st.lists(lists, min_size=1, max_size=2))))
    if kind == 0:
        return ProviderAddress(draw(hosts), 24, b"", "provider")
    if kind == 1:
        machine = draw(instances)
        return Machine(machine, draw(powers), (machine,), "", draw(st.sampled_from(["", "host2"])))
    instance, vsid, mac = draw(instances), draw(vsids), draw(macs)
    addresses = tuple(draw(st.lists(customers, max_size=2)))
    forward = draw(st.sampled_from([b"", *ADDRESSES[1:]]))
    return PortBinding(instance, f"{instance}-eth0", draw(rdids), vsid, mac, addresses, OWN, forward)


@st.composite
def switch_facts(draw):
    numbers = draw(st.permutations(range(1, 8)))
    tunnels = draw(st.sets(st.tuples(st.sampled_from(["gre", "vxlan"]), hosts), max_size=3))
    ports = [
        SwitchPort(f"t{n}", number, tunnel=Tunnel(*one))
        for n, (one, number) in enumerate(zip(tunnels, numbers, strict=False))
    ]
    for instance in draw(st.lists(instances, max_size=3)):
        number = numbers[len(ports)]
        ports.append(SwitchPort(f"p{number}", number, instance, draw(macs), 1500))
    return SwitchFacts(tuple(ports))


machine_states = st.lists(
    st.builds(MachineState, instances, st.sampled_from(["Running", "Off"])), unique_by=lambda state: state.machine
)
changes = st.one_of(
    st.tuples(st.just("put"), rdids, network_records()),
    st.tuples(st.just("remove"), rdids, network_records()),
    st.tuples(st.just("put"), st.just(0), host_records()),
    st.tuples(st.just("remove"), st.just(0), host_records()),
    st.tuples(st.just("facts"), switch_facts()),
    st.tuples(st.just("machines"), machine_states),
    st.tuples(st.just("plan")),
)
START = [
    *(("put", 0, ProviderAddress(OWN, 24, b"", "provider")),),
    *(("put", rdid, NetworkSettings(rdid, "nvgre", "net")) for rdid in (50, 60)),
    *(("put", 60, TunnelEndpoint(host)) for host in ADDRESSES[:3]),
    *(
        ("put", 60, SubnetRecord(6001, pack_ip(text), 24, pack_ip(text)[:-1] + b"\1"))
        for text in ("10.1.1.0", "fd00:1::")
    ),
    ("put", 50, SubnetRecord(5001, pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1"))),
    ("put", 60, CustomerRoute(6001, pack_ip("10.1.1.0"), 24, bytes(4), 2)),
    *(("put", 60, LookupRecord(6001, pack_ip(f"10.1.1.{n}"), n - 1, ADDRESSES[n % 3])) for n in (2, 3, 4)),
    *(("put", 60, LookupRecord(6001, pack_ip(f"fd00:1::{n}"), n - 1, ADDRESSES[n % 3])) for n in (2, 3)),
    *(
        ("put", 0, PortBinding(name, f"{name}-eth0", 60, 6001, mac, (pack_ip(f"10.1.1.{mac + 1}"),), OWN))
        for mac, name in ((1, "a"), (2, "b"))
    ),
    ("put", 0, access_list(7, *RULES[1:])),
    ("put", 0, PortAccess("a", ((pack_ip("10.1.1.2"), 7, 8),))),
    *(("put", 0, Machine(name, "Running", (name,), "")) for name in ("a", "b")),
    (
        "facts",
        SwitchFacts(
            (
                SwitchPort("t", 1, tunnel=Tunnel("gre", OWN)),
                SwitchPort("p2", 2, "a", 1, 1458),
                SwitchPort("p3", 3, "b", 2, 1458),
            )
        ),
    ),
    ("plan",),
]
steps = st.lists(changes, min_size=1, max_size=12).map(lambda history: [*START, *history])
"""From a host that works, for from an empty one most histories never come to a flow."""


class Told:
    """What a reconciler was told last, to tell it all to another."""

    def __init__(self):
        self.records = {}
        self.facts = SwitchFacts()
        self.states = None

    def take(self, reconciler, step):
        match step:
            case "put", stream, record:
                if isinstance(record, NetworkSettings):
                    record = msgspec.structs.replace(record, rdid=stream)
                self.records[stream, record.key] = record
                reconciler.put(stream, record.key, record)
            case "remove", stream, record:
                self.records.pop((stream, record.key), None)
                reconciler.put(stream, record.key, None)
            case "facts", facts:
                self.facts = facts
                reconciler.switch_is(facts)
            case "machines", states:
                self.states = states
                reconciler.machines_are(states)
            case ("plan",):
                reconciler.plan(True)

    def afresh(self):
        reconciler = Reconciler()
        for (stream, key), record in self.records.items():
            reconciler.put(stream, key, record)
        reconciler.switch_is(self.facts)
        if self.states is not None:
            reconciler.machines_are(self.states)
        return reconciler


@settings(max_examples=examples(150, soak=3000))
@given(steps)
def test_increments_equal_a_fresh_build(history):
    told, reconciler = Told(), Reconciler()
    for step in history:
        told.take(reconciler, step)
    fresh = told.afresh()
    change, whole = reconciler.plan(True), fresh.plan(True)
    assert reconciler.table.flows == fresh.table.flows
    assert reconciler.locals == fresh.locals
    assert (change.tunnels_add, change.tunnels_remove) == (whole.tunnels_add, whole.tunnels_remove)
    for flow in fresh.table.flows.values():
        order = [FIELD_ORDER[term[0]] for term in flow.match]
        assert order == sorted(set(order)), flow
        assert all(value & ~mask == 0 for _, value, mask in flow.match), flow


@settings(max_examples=examples(150, soak=3000))
@given(steps)
def test_the_switch_ends_up_with_exactly_the_policy(history):
    async def live():
        told, reconciler = Told(), Reconciler()
        switch = FakeSwitch("host1", ProviderNetwork(), [OWN])
        for step in [*history, ("plan",)]:
            told.take(reconciler, step)
            if step == ("plan",):
                if not reconciler.knows_switch:
                    reconciler.switch_has((await switch.dump()).flows)
                change = reconciler.plan(True)
                reconciler.done(change, await switch.apply(change))
        held = {flow.key: flow for flow in switch.flows()}
        assert held == reconciler.table.flows
        again = reconciler.plan(True)
        assert (again.puts, again.removes) == ((), ())

    asyncio.run(live())
