"""What the agent asks of a hypervisor. Drivers: the lab's namespace guests, libvirt, Hyper-V, and the fakes.

Machine verbs are values; carrying one out is idempotent (starting what runs is no error) and says only what was read
back: a verb that returned is so on the host. `id` is the hypervisor's own id of the machine where the facts named one,
so that a machine is found that bears no mark of ours; a driver that is given none goes by its mark.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from weft.model.hypervisor import HypervisorState
from weft.model.records import Machine, PortBinding, SubnetRecord

HOST = ":"
"""Begins what stands for the host or a stranger's machine where a machine's name stands else; no name does."""


class Define(msgspec.Struct, frozen=True):
    """Make the machine known here, Off, from its record's hardware, each adapter with the static MAC address and the
    interface id of its port. Asked for only where the record has hardware and the hypervisor has no such machine. What
    fails leaves nothing: no machine, no file that was not there before."""

    machine: Machine
    ports: tuple[PortBinding, ...]


class SetMacs(msgspec.Struct, frozen=True):
    """Give the adapters of a machine that is Off the MAC addresses and interface ids of its ports, static."""

    machine: Machine
    ports: tuple[PortBinding, ...]
    id: str = ""


class Start(msgspec.Struct, frozen=True):
    """Make the machine run here with these ports, each already bound and open on the switch."""

    machine: Machine
    ports: tuple[PortBinding, ...]
    subnets: tuple[SubnetRecord, ...] = ()
    """Of the ports' VSIDs: prefix length and gateway, for a driver that sets up the guest's stack as the lab's does."""
    mtu: int = 1458
    """Largest inner packet that the tunnel carries: 1458 with NVGRE, 1450 with VXLAN inside 1500 bytes."""
    id: str = ""


class Stop(msgspec.Struct, frozen=True):
    """After it has been carried out, the machine answers nothing. What it had saved of its memory is gone."""

    machine: str
    id: str = ""


class Save(msgspec.Struct, frozen=True):
    """Freeze the machine to disk; Start resumes it. The lab's guests cannot."""

    machine: str
    id: str = ""


class Prepare(msgspec.Struct, frozen=True):
    """Make the ports of a machine that will start here or move here, so that they can be bound before it comes.

    Of a machine that starts: a driver whose ports exist only while a machine does holds it paused until Start, Off by
    its facts. Of one that moves here (machine.power is Incoming): such a driver sees to what can be seen to beforehand
    and says `awaited` from then on.
    """

    machine: Machine
    ports: tuple[PortBinding, ...]
    id: str = ""
    mtu: int = 0
    """As Start has it, for a driver that can tell it to the guest only before it runs; 0 if it is not known yet."""


class Migrate(msgspec.Struct, frozen=True):
    """Move the running machine to `server`; returns when it runs there. Its ports here stay until Remove, where they
    can be without it.

    Once it has returned or failed nothing is under way any more, or MachineState.migrating says so.
    """

    machine: str
    server: str
    address: str = ""
    """Management address of that server; empty: its name is its address."""
    id: str = ""


class Remove(msgspec.Struct, frozen=True):
    """Forget the machine on this host: stop it if it runs here, delete its ports."""

    machine: str
    id: str = ""
    with_files: bool = False
    """It is deleted, not only gone from here: the disks that Define made go too. Others stay in any case."""


class CarryOut(msgspec.Struct, frozen=True):
    """The errand of the machine's record (weft.model.records.Errand): something that is done once."""

    machine: Machine
    ports: tuple[PortBinding, ...] = ()
    id: str = ""
    again: bool = False
    """Of a restore: it was announced, and then an agent died that may have carried it out. It is done where the
    announcement is gone."""


class Announce(msgspec.Struct, frozen=True):
    """Before a restore: note the number of the errand of the machine's record where the restore takes it away again, as
    it takes away all that came after the checkpoint."""

    machine: Machine
    id: str = ""


class Disconnect(msgspec.Struct, frozen=True):
    """Take a machine, ours or not, off the network while it runs: it has an address that another runs with. Which
    adapters that were is kept with the machine, and MachineState.isolated says so."""

    id: str


class Reconnect(msgspec.Struct, frozen=True):
    """Put back on the network what Disconnect took from it, and nothing that another hand took: nobody else runs with
    the address any more."""

    id: str


class Blank(msgspec.Struct, frozen=True):
    """Rid a checkpoint of the MAC addresses that the hypervisor drew for its dynamic adapters; static ones stay. Asked
    for where it does no harm only (weft.core.blanking). By the hypervisor's ids; drivers of others refuse."""

    id: str
    checkpoint: str


class SetRange(msgspec.Struct, frozen=True):
    """Let the host draw dynamic MAC addresses from another range, both ends included. Machines keep what they have. A
    driver whose hypervisor has no such range refuses."""

    first: int
    last: int


Verb = (
    Define
    | SetMacs
    | Prepare
    | Start
    | Stop
    | Save
    | Migrate
    | Remove
    | CarryOut
    | Announce
    | Disconnect
    | Reconnect
    | SetRange
    | Blank
)


def subject(verb: Verb) -> str:
    """The machine that a verb is about: its resource id, or the hypervisor's id where it has none; empty for a verb
    about the host."""
    if isinstance(verb, Disconnect | Reconnect | Blank):
        return verb.id
    if isinstance(verb, SetRange):
        return ""
    if isinstance(verb.machine, str):
        return verb.machine or (verb.id if isinstance(verb, Stop) else "")
    return verb.machine.machine


class HypervisorFailure(Exception):
    """A verb could not be carried out; the message says which, on what machine, and why."""


class Hypervisor(Protocol):
    """Facts first, verbs second: whoever calls compares and asks again, level not edge."""

    async def facts(self) -> HypervisorState:
        """Raises HypervisorFailure if the hypervisor does not answer: nothing is known then."""
        ...

    async def carry_out(self, verb: Verb) -> None:
        """Raises HypervisorFailure. Concurrent calls for different machines are safe."""
        ...

    def events(self) -> AsyncIterator[None]:
        """Yields whenever facts() may have changed."""
        ...
