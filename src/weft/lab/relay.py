"""The cable between agents and controller: a unix socket whose answers can be delayed (`weft lab delay-feed`).

Run as a process of the lab: python relay.py LISTEN TARGET DELAYFILE, as a script without the package, so that it starts
at once. TARGET is unix:PATH or http://HOST:PORT.
What comes from the controller is held back by the seconds in DELAYFILE, order kept; what agents say passes at once.
Without a delay it only copies. When the controller is dead, connections are closed at once, as a dead one's would be.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 256 * 1024
QUEUE_CHUNKS = 1024


class Delay:
    """The delay as the file says now; read anew when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0
        self._seconds = 0.0

    def seconds(self) -> float:
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._seen:
                self._seconds, self._seen = float(self._path.read_text() or 0), changed
        except (OSError, ValueError):
            return 0.0
        return self._seconds


async def connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError where nobody listens."""
    if target.startswith("unix:"):
        return await asyncio.open_unix_connection(target.removeprefix("unix:"))
    place = urlsplit(target)
    return await asyncio.open_connection(place.hostname, place.port or 80)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()


async def copy_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Delay) -> None:
    """Each chunk leaves `delay` after it came, in order."""
    clock = asyncio.get_running_loop().time
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUE_CHUNKS)

    async def fill() -> None:
        while chunk := await reader.read(CHUNK):
            await waiting.put((clock() + delay.seconds(), chunk))
        await waiting.put((clock(), b""))

    filling = asyncio.create_task(fill())
    try:
        while True:
            due, chunk = await waiting.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            if not chunk:
                return
            writer.write(chunk)
            await writer.drain()
    finally:
        filling.cancel()


async def relay(agent: asyncio.StreamReader, to_agent: asyncio.StreamWriter, target: str, delay: Delay) -> None:
    """One connection, until either side ends it."""
    try:
        controller, to_controller = await connect(target)
    except OSError:
        to_agent.close()
        return
    ways = [
        asyncio.create_task(copy(agent, to_controller)),
        asyncio.create_task(copy_late(controller, to_agent, delay)),
    ]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    for writer in (to_agent, to_controller):
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def serve(listen: Path, target: str, delay: Delay) -> None:
    """Until killed."""
    listen.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(lambda reader, writer: relay(reader, writer, target, delay), str(listen))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], Delay(Path(sys.argv[3]))))
