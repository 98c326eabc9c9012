"""What a server's settings say about machines there that are none of ours. Pure reads; called by control."""

from weft.core.copy_commands import ImportedInterface, ImportMachine
from weft.core.naming import fits, slug, suffixed
from weft.core.state import State
from weft.model.fabric import Adoption
from weft.model.hypervisor import AdapterState, MachineState
from weft.model.values import mac_dashes
from weft.model.workload import HypervisorIdentity

REPORT, DISCONNECT, STOP, PIN = "report", "disconnect", "stop", "pin"
RECONNECT = "reconnect"
"""What becomes of a machine that was disconnected, when its twin has gone."""


def twin_policy_of(state: State, server: str) -> str:
    """report, disconnect or stop."""
    found = state.get("servers", server)
    return (found.properties.twin_policy if found is not None else "") or REPORT


def adoption_of(state: State, server: str) -> Adoption:
    found = state.get("servers", server)
    return (found.properties.adoption if found is not None else None) or Adoption()


def is_excepted(adoption: Adoption, told: MachineState) -> bool:
    """Whether a machine is to be left alone, by its name in any case."""
    return any(fits(told.name, pattern) for pattern in adoption.exceptions)


def reports_dynamic(state: State, server: str, told: MachineState) -> bool:
    """Whether a stranger whose addresses its hypervisor draws is named as a conflict."""
    return not is_excepted(adoption_of(state, server), told)


def pinned(
    state: State, server: str, kind: str, told: MachineState, drawn: tuple[int, int] | None
) -> ImportMachine | None:
    """How a stranger is taken in that is off and whose addresses its hypervisor draws; None where it is not.

    `drawn` is the range that the host draws from, as it says itself: the record may not have it yet. An address out of
    it could be drawn for another, and one of zeros is none: such an adapter gets one from a pool. Any other is kept
    where nobody has it.
    """
    adoption = adoption_of(state, server)
    dynamic = any(one.dynamic for one in told.adapters)
    if adoption.mode != PIN or told.power != "Off" or told.awaited or not dynamic or is_excepted(adoption, told):
        return None
    found = state.get("servers", server)
    subnets = [one.resource_ref for one in adoption.subnets]
    interfaces = tuple(
        ImportedInterface(_kept(one, drawn), (), subnets[min(at, len(subnets) - 1)])
        for at, one in enumerate(told.adapters)
    )
    name = slug(told.name or told.id)
    if state.get("virtualMachines", name) is not None:
        name = suffixed(name, told.id)
    return ImportMachine(
        name,
        found.resource_id if found is not None else server,
        interfaces,
        addresses="newIfTaken",
        hypervisor=HypervisorIdentity(type=kind, id=told.id),
    )


def _kept(adapter: AdapterState, drawn: tuple[int, int] | None) -> str:
    if not adapter.mac or (drawn is not None and drawn[0] <= adapter.mac <= drawn[1]):
        return ""
    return mac_dashes(adapter.mac)
