"""`weft host range` and `weft host addresses` on a whole controller."""

import json
from typing import Any

from tests.unit.cli.conftest import Weft

HOSTS = """\
kind: servers
resourceId: hv1
properties: {dynamicMacRange: {first: 00-15-5D-00-00-00, last: 00-15-5D-00-00-FF}}
---
kind: servers
resourceId: hv2
properties: {dynamicMacRange: {first: 00-15-5D-00-00-00, last: 00-15-5D-00-00-FF}}
---
kind: networkInterfaces
resourceId: n1
properties: {privateMacAllocationMethod: Static, privateMacAddress: 00-15-5D-00-00-07}
"""
NEXT = {"first": "00-15-5D-00-01-00", "last": "00-15-5D-00-01-FF"}


def said(weft: Weft, *words: str, stdin: str | None = None) -> str:
    result = weft(*words, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def wanted(weft: Weft, server: str) -> Any:
    return json.loads(said(weft, "host", "range", server, "-o", "json"))["wantedDynamicMacRange"]


def test_the_proposal_is_applied_and_the_cmdlet_printed_where_there_is_no_agent(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=HOSTS)
    assert "00-15-5D-00-01-00 to 00-15-5D-00-01-FF" in said(weft, "host", "range", "hv2")
    assert NEXT["first"] in said(weft, "host", "range", "hv2", "--apply", "--dry-run")
    assert wanted(weft, "hv2") is None
    line = "Set-VMHost -ComputerName 'hv2' -MacAddressMinimum 00155D000100 -MacAddressMaximum 00155D0001FF\n"
    applied = weft("host", "range", "hv2", "--apply")
    assert (applied.stdout, applied.exit_code) == (line, 0)
    assert "has no agent" in applied.stderr
    assert wanted(weft, "hv2") == NEXT
    assert said(weft, "host", "range", "hv2").endswith(line)
    # nobody else is offered what it waits for
    assert json.loads(said(weft, "host", "range", "hv1", "-o", "json"))["proposal"]["first"] == "00-15-5D-00-02-00"


def test_a_range_of_ones_own_is_applied_or_refused(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=HOSTS)
    own = ("00155D070000", "00:15:5d:07:00:ff")
    found = json.loads(said(weft, "host", "range", "hv1", *own, "--apply", "-o", "json"))
    assert found["wantedDynamicMacRange"] == {"first": "00-15-5D-07-00-00", "last": "00-15-5D-07-00-FF"}
    clash = weft("host", "range", "hv2", *own, "--apply")
    assert (clash.exit_code, "/servers/hv1" in clash.stderr) == (1, True)
    for words in (own, own[:1], (*own[:1], "--apply"), ("no", "address", "--apply")):
        assert weft("host", "range", "hv1", *words).exit_code == 2


def test_the_registry_values_of_a_cloned_host(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=HOSTS)
    lines = said(weft, "host", "range", "hv2", "--registry").splitlines()
    assert lines[0].endswith(r"\Virtualization' -Name MinimumMacAddress, MaximumMacAddress")
    assert r"\Virtualization\Worker' -Name CurrentMacAddress" in lines[1]
    assert lines[2] == "Restart-Service vmms"


def test_what_is_free_in_a_hosts_range_and_who_has_the_rest(weft: Weft) -> None:
    said(weft, "apply", "-f", "-", stdin=HOSTS)
    shown = weft("host", "addresses", "hv1")
    assert "dynamicMacRange 00-15-5D-00-00-00 to 00-15-5D-00-00-FF: 255 of 256 free" in shown.stderr
    rows = shown.stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["00-15-5D-00-00-00", "00-15-5D-00-00-07", "00-15-5D-00-00-08"]
    assert "n1" in rows[1]
    (held,) = json.loads(said(weft, "host", "addresses", "hv1", "--state", "assigned", "-o", "json"))
    assert held["address"] == "00-15-5D-00-00-07"
    assert weft("host", "addresses", "host1").exit_code == 1
