"""What hosts tell of their machines and the ledger cannot follow: kept by machine, read as conflicts.

Filled by weft.control.behind whenever it takes in a host. A reader gets what is so at the present revision: the
conflicts of those few machines are worked out at each question, so that one which was mended in the ledger is gone.
"""

from collections.abc import Iterable

import msgspec

from weft.core.conflicts import Conflict
from weft.core.findings import elsewhere_findings, machine_findings, stranger_findings
from weft.core.state import State
from weft.core.strangers import reports_dynamic
from weft.model.hypervisor import MachineState
from weft.model.kinds import SERVERS

OURS, ELSEWHERE, STRANGER = "ours", "elsewhere", "stranger"


class Told(msgspec.Struct, frozen=True):
    """What a host tells of one machine: `machine.machine` is its resource id, empty for a stranger."""

    server: str
    role: str
    """OURS: bound to this server. ELSEWHERE: bound to another one. STRANGER."""
    machine: MachineState


class Findings:
    """One per controller."""

    def __init__(self) -> None:
        self._suspects: dict[str, dict[str, Told]] = {}
        """By server, by the hypervisor's id: those of whom there was something to say."""
        self._machines: dict[str, dict[tuple[str, str], None]] = {}
        """Keys of _suspects by the id, lower case, of each machine of ours that they touch."""
        self._touched: dict[tuple[str, str], set[str]] = {}
        """The other way round."""

    def replace(self, state: State, server: str, suspects: Iterable[Told]) -> None:
        """All of a server that may be found fault with."""
        for key in self._suspects.pop(server, {}):
            for machine in self._touched.pop((server, key)):
                del self._machines[machine][server, key]
                if not self._machines[machine]:
                    del self._machines[machine]
        found = {one.machine.id: one for one in suspects}
        if found:
            self._suspects[server] = found
        for key, one in found.items():
            touched = self._touched[server, key] = _machines_in(state, conflicts_of(state, one))
            for machine in touched:
                self._machines.setdefault(machine, {})[server, key] = None

    @property
    def servers(self) -> list[str]:
        """Of which something is to be said."""
        return list(self._suspects)

    def all(self, state: State) -> list[Conflict]:
        """Every finding, as it is now."""
        return [
            each for every in self._suspects.values() for one in every.values() for each in conflicts_of(state, one)
        ]

    def of(self, state: State, machine: str) -> list[Conflict]:
        """Those that touch one machine of ours, by its id in any case."""
        own = machine.lower()
        return [
            each
            for server, key in self._machines.get(own, ())
            for each in conflicts_of(state, self._suspects[server][key])
            if own in _machines_in(state, [each])
        ]


def conflicts_of(state: State, told: Told) -> list[Conflict]:
    """What is to be said of one machine now."""
    found = state.get(SERVERS.name, told.server)
    server = found.resource_id if found is not None else told.server
    if told.role == OURS:
        return machine_findings(state, server, told.machine)
    if told.role == ELSEWHERE:
        return elsewhere_findings(state, server, told.machine)
    return stranger_findings(state, server, told.machine, reports_dynamic(state, server, told.machine))


def _machines_in(state: State, conflicts: Iterable[Conflict]) -> set[str]:
    """Ids, lower case, of the machines of ours whose interfaces or checkpoints are among the holders."""
    found: set[str] = set()
    for conflict in conflicts:
        for ref in conflict.holders:
            parts = ref.lower().strip("/").split("/")
            if parts[0] == "networkinterfaces":
                machine = state.machine_of(parts[1])
                found |= {machine.resource_id.lower()} if machine is not None else set()
            elif parts[:2] == ["weft", "virtualmachines"]:
                found.add(parts[2])
    return found
