"""The store on a real file: what was committed is read back, what failed is not there, what is damaged is refused."""

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from weft.core.changes import Commit, CursorChange, LeaseChange, ResourceChange
from weft.model.errors import Compacted, StoreCorrupt, StoreLocked, StoreTooNew, StoreUnavailable
from weft.model.fabric import MacPoolProperties
from weft.model.leases import MAC_SCOPE, Holder, Lease, ip_scope
from weft.model.resources import Resource
from weft.store import rows as table_rows
from weft.store import schema
from weft.store.opening import FILE, MIGRATIONS
from weft.store.refusals import RefusedAddress
from weft.store.store import Agent, Answer, Retention, Store

IP6 = ip_scope("/virtualNetworks/blue", 6)
ADDRESS6 = 0xFD00_0000_0000_0000_0000_0000_0000_0001


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = opened_in(tmp_path)
    yield opened
    opened.close()


def opened_in(folder: Path) -> Store:
    ids = itertools.count(1)
    return Store.open(folder, lambda: f"id-{next(ids)}")


def pool(name: str = "Pool1", seconds: int = 3600) -> Resource[MacPoolProperties]:
    return Resource(
        resource_id=name, instance_id="i", etag='W/"1"', properties=MacPoolProperties(cool_down_seconds=seconds)
    )


def lease(scope: str, address: int) -> Lease:
    return Lease(scope, address, "assigned", (Holder("networkInterface", "/networkInterfaces/n1", "d", True),))


def granted(scope: str, address: int) -> LeaseChange:
    return LeaseChange(scope, address, None, lease(scope, address), "granted", "vm1", "host1", "asked")


def commit(revision: int, *changes: ResourceChange | LeaseChange | CursorChange, ledger: float = 5.0) -> Commit:
    return Commit(revision, 1000.5, ledger, changes, ("ann", "bob"))


def write(store: Store, one: Commit, answers: tuple[Answer, ...] = ()) -> None:
    store.commit(one, ["ann"] * len(one.changes), answers)


def test_a_new_store_is_empty_at_revision_0(store: Store) -> None:
    loaded = store.load()
    assert (loaded.generation, loaded.revision, loaded.ledger) == ("id-1", 0, 0.0)
    assert (loaded.resources, loaded.leases, loaded.cursors) == ({}, [], {})
    assert store.log(0) == []


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    first = opened_in(tmp_path)
    changes = (
        ResourceChange("macPools", "pool1", None, pool()),
        granted(MAC_SCOPE, 0x001DD8B71C00),
        granted(IP6, ADDRESS6),
        CursorChange("/macpools/pool1", 0, 2**100),
    )
    write(first, commit(1, *changes))
    first.close()
    second = opened_in(tmp_path)
    loaded = second.load()
    assert (loaded.generation, loaded.revision, loaded.ledger) == ("id-1", 1, 5.0)
    assert loaded.resources == {"macPools": [pool()]}
    assert sorted(loaded.leases, key=lambda one: one.scope) == [lease(IP6, ADDRESS6), lease(MAC_SCOPE, 0x001DD8B71C00)]
    assert loaded.cursors == {"/macpools/pool1": 2**100}
    assert second.log(0) == [commit(1, *changes)]
    second.close()


def test_a_commit_is_on_the_disk_when_it_returns(store: Store) -> None:
    journal = store._connection.execute("PRAGMA journal_mode").fetchone()
    synchronous = store._connection.execute("PRAGMA synchronous").fetchone()
    assert (journal, synchronous) == (("wal",), (2,)), "FULL is 2: without it a power cut takes back what was answered"


def test_a_row_changed_twice_in_a_revision_is_as_the_last_left_it(store: Store) -> None:
    made = ResourceChange("macPools", "a", None, pool("a"))
    gone = ResourceChange("macPools", "a", pool("a"), None)
    first, second = granted(MAC_SCOPE, 2), LeaseChange(MAC_SCOPE, 2, lease(MAC_SCOPE, 2), None, "released")
    write(store, commit(1, made, first, second, gone, CursorChange("p", 0, 1), CursorChange("p", 1, 2)))
    loaded = store.load()
    assert (loaded.resources, loaded.leases, loaded.cursors) == ({}, [], {"p": 2})
    assert [row.event for row in store.history(MAC_SCOPE, 2)] == ["granted", "released"]


