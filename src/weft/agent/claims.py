"""Which provider addresses of this host are its own to use: not before nobody else answers for them. Pure.

Kept by provider_keeper.py; time is an argument. An address that is in use is not given up because another claims it,
or anybody on the provider network could take a host's tunnels from it: that is told instead, until it is mended.
"""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from weft.model.values import PackedIp, ip_text

AGAIN_SECONDS = 5.0
"""Until an address that another has is asked for again."""
EVERY_SECONDS = 60.0
"""Between two questions about one that nobody else has."""


class _Claim(msgspec.Struct):
    used: bool
    """It was found to be nobody else's, or was in use before: it is not withheld any more."""
    due: float = 0.0
    asked: bool = False
    here: bool | None = None
    """Is there an interface of this host that has it or will? None while that is not known."""
    holder: str = ""
    """MAC address of who has it too."""


class Holder(msgspec.Struct, frozen=True):
    """Another machine with a provider address of this host."""

    address: PackedIp
    mac: str
    used: bool
    """This host uses the address all the same, since it did before."""


class Claims:
    """Of one host."""

    def __init__(self) -> None:
        self._claims: dict[PackedIp, _Claim] = {}

    def want(self, addresses: Iterable[PackedIp], used: Collection[PackedIp]) -> bool:
        """From now on these, and no others; those that are used are this host's already. Returns whether any is new."""
        wanted = set(addresses)
        new = wanted - self._claims.keys()
        self._claims = {one: claim for one, claim in self._claims.items() if one in wanted}
        self._claims |= {one: _Claim(False) for one in new}
        for one in wanted & set(used):
            self._claims[one].used = True
        return bool(new)

    @property
    def wanted(self) -> frozenset[PackedIp]:
        return frozenset(self._claims)

    @property
    def usable(self) -> frozenset[PackedIp]:
        return frozenset(address for address, one in self._claims.items() if one.used)

    @property
    def taken(self) -> frozenset[PackedIp]:
        """Those of the others that another machine answers for."""
        return frozenset(address for address, one in self._claims.items() if one.holder and not one.used)

    @property
    def settled(self) -> bool:
        """Is it known of each address whether it may be used?"""
        return all(one.used or one.asked or one.here is False for one in self._claims.values())

    def is_nowhere(self, address: PackedIp) -> bool:
        """Is it known that no interface of this host has it or will?"""
        one = self._claims.get(address)
        return one is not None and one.here is False

    def seen(self, here: Collection[PackedIp]) -> None:
        """There are interfaces for these, and for no others."""
        for address, one in self._claims.items():
            if one.here is not (address in here):
                one.here, one.asked, one.due = address in here, False, 0.0

    def due(self, now: float) -> list[PackedIp]:
        """Those to be asked about now."""
        return sorted(address for address, one in self._claims.items() if one.here and one.due <= now)

    def answered(self, address: PackedIp, holder: str, now: float) -> None:
        """This other machine answers for it; empty: nobody does."""
        one = self._claims.get(address)
        if one is not None:
            one.asked, one.holder, one.used = True, holder, one.used or not holder
            one.due = now + (AGAIN_SECONDS if holder else EVERY_SECONDS)

    def heard(self, address: PackedIp, holder: str, now: float) -> None:
        """Another machine says of itself that it has it. Whether that is so still is asked after a while."""
        one = self._claims.get(address)
        if one is not None:
            one.holder, one.due = holder, now + AGAIN_SECONDS

    def holders(self) -> tuple[Holder, ...]:
        found = ((address, one) for address, one in sorted(self._claims.items()) if one.holder)
        return tuple(Holder(address, one.holder, one.used) for address, one in found)

    def failures(self) -> Iterator[str]:
        """Why addresses are not used, in words."""
        for address, one in sorted(self._claims.items()):
            text = ip_text(address)
            if one.holder and not one.used:
                yield (
                    f"provider address {text} is {one.holder}'s already, so it is used for nothing here: take it from "
                    "there, or give this host another"
                )

    def warnings(self) -> Iterator[str]:
        """Addresses that are used although another machine has them too, in words."""
        for one in self.holders():
            if one.used:
                text = ip_text(one.address)
                yield f"provider address {text} is also {one.mac}'s: take it from there, or give this host another"
