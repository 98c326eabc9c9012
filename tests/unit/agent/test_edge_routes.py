"""What a host's kernel is given for an edge, read as a kernel reads it, is what a trace says of that edge."""

import ipaddress
import itertools

import pytest
from msgspec.structs import replace

from tests.contract.test_edge import EDGE, LEG, LEG6, NOWHERE, ROUTED, SECOND, SECOND6, SIX, TUNNEL
from tests.property.agreement.edges import Left, left
from weft.core.edge_routes import exit_for, known_as, own_addresses
from weft.model.values import ip_text, pack_ip

SOURCES = (
    *("10.1.1.11", "10.1.1.12", "10.1.1.14", "66.6.6.6", "fd01:1::11", "fd01:1::12", "fd01:1::14"),
    "2001:db8:66::6",
)
TARGETS = (
    *("8.8.8.8", "203.0.113.7", "203.0.113.20", "192.0.2.7", "10.9.0.1", "10.9.0.7", "10.10.0.5", "172.16.0.2"),
    *("10.1.1.77", "10.1.254.3", "2001:db8::8", "2001:db8:ff::7", "fd09::1", "fd01:1::77", "fd01:fe::3"),
)
ALONE = replace(LEG, nat=NOWHERE, addresses=LEG.addresses[1:])
EDGES = {
    "nat": (LEG,),
    "one machine": (ALONE,),
    "two subnets": (LEG, SECOND),
    "nat in the second": (SECOND, LEG),
    "two and no nat": (ALONE, SECOND),
    "no router in the second": (LEG, replace(SECOND, gateway=NOWHERE)),
    "no router in one of IPv6": (LEG6, replace(SECOND6, gateway=NOWHERE)),
    "both families": (LEG, LEG6, SECOND),
    "a connection": (LEG, ROUTED, SECOND),
    "a connection alone": (ROUTED,),
}


def said(edge, source, target):
    """As core.edge_routes has it, which trace asks."""
    if pack_ip(target) in own_addresses(edge):
        return "own"
    found = exit_for(edge, pack_ip(source), pack_ip(target))
    if found is None:
        return None
    known = known_as(edge, found.by, pack_ip(source))
    return "held" if known is None else (found.by, ip_text(found.next_hop) if found.next_hop else "", ip_text(known))


@pytest.mark.parametrize("legs", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("tunnels", [(), (TUNNEL,)], ids=["", "and a tunnel"])
def test_the_kernel_does_what_a_trace_says(legs, tunnels):
    edge = replace(EDGE, legs=legs, tunnels=tunnels, **SIX)
    for source, target in itertools.product(SOURCES, TARGETS):
        if ipaddress.ip_address(source).version != ipaddress.ip_address(target).version:
            continue
        found = left(edge, source, target)
        if isinstance(found, Left):
            found = found.link.leg or found.link.tunnel, found.hop, found.source
        assert found == said(edge, source, target), (source, target)