def test_rows_are_replaced_and_deleted(store: Store) -> None:
    write(store, commit(1, ResourceChange("macPools", "pool1", None, pool()), granted(MAC_SCOPE, 2)))
    write(store, commit(2, ResourceChange("macPools", "pool1", pool(), pool(seconds=9))))
    assert store.load().resources == {"macPools": [pool(seconds=9)]}
    write(store, commit(3, LeaseChange(MAC_SCOPE, 2, lease(MAC_SCOPE, 2), None, "released")))
    assert store.load().leases == []


def test_history_names_the_holder_who_came_or_went(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2), granted(IP6, 2)))
    write(store, commit(2, LeaseChange(MAC_SCOPE, 2, lease(MAC_SCOPE, 2), None, "released")))
    rows = store.history(MAC_SCOPE, 2)
    assert [(r.event, r.holder, r.revision, r.actor) for r in rows] == [
        ("granted", "/networkInterfaces/n1", 1, "ann"),
        ("released", "/networkInterfaces/n1", 2, "ann"),
    ]
    assert (rows[0].machine, rows[0].host, rows[0].reason, rows[0].wall) == ("vm1", "host1", "asked", 1000.5)
    assert [row.event for row in store.history(MAC_SCOPE, 2, limit=1)] == ["released"]
    assert store.scopes_of((2).to_bytes(6, "big")) == [MAC_SCOPE]


def test_an_event_that_changes_nothing_names_whom_it_is_about(store: Store) -> None:
    both = tuple(Holder("networkInterface", f"/networkInterfaces/n{at}", "d", True) for at in (1, 2))
    twins = Lease(MAC_SCOPE, 2, "assigned", both)
    moved = LeaseChange(MAC_SCOPE, 2, twins, twins, "moved", "vm2", "host1", "", "/networkInterfaces/n2")
    write(store, commit(1, LeaseChange(MAC_SCOPE, 2, None, twins, "assigned")))
    write(store, commit(2, moved))
    assert table_rows.decode_changes(table_rows.encode_changes([moved])) == (moved,)
    assert [entry.holder for entry in store.history(MAC_SCOPE, 2)] == ["/networkInterfaces/n1", "/networkInterfaces/n2"]


def test_an_answer_is_kept_with_the_commit_and_alone(store: Store) -> None:
    answer = Answer("r1", 201, b"{}", 'W/"1"')
    write(store, commit(1, granted(MAC_SCOPE, 2)), (answer,))
    assert store.answers_of(["r1", "r2"]) == {"r1": answer}
    write(store, Commit(1, 1.0, 9.0, ()), (Answer("r2", 200, b""),))
    assert store.load().revision == 1
    assert store.load().ledger == 9.0
    assert [one.revision for one in store.log(0)] == [1]


def test_a_failing_commit_leaves_nothing(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2)))
    before = store.load()
    # revision 1 is in the log already: the transaction fails after the rows were written
    with pytest.raises(StoreUnavailable):
        write(store, commit(1, granted(MAC_SCOPE, 3)), (Answer("r1", 200, b""),))
    assert store.load() == before
    assert store.answers_of(["r1"]) == {}
    write(store, commit(2, granted(MAC_SCOPE, 3)))


def test_a_full_disk_refuses_and_leaves_nothing(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2)))
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    big = Resource(resource_id="x", tags={"t": "y" * 20_000}, properties=MacPoolProperties())
    with pytest.raises(StoreUnavailable, match="full"):
        write(store, commit(2, ResourceChange("macPools", "x", None, big)))
    assert store.load().revision == 1
    store._connection.execute("PRAGMA max_page_count=100000")
    write(store, commit(2, ResourceChange("macPools", "x", None, big)))


