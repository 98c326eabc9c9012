"""What is done to machines that run beside a lawful user of their address."""

import asyncio

from tests.unit.agent.worlds import machine, world
from weft.agent.hypervisors import Disconnect, HypervisorFailure, Reconnect, Stop
from weft.agent.isolation import isolating
from weft.agent.machines import host_verbs, known, names, verb_for
from weft.agent.verbs import Verbs
from weft.model.hypervisor import AdapterState, MachineState

PLUGGED = (AdapterState(7, switch="br-int"),)


def test_only_what_was_ordered_and_runs_is_stopped_or_taken_off_the_network():
    told = (
        MachineState("", "Running", id="s1", adapters=PLUGGED),
        MachineState("", "Running", id="s2", adapters=PLUGGED),
        MachineState("", "Running", id="s3", adapters=(AdapterState(7),)),
        MachineState("", "Off", id="s4", adapters=PLUGGED),
        MachineState("web1", "Running", id="o1", adapters=PLUGGED),
        MachineState("web2", "Running", id="o2", adapters=PLUGGED),
    )
    orders = dict.fromkeys(("s1", "s4", "o1"), "stop") | {"s3": "disconnect", "o2": "disconnect"}
    found = isolating(told, {"o1": "web1", "o2": "web2"}, orders)
    assert found == {":s1": Stop("", "s1"), "web1": Stop("web1", "o1"), "web2": Disconnect("o2")}


def test_what_was_isolated_comes_back_when_it_is_said_and_nothing_else():
    told = (
        MachineState("", "Running", id="s1", adapters=(AdapterState(7),), isolated=True),
        MachineState("", "Running", id="s2", adapters=(AdapterState(7),)),
        MachineState("web1", "Off", id="o1", adapters=(AdapterState(7),), isolated=True),
        MachineState("", "Running", id="s3", adapters=(AdapterState(7),), isolated=True),
    )
    found = isolating(told, {"o1": "web1"}, dict.fromkeys(("s1", "s2", "o1"), "reconnect") | {"s3": "disconnect"})
    assert found == {":s1": Reconnect("s1"), "web1": Reconnect("o1")}


def test_an_order_goes_before_what_another_hand_did():
    order = Stop("blue1", "id")
    given = world(machine("Off"), "Running", by_hand={"blue1"}, isolating={"blue1": order, ":s1": Stop("", "s1")})
    assert (verb_for("blue1", given), host_verbs(given)) == (order, {":s1": Stop("", "s1")})
    assert (names(given), known(given)) == (["blue1"], ["blue1"])


async def test_a_strangers_machine_that_cannot_be_stopped_is_a_problem_of_the_host():
    class Refusing:
        async def carry_out(self, verb):
            raise HypervisorFailure("host1: Stop of the host: Stop-VM: access is denied")

    ended = asyncio.Event()
    verbs, given = Verbs(Refusing(), ended.set), world(isolating={":s1": Stop("", "s1")}, in_sync=False)
    verbs.consider(given)
    await ended.wait()
    assert [one.message for one in verbs.problems(given)] == ["host1: Stop of the host: Stop-VM: access is denied"]
