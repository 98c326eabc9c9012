"""Which provider addresses are to be put on which interface of the host, and which are to be taken off. Pure.

Asked by reconcile.py. Whoever set the host up gave it its first provider address, and by that said which interface
carries the provider network, or named that interface to the agent; the others are put there, and bear our mark. What
another hand put there stays.
"""

import ipaddress
from collections.abc import Iterable

from weft.agent.switch import HostAddress
from weft.model.records import ProviderAddress
from weft.model.values import PackedIp, ip_text


class OwnAddresses:
    """Of one host."""

    def __init__(self, carrier: str = "") -> None:
        """`carrier`: the interface for what no address that is there says a place of; empty for none."""
        self._carrier = carrier
        self._told: tuple[ProviderAddress, ...] = ()
        self._found: tuple[HostAddress, ...] = ()
        self.withheld: frozenset[PackedIp] = frozenset()
        """Not to be put anywhere: another machine has them, or it is not known yet that none has."""
        self.taken: frozenset[PackedIp] = frozenset()
        """Of those: another machine has them."""

    def are(self, told: Iterable[ProviderAddress], found: Iterable[HostAddress]) -> None:
        """The host is to have these, and its interfaces have those."""
        self._told, self._found = tuple(told), tuple(found)

    @property
    def to_add(self) -> tuple[HostAddress, ...]:
        found = (HostAddress(one.address, one.prefix_length, self._device(one), ours=True) for one in self._missing)
        return tuple(one for one in found if one.device and one.address not in self.withheld)

    @property
    def places(self) -> dict[PackedIp, str]:
        """On which interface each is or will be; empty for none."""
        where = {one.address: one.device for one in self._found}
        return {one.address: where.get(one.address) or self._device(one) for one in self._told}

    @property
    def to_remove(self) -> tuple[HostAddress, ...]:
        wanted = {one.address for one in self._told}
        return tuple(one for one in self._found if one.ours and one.address not in wanted)

    @property
    def are_there(self) -> bool:
        """Is each there, and known to be nobody else's? One that is another's is waited for only where it is to take an
        address's place. A host on which there is none at all waits for its operator, and nobody waits for it."""
        ready = {one.address for one in self._found if one.ready} - self.withheld
        needed = [one for one in self._told if one.awaited or one.address not in self.taken]
        missing = [one for one in needed if one.address not in ready]
        return not missing or (len(missing) == len(self._told) and not any(map(self._device, missing)))

    @property
    def words(self) -> tuple[str, ...]:
        """What keeps addresses off, in words."""
        return tuple(
            f"provider address {ip_text(one.address)}: no interface of this host has an address of the provider "
            f"network; give it to the one that carries it (ip address add {ip_text(one.address)}/{one.prefix_length} "
            "dev ...), or name that one to the agent (--provider-interface)"
            for one in self._missing
            if not self._device(one)
        )

    @property
    def _missing(self) -> list[ProviderAddress]:
        there = {one.address for one in self._found}
        return [one for one in self._told if one.address not in there]

    def _device(self, wanted: ProviderAddress) -> str:
        """That has another provider address of the same VLAN, else one of the same subnet, else the carrier; empty for
        none."""
        kin = {one.address for one in self._told if one.vlan == wanted.vlan}
        near = [one.device for one in self._found if one.address in kin]
        prefix = _prefix(wanted.address, wanted.prefix_length)
        near += [one.device for one in self._found if _prefix(one.address, wanted.prefix_length) == prefix]
        return near[0] if near else self._carrier


def _prefix(address: PackedIp, length: int) -> tuple[int, int]:
    return len(address), int(ipaddress.ip_address(address)) >> (len(address) * 8 - length)
