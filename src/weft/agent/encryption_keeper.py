"""Keeps tunnels of networks that are to be encrypted so: tells the driver which, and the plane which of them are.

Kept by ovs/plane.py, one per host. What is not known to be encrypted is not sent to: flows drop it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from weft.agent.encryption import EncryptionFailure, Pair, TunnelEncryption
from weft.agent.trouble import Trouble
from weft.model.values import ip_text

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 10.0
"""A driver that takes longer does not answer."""
MOST_PROBLEMS = 20
NOT_ASKED = "its agent has only just begun"


class EncryptionKeeper:
    """One host's. `changed` is called whenever what it says is another than before."""

    def __init__(
        self, driver: TunnelEncryption, changed: Callable[[], None], patience_s: float = PATIENCE_SECONDS
    ) -> None:
        self.why_not = NOT_ASKED
        """Why tunnels of this host cannot be encrypted; empty: they can."""
        self.sealed: frozenset[Pair] = frozenset()
        """Between these everything is encrypted."""
        self._driver = driver
        self._changed = changed
        self._patience_s = patience_s
        self._pairs: frozenset[Pair] = frozenset()
        self._news = asyncio.Event()
        self._failure = ""
        self._failing = Trouble(log, "tunnel encryption")

    def want(self, pairs: frozenset[Pair]) -> None:
        """From now on these are to be encrypted, and no others."""
        if pairs != self._pairs:
            self._pairs = pairs
            self._news.set()

    @property
    def in_clear(self) -> tuple[Pair, ...]:
        """Those that are to be encrypted and are not."""
        return tuple(sorted(self._pairs - self.sealed, key=lambda one: (one.local, one.remote)))

    def words(self) -> list[str]:
        """What is not encrypted, and why, in words; bounded."""
        why = self.why_not or self._failure or "the other host has not done its part yet, or is not able to"
        found = [
            f"tunnels from {ip_text(one.local)} to {ip_text(one.remote)} are to be encrypted and are not: {why}; what "
            "encrypted networks send there is dropped (not_encrypted)"
            for one in self.in_clear
        ]
        more = len(found) - MOST_PROBLEMS
        return [*found[:MOST_PROBLEMS], *([f"nor are those to {more} others"] if more > 0 else [])]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            before = self.why_not, self.sealed, self._failure
            await self._look()
            if (self.why_not, self.sealed, self._failure) != before:
                self._changed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()

    async def _look(self) -> None:
        """Where the driver does not answer nothing is known to be encrypted."""
        try:
            async with asyncio.timeout(self._patience_s):
                self.why_not = await self._driver.why_not()
                self.sealed = (await self._driver.keep(self._pairs)) & self._pairs
        except EncryptionFailure as failure:
            self._fails(str(failure))
        except TimeoutError:
            self._fails(f"its driver does not answer within {self._patience_s:g} s")
        except Exception as defect:
            # a driver is another's work: whatever is wrong with it, nothing may go on in clear
            log.debug("tunnel encryption failed", exc_info=True)
            self._fails(f"its driver failed: {type(defect).__name__}: {defect}")
        else:
            self._failure = ""
            self._failing.over(asyncio.get_running_loop().time())

    def _fails(self, words: str) -> None:
        self.sealed, self._failure = frozenset(), words
        self._failing.lasts(words, asyncio.get_running_loop().time())
