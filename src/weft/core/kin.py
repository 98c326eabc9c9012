"""Which machine of the ledger a machine of a hypervisor is. Pure; called by control for what hosts tell and ask."""

from collections.abc import Iterator

from weft.core.decide.machines import Machine
from weft.core.index import last_id
from weft.core.state import State
from weft.model.hypervisor import MachineState


def kin_of(state: State, server: str, told: MachineState, named: str = "") -> Machine | None:
    """By the name that its agent has for it (`named`), then by the hypervisor's id, first one on this server, then by
    our mark, if the record knows no other id. None for a stranger."""
    found: Machine | None = state.get("virtualMachines", named) if named else None
    if found is None:
        found = next(_by_id(state, server, told.id), None)
    if found is None and told.machine:
        found = state.get("virtualMachines", told.machine)
        known = found.properties.hypervisor if found is not None else None
        if known is not None and known.id and known.id.lower() != told.id.lower():
            return None
    return found


def _by_id(state: State, server: str, own: str) -> Iterator[Machine]:
    keys = state.index.hypervised.get(own.lower(), ()) if own else ()
    found = [one for one in (state.get("virtualMachines", key) for key in keys) if one is not None]
    yield from sorted(found, key=lambda one: last_id(one.properties.server) != server.lower())
