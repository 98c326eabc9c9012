"""Who names a public address, a gateway, its pool, its server or its subnets: kept up with every change of a resource.

Called by core.state, as core.index is; asked by the rules that must not delete what is in use, and by answers.
"""

from collections.abc import Callable, Iterator
from typing import Any

from weft.core.index import lower
from weft.model.resources import Ref, Resource

PUBLIC = "/publicIPAddresses"
"""After a network's reference: what of it has public addresses. No such resource; only a name to ask by."""

_Names = Iterator[tuple[Ref | None, str]]
"""What a resource names, and which of its parts does."""


class Uses:
    """References of the users of a thing, by the thing's reference in lower case."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, None]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Uses) and self._users == other._users

    def turn(self, kind: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        """Follow one change; turning back is the same call with both exchanged."""
        names = _NAMES.get(kind)
        if names is None:
            return
        old = _pairs(names, before)
        new = _pairs(names, after)
        if old == new:
            return
        for used, user in old:
            users = self._users[used]
            del users[user]
            if not users:
                del self._users[used]
        for used, user in new:
            self._users.setdefault(used, {})[user] = None

    def of(self, ref: str, kind: str = "") -> list[str]:
        """Who names `ref`, sorted; of one kind only if it is given."""
        users = sorted(self._users.get(ref.lower(), ()))
        return [user for user in users if user.startswith(f"/{kind}/")] if kind else users


def _pairs(names: Callable[[Any], _Names], resource: Resource[Any] | None) -> dict[tuple[str, str], None]:
    if resource is None:
        return {}
    return {(lower(ref), user): None for ref, user in names(resource) if lower(ref)}


def _interface(resource: Resource[Any]) -> _Names:
    for one in resource.properties.ip_configurations:
        if one.properties.public_ip_address is not None:
            user = f"/networkInterfaces/{resource.resource_id}/ipConfigurations/{one.resource_id}"
            yield one.properties.public_ip_address, user
            if one.properties.subnet is not None:
                yield Ref(one.properties.subnet.resource_ref.partition("/subnets/")[0] + PUBLIC), user


def _gateway_pool(resource: Resource[Any]) -> _Names:
    configuration = resource.properties.ip_configuration
    for ref in (*configuration.gre_vip_subnets, *configuration.public_ip_addresses):
        yield ref, f"/gatewayPools/{resource.resource_id}"


def _gateway(resource: Resource[Any]) -> _Names:
    for ref in (resource.properties.pool, resource.properties.server):
        yield ref, f"/gateways/{resource.resource_id}"


def _virtual_gateway(resource: Resource[Any]) -> _Names:
    p, own = resource.properties, f"/virtualGateways/{resource.resource_id}"
    for ref in (*p.gateway_pools, *p.gateways, p.nat.public_ip_address):
        yield ref, own
    for ref in p.gateway_subnets:
        yield ref, own
        yield Ref(ref.resource_ref.partition("/subnets/")[0]), own
    for one in p.network_connections:
        if one.properties.l3_configuration is not None:
            yield one.properties.l3_configuration.vlan_subnet, f"{own}/networkConnections/{one.resource_id}"


_NAMES: dict[str, Callable[[Any], _Names]] = {
    "networkInterfaces": _interface,
    "gatewayPools": _gateway_pool,
    "gateways": _gateway,
    "virtualGateways": _virtual_gateway,
}
