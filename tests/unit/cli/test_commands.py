"""The commands against a whole controller."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from tests.powershell import faults
from tests.unit.cli.conftest import Weft
from weft.cli import columns
from weft.cli.commands import app
from weft.model.kinds import VIRTUAL_MACHINES
from weft.wire.client import Client

LATER_POOL = {"properties": {"startMacAddress": "00-1D-D9-00-00-00", "endMacAddress": "00-1D-D9-00-00-FF"}}


def test_vlans_are_left_for_a_provider_network_that_there_is(cluster: Path, weft: Weft, tmp_path: Path) -> None:
    result = weft("leave-vlans", "hnvpa", "--provider", "hnvp", "-o", str(tmp_path / "leaving"))
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        1,
        "weft: NotFound: There is no /logicalNetworks/hnvp.",
    )
    assert not (tmp_path / "leaving").exists()
    # a folder with anything in it may be one in which some steps were applied already
    full = tmp_path / "full"
    full.mkdir()
    kept = full / "00-networks.yaml"
    kept.write_text("mine\n")
    for folder in (full, kept):
        result = weft("leave-vlans", "hnvpa", "--provider", "hnvpa", "-o", str(folder))
        why = "there are files in it" if folder is full else "Not a directory"
        said = f"weft: Usage: -o {folder}: {why}; name a folder that is not there yet, or an empty one\n"
        assert (result.stderr, result.exit_code, list(full.iterdir())) == (said, 2, [kept])
        assert kept.read_text() == "mine\n"


def test_get_in_every_form(cluster: Path, weft: Weft) -> None:
    assert weft("get", "virtualnetworks", "-o", "name").stdout == "blue\n"
    assert (
        json.loads(weft("get", "subnets", "--of", "virtualNetworks/blue", "-o", "json").stdout)[0]["resourceId"]
        == "web"
    )
    assert json.loads(weft("get", "virtualNetworks/blue/subnets", "WEB", "-o", "json").stdout)["resourceId"] == "web"
    table = weft("get", "nics").stdout.splitlines()
    assert table[0].split() == ["NAME", "MAC", "IP", "SUBNET", "SERVER", "STATUS"]
    assert table[1].split()[0] == "web1-eth0"
    assert "\x1b" not in weft("get", "servers").stdout


def test_get_of_nothing_says_so(cluster: Path, weft: Weft) -> None:
    result = weft("get", "servers", "host9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("weft: NotFound: ")


def test_a_list_by_a_name_that_is_none_says_so(cluster: Path, weft: Weft) -> None:
    for words in (("vm", "list", "--server", "host9"), ("nic", "list", "--subnet", "blue/wbe")):
        result = weft(*words)
        assert (result.exit_code, result.stdout, "NotFound: There is no /" in result.stderr) == (1, "", True), words
    assert weft("vm", "list", "--server", "host2").exit_code == 0


def test_hints_name_the_kind_that_was_asked_for(cluster: Path, weft: Weft) -> None:
    assert "hint: see what there is with: weft get servers\n" in weft("get", "servers", "host9").stderr
    below = weft("get", "virtualNetworks/blue/subnets/nope")
    assert "weft get subnets --of virtualNetworks/blue\n" in below.stderr
    child = weft("get", "subnets")
    assert (child.exit_code, "weft get subnets --of virtualNetworks/NAME" in child.stderr) == (2, True)


def test_an_address_that_nobody_ever_had(cluster: Path, weft: Weft) -> None:
    result = weft("address", "show", "9.9.9.9")
    assert (result.exit_code, result.stdout) == (0, "nobody has 9.9.9.9, and nobody ever had it\n")
    assert "virtualNetworks/blue/subnets/web" in weft("address", "show", "10.1.1.200").stdout


def test_nic_create_show_list_delete(cluster: Path, weft: Weft) -> None:
    created = weft(
        "nic", "create", "n1", "--subnet", "blue/web", "--ip", "10.1.1.77", "--mac", "001d.d8b7.1c77", "-o", "json"
    )
    assert created.exit_code == 0, created.output
    properties = json.loads(created.stdout)["properties"]
    assert properties["privateMacAddress"] == "001DD8B71C77"
    assert weft("nic", "list", "--subnet", "BLUE/web", "-o", "name").stdout.split() == ["n1", "web1-eth0"]
    assert "10.1.1.77" in weft("nic", "show", "N1").stdout
    again = weft("nic", "create", "n1", "--subnet", "blue/web")
    assert (again.exit_code, "exists already; see weft nic show n1" in again.stderr) == (1, True)
    taken = weft("nic", "create", "n2", "--subnet", "blue/web", "--ip", "10.1.1.77")
    assert (taken.exit_code, "PrivateIPAddressInUse" in taken.stderr) == (1, True)
    assert weft("delete", "nics/n1").stdout == "networkInterfaces/n1 deleted\n"
    assert weft("delete", "networkInterfaces", "n1").exit_code == 1
    elsewhere = weft("nic", "create", "n2", "--subnet", "blue/wbe").stderr
    assert "no subnet /virtualNetworks/blue/subnets/wbe: see which there are with weft get subnets --of" in elsewhere
    assert weft("get", "subnets", "--of", elsewhere.split("--of ")[1].rstrip(".\n"), "-o", "name").stdout == "web\n"
    assert "weft get servers" in weft("vm", "migrate", "web1", "--to", "host9").stderr
    alone = weft("delete", "web1")
    assert (alone.exit_code, alone.stderr.split("such as: ")[-1]) == (2, "weft delete virtualMachines web1\n")
    for command in ("delete", "get"):
        for name in ("server1", "pool1"):
            assert weft(command, name).stderr.endswith(f"such as: weft {command} virtualMachines {name}\n")
        assert "did you mean virtualMachines?" in weft(command, "virtalMachines").stderr


def test_vm_verbs_on_unmanaged_hosts(cluster: Path, weft: Weft) -> None:
    started = weft("vm", "start", "web1", "-o", "json")
    assert started.exit_code == 0, started.output
    assert json.loads(started.stdout)["properties"]["powerState"] == "Running"
    moved = weft("vm", "migrate", "web1", "--to", "host2")
    assert moved.exit_code == 0, moved.output
    assert weft("vm", "list", "--server", "HOST2", "-o", "name").stdout == "web1\n"
    assert weft("vm", "list", "--server", "host1", "-o", "name").stdout == ""
    assert weft("vm", "stop", "web1").exit_code == 0
    assert weft("apply", "-f", str(cluster)).stdout.splitlines()[-1].startswith("0 created, 1 changed")


def test_a_move_that_has_arrived_is_not_shown_as_moving() -> None:
    move = {"source": "host1", "destination": "host2", "phase": "switched"}
    arrived = {"resourceId": "a", "properties": {"server": {"resourceRef": "/servers/HOST2"}, "move": move}}
    leaving = {"resourceId": "a", "properties": {"server": {"resourceRef": "/servers/host1"}, "move": move}}
    assert (columns.row(VIRTUAL_MACHINES, arrived)[-1], columns.row(VIRTUAL_MACHINES, leaving)[-1]) == ("", "host2")


def test_pool_and_address(cluster: Path, weft: Weft) -> None:
    usage = json.loads(weft("pool", "usage", "blue/web", "-o", "json").stdout)
    states = ("free", "assigned", "retained", "cooling", "reserved", "foreign")
    assert sum(usage[state] for state in states) == usage["capacity"]
    assert [line.split()[0] for line in weft("pool", "usage").stdout.splitlines()] == [
        "POOL",
        "macPools/pool1",
        "logicalNetworks/hnvpa/subnets/pa1/ipPools/p1",
        "virtualNetworks/blue/subnets/web",
    ]
    held = weft("pool", "addresses", "pool1", "--state", "assigned")
    assert "web1-eth0" in held.stdout, held.output
    mac = json.loads(weft("nic", "show", "web1-eth0", "-o", "json").stdout)["properties"]["privateMacAddress"]
    for _ in range(3):
        assert weft("nic", "create", "thief", "--subnet", "blue/web", "--mac", mac).exit_code == 1
    history = weft("address", "show", mac.lower())
    assert "granted" in history.stdout, history.output
    assert "refused, 3 times  /networkInterfaces/thief" in history.stdout


def test_looking_at_hosts_and_packets(cluster: Path, weft: Weft) -> None:
    weft("vm", "start", "web1")
    policy = weft("policy", "host1", "-o", "json")
    assert policy.exit_code == 0, policy.output
    assert "6001" in policy.stdout
    assert weft("policy", "host1").exit_code == 0
    script = weft("policy", "host1", "-o", "powershell")
    assert script.exit_code == 0, script.output
    assert faults(script.stdout) == []
    assert '"CustomerAddress":"10.1.1.' in script.stdout
    ports_only = weft("policy", "host1", "-o", "powershell", "--hnv", "v2")
    assert "CustomerAddress" not in ports_only.stdout, ports_only.output
    assert "ProfileId" in ports_only.stdout
    assert weft("policy", "host1", "--hnv", "v2").exit_code == 2
    assert weft("policy", "nowhere", "-o", "powershell").exit_code == 1
    assert weft("host", "state", "host1").exit_code == 0
    trace = weft("trace", "web1-eth0", "10.1.1.200")
    assert (trace.exit_code, "not delivered" in trace.stdout) == (0, True), trace.output


def test_watch_shows_what_happened_since(cluster: Path, weft: Weft, controller: str) -> None:
    async def first_cursor() -> str:
        async with Client.connect(controller) as client:
            events = client.watch()
            asked = asyncio.ensure_future(anext(events))
            while not asked.done():
                await client.put("/networking/v1/macPools/later", LATER_POOL)
                await client.delete("/networking/v1/macPools/later")
                await asyncio.sleep(0.01)
            await events.aclose()
            return asked.result()[0]

    cursor = asyncio.run(first_cursor())
    generation, revision_then = cursor.rsplit(":", 1)
    result = weft("watch", "--after", f"{generation}:{int(revision_then) - 1}", "--limit", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[1] == revision_then
    assert result.stdout.split()[3] == "/macPools/later"
    as_json = weft("watch", "--after", f"{generation}:{int(revision_then) - 1}", "--limit", "1", "-o", "json")
    assert json.loads(as_json.stdout)["cursor"] == cursor


def test_watch_with_a_cursor_that_is_none(weft: Weft) -> None:
    result = weft("watch", "--after", "nonsense")
    assert (result.exit_code, "GENERATION:REVISION" in result.stderr) == (1, True)


def test_a_reader_that_goes_away_is_no_error(cluster: Path, controller: str) -> None:
    """As in `weft get ... | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "weft", "get", "servers", "--controller", controller]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")


COMPLETED = {
    "get vir": ["virtualNetworkManager", "virtualNetworks", "virtualGateways", "virtualMachines"],
    "get virtualNetworks/b": ["virtualNetworks/blue"],
    "get nics web": ["web1-eth0"],
    "get nonsense w": [],
    "nic create n --subnet b": ["blue/web"],
    "vm migrate web1 --to ": ["host1", "host2"],
    "pool usage p": ["pool1"],
    "pool reserve b": ["blue/web"],
    "get address": ["addressPlans"],
    "get checkpoints --of vm/web1 b": ["before", "before-2"],
    "vm delete-checkpoint web1 before-": ["before-2"],
    "vm delete-export web1 ": ["friday"],
    "vm restore w": ["web1"],
    "vm restore web1 ": ["before", "before-2"],
    "vm restore --all-with before ": ["web1"],
    "pool reservations delete r": ["r4"],
}


def asked_by_bash(line: str) -> dict[str, str]:
    words = f"weft {line}"
    cursor = str(len(words.split(" ")) - 1)
    return {"_WEFT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": cursor}


def test_shell_completion(cluster: Path, weft: Weft, controller: str) -> None:
    weft("vm", "checkpoint", "web1", "before")
    weft("vm", "checkpoint", "web1", "before-2")
    weft("vm", "export", "web1", "friday")
    weft("pool", "reserve", "pool1", "--count", "1", "--request-id", "r4")
    runner = CliRunner(env={"WEFT_CONTROLLER": controller})
    said = {line: runner.invoke(app, env=asked_by_bash(line), prog_name="weft").stdout.split() for line in COMPLETED}
    assert said == COMPLETED
    environment = {**os.environ, "WEFT_CONTROLLER": controller, **asked_by_bash("vm restore web1 ")}
    command = [sys.executable, "-c", "from weft.__main__ import main; main()"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.stdout.split() == ["before", "before-2"], ended.stderr


def test_completion_without_a_controller_offers_nothing_and_says_nothing() -> None:
    environment = {**os.environ, **asked_by_bash("vm start "), "WEFT_CONTROLLER": "http://127.0.0.1:1"}
    command = [sys.executable, "-c", "from weft.__main__ import main; main()"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (ended.stdout.strip(), ended.stderr) == ("", "")


def test_no_controller(weft: Weft) -> None:
    result = weft("get", "servers", "--controller", "http://127.0.0.1:1")
    assert (result.exit_code, result.stderr.startswith("weft: ControllerUnreachable: ")) == (3, True)


def test_every_command_has_help_with_an_example() -> None:
    from typer.main import get_command

    from weft.cli.commands import app

    for name, command in get_command(app).commands.items():
        below = getattr(command, "commands", None) or {"": command}
        for verb, leaf in below.items():
            assert f"weft {name}" in (leaf.help or ""), f"{name} {verb}"
