"""The embedded store: one SQLite file, one process, one write transaction per revision.

Called by weft.control on its event loop; every call blocks for as long as the disk takes and none is thread-safe.
commit() is all or nothing. Once the disk has failed it is not known any more what it has: every further write is
refused until the store is opened anew. Another database would offer the same functions; no SQL stands outside this
package.
"""

import math
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, select, union
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert

from weft.core.changes import Change, Commit, LeaseChange, ResourceChange
from weft.model.errors import Compacted, StoreUnavailable
from weft.model.leases import Lease
from weft.model.values import NewId
from weft.store import refusals, rows, samples, schema
from weft.store.generation import Lock, Mark, settle
from weft.store.opening import CACHE, engine_on, open_file, take_lock
from weft.store.refusals import RefusedAddress
from weft.store.samples import Sample
from weft.store.sharing import Sharing
from weft.store.transactions import Transactions


class Answer(msgspec.Struct, frozen=True):
    """What was answered to a request id: a retry gets it again, byte for byte."""

    request_id: str
    status: int
    body: bytes
    etag: str = ""


class Loaded(msgspec.Struct, frozen=True):
    """Everything at the newest revision. Resources stand under the name of their kind."""

    generation: str
    revision: int
    ledger: float
    resources: dict[str, list[Any]]
    leases: list[Lease]
    cursors: dict[str, int]


class HistoryRow(msgspec.Struct, frozen=True):
    """One event in the life of an address, oldest first where several are answered."""

    scope: str
    address: int
    revision: int
    wall: float
    event: str
    holder: str
    machine: str
    host: str
    actor: str
    reason: str
    """Of a refusal the error's code."""
    times: int = 1
    """Refusals alone are counted: the same asker's tries of one hour are one row, `wall` is the first."""
    last: float | None = None


class Agent(msgspec.Struct, frozen=True):
    """A managed server: its agent has connected at least once."""

    server: str
    hypervisor: str
    first_seen: float


class Retention(msgspec.Struct, frozen=True):
    """Bounds of what is kept. `history_s` None keeps address history for ever; else it counts wall seconds."""

    log_s: float = 86_400.0
    log_revisions: int = 1_000_000
    requests_s: float = 86_400.0
    history_s: float | None = None
    samples_s: float = 30 * 86_400.0
    """Of how full pools were; ledger seconds."""
    refusals: int = 100_000
    """Rows of refused addresses, all addresses together."""


def _sql(statement: Any) -> str:
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


def _upsert(table: Table) -> str:
    statement = insert(table).values({column.name: bindparam(column.name) for column in table.columns})
    keys = [column.name for column in table.primary_key]
    rest = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return _sql(statement.on_conflict_do_update(index_elements=keys, set_=rest))


def _append(table: Table, columns: Sequence[str]) -> str:
    return _sql(insert(table).values({name: bindparam(name) for name in columns}))


_HISTORY = [column.name for column in schema.history.columns if column.name != "number"]
_PUT_RESOURCE = _upsert(schema.resources)
_PUT_LEASE = _upsert(schema.leases)
_PUT_CURSOR = _upsert(schema.cursors)
_PUT_REQUEST = _upsert(schema.requests)
_PUT_AGENT = _upsert(schema.agents)
_ADD_LOG = _append(schema.log, [column.name for column in schema.log.columns])
_ADD_HISTORY = _append(schema.history, _HISTORY)
_ALL_LEASES = "SELECT scope, address, state, until, holders, reason FROM leases"
_DROP_RESOURCE = "DELETE FROM resources WHERE kind = ? AND id = ?"
_DROP_LEASE = "DELETE FROM leases WHERE scope = ? AND address = ?"
_DROP_AGENT = "DELETE FROM agents WHERE server = ?"
_RAISE_HEAD = "UPDATE head SET revision = ?, ledger = ? WHERE one = 1"
# one statement for a whole batch: asked one by one, ids that nobody has used yet cost a tenth of a grant
_FIND_ANSWERS = (
    "SELECT request_id, status, body, etag FROM requests WHERE request_id IN (SELECT value FROM json_each(?))"
)


