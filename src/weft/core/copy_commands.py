"""What is asked about copies of machines: clones, checkpoints, exports and imports. A part of core.commands."""

import msgspec

from weft.model.workload import HypervisorIdentity


class Clone(msgspec.Struct, frozen=True):
    """A new machine from a machine or a template. `addresses`: new (fresh grants in the same subnets), or keep (a legal
    twin that cannot run beside its source; not from a template)."""

    machine: str
    name: str
    addresses: str = "new"
    server: str = ""
    """Resource id; empty: the source's."""
    is_template: bool = False
    """Make a template of it instead of a machine: the networks of its interfaces, no address."""


class TakeCheckpoint(msgspec.Struct, frozen=True):
    """Capture each interface's addresses; they are held until the checkpoint is deleted."""

    machine: str
    name: str


class Restore(msgspec.Struct, frozen=True):
    """Back to a checkpoint, over all interfaces or not at all. `addresses`: captured, or keep the present ones.
    `if_taken`: refuse or remap what another has now. Decision.report is a tuple of Restored."""

    machine: str
    checkpoint: str
    addresses: str = "captured"
    if_taken: str = "refuse"


class Restored(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one interface. `before` and `after` are addresses in the API's notation, MAC first, joined by a
    space; `outcome` is kept, restored, remapped, detached (the checkpoint does not know the interface), or renewed."""

    network_interface: str
    before: str = msgspec.field(name="from")
    after: str = msgspec.field(name="to")
    outcome: str


class ExportMachine(msgspec.Struct, frozen=True):
    """A copy outside that holds the machine's addresses until the export is deleted."""

    machine: str
    name: str
    path: str = ""
    """Folder on the host that its hypervisor exports it to; empty: somebody else makes the copy."""


class ImportedInterface(msgspec.Struct, frozen=True):
    """One adapter as its maker knew it. MAC in any notation or empty; `subnet` a reference or empty."""

    mac_address: str = ""
    ip_addresses: tuple[str, ...] = ()
    subnet: str = ""


class ImportedCheckpoint(msgspec.Struct, frozen=True):
    """A checkpoint that comes with an imported machine; interfaces in the order of the machine's."""

    name: str
    interfaces: tuple[ImportedInterface, ...] = ()


class ImportMachine(msgspec.Struct, frozen=True):
    """Take in a machine made elsewhere. `addresses`: keep (a twin where another has them), new, newIfTaken.

    `adopt`: it runs already and nothing can be refused: everything is noted as it is, also beside an active twin, and
    also what no pool would give. Only for unmanaged servers, and for what a server's hypervisor tells that runs there.
    """

    name: str
    server: str = ""
    interfaces: tuple[ImportedInterface, ...] = ()
    addresses: str = "keep"
    power: str = "Off"
    checkpoints: tuple[ImportedCheckpoint, ...] = ()
    adopt: bool = False
    hypervisor: HypervisorIdentity | None = None
    """How its server's hypervisor knows it."""
