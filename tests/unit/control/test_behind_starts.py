"""Machines that other hands start: who may run, and what becomes of a twin."""

import asyncio

import pytest

from tests.cluster.control import ANN, put
from tests.cluster.host_agent import Rack
from tests.unit.control.behind import (
    FREE,
    controller,
    found,
    holders,
    mac_of,
    p,
    quick,
    quiet,
    rack,
    run,
    tell,
)
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.copy_commands import Clone
from weft.model.fabric import ServerProperties
from weft.model.hypervisor import AdapterState, MachineState
from weft.wire.messages import Isolate, MayRun, MayRunAnswer

__all__ = ["controller", "quick", "rack"]


async def ask(host, own: str, *macs: int, comes: bool = False) -> str:
    """What the host's agent is answered when another hand starts a machine there."""
    number = len(host.words) + 1
    host.say(MayRun(number, own, own, macs, comes))
    await soon(lambda: any(isinstance(one, MayRunAnswer) and one.number == number for one in host.words))
    return next(one.refusal for one in host.words if isinstance(one, MayRunAnswer) and one.number == number)


async def test_a_start_by_another_hand_is_refused_beside_whoever_runs_with_its_address(
    controller: Controller, rack: Rack
) -> None:
    """Stories 0.c5, 2.10: prevented, and the pair is named."""
    await controller.submit(Clone("a", "b", addresses="keep", server="host2"), ANN)
    host = rack.hosts["host1"]
    assert await ask(host, "id-a", mac_of(controller)) == ""
    assert await ask(host, "stranger", FREE) == ""
    await run(controller, "b")
    assert "the running virtual machine b" in await ask(host, "id-a", mac_of(controller))
    assert "the running virtual machine b" in await ask(host, "stranger", mac_of(controller))
    rack.hosts["host2"].states["s2"] = MachineState(
        "", "Running", name="pc", adapters=(AdapterState(FREE, switch="s"),)
    )
    await soon(lambda: holders(controller, FREE))
    assert "/servers/host2/ports/pc.s2" in await ask(host, "s1", FREE)
    assert await ask(host, "s2", FREE, comes=True) == "", "it is on its way here"


async def test_a_machine_that_runs_on_another_host_starts_here_only_if_it_comes_from_there(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    host = rack.hosts["host2"]
    assert await ask(host, "id-a", mac_of(controller)) == "a runs on host1"
    assert await ask(host, "id-a", mac_of(controller), comes=True) == ""
    await rack.hosts["host1"].disconnect()
    assert await ask(host, "id-a", mac_of(controller)) == ""


@pytest.mark.parametrize("policy", ["disconnect", "stop"])
async def test_a_newcomer_beside_a_lawful_user_is_isolated_by_policy(
    controller: Controller, rack: Rack, policy: str
) -> None:
    """Story 0.c5: quarantine of the newcomer."""
    await run(controller)
    host = rack.hosts["host2"]
    twin = MachineState("", "Running", name="pc", adapters=(AdapterState(mac_of(controller), switch="s"),))
    host.states["s1"] = twin
    await soon(lambda: [kind for kind, _, _ in found(controller)] == ["foreign"])
    assert not host.words, "report is the default"
    await controller.submit(put("servers", "host2", ServerProperties(twin_policy=policy)), ANN)
    await soon(lambda: host.words[-1:] == [Isolate((("s1", policy),))])
    host.states["s1"] = MachineState("", "Off", name="pc", adapters=twin.adapters)
    await soon(lambda: host.words[-1:] == [Isolate()])
    assert p(controller).power_state == "Running"


async def test_what_was_disconnected_is_let_back_when_the_other_has_gone(controller: Controller, rack: Rack) -> None:
    await run(controller)
    host = rack.hosts["host2"]
    await controller.submit(put("servers", "host2", ServerProperties(twin_policy="disconnect")), ANN)
    adapters = (AdapterState(mac_of(controller), switch="s"),)
    host.states["s1"] = MachineState("", "Running", name="pc", adapters=adapters)
    await soon(lambda: host.words[-1:] == [Isolate((("s1", "disconnect"),))])
    pulled = (AdapterState(mac_of(controller)),)
    host.states["s1"] = MachineState("", "Running", name="pc", adapters=pulled, isolated=True)
    await quiet(controller)
    assert host.words[-1:] == [Isolate((("s1", "disconnect"),))], "its twin runs"
    assert [kind for kind, _, _ in found(controller)] == ["foreign"], "it is a conflict still"
    await controller.machines.stop("a", ANN)
    await soon(lambda: host.words[-1:] == [Isolate((("s1", "reconnect"),))])
    await quiet(controller)
    assert host.words[-1:] == [Isolate((("s1", "reconnect"),))], "until it is done"
    host.states["s1"] = MachineState("", "Running", name="pc", adapters=adapters)
    await soon(lambda: host.words[-1:] == [Isolate()])


async def test_what_a_person_disconnected_is_left(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host2"]
    await controller.submit(put("servers", "host2", ServerProperties(twin_policy="disconnect")), ANN)
    host.states["s1"] = MachineState("", "Running", name="pc", adapters=(AdapterState(mac_of(controller)),))
    await quiet(controller)
    assert not host.words


async def test_of_two_strangers_the_later_one_is_isolated(controller: Controller, rack: Rack) -> None:
    one, two = rack.hosts["host1"], rack.hosts["host2"]
    for name in ("host1", "host2"):
        await controller.submit(put("servers", name, ServerProperties(twin_policy="stop")), ANN)
    one.states["s1"] = MachineState("", "Running", name="first", adapters=(AdapterState(FREE, switch="s"),))
    await soon(lambda: holders(controller, FREE))
    two.states["s2"] = MachineState("", "Running", name="second", adapters=(AdapterState(FREE, switch="s"),))
    await soon(lambda: two.words[-1:] == [Isolate((("s2", "stop"),))])
    await quiet(controller)
    assert not one.words


async def test_stop_of_a_machine_that_another_hand_started_beside_a_twin_is_insisted_on(
    controller: Controller, rack: Rack
) -> None:
    await controller.submit(Clone("a", "b", addresses="keep", server="host2"), ANN)
    await run(controller, "b")
    host = rack.hosts["host1"]
    host.change("a", "Running")
    tell(host, adapters=(AdapterState(mac_of(controller)),))
    await soon(lambda: found(controller))
    await controller.machines.stop("a", ANN)
    assert host.machines["a"] == "Off"
    await soon(lambda: not found(controller))


async def test_an_agent_that_does_not_understand_it_is_told_nothing(controller: Controller, rack: Rack) -> None:
    await run(controller)
    host = rack.hosts["host2"]
    await host.disconnect()
    host.abilities = ()
    host.connect(controller.publisher)
    await controller.submit(put("servers", "host2", ServerProperties(twin_policy="stop")), ANN)
    host.states["s1"] = MachineState("", "Running", adapters=(AdapterState(mac_of(controller), switch="s"),))
    await soon(lambda: [kind for kind, _, _ in found(controller)] == ["foreign"])
    await quiet(controller)
    assert host.words == []


async def test_a_machine_that_an_action_is_at_is_left_until_that_has_ended(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    host.stuck = True
    starting = asyncio.create_task(controller.machines.start("a", ANN, timeout=1.5))
    await soon(lambda: p(controller).power_state == "Running")
    host.change("a", "Saved")
    await quiet(controller)
    assert p(controller).power_state == "Running" and not starting.done()
    await asyncio.gather(starting, return_exceptions=True)
    await soon(lambda: p(controller).power_state == "Saved")
