"""What the lab's driver notices of its guests; what it does to them needs root and is in tests/e2e."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.lab.guests import Guest, GuestFiles
from weft.lab.hypervisor import LabHypervisor
from weft.lab.state import HostState, LabFolder


@pytest.fixture
def spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "netns"
    folder.mkdir()
    monkeypatch.setattr("weft.lab.namespaces.NETNS", folder)
    yield folder


async def test_a_guest_whose_namespace_is_deleted_by_hand_is_noticed(tmp_path: Path, spaces: Path) -> None:
    lab = LabFolder(tmp_path / "lab")
    lab.guests.mkdir(parents=True)
    GuestFiles(lab.guests).write(Guest(machine="a", number=0, namespace="lab-a", host="h1", running=True))
    (spaces / "lab-a").touch()
    driver = LabHypervisor(lab, HostState("h1", 0, "192.168.1.10/24"))
    news = asyncio.ensure_future(anext(aiter(driver.events())))
    await asyncio.sleep(0.1)
    assert not news.done()
    (spaces / "lab-a").unlink()
    await asyncio.wait_for(news, 30)
