"""`weft vm import --existing`: a machine that a host has already, as its agent tells it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import unix_connect

from tests.unit.cli.conftest import CLUSTER, Weft
from tests.unit.cli.hyperv_agents import Agent, listed
from tests.waiting import until
from weft.model.hypervisor import AdapterState, CheckpointState, MachineState

MAC = 0x525400AA0001
ADAPTER = AdapterState(MAC, switch="br-int")
OLD = CheckpointState("C-1", "before", (AdapterState(MAC + 9),))
THERE = (
    MachineState("", "Off", id="ID-1", name="Old shop", adapters=(ADAPTER,), checkpoints=(OLD,)),
    MachineState("", "Running", id="ID-2", name="till", adapters=(AdapterState(MAC + 1), AdapterState(MAC + 2))),
    MachineState("", "Off", id="ID-3", name="twin"),
    MachineState("", "Off", id="ID-4", name="twin"),
    MachineState("web1", "Off", id="ID-5", name="web1"),
)
BLUE = ("--subnet", "blue/web")


@pytest.fixture
def host(weft: Weft, controller: str) -> Iterator[None]:
    assert weft("apply", "-f", "-", stdin=CLUSTER).exit_code == 0
    with unix_connect(controller.removeprefix("unix:"), "ws://localhost/weft/v1/feed") as socket:
        Agent(socket, "host2", THERE, "libvirt")
        until(lambda: listed(weft, "*"))
        yield


def take_in(weft: Weft, *words: str) -> Any:
    result = weft("vm", "import", *words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["properties"]


def mac_of(weft: Weft, name: str) -> str:
    return str(json.loads(weft("get", "nic", name, "-o", "json").stdout)["properties"]["privateMacAddress"])


def test_what_its_host_tells_nobody_types(weft: Weft, host: None) -> None:
    made = take_in(weft, "shop", "--to", "host2", "--existing", "old SHOP", "--ip", "10.1.1.98", *BLUE)
    assert made["hypervisor"] == {"type": "libvirt", "id": "ID-1"}
    assert (made["powerState"], made["server"]["resourceRef"]) == ("Off", "/servers/host2")
    assert mac_of(weft, "shop-eth0") == "525400AA0001"
    assert "10.1.1.98" in weft("nic", "show", "shop-eth0").stdout
    twice = weft("vm", "import", "shop2", "--to", "host2", "--existing", "ID-1", *BLUE)
    assert (twice.exit_code, "ID-1 is /weft/virtualMachines/shop already" in twice.stderr) == (1, True), twice.output


def test_one_that_runs_comes_in_running_with_the_addresses_that_it_has(weft: Weft, host: None) -> None:
    words = ("till", "--to", "host2", "--existing", "id-2", *BLUE)
    refused = weft("vm", "import", *words, "--addresses", "new")
    assert (refused.exit_code, "id-2 runs with the addresses" in refused.stderr) == (2, True), refused.output
    dry = weft("vm", "import", *words, "--dry-run")
    assert dry.exit_code == 0 and "dry run" in dry.stderr
    assert take_in(weft, *words)["powerState"] == "Running"
    assert [mac_of(weft, f"till-eth{at}") for at in (0, 1)] == ["525400AA0002", "525400AA0003"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--existing", "till"), "Name it with --to HOST"),
        (("--to", "host1", "--existing", "till"), "host1 has no agent that is connected"),
        (("--to", "host2", "--existing", "nope"), "no machine nope; it has Old shop, till, twin, twin"),
        (("--to", "host2", "--existing", "Twin"), "2 machines Twin: name one by its id: ID-3, ID-4"),
        (("--to", "host2", "--existing", "web1"), "is Weft's already: weft vm show web1"),
        (("--to", "host2", "--existing", "till", "--mac", "02-00-00-00-00-01"), "leave out --mac"),
        (("--to", "host2", "--existing", "till", "--ip", "10.1.1.9"), "till has 2 adapters: give --ip"),
        (("-f", "x", "--existing", "till"), "give either NAME"),
    ],
)
def test_words_that_name_no_machine(weft: Weft, host: None, words: tuple[str, ...], why: str) -> None:
    name = () if "-f" in words else ("x",)
    result = weft("vm", "import", *name, *words)
    assert (result.exit_code, why in result.stderr) == (2, True), result.output
