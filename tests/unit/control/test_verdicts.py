"""Which words of a host count as an answer to an intent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, deliver, fill, interface, machine, open_in, settle
from tests.cluster.feed_agent import FeedAgent
from weft.control.controller import Controller
from weft.control.verdicts import Expectation
from weft.core.commands import SetPower
from weft.model.hypervisor import HypervisorState, MachineState
from weft.wire.messages import HOST_UNREACHABLE, Facts, MachineFact, Problem


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await fill(opened, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    yield opened
    opened.close()


def refused(words: str) -> Facts:
    return Facts((MachineFact("a", "Off", 0, words),))


async def test_a_failure_from_before_the_ack_is_not_about_what_was_asked_now(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.verdicts.LATE_FACTS_S", 30.0)
    agent = FeedAgent("host1", "lab")
    agent.connect(controller.publisher)
    await deliver(agent)
    submitted = await controller.submit(SetPower("a", "Running"), ANN)
    expected = Expectation(controller.publisher, "host1", submitted.revision)
    asked = controller.state.get("virtualMachines", "a")
    agent.say(refused("of an earlier try"))
    await deliver(agent)
    verdict = expected.power(asked, "Running")
    assert (verdict.settled, verdict.failure) == (False, "")
    assert "it is Off" in verdict.waiting_for
    agent.say(refused("of this one"))
    await settle()
    assert expected.power(asked, "Running").failure == "of this one"
    await agent.disconnect()


async def test_a_failure_from_before_the_ack_counts_when_nothing_better_comes(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.verdicts.LATE_FACTS_S", -1.0)
    agent = FeedAgent("host1", "lab")
    agent.connect(controller.publisher)
    await deliver(agent)
    submitted = await controller.submit(SetPower("a", "Running"), ANN)
    expected = Expectation(controller.publisher, "host1", submitted.revision)
    agent.say(refused("it has no memory"))
    await deliver(agent)
    assert expected.power(controller.state.get("virtualMachines", "a"), "Running").failure == "it has no memory"
    await agent.disconnect()


async def test_what_keeps_a_host_from_its_policy_is_said_with_what_is_waited_for(controller: Controller) -> None:
    agent = FeedAgent("host1", "hyperv")
    agent.connect(controller.publisher)
    await deliver(agent)
    submitted = await controller.submit(SetPower("a", "Running"), ANN)
    expected = Expectation(controller.publisher, "host1", submitted.revision)
    asked = controller.state.get("virtualMachines", "a")
    assert expected.power(asked, "Running").waiting_for == f"host1 to apply revision {submitted.revision}"
    of_a_port = Problem("PortBlocked", "a-eth0: closed", "i1")
    agent.say(Facts(problems=(of_a_port, Problem("PolicyConfigurationFailure", "New-VM: access is denied"))))
    await settle()
    said = expected.power(asked, "Running").waiting_for
    assert said == f"host1 to apply revision {submitted.revision} (New-VM: access is denied)"
    await agent.disconnect()


async def test_a_hypervisor_that_awaits_the_machine_needs_no_port_for_it_beforehand(controller: Controller) -> None:
    agent = FeedAgent("host1", "libvirt")
    agent.connect(controller.publisher)
    await deliver(agent)
    submitted = await controller.submit(SetPower("a", "Running"), ANN)
    expected = Expectation(controller.publisher, "host1", submitted.revision)
    asked = controller.state.get("virtualMachines", "a")
    for state, settled in (
        (MachineState("a", "Off"), False),
        (MachineState("b", "Off", id="id-b", awaited=True), False),
        (MachineState("a", "Off", awaited=True), True),
    ):
        agent.say(Facts((MachineFact("a", "Off", 0),), hypervisor=HypervisorState((state,))))
        await deliver(agent)
        assert expected.awaits(asked).settled is settled, state
    assert "port" in expected.ports(asked).waiting_for
    await agent.disconnect()


async def test_of_a_hypervisor_that_does_not_answer_its_agent_nothing_is_concluded(controller: Controller) -> None:
    agent = FeedAgent("host1", "libvirt")
    agent.connect(controller.publisher)
    await deliver(agent)
    submitted = await controller.submit(SetPower("a", "Running"), ANN)
    expected = Expectation(controller.publisher, "host1", submitted.revision)
    asked = controller.state.get("virtualMachines", "a")
    silent = Problem(HOST_UNREACHABLE, "the hypervisor does not answer: no socket")
    agent.say(Facts((MachineFact("a", "Running"),), problems=(silent,)))
    await deliver(agent)
    # what it had is told as it last was: the machine may have moved, run or stopped since
    for verdict in (expected.absent(asked), expected.stays(asked), expected.power(asked, "Running")):
        assert (verdict.settled, verdict.failure) == (False, "")
        assert verdict.waiting_for == "the hypervisor of host1 (the hypervisor does not answer: no socket)"
    agent.say(Facts((MachineFact("a", "Running"),), hypervisor=HypervisorState((MachineState("a", "Running"),))))
    await deliver(agent)
    assert expected.stays(asked).settled
    await agent.disconnect()
