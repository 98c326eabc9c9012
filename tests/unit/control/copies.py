"""A machine on a model host with a checkpoint of other addresses, and what tests ask of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import ANN, fill, interface, machine, open_in
from tests.unit.control.machines import rack
from weft.control.controller import Controller
from weft.core.copy_commands import TakeCheckpoint
from weft.model.values import parse_mac

__all__ = ["rack"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.moves.DEAD_AFTER_S", 0.1)
    monkeypatch.setattr("weft.control.moves.RECHECK_S", 0.02)
    monkeypatch.setattr("weft.control.waits.RECHECK_S", 0.02)
    monkeypatch.setattr("weft.control.verdicts.LATE_FACTS_S", 0.1)
    monkeypatch.setattr("weft.control.clockwork.TICK_S", 0.05)
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)


async def prepare(controller: Controller) -> None:
    """Machine a on host1 with a checkpoint `before`; then its interface got another address."""
    await fill(controller, interface("a-eth0", address="10.1.1.50"), machine("a", "host1", "a-eth0"))
    await controller.submit(TakeCheckpoint("a", "before"), ANN)
    await controller.submit(interface("a-eth0", address="10.1.1.60"), ANN)


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await prepare(opened)
    async with opened.running():
        yield opened
    opened.close()


def address(controller: Controller, name: str = "a-eth0") -> str:
    found = controller.state.get("networkInterfaces", name)
    return found.properties.ip_configurations[0].properties.private_ip_address


def mac(controller: Controller, name: str = "a-eth0") -> int:
    return int(parse_mac(controller.state.get("networkInterfaces", name).properties.private_mac_address))
