"""AUDIT: what is wrong with the addresses of 100 000 machines, beside reading them.

Every hundredth machine is a clone with its source's MAC address, every tenth has a checkpoint, hosts come from images.
"""

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from weft.bench.rows import Row, Size, alternate
from weft.core.audit.report import audit
from weft.model.inventory import Inventory

PER_HOST = 50


def run(size: Size) -> Iterator[Row]:
    count = size.pick(1_000, 100_000)
    text = msgspec.json.encode(_inventory(count))

    def look() -> float:
        found = msgspec.json.decode(text, type=Inventory)
        started = time.perf_counter()
        audit(found)
        return time.perf_counter() - started

    def read() -> float:
        started = time.perf_counter()
        msgspec.json.decode(text, type=Inventory)
        return time.perf_counter() - started

    ours, other, ratio = alternate(look, read, size.pick(1, 3))
    yield Row("AUDIT", f"{count:,} machines", ours, "s", "reading the inventory", other, ratio)


def _inventory(count: int) -> dict[str, Any]:
    return {
        "hosts": [_host(i) for i in range(max(1, count // PER_HOST))],
        "machines": [_machine(i) for i in range(count)],
    }


def _host(number: int) -> dict[str, Any]:
    # two of a hundred hosts share a range
    base = 0x00155D000000 + (number - (number % 100 == 1)) * 256
    bounds = {"first": f"{base:012X}", "last": f"{base + 255:012X}"}
    return {"name": f"host{number}", "dynamicMacRange": bounds}


def _machine(number: int) -> dict[str, Any]:
    address = number - (number % 100 == 7)
    mac = f"{0x00155D000000 + address // PER_HOST * 256 + address % PER_HOST:012X}"
    adapter = {"mac": mac, "switch": "lan", "mode": "dynamic" if number % 3 else "static"}
    machine: dict[str, Any] = {
        "name": f"vm{number}",
        "host": f"host{number // PER_HOST}",
        "power": "running" if number % 5 else "off",
        "interfaces": [adapter],
    }
    if number % 10 == 0:
        machine["checkpoints"] = [{"name": "clean", "interfaces": [adapter]}]
    return machine
