"""The physical network as flows know it: the patch to it, and the host's own addresses there. Pure.

Kept by placing.py.
"""

from collections.abc import Iterable

from weft.agent.bindings import Local, Role
from weft.agent.flows import rewrite, segment
from weft.agent.flows.flow import Flow
from weft.model.records import LookupRecord, ProviderAddress
from weft.model.values import Rdid


class Physical:
    """Of one host."""

    def __init__(self) -> None:
        self.patch: int | None = None
        """Number of the patch to the physical network, while it is there."""
        self.provider: tuple[ProviderAddress, ...] = ()

    def of_patch(self, number: int) -> tuple[Flow, ...]:
        return (segment.of_patch(number),) if number == self.patch else ()

    def unmapped(self) -> tuple[Flow, ...]:
        """What comes for provider addresses that stand for nobody here, on a host that rewrites."""
        wires = ((size, self._wire(size)) for size in (4, 16))
        return tuple(rewrite.of_nobody(size, wire) for size, wire in wires if wire is not None)

    def _wire(self, size: int) -> rewrite.Wire | None:
        """Where rewritten packets go whose addresses have so many bytes. The host need not have one of that family
        itself: the provider subnets of a network that rewrites are on one VLAN."""
        own = next((one for one in self.provider if len(one.address) == size), next(iter(self.provider), None))
        return rewrite.Wire(self.patch, own.vlan) if own is not None and self.patch is not None else None

    def of_segment(self, vlan: int, local: Iterable[Local]) -> tuple[Flow, ...]:
        """Nothing for a VLAN that no port here is on."""
        wanted = any(one.segment is not None and one.segment.vlan == vlan for one in local)
        return segment.of_segment(vlan, self.patch) if wanted and self.patch is not None else ()

    def rewritten(self, rdid: Rdid, record: LookupRecord, local: Local | None) -> tuple[Flow, ...]:
        """One customer address of a network that rewrites; `local` is what has its MAC address here."""
        wire = self._wire(len(record.provider_address))
        if wire is None or len(record.customer_address) != len(record.provider_address):
            return ()
        if local is not None and local.role is Role.HERE and local.number is not None:
            return rewrite.of_here(rdid, record, local.number, wire)
        return rewrite.of_elsewhere(rdid, record)
