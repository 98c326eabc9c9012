"""The benches work: each runs at its small size and answers the rows it promises. No time is judged."""

import json
from pathlib import Path

import pytest

from weft.bench.__main__ import BENCHES, main
from weft.bench.feed import frame_bytes
from weft.bench.load import UnexpectedAnswer, put, rate
from weft.bench.rows import Row, alternate, figure, keep
from weft.bench.servers import bare_endpoint

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
