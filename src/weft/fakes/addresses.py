"""The provider addresses of a fake switch's host: on one interface, some put there by an agent.

Kept by fakes.switch.
"""

from collections.abc import Iterable

from weft.agent.switch import HostAddress, StepFailure
from weft.fakes.network import Endpoint, ProviderNetwork
from weft.model.values import PackedIp

DEVICE = "br-phy"
_LENGTHS = {4: 24, 16: 64}
"""Of the prefixes that addresses of another hand are in, by bytes."""


class OwnAddresses:
    """Of one host."""

    def __init__(self, network: ProviderNetwork, host: Endpoint) -> None:
        self._network = network
        self._host = host
        self._held: dict[PackedIp, tuple[int, bool]] = {}
        """Prefix length, and whether an agent put it there."""

    def found(self) -> tuple[HostAddress, ...]:
        mtu = self._network.mtu
        return tuple(HostAddress(one, length, DEVICE, mtu, ours) for one, (length, ours) in self._held.items())

    def are(self, addresses: Iterable[PackedIp]) -> None:
        """These from now on, and no others: another hand's work."""
        for address in self._held:
            self._network.leave(address, self._host)
        self._held = {address: (_LENGTHS[len(address)], False) for address in addresses}
        for address in self._held:
            self._network.join(address, self._host)

    def turn(self, one: HostAddress, wanted: bool) -> list[StepFailure]:
        """An agent puts one there, or takes it off; what failed of it."""
        if one.device != DEVICE:
            return [StepFailure("address", one.device, f"there is no interface {one.device}")]
        if wanted and one.address not in self._held:
            self._held[one.address] = (one.prefix_length, True)
            self._network.join(one.address, self._host)
        elif not wanted and self._held.pop(one.address, None) is not None:
            self._network.leave(one.address, self._host)
        return []

    def first(self, size: int) -> PackedIp:
        """What the host's routes choose where flows say no source."""
        return next((one for one in self._held if len(one) == size), PackedIp(bytes(size)))
