"""One process that loads a store, or the yardstick's list of tuples, and says what that took. Run by P5 and START.

`python -m weft.bench.memory state FOLDER` loads as the controller does; `rows FOLDER` reads the same rows and keeps
nothing; `tuples FOLDER` keeps the fields of each interface as a tuple of strings and numbers. Each prints one JSON
object: seconds, and bytes of resident memory gained.
"""

import gc
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from weft.api.serve import settle_memory
from weft.core.state import State
from weft.store.opening import FILE
from weft.store.store import Store


class Taken(msgspec.Struct, frozen=True):
    """What loading took; `count` interfaces are there."""

    seconds: float
    resident: int
    count: int


def main(words: list[str]) -> None:
    what, folder = words
    load = {"state": _state, "rows": _rows, "tuples": _tuples}[what]
    before = resident()
    started = time.perf_counter()
    kept, count = load(Path(folder))
    seconds = time.perf_counter() - started
    gc.collect()
    settle_memory()
    print(msgspec.json.encode(Taken(seconds, resident() - before, count)).decode())
    del kept


def resident() -> int:
    """Resident memory of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _state(folder: Path) -> tuple[object, int]:
    store = Store.open(folder, lambda: "bench")
    state = State.load(store.load())
    return (store, state), sum(1 for _ in state.all("networkInterfaces"))


def _rows(folder: Path) -> tuple[object, int]:
    """All rows that a start reads, and their JSON parsed, so that it is the same data that comes out."""
    parse: Callable[[str], object] = msgspec.json.decode
    count = 0
    with sqlite3.connect(folder / FILE) as reader:
        for kind, body in reader.execute("SELECT kind, body FROM resources"):
            parse(body)
            count += kind == "networkInterfaces"
        for row in reader.execute("SELECT scope, address, state, until, holders, reason FROM leases"):
            parse(row[4])
    reader.close()
    return None, count


_TUPLES = """
SELECT i.id, i.body, m.id, m.body FROM resources AS i JOIN resources AS m
ON i.kind = 'networkInterfaces' AND m.kind = 'virtualMachines' AND i.id = m.id || '-eth0'
"""


def _tuples(folder: Path) -> tuple[object, int]:
    """Of each interface and its machine: ids, instance ids, etags, MAC and IP address, subnet, server, power."""
    parse = msgspec.json.decode
    kept = []
    with sqlite3.connect(folder / FILE) as reader:
        for _, interface, _, machine in reader.execute(_TUPLES):
            kept.append((*_fields(parse(interface)), *_machine_fields(parse(machine))))
    reader.close()
    return kept, len(kept)


def _fields(one: dict[str, Any]) -> tuple[object, ...]:
    properties = one["properties"]
    (address,) = properties["ipConfigurations"]
    ids = (one["resourceId"], one["instanceId"], one["etag"], address["resourceId"], address["instanceId"])
    mac, ip = properties["privateMacAddress"], address["properties"]["privateIPAddress"]
    return (*ids, mac, int(mac, 16), ip, address["properties"]["subnet"]["resourceRef"])


def _machine_fields(one: dict[str, Any]) -> tuple[object, ...]:
    properties = one["properties"]
    return (
        one["resourceId"],
        one["instanceId"],
        one["etag"],
        properties["server"]["resourceRef"],
        properties["powerState"],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