def test_the_log_says_compacted_below_and_above(store: Store) -> None:
    for revision in range(1, 11):
        write(store, commit(revision, granted(MAC_SCOPE, revision), ledger=float(revision)))
    assert [one.revision for one in store.log(7)] == [8, 9, 10]
    assert [one.revision for one in store.log(0, limit=2)] == [1, 2]
    assert store.compact(100.0, 0.0, Retention(log_s=95.5), limit=3) == 3
    assert store.compact(100.0, 0.0, Retention(log_s=95.5), limit=3) == 1
    assert store.compact(100.0, 0.0, Retention(log_s=95.5), limit=3) == 0
    with pytest.raises(Compacted):
        store.log(3)
    assert [one.revision for one in store.log(4)] == [5, 6, 7, 8, 9, 10]
    assert store.log(10) == []
    with pytest.raises(Compacted):
        store.log(11)


def test_compaction_keeps_so_many_revisions_and_so_old_answers(store: Store) -> None:
    for revision in range(1, 11):
        write(store, commit(revision, granted(MAC_SCOPE, 2)), (Answer(f"r{revision}", 200, b""),))
    assert store.compact(5.0, 0.0, Retention(log_revisions=4)) == 6
    with pytest.raises(Compacted):
        store.log(5)
    assert len(store.log(6)) == 4
    assert store.answers_of(["r1"])
    assert store.compact(100_000.0, 0.0, Retention(log_s=1e9)) == 10
    assert store.answers_of(["r1"]) == {}
    assert len(store.history(MAC_SCOPE, 2)) == 10
    assert store.compact(5.0, 1100.0, Retention(history_s=90.0), limit=4) == 4
    assert len(store.history(MAC_SCOPE, 2)) == 6


def test_a_log_that_was_emptied_is_compacted(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2)))
    assert store.compact(1e6, 0.0, Retention()) == 1
    with pytest.raises(Compacted):
        store.log(0)


def test_agents_are_remembered_from_their_first_visit(store: Store) -> None:
    store.remember_agent(Agent("host1", "lab", 10.0))
    store.remember_agent(Agent("host1", "", 20.0))
    assert store.agents() == [Agent("host1", "", 10.0)]
    store.forget_agent("host1")
    assert store.agents() == []


def test_a_second_controller_is_refused_and_told_who_has_it(tmp_path: Path, store: Store) -> None:
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}.*weft.lock"):
        opened_in(tmp_path)


def test_the_lock_falls_with_the_process(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from weft.store.store import Store
Store.open(Path({str(tmp_path)!r}), lambda: "g")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    opened_in(tmp_path).close()


@pytest.mark.parametrize("damage", ["text", "empty", "foreign", "middle", "no head"])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    made = opened_in(tmp_path)
    write(made, commit(1, *(granted(MAC_SCOPE, n) for n in range(2000))))
    made.close()
    path = tmp_path / FILE
    _break(path, damage)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="Nothing was written"):
        opened_in(tmp_path)
    assert path.read_bytes() == before
    path.unlink()
    opened_in(tmp_path).close()


