"""Start, stop and save against model hosts: what is answered is so on the hosts, what fails is taken back."""

import asyncio

import pytest

from tests.cluster.control import ANN
from tests.cluster.host_agent import Rack
from tests.unit.control.machines import controller, power, quick, rack
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import CreateMachine
from weft.model.errors import Conflict, NotFound, NotReady

__all__ = ["controller", "quick", "rack"]


async def test_start_answers_when_it_runs_and_stop_when_it_does_not(controller: Controller, rack: Rack) -> None:
    started = await controller.machines.start("A", ANN)
    assert started.properties.power_state == "Running"
    assert rack.hosts["host1"].machines == {"a": "Running"}
    stopped = await controller.machines.stop("a", ANN)
    assert stopped.properties.power_state == "Off"
    assert rack.hosts["host1"].machines.get("a", "Off") == "Off"


async def test_on_an_unmanaged_server_the_intent_is_the_fact(controller: Controller) -> None:
    assert (await controller.machines.start("a", ANN)).properties.power_state == "Running"
    moved = await controller.machines.migrate("a", "host2", ANN)
    assert moved.properties.server.resource_ref == "/servers/host2"
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is None)


async def test_a_start_that_the_hypervisor_refuses_is_taken_back(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].refuses = "no memory"
    with pytest.raises(NotReady, match="no memory"):
        await controller.machines.start("a", ANN)
    assert power(controller) == "Off"
    rack.hosts["host1"].refuses = ""
    await controller.machines.start("a", ANN)
    assert rack.hosts["host1"].machines == {"a": "Running"}


async def test_a_save_that_no_driver_can_do_is_refused_at_once(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    revision = controller.state.revision
    with pytest.raises(NotReady, match="lab.* cannot let save machines: stop 'a' instead"):
        await asyncio.wait_for(controller.machines.save("a", ANN), 30)
    assert (power(controller), controller.state.revision) == ("Running", revision)


async def test_a_stop_that_is_refused_leaves_it_running(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    rack.hosts["host1"].refuses = "it hangs"
    with pytest.raises(NotReady, match="it hangs"):
        await controller.machines.stop("a", ANN)
    assert power(controller) == "Running"


async def test_a_start_that_nothing_comes_of_times_out_and_is_taken_back(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].stuck = True
    with pytest.raises(NotReady, match="within 0.2 s"):
        await controller.machines.start("a", ANN, timeout=0.2)
    assert power(controller) == "Off"


async def test_a_start_waits_for_the_ports(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].binds_ports = False
    with pytest.raises(NotReady, match="port"):
        await controller.machines.start("a", ANN, timeout=1)
    rack.hosts["host1"].binds_ports = True
    await controller.machines.start("a", ANN)


async def test_nothing_starts_on_a_host_that_is_not_connected(controller: Controller, rack: Rack) -> None:
    await rack.hosts["host1"].disconnect()
    with pytest.raises(NotReady, match="not connected"):
        await controller.machines.start("a", ANN)
    assert power(controller) == "Off"
    with pytest.raises(NotFound):
        await controller.machines.start("nobody", ANN)


async def test_what_a_silent_hypervisor_would_have_to_do_is_refused_at_once(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    rack.hosts["host1"].silent = True
    session = controller.publisher.session("host1")
    await soon(lambda: bool(session.silence))
    with pytest.raises(NotReady, match="host1.*does not answer"):
        await controller.machines.stop("a", ANN)
    with pytest.raises(NotReady, match="host1.*does not answer"):
        await controller.machines.create(CreateMachine("made", "host1"), ANN)
    assert power(controller) == "Running"
    assert controller.state.get("virtualMachines", "made") is None


async def test_one_action_at_a_time(controller: Controller, rack: Rack) -> None:
    first, second = await asyncio.gather(
        controller.machines.start("a", ANN), controller.machines.stop("A", ANN), return_exceptions=True
    )
    assert isinstance(second, Conflict) and second.code == "AnotherOperationInProgress"
    assert first.properties.power_state == "Running"
    await controller.machines.stop("a", ANN)


async def test_an_action_goes_on_when_its_caller_has_gone(controller: Controller, rack: Rack) -> None:
    task = asyncio.create_task(controller.machines.start("a", ANN))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await soon(lambda: rack.hosts["host1"].machines == {"a": "Running"})
    assert power(controller) == "Running"
