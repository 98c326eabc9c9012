"""Every version that a commit's resources had in it, and what these name: a part of core.policy_touched.

A record that was made by a version already gone is found by that version only.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from weft.core.changes import ResourceChange
from weft.core.index import interfaces_of, last_id, servers_of
from weft.core.policy_access import LISTS
from weft.core.policy_places import (
    INTERFACES,
    MACHINES,
    NETWORKS,
    Interface,
    Network,
    VirtualMachine,
    subnet_names,
    subnet_of,
)
from weft.core.policy_versions import configured, learnt
from weft.core.state import State
from weft.model.resources import AnyResource


class Versions:
    """Of one commit. Costs by what the commit changes, and by what is asked."""

    def __init__(self, state: State, changes: Iterable[ResourceChange]) -> None:
        """`state` is the one after the changes."""
        self._state = state
        self._changed: dict[tuple[str, str], list[AnyResource]] = defaultdict(list)
        self._kinds: dict[str, list[AnyResource]] = defaultdict(list)
        self._machines: dict[str, list[VirtualMachine]] = defaultdict(list)
        """By interface."""
        for change in changes:
            versions = [one for one in (change.before, change.after) if one is not None]
            self._changed[change.kind, change.id.lower()] += versions
            self._kinds[change.kind] += versions
            for machine in versions if change.kind == MACHINES else ():
                for interface_id in interfaces_of(machine):
                    self._machines[interface_id].append(machine)

    def changed(self, kind: str, resource_id: str) -> list[AnyResource]:
        """Every version of a resource in the commit; none if the commit does not change it."""
        return self._changed.get((kind, resource_id.lower()), [])

    def changed_of(self, kind: str) -> list[AnyResource]:
        """Every version of all resources of a kind that the commit changes."""
        return self._kinds.get(kind, [])

    def seen(self, kind: str, resource_id: str) -> list[AnyResource]:
        """Every version of a resource in the commit, and the one that it has now."""
        now = self._state.get(kind, resource_id)
        return [*self.changed(kind, resource_id), *([now] if now is not None else [])]

    def machines_with(self, interface_id: str) -> list[VirtualMachine]:
        """Every version of the machines that had the interface in the commit, and the one that has it now."""
        now = self._state.machine_of(interface_id)
        changed = self._machines.get(interface_id.lower(), [])
        return [*changed, *([now] if now is not None else [])]

    def servers_with(self, interface_id: str) -> set[str]:
        """Ids, lower case, of the servers that these machines were on, or went to."""
        return {name for machine in self.machines_with(interface_id) for name in servers_of(machine)}

    def places(self, interface_id: str) -> Iterator[tuple[Network, int, str]]:
        """(network, VSID, address) of every version of the interface in every version of its network; the address is
        empty where the interface was adopted without one, which still needs its network."""
        for interface in self.seen(INTERFACES, interface_id):
            for subnet_ref, address in (*configured(interface), *learnt(interface)):
                names = subnet_names(subnet_ref)
                if names is None:
                    continue
                for network in self.seen(NETWORKS, names[0]):
                    subnet = subnet_of(network, names[1])
                    if subnet is not None:
                        yield network, subnet.properties.virtual_subnet_id, address or ""

    def list_numbers(self, interface: Interface) -> Iterator[int]:
        """Of the access lists that it and every version of its subnets name, in every version."""
        for configuration in interface.properties.ip_configurations:
            refs = {last_id(configuration.properties.access_control_list)}
            names = subnet_names(configuration.properties.subnet)
            for network in self.seen(NETWORKS, names[0]) if names is not None else ():
                subnet = subnet_of(network, names[1]) if names is not None else None
                refs.add(last_id(subnet.properties.access_control_list) if subnet is not None else "")
            for list_id in refs - {""}:
                yield from (one.properties.list_number for one in self.seen(LISTS, list_id))
