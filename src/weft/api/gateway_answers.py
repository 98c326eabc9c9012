"""Computed members of public addresses, gateways, their pools and virtual gateways (MS-NCNBI 3.1.5.3, .4, .14, .17).

Called by weft.api.answers. Reads the state, changes nothing.
"""

from typing import Any

from weft.core.index import lower
from weft.core.state import State
from weft.model.kinds import GATEWAYS, VIRTUAL_GATEWAYS

Members = dict[str, Any]

ROUTING = "Static"
"""routingType: there is no BGP."""


def refs(found: list[str]) -> list[Members]:
    return [{"resourceRef": ref} for ref in found]


def public_address(state: State, properties: Members, ref: str) -> None:
    """Who is known by it: an ipConfiguration, a virtual gateway (its NAT) or a pool."""
    users = state.uses.of(ref)
    if users:
        properties["ipConfiguration"] = {"resourceRef": users[0]}


def gateway_pool(state: State, properties: Members, ref: str) -> None:
    properties["gateways"] = refs(state.uses.of(ref, GATEWAYS.name))
    properties["VirtualGateways"] = refs(state.uses.of(ref, VIRTUAL_GATEWAYS.name))


def gateway(state: State, properties: Members, resource: Any, ref: str) -> None:
    """Its type and capacity are its pool's; capacity is promised to the connections that it carries, in Kbit/s."""
    pool = state.find_ref(lower(resource.properties.pool))
    assert pool is not None
    total = pool.properties.gateway_capacity_kilo_bits_per_second
    served, promised = [], 0
    for user in state.uses.of(ref, VIRTUAL_GATEWAYS.name):
        found = state.find_ref(user)
        if found is None:
            continue
        connections = [f"{user}/networkConnections/{one.resource_id}" for one in found.properties.network_connections]
        served.append({"virtualGateway": {"resourceRef": user}, "networkConnections": refs(connections)})
        if lower(found.properties.gateways[0]) == ref.lower():
            promised += sum(
                max(one.properties.outbound_kilo_bits_per_second, one.properties.inbound_kilo_bits_per_second)
                for one in found.properties.network_connections
            )
    properties["type"] = pool.properties.type
    properties["totalCapacity"] = total
    properties["availableCapacity"] = max(0, total - promised)
    properties["VirtualGateways"] = served


def virtual_gateway(properties: Members, resource: Any) -> None:
    """Connections are on the gateway that carries the network; without one they say so."""
    properties["bgpRouters"] = []
    properties["routingType"] = ROUTING
    active = properties.pop("activeGateway", "")
    if active:
        properties["activeGateway"] = {"resourceRef": _spelled(resource, active)}
    for connection in properties["networkConnections"]:
        carried(connection["properties"], resource, active)


def carried(own: Members, gateway: Any, active: str) -> None:
    """To a connection of a virtual gateway: its state, and where it is or why it is nowhere. `active`: id of the
    gateway that carries the network, empty for none."""
    up = bool(active) and own["connectionStatus"] == "Enabled"
    own["connectionState"] = "Connected" if up else "Disconnected"
    first = gateway.properties.gateways[:1]
    if active:
        own["gateway"] = {"resourceRef": _spelled(gateway, active)}
    elif first:
        own["gateway"] = {"resourceRef": first[0].resource_ref}
        own["unreachabilityReason"] = "no gateway: none of its gateways carries it"
    else:
        own["unreachabilityReason"] = "no gateway: none of its GatewayPools has one"


def _spelled(resource: Any, gateway: str) -> str:
    return str(next(ref.resource_ref for ref in resource.properties.gateways if lower(ref).endswith(f"/{gateway}")))


def lift(properties: Members, name: str) -> None:
    """What stands beside a resource's configurationState becomes a member of its own."""
    state = properties.get("configurationState")
    if state is not None and name in state:
        properties[name] = state.pop(name)


def connection(properties: Members) -> None:
    """Nulls go; a route says how it came about."""
    properties["routes"] = [
        {name: value for name, value in route.items() if value is not None} | {"protocol": "static"}
        for route in properties["routes"]
    ]
