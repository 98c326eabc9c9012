"""What a host's hypervisor says of its machines, compared with the record: the commands that bring the ledger up to it.

Called by control.behind for machines of which something was heard. By level: where the record says it already, there is
no command. Whether an action is under way on the machine, and whether the host's word is of the present record, the
caller knows.
"""

from collections.abc import Iterator

from weft.core.decide.host_checkpoints import checkpoints_of
from weft.core.decide.machines import Machine
from weft.core.decide.network_interfaces import captures_of
from weft.core.decide.places import mac_of
from weft.core.decide.rollback import to_be_had
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.host_facts import HostFact, NoteCheckpoints, NoteHost, NoteMachine, NoteMacs
from weft.core.host_ranges import bounds
from weft.core.state import State
from weft.model.hypervisor import HypervisorState, MachineState
from weft.model.values import mac_dashes


def host_notes(state: State, server: str, told: HypervisorState) -> Iterator[HostFact]:
    """Of the host itself. A driver that tells no range says nothing of one that is known."""
    found = state.get("servers", server)
    if found is None or told.dynamic_range is None:
        return
    drawn = found.properties.dynamic_mac_range
    if drawn is None or bounds(drawn) != told.dynamic_range:
        yield NoteHost(found.resource_id, told.dynamic_range)


def machine_notes(state: State, server: str, kind: str, told: MachineState, by_hand: bool) -> Iterator[HostFact]:
    """Of a machine that its record has on this server: its addresses before its power, for it starts with those that
    it has. `told.machine` is its resource id; `kind` of hypervisor."""
    machine: Machine | None = state.get("virtualMachines", told.machine)
    if machine is None or told.awaited:
        return
    p = machine.properties
    # one that is Off gets what its interfaces have; one that is Saved keeps what it has, as one that runs
    keeps = told.power in ("Running", "Saved") and (by_hand or p.power_state == told.power)
    if keeps and _has_others(state, machine, server, told):
        yield NoteMacs(machine.resource_id, server, told.adapters)
    power = told.power if by_hand and told.power != p.power_state else ""
    # a machine that the hypervisor knows by our name for it has nothing to be known by
    news = told.id and told.id.lower() != machine.resource_id.lower()
    if news and p.hypervisor is not None and p.hypervisor.id.lower() == told.id.lower():
        news = False
    if power or news:
        yield NoteMachine(machine.resource_id, server, power, kind if news else "", told.id if news else "")
    if all(one.id for one in told.checkpoints) and not _has_checkpoints(state, machine, told):
        yield NoteCheckpoints(machine.resource_id, server, told.checkpoints)


def arrival(server: str, kind: str, told: MachineState) -> NoteMachine:
    """Of a machine that its record has on another server, and that is here now."""
    known = told.id.lower() != told.machine.lower()
    return NoteMachine(told.machine, server, told.power, kind if known else "", told.id if known else "")


def _has_others(state: State, machine: Machine, server: str, told: MachineState) -> bool:
    """Whether adapters have other MAC addresses than their interfaces, which nobody else holds."""
    pairs = fitted(interfaces_of(state, machine), told.adapters)
    wanted = {
        f"/networkInterfaces/{one.resource_id}": (one, adapter.mac)
        for one, adapter in pairs
        if adapter.mac and adapter.mac != mac_of(one)
    }
    return bool(wanted) and bool(to_be_had(state, server, wanted, captures_of(state, machine.resource_id)))


def _has_checkpoints(state: State, machine: Machine, told: MachineState) -> bool:
    """Whether the ledger's checkpoints are those of the host, holding the same MAC addresses."""
    if not told.checkpoints and not state.owned("checkpoints", machine.resource_id):
        return True
    known, _ = checkpoints_of(state, machine)
    if known.keys() != {one.id.lower() for one in told.checkpoints}:
        return False
    interfaces = interfaces_of(state, machine)
    for one in told.checkpoints:
        captured = {
            each.network_interface.resource_ref.rpartition("/")[2].lower(): each.mac_address
            for each in known[one.id.lower()].properties.network_interfaces
            if each.network_interface is not None
        }
        for interface, adapter in fitted(interfaces, one.adapters):
            text = captured.get(interface.resource_id.lower())
            if text is not None and text != (mac_dashes(adapter.mac) if adapter.mac else ""):
                return False
    return True
