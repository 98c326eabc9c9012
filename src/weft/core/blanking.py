"""Blanked checkpoints: their dynamic adapters hold no MAC address, so that a machine that is rolled back draws one of
the host that it is on. The remedy of clusters that must keep dynamic addresses, where it does no harm. Pure.

Called by the agent, which blanks, and by the API, which tells. A checkpoint that holds a running machine is never
blanked: after the rollback the machine would go on, with the old address in its memory, while its adapter draws
another, and would have no network until it was restarted. A machine that was off starts anew and draws then.
"""

from weft.model.hypervisor import CheckpointState, MachineState

OURS = "Weft has the machine: its checkpoints bring its own addresses back"
STATIC = "its adapters are static: no host draws their addresses"
HOLDS_RUNNING = (
    "it holds a running machine, which would get another address in the middle of its run: let Weft take the machine "
    "in (adoption of its server), or take the checkpoint anew while the machine is off"
)

Place = tuple[MachineState, CheckpointState]


def is_blank(checkpoint: CheckpointState) -> bool:
    """Nothing that a host has drawn would come back with it."""
    return not any(one.mac for one in checkpoint.adapters if one.dynamic)


def why_not(machine: MachineState, checkpoint: CheckpointState) -> str:
    """Why a checkpoint is not to be blanked; empty if it may be, or is."""
    if machine.machine:
        return OURS
    if not any(one.dynamic for one in checkpoint.adapters):
        return STATIC
    return HOLDS_RUNNING if checkpoint.running and not is_blank(checkpoint) else ""


def found(machines: tuple[MachineState, ...], machine: str, checkpoint: str) -> Place | None:
    """By the hypervisor's ids, in lower case; None if there is no such machine here or it has no such checkpoint."""
    for one in machines:
        if one.id.lower() == machine:
            points = (point for point in one.checkpoints if point.id.lower() == checkpoint)
            return next(((one, point) for point in points), None)
    return None
