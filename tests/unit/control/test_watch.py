"""The watch: every commit once and in order, from memory or from the log, until the controller ends."""

import asyncio
from pathlib import Path

import pytest

from tests.cluster.control import ANN, fabric_commands, fill, interface, open_in
from weft.core.changes import Commit
from weft.model.errors import Compacted
from weft.store.store import Retention


async def take(commits, count: int) -> list[Commit]:
    async with asyncio.timeout(30):
        return [await anext(commits) for _ in range(count)]


async def test_from_the_beginning_and_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = open_in(tmp_path)
    await fill(controller)
    total = controller.state.revision
    commits = controller.subscribe(controller.generation, 0)
    seen = await take(commits, total)
    following = asyncio.create_task(take(commits, 2))
    await asyncio.sleep(0)
    for name in ("a", "b"):
        await controller.submit(interface(name), ANN)
    seen += await following
    assert [one.revision for one in seen] == list(range(1, total + 3))
    assert seen == controller._store.log(0)
    await commits.aclose()
    controller.close()


async def test_a_reader_that_falls_behind_is_served_from_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.watch.KEPT", 2)
    controller = open_in(tmp_path)
    for command in fabric_commands():
        await controller.submit(command, ANN)
    slow = controller.subscribe(controller.generation, 1)
    seen = await take(slow, controller.state.revision - 1)
    assert [one.revision for one in seen] == list(range(2, controller.state.revision + 1))
    await slow.aclose()
    controller.close()


async def test_a_cursor_that_is_compacted_or_foreign_is_told_so(tmp_path: Path) -> None:
    controller = open_in(tmp_path)
    await fill(controller)
    revision = controller.state.revision
    for cursor in (("another generation", 0), (controller.generation, revision + 5)):
        with pytest.raises(Compacted):
            await take(controller.subscribe(*cursor), 1)
    controller.close()
    again = open_in(tmp_path)
    again._store.compact(0.0, 0.0, Retention(log_revisions=2))
    with pytest.raises(Compacted):
        await take(again.subscribe(again.generation, 1), 1)
    assert len(await take(again.subscribe(again.generation, revision - 2), 2)) == 2
    again.close()


async def test_the_end_of_the_controller_ends_the_watch(tmp_path: Path) -> None:
    controller = open_in(tmp_path)
    async with controller.running():
        watching = asyncio.create_task(take(controller.subscribe(controller.generation, 0), 1))
        await asyncio.sleep(0)
    with pytest.raises(StopAsyncIteration):
        await watching
    controller.close()
