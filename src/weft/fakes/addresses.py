"""The provider addresses of a fake switch's host, on one interface, and its routes: some put there by an agent.

Kept by fakes.switch.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from weft.agent.switch import ANY, HostAddress, HostRoute, StepFailure
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
        self._routes: dict[tuple[PackedIp, int], HostRoute] = {}
        """That an agent put there."""
        self.others_routes: tuple[HostRoute, ...] = ()
        """Of another hand."""

    def found(self) -> tuple[HostAddress, ...]:
        mtu = self._network.mtu
        return tuple(HostAddress(one, length, DEVICE, mtu, ours) for one, (length, ours) in self._held.items())

    def routes(self) -> tuple[HostRoute, ...]:
        """Those to the subnets that its addresses are in come and go with them."""
        links: dict[tuple[bytes, int], HostRoute] = {}
        for one, (length, _) in self._held.items():
            net = ipaddress.ip_network((one, length), strict=False)
            prefix = PackedIp(net.network_address.packed)
            source = one if len(one) == 4 else ANY
            links.setdefault((prefix, length), HostRoute(prefix, length, DEVICE, source=source))
        return tuple((*links.values(), *self._routes.values(), *self.others_routes))

    def _turn_route(self, one: HostRoute, wanted: bool) -> list[StepFailure]:
        key = one.prefix, one.prefix_length
        if not wanted:
            if self._routes.get(key) == msgspec.structs.replace(one, ours=True):
                del self._routes[key]
            return []
        if one.device != DEVICE:
            return [StepFailure("route", one.prefix.hex(), f"there is no interface {one.device}")]
        if not any(_lies_in(one.gateway, link) for link in self.routes() if not link.gateway):
            return [StepFailure("route", one.prefix.hex(), "Nexthop has invalid gateway")]
        if one.source and one.source not in self._held:
            return [StepFailure("route", one.prefix.hex(), "Invalid prefsrc address")]
        self._routes[key] = msgspec.structs.replace(one, ours=True)
        return []

    def are(self, addresses: Iterable[PackedIp]) -> None:
        """These from now on, and no others: another hand's work."""
        for address in self._held:
            self._network.leave(address, self._host)
        self._held = {address: (_LENGTHS[len(address)], False) for address in addresses}
        self._forget_routes()
        for address in self._held:
            self._network.join(address, self._host)

    def turn(self, one: HostAddress | HostRoute, wanted: bool) -> list[StepFailure]:
        """An agent puts one there, or takes it off; what failed of it."""
        if isinstance(one, HostRoute):
            return self._turn_route(one, wanted)
        if one.device != DEVICE:
            return [StepFailure("address", one.device, f"there is no interface {one.device}")]
        if wanted and one.address not in self._held:
            self._held[one.address] = (one.prefix_length, True)
            self._network.join(one.address, self._host)
        elif not wanted and self._held.pop(one.address, None) is not None:
            self._network.leave(one.address, self._host)
            self._forget_routes()
        return []

    def _forget_routes(self) -> None:
        """The kernel takes routes away with the address that they send from."""
        self._routes = {key: one for key, one in self._routes.items() if not one.source or one.source in self._held}

    def first(self, size: int) -> PackedIp:
        """What the host's routes choose where flows say no source."""
        return next((one for one in self._held if len(one) == size), PackedIp(bytes(size)))


def _lies_in(address: PackedIp, link: HostRoute) -> bool:
    net = ipaddress.ip_network((link.prefix, link.prefix_length))
    return ipaddress.ip_address(address) in net
