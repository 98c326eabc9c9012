"""What the store makes is its owner's alone: it tells every tenant's addresses."""

import stat
from pathlib import Path

from weft.store.store import Store


def test_folder_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "data", lambda: "11111111-2222-4333-8444-000000000000")
    try:
        made = [tmp_path / "data", *(tmp_path / "data").glob("weft.db*")]
        assert len(made) >= 2
        assert {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made} == {p.name: 0 for p in made}
    finally:
        store.close()
