"""Source 002 on fake Hyper-V hosts: pooled desktops of Remote Desktop Services, made, moved, restarted and rolled back
by it alone, with Weft's agents beside. Nothing is told to Weft but which servers' desktops are to be taken in.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stories.hyperv_desk import HyperVDesk, opened
from weft.model.values import Mac, mac_digits


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)
    monkeypatch.setattr("weft.agent.sightings.SETTLE_SECONDS", 0.1)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        await made.cluster()
        await made.take_in("host1", "host2")
        yield made


async def test_story_2_4_a_desktop_rolled_back_on_another_host_is_no_duplicate(desk: HyperVDesk) -> None:
    """The source's whole story: made on one host, moved, restarted there; its first host gives all it has; logoff."""
    one = desk.host("host1")
    one.set_range(one.range.first, Mac(one.range.first + 7))
    pool = desk.collection("host1")
    pool.make("desk1")
    mac = await desk.pinned("desk1")
    pool.log_on_first("desk1")
    await desk.says("desk1", powerState="Running")
    pool.move("desk1", "host2")
    await desk.lives_on("desk1", "host2")
    desk.console("host2").stop(desk.vm("desk1"))
    desk.console("host2").start(desk.vm("desk1"))
    for number in range(8):
        desk.console("host1").start(desk.console("host1").create(f"new{number}"))
    starts, power_ons = desk.starts(), desk.vm("desk1").power_ons
    pool.log_off("desk1")
    assert [event.id for event in desk.host("host2").log.events] == [18596]
    await desk.says("desk1", powerState="Running", conflicts=[])
    (nic,) = desk.vm("desk1").nics
    assert (mac_digits(nic.mac), nic.dynamic, nic.cut_off) == (mac, False, False)
    assert desk.running_with(mac) == ["desk1"]
    assert (desk.starts(), desk.vm("desk1").power_ons) == (starts, power_ons), "no reboot"
    assert await desk.mac("desk1-eth0") == mac
