"""A process is known by PID and start time; a stranger with its PID is never ended."""

import subprocess
import sys

import msgspec
import pytest

from weft.lab.processes import Process, alive, boot_id, kill, kill_all, marked, spawn, written_down

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def sleeper(tmp_path):
    process = spawn(["sleep", "60"], tmp_path / "log" / "sleeper.log")
    yield process
    kill(process)


def test_a_process_is_alive_until_killed(sleeper):
    assert alive(sleeper)
    assert kill(sleeper) is True
    assert not alive(sleeper)
    assert kill(sleeper) is False


def test_several_are_ended_together_and_those_that_ran_are_named(sleeper, tmp_path):
    other = spawn(["sleep", "60"], tmp_path / "log" / "other.log")
    stranger = msgspec.structs.replace(other, started=other.started - 1)
    assert kill_all([stranger, sleeper, None, other]) == [sleeper, other]
    assert not alive(sleeper) and not alive(other)
    assert kill_all([sleeper, other]) == []


def test_a_stranger_with_the_same_pid_is_left_alone(sleeper):
    stranger = msgspec.structs.replace(sleeper, started=sleeper.started - 1)
    assert not alive(stranger)
    assert kill(stranger) is False
    assert alive(sleeper)


def test_a_zombie_is_not_alive():
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as child:
        child.stdout.read()
        zombie = Process(child.pid, 0)
        assert not alive(zombie) and kill(zombie) is False


def test_nothing_is_not_alive():
    assert not alive(None) and kill(None) is False


def test_a_process_says_what_it_said(tmp_path):
    process = spawn([sys.executable, "-c", "print('started')"], tmp_path / "words.log")
    while alive(process):
        pass
    kill(process)
    assert (tmp_path / "words.log").read_text() == "started\n"


def test_the_boot_is_named():
    assert len(boot_id()) == 36


def test_a_process_writes_itself_down(sleeper, tmp_path):
    log = tmp_path / "log" / "sleeper.log"
    while written_down(log) is None:
        pass
    assert written_down(log) == sleeper
    assert written_down(tmp_path / "nothing.log") is None
    log.with_suffix(".process").write_text("torn")
    assert written_down(log) is None


def test_a_child_that_outlives_its_parent_is_known_by_the_folder(tmp_path):
    ready = tmp_path / "ready"
    words = ["sh", "-c", f"sleep 61 & touch {ready}; wait"]
    parent = spawn(words, tmp_path / "one" / "log" / "agent.log")
    while not ready.exists() or len(marked(tmp_path / "one")) != 2:
        pass
    kill(parent)
    (child,) = marked(tmp_path / "one")
    assert marked(tmp_path / "on") == []
    assert kill(child) and marked(tmp_path / "one") == []
