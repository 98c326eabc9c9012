"""The flow tables of the fake switch, by the OpenFlow rules: equal match and priority is one flow, with counters."""

from collections import Counter, defaultdict

from weft.agent.flows.actions import Meter
from weft.agent.flows.fields import COOKIE_DROPS, COOKIE_DROPS_MASK, COOKIE_MARK, COOKIE_MARK_MASK, COUNTED, DropReason
from weft.agent.flows.flow import Flow, FlowKey, flow_text
from weft.agent.openflow.messages import is_too_long
from weft.agent.switch import StepFailure, SwitchChange, SwitchDump, SwitchMeter
from weft.fakes.openflow import Refused, check
from weft.fakes.passage import Passage

Identity = tuple[int, int, frozenset[object]]
"""Table, priority and the terms of the match, whose order does not matter to a switch."""


class FlowTables:
    """Of one bridge, with its meters."""

    def __init__(self) -> None:
        self.meters: dict[int, SwitchMeter] = {}
        self._flows: dict[Identity, Flow] = {}
        self._tables: dict[int, list[Flow]] = defaultdict(list)
        self._counts: dict[Identity, int] = {}
        self._octets: Counter[Identity] = Counter()

    def put(self, flow: Flow) -> None:
        """An equal flow keeps its counter. Raises Refused."""
        self._check(flow)
        identity = _identity(flow.key)
        if self._flows.get(identity) == flow:
            return
        self.take(flow.key)
        self._flows[identity] = flow
        self._counts[identity] = self._octets[identity] = 0
        self._tables[int(flow.table)].append(flow)

    def _check(self, flow: Flow) -> None:
        check(flow)
        if is_too_long(flow):
            raise Refused("no message holds so many actions")
        for action in flow.actions:
            if isinstance(action, Meter) and action.id not in self.meters:
                raise Refused(f"there is no meter {action.id}")

    def take(self, key: FlowKey) -> None:
        found = self._flows.pop(_identity(key), None)
        if found is not None:
            self._tables[int(found.table)].remove(found)
            self._counts.pop(_identity(key), None)
            self._octets.pop(_identity(key), None)

    def take_meter(self, number: int) -> None:
        """The flows that name it go with it."""
        if self.meters.pop(number, None) is not None:
            for flow in [flow for flow in self._flows.values() if Meter(number) in flow.actions]:
                self.take(flow.key)

    def bundle(self, change: SwitchChange) -> list[StepFailure]:
        """Removes go first: what is removed and put again stays. A flow that is refused is left out, the rest is in."""
        failures: dict[FlowKey, StepFailure] = {}
        for flow in change.puts:
            try:
                self._check(flow)
            except Refused as refusal:
                failures[flow.key] = StepFailure(
                    "flows", "one flow", f"{refusal}: {flow_text(flow)[:500]}", flow=flow.key
                )
        for key in change.removes:
            found = self._flows.get(_identity(key))
            if found is not None and _is_ours(found):
                self.take(key)
        for flow in change.puts:
            if flow.key not in failures:
                self.put(flow)
        return list(failures.values())

    def clear(self) -> None:
        """No flow and no meter any more."""
        for table in (self.meters, self._flows, self._tables, self._counts, self._octets):
            table.clear()

    def all(self) -> tuple[Flow, ...]:
        return tuple(self._flows.values())

    def packets(self, flow: Flow) -> int:
        """n_packets of a flow."""
        return self._counts.get(_identity(flow.key), 0)

    def meet(self, table: int, passage: Passage) -> Flow | None:
        """Which flow a packet meets now; it is counted."""
        flow = passage.meet(self._tables[table])
        if flow is not None:
            self._counts[_identity(flow.key)] += 1
            self._octets[_identity(flow.key)] += passage.length
        return flow

    def dump(self) -> SwitchDump:
        """As Open vSwitch is read by an agent."""
        ours = [flow for flow in self._flows.values() if _is_ours(flow)]
        drops: dict[str, int] = defaultdict(int)
        for identity, flow in self._flows.items():
            if flow.cookie & COOKIE_DROPS_MASK == COOKIE_DROPS and self._counts.get(identity):
                drops[DropReason(flow.cookie & 0xFFFF).name.lower()] += self._counts[identity]
        foreign = tuple(flow_text(flow) for flow in self._flows.values() if not _is_ours(flow))
        counts: dict[int, tuple[int, int]] = {}
        for flow in ours:
            if flow.cookie >> 40 & 0xFF in COUNTED:
                packets, octets = counts.get(flow.cookie, (0, 0))
                identity = _identity(flow.key)
                counts[flow.cookie] = packets + self._counts[identity], octets + self._octets[identity]
        return SwitchDump(tuple(ours), dict(drops), foreign, tuple(self.meters.values()), counts)


def _identity(key: FlowKey) -> Identity:
    table, priority, match = key
    return int(table), priority, frozenset(term for term in match if term[2])


def _is_ours(flow: Flow) -> bool:
    return flow.cookie & COOKIE_MARK_MASK == COOKIE_MARK
