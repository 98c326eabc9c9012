"""Stores that are full before a bench begins: made by the rules themselves, but without HTTP, thousands to a commit.

Called by the benches that need many interfaces (P1, P5, START, RESTORE). A store of one size is made once per run.
"""

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from weft.bench.fabric import fabric, interface
from weft.core.changes import Commit
from weft.core.commands import Batch, Command, Put
from weft.core.decide import decide_and_apply
from weft.core.state import State, path_of
from weft.model.kinds import BY_NAME
from weft.model.values import Now
from weft.store.store import Store

EACH = 1000
"""Interfaces to a commit."""

HOSTS = 1000


def put_command(ref: str, body: dict[str, Any]) -> Put:
    """A Put of a top-level resource, as the API would make it from a body."""
    path = path_of(ref)
    assert path is not None
    return Put(path, msgspec.convert(body, BY_NAME[path.kind.lower()].type))


def fabric_commands() -> list[Command]:
    """The fabric that all benches grant from."""
    return [put_command(e["path"].removeprefix("/networking/v1"), e["body"]) for e in fabric()]


class Desk:
    """Decides on a state of its own and, with a store, commits. The clock stands; ids count."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._ids = itertools.count(1)
        self.now = Now(1000.0, 1_700_000_000.0)
        self.state = State() if store is None else State.load(store.load())

    def new_id(self) -> str:
        # like a random one in all but the cost: every digit of a real id counts in memory
        number = next(self._ids) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        return (
            f"{number >> 32:08x}-{number >> 16 & 0xFFFF:04x}-4{number & 0xFFF:03x}-8000-{number & (1 << 48) - 1:012x}"
        )

    def do(self, commands: Sequence[Command]) -> tuple[Any, ...]:
        """All of them as one batch; their decisions. Raises a Refusal."""
        decision = decide_and_apply(self.state, Batch(tuple(commands)), self.now, self.new_id)
        self.state.revision += 1
        if self._store is not None:
            commit = Commit(self.state.revision, self.now.wall, self.now.ledger, decision.changes, ("operator",))
            self._store.commit(commit, ["operator"] * len(decision.changes))
        return decision.parts

    def one(self, command: Command) -> None:
        """One command by itself, in memory only."""
        decide_and_apply(self.state, command, self.now, self.new_id)


def machine_commands(number: int, hosts: int = HOSTS) -> list[Command]:
    """One machine with one interface, MAC and IP granted, bound to one of `hosts` servers."""
    name = f"vm{number}"
    body = {
        "resourceId": name,
        "properties": {
            "server": {"resourceRef": f"/servers/host{number % hosts}"},
            "networkInterfaces": [{"resourceRef": f"/networkInterfaces/{name}-eth0"}],
        },
    }
    return [
        put_command(f"/networkInterfaces/{name}-eth0", interface(f"{name}-eth0")),
        put_command(f"/weft/virtualMachines/{name}", body),
    ]


def server_commands(count: int = HOSTS) -> list[Command]:
    """Servers host0 ... without addresses."""
    return [put_command(f"/servers/host{i}", {"resourceId": f"host{i}", "properties": {}}) for i in range(count)]


def fill(folder: Path, count: int, hosts: int = HOSTS) -> None:
    """A store in `folder` with `count` interfaces, each with its machine, on that many servers."""
    with contextlib.closing(Store.open(folder, lambda: "bench")) as store:
        desk = Desk(store)
        desk.do(fabric_commands())
        desk.do(server_commands(hosts))
        for at in range(0, count, EACH):
            numbers = range(at, min(count, at + EACH))
            desk.do([command for number in numbers for command in machine_commands(number, hosts)])


class Stores:
    """Filled stores of this run, by size; closing removes them."""

    def __init__(self) -> None:
        self._root: Path | None = None
        self._made: dict[int, Path] = {}

    def of(self, count: int) -> Path:
        """The folder of a store with `count` interfaces; who changes it takes it with `take`."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="weft-bench-"))
        if count not in self._made:
            folder = self._root / str(count)
            fill(folder, count)
            self._made[count] = folder
        return self._made[count]

    @contextlib.contextmanager
    def take(self, count: int) -> Iterator[Path]:
        """The same for one use that may change it; it is gone afterwards."""
        folder = self.of(count)
        del self._made[count]
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove what is left."""
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
        self._root, self._made = None, {}


STORES = Stores()
