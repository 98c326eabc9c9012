"""The flows that every host has, whatever its policy. Called by table.py. Pure."""

from weft.agent.flows import access, classify, decap, l2, l3, onward, responder, rewrite, rules, security, telling
from weft.agent.flows.flow import Flow


def all_of_them() -> tuple[Flow, ...]:
    first = (classify, security, responder, access, rules)
    modules = (*first, l3, l2, rewrite, decap, onward, telling)
    return tuple(flow for module in modules for flow in module.of_fixed())
