"""A behaving driver of tunnel encryption: IPsec between fake hosts, which holds where both ends keep a pair.

Implements agent.encryption.TunnelEncryption; held to its promises by the contract suite.
"""

from weft.agent.encryption import EncryptionFailure, Pair


class Ipsec:
    """Between all hosts of a world."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostIpsec] = {}

    def host(self, name: str) -> "HostIpsec":
        return self.hosts.setdefault(name, HostIpsec(self))

    def kept_by_another(self, pair: Pair, own: "HostIpsec") -> bool:
        """Does the other end do its part?"""
        back = Pair(pair.remote, pair.local)
        return any(back in one.kept and not one.lacks for one in self.hosts.values() if one is not own)


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
        self.kept = frozenset() if self.lacks else pairs
        return frozenset(one for one in self.kept if self._world.kept_by_another(one, self))

    def _answer(self) -> None:
        if self.failure:
            raise EncryptionFailure(self.failure)
