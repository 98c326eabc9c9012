"""What the agent asks of a hypervisor. Drivers: the lab's namespace guests; later libvirt and Hyper-V.

Machine verbs are values; carrying one out is idempotent (starting what runs is no error).
"""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from weft.model.records import Machine, PortBinding, SubnetRecord


class MachineState(msgspec.Struct, frozen=True):
    """A machine that the hypervisor of this host knows: power is Off, Running or Saved."""

    machine: str
    power: str
    mtu: int = 0
    """Largest IP packet that its interfaces send. 0 if unknown: a driver that says it lets Start change it while the
    machine runs."""
    migrating: bool = False
    """A migration away from here is under way. Said by a driver whose migrations outlive the agent's process."""


class Start(msgspec.Struct, frozen=True):
    """Make the machine run here with these ports, each already bound and open on the switch."""

    machine: Machine
    ports: tuple[PortBinding, ...]
    subnets: tuple[SubnetRecord, ...] = ()
    """Of the ports' VSIDs: prefix length and gateway, for a driver that sets up the guest's stack as the lab's does."""
    mtu: int = 1458
    """Largest inner packet that the tunnel carries: 1458 with NVGRE, 1450 with VXLAN inside 1500 bytes."""


class Stop(msgspec.Struct, frozen=True):
    """After it has been carried out, the machine answers nothing."""

    machine: str


class Prepare(msgspec.Struct, frozen=True):
    """Make the ports of a machine that will start here or move here, so that they can be bound before it comes."""

    machine: Machine
    ports: tuple[PortBinding, ...]


class Migrate(msgspec.Struct, frozen=True):
    """Move the running machine to `server`; returns when it runs there. Its ports here stay until Remove.

    Once it has returned or failed nothing is under way any more, or MachineState.migrating says so.
    """

    machine: str
    server: str


class Remove(msgspec.Struct, frozen=True):
    """Forget the machine on this host: stop it if it runs here, delete its ports."""

    machine: str


Verb = Start | Stop | Prepare | Migrate | Remove


class HypervisorFailure(Exception):
    """A verb could not be carried out; the message says which, on what machine, and why."""


class Hypervisor(Protocol):
    """Facts first, verbs second: whoever calls compares and asks again, level not edge."""

    async def facts(self) -> tuple[MachineState, ...]: ...

    async def carry_out(self, verb: Verb) -> None:
        """Raises HypervisorFailure. Concurrent calls for different machines are safe."""
        ...

    def events(self) -> AsyncIterator[None]:
        """Yields whenever facts() may have changed."""
        ...
