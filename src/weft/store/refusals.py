"""Refused addresses as rows: folded, bounded, read back as part of an address's history. Called by weft.store.store.

A client that tries again and again must not fill the disk: the same asker's tries of an hour are one row with a count,
an address keeps its newest PER_ADDRESS rows, and the whole table is bounded by Retention.refusals.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from weft.store import rows

PER_ADDRESS = 32
HOUR_S = 3600

EVENT = "refused"


class RefusedAddress(msgspec.Struct, frozen=True):
    """An address that somebody did not get. `asker` is a resourceRef, `code` the error's."""

    scope: str
    address: int
    asker: str
    actor: str
    code: str


_ADD = """
INSERT INTO refusals (scope, address, asker, actor, code, hour, revision, first, last, times)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (address, scope, asker, actor, code, hour) 
DO UPDATE SET last = excluded.last, times = times + excluded.times
"""
_BOUND = """
DELETE FROM refusals WHERE number IN (
  SELECT number FROM refusals WHERE address = ? AND scope = ? ORDER BY last DESC, number DESC LIMIT -1 OFFSET ?)
"""
_OF = """
SELECT scope, revision, first, asker, actor, code, times, last FROM refusals
WHERE address = ? AND scope = ? ORDER BY revision, number
"""
OLD = """
DELETE FROM refusals WHERE number IN (
  SELECT number FROM (SELECT number, last FROM refusals ORDER BY number LIMIT ?3)
  WHERE last < ?1 OR number <= (SELECT max(number) FROM refusals) - ?2)
"""


def write(connection: sqlite3.Connection, refused: Sequence[RefusedAddress], revision: int, wall: float) -> None:
    """Add to the transaction that is under way."""
    times: dict[RefusedAddress, int] = {}
    for one in refused:
        times[one] = times.get(one, 0) + 1
    hour = int(wall // HOUR_S)
    for one, count in times.items():
        packed = rows.pack_address(one.scope, one.address)
        who = (one.asker, one.actor, one.code)
        connection.execute(_ADD, (one.scope, packed, *who, hour, revision, wall, wall, count))
        connection.execute(_BOUND, (packed, one.scope, PER_ADDRESS))


Row = tuple[str, int, float, str, str, str, int, float]


def of(connection: sqlite3.Connection, scope: str, packed: bytes) -> list[Row]:
    """(scope, revision, first, asker, actor, code, times, last) of an address, oldest first."""
    return connection.execute(_OF, (packed, scope)).fetchall()
