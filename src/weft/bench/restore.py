"""RESTORE: many pooled desktops go back to their checkpoints, as one batch and as a request each. Over HTTP, durable.

Before every round each desktop is given another MAC address, so that going back changes something.
"""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weft.bench.fabric import batch, fabric, interface
from weft.bench.load import Address, put, rate
from weft.bench.rows import Row, Size, alternate
from weft.bench.servers import controller

MACHINES = "/weft/v1/virtualMachines"


def run(size: Size) -> Iterator[Row]:
    count = size.pick(20, 1000)
    serial = itertools.count()
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as data, controller(Path(data)) as weft:
        rate(weft, [batch(fabric(), "id-fabric"), *_desktops(count)], 1)

        def at_once() -> float:
            _leave(weft, count, next(serial))
            return count * rate(weft, [batch([_restore(i) for i in range(count)], f"back-{next(serial)}")], 1)

        def each() -> float:
            _leave(weft, count, next(serial))
            number = next(serial)
            return rate(weft, [_single(i, number) for i in range(count)], 1)

        ours, other, ratio = alternate(at_once, each, size.pick(2, 6))
    yield Row("RESTORE", f"{count:,} desktops in one batch", ours, "desktops/s", "a request each", other, ratio)


def _desktops(count: int) -> list[bytes]:
    """Machines with one interface each, and a checkpoint of each."""
    made: list[dict[str, Any]] = []
    for i in range(count):
        nic = {"resourceRef": f"/networkInterfaces/vdi{i}-eth0"}
        machine = {"resourceId": f"vdi{i}", "properties": {"networkInterfaces": [nic]}}
        path = f"/networking/v1/networkInterfaces/vdi{i}-eth0"
        made.append({"method": "PUT", "path": path, "body": interface(f"vdi{i}-eth0")})
        made.append({"method": "PUT", "path": f"{MACHINES}/vdi{i}", "body": machine})
    clean = [_post(i, "checkpoint", {"resourceId": "clean"}) for i in range(count)]
    return [batch(made, "id-machines"), batch(clean, "id-checkpoints")]


def _post(number: int, action: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"method": "POST", "path": f"{MACHINES}/vdi{number}/{action}", "body": body}


def _restore(number: int) -> dict[str, Any]:
    return _post(number, "restore", {"checkpoint": "clean"})


def _single(number: int, round_of: int) -> bytes:
    path = f"{MACHINES}/vdi{number}/restore"
    return put(path, b'{"checkpoint": "clean"}', f"back-{round_of}-{number}", method="POST")


def _leave(weft: Address, count: int, round_of: int) -> None:
    """Give every desktop another address."""
    nics = ((i, {"networkInterface": f"/networkInterfaces/vdi{i}-eth0"}) for i in range(count))
    rate(weft, [batch([_post(i, "renewMac", body) for i, body in nics], f"leave-{round_of}")], 1)
