"""A controller whose clients clone, capture, restore, renew and export machines, to be killed at any moment.

Run as `python -m tests.crash.lives FOLDER ROUND`. Prints a JSON line per answer: what stands there was promised.
"""

import asyncio
import random
import sys
from pathlib import Path

from tests.cluster.control import ANN, interface, machine
from tests.crash.child import addresses, main, tell
from weft.control.controller import Controller
from weft.core.commands import Batch, Delete, RenewMac, Reserve
from weft.core.commands import Path as Name
from weft.core.copy_commands import Clone, ExportMachine, Restore, TakeCheckpoint

CLIENTS = 4
DB = "/virtualNetworks/blue/subnets/db"


def own(controller: Controller, name: str) -> dict[str, str]:
    """MAC and IP address of a machine's two interfaces."""
    machines = controller.state.get("virtualMachines", name)
    refs = [ref.resource_ref.rpartition("/")[2] for ref in machines.properties.network_interfaces]
    found = [addresses(controller.state.get("networkInterfaces", ref)) for ref in refs]
    return {f"{kind}{at}": one[kind] for at, one in enumerate(found) for kind in one}


async def made(controller: Controller, name: str) -> None:
    parts = (
        interface(f"{name}-eth0", DB),
        interface(f"{name}-eth1", DB),
        machine(name, "host1", f"{name}-eth0", f"{name}-eth1"),
    )
    await controller.submit(Batch(parts), ANN)
    tell(machine=name, own=own(controller, name))


async def step(controller: Controller, name: str, number: int, rng: random.Random) -> None:
    """One thing that happens to a machine; told before it is asked for and when it was answered."""
    kind = rng.choice(("checkpoint", "renew", "restore", "keep", "new", "export", "reserve", "forget"))
    tell(asked=kind, machine=name, number=number)
    match kind:
        case "checkpoint":
            await controller.submit(TakeCheckpoint(name, f"c{number}"), ANN)
            tell(capture=f"{name}~c{number}", own=own(controller, name))
        case "renew":
            await controller.submit(RenewMac(name, f"{name}-eth0"), ANN)
        case "restore":
            for one in controller.state.owned("checkpoints", name):
                await controller.submit(Restore(name, one.resource_id.rpartition("~")[2], if_taken="remap"), ANN)
                break
        case "keep" | "new":
            await controller.submit(Clone(name, f"{name}-{number}", kind), ANN)
            tell(machine=f"{name}-{number}", own=own(controller, f"{name}-{number}"))
        case "export":
            await controller.submit(ExportMachine(name, f"x{number}"), ANN)
            tell(capture=f"{name}~x{number}", own=own(controller, name))
        case "reserve":
            await controller.submit(Reserve("/macPools/p1", 3, request_id=f"{name}.r{number}"), ANN)
            tell(reservation=f"{name}.r{number}")
        case "forget":
            for one in controller.state.owned("checkpoints", name):
                gone = one.resource_id.rpartition("~")[2]
                tell(asked="delete", capture=one.resource_id)
                await controller.submit(Delete(Name("virtualMachines", name, (("checkpoints", gone),))), ANN)
                break
    tell(own=own(controller, name), of=name)


async def client(controller: Controller, prefix: str, rng: random.Random) -> None:
    for lives in range(1_000_000):
        name = f"{prefix}-{lives}"
        tell(asked="made", machine=name)
        await made(controller, name)
        for number in range(12):
            await step(controller, name, number, rng)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), client, CLIENTS))
