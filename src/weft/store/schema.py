"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test compares the two.

Integers that may exceed 64 bits (addresses, cursors) are big-endian blobs: SQLite has no wider integer, and blobs of
one width sort as the numbers do. Bodies are JSON as the API answers it, so that a person can read them with any tool.
"""

from sqlalchemy import REAL, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA = "0004"
"""The migration that this code needs; a test holds it to the newest file in migrations/versions."""

metadata = MetaData()

head = Table(
    "head",
    metadata,
    Column("one", Integer, primary_key=True),
    Column("generation", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("ledger", REAL, nullable=False),
    Column("seal", Text, nullable=False, server_default=""),
    sqlite_strict=True,
)
"""One row. Every transaction writes it, which makes revisions dense and in commit order on any database.

`seal` is written by each run as it opens, see weft.store.generation.
"""

resources = Table(
    "resources",
    metadata,
    Column("kind", Text, primary_key=True, nullable=False),
    Column("id", Text, primary_key=True, nullable=False),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    sqlite_strict=True,
)
"""Key: kind's canonical name, resource id in lower case. `revision` is the last that changed it."""

leases = Table(
    "leases",
    metadata,
    Column("scope", Text, primary_key=True, nullable=False),
    Column("address", LargeBinary, primary_key=True, nullable=False),
    Column("state", Text, nullable=False),
    Column("until", REAL, nullable=False),
    Column("holders", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

cursors = Table(
    "cursors",
    metadata,
    Column("pool", Text, primary_key=True, nullable=False),
    Column("position", LargeBinary, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

log = Table(
    "log",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("wall", REAL, nullable=False),
    Column("ledger", REAL, nullable=False),
    Column("changes", LargeBinary, nullable=False),
    Column("actors", Text, nullable=False),
    sqlite_strict=True,
)
"""`changes` is MessagePack, see weft.store.rows."""

history = Table(
    "history",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("wall", REAL, nullable=False),
    Column("event", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("history_address", "address"),
    sqlite_strict=True,
)
"""What happened to each address. The index is by address alone: one asks where a MAC was, in whatever scope."""

refusals = Table(
    "refusals",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    Column("asker", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("first", REAL, nullable=False),
    Column("last", REAL, nullable=False),
    Column("times", Integer, nullable=False),
    Index("refusals_address", "address", "scope", "asker", "actor", "code", "hour", unique=True),
    sqlite_strict=True,
)
"""Who was refused an address. The same asker's tries of one hour (of the wall clock) are one row."""

requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True, nullable=False),
    Column("ledger", REAL, nullable=False),
    Column("wall", REAL, nullable=False),
    Column("status", Integer, nullable=False),
    Column("etag", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("requests_ledger", "ledger"),
    sqlite_strict=True,
)
"""Answers by x-ms-client-request-id, written in the transaction that they answer for."""

agents = Table(
    "agents",
    metadata,
    Column("server", Text, primary_key=True, nullable=False),
    Column("hypervisor", Text, nullable=False),
    Column("first_seen", REAL, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Servers whose agent has connected at least once: the managed ones. Key: server id in lower case."""

samples = Table(
    "samples",
    metadata,
    Column("pool", Text, primary_key=True, nullable=False),
    Column("ledger", REAL, primary_key=True, nullable=False),
    Column("used", LargeBinary, nullable=False),
    Index("samples_ledger", "ledger"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""How many addresses of a pool were not free, by the ledger's time."""
