"""One object for what many rows say alike: a million interfaces name a few subnets, methods and servers.

Used while a store is loaded, before anybody else sees the values: it exchanges equal members of frozen structs, which
nobody can tell but by the memory, a third of it, that is saved.
"""

from typing import Any

from msgspec.structs import force_setattr

from weft.model.kinds import NETWORK_INTERFACES, VIRTUAL_MACHINES
from weft.model.leases import Holder
from weft.model.resources import Ref


class Sharing:
    """The values seen so far in one load."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._refs: dict[str, Ref] = {}
        self._holders: dict[str, tuple[Holder, ...]] = {}
        self._zero = 0.0

    def resource(self, kind: str, resource: Any) -> Any:
        """The same resource, sharing what others of its kind have too."""
        if kind == NETWORK_INTERFACES.name:
            self._interface(resource)
        elif kind == VIRTUAL_MACHINES.name:
            self._machine(resource)
        return resource

    def _interface(self, resource: Any) -> None:
        texts, p = self._texts, resource.properties
        method = p.private_mac_allocation_method
        force_setattr(p, "private_mac_allocation_method", texts.setdefault(method, method))
        for one in p.ip_configurations:
            if one.etag == resource.etag:
                force_setattr(one, "etag", resource.etag)
            force_setattr(one, "resource_id", texts.setdefault(one.resource_id, one.resource_id))
            method = one.properties.private_ip_allocation_method
            force_setattr(one.properties, "private_ip_allocation_method", texts.setdefault(method, method))
            self._share_ref(one.properties, "subnet", one.properties.subnet)

    def _machine(self, resource: Any) -> None:
        p = resource.properties
        force_setattr(p, "power_state", self._texts.setdefault(p.power_state, p.power_state))
        self._share_ref(p, "server", p.server)
        for one in p.network_interfaces:
            # its addresses' holders name it by the same text
            self._texts[one.resource_ref] = one.resource_ref

    def _share_ref(self, owner: Any, member: str, ref: Ref | None) -> None:
        if ref is not None:
            force_setattr(owner, member, self._refs.setdefault(ref.resource_ref, ref))

    def text(self, text: str) -> str:
        """The first text equal to this one."""
        return self._texts.setdefault(text, text)

    def zero(self, number: float) -> float:
        """The number; each 0.0 is the same."""
        return number if number else self._zero

    def holders(self, holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
        """The same holders, sharing kinds, references and domains; an interface's MAC and IP address have the same."""
        if len(holders) == 1:
            # the text that stays: another one, kept as a key for the load only, would leave a hole of its size behind
            ref = self._texts.get(holders[0].ref, holders[0].ref)
            known = self._holders.get(ref)
            if known is None:
                self._holders[ref] = holders
            elif known == holders:
                return known
        texts = self._texts
        for holder in holders:
            force_setattr(holder, "kind", texts.setdefault(holder.kind, holder.kind))
            force_setattr(holder, "domain", texts.setdefault(holder.domain, holder.domain))
            force_setattr(holder, "ref", texts.get(holder.ref, holder.ref))
            if not holder.inactive:
                force_setattr(holder, "inactive", self._zero)
        return holders
