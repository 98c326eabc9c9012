"""Write transactions on the store's connection, and the end of them when the disk has failed. Used by weft.store.store.

A full disk refuses one transaction: what did not fit is not there. A disk that fails to write or to sync is another
matter: the kernel may count what it could not write as written (fsync(2), since Linux 4.13), and the write-ahead log
may end in a whole transaction that was answered as failed. What is there is known only to who opens the file anew.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from weft.model.errors import StoreUnavailable


class Transactions:
    """One connection's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._broken = ""
        """Why nothing more is written; empty while all is well."""

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block wrote. Raises StoreUnavailable: nothing is kept, or, of a failed disk, nobody knows."""
        if self._broken:
            raise StoreUnavailable(self._broken)
        connection = self._connection
        committing = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            committing = True
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            code = _code_of(error)
            if code == sqlite3.SQLITE_IOERR or (committing and code != sqlite3.SQLITE_FULL):
                self._break(error)
            self._roll_back()
            if self._broken:
                raise StoreUnavailable(self._broken) from error
            raise StoreUnavailable(f"The store refused to write: {error}. Nothing was changed; try again.") from error
        except BaseException as error:
            if committing:
                self._break(error)
            self._roll_back()
            raise

    def _break(self, error: BaseException) -> None:
        self._broken = (
            f"The disk failed: {error}. Whether the last change was kept is not known, so nothing more is written. See "
            "to the disk, then restart the controller: it reads what is there."
        )

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self._break(error)


def _code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for what the driver itself found wrong."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
