"""What an edge does with a traced packet that has come to it. Called by core.trace.

Pure; whatever keeps it in raises Stopped with the verdict.
"""

from collections.abc import Callable

from weft.core import policy_gateways
from weft.core.edge_routes import exit_for, known_as, own_addresses
from weft.core.policy_places import Seat
from weft.core.state import State
from weft.core.trace_steps import Stopped
from weft.model.records import EdgeLeg
from weft.model.values import PackedIp, ip_text

Gateway = tuple[State, str, str]
"""The state, the host that carries it, and its resourceRef."""


def reached_edge(host: str, target: PackedIp) -> str:
    """The reason for an address of the edge's own."""
    return f"reached the gateway on {host}, whose own address {ip_text(target)} is"


def passed_edge(gateway: Gateway, seat: Seat, target: PackedIp, step: Callable[[str, str, str], None]) -> str:
    """The reason of what passes; how it leaves becomes a step."""
    state, host, ref = gateway
    rdid = seat.network.properties.routing_domain_number
    edge = policy_gateways.edge(state, host, rdid)
    if edge is not None and target in own_addresses(edge):
        return reached_edge(host, target)
    found = exit_for(edge, seat.address, target) if edge is not None else None
    if found is None:
        reason = f"the gateway on {host} has no route to {ip_text(target)}"
        leads_nowhere = edge is not None and not edge.legs and not edge.tunnels
        raise Stopped(f"{reason}: {ref} has neither nat nor a networkConnection" if leads_nowhere else reason, ref)
    assert edge is not None
    outer = known_as(edge, found.by, seat.address)
    via = f" by {ip_text(found.next_hop)}" if found.next_hop else ""
    if isinstance(found.by, EdgeLeg):
        where = found.by.subnet
    else:
        where, key = f"{ref}/networkConnections/{found.by.name}", found.by.key_value
        named = f"key {key}" if key >= 0 else "without a key"
        via = f" in GRE from {ip_text(found.by.local)} to {ip_text(found.by.remote)}, {named}"
    if outer is None:
        text = f"the gateway on {host} has no public address of {where} for {ip_text(seat.address)}"
        raise Stopped(f"{text}: {ref} needs nat there, or its ipConfiguration a publicIPAddress", ref)
    kind = "routed" if outer == seat.address else f"known outside as {ip_text(outer)}"
    step("gateway", f"{ip_text(seat.address)} leaves through {where}{via}, {kind}", f"EdgeNetwork {rdid}")
    return f"left by the gateway on {host} through {where}"
