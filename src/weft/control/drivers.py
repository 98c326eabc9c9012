"""What an agent's driver can do, by the name that it said in its Hello; and whether what it shows is as it should be.

Called by verdicts, power, creations and errands. Pure.
"""

from collections.abc import Sequence

from weft.model.hypervisor import MachineState
from weft.model.values import InstanceId, Mac, mac_dashes
from weft.store.store import Agent

MADE_AT_START = ("", "lab")
"""Without a hypervisor, and the lab's namespaces: what runs is made when it starts, and gone when it ends."""


def defines(agent: Agent | None) -> bool:
    """Does the driver keep machines: are they defined, saved, checkpointed?"""
    return agent is not None and agent.hypervisor not in MADE_AT_START


COPYING = ("libvirt", "hyperv")
"""Those whose machines have disks that only the host can copy."""


def copies(agent: Agent | None) -> bool:
    """Does the driver copy a machine whose hardware is not on record?"""
    return agent is not None and agent.hypervisor in COPYING


def filters(hypervisor: str) -> bool:
    """Do hosts of this driver carry out access lists?"""
    return hypervisor != "hyperv"


def differs(state: MachineState, wanted: Sequence[tuple[InstanceId, Mac]]) -> str:
    """How the adapters that a hypervisor shows differ from a machine's interfaces, in words; empty if they do not. The
    hypervisor may order them otherwise, and not every driver tells which interface an adapter is for."""
    if len(state.adapters) != len(wanted):
        return f"it has {len(state.adapters)} adapters instead of {len(wanted)}"
    by_interface = dict(wanted)
    left = sorted(mac for _, mac in wanted)
    for adapter in state.adapters:
        label = adapter.name or adapter.id or "an adapter"
        mac = mac_dashes(adapter.mac)
        if adapter.dynamic:
            return f"{label} has a dynamic MAC address ({mac})"
        if adapter.instance_id and adapter.instance_id not in by_interface:
            return f"{label} belongs to another interface ({adapter.instance_id})"
        own = by_interface.get(adapter.instance_id)
        if own is not None and adapter.mac != own:
            return f"{label} has {mac} instead of {mac_dashes(own)}"
        if adapter.mac not in left:
            return f"{label} has {mac}, which is none of {', '.join(map(mac_dashes, left)) or 'its own'}"
        left.remove(Mac(adapter.mac))
    return ""
