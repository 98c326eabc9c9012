"""How full pools were: kept, found again, forgotten after a while."""

import itertools
from pathlib import Path

from weft.store.samples import Sample
from weft.store.store import Retention, Store


def opened_in(folder: Path) -> Store:
    ids = itertools.count(1)
    return Store.open(folder, lambda: f"id-{next(ids)}")


def test_the_last_sample_before_a_time_counts_else_the_first_after(tmp_path: Path) -> None:
    store = opened_in(tmp_path)
    store.add_samples([Sample("/macpools/a", 3600.0, 5), Sample("/macpools/b", 3600.0, 2**90)])
    store.add_samples([Sample("/macpools/a", 7200.0, 9), Sample("/macpools/a", 10_800.0, 12)])
    assert store.sample_at("/macpools/a", 8000.0) == Sample("/macpools/a", 7200.0, 9)
    assert store.sample_at("/macpools/a", 0.0) == Sample("/macpools/a", 3600.0, 5)
    assert store.sample_at("/macpools/c", 0.0) is None
    store.close()
    again = opened_in(tmp_path)
    assert again.sample_at("/macpools/b", 1e9) == Sample("/macpools/b", 3600.0, 2**90)
    again.close()


def test_samples_go_after_thirty_days_of_the_ledger(tmp_path: Path) -> None:
    store = opened_in(tmp_path)
    store.add_samples([Sample("p", hour * 3600.0, hour) for hour in range(1000)])
    now = 999 * 3600.0
    while store.compact(now, 0.0, Retention(), 100):
        pass
    oldest = store.sample_at("p", 0.0)
    assert oldest is not None and now - 31 * 86_400 < oldest.ledger - 3600 < oldest.ledger
    assert now - oldest.ledger <= 30 * 86_400
    store.close()
