"""What a plane is told of its host: the records of the host's own stream, and what the hypervisor says. Pure.

Kept by reconcile.py and hyperv/plane.py, which work out of it what should be. Told the same thing twice, in any order,
it is the same.
"""

from collections.abc import Iterable, Mapping

from weft.agent.identity import identify
from weft.model.hypervisor import MachineState
from weft.model.records import (
    EdgeNetwork,
    HostRecord,
    HostSettings,
    Machine,
    NeededNetwork,
    PortAccess,
    PortBinding,
    PortLearning,
    PortLimits,
    ProviderAddress,
    Record,
    RecordKey,
    SegmentPort,
)
from weft.model.values import PackedIp, Rdid


class Told:
    """Of one host."""

    def __init__(self) -> None:
        self.records: dict[RecordKey, HostRecord] = {}
        self.machines: dict[str, Machine] = {}
        """Those of the records that are machines, by resource id."""
        self.access: dict[str, PortAccess] = {}
        """Those that say under which access lists a port is, by instance id."""
        self.hosted: tuple[MachineState, ...] | None = None
        """All machines that the hypervisor has, strangers too; None if it has not said, or there is no driver."""
        self._states: dict[str, MachineState] | None = None
        """None: they must be told apart again."""

    def put(self, key: RecordKey, record: Record | None) -> None:
        """A record of the host's stream is this now, or gone."""
        before = self.records.pop(key, None)
        if isinstance(before, Machine) or isinstance(record, Machine):
            self._states = None
        if isinstance(before, Machine):
            del self.machines[before.machine]
        if isinstance(before, PortAccess):
            del self.access[before.instance_id]
        if isinstance(record, PortAccess):
            self.access[record.instance_id] = record
        if isinstance(record, HostRecord):
            self.records[key] = record
        if isinstance(record, Machine):
            self.machines[record.machine] = record

    def machines_are(self, states: Iterable[MachineState]) -> bool:
        """The hypervisor has these. Returns whether that is news."""
        hosted = tuple(states)
        if hosted == self.hosted:
            return False
        self.hosted, self._states = hosted, None
        return True

    @property
    def states(self) -> Mapping[str, MachineState] | None:
        """What the hypervisor says of our machines, by resource id; None where it has said nothing."""
        if self._states is None and self.hosted is not None:
            self._states = identify(self.hosted, self.machines)
        return self._states

    @property
    def bindings(self) -> list[PortBinding]:
        return [one for one in self.records.values() if isinstance(one, PortBinding)]

    @property
    def edges(self) -> list[EdgeNetwork]:
        """What this host does as a gateway."""
        return [one for one in self.records.values() if isinstance(one, EdgeNetwork)]

    @property
    def limits(self) -> dict[str, PortLimits]:
        """Of the interfaces that have any settings, by instance id."""
        return {one.instance_id: one for one in self.records.values() if isinstance(one, PortLimits)}

    @property
    def learning(self) -> dict[str, PortLearning]:
        """Of the interfaces whose guests may bring addresses or have, by instance id."""
        return {one.instance_id: one for one in self.records.values() if isinstance(one, PortLearning)}

    @property
    def segments(self) -> dict[str, SegmentPort]:
        """Which of the bindings are on logical networks, by instance id."""
        return {one.instance_id: one for one in self.records.values() if isinstance(one, SegmentPort)}

    @property
    def provider_addresses(self) -> list[ProviderAddress]:
        """The host's own, the lowest first."""
        found = (one for one in self.records.values() if isinstance(one, ProviderAddress))
        return sorted(found, key=lambda one: (len(one.address), one.address))

    def own_beside(self) -> dict[PackedIp, PackedIp]:
        """Of each address that is a virtual subnet's here, the host's own in the same provider network."""
        own: dict[tuple[str, int], PackedIp] = {}
        for one in sorted(self.provider_addresses, key=lambda one: not one.primary):
            if not one.for_subnet:
                own.setdefault((one.logical_network, len(one.address)), one.address)
        subnets = (one for one in self.provider_addresses if one.for_subnet)
        found = ((one.address, own.get((one.logical_network, len(one.address)))) for one in subnets)
        return {address: host for address, host in found if host is not None}

    @property
    def places(self) -> dict[Rdid | None, PackedIp]:
        """What to send from into the networks that the host has no port in, by their peerings with others."""
        needed = (one for one in self.records.values() if isinstance(one, NeededNetwork))
        return {one.rdid: one.provider_address for one in needed if one.provider_address}

    @property
    def settings(self) -> HostSettings:
        """What is wanted of the host itself."""
        found = self.records.get(HostSettings().key)
        return found if isinstance(found, HostSettings) else HostSettings()
