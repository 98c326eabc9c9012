"""The feed's relay: copies, delays what the controller says, closes when there is none."""

import asyncio
import contextlib

import pytest

from weft.lab.relay import Delay, serve


async def echo(reader, writer):
    while chunk := await reader.read(1000):
        writer.write(chunk)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def relayed(tmp_path, *, controller=True):
    target = tmp_path / "controller.sock"
    server = await asyncio.start_unix_server(echo, str(target)) if controller else None
    running = asyncio.create_task(serve(tmp_path / "feed.sock", f"unix:{target}", Delay(tmp_path / "delay")))
    while not (tmp_path / "feed.sock").exists():
        await asyncio.sleep(0.001)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "feed.sock"))
    try:
        yield reader, writer
    finally:
        writer.close()
        # the connection's own tasks end with it; what they hold must be closed before the loop is
        if own := asyncio.all_tasks() - {asyncio.current_task(), running}:
            await asyncio.wait(own, timeout=30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if server is not None:
            server.close()


async def round_trip(reader, writer, text):
    """Of several the quickest: what a busy machine makes of one is not the relay's."""
    loop, found = asyncio.get_running_loop(), []
    for _ in range(5):
        began = loop.time()
        writer.write(text)
        assert await reader.readexactly(len(text)) == text
        found.append(loop.time() - began)
    return min(found)


async def test_it_copies_both_ways(tmp_path):
    async with relayed(tmp_path) as (reader, writer):
        assert await round_trip(reader, writer, b"x" * 100_000) < 0.5


async def test_it_delays_as_the_file_says_now(tmp_path):
    async with relayed(tmp_path) as (reader, writer):
        (tmp_path / "delay").write_text("0.2\n")
        assert 0.19 < await round_trip(reader, writer, b"slow") < 0.6
        (tmp_path / "delay").write_text("0.0\n")
        assert await round_trip(reader, writer, b"fast") < 0.15


async def test_order_is_kept_when_the_delay_ends(tmp_path):
    async with relayed(tmp_path) as (reader, writer):
        (tmp_path / "delay").write_text("0.3")
        writer.write(b"first")
        await asyncio.sleep(0.05)
        (tmp_path / "delay").write_text("0")
        writer.write(b"second")
        assert await reader.readexactly(11) == b"firstsecond"


async def test_without_a_controller_the_connection_ends(tmp_path):
    async with relayed(tmp_path, controller=False) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 30) == b""


@pytest.mark.parametrize("content", [None, "", "soon"])
def test_no_delay_without_a_number(tmp_path, content):
    if content is not None:
        (tmp_path / "delay").write_text(content)
    assert Delay(tmp_path / "delay").seconds() == 0.0
