"""Which adapter of a machine, as its hypervisor tells it, is which of its interfaces. Pure; called by core.behind, by
core.findings and by core.decide for what hosts say."""

from collections.abc import Iterable, Sequence

from weft.core.decide.bindings import INTERFACES
from weft.core.decide.ip_configurations import Interface
from weft.core.decide.machines import Machine
from weft.core.decide.places import mac_of
from weft.core.index import last_id
from weft.core.state import State
from weft.model.hypervisor import AdapterState

Fitted = tuple[Interface, AdapterState]


def interfaces_of(state: State, machine: Machine) -> list[Interface]:
    """A machine's interfaces in order."""
    found = (state.get(INTERFACES, last_id(ref)) for ref in machine.properties.network_interfaces)
    return [one for one in found if one is not None]


def fitted(interfaces: Iterable[Interface], adapters: Sequence[AdapterState]) -> list[Fitted]:
    """Pairs, in the order of the interfaces: by the interface id of the port, then by MAC address, then, where as many
    are left on both sides, by order. Two adapters with one interface id, as a careless copy has them, are told apart by
    the rest."""
    left = list(adapters)
    found: dict[str, Fitted] = {}
    every = list(interfaces)

    def take(interface: Interface, adapter: AdapterState) -> None:
        found[interface.resource_id] = (interface, adapter)
        left.remove(adapter)

    for interface in every:
        own = [one for one in left if one.instance_id and one.instance_id.lower() == interface.instance_id.lower()]
        if len(own) == 1:
            take(interface, own[0])
    for interface in every:
        mac = mac_of(interface)
        own = [one for one in left if mac is not None and one.mac == mac]
        if interface.resource_id not in found and own:
            take(interface, own[0])
    rest = [interface for interface in every if interface.resource_id not in found]
    if len(rest) == len(left):
        for interface, adapter in zip(rest, tuple(left), strict=True):
            take(interface, adapter)
    return [found[one.resource_id] for one in every if one.resource_id in found]
