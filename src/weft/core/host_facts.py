"""What hosts' hypervisors say of themselves and of machines, and what guests say of themselves, as commands for the
writer. Values only.

HostFacts are made by core.behind, which compares with the record first; decided in core.decide by noting, rollback and
host_checkpoints. GuestFacts are made by control.learning and decided by core.decide.learning.
"""

import msgspec

from weft.model.fabric import ServerProviderNetwork
from weft.model.hypervisor import AdapterState, CheckpointState
from weft.model.values import PackedIp


class NoteHost(msgspec.Struct, frozen=True):
    """A server's hypervisor draws its dynamic MAC addresses from here, both ends included."""

    server: str
    dynamic_range: tuple[int, int]


class NoteProviderNetwork(msgspec.Struct, frozen=True):
    """A server is on its provider network so; None: its agent does not say."""

    server: str
    provider_network: ServerProviderNetwork | None


class NoteMachine(msgspec.Struct, frozen=True):
    """A machine is on this server, whoever brought it there, and has this power, whoever gave it that."""

    machine: str
    server: str
    power: str = ""
    """Empty: as on record."""
    type: str = ""
    """Kind of hypervisor: lab, libvirt, hyperv."""
    id: str = ""
    """The hypervisor's own for it; empty: as on record."""
    alone: bool = False
    """No other machine there has an address of its: what is seen on the server's switches is this one."""


class NoteMacs(msgspec.Struct, frozen=True):
    """A machine runs with these adapters: what nobody else has of their MAC addresses is its interfaces' now."""

    machine: str
    server: str
    adapters: tuple[AdapterState, ...]
    alone: bool = True
    """As in NoteMachine."""


class NoteCheckpoints(msgspec.Struct, frozen=True):
    """All checkpoints that the machine's hypervisor has of it."""

    machine: str
    server: str
    checkpoints: tuple[CheckpointState, ...]


HostFact = NoteHost | NoteProviderNetwork | NoteMachine | NoteMacs | NoteCheckpoints


class LearnAddress(msgspec.Struct, frozen=True):
    """The guest of an interface uses an address that nobody gave it: have it, where its subnet lets guests bring them.
    Decision.outcome is unchanged if it has it already."""

    instance_id: str
    address: PackedIp
    announced: bool = False
    """It told everybody on its subnet (gratuitous ARP, unsolicited neighbour advertisement), not just sent from it."""
    silent: bool = False
    """The guest of the interface that has it now does not answer for it."""


class ForgetAddress(msgspec.Struct, frozen=True):
    """The guest of an interface does not use a learnt address any more."""

    instance_id: str
    address: PackedIp
    reason: str


GuestFact = LearnAddress | ForgetAddress
