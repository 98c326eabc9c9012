"""Keeps the edges of one host as they should be: told by the plane, by level, and by what the probes find.

Made by ovs/plane.py, which runs it beside everything else: an edge takes longer than a round of the agent may. What
fails stays to be done, and is told.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from weft.agent.edge.wanted import Edge, EdgeFailure, Wanted, carries
from weft.model.records import EdgeNetwork
from weft.model.values import PackedIp, Rdid

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""Every edge is put anew this often, whatever another hand did to it meanwhile."""
TOGETHER = 32
"""So many edges are made at a time, in fewer transactions of the switch's database."""
RETRY_SECONDS = 1.0
HOLD_STEP_SECONDS = 0.5
ASSERT_SECONDS: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
"""After its start, and after a gateway that had been out of sight is back, an agent that carries networks says so anew:
another one may have had them while this one was dead or cut off, and lets go of them about now."""


class Asked(msgspec.Struct, frozen=True):
    """What the plane knows."""

    edges: tuple[tuple[EdgeNetwork, int], ...] = ()
    """With the MTU of the network's tunnels."""
    dead: frozenset[PackedIp] = frozenset()
    in_sync: bool = False
    """The policy is complete: what is not in it goes."""
    reviving: frozenset[PackedIp] = frozenset()
    """Dead gateways that have begun to answer: until they count as alive, this one keeps saying that it carries."""
    encrypted: frozenset[Rdid] = frozenset()
    """Networks whose tunnels are to be encrypted."""


def _is_awaited(network: EdgeNetwork, reviving: frozenset[PackedIp]) -> bool:
    """Does one before this gateway come back just now?"""
    own = network.gateways.index(network.provider_address) if network.provider_address in network.gateways else 0
    return not reviving.isdisjoint(network.gateways[:own])


def _words(failure: Exception) -> str:
    """Also of a defect, of a full disk: it stays with its edge, and the others and the next look go on."""
    if isinstance(failure, EdgeFailure):
        return str(failure)
    log.debug("a defect", exc_info=failure)
    return f"{type(failure).__name__}: {failure}"


One = TypeVar("One")


def groups(all_of_them: Sequence[One]) -> Iterator[Sequence[One]]:
    """As they are made or taken away: so many at a time."""
    return (all_of_them[at : at + TOGETHER] for at in range(0, len(all_of_them), TOGETHER))


