"""All flows of one guest's port, of whichever tables. Pure; called by flows.py."""

from collections.abc import Iterable

from weft.agent.bindings import Local
from weft.agent.flows import access as flows_access
from weft.agent.flows import classify as flows_classify
from weft.agent.flows import limits as flows_limits
from weft.agent.flows import responder as flows_responder
from weft.agent.flows import security as flows_security
from weft.agent.flows import segment as flows_segment
from weft.agent.flows import telling as flows_telling
from weft.agent.flows.flow import Flow
from weft.agent.flows.ways import bound_port
from weft.model.records import ProviderAddress


def of_local(local: Local, provider: Iterable[ProviderAddress]) -> tuple[Flow, ...]:
    """None while it has no port; `provider` are the host's own addresses."""
    if local.number is None:
        return ()
    port = bound_port(local.binding, local.number, local.edge, local.access, local.limits)
    everywhere = (*flows_classify.of_port(port), *flows_access.of_port(port), *flows_limits.of_port(port))
    if local.segment is not None:
        vlan, free = local.segment.vlan, local.segment.free
        rules = flows_segment.Rules(vlan, free, tuple(one for one in provider if one.vlan == vlan))
        return (*everywhere, *flows_segment.of_port(port, rules))
    builders = (flows_security.of_port, flows_responder.of_port, flows_telling.of_port)
    return (*everywhere, *(flow for builder in builders for flow in builder(port)))
