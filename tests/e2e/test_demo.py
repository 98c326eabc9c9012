"""The demo itself, as a subprocess: it passes, it says so last, it leaves nothing, also when it is interrupted."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.e2e.labs import ROOT, last_line, namespaces, own, processes
from tests.waiting import until
from weft.lab.demo import Show

ENVIRONMENT = {**os.environ, "COLUMNS": "200"}


def begin(folder, *words):
    """A demo whose output goes to a file beside its folder, to be read while it runs."""
    with said_by(folder).open("w") as output:
        return subprocess.Popen(
            # as from a terminal: a shell has SIGINT ignored in what it runs in the background
            ["env", "--default-signal=INT", sys.executable, "-m", "weft", "demo", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1", "WEFT_LAB_DIR": str(folder)},
            start_new_session=True,
        )


def said_by(folder):
    return folder.with_suffix(".said")


def ended(running, folder):
    """What it said, once it has ended."""
    running.wait(timeout=400)
    return said_by(folder).read_text()


def nothing_is_left(name, folder):
    return namespaces(name) == [] and processes(f"{folder}/") == [] and not folder.exists()


MOMENTS = {
    "it has begun": lambda name, folder: (folder / name / "lab.json").exists(),
    "a host is being made": lambda name, folder: Path(f"/run/netns/{name}-host1").exists(),
    "an agent starts": lambda name, folder: (folder / name / "log" / "agent-0.log").exists(),
    "machines run": lambda name, folder: passed(3, folder),
}


def passed(number, folder):
    return f"ok     {number}. " in said_by(folder).read_text()


def await_while_it_runs(so, running, folder):
    until(so, lambda: said_by(folder).read_text(), 120, lambda: running.poll() is None)


@pytest.mark.root
def test_the_demo_passes_and_leaves_nothing(folder):
    running = begin(folder, "--name", own("demo"))
    said = ended(running, folder)
    assert re.fullmatch(r"demo: \d+ passed, 0 failed", last_line(said)), said
    assert running.returncode == 0
    assert "reboots for 3 logoffs          0             3             0" in said
    assert "0 lost" in said and "key >> 8 = 6001" in said and "key >> 8 = 5001" in said and "TTL 63" in said
    assert nothing_is_left(own("demo"), folder)


@pytest.mark.root
def test_what_a_killed_demo_left_is_taken_away_by_the_next(folder):
    killed = begin(folder, "--name", own("demo"))
    await_while_it_runs(lambda: passed(3, folder), killed, folder)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(timeout=30)
    before = [pid for pid, _ in processes(f"{folder}/")]
    assert before and not nothing_is_left(own("demo"), folder)
    running = begin(folder, "--name", own("demo"))
    await_while_it_runs(lambda: passed(1, folder), running, folder)
    assert [pid for pid, _ in processes(f"{folder}/") if pid in before] == []
    running.send_signal(signal.SIGTERM)
    assert "demo: interrupted" in ended(running, folder)
    assert nothing_is_left(own("demo"), folder)


@pytest.mark.root
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_demo_leaves_nothing(folder, moment):
    """By Ctrl-C and by SIGTERM, side by side."""
    demos = [
        (number, name, place, begin(place, "--name", name))
        for number, name, place in (
            (signal.SIGINT, own("int"), folder),
            (signal.SIGTERM, own("term"), folder.with_name("t")),
        )
    ]
    for number, name, place, running in demos:
        await_while_it_runs(lambda name=name, place=place: MOMENTS[moment](name, place), running, place)
        running.send_signal(number)
    for _, name, place, running in demos:
        said = ended(running, place)
        assert running.returncode == 130, said
        assert nothing_is_left(name, place), said


def test_a_step_that_breaks_is_a_failed_step_and_the_others_run():
    said = io.StringIO()
    show = Show(Console(file=said, width=200))
    with show.step("breaks"):
        raise KeyError("blue1")
    with show.step("holds"):
        pass
    assert show.end() == 1
    assert "FAILED 1. breaks" in said.getvalue() and "but: KeyError: 'blue1' (test_demo.py:" in said.getvalue()
    assert last_line(said.getvalue()) == "demo: 1 passed, 1 failed"


def test_the_simulated_demo_passes_anywhere_and_says_what_it_is(folder):
    running = begin(folder, "--simulated")
    said = ended(running, folder)
    assert re.fullmatch(r"demo: \d+ passed, 0 failed", last_line(said)), said
    assert running.returncode == 0
    assert "Simulated" in said.splitlines()[0] and "adds" in said
    assert "who runs with that MAC now     desk1, new6   desk1         desk1" in said
