"""GET /weft/v1/servers/{id}/machines: all that a host's hypervisor has, ours and strangers', and what their checkpoints
hold. Called by weft.api.routes. Reads only what the host's agent last told.
"""

from typing import Any

from weft.api.call import Answer, Call, json_answer
from weft.control.controller import Controller
from weft.core.blanking import is_blank, why_not
from weft.model.errors import NotFound
from weft.model.hypervisor import AdapterState, CheckpointState, MachineState
from weft.model.kinds import SERVERS
from weft.model.values import mac_dashes


def machines(controller: Controller, call: Call, server: str) -> Answer:
    """Raises NotFound."""
    call.only()
    found = controller.state.get(SERVERS.name, server)
    if found is None:
        raise NotFound(f"There is no server '{server}'.", target=f"/servers/{server}")
    host = controller.host(server)
    told = host.facts.hypervisor
    wanted = {(one.machine, one.checkpoint) for one in found.properties.blank_checkpoints}
    return json_answer(
        {
            "hypervisor": host.hypervisor or None,
            "connected": host.connected,
            "value": [_machine(one, wanted) for one in (told.machines if told is not None else ())],
            "nextLink": "",
        }
    )


def _machine(one: MachineState, wanted: set[tuple[str, str]]) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "machine": {"resourceRef": f"/weft/virtualMachines/{one.machine}"} if one.machine else None,
        "powerState": one.power,
        "clustered": one.clustered,
        "adapters": [_adapter(adapter) for adapter in one.adapters],
        "checkpoints": [_checkpoint(one, point, wanted) for point in one.checkpoints],
    }


def _adapter(one: AdapterState) -> dict[str, Any]:
    mode = "dynamic" if one.dynamic else "static"
    return {
        "name": one.name,
        "mac": mac_dashes(one.mac) if one.mac else None,
        "mode": mode,
        "switch": one.switch or None,
    }


def _checkpoint(machine: MachineState, one: CheckpointState, wanted: set[tuple[str, str]]) -> dict[str, Any]:
    why = why_not(machine, one)
    asked = (machine.id.lower(), one.id.lower()) in wanted
    return {
        "id": one.id,
        "name": one.name,
        "holdsRunning": one.running,
        "adapters": [_adapter(adapter) for adapter in one.adapters],
        "blanking": "no" if why else "done" if is_blank(one) else "asked" if asked else "possible",
        "reason": why or None,
    }
