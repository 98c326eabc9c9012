"""The flows that every host has, whatever its policy. Called by flows.py. Pure."""

from weft.agent.flows import access as flows_access
from weft.agent.flows import classify as flows_classify
from weft.agent.flows import decap as flows_decap
from weft.agent.flows import l2 as flows_l2
from weft.agent.flows import l3 as flows_l3
from weft.agent.flows import responder as flows_responder
from weft.agent.flows import rewrite as flows_rewrite
from weft.agent.flows import rules as flows_rules
from weft.agent.flows import security as flows_security
from weft.agent.flows import telling as flows_telling
from weft.agent.flows.flow import Flow


def all_of_them() -> tuple[Flow, ...]:
    first = (flows_classify, flows_security, flows_responder, flows_access, flows_rules)
    modules = (*first, flows_l3, flows_l2, flows_rewrite, flows_decap, flows_telling)
    return tuple(flow for module in modules for flow in module.of_fixed())
