"""What a fake host keeps of machines beside their ports: files of disks, and checkpoints that bring adapters back.

Called by fakes.hypervisor. A defined machine's adapters are kept as they were written, so that they can differ from
what was asked for, as on real hypervisors they do.
"""

from collections.abc import Iterable, Mapping

from weft.agent.hypervisors import HypervisorFailure
from weft.fakes.guest import Adapter
from weft.model.hypervisor import AdapterState, CheckpointState, Hardware
from weft.model.records import Errand
from weft.model.values import InstanceId, Mac


class Checkpoint:
    """One of a machine, as the hypervisor keeps it."""

    def __init__(self, own_id: str, name: str, adapters: Iterable[Adapter], running: bool) -> None:
        self.id = own_id
        self.name = name
        self.adapters = tuple(adapters)
        self.running = running

    @property
    def state(self) -> CheckpointState:
        return CheckpointState(self.id, self.name, adapter_states(self.adapters), self.running)


def adapter_states(adapters: Iterable[Adapter], switch: str = "") -> tuple[AdapterState, ...]:
    return tuple(AdapterState(one.mac, one.instance_id, id=one.name, name=one.name, switch=switch) for one in adapters)


def with_macs(adapters: Iterable[Adapter], macs: Mapping[InstanceId, Mac]) -> tuple[Adapter, ...]:
    """The same adapters with other MAC addresses."""
    return tuple(
        Adapter(one.instance_id, macs.get(one.instance_id, one.mac), one.addresses, one.gateways) for one in adapters
    )


class Shelf:
    """Of one host."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.made: dict[str, set[str]] = {}
        """By machine: files that were made when it was defined."""
        self.unfinished: set[str] = set()
        """Machines whose disks are being made, or were when their agent died."""

    def make_disks(self, machine: str, hardware: Hardware) -> None:
        """All or none. Raises HypervisorFailure."""
        made = set()
        for disk in hardware.disks:
            if disk.path in self.files:
                continue
            if disk.source and disk.source not in self.files:
                raise HypervisorFailure(f"{machine}: there is no file {disk.source}")
            if not disk.source and not disk.size_gib:
                raise HypervisorFailure(f"{machine}: there is no file {disk.path}")
            made.add(disk.path)
        self.files |= made
        self.made[machine] = made

    def delete_disks(self, machine: str) -> None:
        self.files -= self.made.pop(machine, set())
        self.unfinished.discard(machine)


def found(checkpoints: Iterable[Checkpoint], errand: Errand) -> Checkpoint:
    """The checkpoint that an errand is about, by its id where that is told. Raises HypervisorFailure."""
    for one in checkpoints:
        if one.id == errand.id if errand.id else one.name == errand.name:
            return one
    raise HypervisorFailure(f"there is no checkpoint {errand.name}")
