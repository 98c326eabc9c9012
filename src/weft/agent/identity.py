"""Which machine of the hypervisor is which of ours. Pure; called by reconcile.py.

A machine of the hypervisor is ours if its record names the hypervisor's id of it, or if it bears our mark. Tools that
copy machines copy marks too: a driver passes on only those that name the machine's own id. Whatever else the host has
is a stranger's and never touched.
"""

from collections.abc import Iterable, Mapping

import msgspec

from weft.model.hypervisor import MachineState
from weft.model.records import Machine


def identify(states: Iterable[MachineState], machines: Mapping[str, Machine]) -> dict[str, MachineState]:
    """What the hypervisor says, by resource id. The id that a record names goes before a mark."""
    by_id = {one.hypervisor_id.lower(): name for name, one in machines.items() if one.hypervisor_id}
    found: dict[str, MachineState] = {}
    marked: list[MachineState] = []
    for state in states:
        name = by_id.get(state.id.lower()) if state.id else None
        if name is not None:
            found[name] = msgspec.structs.replace(state, machine=name) if state.machine != name else state
        elif state.machine:
            marked.append(state)
    for state in marked:
        record = machines.get(state.machine)
        if record is None or not record.hypervisor_id or record.hypervisor_id.lower() == state.id.lower():
            found.setdefault(state.machine, state)
    return found


def own_adapters(states: Mapping[str, MachineState], machines: Mapping[str, Machine]) -> frozenset[tuple[str, int]]:
    """(name, MAC address) of adapters of our machines that have an address of their machine's interfaces: no stranger,
    wherever they are connected. `states` by resource id."""
    return frozenset(
        (adapter.name, adapter.mac)
        for name, state in states.items()
        if (machine := machines.get(name)) is not None
        for adapter in state.adapters
        if adapter.name and adapter.mac in machine.macs
    )
