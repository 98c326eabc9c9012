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
        interrupts.clear()
        interrupts.check()


def test_a_task_that_ends_all_the_same_does_not_swallow_it() -> None:
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


def test_handlers_of_before_come_back() -> None:
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
