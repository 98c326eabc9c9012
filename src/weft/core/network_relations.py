"""What virtual networks refer to: provider networks, access lists, route tables, each other. A part of core.index.

Turned with every change of a virtual network; turning back is the same call with before and after exchanged.
"""

from typing import Any

import msgspec

from weft.core.references import drop, lists_of_subnets, lower, peers_of, tables_of_subnets, turn_pairs
from weft.model.resources import Resource


class NetworkRelations(msgspec.Struct):
    """Ids and references in lower case."""

    tenants_of: dict[str, dict[str, None]] = {}
    """Virtual network ids per reference of the logical network that carries them."""
    rewriting: dict[str, None] = {}
    """Ids of the virtual networks with protocol Rewrite."""
    sealed: dict[str, None] = {}
    """Ids of the virtual networks with a subnet that has encryptionEnabled."""
    filtered: dict[str, dict[str, None]] = {}
    """References of virtual subnets per reference of the accessControlList that they name."""
    routed: dict[str, dict[str, None]] = {}
    """References of virtual subnets per reference of the routeTable that they name."""
    peered: dict[str, dict[str, None]] = {}
    """Ids of the virtual networks that have a peering to one, per its id, whether it exists or not."""

    def turn(self, key: str, before: Resource[Any] | None, after: Resource[Any] | None) -> None:
        for table, named in (
            (self.filtered, lists_of_subnets),
            (self.routed, tables_of_subnets),
            (self.peered, peers_of),
        ):
            was = named(before) if before is not None else {}
            now = named(after) if after is not None else {}
            turn_pairs(table, was, now)
        self.rewriting.pop(key, None)
        if after is not None and after.properties.network_virtualization_protocol == "Rewrite":
            self.rewriting[key] = None
        self.sealed.pop(key, None)
        if after is not None and any(one.properties.encryption_enabled for one in after.properties.subnets):
            self.sealed[key] = None
        old = lower(before.properties.logical_network) if before is not None else ""
        new = lower(after.properties.logical_network) if after is not None else ""
        if old == new:
            return
        if before is not None:
            drop(self.tenants_of, old, key)
        if after is not None:
            self.tenants_of.setdefault(new, {})[key] = None
