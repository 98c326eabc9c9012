"""The flows that a switch has, and those of the table that it does not have yet. Pure; kept by reconcile.py.

It promises that the cost of a plan is that of what changed, and that nothing is removed while it is not known what the
switch has.
"""

from collections.abc import Iterable, Mapping

from weft.agent.drift import drift
from weft.agent.flows import classify
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.flows.table import FlowTable
from weft.agent.switch import SwitchChange


class Installed:
    """Of one switch."""

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._flows: dict[FlowKey, Flow] | None = None
        self._pending: set[FlowKey] = set()

    @property
    def known(self) -> bool:
        """Was the switch read since it was last lost?"""
        return self._flows is not None

    @property
    def settled(self) -> bool:
        """Does it have what the table had when it was last followed?"""
        return self._flows is not None and not self._pending

    def lost(self) -> None:
        """It must be read again."""
        self._flows = None

    def read(self, flows: Iterable[Flow]) -> tuple[str, ...] | None:
        """All flows with our mark. Returns in words which another hand changed since the last plan; None at first."""
        before, self._flows = self._flows, {flow.key: flow for flow in flows}
        desired = self._table.flows
        self._pending |= {key for key, flow in desired.items() if self._flows.get(key) != flow}
        self._pending |= self._flows.keys() - desired.keys()
        return None if before is None else tuple(drift(before, self._flows))

    def follow(self) -> None:
        """Note what the table has built."""
        self._pending |= self._table.changed
        self._table.changed.clear()

    def changes(self) -> tuple[tuple[Flow, ...], tuple[FlowKey, ...]]:
        """What to put and what to remove; nothing while it is not known what is there."""
        if self._flows is None:
            return (), ()
        self._drop_settled(self._flows)
        puts = tuple(self._table.flows[key] for key in self._pending if key in self._table.flows)
        return puts, tuple(key for key in self._pending if key not in self._table.flows)

    def zones(self, puts: Iterable[Flow]) -> tuple[int, ...]:
        """Conntrack zones of ports that are bound anew: connections of whoever had the number before are not theirs.

        A port whose entrance is on the switch as it was keeps its connections: also over a restart of the agent.
        """
        installed = self._flows or {}
        fresh = set()
        for flow in puts:
            number = classify.entrance(flow)
            if number is not None:
                before = installed.get(flow.key)
                if before is None or classify.identity(before) != classify.identity(flow):
                    fresh.add(number)
        return tuple(sorted(fresh))

    def done(self, change: SwitchChange, refused: set[FlowKey]) -> None:
        """The change is on the switch, but for the flows that it refused."""
        if self._flows is None:
            return
        for key in change.removes:
            self._flows.pop(key, None)
        for flow in change.puts:
            key = flow.key
            if key not in refused:
                self._flows[key] = flow
        self._drop_settled(self._flows)

    def _drop_settled(self, installed: Mapping[FlowKey, Flow]) -> None:
        """A new set: walking one that once was large takes as long as if it still were."""
        desired = self._table.flows
        self._pending = {key for key in self._pending if desired.get(key) != installed.get(key)}
