"""P1: durable grants per second over HTTP, beside a bare endpoint on the same server settings; and SQLite alone."""

import itertools
import sqlite3
import tempfile
import time
from collections.abc import Iterator

from weft.bench.fabric import interface_put, interfaces_batch
from weft.bench.filled import STORES
from weft.bench.load import Address, rate
from weft.bench.rows import Row, Size, alternate
from weft.bench.servers import bare_endpoint, controller

CLIENTS = (1, 8, 64)
BULK = 1000
NOTE = (
    "P1: server, yardstick and load clients are three processes; the clients run in the bench's own. "
    "On 2 cores a server and its clients take one core each."
)


def run(size: Size) -> Iterator[Row]:
    """Rows for every number of interfaces that are there before."""
    yield from _database(size)
    for preloaded in (0, 10_000, 100_000, 1_000_000) if size.full else (0, 200):
        # the rules fill a store several times faster than requests would
        with STORES.take(preloaded) as data, bare_endpoint() as bare, controller(data) as weft:
            yield from _single(weft, bare, preloaded, size)
            yield from _bulk(weft, bare, preloaded, size)


def _single(weft: Address, bare: Address, preloaded: int, size: Size) -> Iterator[Row]:
    serial = itertools.count()
    for clients in CLIENTS:
        count = size.pick(4 * clients, {1: 300, 8: 1500, 64: 3000}[clients])

        def requests(round_of: int, count: int = count, clients: int = clients) -> list[bytes]:
            return [interface_put(f"n{clients}-{round_of}-{i}") for i in range(count)]

        ours, other, ratio = alternate(
            lambda: rate(weft, requests(next(serial)), clients),  # noqa: B023 - called in this round of the loop only
            lambda: rate(bare, requests(next(serial)), clients),  # noqa: B023
            size.pick(2, 10),
        )
        case = f"sqlite, {clients} client{'s' * (clients > 1)}, {_count(preloaded)} interfaces"
        yield Row("P1", case, ours, "grants/s", "trivial endpoint", other, ratio)


def _bulk(weft: Address, bare: Address, preloaded: int, size: Size) -> Iterator[Row]:
    serial = itertools.count()
    each, requests = size.pick(50, BULK), size.pick(2, 5)

    def loads() -> list[bytes]:
        number = next(serial)
        return [interfaces_batch(f"b{number}-{i}", each) for i in range(requests)]

    ours, other, ratio = alternate(
        lambda: rate(weft, loads(), 1) * each, lambda: rate(bare, loads(), 1) * each, size.pick(2, 6)
    )
    case = f"sqlite, bulk of {each}, {_count(preloaded)} interfaces"
    yield Row("P1", case, ours, "grants/s", "trivial endpoint", other, ratio)


def _count(number: int) -> str:
    if number >= 1_000_000:
        return f"{number // 1_000_000}M"
    return f"{number // 1000}k" if number >= 1000 else str(number)


def _database(size: Size) -> Iterator[Row]:
    """Raw SQLite commits on the same disk, WAL and synchronous=FULL as the store has them."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        connection = sqlite3.connect(f"{folder}/raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE grants (address INTEGER PRIMARY KEY, holder TEXT) WITHOUT ROWID")
        number = itertools.count()
        one = _commits(connection, number, size.pick(50, 3000), 1)
        many = _commits(connection, number, size.pick(2, 50), BULK)
        connection.close()
    yield Row("P1.db", "sqlite commits, one row each", one, "rows/s", "", 0.0, 0.0)
    yield Row("P1.db", f"sqlite commits, {BULK} rows each", many, "rows/s", "one row each", one, many / one)


def _commits(connection: sqlite3.Connection, number: "itertools.count[int]", commits: int, rows: int) -> float:
    started = time.perf_counter()
    for _ in range(commits):
        connection.execute("BEGIN IMMEDIATE")
        values = [(next(number), "networkInterfaces/n-000000") for _ in range(rows)]
        connection.executemany("INSERT INTO grants VALUES (?, ?)", values)
        connection.execute("COMMIT")
    return commits * rows / (time.perf_counter() - started)
