"""All flows of one guest's port, of whichever tables. Pure; called by by_mac.py."""

from collections.abc import Iterable

from msgspec.structs import replace

from weft.agent.bindings import Local
from weft.agent.flows import access, classify, limits, responder, security, segment, telling
from weft.agent.flows.flow import Flow
from weft.agent.flows.ways import bound_port, host_prefix, with_learnt
from weft.model.records import ProviderAddress


def of_local(local: Local, provider: Iterable[ProviderAddress]) -> tuple[Flow, ...]:
    """None while it has no port; `provider` are the host's own addresses, of which a controller of before tells alone
    where the provider network is."""
    if local.number is None:
        return ()
    port = bound_port(local.binding, local.number, local.edge, local.access, local.limits)
    port = replace(port, brought_connections=local.brought_connections)
    everywhere = (*classify.of_port(port), *access.of_port(port), *limits.of_port(port))
    if local.segment is not None:
        vlan, free = local.segment.vlan, local.segment.free
        own = (host_prefix(one) for one in provider if one.vlan == vlan)
        rules = segment.Rules(vlan, free, tuple(sorted({*own, *local.segment.provider})))
        return (*everywhere, *segment.of_port(port, rules))
    port = with_learnt(port, local.learning)
    builders = (security.of_port, responder.of_port, telling.of_port)
    return (*everywhere, *(flow for builder in builders for flow in builder(port)))
