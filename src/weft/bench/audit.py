"""AUDIT: what is wrong with the addresses of 100 000 machines, beside reading them: as our own inventory, and from the
file that PowerShell wrote, as `weft audit` does it.

Every hundredth machine is a clone with its source's MAC address, every tenth has a checkpoint, hosts come from images.
"""

import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from weft.bench.rows import Row, Size, alternate
from weft.cli.inventory import read_inventory
from weft.core.audit.report import audit, report_on
from weft.model.inventory import Inventory

PER_HOST = 50


def run(size: Size) -> Iterator[Row]:
    count, pairs = size.pick(1_000, 100_000), size.pick(1, 3)
    inventory = _inventory(count)
    text = msgspec.json.encode(inventory)

    def look() -> float:
        found = msgspec.json.decode(text, type=Inventory)
        return _seconds(lambda: audit(found))

    def read() -> float:
        return _seconds(lambda: msgspec.json.decode(text, type=Inventory))

    ours, other, ratio = alternate(look, read, pairs)
    yield Row("AUDIT", f"{count:,} machines", ours, "s", "reading the inventory", other, ratio)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hyperv.json"
        file.write_text(json.dumps(_powershell(inventory), indent=4), encoding="utf-16")

        def from_file() -> float:
            return _seconds(lambda: report_on(read_inventory([str(file)]).survey))

        def decode() -> float:
            return _seconds(lambda: json.loads(file.read_text(encoding="utf-16")))

        ours, other, ratio = alternate(from_file, decode, pairs)
    yield Row("AUDIT", f"{count:,} machines of Hyper-V", ours, "s", "json.loads of the file", other, ratio)


def _seconds(work: Callable[[], object]) -> float:
    """Without looking for garbage, of which there is none; so does `weft audit`."""
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    try:
        work()
        return time.perf_counter() - started
    finally:
        gc.enable()


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


def _powershell(inventory: dict[str, Any]) -> dict[str, Any]:
    """The same machines as Get-VMHost, Get-VM and Get-VMNetworkAdapter tell of them, with IP addresses."""
    hosts = [
        {
            "ComputerName": host["name"],
            "MacAddressMinimum": host["dynamicMacRange"]["first"],
            "MacAddressMaximum": host["dynamicMacRange"]["last"],
        }
        for host in inventory["hosts"]
    ]
    vms: list[dict[str, Any]] = []
    adapters: list[dict[str, Any]] = []
    for number, machine in enumerate(inventory["machines"]):
        own = {"VMId": f"00000000-0000-0000-0000-{number:012x}", "ComputerName": machine["host"]}
        vms.append({"Name": machine["name"], **own, "State": 2 if machine["power"] == "running" else 3})
        captured = [(each, "clean") for point in machine.get("checkpoints", ()) for each in point["interfaces"]]
        adapters += [
            _adapter(number, {**own, "VMName": machine["name"], "VMSnapshotName": checkpoint}, adapter)
            for adapter, checkpoint in [(machine["interfaces"][0], None), *captured]
        ]
    return {"hosts": hosts, "vms": vms, "adapters": adapters}


def _adapter(number: int, owner: dict[str, Any], adapter: dict[str, Any]) -> dict[str, Any]:
    tail = number.to_bytes(3)
    return {
        **owner,
        "Name": "Network Adapter",
        "Id": f"Microsoft:{owner['VMId']}",
        "MacAddress": adapter["mac"],
        "DynamicMacAddressEnabled": adapter["mode"] == "dynamic",
        "SwitchName": adapter["switch"],
        "IPAddresses": [f"10.{tail[0]}.{tail[1]}.{tail[2]}", f"fe80::215:5dff:{number >> 16:x}:{number & 0xFFFF:x}"],
        "AccessVlanId": 20,
    }
