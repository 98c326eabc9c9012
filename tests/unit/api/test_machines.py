"""An action whose caller hangs up."""

import asyncio
from typing import Any

import pytest

from tests.unit.api.conftest import Api, N, W, interface_in, machine_with
from weft.control.controller import Controller


async def test_a_caller_that_hangs_up_takes_no_answer_from_its_retry(
    fabric: Api, controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    start, begun, go_on = controller.machines.start, asyncio.Event(), asyncio.Event()

    async def slow(machine: str, actor: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await start(machine, actor)

    monkeypatch.setattr(controller.machines, "start", slow)
    path = f"{W}/virtualMachines/vm1/start"
    first = asyncio.create_task(fabric.send("POST", path, b"{}", x_ms_client_request_id="r1"))
    await begun.wait()
    retry = asyncio.create_task(fabric.send("POST", path, b"{}", x_ms_client_request_id="r1"))
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    go_on.set()
    answer = await retry
    assert (answer.status_code, answer.json()["properties"]["powerState"]) == (200, "Running")
    # and what was answered is kept for the next
    assert (await fabric.send("POST", path, b"{}", x_ms_client_request_id="r1")).content == answer.content
