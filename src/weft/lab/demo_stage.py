"""What the demo's steps ask of the datacenter they run in.

Two stages answer: namespaces (demo_real) and fakes (demo_simulated).
"""

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from weft.lab.capture import Tunnelled
from weft.wire.client import Client


class NotSo(Exception):
    """What a step says is true was seen to be false; the message says what was seen."""


class Pings(msgspec.Struct, frozen=True):
    sent: int
    received: int
    ttls: tuple[int, ...] = ()
    """Different ones seen, in order of first arrival."""


class Identity(msgspec.Struct, frozen=True):
    """What a guest itself says of its eth0."""

    mac: str
    """AA-BB-CC-DD-EE-FF."""
    addresses: tuple[str, ...]


class Lie(msgspec.Struct, frozen=True):
    """Pings that `machine` sends to `victim` under a source MAC or address that it was not granted."""

    machine: str
    victim: str
    mac: str
    address: str
    count: int = 5


class Guests(Protocol):
    """The machines, seen from inside."""

    async def identity(self, machine: str) -> Identity: ...

    async def ping(self, machine: str, address: str, count: int, interval: float) -> Pings: ...

    async def ask(self, machine: str, addresses: Sequence[str]) -> dict[str, str]:
        """Who answers at each address: the machine's name, or empty."""
        ...


class Strangers(Protocol):
    """What tenants must not manage."""

    async def heard(self, machine: str) -> set[str]:
        """Names of the machines whose questions have reached this one."""
        ...

    async def lie(self, lie: Lie) -> int:
        """How many of the lying frames arrived at the victim."""
        ...


class Fabric(Protocol):
    """The hosts and the wire between."""

    async def wire(self, during: Awaitable[object]) -> list[Tunnelled]:
        """The tunnelled packets that crossed the provider network meanwhile."""
        ...

    async def flows_naming(self, host: str, mac: str) -> int:
        """How many entries of the host's switch name this MAC."""
        ...

    async def intrude(self, host: str, port: str, mac: str) -> None:
        """Somebody plugs a port with this MAC into a bridge of the host that is none of Weft's."""
        ...

    async def withdraw(self, host: str, port: str, mac: str) -> None:
        """And takes it away again."""
        ...


class Service(Protocol):
    """The controller as a process."""

    async def kill(self) -> None: ...

    async def start(self) -> None:
        """Returns when it is ready and its agents are back."""
        ...


class Stage(msgspec.Struct, frozen=True):
    """A datacenter that is up with the demo's file applied and no machine started."""

    client: Client
    guests: Guests
    strangers: Strangers
    fabric: Fabric
    service: Service
