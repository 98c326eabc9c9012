"""The hosts follow increments to where a fresh agent with the whole would be, whatever dies on the way."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cluster.clusters import HOSTS, build, plans
from tests.cluster.harness import Cluster, Host
from tests.cluster.test_packets import FULL, check_pings
from tests.conftest import examples
from weft.agent.flows.fields import Table
from weft.core import policy
from weft.wire.messages import HOST_STREAM

bounded = settings(max_examples=examples(15, soak=300))

pick = st.sampled_from
which = st.integers(0, 7)
change = st.one_of(
    st.tuples(st.just("power"), which, pick(("Off", "Running", "Saved"))),
    st.tuples(st.just("move"), which, pick(HOSTS), pick(("preparing", "switching", "switched", "done", "failed"))),
    st.tuples(st.just("delete"), which),
    st.tuples(st.just("protocol"), pick(("NVGRE", "VXLAN"))),
    st.tuples(st.just("address"), which, st.integers(20, 22)),
    st.tuples(st.just("readdress"), pick(HOSTS), st.integers(50, 51)),
)
accident = st.one_of(
    st.none(),
    st.tuples(st.just("dies"), pick(HOSTS), st.integers(0, 4)),
    st.tuples(st.just("agent"), pick(HOSTS)),
    st.tuples(st.just("switch"), pick(HOSTS)),
)


class Story:
    """Changes of a cluster's world, each in a form that decide would let pass."""

    def __init__(self, plan):
        self.plan, self.world = plan, build(plan)
        self.cluster = Cluster(self.world)
        self.names = [vm.name for vm in plan.vms]

    def _machine(self, which):
        name = self.names[which % len(self.names)]
        return name, self.world.state.get("virtualMachines", name)

    def power(self, which, power):
        name, machine = self._machine(which)
        if machine is not None and machine.properties.move is None:
            self.world.power(name, power)

    def move(self, which, destination, phase):
        """The next phase of a move, in order; a new one begins with `preparing`."""
        name, machine = self._machine(which)
        if machine is None or machine.properties.power_state != "Running":
            return
        move = machine.properties.move
        if move is None:
            if phase == "preparing" and not machine.properties.server.resource_ref.endswith(f"/{destination}"):
                self.world.move(name, destination, phase)
        elif phase == "failed":
            if move.phase != "switched":
                self.world.move(name, move.destination, phase)
        else:
            after = {"preparing": "switching", "switching": "switched", "switched": "done"}[move.phase]
            self.world.move(name, move.destination, after)

    def delete(self, which):
        name, machine = self._machine(which)
        if machine is not None and machine.properties.move is None:
            self.world.delete("virtualMachines", name)
            self.world.drop_interface(f"{name}-eth0")

    def protocol(self, name):
        self.world.protocol(name)

    def address(self, which, number):
        """Another address for the interface of a machine that is off."""
        name, machine = self._machine(which)
        vm = self.plan.vms[which % len(self.names)]
        if machine is not None and machine.properties.power_state == "Off":
            ref, text = f"/virtualNetworks/{vm.tenant}/subnets/{vm.subnet}", vm._replace(number=number).address(4)
            holders = self.world.state.interfaces_in(ref)
            if not any(text == one.properties.ip_configurations[0].properties.private_ip_address for one in holders):
                self.world.interface(f"{name}-eth0", vm.mac, (ref, text))

    def readdress(self, host, number):
        """The server gets another provider address; the network brings it to the same host."""
        address = f"192.168.1.{number + 10 * HOSTS.index(host)}"
        self.world.server(host, address)
        self.cluster.center.readdress(host, [address])

    def befall(self, accident):
        if accident is None:
            return
        name, host, *steps = accident
        if name == "dies":
            self.cluster.center.switches[host].faults.die_after = steps[0]
        elif name == "agent":
            self.cluster.hosts[host].restart()
        else:
            self.cluster.center.switches[host].restart()
            self.cluster.hosts[host].reconciler.switch_lost()


async def fresh(cluster, name):
    """The flows of an agent that starts now, with the whole of its streams."""
    host = Host(cluster.center, name)
    host.tell_whole(HOST_STREAM, policy.host_stream(cluster.world.state, name))
    for rdid in host.needed():
        host.tell_whole(rdid, policy.network_stream(cluster.world.state, rdid))
    await host.plan()
    return host.reconciler.table.flows


async def check(plan, history):
    story = Story(plan)
    await story.cluster.settle()
    for (name, *arguments), accident in history:
        getattr(story, name)(*arguments)
        story.befall(accident)
        await story.cluster.follow()
        for host in story.cluster.hosts.values():
            assert not await host.plan(), "a second plan is empty"
            installed = {flow.key: flow for flow in host.switch.flows()}
            assert installed == await fresh(story.cluster, host.name), f"{host.name} after {name}"
    return story.cluster


@bounded
@given(plans, st.lists(st.tuples(change, accident), max_size=8))
def test_increments_and_accidents_lead_where_the_whole_would(plan, history):
    asyncio.run(check(plan, history))


async def test_a_machine_that_is_deleted_leaves_no_trace_on_any_host():
    story = Story(FULL)
    await story.cluster.settle()
    before = {name: set(switch.flows()) for name, switch in story.cluster.center.switches.items()}
    story.world.interface("new-eth0", 0x020000000099, ("/virtualNetworks/blue/subnets/web", "10.1.1.99"))
    story.world.machine("new", "h1", ["new-eth0"], "Running")
    await story.cluster.follow()
    assert story.cluster.center.ping("blue12", "10.1.1.99").received
    story.world.delete("virtualMachines", "new")
    story.world.drop_interface("new-eth0")
    await story.cluster.follow()
    assert {name: set(switch.flows()) for name, switch in story.cluster.center.switches.items()} == before
    assert "new" not in story.cluster.center.guests


async def test_an_agent_that_starts_without_memory_or_controller_sweeps_nothing():
    cluster = Cluster(build(FULL))
    await cluster.settle()
    before = {name: set(switch.flows()) for name, switch in cluster.center.switches.items()}
    for host in cluster.hosts.values():
        host.streams.clear()
        host.restart()
        host.in_sync = False
    await cluster.rest()
    assert {name: set(switch.flows()) for name, switch in cluster.center.switches.items()} == before
    check_pings(cluster, FULL)


async def test_a_switch_that_was_restarted_gets_all_back():
    cluster = Cluster(build(FULL))
    await cluster.settle()
    for name, switch in cluster.center.switches.items():
        switch.restart()
        cluster.hosts[name].reconciler.switch_lost()
    assert not cluster.center.ping("blue11", "10.1.1.12").received
    await cluster.rest()
    check_pings(cluster, FULL)


async def test_what_another_hand_changed_is_put_right_and_named():
    cluster = Cluster(build(FULL))
    await cluster.settle()
    host = cluster.hosts["h1"]
    taken = next(flow for flow in host.switch.flows() if flow.table == Table.OUTPUT and flow.priority)
    host.switch.take_flow(taken.key)
    seen = await host.switch.dump()
    (said,) = host.reconciler.switch_has(seen.flows, seen.meters)
    assert said.startswith("flow was gone: ")
    await cluster.rest()
    assert taken in host.switch.flows()
