"""What `make test-hyperv` says before it touches a host, and the scripts by which it plays other hands."""

import os
import subprocess
import sys

import pytest

from tests.hyperv.real_host import ENVIRONMENT, SCRIPTS
from tests.powershell import faults


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_its_own_scripts_call_what_is_documented(script):
    assert faults(script.text) == []


def say(answer, **settings):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT)}
    environment |= {f"{ENVIRONMENT}{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "tests.hyperv.say"]
    return subprocess.run(command, input=answer, capture_output=True, text=True, env=environment, timeout=60)


def test_without_a_host_it_says_how_to_name_one():
    ended = say("")
    assert (ended.returncode, "make test-hyperv HOST=" in ended.stdout) == (1, True)


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 1), ("", 1)])
def test_it_says_what_it_touches_and_goes_on_only_after_yes(answer, code):
    ended = say(answer, HOST="hv1", HOST2="hv2", SWITCH="vSwitch", FOLDER="D:\\weft")
    assert ended.returncode == code
    for words in ("On hv1 and hv2", "weft-contract-", "D:\\weft", "virtual switch vSwitch", "no other machine"):
        assert words in ended.stdout


def test_yes_can_be_said_beforehand():
    assert say("", HOST="hv1", YES="1").returncode == 0
