"""What happens to a cluster, as values: made by sim.life, lived through by a strategy's cluster, checked by sim.world.

An event says what was meant. Where a strategy's machine is not in the state that the life assumes (its start failed),
the event does what it still can: a move moves it cold, a power cycle tries to start it again.
"""

from collections.abc import Iterable

import msgspec


class HostAdded(msgspec.Struct, frozen=True):
    at: int
    """Seconds since the beginning, here and below."""
    host: str
    ipv4: str
    """Of its first adapter."""
    image_of: str = ""
    """The host from whose disk image it was made; empty if it was installed by itself."""


class Created(msgspec.Struct, frozen=True):
    """A new machine, off. `domain` numbers the L2 domain of its adapter; `pooled` is a desktop that is rolled back."""

    at: int
    machine: str
    host: str
    domain: int
    pooled: bool = False


class Cloned(msgspec.Struct, frozen=True):
    """A new machine, off, from another one and in its L2 domain; its addresses are to be its own."""

    at: int
    machine: str
    source: str
    host: str


class Deleted(msgspec.Struct, frozen=True):
    at: int
    machine: str


class Started(msgspec.Struct, frozen=True):
    at: int
    machine: str


class Stopped(msgspec.Struct, frozen=True):
    at: int
    machine: str


class PowerCycled(msgspec.Struct, frozen=True):
    """Turned off and on, as for an update of its hardware or by a person."""

    at: int
    machine: str


class Rebooted(msgspec.Struct, frozen=True):
    """From inside the guest; it is never powered off."""

    at: int
    machine: str


class Moved(msgspec.Struct, frozen=True):
    """Live where the machine runs."""

    at: int
    machine: str
    host: str


class CheckpointTaken(msgspec.Struct, frozen=True):
    at: int
    machine: str
    name: str


class RolledBack(msgspec.Struct, frozen=True):
    """One machine, or a pool of desktops that log off together, back to a checkpoint; they run afterwards."""

    at: int
    machines: tuple[str, ...]
    name: str


class HostDied(msgspec.Struct, frozen=True):
    """Its machines are restarted elsewhere, those that were off are registered there. The host comes back empty."""

    at: int
    host: str
    to: tuple[tuple[str, str], ...]
    """(Machine, host that takes it)."""


Event = (
    HostAdded
    | Created
    | Cloned
    | Deleted
    | Started
    | Stopped
    | PowerCycled
    | Rebooted
    | Moved
    | CheckpointTaken
    | RolledBack
    | HostDied
)


def machines_of(event: Event) -> Iterable[str]:
    """The machines that an event is about: only theirs can change their address or begin to run."""
    match event:
        case HostAdded():
            return ()
        case RolledBack(machines=machines):
            return machines
        case HostDied(to=to):
            return (machine for machine, _ in to)
    return (event.machine,)