def test_damage_found_after_a_crash_costs_neither_file_nor_wal(tmp_path: Path) -> None:
    code = f"""
import os, signal
from tests.unit.store.test_store import *
made = opened_in(Path({str(tmp_path)!r}))
write(made, commit(1, *(granted(MAC_SCOPE, n) for n in range(2000))))
made._connection.execute("PRAGMA wal_checkpoint(FULL)")
write(made, commit(2, *(granted(MAC_SCOPE, n) for n in range(2000, 2010))))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    path = tmp_path / FILE
    wal = path.with_name(f"{FILE}-wal")
    _break(path, "middle")
    before = path.read_bytes(), wal.read_bytes()
    with pytest.raises(StoreCorrupt, match="Nothing was written"):
        opened_in(tmp_path)
    assert (path.read_bytes(), wal.read_bytes()) == before


def _break(path: Path, damage: str) -> None:
    if damage == "text":
        path.write_bytes(b"these are no pages of a database\n" * 200)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "middle":
        content = bytearray(path.read_bytes())
        for page in range(3, len(content) // 4096):
            content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        path.write_bytes(content)
    else:
        if damage == "foreign":
            path.unlink()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE mine (a)" if damage == "foreign" else "DELETE FROM head")
        connection.commit()
        connection.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    opened_in(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreTooNew, match="9999.*0003, 0002, 0001"):
        opened_in(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_store_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").write_bytes(b"half")
    opened_in(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["weft.db", "weft.lock", "weft.mark"]


def test_the_migrations_make_the_tables_that_the_code_reads(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.SCHEMA
    opened_in(tmp_path).close()
    migrated, declared = create_engine(f"sqlite:///{tmp_path / FILE}"), create_engine("sqlite://")
    schema.metadata.create_all(declared)
    for name in schema.metadata.tables:
        assert _shape(migrated, name) == _shape(declared, name)
    migrated.dispose()
    declared.dispose()


def _shape(engine: object, table: str) -> object:
    found = inspect(engine)
    columns = [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)]
    indexes = [(i["name"], i["column_names"]) for i in found.get_indexes(table)]
    return columns, found.get_pk_constraint(table)["constrained_columns"], indexes, found.get_table_options(table)


def refused(asker: str = "n2", actor: str = "ann", address: int = 2) -> RefusedAddress:
    return RefusedAddress(MAC_SCOPE, address, f"/networkInterfaces/{asker}", actor, "PrivateMacAddressInUse")


def refuse(store: Store, *refusals: RefusedAddress, revision: int = 1, wall: float = 7200.0) -> None:
    store.commit(Commit(revision, wall, 5.0, ()), (), (), refusals)


def test_a_refusal_stands_in_the_history_after_what_its_revision_did(store: Store) -> None:
    store.commit(commit(1, granted(MAC_SCOPE, 2)), ["ann"], (), (refused(),))
    write(store, commit(2, LeaseChange(MAC_SCOPE, 2, lease(MAC_SCOPE, 2), None, "released")))
    refuse(store, refused(address=7), revision=2)
    events = store.history(MAC_SCOPE, 2)
    assert [row.event for row in events] == ["granted", "refused", "released"]
    assert (events[1].holder, events[1].actor, events[1].reason) == (
        "/networkInterfaces/n2",
        "ann",
        "PrivateMacAddressInUse",
    )
    assert (events[1].revision, events[1].wall, events[1].times, events[1].last) == (1, 1000.5, 1, 1000.5)
    assert [row.event for row in store.history(MAC_SCOPE, 2, limit=1)] == ["released"]
    assert store.scopes_of((7).to_bytes(6, "big")) == [MAC_SCOPE]
    assert [one.revision for one in store.log(0)] == [1, 2]


def test_the_tries_of_one_asker_in_an_hour_are_one_row(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2)))
    for second in range(100):
        refuse(store, refused(), refused(), wall=7200.0 + second)
    refuse(store, refused(actor="bob"), wall=7300.0)
    refuse(store, refused(), wall=10_800.0)
    rows = store.history(MAC_SCOPE, 2)[1:]
    assert [(row.actor, row.times, row.wall, row.last) for row in rows] == [
        ("ann", 200, 7200.0, 7299.0),
        ("bob", 1, 7300.0, 7300.0),
        ("ann", 1, 10_800.0, 10_800.0),
    ]


def test_an_address_keeps_its_newest_refusals_and_the_store_so_many(store: Store) -> None:
    write(store, commit(1, granted(MAC_SCOPE, 2)))
    for number in range(50):
        refuse(store, refused("first"), refused(f"n{number}"), wall=7200.0 + number)
    rows = store.history(MAC_SCOPE, 2)
    assert len(rows) == 1 + 32
    assert {row.holder.rpartition("/")[2] for row in rows[1:]} == {"first", *(f"n{n}" for n in range(19, 50))}
    assert rows[1].times == 50
    refuse(store, *(refused(address=address) for address in range(100, 150)))
    assert store.compact(5.0, 7300.0, Retention(refusals=50)) == 32
    assert len(store.history(MAC_SCOPE, 2)) == 1
    assert store.compact(5.0, 9000.0, Retention(history_s=90.0, log_s=1e9)) == 51
