"""What a command changes of where interfaces are: the virtual subnets that a host has any in, before it and after it.

Called by core.decide.provider_addresses. By what the index counts and the machines that the command touches: no
question here walks over all machines of a host.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from weft.core.decide.draft import Draft
from weft.core.index import interfaces_of, references, servers_of
from weft.core.pools import Segment
from weft.core.references import SUBNETS, VIRTUAL
from weft.core.state import State


class OnHosts:
    """Of one command, as far as it has been decided."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._before = Draft(draft.state, draft.now, draft.new_id)
        owners = (draft.state.machine_of(one) for one in draft.changed("networkInterfaces"))
        others = {one.resource_id.lower() for one in owners if one is not None}
        self._machines = sorted(draft.changed("virtualMachines") | others)
        """Those with other interfaces, other servers, or an interface that is another."""

    def segments(self, server: str) -> tuple[list[Segment], list[Segment]]:
        """The virtual subnets with an interface on a server (its id in lower case), before the command and after it."""
        before = _counted(self._draft.state, server)
        after = Counter(before)
        after.subtract(_references(self._before, self.interfaces(self._before, server)))
        after.update(_references(self._draft, self.interfaces(self._draft, server)))
        return self._segments(before), self._segments(after)

    def touched(self, server: str) -> tuple[list[str], set[str]]:
        """Ids of the interfaces on a server that may be others after the command: those there are, and all there were
        or are."""
        after = list(self.interfaces(self._draft, server))
        return after, {*after, *self.interfaces(self._before, server)}

    def interfaces(self, draft: Draft, server: str) -> Iterator[str]:
        """Of the machines that the command touches, as a draft has them, those on a server."""
        for machine_id in self._machines:
            machine = draft.get("virtualMachines", machine_id)
            if machine is not None and server in servers_of(machine):
                yield from interfaces_of(machine)

    def _segments(self, counts: Counter[str]) -> list[Segment]:
        found = (self._draft.state.segment(ref) for ref in sorted(counts) if counts[ref] > 0)
        return [one for one in found if one is not None and one.virtual]


def _counted(state: State, server: str) -> Counter[str]:
    """How many ports a server has in each virtual subnet, by its reference."""
    index = state.index
    found = Counter[str]()
    for network in index.networks_on.get(server, ()):
        for ref in index.subnets_used.get(VIRTUAL + network, ()):
            found[ref] = index.ports_in.get(ref, {}).get(server, 0)
    return found


def _references(draft: Draft, interfaces: Iterator[str]) -> Iterator[str]:
    for interface_id in interfaces:
        interface: Any = draft.get("networkInterfaces", interface_id)
        yield from (one for one in references(interface) if SUBNETS in one) if interface is not None else ()
