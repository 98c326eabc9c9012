"""How large packets may be: what an interface's network carries, what its guest is told and what its port takes. Pure.

Kept by reconcile.py.
"""

from collections.abc import Iterable, Mapping

from weft.agent.bindings import Local
from weft.agent.flows.domain import Domain
from weft.agent.flows.ways import mtu_for
from weft.agent.tunnels import Tunnels
from weft.model.hypervisor import MachineState
from weft.model.records import Machine, PortBinding
from weft.model.values import Rdid


class Mtus:
    """Of one host. `domains` are its networks as it knows them now."""

    def __init__(self, tunnels: Tunnels, domains: Mapping[Rdid, Domain]) -> None:
        self._tunnels = tunnels
        self._domains = domains
        self._asked: dict[str, tuple[int, int]] = {}
        """By port name: its number, and the MTU last asked for."""

    @property
    def provider(self) -> int:
        """Of the interface that carries the tunnels."""
        return self._tunnels.provider_mtu

    def of(self, binding: PortBinding) -> int:
        """Largest IP packet that the interface's network carries."""
        if not binding.rdid:  # a logical network: no tunnel
            return self.provider
        family = 6 if len(binding.provider_address) == 16 else 4
        return mtu_for(self._encapsulation(binding), self.provider, family)

    def of_guest(self, local: Local) -> int:
        """What the guest is told: also not more than a port takes that another hand has made smaller."""
        port, most = local.port, self.of(local.binding)
        return min(most, port.mtu) if port is not None and port.mtu and not port.mtu_of_ours else most

    def _encapsulation(self, binding: PortBinding) -> str:
        domain = self._domains.get(binding.rdid)
        return domain.settings.encapsulation if domain and domain.settings else "vxlan"

    def to_set(self, local: Iterable[Local]) -> tuple[tuple[str, int], ...]:
        """Ports with another MTU than they should have: the physical network's, for a port drops what is larger in
        silence; of what no tunnel carries the guest is told. An edge's kernel tells it itself, so its port takes what
        the tunnel carries. Asked once per port and MTU until it is so: not every switch can set it."""
        wanted = []
        for one in local:
            port, most = one.port, self.of(one.binding) if one.edge else self.provider
            if port is None:
                continue
            if not (port.mtu > most or (port.mtu_of_ours and port.mtu < most)):
                self._asked.pop(port.name, None)
                continue
            if self._asked.get(port.name) != (asked := (port.ofport, most)):
                self._asked[port.name] = asked
                wanted.append((port.name, most))
        return tuple(sorted(wanted))

    def failed(self, name: str) -> None:
        """A port could not be set: it is asked again."""
        self._asked.pop(name, None)

    def too_large(
        self, local: Mapping[str, Local], machines: Mapping[str, Machine], states: Mapping[str, MachineState]
    ) -> Iterable[tuple[str, str]]:
        """Guests that believe that their network carries more than it does, with words: each such packet costs an
        error."""
        machine_of: dict[str, str] = {
            instance: one.machine for one in machines.values() for instance in one.instance_ids
        }
        for instance, one in sorted(local.items()):
            machine, most = machine_of.get(instance, ""), self.of(one.binding)
            state = states.get(machine)
            kind = self._encapsulation(one.binding).upper() if one.segment is None else "a frame"
            within = f"{kind} inside {self.provider} carries {most}"
            name = one.binding.network_interface
            if state is not None and state.power == "Running" and state.mtu > most:
                yield (
                    instance,
                    f"{name}: the guest's MTU is {state.mtu}, {within}; restart {machine} or lower its MTU to {most}",
                )