class Store:
    """Use Store.open. Public: load, commit, log, history, answers_of, agents, remember_agent, forget_agent, compact."""

    def __init__(self, connection: sqlite3.Connection, mark: Mark, lock: Lock) -> None:
        self._connection = connection
        self._engine = engine_on(connection)
        self._mark = mark
        self._lock = lock
        self._transactions = Transactions(connection)

    @classmethod
    def open(cls, folder: Path, new_id: NewId) -> "Store":
        """Open or make the store in `folder`; one put back from a copy gets a new generation.

        Raises StoreLocked, StoreCorrupt, StoreTooNew.
        """
        # who may read it learns every tenant's addresses: the owner alone
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = take_lock(folder)
        with ExitStack() as undo:
            undo.callback(os.close, lock.descriptor)
            connection = open_file(folder, new_id)
            undo.callback(connection.close)
            mark = Mark(folder)
            undo.callback(mark.close)
            settle(connection, mark, lock, new_id)
            undo.pop_all()
        return cls(connection, mark, lock)

    def close(self) -> None:
        self._engine.dispose()
        self._connection.close()
        self._mark.close()
        os.close(self._lock.descriptor)

    def load(self) -> Loaded:
        """Everything, for State.load; a million interfaces with their machines take about ten seconds."""
        share = Sharing()
        # read without SQLAlchemy, whose rows leave a third more memory behind
        read = self._connection.execute
        # a scan has no use for many pages, nor commits for those that it would leave in the cache
        read("PRAGMA cache_size=-2048")
        read("BEGIN")
        try:
            generation, revision, ledger = read("SELECT generation, revision, ledger FROM head").fetchone()
            resources: dict[str, list[Any]] = {}
            for kind, body in read("SELECT kind, body FROM resources"):
                resources.setdefault(kind, []).append(share.resource(kind, rows.decode_body(kind, body)))
            leases = [rows.lease_of(row, share) for row in read(_ALL_LEASES)]
            cursors = {pool: rows.unpack_number(at) for pool, at in read("SELECT pool, position FROM cursors")}
        finally:
            read("COMMIT")
            read(CACHE)
        return Loaded(generation, revision, ledger, resources, leases, cursors)

    def commit(
        self,
        commit: Commit,
        actors: Sequence[str],
        answers: Sequence[Answer] = (),
        refused: Sequence[RefusedAddress] = (),
    ) -> None:
        """Write one revision in one transaction: final rows, log, history with refusals, answers, head.

        `actors` has one name per change. A commit without changes writes no log and must carry the revision that the
        head already has: it records the ledger's time, answers and refusals only. Raises StoreUnavailable, then nothing
        is kept.
        """
        with self._transactions.one() as write:
            if commit.changes:
                self._write_rows(commit)
                line = (commit.revision, commit.wall, commit.ledger, rows.encode_changes(commit.changes))
                write.execute(_ADD_LOG, (*line, ",".join(commit.actors)))
                write.executemany(_ADD_HISTORY, _history_rows(commit, actors))
            if answers:
                times = (commit.ledger, commit.wall)
                write.executemany(_PUT_REQUEST, [(a.request_id, *times, a.status, a.etag, a.body) for a in answers])
            if refused:
                refusals.write(write, refused, commit.revision, commit.wall)
            write.execute(_RAISE_HEAD, (commit.revision, commit.ledger))
        self._mark.write(commit.revision)

    def _write_rows(self, commit: Commit) -> None:
        """A row that several changes touch is written once, as the last leaves it."""
        resources, leases, cursors = _final(commit.changes)
        write = self._connection
        put = [(k, i, rows.encode_body(r), commit.revision) for (k, i), r in resources.items() if r is not None]
        write.executemany(_PUT_RESOURCE, put)
        write.executemany(_DROP_RESOURCE, [key for key, resource in resources.items() if resource is None])
        packed = [(scope, rows.pack_address(scope, number), lease) for (scope, number), lease in leases.items()]
        write.executemany(_PUT_LEASE, [rows.lease_row(lease, key) for _, key, lease in packed if lease is not None])
        write.executemany(_DROP_LEASE, [(scope, key) for scope, key, lease in packed if lease is None])
        write.executemany(_PUT_CURSOR, [(pool, rows.pack_number(position)) for pool, position in cursors.items()])

    def log(self, after: int, limit: int = 1000) -> list[Commit]:
        """The commits that follow revision `after`, oldest first, at most `limit`; empty at the head.

        Raises Compacted if the log no longer reaches back, or has never been so far.
        """
        table = schema.log
        with self._engine.connect() as reader:
            newest = reader.execute(select(schema.head.c.revision)).scalar_one()
            found = reader.execute(
                select(table).where(table.c.revision > after).order_by(table.c.revision).limit(limit)
            ).all()
        if after > newest or (after < newest and (not found or found[0].revision != after + 1)):
            raise Compacted(f"Changes after revision {after} are no longer kept: read everything anew, then watch.")
        return [
            Commit(row.revision, row.wall, row.ledger, rows.decode_changes(row.changes), _names(row.actors))
            for row in found
        ]

    def history(self, scope: str, address: int, limit: int = 1000) -> list[HistoryRow]:
        """What happened to an address in one scope, oldest first; of more than `limit` events the newest."""
        table = schema.history
        packed = rows.pack_address(scope, address)
        wanted = (table.c.address == packed) & (table.c.scope == scope)
        with self._engine.connect() as reader:
            found = reader.execute(
                select(*(table.c[name] for name in _HISTORY)).where(wanted).order_by(table.c.number.desc()).limit(limit)
            ).all()
        granted = [HistoryRow(row[0], address, *row[2:]) for row in reversed(found)]
        tries = refusals.of(self._connection, scope, packed)
        if not tries:
            return granted
        refused = [
            HistoryRow(in_scope, address, revision, first, refusals.EVENT, asker, "", "", actor, code, times, last)
            for in_scope, revision, first, asker, actor, code, times, last in tries
        ]
        # the sort is stable: what a revision did stands before what it refused
        return sorted((*granted, *refused), key=lambda row: row.revision)[-limit:]

    def scopes_of(self, packed: bytes) -> list[str]:
        """Every scope in which an address (6, 4 or 16 bytes) has a history."""
        tables = (schema.history, schema.refusals)
        known = (select(table.c.scope).where(table.c.address == packed) for table in tables)
        with self._engine.connect() as reader:
            return list(reader.execute(union(*known)).scalars())

    def answers_of(self, request_ids: Sequence[str]) -> dict[str, Answer]:
        """The answers that were committed for these request ids, where one is kept. Raises StoreUnavailable."""
        try:
            found = self._connection.execute(_FIND_ANSWERS, (msgspec.json.encode(request_ids).decode(),)).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The store cannot be read: {error}. Try again.") from error
        return {row[0]: Answer(*row) for row in found}

    def agents(self) -> list[Agent]:
        with self._engine.connect() as reader:
            return [Agent(*row) for row in reader.execute(select(schema.agents))]

    def remember_agent(self, agent: Agent) -> None:
        """Durable at return; the time of the first call for a server is kept. Raises StoreUnavailable."""
        known = {one.server: one for one in self.agents()}.get(agent.server)
        first = agent.first_seen if known is None else known.first_seen
        self._one(_PUT_AGENT, (agent.server, agent.hypervisor, first))

    def forget_agent(self, server: str) -> None:
        self._one(_DROP_AGENT, (server,))

    def _one(self, sql: str, values: tuple[Any, ...]) -> int:
        with self._transactions.one() as write:
            return write.execute(sql, values).rowcount

    def add_samples(self, found: Sequence[Sample], anew: Iterable[str] = ()) -> None:
        """Keep how full pools were; what was kept of pools in `anew` goes. Raises StoreUnavailable."""
        with self._transactions.one() as write:
            samples.write(write, found, anew)

    def sample_at(self, pool: str, since: float) -> Sample | None:
        """How full a pool was at ledger second `since`: the last sample before, else the first after; None without."""
        return samples.first(self._connection, pool, since)

    def compact(self, ledger: float, wall: float, keep: Retention, limit: int = 5000) -> int:
        """Delete what is older than `keep` allows, at most `limit` rows of each table; returns how many went.

        Call it now and then until it returns 0. Raises StoreUnavailable.
        """
        total = 0
        total += self._one(_OLD_LOG, (ledger - keep.log_s, keep.log_revisions, limit))
        total += self._one(_OLD_REQUESTS, (ledger - keep.requests_s, limit))
        oldest = -math.inf if keep.history_s is None else wall - keep.history_s
        total += self._one(refusals.OLD, (oldest, keep.refusals, limit))
        total += self._one(samples.OLD, (ledger - keep.samples_s, limit))
        if keep.history_s is not None:
            total += self._one(_OLD_HISTORY, (wall - keep.history_s, limit))
        return total


