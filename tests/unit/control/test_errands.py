"""Errands against model hosts: many at once, hosts that are slow or away, a store that fails."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.control import ANN, FailingStore, HandClock, deliver, fabric_commands, interface, machine, open_in
from tests.cluster.feed_agent import FeedAgent
from tests.cluster.host_agent import Rack
from tests.unit.control.machines import quick
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import Batch, Failover, SetPower
from weft.core.copy_commands import Restore, TakeCheckpoint
from weft.model.errors import Conflict, NotReady, WaitTimedOut

__all__ = ["quick"]

EACH = 10


async def filled(controller: Controller, hosts: int, each: int) -> list[str]:
    """Machines m0 ... on hosts in turn, each running."""
    names = [f"m{at}" for at in range(hosts * each)]
    commands = [
        *fabric_commands(hosts),
        *(interface(f"{name}-eth0", "/virtualNetworks/blue/subnets/db") for name in names),
    ]
    await controller.submit(Batch(tuple(commands)), ANN)
    made = [machine(name, f"host{1 + at % hosts}", f"{name}-eth0", power="Running") for at, name in enumerate(names)]
    await controller.submit(Batch(tuple(made)), ANN)
    return names


def errand(controller: Controller, name: str):
    return controller.state.get("virtualMachines", name).properties.errand


def phases(controller: Controller, names: list[str]) -> list[str]:
    return [found.phase if (found := errand(controller, name)) is not None else "" for name in names]


async def test_a_thousand_rollbacks_on_a_hundred_hosts(tmp_path: Path) -> None:
    controller = open_in(tmp_path)
    names = await filled(controller, 100, EACH)
    async with controller.running(), Rack(*(f"host{n}" for n in range(1, 101)), hypervisor="fake") as rack:
        for at, host in enumerate(rack.hosts.values()):
            host.keep(*names[at::100])
        rack.connect(controller.publisher)
        errands = controller.machines.errands
        await soon(lambda: all(host.machines for host in rack.hosts.values()))
        await soon(lambda: all(errands.reaches(name) for name in names[:100]))
        taken = Batch(tuple(errands.on_host(TakeCheckpoint(name, "logon")) for name in names))
        await controller.submit(taken, ANN)
        async with asyncio.timeout(200):
            while any(phases(controller, names)):
                await asyncio.sleep(0.02)
        rack.hosts["host7"].refuses = "no such file"
        revision = controller.state.revision
        back = Batch(tuple(errands.on_host(Restore(name, "logon")) for name in names))
        await controller.submit(back, ANN)
        assert controller.state.revision == revision + 1
        assert len({errand(controller, name).number for name in names}) == len(names)
        async with asyncio.timeout(200):
            while "asked" in phases(controller, names):
                await asyncio.sleep(0.02)
        failed = [name for name, phase in zip(names, phases(controller, names), strict=True) if phase == "failed"]
        assert failed == names[6::100]
        # what held the addresses on the way has gone with the errands
        await soon(lambda: len(list(controller.state.all("checkpoints"))) == len(names))
        assert {controller.state.get("virtualMachines", name).properties.power_state for name in names} == {"Running"}
    controller.close()


@pytest.fixture
async def controller(tmp_path: Path):
    opened = open_in(tmp_path, HandClock())
    await filled(opened, 2, 1)
    async with opened.running():
        yield opened
    opened.close()


@pytest.fixture
async def rack(controller: Controller):
    async with Rack("host1", "host2", hypervisor="fake") as made:
        for number in (0, 1):
            made.hosts[f"host{number + 1}"].keep(f"m{number}")
        made.connect(controller.publisher)
        await soon(lambda: controller.publisher.session("host1").facts_heard)
        await soon(lambda: all(controller.machines.errands.reaches(name) for name in ("m0", "m1")))
        yield made


async def test_a_host_that_takes_long_goes_on(controller: Controller, rack: Rack) -> None:
    rack.hosts["host1"].at_a_time = 0
    errands, take = controller.machines.errands, TakeCheckpoint("m0", "c")
    with pytest.raises(WaitTimedOut, match="still at it"):
        await errands.carry_out("m0", errands.on_host(take), ANN, timeout=0.5)
    with pytest.raises(Conflict, match="checkpoint c"):
        await controller.submit(SetPower("m0", "Off"), ANN)
    rack.hosts["host1"].at_a_time = 1
    await soon(lambda: errand(controller, "m0") is None)
    (checkpoint,) = controller.state.owned("checkpoints", "m0")
    assert checkpoint.properties.hypervisor_id == rack.hosts["host1"].states["m0"].checkpoints[0].id


async def test_a_host_that_is_away_is_not_asked(controller: Controller, rack: Rack) -> None:
    await rack.hosts["host1"].disconnect()
    with pytest.raises(NotReady, match="not connected"):
        controller.machines.errands.on_host(TakeCheckpoint("m0", "c"))


async def test_a_host_whose_hypervisor_is_silent_is_not_passed_over(controller: Controller, rack: Rack) -> None:
    errands = controller.machines.errands
    await errands.carry_out("m0", errands.on_host(TakeCheckpoint("m0", "c")), ANN)
    rack.hosts["host1"].silent = True
    session = controller.publisher.session("host1")
    await soon(lambda: session.facts.hypervisor is None)
    for command in (TakeCheckpoint("m0", "d"), Restore("m0", "c")):
        with pytest.raises(NotReady, match="host1.*does not answer"):
            errands.on_host(command)


async def test_an_agent_that_has_said_nothing_yet_is_not_passed_over(controller: Controller) -> None:
    agent = FeedAgent("host1", "fake")
    agent.connect(controller.publisher)
    await deliver(agent)
    with pytest.raises(NotReady, match="host1.*has not said"):
        controller.machines.errands.on_host(TakeCheckpoint("m0", "c"))
    await agent.disconnect()


async def test_one_restore_follows_another_at_once(controller: Controller, rack: Rack) -> None:
    errands = controller.machines.errands
    await errands.carry_out("m0", errands.on_host(TakeCheckpoint("m0", "c")), ANN)
    for _ in range(5):
        await errands.carry_out("m0", errands.on_host(Restore("m0", "c")), ANN)
    await soon(lambda: len(controller.state.owned("checkpoints", "m0")) == 1)


async def test_an_errand_ends_with_a_dead_host_and_holds_nothing(controller: Controller, rack: Rack) -> None:
    errands = controller.machines.errands
    await errands.carry_out("m0", errands.on_host(TakeCheckpoint("m0", "c")), ANN)
    rack.hosts["host1"].at_a_time = 0
    waiting = asyncio.create_task(errands.carry_out("m0", errands.on_host(Restore("m0", "c")), ANN))
    await soon(lambda: errand(controller, "m0") is not None)
    await rack.hosts["host1"].disconnect()
    await controller.submit(Failover("m0", "host2"), ANN)
    await waiting
    await soon(lambda: len(controller.state.owned("checkpoints", "m0")) == 1)


async def test_a_store_that_fails_is_tried_again(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.errands.AGAIN_S", 0.02)
    rack.hosts["host1"].at_a_time = 0
    errands = controller.machines.errands
    waiting = asyncio.create_task(errands.carry_out("m0", errands.on_host(TakeCheckpoint("m0", "c")), ANN))
    await soon(lambda: errand(controller, "m0") is not None)
    store = FailingStore(controller.writer._store)
    controller.writer._store = store
    store.fails = True
    rack.hosts["host1"].at_a_time = 1
    await soon(lambda: controller.writer.failure != "")
    assert errand(controller, "m0").phase == "asked"
    store.fails = False
    await waiting
    assert errand(controller, "m0") is None
