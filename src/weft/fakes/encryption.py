"""A behaving driver of tunnel encryption: IPsec between fake hosts, which holds some time after both ends keep a pair.

Implements agent.encryption.TunnelEncryption; held to its promises by the contract suite.
"""

import asyncio
from collections.abc import Iterable

from weft.agent.encryption import EncryptionFailure, Pair
from weft.model.values import PackedIp


class Ipsec:
    """Between all hosts of a world."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostIpsec] = {}
        self.takes_s = 0.0
        """How long the ends of a pair that begins now negotiate (IKE, RFC 7296) before it holds."""
        self._due: dict[frozenset[PackedIp], float] = {}
        """From when on one holds that both ends keep, by its two addresses."""

    def host(self, name: str) -> "HostIpsec":
        return self.hosts.setdefault(name, HostIpsec(self))

    def let_go(self, pairs: Iterable[Pair]) -> None:
        """An end keeps these no more."""
        for pair in pairs:
            self._due.pop(frozenset((pair.local, pair.remote)), None)

    def holds(self, pair: Pair) -> bool:
        """Do both ends do their part, and have for long enough?"""
        back, between = Pair(pair.remote, pair.local), frozenset((pair.local, pair.remote))
        ends = [one for one in self.hosts.values() if not one.lacks and {pair, back} & one.kept]
        if len(ends) < 2:
            self._due.pop(between, None)
            return False
        now = asyncio.get_running_loop().time()
        return now >= self._due.setdefault(between, now + self.takes_s)


class HostIpsec:
    """Of one host."""

    def __init__(self, world: Ipsec) -> None:
        self.lacks = ""
        """Why there is none."""
        self.failure = ""
        """It does not answer, with these words."""
        self.kept: frozenset[Pair] = frozenset()
        self._world = world

    async def why_not(self) -> str:
        self._answer()
        return self.lacks

    async def keep(self, pairs: frozenset[Pair]) -> frozenset[Pair]:
        self._answer()
        before, self.kept = self.kept, frozenset() if self.lacks else pairs
        self._world.let_go(before - self.kept)
        return frozenset(filter(self._world.holds, self.kept))

    def _answer(self) -> None:
        if self.failure:
            raise EncryptionFailure(self.failure)
