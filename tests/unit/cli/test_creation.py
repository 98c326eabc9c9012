"""`weft vm create` while it waits."""

import asyncio
from typing import Any

import pytest

from weft.cli.actions import Ask
from weft.cli.creation import _make
from weft.cli.show import Format


class Making:
    """A controller that never ends making a machine."""

    def __init__(self) -> None:
        self.looked = asyncio.Event()

    async def post(self, *asked: Any) -> Any:
        await asyncio.Event().wait()

    async def get(self, path: str) -> Any:
        self.looked.set()
        return {"properties": {"creation": {"phase": "defining"}}}


async def test_ctrl_c_says_that_it_goes_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.cli.creation.LOOK_SECONDS", 0.001)
    controller = Making()
    waiting = asyncio.create_task(_make(controller, {"resourceId": "web1"}, Ask(Format.table, "", False)))
    await controller.looked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert capsys.readouterr().err.splitlines() == [
        "web1: its addresses are granted; its host defines it",
        "web1: the controller goes on with it; the same command waits for it again",
    ]
