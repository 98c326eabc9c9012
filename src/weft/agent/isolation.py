"""What is done to machines that run beside a lawful user of their address, where the server's policy wants something
done, and undone when the other has gone. Pure; called by agent.py with what the controller ordered, which knows who
else runs where.
"""

from collections.abc import Iterable, Mapping

from weft.agent.hypervisors import HOST, Disconnect, Reconnect, Stop, Verb
from weft.model.hypervisor import MachineState


def isolating(told: Iterable[MachineState], names: Mapping[str, str], orders: Mapping[str, str]) -> dict[str, Verb]:
    """The verb for each machine that is still to be isolated or to be let back, by its name here. `orders`: disconnect,
    stop or reconnect by the hypervisor's id, `names`: those of ours by it. One that does not run, or is connected to
    nothing, is isolated."""
    found: dict[str, Verb] = {}
    for one in told:
        order = orders.get(one.id)
        name = names.get(one.id, "")
        if order == "reconnect":
            if one.isolated:
                found[name or f"{HOST}{one.id}"] = Reconnect(one.id)
        elif order is None or one.power != "Running":
            continue
        elif order == "stop":
            found[name or f"{HOST}{one.id}"] = Stop(name, one.id)
        elif any(adapter.switch for adapter in one.adapters):
            found[name or f"{HOST}{one.id}"] = Disconnect(one.id)
    return found
