"""The flows that every host has, whatever its policy. Called by flows.py. Pure."""

from weft.agent import (
    flows_access,
    flows_classify,
    flows_decap,
    flows_l2,
    flows_l3,
    flows_responder,
    flows_rules,
    flows_security,
    flows_telling,
)
from weft.agent.flow import Flow


def all_of_them() -> tuple[Flow, ...]:
    first = (flows_classify, flows_security, flows_responder, flows_access, flows_rules)
    modules = (*first, flows_l3, flows_l2, flows_decap, flows_telling)
    return tuple(flow for module in modules for flow in module.of_fixed())
