"""A store that was put back from a copy begins a new generation, one that was left here keeps its own."""

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from weft.core.changes import Commit, CursorChange
from weft.store.generation import MARK
from weft.store.opening import FILE, LOCK
from weft.store.store import Store

_ids = itertools.count(1)


def opened(folder: Path) -> Store:
    return Store.open(folder, lambda: f"id-{next(_ids)}")


def generation(folder: Path) -> str:
    with closing(opened(folder)) as store:
        return store.load().generation


def write(store: Store, *revisions: int) -> None:
    for revision in revisions:
        store.commit(Commit(revision, 1.0, 1.0, (CursorChange("p", 0, revision),), ("ann",)), ["ann"])


def begun(folder: Path) -> str:
    with closing(opened(folder)) as store:
        write(store, 1, 2, 3)
        return store.load().generation


def copied(folder: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", f"{folder}/.", str(target)], check=True)


def backed_up(database: Path, target: Path) -> None:
    """What `.backup` and `.restore` of the sqlite3 shell do."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as into:
        source.backup(into)


def folder_in_place(folder: Path, copy: Path) -> None:
    """Every file keeps its inode."""
    copied(copy, folder)


def folder_anew(folder: Path, copy: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    copied(copy, folder)


def database_in_place(folder: Path, copy: Path) -> None:
    (folder / FILE).write_bytes((copy / FILE).read_bytes())


def database_anew(folder: Path, copy: Path) -> None:
    (folder / FILE).unlink()
    shutil.copy2(copy / FILE, folder / FILE)


def database_restored(folder: Path, copy: Path) -> None:
    backed_up(copy / FILE, folder / FILE)


WAYS = (folder_in_place, folder_anew, database_in_place, database_anew, database_restored)
Way = Callable[[Path, Path], None]


@pytest.mark.parametrize("more", [(), (4,)], ids=["idle", "went on"])
@pytest.mark.parametrize("put_back", WAYS)
def test_a_copy_of_an_earlier_run(tmp_path: Path, put_back: Way, more: tuple[int, ...]) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    first = begun(folder)
    copy.mkdir()
    copied(folder, copy)
    with closing(opened(folder)) as store:
        assert store.load().generation == first
        write(store, *more)
    put_back(folder, copy)
    second = generation(folder)
    assert second != first
    assert generation(folder) == second


@pytest.mark.parametrize("put_back", WAYS)
def test_a_copy_made_while_it_ran(tmp_path: Path, put_back: Way) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    first = begun(folder)
    copy.mkdir()
    with closing(opened(folder)) as store:
        write(store, 4)
        for name in (LOCK, MARK):
            shutil.copy2(folder / name, copy / name)
        backed_up(folder / FILE, copy / FILE)
        write(store, 5)
    put_back(folder, copy)
    assert generation(folder) != first


def test_a_copy_elsewhere_is_another_store(tmp_path: Path) -> None:
    first = begun(tmp_path / "data")
    (tmp_path / "other").mkdir()
    shutil.copy2(tmp_path / "data" / FILE, tmp_path / "other" / FILE)
    assert generation(tmp_path / "other") != first
    assert generation(tmp_path / "data") == first


@pytest.mark.parametrize("content", [None, b"", b"7\n", b"x" * 21])
def test_without_a_whole_mark_nothing_is_believed(tmp_path: Path, content: bytes | None) -> None:
    first = begun(tmp_path)
    (tmp_path / MARK).unlink()
    if content is not None:
        (tmp_path / MARK).write_bytes(content)
    assert generation(tmp_path) != first


def test_a_killed_controller_keeps_its_generation(tmp_path: Path) -> None:
    first = begun(tmp_path)
    code = f"""
import os, signal
from pathlib import Path
from tests.unit.store.test_generation import opened, write
store = opened(Path({str(tmp_path)!r}))
write(store, 4, 5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = str(Path(__file__).parents[3])
    killed = subprocess.run([sys.executable, "-c", code], check=False, cwd=root, env={**os.environ, "PYTHONPATH": root})
    assert killed.returncode == -9
    with closing(opened(tmp_path)) as store:
        assert (store.load().generation, store.load().revision) == (first, 5)
