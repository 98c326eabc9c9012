"""What a gateway does while its conntrackd does not answer."""

import asyncio

import pytest

from weft.agent.edge import conntrackd
from weft.agent.edge.wanted import EdgeFailure
from weft.model.values import Rdid

RDID = Rdid(5)


async def test_a_network_does_not_wait_for_one_that_hangs(tmp_path, monkeypatch):
    """It would be without its gateway meanwhile."""
    monkeypatch.setattr(conntrackd, "TAKE_SECONDS", 0.05)
    hangs = asyncio.Event()

    async def served(reader, writer):
        await reader.readexactly(4)
        await hangs.wait()
        writer.close()

    states = conntrackd.Conntrackd(tmp_path, asyncio.get_running_loop().time)
    (tmp_path / f"{RDID}.conf").write_text("told")
    async with await asyncio.start_unix_server(served, tmp_path / f"{RDID}.ctl"), asyncio.timeout(10):
        with pytest.raises(EdgeFailure, match="did not take its connections over"):
            await states.take(RDID)
        hangs.set()
        await states.take(RDID)
