"""What the bodies of actions may hold, one struct each. Read by weft.api.convert; unlike resources' bodies exactly.

An action says what is done now, so a member that is not known is refused by name: dropping it would do something else
than what was asked for. A member without default must be there.
"""

import msgspec

from weft.model.resources import Ref


class Named(Ref, frozen=True):
    """A resource that an action is about: a reference, or its text alone, or just the id."""


class Nothing(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """start, stop and save take nothing."""


class NewNetwork(Nothing, frozen=True):
    """An adapter of a machine that is made as a whole."""

    subnet: Named
    private_ip_address: str = msgspec.field(default="", name="privateIPAddress")
    private_mac_address: str = ""
    strategy: str = ""


class NewDisk(Nothing, frozen=True):
    """As in weft.model.hypervisor."""

    path: str
    size_gib: int = 0
    source: str = ""


class Create(Nothing, frozen=True):
    """POST virtualMachines: a machine as a whole. The members from cpu on are its hardware."""

    resource_id: str
    server: Named | None = None
    cluster: Named | None = None
    networks: tuple[NewNetwork, ...] = ()
    start: bool = True
    cpu: int | None = None
    memory_mib: int | None = msgspec.field(default=None, name="memoryMiB")
    disks: tuple[NewDisk, ...] = ()
    switch: str = ""
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
    generation: int | None = None
    path: str = ""


class Migrate(Nothing, frozen=True):
    server: Named
    force: bool = False


class Evacuate(Nothing, frozen=True):
    """Of a server; `to`: all others if none is named."""

    to: tuple[Named, ...] = ()
    at_once: int = 8


class Clone(Nothing, frozen=True):
    resource_id: str
    addresses: str = "new"
    server: Named | None = None
    is_template: bool = False


class Capture(Nothing, frozen=True):
    """checkpoint."""

    resource_id: str


class Export(Capture, frozen=True):
    path: str = ""
    """Folder on the host that its hypervisor exports it to."""


class RewriteCheckpoints(Nothing, frozen=True):
    checkpoint: str = ""
    dry_run: bool = False


class Restore(Nothing, frozen=True):
    checkpoint: str
    addresses: str = "captured"
    if_taken: str = "refuse"
    dry_run: bool = False


class Failover(Nothing, frozen=True):
    server: Named
    fenced: bool = False


class RenewMac(Nothing, frozen=True):
    network_interface: Named
    mac_address: str = ""
    force: bool = False


class ImportedInterface(Nothing, frozen=True):
    mac_address: str = ""
    ip_addresses: tuple[str, ...] = ()
    subnet: Named | None = None


class ImportedCheckpoint(Nothing, frozen=True):
    resource_id: str
    network_interfaces: tuple[ImportedInterface, ...] = ()


class KnownAs(Nothing, frozen=True):
    """How a hypervisor knows a machine."""

    id: str
    type: str = ""


class Import(Nothing, frozen=True):
    resource_id: str
    server: Named | None = None
    network_interfaces: tuple[ImportedInterface, ...] = ()
    addresses: str = "keep"
    power_state: str = "Off"
    checkpoints: tuple[ImportedCheckpoint, ...] = ()
    adopt: bool = False
    hypervisor: KnownAs | None = None


class Release(Nothing, frozen=True):
    reason: str


class Reserve(Nothing, frozen=True):
    count: int
    contiguous: bool = False
    purpose: str = ""
    until: str = ""
    """RFC 3339 with its offset; empty: until it is deleted."""
    request_id: str = ""
