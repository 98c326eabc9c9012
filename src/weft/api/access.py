"""What hosts count of access lists, by the names that people know. Called by weft.api.hosts and metrics."""

from collections.abc import Iterator

from weft.core.policy_access import list_of_number, list_ref
from weft.core.state import State
from weft.wire.messages import DEFAULT_IN, DEFAULT_OUT, Facts

_DEFAULTS = {DEFAULT_IN: "inboundDefaultAction", DEFAULT_OUT: "outboundDefaultAction"}


def rule_hits(state: State, facts: Facts) -> Iterator[tuple[str, str, int]]:
    """(Reference of the list, rule or default action, packets); what is gone meanwhile is left out."""
    names: dict[int, tuple[str, dict[int, str]]] = {}
    for number, priority, packets in facts.hits:
        if number not in names:
            found = list_of_number(state, number)
            rules = found.properties.acl_rules if found is not None else ()
            ref = list_ref(found) if found is not None else ""
            names[number] = (ref, _DEFAULTS | {one.properties.priority: one.resource_id for one in rules})
        ref, known = names[number]
        if ref and priority in known:
            yield ref, known[priority], packets
