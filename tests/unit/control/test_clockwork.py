"""What is due by the ledger's time happens, in bounded steps, and what does not come about is not tried for ever."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, FailingStore, HandClock, fill, interface, machine, open_in, put
from tests.waiting import soon
from weft.control.clockwork import inactive_ends
from weft.control.controller import Controller
from weft.core.commands import MarkMachine, Reserve
from weft.model.fabric import MacPoolProperties
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def controller(tmp_path: Path, clock: HandClock) -> Iterator[Controller]:
    opened = open_in(tmp_path, clock)
    yield opened
    opened.close()


async def tick(controller: Controller) -> None:
    async with asyncio.timeout(30):
        await controller._clockwork.tick()


def reserved(controller: Controller) -> int:
    return sum(lease.state == "reserved" for lease in controller.state.leases(MAC_SCOPE).values())


async def test_a_reservation_ends_by_itself_and_no_jump_of_the_clock_hastens_it(
    controller: Controller, clock: HandClock
) -> None:
    await fill(controller)
    until = clock.wall() + 3600
    for number in range(3):
        await controller.submit(Reserve("/macPools/p1", 100, until=until, request_id=f"r{number}"), ANN)
    assert reserved(controller) == 300
    clock.set_wall(until + 1)
    await tick(controller)
    assert reserved(controller) == 300
    clock.pass_s(3601)
    await tick(controller)
    assert reserved(controller) == 0
    assert not list(controller.state.all("reservations"))


async def test_what_inactive_machines_held_goes_back_by_their_pool_s_rule(
    controller: Controller, clock: HandClock
) -> None:
    rule = MacPoolProperties(
        start_mac_address="00-1D-D8-B7-1C-00",
        end_mac_address="00-1D-D8-B7-FF-FF",
        release_inactive_after_seconds=600,
    )
    await fill(controller, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    clock.pass_s(10)
    await controller.submit(MarkMachine("a", "deleted outside on host1"), ANN)
    assert inactive_ends(controller.state) is None
    clock.pass_s(86_400)
    await tick(controller)
    assert controller.state.get("networkInterfaces", "a-eth0") is not None
    await controller.submit(put("macPools", "p1", rule), ANN)
    mac = parse_mac(controller.state.get("networkInterfaces", "a-eth0").properties.private_mac_address)
    await tick(controller)
    assert controller.state.get("virtualMachines", "a") is None
    assert controller.state.lease(MAC_SCOPE, mac).state == "cooling"
    assert inactive_ends(controller.state) is None


async def test_what_is_due_and_does_not_come_about_is_told_and_left(
    controller: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(controller)
    controller.state.reservations_end = lambda: 0.0
    await tick(controller)
    assert "nothing came of it" in caplog.text


async def test_a_store_that_cannot_write_is_named_once(
    controller: Controller, clock: HandClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.clockwork.TICK_S", 0.005)
    await fill(controller)
    store = FailingStore(controller._store)
    controller.writer._store, store.fails = store, True
    clock.pass_s(60)

    def full() -> int:
        return caplog.text.count("The disk is full, says the test.")

    with caplog.at_level(logging.WARNING):
        async with controller.running():
            await soon(lambda: full() == 1)
            await asyncio.sleep(0.05)
            store.fails = False
            await soon(lambda: not controller.not_ready())
            store.fails = True
            clock.pass_s(60)
            await soon(lambda: full() == 2)
            await asyncio.sleep(0.05)
    assert full() == 2
