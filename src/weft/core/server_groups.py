"""Which servers belong together: those of a plan, of a cluster, with a range of their own. A part of core.index.

Turned with every change of a server, a logical network or a cluster; turning back is the same call with before and
after exchanged.
"""

from typing import Any

import msgspec

from weft.core.references import drop, last_id
from weft.model.fabric import PER_HOST_IN_USE, PER_VIRTUAL_SUBNET
from weft.model.resources import Resource


class ServerGroups(msgspec.Struct):
    """Ids in lower case."""

    planned: dict[str, dict[str, None]] = {}
    """Server ids per id of the address plan that gives them their range."""
    drawing: dict[str, None] = {}
    """Ids of the servers whose hypervisor's own range is known."""
    wishing: dict[str, None] = {}
    """Ids of the servers whose hypervisor shall draw from a range."""
    cluster_of: dict[str, str] = {}
    """Cluster id per id of a server that is in one."""
    by_use: dict[str, None] = {}
    """instanceIds of the servers and logical networks with a providerAddressPolicy by which addresses come and go."""

    def turn_server(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        self.turn_policy(key, before, after)
        old = last_id(before.properties.address_plan) if before is not None else ""
        new = last_id(after.properties.address_plan) if after is not None else ""
        if old != new:
            if old:
                drop(self.planned, old, key)
            if new:
                self.planned.setdefault(new, {})[key] = None
        _note(self.drawing, key, after is not None and after.properties.dynamic_mac_range is not None)
        _note(self.wishing, key, after is not None and after.properties.wanted_dynamic_mac_range is not None)

    def turn_policy(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        """Of a server or of a logical network."""
        if before is not None:
            self.by_use.pop(before.instance_id, None)
        if after is not None and after.properties.provider_address_policy in (PER_HOST_IN_USE, PER_VIRTUAL_SUBNET):
            self.by_use[after.instance_id] = None

    def turn_cluster(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        for ref in before.properties.servers if before is not None else ():
            del self.cluster_of[last_id(ref)]
        for ref in after.properties.servers if after is not None else ():
            self.cluster_of[last_id(ref)] = key


def _note(group: dict[str, None], key: str, belongs: bool) -> None:
    if belongs:
        group[key] = None
    else:
        group.pop(key, None)
