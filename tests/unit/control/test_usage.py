"""How full pools are: the warning when one crosses its share, and the days until it is full, by the ledger's time."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, HandClock, fabric_commands, interface, open_in, put
from weft.control.controller import Controller
from weft.core.commands import Batch, Delete, Reserve
from weft.core.commands import Path as Name
from weft.model.fabric import AddressPlanProperties, ExcludedRange, MacPoolProperties, ServerProperties
from weft.model.resources import Ref

POOL = "/macpools/p1"
LAST = "00-1D-D8-B7-1C-63"
"""Of a pool of one hundred."""


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def controller(tmp_path: Path, clock: HandClock) -> Iterator[Controller]:
    opened = open_in(tmp_path, clock)
    yield opened
    opened.close()


async def fill(controller: Controller, *more: object) -> None:
    for command in (*fabric_commands(last_mac=LAST), *more):
        await controller.submit(command, ANN)


async def grant(controller: Controller, first: int, last: int) -> None:
    await controller.submit(Batch(tuple(interface(f"n{n}") for n in range(first, last + 1))), ANN)


async def tick(controller: Controller) -> None:
    await controller._clockwork.tick()


def pool(**properties: object) -> object:
    return put(
        "macPools",
        "p1",
        MacPoolProperties(start_mac_address="00-1D-D8-B7-1C-00", end_mac_address=LAST, **properties),
    )


async def told(controller: Controller, after: int) -> list[tuple[str, bool, int, int]]:
    found = []
    commits = controller.subscribe(controller.generation, after)
    while after < controller.state.revision:
        commit = await anext(commits)
        after = commit.revision
        found += [(one.pool, one.warning, one.used, one.capacity) for one in commit.warnings]
    await commits.aclose()
    return found


async def test_a_pool_that_crosses_its_share_is_told_once_each_way(
    controller: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(controller)
    before = controller.state.revision
    with caplog.at_level(logging.INFO):
        await grant(controller, 1, 79)
        assert POOL not in controller.warned_pools()
        await grant(controller, 80, 80)
        await grant(controller, 81, 85)
    assert POOL in controller.warned_pools()
    assert [record.levelname for record in caplog.records if "80.0 %" in record.getMessage()] == ["WARNING"]
    assert [one for one in await told(controller, before) if one[0] == "/macPools/p1"] == [
        ("/macPools/p1", True, 80, 100)
    ]
    before = controller.state.revision
    await controller.submit(pool(warn_at_percent=90), ANN)
    assert POOL not in controller.warned_pools()
    await controller.submit(pool(warn_at_percent=0), ANN)
    await controller.submit(pool(excluded=(ExcludedRange("00-1D-D8-B7-1C-60", LAST, "old"),)), ANN)
    assert await told(controller, before) == [("/macPools/p1", False, 85, 100), ("/macPools/p1", True, 89, 100)]


async def test_after_a_restart_what_was_warned_of_is_known(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    await fill(first)
    await grant(first, 1, 90)
    first.close()
    second = open_in(tmp_path)
    assert POOL in second.warned_pools()
    before = second.state.revision
    await grant(second, 91, 92)
    assert await told(second, before) == []
    second.close()


async def test_days_to_exhaustion_follow_from_the_rate_of_late(controller: Controller, clock: HandClock) -> None:
    await fill(controller)
    await grant(controller, 1, 10)
    assert controller.usage_trend(POOL) is None, "nobody knows yet how fast"
    clock.pass_s(86_400)
    # ten a day, ninety left
    assert controller.usage_trend(POOL) == pytest.approx(9.0)
    clock.set_wall(1e9)
    assert controller.usage_trend(POOL) == pytest.approx(9.0), "the wall clock bends no forecast"
    assert controller.usage_trend("/macpools/none") is None
    await controller.submit(Batch(tuple(Delete(Name("networkInterfaces", f"n{n}")) for n in range(1, 11))), ANN)
    clock.pass_s(3700)
    await tick(controller)
    assert controller.usage_trend(POOL) is None, "it does not fill"


async def test_a_pool_that_nobody_asks_of_never_fills(controller: Controller, clock: HandClock) -> None:
    await fill(controller)
    clock.pass_s(86_400)
    assert controller.usage_trend(POOL) is None


async def test_the_rate_outlives_the_controller_and_old_growth_does_not_count(tmp_path: Path, clock: HandClock) -> None:
    first = open_in(tmp_path, clock)
    await fill(first)
    await grant(first, 1, 50)
    clock.pass_s(3600)
    await tick(first)
    for day in range(10):
        clock.pass_s(86_400)
        await grant(first, 51 + day, 51 + day)
        await tick(first)
    first.close()
    second = open_in(tmp_path, clock)
    # the fifty of the first hour are more than a week ago: one a day, forty left
    assert second.usage_trend(POOL) == pytest.approx(40.0, rel=0.2)
    second.close()


async def test_a_week_counts_however_long_ago_the_last_sample_is(controller: Controller, clock: HandClock) -> None:
    await fill(controller)
    await grant(controller, 1, 50)
    clock.pass_s(3700)
    await tick(controller)
    clock.pass_s(20 * 86_400)
    await grant(controller, 51, 57)
    # seven in seven days, 43 left
    assert controller.usage_trend(POOL) == pytest.approx(43.0)


async def test_a_pool_made_again_begins_anew(controller: Controller, clock: HandClock) -> None:
    await fill(controller)
    await grant(controller, 1, 50)
    clock.pass_s(3700)
    await tick(controller)
    await controller.submit(Batch(tuple(Delete(Name("networkInterfaces", f"n{n}")) for n in range(1, 51))), ANN)
    clock.pass_s(4000)
    await tick(controller)
    await controller.submit(Delete(Name("macPools", "p1")), ANN)
    await controller.submit(pool(), ANN)
    clock.pass_s(86_400)
    await grant(controller, 1, 10)
    assert controller.usage_trend(POOL) == pytest.approx(9.0)
    await tick(controller)
    clock.pass_s(86_400)
    await grant(controller, 11, 20)
    await tick(controller)
    assert controller.usage_trend(POOL) == pytest.approx(8.0)


async def test_only_pools_that_changed_are_sampled_and_hourly(controller: Controller, clock: HandClock) -> None:
    async def rows() -> int:
        return controller._store._connection.execute("SELECT count(*) FROM samples WHERE pool = ?", (POOL,)).fetchone()[
            0
        ]

    await fill(controller)
    await grant(controller, 1, 5)
    await tick(controller)
    assert await rows() == 0
    for _ in range(3):
        clock.pass_s(3700)
        await tick(controller)
    assert await rows() == 1
    await asyncio.sleep(0)


async def test_a_hosts_range_is_told_of_and_forgotten_with_it(controller: Controller) -> None:
    plan = AddressPlanProperties(prefix="00-15-5D-00", interface_digits=1, warn_at_percent=50)
    ref = Ref(resource_ref="/weft/addressPlans/hv")
    host = put("servers", "hv1", ServerProperties(address_plan=ref))
    await controller.submit(put("addressPlans", "hv", plan), ANN)
    await controller.submit(host, ANN)
    before = controller.state.revision
    await controller.submit(Reserve("/servers/hv1/macRange", 8, request_id="r1"), ANN)
    assert controller.warned_pools() == {"/servers/hv1/macrange"}
    assert await told(controller, before) == [("/servers/hv1/macRange", True, 8, 16)]
    await controller.submit(put("servers", "hv1", ServerProperties()), ANN)
    assert controller.warned_pools() == set()
