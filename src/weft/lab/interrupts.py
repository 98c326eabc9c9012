"""Ctrl-C that is not lost. Called by demo.py and verbs.py.

Python gives KeyboardInterrupt up where it is raised in a finalizer, and asyncio makes of it the cancelling of a task,
which may end all the same (asyncio.wait_for of Python 3.11 does if its answer comes in that moment). Whoever asked for
an end would see everything go on.

Python also ends by SIGINT, whatever code it is given, where KeyboardInterrupt itself left a string that was executed
(every dataclass is one) and was caught further up, if it runs as `python -m`. A subclass does not count there.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextlib.contextmanager
def handled(handler: Handler, *signals: signal.Signals) -> Iterator[None]:
    """These have this handler, and afterwards theirs of before. What whoever started us has ignored stays so, as a
    shell does with Ctrl-C for what it runs in the background."""
    kept = {one: old for one in signals if (old := signal.getsignal(one)) is not signal.SIG_IGN}
    try:
        for number in kept:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in kept.items():
            signal.signal(number, old)


class Interrupted(KeyboardInterrupt):
    """By a signal that was heard."""


class Interrupts:
    """Of one command."""

    def __init__(self) -> None:
        self.raising = True
        """False: one that comes is only remembered, for what goes on now is to come to its end. To be the first thing
        said in `except` and `finally`: CPython looks for signals where it calls, begins a function or goes back in a
        loop, so none comes between."""
        self._asked = False

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self.raising:
            raise Interrupted

    def heard(self, *signals: signal.Signals) -> contextlib.AbstractContextManager[None]:
        """These raise Interrupted, within asyncio too: it leaves handlers that are not Python's own alone."""
        return handled(self._raise, *signals)

    def check(self) -> None:
        """Raises Interrupted if one came and was given up, or came while none was to."""
        if self._asked and self.raising:
            raise Interrupted
