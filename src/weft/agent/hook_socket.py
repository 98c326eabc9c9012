"""The socket on which libvirt's hook asks the agent whether a machine may start. Made by run.py on libvirt hosts.

One JSON document a line each way: {"id", "name", "machine", "macs", "comes"} and {"refusal"}, empty where it may. It
lies in the agent's state folder and is its user's alone.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from weft.agent.starts import Start

log = logging.getLogger(__name__)

FILE = "hook.sock"
_LONGEST_LINE = 1 << 16
_PATIENCE_SECONDS = 5.0

Refusal = Callable[[Start], Awaitable[str]]


@contextlib.asynccontextmanager
async def hook_socket(folder: Path, refusal: Refusal) -> AsyncIterator[None]:
    """Answer for as long as the block lasts. Raises OSError if the socket cannot be made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.unlink(missing_ok=True)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                start = msgspec.json.decode(await reader.readline(), type=Start)
                words = await refusal(start)
                writer.write(msgspec.json.encode({"refusal": words}) + b"\n")
                await writer.drain()
            if words:
                log.warning("%s may not start: %s", start.name or start.id, words)
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            log.warning("a question of libvirt's hook: %s", error or type(error).__name__)
        finally:
            writer.close()

    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(answer, path, limit=_LONGEST_LINE)
    finally:
        os.umask(before)
    try:
        async with server:
            yield
    finally:
        path.unlink(missing_ok=True)
