"""The demo itself, as a subprocess: it passes, it says so last, it leaves nothing, also when it is interrupted."""

import io
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from tests.e2e.labs import ROOT, last_line, namespaces, own, processes
from weft.lab.demo import Show

ENVIRONMENT = {**os.environ, "COLUMNS": "200"}


def begin(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "weft", "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**ENVIRONMENT, "WEFT_LAB_DIR": str(folder)},
        start_new_session=True,
    )


def nothing_is_left(name, folder):
    return namespaces(name) == [] and processes(f"{folder}/") == [] and not folder.exists()


@pytest.mark.root
@pytest.mark.timeout(180)
def test_the_demo_passes_and_leaves_nothing(folder):
    began = time.monotonic()
    running = begin(folder, "--name", own("demo"))
    said = running.communicate(timeout=150)[0]
    assert re.fullmatch(r"demo: \d+ passed, 0 failed", last_line(said)), said
    assert running.returncode == 0
    assert "0 lost" in said and "key >> 8 = 6001" in said and "key >> 8 = 5001" in said and "TTL 63" in said
    assert time.monotonic() - began < 90
    assert nothing_is_left(own("demo"), folder)


@pytest.mark.root
@pytest.mark.timeout(180)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seconds", [0.8, 2.5, 4.0, 6.0])
def test_an_interrupted_demo_leaves_nothing(folder, number, seconds):
    running = begin(folder, "--name", own("demo"))
    time.sleep(seconds)
    running.send_signal(number)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130, said
    assert nothing_is_left(own("demo"), folder), said


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


@pytest.mark.root
@pytest.mark.timeout(180)
def test_a_demo_that_was_killed_is_cleared_away_by_the_next(folder):
    killed = begin(folder, "--name", own("demo"))
    time.sleep(4)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=30)
    said = begin(folder, "--name", own("demo")).communicate(timeout=150)[0]
    assert re.fullmatch(r"demo: \d+ passed, 0 failed", last_line(said)), said
    assert nothing_is_left(own("demo"), folder)


def test_the_simulated_demo_passes_anywhere_and_says_what_it_is(folder):
    running = begin(folder, "--simulated")
    said = running.communicate(timeout=60)[0]
    assert re.fullmatch(r"demo: \d+ passed, 0 failed", last_line(said)), said
    assert running.returncode == 0
    assert "Simulated" in said.splitlines()[0] and "adds" in said