# Each looks only at its oldest rows, by an index, so a call costs what it deletes and not what is kept.
_OLD_LOG = """
DELETE FROM log WHERE revision IN (
  SELECT revision FROM (SELECT revision, ledger FROM log ORDER BY revision LIMIT ?3)
  WHERE ledger < ?1 OR revision <= (SELECT revision FROM head) - ?2)
"""
_OLD_REQUESTS = """
DELETE FROM requests WHERE request_id IN (
  SELECT request_id FROM requests WHERE ledger < ?1 ORDER BY ledger LIMIT ?2)
"""
_OLD_HISTORY = """
DELETE FROM history WHERE number IN (
  SELECT number FROM (SELECT number, wall FROM history ORDER BY number LIMIT ?2) WHERE wall < ?1)
"""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _final(
    changes: Sequence[Change],
) -> tuple[dict[tuple[str, str], Any], dict[tuple[str, int], Lease | None], dict[str, int]]:
    resources: dict[tuple[str, str], Any] = {}
    leases: dict[tuple[str, int], Lease | None] = {}
    cursors: dict[str, int] = {}
    for change in changes:
        if isinstance(change, LeaseChange):
            leases[change.scope, change.address] = change.after
        elif isinstance(change, ResourceChange):
            resources[change.kind, change.id] = change.after
        else:
            cursors[change.pool] = change.after
    return resources, leases, cursors


def _history_rows(commit: Commit, actors: Sequence[str]) -> list[tuple[Any, ...]]:
    revision, wall = commit.revision, commit.wall
    found: list[tuple[Any, ...]] = []
    for change, actor in zip(commit.changes, actors, strict=True):
        if isinstance(change, LeaseChange):
            c = change
            packed = rows.pack_address(c.scope, c.address)
            holder = rows.concerned_holder(c)
            row = (c.scope, packed, revision, wall, c.event, holder, c.machine, c.host, actor, c.reason)
            found.append(row)
    return found
