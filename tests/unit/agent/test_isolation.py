"""What is done to machines that run beside a lawful user of their address."""

from weft.agent.hypervisors import Disconnect, Stop
from weft.agent.isolation import isolating
from weft.agent.machines import known, names, verb_for
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
    assert found == {"~s1": Stop("", "s1"), "web1": Stop("web1", "o1"), "web2": Disconnect("o2")}


def test_an_order_goes_before_what_another_hand_did():
    from tests.unit.agent.test_machines import machine, world

    order = Stop("blue1", "id")
    given = world(machine("Off"), "Running", by_hand={"blue1"}, isolating={"blue1": order, "~s1": Stop("", "s1")})
    assert (verb_for("blue1", given), verb_for("~s1", given)) == (order, Stop("", "s1"))
    assert (names(given), known(given)) == (["blue1", "~s1"], ["blue1"])
