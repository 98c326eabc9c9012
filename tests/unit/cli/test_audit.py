"""`weft audit` as it is called: exit codes, the three forms, the schema. No controller is asked."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import Result

from tests.command_line import invoke
from tests.unit.core.audit.world import checkpoint, host, machine, nic, report
from weft.cli import audit_page
from weft.cli.audit_page import page
from weft.cli.audit_picture import ROWS
from weft.cli.audit_table import lines
from weft.cli.commands import app


def weft(*words: str, stdin: str | None = None) -> Result:
    return invoke(app, ["audit", *words], stdin, {"WEFT_CONTROLLER": "http://127.0.0.1:1"})


M = "02-00-00-00-00-01"
EVIL = """<script>alert(1)</script> & "it's" \u202e\x07"""


def clean() -> dict[str, Any]:
    return {"hosts": [host("n1")], "machines": [machine("a", "n1", nic(M, "static"))]}


def twins(second: str = "running") -> dict[str, Any]:
    other = machine("b", "n1", nic(M, "static"), power=second)
    return {**clean(), "machines": [*clean()["machines"], other]}


@pytest.fixture
def put(tmp_path: Path) -> Any:
    def write(content: Any) -> str:
        path = tmp_path / "inventory.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_exit_codes(put: Any) -> None:
    assert weft(put(clean())).exit_code == 0
    assert weft(put(twins())).exit_code == 1
    assert weft(put("{")).exit_code == 2
    assert weft("/nowhere/at/all").exit_code == 2
    assert weft().exit_code == 2
    assert weft("-", stdin=json.dumps(twins())).exit_code == 1


@pytest.mark.parametrize(("fail_on", "code"), [("notice", 1), ("warning", 1), ("critical", 0), ("Critical", 0)])
def test_fail_on_leaves_out_what_is_less_severe(put: Any, fail_on: str, code: int) -> None:
    found = weft(put(twins("off")), "--fail-on", fail_on)
    assert found.exit_code == code
    assert "duplicateAtStart" in found.output


def test_the_schema_is_printed_and_no_file_is_needed() -> None:
    schema = json.loads(weft("--schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(twins(), schema)


def test_faults_are_told_by_line_and_nothing_else(put: Any) -> None:
    found = weft(put('{"machines": [\n{"nam": 1}]}'))
    assert "inventory.json:2: there is no field `nam`" in found.stderr
    assert "weft: BadFile: 1 fault; nothing was audited" in found.stderr
    assert found.stdout == ""


def test_json_is_the_report(put: Any) -> None:
    found = json.loads(weft(put(twins()), "--format", "json").stdout)
    assert found["summary"]["critical"] == 1
    assert found["findings"][0]["code"] == "duplicateMac"


def test_a_report_goes_to_a_file(put: Any, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    found = weft(put(twins()), "--format", "html", "-o", str(target))
    assert (found.exit_code, found.stdout, "written to" in found.stderr) == (1, "", True)
    assert target.read_text().startswith("<!doctype html>")
    assert weft(put(twins()), "-o", str(tmp_path / "no" / "where")).exit_code == 2


def test_no_file_that_was_read_is_written_over_however_it_was_named(
    put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(put(clean()))
    link, other, report = tmp_path / "link.json", tmp_path / "other=1.json", tmp_path / "report.txt"
    link.symlink_to(file)
    other.hardlink_to(file)
    before = file.read_bytes()
    monkeypatch.chdir(tmp_path)
    for word in (str(file), f"n1={file}", "n1=./inventory.json", "n1=link.json", "other=1.json", ".", str(tmp_path)):
        for output in (file, link, other, Path(file.name)):
            found = weft(word, "-o", str(output))
            assert (found.exit_code, "name another file" in found.stderr) == (2, True), (word, output)
    assert file.read_bytes() == before
    assert weft("n1=inventory.json", "-o", str(report)).exit_code == 0
    assert weft("n1=inventory.json", "-o", str(report)).exit_code == 0, "a report is written anew"


# The table


def table(*arguments: Any, everything: bool = False) -> list[str]:
    return list(lines(report(*arguments), everything))


def test_the_table_has_eighty_columns_but_for_commands() -> None:
    hosts = [host("n1", "00-15-5D-01-05-00", "00-15-5D-01-05-FF"), host("n2", "00-15-5D-01-05-00", "00-15-5D-01-05-FF")]
    machines = [machine(f"machine-with-a-rather-long-name-{at}", "n1", nic(M)) for at in range(9)]
    text = table(hosts, machines)
    assert all(len(line) <= 80 for line in text if not line.startswith("    "))
    assert any(line.startswith("CRITICAL") for line in text)
    assert any(line.startswith("    Set-VMHost") for line in text)
    assert any(line.startswith("n1 ") and " 0 %" in line for line in text)


def test_a_clean_table_says_so() -> None:
    text = table([host("n1")], [machine("a", "n1", nic("000000000000"), power="off")])
    assert text == [
        "1 host, 1 machine, 1 interface, 0 checkpoints",
        "nothing found: every address is one machine's alone, and stays so",
        "waiting for their first start to get an address: 1 interface",
    ]


def test_many_findings_of_a_kind_are_cut_short_unless_all_are_asked_for() -> None:
    machines = [machine(f"m{at}", "n1", nic(f"01-00-00-00-00-{at:02X}")) for at in range(12)]
    text = table([host("n1")], machines)
    assert "* ... and 2 more: --all, or --format json" in text
    assert sum(line.startswith("* m") for line in text) == 10
    assert sum(line.startswith("* m") for line in table([host("n1")], machines, everything=True)) == 12
    hosts = [host(f"h{at}", f"00-15-5D-01-{at:02X}-00", f"00-15-5D-01-{at:02X}-FF") for at in range(12)]
    pool = {"name": "p", "first": "02-00-00-00-00-00", "last": "02-00-00-00-00-FF"}
    assert "... and 3 more ranges: --format json or html" in table(hosts, [], [pool])
    long = pool | {"name": "vCenter vc1.example.com (id 12)"}
    first, second = table([], [], [long, pool | {"first": "02-00-00-01-00-00", "last": "02-00-00-01-00-FF"}])[-2:]
    assert first.startswith("pool vCenter vc1.example.com (id 12)  02-00-") and first.index("02-") == second.index(
        "02-"
    )
    assert any(line.startswith("pool p") for line in table([], [], [pool]))


def test_remedies_that_differ_stand_with_their_findings() -> None:
    hosts = [host("n1", "00-15-5D-01-05-00", "00-15-5D-01-05-FF"), host("n2", "00-15-5D-01-06-00", "00-15-5D-01-06-FF")]
    moved = [machine("a", "n2", nic("00-15-5D-01-05-01")), machine("b", "n2", nic("00-15-5D-77-05-01"))]
    assert sum(line.startswith("  -> ") for line in table(hosts, moved)) == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = "\n".join(table([host("n1")], [machine(EVIL, "n1", nic(M, "static")), machine("b", "n1", nic(M, "static"))]))
    assert "\x07" not in text
    assert "\u202e" not in text


# The page


class _Reader(HTMLParser):
    """Checks that elements close as they opened, and keeps what a browser would run or load."""

    VOID = ("meta", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.scripts = 0
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.loaded += [f"{tag} {name}" for name, _ in attributes if name in ("src", "href") or name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loaded += [f"{tag} {name}" for name, _ in attributes if name in ("src", "href") or name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def busy() -> Any:
    """Overlapping ranges, a duplicate, an address away from home, one in a checkpoint, a nasty name everywhere."""
    first, last = "00-15-5D-01-05-00", "00-15-5D-01-05-FF"
    hosts = [host("n1", first, last), host(EVIL, first, last), host("n3", "00-15-5D-01-06-00", "00-15-5D-01-06-00")]
    saved = checkpoint(EVIL, nic("00-15-5D-01-05-77"))
    machines = [
        machine(EVIL, "n1", nic("00-15-5D-01-05-01"), checkpoints=[saved]),
        machine("b" * 40, EVIL, nic("00-15-5D-01-05-01", switch="LAN")),
        machine("away", "n3", nic("00-15-5D-01-05-09")),
        machine("new", "n1", nic("000000000000"), power="off"),
        machine("other", "n1", nic("52-54-00-00-00-01", "static", switch=EVIL)),
        *(machine(f"c{at}", "n1", nic("02-00-00-00-00-07", "static", vlan=4), power="off") for at in range(60)),
    ]
    return report(hosts, machines, [{"name": EVIL, "first": "02-00-00-00-00-00", "last": "02-00-00-00-00-FF"}])


def test_the_page_is_whole_loads_nothing_and_runs_nothing_of_the_inventory() -> None:
    text = page(busy())
    reader = read(text)
    assert reader.loaded == []
    assert reader.scripts == 1
    assert "<script>alert" not in text
    assert "<script>alert(1)</script>" in reader.text
    assert "\x07" not in text
    assert "default-src 'none'" in text
    assert "and 10 more" in reader.text
    assert not re.search(r"https?://", text)


def test_the_picture_shows_each_range_and_what_overlaps() -> None:
    text = page(busy())
    assert text.count('class="clash"') == 1
    for state in ("duplicate", "away", "captured", "used"):
        assert f'<rect class="{state}"' in text
    assert "outside of any range" in text


def test_a_page_without_ranges_or_findings() -> None:
    empty = page(report([], []))
    read(empty)
    assert "Nothing found" in empty
    assert "<svg" not in empty


def test_a_page_that_would_be_too_long_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_page, "MOST", 3)
    hosts = [host(f"h{at}", f"00-15-5D-{at:02X}-00-00", f"00-15-5D-{at:02X}-00-FF") for at in range(ROWS + 5)]
    machines = [machine(f"m{at}", "h1", nic(f"01-00-00-00-00-{at:02X}")) for at in range(9)]
    text = page(report(hosts, machines))
    read(text)
    assert text.count("<details") == 3
    assert "6 more findings are not shown" in text
    assert "6 more ranges are not drawn" in text


def test_colours_are_asked_for() -> None:
    found = report([host("n1")], [machine(name, "n1", nic(M, "static")) for name in "ab"])
    assert "\x1b[" in "".join(lines(found, False, colours=True))
    assert "\x1b[" not in "".join(lines(found, False))
