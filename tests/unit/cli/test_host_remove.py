"""`weft host remove --force`: not while its agent is connected and machines run there."""

import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import unix_connect

from tests.unit.cli.conftest import CLUSTER, Weft
from tests.unit.cli.hyperv_agents import Agent
from tests.waiting import until
from weft.model.hypervisor import MachineState

THERE = (MachineState("web1", "Running", id="ID-1", name="web1"),)


@pytest.fixture
def host(weft: Weft, controller: str) -> Iterator[None]:
    """host1 has an agent, and web1 runs there."""
    assert weft("apply", "-f", "-", stdin=CLUSTER).exit_code == 0
    assert weft("vm", "start", "web1").exit_code == 0
    with unix_connect(controller.removeprefix("unix:"), "ws://localhost/weft/v1/feed") as socket:
        Agent(socket, "host1", THERE, "libvirt")
        until(lambda: json.loads(weft("host", "state", "host1", "-o", "json").stdout)["connected"])
        yield


def test_a_host_that_answers_is_not_removed_from_under_its_machines(weft: Weft, host: None) -> None:
    for words in (("--yes",), ("--dry-run",), ()):
        refused = weft("host", "remove", "host1", "--force", *words)
        assert (refused.exit_code, "deletes host1" in refused.stderr) == (1, False), refused.output
        assert refused.stderr.startswith("weft: ServerNotReady: The agent of 'host1' is connected, and machines (web1)")
        assert "ask with fenced (weft host remove host1 --force --fenced)" in refused.stderr
    assert "Running" in weft("vm", "list").stdout
    said = weft("host", "remove", "host1", "--force", "--fenced", "--yes")
    assert (said.exit_code, said.stdout) == (0, "servers/host1 deleted\n"), said.output
    assert "Off" in weft("vm", "list").stdout


def test_fenced_says_nothing_without_force(weft: Weft, host: None) -> None:
    refused = weft("host", "remove", "host1", "--fenced")
    assert (refused.exit_code, "--force" in refused.stderr) == (2, True), refused.output
