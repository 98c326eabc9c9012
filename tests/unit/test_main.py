"""The command itself: what it says when it cannot begin, in one line and with exit code 1."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow


def weft(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from weft.__main__ import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_version_is_an_option_too() -> None:
    ended = weft("--version")
    assert (ended.returncode, ended.stdout) == (0, weft("version").stdout)


@pytest.mark.parametrize("below", ["", "store"])
def test_a_data_folder_that_cannot_be_is_said_plainly(tmp_path: Path, below: str) -> None:
    taken = tmp_path / "file"
    taken.write_text("not a folder")
    ended = weft("serve", "--data", str(taken / below), "--listen", "127.0.0.1:0")
    [line] = ended.stderr.splitlines()
    assert (ended.returncode, str(taken) in line, "Name a folder" in line) == (1, True, True)
    assert taken.read_text() == "not a folder"


def test_an_agent_of_no_controller_says_so_before_it_touches_anything(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = weft("agent", "--controller", "foo", "--server", "h", "--rundir", str(tmp_path), "--state", str(state))
    [line] = ended.stderr.splitlines()
    assert (ended.returncode, "'foo' is no controller" in line, state.exists()) == (1, True, False)


def test_an_agent_for_hyperv_without_credentials_says_what_to_set(tmp_path: Path) -> None:
    state = tmp_path / "state"
    words = ("agent", "--driver", "hyperv", "--controller", "http://127.0.0.1:1", "--server", "hv1", "--state")
    ended = weft(*words, str(state))
    [line] = ended.stderr.splitlines()
    assert (ended.returncode, "WEFT_HYPERV_USER" in line, state.exists()) == (1, True, False)
    (tmp_path / "open").write_text("user=weft\npassword=x\n")
    (tmp_path / "open").chmod(0o644)
    ended = weft(*words, str(state), "--credentials", str(tmp_path / "open"))
    assert (ended.returncode, "can be read by others" in ended.stderr) == (1, True)


def test_a_controller_that_is_told_to_stop_ends_its_watches_at_once_and_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "weft", "serve", "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0"]
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    url = serving.stdout.readline().split()[-1]
    serving.stdout.readline()
    serving.stdout.readline()
    with httpx.Client() as client, client.stream("GET", f"{url}/weft/v1/watch", timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        serving.send_signal(signal.SIGTERM)
        # the stream ends as a stream should; one that is broken off raises here
        assert [line for line in lines if line] == []
        _, errors = serving.communicate(timeout=60)
    assert (serving.returncode, errors) == (0, "")


LOADED = """
import sys
from weft.__main__ import commands
commands(sys.argv[1])
{more}
print(*sorted({{name.partition(".")[0] for name in sys.modules}} | {{n for n in sys.modules if n.startswith("weft.")}}))
"""


def loaded(first: str, more: str = "") -> set[str]:
    """Packages, and modules of ours, that a process has loaded which runs a command beginning with this word."""
    command = [sys.executable, "-c", LOADED.format(more=more), first]
    return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def test_an_agent_loads_nothing_of_the_desk_and_of_the_service() -> None:
    """Many start at once, after a power cut for instance, on machines with other things to do."""
    found = loaded("agent", "import weft.agent.run, weft.lab.hypervisor")
    assert "weft.agent.agent" in found
    assert found & {"httpx", "sqlalchemy", "starlette", "ruamel", "rich", "tenacity.asyncio"} == set()
    assert [name for name in found if name.startswith(("weft.cli", "weft.sim", "weft.control", "weft.store"))] == []


def test_a_controller_loads_nothing_of_the_desk() -> None:
    found = loaded("serve", "import weft.api.serve")
    assert "weft.api.serve" in found
    assert found & {"httpx", "ruamel", "rich", "pyroute2"} == set()


def test_the_labs_verbs_load_no_other_commands() -> None:
    found = loaded("lab")
    assert found & {"httpx", "sqlalchemy", "rich", "weft.cli.commands", "weft.sim.commands"} == set()


def test_commands_that_start_alone_are_those_that_all_have() -> None:
    from typer.main import get_command

    from weft.__main__ import SERVICE, commands

    whole = get_command(commands()).commands
    for first in (*SERVICE, "lab"):
        alone = get_command(commands(first)).commands
        assert first in alone and alone.keys() <= whole.keys()
        assert alone[first].help == whole[first].help
    assert {"get", "vm", "demo", "simulate"} <= whole.keys()


def test_ctrl_c_while_the_command_begins_is_quiet() -> None:
    """Its modules take a while to be read."""
    code = """
import signal, sys, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
class Read(types.ModuleType):
    def __getattr__(self, name): signal.raise_signal(signal.SIGINT)
sys.modules["weft.cli.commands"] = Read("weft.cli.commands")
from weft.__main__ import main
sys.argv = ["weft", "get", "servers"]
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, "")
