"""Which flows of ours another hand changed, in words. Pure; called by reconcile.py."""

from collections.abc import Iterable

from weft.agent.flows.flow import Flow, FlowKey, flow_text


def drift(before: dict[FlowKey, Flow], now: dict[FlowKey, Flow]) -> Iterable[str]:
    for key, flow in before.items():
        seen = now.get(key)
        if seen is None:
            yield f"flow was gone: {flow_text(flow)}"
        elif seen != flow:
            yield f"flow was changed: {flow_text(seen)}"
    for key in now.keys() - before.keys():
        yield f"flow was added: {flow_text(now[key])}"
