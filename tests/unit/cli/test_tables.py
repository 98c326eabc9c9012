"""What tables look like, on a terminal and in a pipe, and in which order."""

import io
import re
import sys

import pytest

from weft.cli import show
from weft.cli.host_state import host_tables
from weft.cli.names import by_name, natural

RECORD = "PortBinding f60e40ee-4e4b-49c8-ab72-d34f134cddd9"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_same_text_in_colour_and_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    printed = []
    for out in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", out)
        show.table(["host", "record"], [["host1", "-"], ["Running", RECORD]])
        printed.append(out.getvalue())
    monkeypatch.undo()
    on_terminal, piped = printed
    assert piped.splitlines() == ["HOST     RECORD", "host1    -", f"Running  {RECORD}"]
    assert "\x1b[" in on_terminal
    assert re.sub(r"\x1b\[[0-9;]*m", "", on_terminal) == piped


def test_names_sort_as_people_count() -> None:
    names = ["m10", "M2", "m1", "web-10", "web-9", "7", "m2a", "007"]
    assert sorted(names, key=natural) == ["7", "007", "m1", "M2", "m2a", "m10", "web-9", "web-10"]
    assert [each["resourceId"] for each in by_name([{"resourceId": "h10"}, {"resourceId": "h9"}])] == ["h9", "h10"]


def test_a_host_is_told_in_tables_without_json() -> None:
    found = {
        "server": {"resourceRef": "/servers/host1"},
        "managed": True,
        "connected": False,
        "hypervisor": None,
        "appliedRevision": 14,
        "revision": 15,
        "lag": 1,
        "drift": [],
        "foreign": ["port eth9"],
        "drops": {"spoofed": 4},
        "problems": [],
        "lastError": None,
        "machines": [
            {"machine": "m10", "power": "Running", "failure": None},
            {"machine": "m2", "power": "Off", "failure": "no disk"},
        ],
        "ports": [
            {
                "instanceId": "i1",
                "interface": {"resourceRef": "/networkInterfaces/a"},
                "state": "bound",
                "reason": None,
            },
            {"instanceId": "i2", "interface": None, "state": "closed", "reason": "why"},
        ],
    }
    idle = list(host_tables(found | {"noProviderAddress": "nothing here needs one"}))
    assert idle[0][1][-1] == ["provider address", "none: nothing here needs one"]
    waiting = ["host2 to apply it", "host3, whose agent is not connected"]
    told = list(host_tables(found | {"providerAddressesWaitFor": waiting}))
    assert (["provider addresses wait for"], [[one] for one in waiting]) in told
    tables = [rows for _, rows in host_tables(found)]
    assert "provider address" not in {row[0] for row in tables[0]}
    assert tables[0][:3] == [["server", "host1"], ["managed", "yes"], ["connected", "no"]]
    assert tables[1:] == [
        [["m2", "Off", "no disk"], ["m10", "Running", None]],
        [["a", "bound", None], ["i2", "closed", "why"]],
        [["spoofed", 4]],
        [["port eth9"]],
    ]
