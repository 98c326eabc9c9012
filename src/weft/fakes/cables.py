"""What becomes of a machine that Weft did not make when it does something to it. Called by fakes.hypervisor."""

import msgspec

from weft.agent.hypervisors import Disconnect, Reconnect, SetMacs, Stop
from weft.model.hypervisor import MachineState


class Cables:
    """Of one host: which adapters Weft has unplugged, and where they were."""

    def __init__(self) -> None:
        self._pulled: dict[str, dict[int, str]] = {}
        """By the hypervisor's id: the switch by the adapter's place."""

    def changed(self, state: MachineState, verb: Stop | Disconnect | Reconnect | SetMacs) -> MachineState:
        match verb:
            case Stop():
                return msgspec.structs.replace(state, power="Off")
            case Disconnect():
                pulled = {at: one.switch for at, one in enumerate(state.adapters) if one.switch}
                self._pulled[state.id] = self._pulled.get(state.id, {}) | pulled
                return self._plugged(state, dict.fromkeys(pulled, ""), isolated=bool(self._pulled[state.id]))
            case Reconnect():
                pulled = self._pulled.pop(state.id, {})
                free = {at: switch for at, switch in pulled.items() if not state.adapters[at].switch}
                return self._plugged(state, free, isolated=False)
            case SetMacs():
                adapters = [
                    msgspec.structs.replace(one, mac=port.mac, instance_id=port.instance_id, dynamic=False)
                    for one, port in zip(state.adapters, verb.ports, strict=True)
                ]
                return msgspec.structs.replace(state, adapters=tuple(adapters))

    @staticmethod
    def _plugged(state: MachineState, switches: dict[int, str], *, isolated: bool) -> MachineState:
        adapters = tuple(
            msgspec.structs.replace(one, switch=switches.get(at, one.switch)) for at, one in enumerate(state.adapters)
        )
        return msgspec.structs.replace(state, adapters=adapters, isolated=isolated)
