"""What hosts count of access lists, by the names that people know. Called by weft.api.answers, hosts and metrics."""

from collections.abc import Iterator
from typing import Any

from weft.control.rule_hits import Hit, RuleHits, counts_of
from weft.core.policy_access import AccessControlList, list_of_number, list_ref
from weft.core.state import State
from weft.model.values import wall_text
from weft.wire.messages import DEFAULT_IN, DEFAULT_OUT, Facts

_DEFAULTS = {DEFAULT_IN: "inboundDefaultAction", DEFAULT_OUT: "outboundDefaultAction"}


def rule_hits(state: State, facts: Facts) -> Iterator[tuple[str, str, int, int]]:
    """(Reference of the list, rule or default action, packets, bytes); what is gone meanwhile is left out."""
    names: dict[int, tuple[str, dict[int, str]]] = {}
    for (number, priority), (packets, octets) in counts_of(facts).items():
        if number not in names:
            found = list_of_number(state, number)
            rules = found.properties.acl_rules if found is not None else ()
            ref = list_ref(found) if found is not None else ""
            names[number] = (ref, _DEFAULTS | {one.properties.priority: one.resource_id for one in rules})
        ref, known = names[number]
        if ref and priority in known:
            yield ref, known[priority], packets, octets


def add_defaults(members: dict[str, Any], found: AccessControlList, hits: RuleHits) -> None:
    """To the answered properties of a list: what its default actions decided, on all hosts together."""
    number = found.properties.list_number
    members["inboundDefaultHits"] = _hit(hits.of(number, DEFAULT_IN))
    members["outboundDefaultHits"] = _hit(hits.of(number, DEFAULT_OUT))


def add_hits(members: dict[str, Any], found: AccessControlList, priority: int, hits: RuleHits) -> None:
    """To the answered properties of one of its rules."""
    members["hits"] = _hit(hits.of(found.properties.list_number, priority))


def _hit(hit: Hit) -> dict[str, Any]:
    known = {"packets": hit.packets, "bytes": hit.octets}
    return known if hit.last is None else known | {"last": wall_text(float(int(hit.last)))}
