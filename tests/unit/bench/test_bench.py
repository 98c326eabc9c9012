"""The benches work: each runs at its small size and answers the rows it promises. No time is judged."""

import json
from pathlib import Path

import pytest

from weft.bench import p9
from weft.bench.__main__ import BENCHES, main
from weft.bench.feed import frame_bytes
from weft.bench.filled import Stores
from weft.bench.load import UnexpectedAnswer, put, rate
from weft.bench.p5 import taken
from weft.bench.rows import Row, alternate, figure, keep
from weft.bench.servers import bare_endpoint

pytestmark = pytest.mark.slow
MEMBERS = {"id", "case", "value", "unit", "yardstick", "yardstickValue", "ratio"}


def measured(name: str, tmp_path: Path) -> list[dict[str, object]]:
    results = tmp_path / "bench" / "results.json"
    assert main([name, "--size", "small", "--results", str(results)]) == 0
    rows: list[dict[str, object]] = json.loads(results.read_text())
    assert all(set(row) == MEMBERS for row in rows)
    return rows


def test_p1(tmp_path: Path) -> None:
    rows = measured("p1", tmp_path)
    cases = [row["case"] for row in rows if row["id"] == "P1"]
    assert [str(case).split(", ")[1] for case in cases[:4]] == ["1 client", "8 clients", "64 clients", "bulk of 50"]
    assert all(float(str(row["value"])) > 0 for row in rows)
    assert {row["yardstick"] for row in rows if row["id"] == "P1"} == {"trivial endpoint"}


def test_p4(tmp_path: Path) -> None:
    rows = {str(row["case"]): row for row in measured("P4", tmp_path)}
    start = rows["a machine starts: one lookup record"]
    assert start["yardstickValue"] == 19
    assert 19 < float(str(start["value"])) <= 64


def test_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", 0.05)
    rows = measured("REPORT", tmp_path)
    assert [str(row["case"]).partition(": ")[2] for row in rows] == [
        "all as before",
        "one machine has another name",
        "nothing is told, but a machine's record changed",
    ]
    assert {row["yardstick"] for row in rows} == {"decoding it"}


def test_unknown_bench_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["P1,P99", "--results", str(tmp_path / "r.json")]) == 2
    assert "there is no P99; there are P1, P4" in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()
    assert list(BENCHES)


def test_alternating_pairs_give_the_median_of_their_ratios() -> None:
    ours, other = iter([10.0, 40.0, 20.0]), iter([20.0, 50.0, 100.0])
    assert alternate(lambda: next(ours), lambda: next(other), 3) == (20.0, 50.0, 0.5)


def test_a_refused_request_is_no_result() -> None:
    with bare_endpoint() as address, pytest.raises(UnexpectedAnswer):
        rate(address, [put("/x", b"{}", "id", method="DELETE")], 1)


def test_every_request_is_answered_once() -> None:
    with bare_endpoint() as address:
        assert rate(address, [put(f"/{i}", b'{"a": 1}', str(i)) for i in range(50)], 8) > 0


def test_rows_are_kept_whole_and_figures_are_short(tmp_path: Path) -> None:
    keep([Row("P1", "c", 1.5, "u", "y", 3.0, 0.5)], tmp_path / "new" / "r.json")
    (row,) = json.loads((tmp_path / "new" / "r.json").read_text())
    assert (row["yardstickValue"], row["ratio"]) == (3.0, 0.5)
    assert [figure(v) for v in (12345.6, 0.123456, 41.0)] == ["12,346", "0.123", "41"]


def test_bytes_of_a_websocket_frame() -> None:
    assert [frame_bytes(n) for n in (0, 125, 126, 65535, 65536)] == [2, 127, 130, 65539, 65546]


def test_p9_fills_the_pool_as_far_as_it_says(tmp_path: Path) -> None:
    rows = [row for row in measured("P9", tmp_path) if row["id"] == "P9"]
    assert [str(row["case"]).split(", ")[-1] for row in rows] == ["0.0% full", "50.0% full", "99.9% full"]
    for fill, spread in ((0.5, 0.05), (0.999, 0.002)):
        pool = p9.desk(1 << 14, fill).state.space("/macpools/bench")
        assert pool is not None
        assert abs(pool.taken.used / pool.capacity - fill) < spread


def test_p5_and_start_load_what_was_filled(tmp_path: Path) -> None:
    rows = {row["id"]: row for row in [*measured("P5", tmp_path), *measured("START", tmp_path)]}
    assert {name: row["yardstick"] for name, row in rows.items()} == {"P5": "tuples", "START": "reading the rows"}
    assert all(float(str(row["value"])) > 0 for row in rows.values())


def test_a_filled_store_is_made_once_and_gone_after_the_run() -> None:
    stores = Stores()
    folder = stores.of(3)
    assert stores.of(3) == folder
    assert taken("rows", folder).count == taken("state", folder).count == taken("tuples", folder).count == 3
    with stores.take(3) as mine:
        assert mine == folder
    assert not folder.exists()
    stores.close()
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("name", "yardsticks"),
    [("RESTORE", ["a request each"]), ("AUDIT", ["reading the inventory", "json.loads of the file"])],
)
def test_restore_and_audit(tmp_path: Path, name: str, yardsticks: list[str]) -> None:
    rows = measured(name, tmp_path)
    assert [(row["id"], row["yardstick"]) for row in rows] == [(name, each) for each in yardsticks]
    assert all(float(str(row["value"])) > 0 for row in rows)


@pytest.mark.soak
@pytest.mark.root
def test_p7(tmp_path: Path) -> None:
    rows = measured("P7", tmp_path)
    beside = ["plain veth", "plain Open vSwitch bridge", "kernel VXLAN and bridge"]
    assert [row["yardstick"] for row in rows] == ["two static flows"] * 3 + [name for name in beside for _ in range(3)]
    assert all(float(str(row["value"])) > 0 for row in rows)


@pytest.mark.soak
@pytest.mark.root
def test_p6_measures_a_port_under_a_list(tmp_path: Path) -> None:
    rows = [row for row in measured("P6", tmp_path) if row["id"] == "P6.list"]
    assert [str(row["case"]).split(", ")[-1] for row in rows] == [
        "all from records",
        "built only",
        "one rule changed",
        "one rule of 50 changed",
    ]
    assert all(float(str(row["value"])) > 0 for row in rows)


@pytest.mark.soak
@pytest.mark.root
def test_p8_loses_nothing(tmp_path: Path) -> None:
    lost, gap = measured("P8", tmp_path)
    assert [row["yardstick"] for row in (lost, gap)] == ["no forwarding at the source"] * 2
    assert (lost["value"], lost["unit"], gap["unit"]) == (0, "pings", "ms")
    assert float(str(gap["value"])) > 0 and float(str(gap["yardstickValue"])) > 0


@pytest.mark.soak
@pytest.mark.root
def test_edges_are_made_taken_over_and_changed(tmp_path: Path) -> None:
    rows = measured("EDGES", tmp_path)
    assert [str(row["case"]) for row in rows[::2]] == [
        "all 3 made: processor time of one",
        "all 3 taken over: processor time of one",
        "one of 3 changed: processor time of one",
    ]
    assert all(float(str(row["value"])) > 0 for row in rows)
