"""P4: bytes that one change costs every interested host, beside its record packed by hand.

A listener joins the real feed as a host of the network. A machine on another host starts, moves and stops.
"""

import asyncio
import statistics
import struct
import tempfile
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

from weft.bench.fabric import fabric, interface
from weft.bench.feed import Listener, listening
from weft.bench.load import Address
from weft.bench.rows import Row, Size
from weft.bench.servers import controller
from weft.wire.client import Client

PACKED = struct.calcsize("!BI4s6s4s")
"""A lookup record by hand: tag, VSID, customer address, MAC, provider address."""
PACKED_KEY = struct.calcsize("!BI4s")
"""What names it when it goes away."""

VM = "/weft/v1/virtualMachines"
HERE, THERE = {"resourceRef": "/servers/away1"}, {"resourceRef": "/servers/away2"}


def run(size: Size) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as data, controller(Path(data)) as address:
        found = asyncio.run(_measure(address, size.pick(3, 30)))
    for case, (counted, packed) in found.items():
        value = statistics.median(counted)
        yield Row("P4", case, value, "bytes/change/host", "record packed by hand", packed, value / packed)


async def _measure(address: Address, rounds: int) -> dict[str, tuple[list[int], float]]:
    async with Client.connect(f"http://{address[0]}:{address[1]}") as client:
        await client.batch(fabric() + _machines())
        async with listening(address, "host1") as listener:
            await _settle_in(client, listener)
            return await _rounds(client, listener, rounds)


async def _rounds(client: Client, listener: Listener, rounds: int) -> dict[str, tuple[list[int], float]]:
    starts: list[int] = []
    moves: list[int] = []
    largest: list[int] = []
    stops: list[int] = []
    there = HERE
    for _ in range(rounds):
        starts.append(sum(await _frames_of(listener, client.post(f"{VM}/m/start", {}))))
        there = THERE if there is HERE else HERE
        frames = await _frames_of(listener, client.post(f"{VM}/m/migrate", {"server": there, "force": True}))
        moves.append(sum(frames))
        largest.append(max(frames))
        stops.append(sum(await _frames_of(listener, client.post(f"{VM}/m/stop", {}))))
    return {
        "a machine starts: one lookup record": (starts, PACKED),
        "a machine moves: its largest frame": (largest, PACKED),
        "a machine moves: all frames of the move": (moves, PACKED),
        "a machine stops: one key": (stops, PACKED_KEY),
    }


async def _frames_of(listener: Listener, change: Awaitable[Any]) -> list[int]:
    await change
    return [size for _, size in await listener.settled()]


async def _settle_in(client: Client, listener: Listener) -> None:
    """The full states come first, and both away hosts become known as tunnel ends."""
    await client.post(f"{VM}/m/start", {})
    await client.post(f"{VM}/m/stop", {})
    await listener.settled()


def _machines() -> list[dict[str, Any]]:
    """A machine on the listening host, one on each of two hosts without an agent, and the one that moves."""
    found: list[dict[str, Any]] = []
    for server in ("host1", "away1", "away2"):
        found.append(_put(f"/networking/v1/servers/{server}", {}))
    for name, server in (("stay1", "host1"), ("stay2", "away1"), ("stay3", "away2"), ("m", "away1")):
        nic = {"method": "PUT", "path": f"/networking/v1/networkInterfaces/{name}", "body": interface(name)}
        reference = {"resourceRef": f"/networkInterfaces/{name}"}
        machine = {"server": {"resourceRef": f"/servers/{server}"}, "networkInterfaces": [reference]}
        found += [nic, _put(f"{VM}/{name}", machine)]
    return found


def _put(path: str, properties: dict[str, Any]) -> dict[str, Any]:
    body = {"resourceId": path.rsplit("/", 1)[1], "properties": properties}
    return {"method": "PUT", "path": path, "body": body}
