"""Ctrl-C that is not lost. Called by demo.py and verbs.py.

Python gives KeyboardInterrupt up where it is raised in a finalizer, and asyncio makes of it the cancelling of a task,
which may end all the same (asyncio.wait_for of Python 3.11 does if its answer comes in that moment). Whoever asked for
an end would see everything go on.

It also ends by SIGINT, whatever code it is given, where KeyboardInterrupt itself left a string that was executed (every
dataclass is one) and was caught further up, if it runs as `python -m`. A subclass does not count there.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextlib.contextmanager
def handled(handler: Handler, *signals: signal.Signals) -> Iterator[None]:
    """These have this handler, and afterwards theirs of before."""
    kept = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in kept.items():
            signal.signal(number, old)


class Interrupted(KeyboardInterrupt):
    """By a signal that was heard."""


class Interrupts:
    """Of one command."""

    def __init__(self) -> None:
        self._asked = False

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        raise Interrupted

    def heard(self, *signals: signal.Signals) -> contextlib.AbstractContextManager[None]:
        """These raise Interrupted, within asyncio too: it leaves handlers that are not Python's own alone."""
        return handled(self._raise, *signals)

    def check(self) -> None:
        """Raises Interrupted if one came and was given up."""
        if self._asked:
            raise Interrupted

    def clear(self) -> None:
        """It is seen to."""
        self._asked = False
