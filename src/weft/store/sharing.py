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
        p = resource.properties
        self._share(p, "private_mac_allocation_method")
        for configuration in p.ip_configurations:
            if configuration.etag == resource.etag:
                force_setattr(configuration, "etag", resource.etag)
            self._share(configuration, "resource_id")
            self._share(configuration.properties, "private_ip_allocation_method")
            self._share_ref(configuration.properties, "subnet")

    def _machine(self, resource: Any) -> None:
        p = resource.properties
        self._share(p, "power_state")
        self._share_ref(p, "server")
        for one in p.network_interfaces:
            # its addresses' holders name it by the same text
            self._texts[one.resource_ref] = one.resource_ref

    def _share(self, owner: Any, member: str) -> None:
        text = getattr(owner, member)
        force_setattr(owner, member, self._texts.setdefault(text, text))

    def _share_ref(self, owner: Any, member: str) -> None:
        ref = getattr(owner, member)
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
            known = self._holders.setdefault(holders[0].ref, holders)
            if known == holders:
                holders = known
        for holder in holders:
            self._share(holder, "kind")
            self._share(holder, "domain")
            ref = self._texts.get(holder.ref)
            if ref is not None:
                force_setattr(holder, "ref", ref)
            if not holder.inactive:
                force_setattr(holder, "inactive", self._zero)
        return holders
