"""A controller with busy clients, to be killed at any moment. Run as `python -m tests.crash.child FOLDER ROUND`.

Prints one JSON line per answer that a client got, flushed at once: what stands there was promised.
"""

import asyncio
import json
import os
import random
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.cluster.control import ANN, fabric_commands, interface
from weft.control.controller import Controller
from weft.core.commands import Batch, Decision, Delete
from weft.core.commands import Path as Name
from weft.model.errors import Refusal
from weft.store.store import Answer

CLIENTS = 6
Client = Callable[[Controller, str, random.Random], Awaitable[None]]


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


def tell(**line: object) -> None:
    os.write(1, (json.dumps(line) + "\n").encode())


def addresses(resource: object) -> dict[str, str]:
    own = resource.properties
    return {"mac": own.private_mac_address, "ip": own.ip_configurations[0].properties.private_ip_address}


async def client(controller: Controller, prefix: str, rng: random.Random) -> None:
    mine: list[str] = []
    for number in range(1_000_000):
        name, request = f"{prefix}-{number}", f"{prefix}-{number}"
        kind = rng.choice(("put", "put", "batch", "delete"))
        tell(asked=request, kind=kind, name=name)
        if kind == "delete" and mine:
            gone = mine.pop(rng.randrange(len(mine)))
            tell(asked=request, kind="delete", name=gone)
            await controller.submit(Delete(Name("networkInterfaces", gone)), ANN)
            tell(deleted=gone)
        elif kind == "batch":
            commands = Batch(tuple(interface(f"{name}-{n}", "/virtualNetworks/blue/subnets/db") for n in range(3)))
            answer = await controller.submit(commands, ANN)
            tell(batch=[{"name": f"{name}-{n}", **addresses(p.resource)} for n, p in enumerate(answer.decision.parts)])
        else:
            command = interface(name, "/virtualNetworks/blue/subnets/db")
            submitted = await controller.submit(command, ANN, request, encode(request))
            own = addresses(submitted.decision.resource)
            tell(put=name, request=request, body=submitted.answer.body.decode(), **own)
            mine.append(name)


def encode(request: str):
    def answer(decision: Decision) -> Answer:
        return Answer(request, 201, json.dumps(addresses(decision.resource)).encode())

    return answer


async def main(folder: Path, start: int, client: Client = client, clients: int = CLIENTS) -> None:
    """A controller in this folder, with a fabric, and its clients; `start` tells one run's names from another's."""
    controller = Controller.open(folder, Clock(), lambda: str(uuid.uuid4()))
    async with controller.running():
        if controller.state.revision == 0:
            await controller.submit(Batch(tuple(fabric_commands())), ANN)
        tell(ready=controller.state.revision)
        work = (client(controller, f"r{start}c{n}", random.Random(f"{start} {n}")) for n in range(clients))
        try:
            await asyncio.gather(*work)
        except Refusal as full:
            tell(full=full.message)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
