"""A host's report by machine, by port and by what is wrong, so that a question about one costs one.

Made by weft.control.session for each report that comes in; read by verdicts, power, behind, twins and the API. Each
table is made when it is first asked for: most reports are asked nothing.
"""

from collections.abc import Mapping
from functools import cached_property

from weft.model.hypervisor import MachineState
from weft.model.values import PackedIp
from weft.wire.messages import Facts, MachineFact, PortFact


class FactTables:
    """Of one report. Where it names something twice, the first counts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @cached_property
    def machines(self) -> Mapping[str, MachineFact]:
        """By resource id of the machine."""
        return {one.machine: one for one in reversed(self._facts.machines)}

    @cached_property
    def failures(self) -> tuple[MachineFact, ...]:
        """Of machines whose last verb failed."""
        return tuple(one for one in self._facts.machines if one.failure)

    @cached_property
    def ports(self) -> Mapping[str, PortFact]:
        """By instanceId of the interface."""
        return {one.instance_id: one for one in reversed(self._facts.ports)}

    @cached_property
    def troubled(self) -> frozenset[str]:
        """instanceIds of interfaces that have a problem or no bound port."""
        problems = {one.instance_id for one in self._facts.problems if one.instance_id}
        return frozenset(problems | {one.instance_id for one in self._facts.ports if one.state != "bound"})

    @cached_property
    def states(self) -> Mapping[str, MachineState]:
        """What the hypervisor has, by its own id in lower case."""
        return {one.id.lower(): one for one in reversed(self._states)}

    @cached_property
    def marked(self) -> Mapping[str, MachineState]:
        """What the hypervisor has, by the resource id that our mark says."""
        return {one.machine: one for one in reversed(self._states) if one.machine}

    @cached_property
    def sealed(self) -> frozenset[tuple[PackedIp, PackedIp]] | None:
        """Between which provider addresses, its own first, its tunnels are encrypted; None where it does not say."""
        told = self._facts.provider
        if told is None or told.sealed is None:
            return None
        return frozenset((own, other) for own, others in told.sealed for other in others)

    @property
    def _states(self) -> tuple[MachineState, ...]:
        return self._facts.hypervisor.machines if self._facts.hypervisor is not None else ()
