"""`weft host evacuate` against a controller whose hosts have no agents: what is intended is the fact."""

from typing import Any, cast

import pytest

from tests.unit.cli.conftest import CLUSTER, Weft
from weft.cli import evacuate
from weft.cli.actions import NotAll
from weft.cli.show import Format
from weft.model.errors import NotFound
from weft.wire.client import Answer, Client, ControllerUnreachable


def test_a_host_is_emptied(weft: Weft) -> None:
    assert weft("apply", "-f", "-", stdin=CLUSTER).exit_code == 0
    assert weft("vm", "start", "web1").exit_code == 0
    refused = weft("host", "evacuate", "host1", "--to", "host1")
    assert refused.exit_code != 0 and "is the server that is to be empty" in refused.stderr
    for words in (("host", "evacuate", "host1", "--to", "host9"), ("vm", "migrate", "web1", "--to", "host9")):
        assert "There is no server 'host9': see which there are with weft get servers." in weft(*words).stderr, words
    done = weft("host", "evacuate", "host1", "--to", "host2")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "MACHINE  NOW ON\nweb1     host2\n"
    assert done.stderr.endswith("1 of 1 moved, 0 under way, 0 failed\n")


def test_a_host_without_machines_says_so_once(weft: Weft) -> None:
    assert weft("apply", "-f", "-", stdin=CLUSTER).exit_code == 0
    done = weft("host", "evacuate", "host2")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no machine is there\n")


def test_what_could_not_go_is_named_beside_what_went(capsys: pytest.CaptureFixture[str]) -> None:
    machines = [{"machine": {"resourceRef": f"/weft/virtualMachines/web{n}"}} for n in (1, 2)]
    answer = {
        "total": 2,
        "moved": [machines[0] | {"server": {"resourceRef": "/servers/host2"}}],
        "failed": [machines[1] | {"error": {"code": "ServerNotReady", "message": "no memory"}}],
        "underWay": [],
        "leaving": [],
    }
    with pytest.raises(NotAll, match="^web2: no memory$") as failed:
        evacuate.print_end(answer, Format.table)
    assert failed.value.code == "ServerNotReady"
    said = capsys.readouterr()
    assert said.out == "MACHINE  NOW ON\nweb1     host2\n"
    assert said.err == "1 of 2 moved, 0 under way, 1 failed\n"


class Restarted:
    """The client of a controller that began anew in the middle: silent for a moment, then without agents."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def post(self, path: str, body: Any) -> Answer:
        self.asked.append("post")
        failed = [{"error": {"code": "ServerNotReady"}}] if self.asked.count("post") == 2 else []
        first = len(self.asked) == 1
        answer = {"total": 2, "moved": [], "underWay": [], "leaving": [], "failed": failed}
        return Answer(200, answer | {"ended": not first})

    async def get(self, path: str) -> Any:
        self.asked.append("get")
        if self.asked.count("get") == 1:
            raise ControllerUnreachable("nobody answers.")
        raise NotFound("it was not evacuated since this controller began")


async def test_who_is_still_forwarded_to_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evacuate, "EVERY_S", 0.001)
    web1: dict[str, Any] = {
        "machine": {"resourceRef": "/weft/virtualMachines/web1"},
        "server": {"resourceRef": "/servers/host2"},
    }
    answer = {"total": 1, "moved": [web1], "underWay": [], "leaving": [web1], "failed": [], "ended": False}

    class Leaving(Restarted):
        async def post(self, path: str, body: Any) -> Answer:
            return Answer(202, answer)

        async def get(self, path: str) -> Any:
            self.asked.append("get")
            return answer | ({"leaving": [], "ended": True} if len(self.asked) == 3 else {})

    await evacuate._followed(cast(Client, Leaving()), "", {})
    line = "1 of 1 moved, 0 under way, 0 failed; it still forwards to web1, until every host knows where it is\n"
    assert capsys.readouterr().err == line
    web1["waitsFor"] = [{"resourceRef": "/servers/host3"}]
    assert evacuate._line(answer).endswith("it still forwards to web1, until host3 knows where it is")
    web1["waitsFor"] = [{"resourceRef": f"/servers/host{at}"} for at in range(7)]
    assert evacuate._line(answer).endswith("until 7 hosts know where it is")


def test_of_each_machine_that_leaves_it_says_what_is_known() -> None:
    def said(waits: dict[str, list[str]]) -> str:
        leaving = [
            {
                "machine": {"resourceRef": f"/weft/virtualMachines/{name}"},
                "waitsFor": [{"resourceRef": f"/servers/{host}"} for host in hosts],
            }
            for name, hosts in waits.items()
        ]
        line = evacuate._line({"total": 9, "moved": [], "underWay": [], "failed": [], "leaving": leaving})
        return line.partition("it still forwards to ")[2]

    assert said({"m2": [], "m1": ["host2"]}) == (
        "m1, until host2 knows where it is; to m2, until every host knows where it is"
    )
    assert said({"m3": ["host3", "host2"], "m2": ["host2"], "m1": ["host2", "host3"]}) == (
        "m1, m3, until host2, host3 know where they are; to m2, until host2 knows where it is"
    )
    many = said({f"m{at}": [f"host{at}"] for at in range(9)})
    assert many.startswith("m0, until host0 knows where it is; to m1, ") and many.endswith("; to 4 more")


async def test_across_a_restart_of_the_controller_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evacuate, "EVERY_S", 0.001)
    client = Restarted()
    found = await evacuate._followed(cast(Client, client), "", {})
    assert client.asked == ["post", "get", "get", "post", "post"]
    assert found["ended"] and not found["failed"]
    assert "nobody answers. Machines go on as they are" in capsys.readouterr().err


async def test_a_host_that_is_not_ready_ends_it_where_no_controller_was_away() -> None:
    class Unwilling(Restarted):
        async def post(self, path: str, body: Any) -> Answer:
            self.asked.append("post")
            return Answer(200, {"failed": [{"error": {"code": "ServerNotReady"}}], "ended": True})

    client = Unwilling()
    await evacuate._followed(cast(Client, client), "", {})
    assert client.asked == ["post"]
