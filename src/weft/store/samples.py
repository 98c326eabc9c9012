"""How full pools were, as rows: a sample per pool and hour in which it changed. Called by weft.store.store.

Times are the ledger's, so a jump of the wall clock bends no forecast. Retention.samples_s bounds how long they stay.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from weft.store import rows


class Sample(msgspec.Struct, frozen=True):
    """`used`: addresses of the pool that were not free at ledger second `ledger`."""

    pool: str
    ledger: float
    used: int


_ADD = "INSERT OR REPLACE INTO samples (pool, ledger, used) VALUES (?, ?, ?)"
_SINCE = """
SELECT pool, ledger, used FROM samples WHERE pool = ?1 AND ledger >=
  coalesce((SELECT max(ledger) FROM samples WHERE pool = ?1 AND ledger <= ?2), ?2)
ORDER BY ledger LIMIT 1
"""
OLD = """
DELETE FROM samples WHERE (pool, ledger) IN (
  SELECT pool, ledger FROM samples WHERE ledger < ? ORDER BY ledger LIMIT ?)
"""


def write(connection: sqlite3.Connection, samples: Sequence[Sample], anew: Iterable[str]) -> None:
    """Add to the transaction that is under way; of the pools in `anew` nothing older stays."""
    connection.executemany("DELETE FROM samples WHERE pool = ?", [(pool,) for pool in anew])
    connection.executemany(_ADD, [(one.pool, one.ledger, rows.pack_number(one.used)) for one in samples])


def first(connection: sqlite3.Connection, pool: str, since: float) -> Sample | None:
    """The sample that says how full a pool was at `since`: the last before, else the first after; None without any."""
    found = connection.execute(_SINCE, (pool, since)).fetchone()
    return None if found is None else Sample(found[0], found[1], rows.unpack_number(found[2]))
