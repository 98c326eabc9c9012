"""Ctrl-C where Python or asyncio give it up."""

import asyncio
import signal
import subprocess
import sys

import pytest

from weft.lab.interrupts import Interrupts


class Finalized:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_finalizer_gave_up_comes_at_the_next_step() -> None:
    interrupts = Interrupts()
    with interrupts.heard(signal.SIGTERM):
        interrupts.check()
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_what_is_to_come_to_its_end_is_not_interrupted(terminal) -> None:
    interrupts = Interrupts()
    interrupts.raising = False
    with interrupts.heard(signal.SIGINT):
        signal.raise_signal(signal.SIGINT)
        interrupts.check()
        interrupts.raising = True
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_what_whoever_started_us_has_ignored_stays_so(terminal) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.heard(signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(signal.SIGINT)
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_task_that_ends_all_the_same_does_not_swallow_it(terminal) -> None:
    async def stubborn() -> str:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass
        return "done"

    assert asyncio.run(stubborn()) == "done", "asyncio alone loses it"
    with Interrupts().heard(signal.SIGINT), pytest.raises(KeyboardInterrupt):
        asyncio.run(stubborn())


def test_handlers_of_before_come_back(terminal) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts().heard(signal.SIGINT, signal.SIGTERM):
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


ENDS = """
import signal
from weft.lab.interrupts import Interrupts
try:
    with Interrupts().heard(signal.SIGTERM):
        exec("import signal; signal.raise_signal(signal.SIGTERM)")
except KeyboardInterrupt:
    raise SystemExit(7)
"""


def test_a_command_that_was_interrupted_while_it_executed_a_string_ends_with_its_own_code(tmp_path) -> None:
    (tmp_path / "ends.py").write_text(ENDS)
    assert subprocess.run([sys.executable, "-m", "ends"], cwd=tmp_path).returncode == 7
