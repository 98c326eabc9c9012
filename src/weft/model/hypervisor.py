"""What a hypervisor says of its host, and what hardware a machine has. Facts as they are, ours and strangers' alike.

Made by the drivers (weft.agent.hypervisors), told to the controller in weft.wire.messages.Facts. New members go to the
end, with a default that says nothing: agents and controllers of two releases speak with each other. A controller holds
those of all hosts, so gc=False as for resources (weft.model.resources).
"""

import msgspec

from weft.model.values import InstanceId


class AdapterState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A network adapter of a machine, or of a checkpoint, in the machine's order."""

    mac: int
    """0: none assigned yet, which Hyper-V shows as zeros."""
    instance_id: InstanceId = InstanceId("")
    """The network interface that its port says it belongs to, in lower case: iface-id on Open vSwitch, ProfileId of the
    port profile on Hyper-V. Copied with the machine by some tools. Empty if none."""
    dynamic: bool = False
    """The hypervisor may draw another MAC address at the next start."""
    id: str = ""
    """As the hypervisor knows the adapter."""
    name: str = ""
    switch: str = ""
    """Name of the bridge or virtual switch; empty if it is not connected."""


class CheckpointState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A checkpoint (libvirt: snapshot) and what would come back with it."""

    id: str
    name: str
    adapters: tuple[AdapterState, ...] = ()
    running: bool = False
    """It has the memory of a running machine: its addresses are in there too."""


class MachineState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A machine that the hypervisor of this host knows."""

    machine: str
    """resourceId that our mark on it says; empty where it bears none of ours, or a mark that was copied along."""
    power: str
    """Off, Running or Saved. A paused machine is Off until it was resumed, Running afterwards."""
    mtu: int = 0
    """Largest IP packet that its interfaces send. 0 if unknown: a driver that says it lets Start change it while the
    machine runs."""
    migrating: bool = False
    """A migration away from here is under way. Said by a driver whose migrations outlive the agent's process."""
    id: str = ""
    """The hypervisor's own, the same on every host and as long as the machine lives: the UUID of a domain, the VMId."""
    name: str = ""
    """As people see it in the hypervisor's tools; may change."""
    adapters: tuple[AdapterState, ...] = ()
    checkpoints: tuple[CheckpointState, ...] = ()
    awaited: bool = False
    """It is not here yet but may come: a move to here was prepared, its ports come with it."""
    clustered: bool = False
    """It is a role of a failover cluster, which may bring it up on another host by itself."""
    held: bool = False
    """It is Off but exists already, paused with its ports, for its start."""
    isolated: bool = False
    """Weft took adapters of it off the network (weft.agent.hypervisors.Disconnect) and has not put them back. Those
    that somebody else disconnected do not count."""
    unfinished: bool = False
    """Weft began to make it, and disks of it are still to come: whoever was at it may have died."""
    handed_over: bool = False
    """It is `migrating`, and its hypervisor holds it here for the last of it: what comes for it is the other host's. It
    runs here again if that fails."""
    stranded: str = ""
    """It counts as `migrating`, and nothing will end that by itself: what was seen, and what somebody has to do."""


class HypervisorState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """All that a driver tells of its host."""

    machines: tuple[MachineState, ...] = ()
    dynamic_range: tuple[int, int] | None = None
    """Where its own dynamic MAC addresses come from, both ends included; None if it has no such range."""
    switches: tuple[str, ...] = ()
    """Bridges or virtual switches that machines can be connected to."""
    boot: str = ""
    """Another text after each start of the host; empty if unknown."""


class Disk(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A disk of a machine. It is made with `size_gib` if there is none at `path`."""

    path: str = ""
    """On the host; a .qcow2, .raw, .vhdx or .vhd file."""
    size_gib: int = 0
    """0: it must be there."""
    source: str = ""
    """Made as a copy of this one; empty: made blank."""


class Hardware(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What a machine that Weft defines on a hypervisor is made of, beside its network interfaces."""

    cpu: int = 1
    memory_mib: int = msgspec.field(default=1024, name="memoryMiB")
    disks: tuple[Disk, ...] = ()
    switch: str = ""
    """Bridge or virtual switch that its interfaces are connected to; empty: the host's integration bridge, or the only
    virtual switch that there is."""
    kernel: str = ""
    """Boot this file directly instead of a disk; with `initrd` and `kernel_arguments`. Only libvirt."""
    initrd: str = ""
    kernel_arguments: str = ""
    generation: int = 2
    """1 or 2. Only Hyper-V."""
    path: str = ""
    """Folder for the machine's files; empty: the host's own default."""
