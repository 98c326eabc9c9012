"""A disk that fails: nothing more is written, whatever it says later, until the store is opened anew."""

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from weft.core.changes import Commit, ResourceChange
from weft.model.errors import StoreUnavailable
from weft.model.fabric import MacPoolProperties
from weft.model.resources import Resource
from weft.store.samples import Sample
from weft.store.store import Agent, Retention, Store


def failure(code: int, words: str = "disk I/O error") -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(words)
    error.sqlite_errorcode = code
    return error


class Disk:
    """The store's connection, with a switch: what `fails` names is answered with the error, done or not."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self.fails = ""
        """A statement, by its first word."""
        self.error = failure(sqlite3.SQLITE_IOERR_FSYNC)
        self.done_all_the_same = False
        """A commit that the disk has, though it said that it failed."""

    def execute(self, sql: str, values=()):
        if self.fails and sql.startswith(self.fails):
            if self.done_all_the_same:
                self._connection.execute(sql, values)
            raise self.error
        return self._connection.execute(sql, values)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = opened_in(tmp_path)
    yield opened
    opened.close()


def opened_in(folder: Path) -> Store:
    ids = itertools.count(1)
    return Store.open(folder, lambda: f"id-{next(ids)}")


def failing(store: Store, fails: str) -> Disk:
    disk = Disk(store._connection)
    store._transactions._connection = disk
    disk.fails = fails
    return disk


def pool(revision: int) -> Commit:
    made = Resource(resource_id=f"p{revision}", instance_id=str(revision), properties=MacPoolProperties())
    return Commit(revision, 1.0, 1.0, (ResourceChange("macPools", f"p{revision}", None, made),))


def write(store: Store, one: Commit) -> None:
    store.commit(one, ["ann"] * len(one.changes))


@pytest.mark.parametrize("kept", [False, True])
def test_after_a_failed_commit_nothing_is_written_until_it_is_opened_anew(tmp_path: Path, kept: bool) -> None:
    store = opened_in(tmp_path)
    write(store, pool(1))
    disk = failing(store, "COMMIT")
    disk.done_all_the_same = kept
    with pytest.raises(StoreUnavailable, match="not known.* restart the controller"):
        write(store, pool(2))
    disk.fails = ""
    for again in (
        lambda: write(store, pool(2)),
        lambda: store.remember_agent(Agent("host1", "lab", 1.0)),
        lambda: store.compact(0.0, 0.0, Retention()),
        lambda: store.add_samples([Sample("p", 1.0, 1)]),
    ):
        with pytest.raises(StoreUnavailable, match="restart the controller"):
            again()
    assert [row.resource_id for row in store.load().resources["macPools"]][:1] == ["p1"], "reads go on"
    store.close()
    second = opened_in(tmp_path)
    assert second.load().revision == (2 if kept else 1)
    write(second, pool(second.load().revision + 1))
    second.close()


def test_a_disk_that_fails_before_the_commit_breaks_it_too(store: Store) -> None:
    disk = failing(store, "INSERT")
    with pytest.raises(StoreUnavailable, match="restart"):
        write(store, pool(1))
    disk.fails = ""
    with pytest.raises(StoreUnavailable, match="restart"):
        write(store, pool(1))
    assert store.load().revision == 0


def test_a_rollback_that_fails_breaks_it(store: Store) -> None:
    disk = failing(store, "ROLLBACK")
    with pytest.raises(ZeroDivisionError), store._transactions.one():
        raise ZeroDivisionError
    disk.fails = ""
    disk.execute("ROLLBACK")
    with pytest.raises(StoreUnavailable, match="restart"):
        write(store, pool(1))


def test_who_is_interrupted_in_the_commit_writes_no_more(store: Store) -> None:
    disk = failing(store, "COMMIT")
    disk.error, disk.done_all_the_same = KeyboardInterrupt(), True
    with pytest.raises(KeyboardInterrupt):
        write(store, pool(1))
    disk.fails = ""
    with pytest.raises(StoreUnavailable, match="restart"):
        write(store, pool(2))


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(store: Store) -> None:
    disk = failing(store, "COMMIT")
    disk.error = failure(sqlite3.SQLITE_FULL, "database or disk is full")
    with pytest.raises(StoreUnavailable, match="Nothing was changed; try again"):
        write(store, pool(1))
    disk.fails = ""
    write(store, pool(1))
    assert store.load().revision == 1
