"""`weft simulate` as a person runs it: tables, JSON, CSV, charts, and what it says when it cannot."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from weft.__main__ import commands

pytestmark = pytest.mark.slow
SMALL = ("simulate", "--hosts", "3", "--machines", "60", "--days", "3")


def simulated(*words: str) -> str:
    done = CliRunner().invoke(commands(), [*SMALL, *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: str) -> str:
    done = CliRunner().invoke(commands(), [*SMALL, *words])
    assert done.exit_code == 2
    assert done.stdout == ""
    return done.stderr


def test_a_row_per_strategy_and_the_seed_on_top() -> None:
    lines = simulated("--seed", "5").splitlines()
    assert lines[0] == "3 hosts, 1 from another's disk image, 60 machines, 3 days, seed 5"
    assert lines[2].startswith("STRATEGY")
    assert [line.split()[0] for line in lines[3:]] == ["hyperv", "blanked", "scvmm", "random", "hostRange", "weft"]
    assert lines[-1].split()[1:6] == ["0"] * 5


def test_strategies_are_chosen_by_name_in_the_order_given() -> None:
    lines = simulated("--strategies", "Weft, HOSTRANGE,weft", "--cloned-hosts", "0").splitlines()
    assert lines[0] == "3 hosts, 60 machines, 3 days, seed 1"
    assert [line.split()[0] for line in lines[3:]] == ["weft", "hostRange"]


def test_over_time_there_is_a_table_per_strategy() -> None:
    text = simulated("--strategies", "hyperv,weft", "--over-time")
    assert "hyperv: Hyper-V dynamic\nDAY  RUNNING  DUPLICATES NOW" in text
    assert "\n3    " in text.partition("weft: Weft\n")[2], "the last day"


def test_json_has_everything() -> None:
    document = json.loads(simulated("-o", "json", "--strategies", "hyperv,weft"))
    assert document["scale"] == {"hosts": 3, "machines": 60, "days": 3, "seed": 1, "clonedHosts": 1}
    hyperv, ours = document["strategies"]
    assert hyperv["strategy"] == "hyperv"
    assert hyperv["changed"] > ours["changed"] == 0
    assert set(ours["samples"][0]) == {
        *("at", "running", "duplicates", "changed", "failed", "used", "capacity", "fullest"),
    }


def test_csv_has_a_line_per_strategy_and_sample() -> None:
    rows = list(csv.DictReader(simulated("-o", "csv", "--strategies", "hyperv,weft").splitlines()))
    assert len(rows) == 480
    assert {row["strategy"] for row in rows} == {"hyperv", "weft"}
    assert float(rows[-1]["at"]) == 3 * 86_400


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    def bytes_with(hash_seed: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-m", "weft", *SMALL, "-o", "json"],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        ).stdout

    assert bytes_with("1") == bytes_with("2")


def test_a_reader_that_goes_away_is_no_error() -> None:
    words = [sys.executable, "-m", "weft", *SMALL, "-o", "json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None and run.stderr is not None
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait() == 141


def test_unknown_strategies_are_named_with_those_that_exist() -> None:
    assert "there is no strategy 'vcenter'; there are hyperv, blanked" in refused("--strategies", "weft,vcenter")
    assert "there are hyperv" in refused("--strategies", " , ")


# Charts


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_chart_is_the_same_for_the_same_seed(tmp_path: Path, kind: str) -> None:
    files = [tmp_path / f"{name}.{kind}" for name in "ab"]
    for file in files:
        done = CliRunner().invoke(commands(), [*SMALL, "--chart", str(file)])
        assert done.exit_code == 0, done.output
        assert done.stderr == f"chart: {file}\n"
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_a_chart_says_what_it_shows(tmp_path: Path) -> None:
    simulated("--seed", "77", "--chart", str(tmp_path / "life.svg"))
    text = (tmp_path / "life.svg").read_text()
    for words in ("Duplicates", "Changed identities", "Failed starts", "Fullest pool", "seed 77", "weft: one ledger"):
        assert words in text, words


def test_a_chart_needs_a_known_ending_and_a_folder(tmp_path: Path) -> None:
    assert "must end with .png or .svg" in refused("--chart", str(tmp_path / "life.gif"))
    assert "there is no folder" in refused("--chart", str(tmp_path / "nowhere" / "life.png"))


def test_a_chart_that_cannot_be_written_is_said_after_the_table(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    done = CliRunner().invoke(commands(), [*SMALL, "--chart", str(tmp_path / "taken.png")])
    assert done.exit_code == 2
    assert "STRATEGY" in done.stdout
    assert done.stderr.startswith(f"weft: Usage: --chart {tmp_path}/taken.png: ")


def test_without_matplotlib_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'python -m pip install "weft[sim]"' in refused("--chart", "life.png")


def test_other_commands_do_not_wait_for_matplotlib_or_the_core() -> None:
    code = "import sys, weft.sim.commands; print('matplotlib' in sys.modules, 'weft.core.decide' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
