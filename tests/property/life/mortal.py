"""A store's connection that dies where it is told to, as a killed process would: nothing more comes through.

Used by test_life_stored.py. What SQLite had not committed by then is rolled back when the file is opened anew.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any


class Died(BaseException):
    """The process is dead: not an error that anybody could handle."""


class Mortal:
    """Stands in for a connection. `die_at`: the nth statement of the next transaction from 1, 0 for its COMMIT, -1
    for right after that."""

    def __init__(self, real: sqlite3.Connection) -> None:
        self._real = real
        self.die_at: int | None = None
        self.dead = False
        self._count = 0
        """Statements of the transaction under way; 0 while none is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self._step(sql)
        answer = self._real.execute(sql, *values)
        if sql in ("COMMIT", "ROLLBACK"):
            wrote, self._count = bool(self._count), 0
            if wrote and sql == "COMMIT" and self.die_at == -1:
                self._die()
        return answer

    def executemany(self, sql: str, values: Iterable[Any]) -> sqlite3.Cursor:
        self._step(sql)
        return self._real.executemany(sql, values)

    def _step(self, sql: str) -> None:
        if self.dead:
            raise Died
        if sql == "BEGIN IMMEDIATE" or self._count:
            self._count += 1
            if self._count == self.die_at or (self.die_at == 0 and sql == "COMMIT"):
                self._die()

    def _die(self) -> None:
        self.dead = True
        raise Died
