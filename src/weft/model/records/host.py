"""Of a host's stream: the host itself, and the machines that its hypervisor has."""

import msgspec

from weft.model.hypervisor import Hardware
from weft.model.records.keys import RecordKey
from weft.model.values import InstanceId, Mac, PackedIp, Rdid


class ProviderAddress(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """The host's own tunnel address; `gateway` empty where its subnet names none."""

    address: PackedIp
    prefix_length: int
    gateway: PackedIp
    logical_network: str
    vlan: int = 0
    """Of its provider subnet; 0: untagged."""
    for_subnet: bool = False
    """It is one virtual subnet's on this host; False: the host's own."""
    beyond: tuple[tuple[PackedIp, int], ...] = ()
    """Prefixes of its provider network's other subnets, which `gateway` leads to; none where that is empty."""
    routes: tuple[tuple[PackedIp, int, PackedIp], ...] = ()
    """Of its provider subnet: prefix, length and next hop, one for each prefix. They go before `beyond`."""
    awaited: bool = False
    """It is to take another's place: not before the host may use it."""
    primary: bool = False
    """Of several of the host's own it goes by this one, not by the lowest."""

    @property
    def key(self) -> RecordKey:
        return (11, self.address)


class NeededNetwork(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """The host has, or is about to have, a port in this routing domain or in one that is routed to it: its stream
    follows."""

    rdid: Rdid
    resource_ref: str
    provider_address: PackedIp = PackedIp(b"")
    """What the host sends from into a network that it has no port in; empty for the others, whose ports say it."""

    @property
    def key(self) -> RecordKey:
        return (12, self.rdid)


class Errand(msgspec.Struct, frozen=True, array_like=True):
    """Something that a host's hypervisor does to a machine once, with the number by which its end is told."""

    number: int
    """Never given twice."""
    kind: str
    """checkpoint, restore, deleteCheckpoint, rewriteCheckpoint, export or copy."""
    name: str = ""
    """Of the checkpoint or export; for copy the hypervisor's id of the machine that is copied."""
    id: str = ""
    """The hypervisor's own id of that checkpoint, where it is known."""
    macs: tuple[tuple[InstanceId, Mac], ...] = ()
    """rewriteCheckpoint: what its adapters shall have, static."""
    path: str = ""
    """export: the folder on the host."""


class Machine(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """What this host's hypervisor should make of a machine. A machine that bears our mark and is no longer named is
    removed from it, but for its disks; one that was only taken in is left alone."""

    machine: str
    """resourceId of the virtualMachine."""
    power: str
    """Off, Running or Saved; Incoming on the destination of a move, before it runs there; Absent where it is to be
    deleted with the files that Define made."""
    instance_ids: tuple[InstanceId, ...]
    """Its interfaces in order: eth0, eth1 ..."""
    hypervisor_id: str
    move_to: str = ""
    """Server to move the machine to now; empty unless the move is in phase `switching` and this is its source."""
    generation: int = 0
    move_address: str = ""
    """Management address of `move_to`; empty where its name is all that is known."""
    hardware: Hardware | None = None
    """What to define it from; None: the hypervisor has it, or makes it at Start as the lab does."""
    errand: Errand | None = None
    macs: tuple[Mac, ...] = ()
    """Of its interfaces, in the order of instance_ids; 0 where one has none yet."""

    @property
    def key(self) -> RecordKey:
        return (14, self.machine.encode())


class HostSettings(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """What is wanted of the host itself, beside its machines. Not in the stream where nothing is wanted. New members go
    to the end, with a default that asks for nothing."""

    dynamic_range: tuple[int, int] | None = None
    """Where its hypervisor shall draw dynamic MAC addresses from, both ends included; None: leave it as it is."""
    blank: tuple[tuple[str, str], ...] = ()
    """Checkpoints to blank (weft.core.blanking): the hypervisor's ids of machine and checkpoint, lower case."""

    @property
    def key(self) -> RecordKey:
        return (15,)
