"""Ctrl-C where Python or asyncio give it up."""

import asyncio
import signal

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
