"""`weft host evacuate` against a controller whose hosts have no agents: what is intended is the fact."""

import pytest

from tests.unit.cli.conftest import CLUSTER, Weft
from weft.cli import evacuate
from weft.cli.actions import NotAll
from weft.cli.show import Format


def test_a_host_is_emptied(weft: Weft) -> None:
    assert weft("apply", "-f", "-", stdin=CLUSTER).exit_code == 0
    assert weft("vm", "start", "web1").exit_code == 0
    refused = weft("host", "evacuate", "host1", "--to", "host1")
    assert refused.exit_code != 0 and "is the server that is to be empty" in refused.stderr
    done = weft("host", "evacuate", "host1", "--to", "host2")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "MACHINE  NOW ON\nweb1     host2\n"
    assert done.stderr.endswith("1 of 1 moved, 0 under way, 0 failed\n")


def test_what_could_not_go_is_named_beside_what_went(capsys: pytest.CaptureFixture[str]) -> None:
    machines = [{"machine": {"resourceRef": f"/weft/virtualMachines/web{n}"}} for n in (1, 2)]
    answer = {
        "total": 2,
        "moved": [machines[0] | {"server": {"resourceRef": "/servers/host2"}}],
        "failed": [machines[1] | {"error": {"code": "ServerNotReady", "message": "no memory"}}],
        "underWay": [],
    }
    with pytest.raises(NotAll, match="^web2: no memory$") as failed:
        evacuate.print_end(answer, Format.table)
    assert failed.value.code == "ServerNotReady"
    said = capsys.readouterr()
    assert said.out == "MACHINE  NOW ON\nweb1     host2\n"
    assert said.err == "1 of 2 moved, 0 under way, 1 failed\n"