class EdgeKeeper:
    """Of one host."""

    def __init__(self, driver: Edge, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is called when there is something new to tell."""
        self._driver = driver
        self._changed = changed
        self._asked = Asked()
        self._news = asyncio.Event()
        self._there: dict[Rdid, bool] | None = None
        """What was there at the last look, and whether it carried its network; None until the first."""
        self._put: dict[Rdid, Wanted] = {}
        """As they were last made by this agent."""
        self._due: set[Rdid] = set()
        """To be made anew although nothing is known to have changed."""
        self._rejoined = False
        """A gateway has come back into sight: it was dead, or this one was cut off."""
        self._splits: Counter[Rdid] = Counter()
        """How often another gateway may have carried what this one did."""
        self.failures: dict[Rdid, str] = {}
        self.lacks: dict[Rdid, str] = {}
        """What is not as it should be of edges that do their work."""

    def ask(self, asked: Asked) -> None:
        """This is what should be."""
        if asked != self._asked:
            self._rejoined |= not self._asked.dead <= asked.dead
            self._asked = asked
            self._news.set()

    def dead_are(self, dead: frozenset[PackedIp], reviving: frozenset[PackedIp]) -> None:
        """These gateways; all else is as it was asked last."""
        self.ask(msgspec.structs.replace(self._asked, dead=dead, reviving=reviving))

    def switch_lost(self) -> None:
        """The switch went away: what does not outlive it, which is all that tunnels have, is to be made anew."""
        self._due |= self._put.keys()
        self._news.set()

    @property
    def ready(self) -> bool:
        """Every edge that should be here is, carrying its network or standing by."""
        return all(network.rdid in self._put for network, _ in self._asked.edges) and not self.failures

    @property
    def carried(self) -> frozenset[Rdid]:
        """Networks that this host carries now."""
        return frozenset(rdid for rdid, one in self._put.items() if one.carries and rdid not in self.failures)

    @property
    def troubles(self) -> tuple[str, ...]:
        """All that somebody should know, by network."""
        return tuple(words for told in (self.failures, self.lacks) for _, words in sorted(told.items()))

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        since, look_at = loop.time(), 0.0
        asserting, asserting_since = ASSERT_SECONDS, since
        while True:
            self._news.clear()
            if self._rejoined:
                self._rejoined = False
                asserting, asserting_since = ASSERT_SECONDS, loop.time()
                self._splits.update(self._carried_on())
            if loop.time() >= look_at and (self._asked.edges or self._asked.in_sync):
                look_at = loop.time() + LOOK_SECONDS
                if not await self._look():
                    look_at = loop.time() + RETRY_SECONDS
            if asserting and loop.time() - asserting_since >= asserting[0]:
                asserting = asserting[1:]
                self._due |= self.carried
            told = self.carried, self.troubles
            waits = await self._work(since) if self._there is not None else LOOK_SECONDS
            waits = min(waits, asserting[0] - (loop.time() - asserting_since)) if asserting else waits
            if told != (self.carried, self.troubles):
                self._changed()
            try:
                async with asyncio.timeout(max(0.0, min(waits, look_at - loop.time() if look_at else waits))):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look(self) -> bool:
        try:
            self._there = await self._driver.there()
        except Exception as failure:
            log.warning("edges: %s", _words(failure))
            return False
        self._due |= self._put.keys()
        return True

    async def _work(self, since: float) -> float:
        """Make all as it should be; the seconds after which that is to be done again. Whoever is to take a network over
        comes first, also while others are made; what takes longer stops for news."""
        asked = self._asked
        urgent, plain, waits = self._sort(since)
        waits = min(waits, await self._make_all(urgent))
        for some in groups(plain):
            if self._news.is_set():
                return 0.0
            waits = min(waits, await self._make_beside(some, since))
        named = {network.rdid for network, _ in asked.edges}
        for gone in groups([one for one in self._there or () if one not in named] if asked.in_sync else []):
            waits = min(waits, *await asyncio.gather(*map(self._remove, gone)))
        return waits

    def _sort(self, since: float) -> tuple[list[Wanted], list[Wanted], float]:
        """What is to be made: edges whose carrier alone has changed, and others; and when to look again at the
        latest."""
        asked, waits, age_s = self._asked, LOOK_SECONDS, asyncio.get_running_loop().time() - since
        plain: list[Wanted] = []
        urgent: list[Wanted] = []
        for network, mtu in asked.edges:
            before = self._put.get(network.rdid)
            carrying = carries(network, asked.dead, self._holds(network.rdid), age_s)
            wanted = Wanted(network, carrying, mtu, network.rdid in asked.encrypted, self._splits[network.rdid])
            changed = before is not None and msgspec.structs.replace(before, splits=wanted.splits) != wanted
            if not wanted.carries and carries(network, asked.dead, True, age_s):
                waits = min(waits, HOLD_STEP_SECONDS)
            if before is not None and changed and before.network == network:
                urgent.append(wanted)
            elif before == wanted and wanted.carries and _is_awaited(network, asked.reviving):
                urgent.append(wanted)
                waits = min(waits, HOLD_STEP_SECONDS)
            elif before != wanted or network.rdid in self._due:
                plain.append(wanted)
        return urgent, plain, waits

    async def _make_all(self, some: Sequence[Wanted]) -> float:
        return min([LOOK_SECONDS, *await asyncio.gather(*map(self._make, some))])

    async def _make_beside(self, some: Sequence[Wanted], since: float) -> float:
        """Make these, and meanwhile whatever news bring that is urgent."""
        busy, heard = {one.network.rdid for one in some}, False
        making = asyncio.ensure_future(self._make_all(some))
        try:
            while not making.done():
                news = asyncio.ensure_future(self._news.wait())
                try:
                    await asyncio.wait({making, news}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
                if not making.done():
                    self._news.clear()
                    heard = True
                    await self._make_all([one for one in self._sort(since)[0] if one.network.rdid not in busy])
            return await making
        finally:
            making.cancel()
            if heard:
                self._news.set()

    def _carried_on(self) -> frozenset[Rdid]:
        """What this gateway carries, and carries on with now that another one is back."""
        asked = self._asked
        return self.carried & {one.rdid for one, _ in asked.edges if carries(one, asked.dead, True, 0.0)}

    def _holds(self, rdid: Rdid) -> bool:
        before = self._put.get(rdid)
        return before.carries if before is not None else (self._there or {}).get(rdid, False)

    async def _make(self, wanted: Wanted) -> float:
        rdid = wanted.network.rdid
        try:
            lacks = await self._driver.put(wanted)
        except Exception as failure:
            self._fail(rdid, f"{wanted.network.resource_ref}: {_words(failure)}")
            return RETRY_SECONDS
        before = self._put.get(rdid)
        if before is None or before.carries != wanted.carries:
            log.info("edge %d: %s", rdid, "carries its network" if wanted.carries else "stands by")
        self._put[rdid] = wanted
        self._due.discard(rdid)
        if self._there is not None:
            self._there[rdid] = wanted.carries
        self.failures.pop(rdid, None)
        self._lack(rdid, f"{wanted.network.resource_ref}: {lacks}" if lacks else "")
        return LOOK_SECONDS

    def _lack(self, rdid: Rdid, words: str) -> None:
        if words and self.lacks.get(rdid) != words:
            log.warning("edge %d: %s", rdid, words)
        self.lacks.pop(rdid, None)
        if words:
            self.lacks[rdid] = words

    async def _remove(self, rdid: Rdid) -> float:
        try:
            await self._driver.remove(rdid)
        except Exception as failure:
            self._fail(rdid, f"edge {rdid} cannot be removed: {_words(failure)}")
            return RETRY_SECONDS
        self._put.pop(rdid, None)
        self._splits.pop(rdid, None)
        if self._there is not None:
            self._there.pop(rdid, None)
        self.failures.pop(rdid, None)
        self._lack(rdid, "")
        return LOOK_SECONDS

    def _fail(self, rdid: Rdid, words: str) -> None:
        if self.failures.get(rdid) != words:
            log.warning("edge %d: %s", rdid, words)
        self.failures[rdid] = words
        self._put.pop(rdid, None)
