"""Opens the SQLite file: lock, integrity, migrations. Called by weft.store.store alone.

Order matters: the lock first (nobody else looks at the file), then a check that reads only, and only then anything
that writes. A new file is made beside its final name and renamed once its schema is whole, so a file under the final
name that is empty or foreign is damage, never a fresh start.
"""

import fcntl
import functools
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from weft.model.errors import StoreCorrupt, StoreLocked, StoreTooNew
from weft.model.values import NewId
from weft.store.generation import Lock, trace_of
from weft.store.schema import SCHEMA

FILE = "weft.db"
LOCK = "weft.lock"

CACHE = "PRAGMA cache_size=-65536"
"""64 MB of pages for the commits."""

MIGRATIONS = Path(__file__).parent / "migrations"


def take_lock(folder: Path) -> Lock:
    """Hold the folder for this process; the kernel lets go when the process ends, however it ends.

    Returns the lock, whose descriptor must stay open. Raises StoreLocked.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreLocked(
            f"{folder} is in use by another controller, process {holder} (lock file {path}). "
            "Stop that one first, or give this one its own --data folder."
        ) from None
    found = trace_of(descriptor)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return Lock(descriptor, found, trace_of(descriptor))


def connect(path: Path) -> sqlite3.Connection:
    """A connection that begins and commits only when told to."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.execute("PRAGMA busy_timeout=2000")
    return connection


def engine_on(connection: sqlite3.Connection) -> Engine:
    """SQLAlchemy on that one connection, for migrations and reads."""
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)

    @event.listens_for(engine, "begin")
    def begin(started: Any) -> None:
        started.exec_driver_sql("BEGIN")

    return engine


def schema_of(path: Path) -> str:
    """Check the file without writing to it and return its schema mark. Raises StoreCorrupt.

    Read-only, since closing any other connection would write what a killed controller left in the WAL over the file
    and delete the WAL, whatever the check says.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return _checked(connection, path)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise StoreCorrupt(_damaged(path, "it is no database of Weft's")) from None
        raise StoreCorrupt(_damaged(path, str(error))) from error
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt(_damaged(path, str(error))) from error


def _checked(connection: sqlite3.Connection, path: Path) -> str:
    result = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != ("ok",):
        raise StoreCorrupt(_damaged(path, str(result[0])))
    marks = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(marks) != 1 or connection.execute("SELECT count(*) FROM head").fetchone() != (1,):
        raise StoreCorrupt(_damaged(path, "its schema mark or its head row is missing"))
    return str(marks[0][0])


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path} cannot be used: {why}. Nothing was written to it. "
        "Restore it from a backup (with its -wal file, if there is one), or move it away to begin with an empty store."
    )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to SCHEMA in one transaction: wholly or not at all. Raises StoreTooNew."""
    # Alembic takes a third of a second to import and is needed only here
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = engine_on(connection)
    try:
        with engine.begin() as transaction:
            config.attributes["connection"] = transaction
            command.upgrade(config, "head")
    except CommandError as error:
        known = ", ".join(s.revision for s in ScriptDirectory.from_config(config).walk_revisions())
        raise StoreTooNew(
            f"The store was written by a newer Weft: {error}. This one knows the schemas {known}. "
            "Run the newer version, or restore a backup made before the upgrade."
        ) from error


@functools.cache
def _empty() -> bytes:
    """A database of SCHEMA without a row, made once by a process however many stores it begins."""
    with closing(connect(Path(":memory:"))) as connection:
        migrate(connection)
        return connection.serialize()


def _create(folder: Path, new_id: NewId) -> None:
    fresh = folder / f"{FILE}.new"
    for leftover in folder.glob(f"{FILE}.new*"):
        leftover.unlink()
    fresh.touch(mode=0o600)
    fresh.write_bytes(_empty())
    with closing(connect(fresh)) as connection:
        # what is under this name is believed by nobody, and all of it is synced before it gets its own
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("INSERT INTO head (one, generation, revision, ledger) VALUES (1, ?, 0, 0.0)", (new_id(),))
    _sync(fresh)
    fresh.rename(folder / FILE)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_file(folder: Path, new_id: NewId) -> sqlite3.Connection:
    """The store's connection, checked and migrated; makes the file if there is none. Caller holds the lock.

    Raises StoreCorrupt or StoreTooNew; in both cases the file is as it was.
    """
    path = folder / FILE
    if not path.exists():
        _create(folder, new_id)
    mark = schema_of(path)
    connection = connect(path)
    try:
        if mark != SCHEMA:
            migrate(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(CACHE)
        connection.execute("PRAGMA wal_autocheckpoint=4000")
    except BaseException:
        connection.close()
        raise
    return connection
