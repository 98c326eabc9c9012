"""Which server each gateway is on, and which virtual networks it serves: a part of core.index.

Virtual gateways may name a gateway that comes later in the same commit, or has gone: both tables turn by themselves,
and answer what that does to a server's interest in a network.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weft.model.gateways import GatewayProperties
from weft.model.resources import Resource

Turned = tuple[str, str, int]
"""Virtual network id, server id, and 1 or -1: one reason more or less for the server to know the network."""


class GatewayPlaces:
    """Of all gateways; ids in lower case."""

    def __init__(self) -> None:
        self._on: dict[str, str] = {}
        self._serves: dict[str, dict[str, None]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GatewayPlaces) and (self._on, self._serves) == (other._on, other._serves)

    @property
    def servers(self) -> Mapping[str, str]:
        """Server id per gateway id."""
        return self._on

    def networks(self, gateway: str) -> list[str]:
        """Ids of the virtual networks that it serves, first or later."""
        return list(self._serves.get(gateway, ()))

    def turn(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> Iterator[Turned]:
        """Follow a change of a gateway or a virtual gateway."""
        one = after if after is not None else before
        is_gateway = one is not None and isinstance(one.properties, GatewayProperties)
        return self._gateway(key, before, after) if is_gateway else self._virtual(before, after)

    def _gateway(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> Iterator[Turned]:
        for resource, by in ((before, -1), (after, 1)):
            if resource is not None:
                server = _last(resource.properties.server.resource_ref)
                if by < 0:
                    del self._on[key]
                else:
                    self._on[key] = server
                yield from ((network, server, by) for network in self._serves.get(key, ()))

    def _virtual(self, before: Resource[Any] | None, after: Resource[Any] | None) -> Iterator[Turned]:
        for resource, by in ((before, -1), (after, 1)):
            if resource is None:
                continue
            network = network_id(resource)
            for gateway in (_last(ref.resource_ref) for ref in resource.properties.gateways):
                served = self._serves.setdefault(gateway, {})
                if by < 0:
                    del served[network]
                else:
                    served[network] = None
                if not served:
                    del self._serves[gateway]
                if gateway in self._on:
                    yield network, self._on[gateway], by


def network_id(virtual_gateway: Resource[Any]) -> str:
    """Of the virtual network that a virtual gateway is of, lower case."""
    return _last(virtual_gateway.properties.gateway_subnets[0].resource_ref.lower().partition("/subnets/")[0])


def _last(ref: str) -> str:
    return ref.lower().rpartition("/")[2]
