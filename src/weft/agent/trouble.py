"""A trouble that lasts is said once when it begins, now and then while it lasts, and once when it is over.

Used by agent.py (the switch) and session.py (the controller), which try again many times a minute. Not for concurrent
use; `now` are seconds of a clock that does not jump.
"""

import logging

REMIND_SECONDS = 300.0


class Trouble:
    """Of one subject, such as `switch`."""

    def __init__(self, log: logging.Logger, subject: str) -> None:
        self.words = ""
        """What is the matter; empty while nothing is."""
        self._log = log
        self._subject = subject
        self._said: dict[str, float] = {}
        """Each wording of the present trouble, and when it was said last."""
        self._since = 0.0

    def lasts(self, words: str, now: float) -> None:
        """It is there, seen again."""
        if not self.words:
            self._since = now
        self.words = words
        said = self._said.get(words)
        if said is None:
            self._log.warning("%s: %s", self._subject, words)
        elif now - said >= REMIND_SECONDS:
            self._log.warning("%s: still, for %.0f minutes: %s", self._subject, (now - self._since) / 60, words)
        else:
            return
        self._said[words] = now

    def over(self, now: float) -> None:
        """It is not, or no longer, there."""
        if self.words:
            self._log.warning("%s: well again after %.0f s", self._subject, now - self._since)
        self.words = ""
        self._said.clear()
