"""Which access lists this host has, which of its ports are under them, and so which parts of the pipeline change. Pure.

Called by table.py. A changed rule touches its own part only; a list that no port is under has none.
"""

from collections.abc import Iterable, Mapping

from weft.agent.bindings import Local
from weft.agent.flows.access import of_scope
from weft.agent.flows.domain import Domain, Part
from weft.agent.flows.flow import Flow
from weft.agent.flows.rules import NamedBy, of_list, of_rule
from weft.model.records import AccessList, AccessRule, Record, RecordKey
from weft.model.values import Rdid


class Filters:
    """Of one host."""

    def __init__(self, domains: Mapping[Rdid, Domain]) -> None:
        self._known = domains
        self.lists: dict[int, AccessList] = {}
        self.domains: frozenset[Rdid] = frozenset()
        """Routing domains with a port under a list: there it matters what lies in the network."""
        self._rules: dict[int, dict[int, AccessRule]] = {}
        """By number of the list and priority."""
        self._uses: frozenset[tuple[int, NamedBy]] = frozenset()

    def put(self, key: RecordKey, record: Record | None) -> set[Part]:
        """A record of the host's stream is this now, or gone; of lists, returns the parts to build again."""
        if key[0] != AccessList.__struct_config__.tag:
            return set()
        number = int(key[1])
        before, rules = self.lists.pop(number, None), self._rules.pop(number, {})
        known = record if isinstance(record, AccessList) else None
        after = {rule.priority: rule for rule in known.rules} if known is not None else {}
        if known is not None:
            self.lists[number], self._rules[number] = known, after
        changed = {priority for priority in rules.keys() | after.keys() if rules.get(priority) != after.get(priority)}
        parts: set[Part] = set()
        for named_by in (each for listed, each in self._uses if listed == number):
            parts |= {("rule", number, named_by, priority) for priority in changed}
            if _defaults(before) != _defaults(known):
                parts.add(("list", number, named_by))
        return parts

    def used_by(self, local: Iterable[Local]) -> set[Part]:
        """These are the interfaces here, all of them. Returns the parts to build again."""
        uses: set[tuple[int, NamedBy]] = set()
        domains: set[Rdid] = set()
        for one in local:
            if one.access is not None and one.number is not None:
                domains.add(one.binding.rdid)
                for _, own, subnet in one.access.lists:
                    uses |= {(own, NamedBy.INTERFACE), (subnet, NamedBy.SUBNET)}
        used = frozenset(use for use in uses if use[0])
        parts: set[Part] = {("scope", rdid) for rdid in domains ^ self.domains}
        for number, named_by in used ^ self._uses:
            parts.add(("list", number, named_by))
            parts |= {("rule", number, named_by, priority) for priority in self._rules.get(number, ())}
        self._uses, self.domains = used, frozenset(domains)
        return parts

    def of_scope(self, rdid: Rdid) -> tuple[Flow, ...]:
        domain = self._known.get(rdid)
        if domain is None or domain.settings is None or rdid not in self.domains:
            return ()
        return of_scope(rdid, domain.settings.scope)

    def of_list(self, number: int, named_by: NamedBy) -> tuple[Flow, ...]:
        found = self.lists.get(number)
        return of_list(found, named_by) if found is not None and (number, named_by) in self._uses else ()

    def of_rule(self, number: int, named_by: NamedBy, priority: int) -> tuple[Flow, ...]:
        found = self._rules.get(number, {}).get(priority)
        return of_rule(number, found, named_by) if found is not None and (number, named_by) in self._uses else ()


def _defaults(record: AccessList | None) -> tuple[bool, bool] | None:
    return (record.inbound_allow, record.outbound_allow) if record is not None else None
