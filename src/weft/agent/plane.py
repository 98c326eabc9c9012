"""What carries the packets of one host, as the agent sees it: told what should be, it looks what is and does the rest.

Two fulfil it: an Open vSwitch (ovs/plane.py) and Hyper-V Network Virtualization (hyperv/plane.py). A plane is told
records and machines as they come, by level: the same thing twice, in any order, all of it after a restart. Values and
the Protocol; no I/O here.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Protocol

import msgspec

from weft.agent.bindings import Local
from weft.model.hypervisor import MachineState
from weft.model.records import HostSettings, Machine, Record, RecordKey, SubnetRecord
from weft.model.values import Rdid, Vsid
from weft.wire.messages import Brought, GatewayFact, PortFact, Problem, ProviderFacts, SeenMac, Unused


class Standing(msgspec.Struct, frozen=True):
    """What verbs depend on, now."""

    locals: Mapping[str, Local]
    """By instance id."""
    subnets: Mapping[Vsid, tuple[SubnetRecord, ...]]
    mtus: Mapping[str, int]
    """Largest packet that the guest may send, by instance id."""
    settings: HostSettings
    waiting: Collection[str] = ()
    """Instance ids of interfaces that are not to get a port yet: others of their networks would be stopped by it. Why,
    Telling.ports say of those whose machines are to run."""


class Telling(msgspec.Struct, frozen=True):
    """What the controller is told of it; see weft.wire.messages.Facts for the members."""

    ports: tuple[PortFact, ...] = ()
    problems: tuple[Problem, ...] = ()
    drift: tuple[str, ...] = ()
    drops: dict[str, int] = {}
    hits: tuple[tuple[int, int, int], ...] = ()
    foreign: tuple[str, ...] = ()
    seen: tuple[SeenMac, ...] = ()
    looked: bool = False
    gateways: tuple[GatewayFact, ...] = ()
    carries: tuple[Rdid, ...] = ()
    brought: tuple[Brought, ...] = ()
    unused: tuple[Unused, ...] = ()
    hit_bytes: tuple[int, ...] = ()
    counts: dict[str, int] = {}
    provider: ProviderFacts | None = None


class Plane(Protocol):
    """One host's. `look`, `act` and `look_around` raise SwitchUnavailable; no two calls are made together, except that
    events() and serve() run beside them."""

    @property
    def machines(self) -> Mapping[str, Machine]:
        """Those that the records name."""
        ...

    @property
    def states(self) -> Mapping[str, MachineState]:
        """What the hypervisor says of our machines, by resource id."""
        ...

    @property
    def settled(self) -> bool:
        """Has the host confirmed everything that can be done now? Then what was told is applied."""
        ...

    def put(self, stream: int, key: RecordKey, record: Record | None) -> None:
        """A record of a stream is this now, or gone."""
        ...

    def machines_are(self, states: Iterable[MachineState]) -> None:
        """All that the hypervisor has, strangers too. Told only where there is a driver."""
        ...

    def events(self) -> AsyncIterator[None]:
        """Yields whenever something may be otherwise than it was looked at."""
        ...

    def changed(self) -> None:
        """One of the events was heard."""
        ...

    async def look(self) -> None:
        """Learn what is, as far as that is due."""
        ...

    async def act(self, in_sync: bool) -> None:
        """Do what is missing. Nothing is removed unless `in_sync`: the policy is complete."""
        ...

    async def serve(self) -> None:
        """Answer what guests ask of the host itself, beside everything else, until cancelled."""
        ...

    async def look_around(self) -> None:
        """Learn whose addresses are here that should not be, once it is known whose should be."""
        ...

    def lost(self) -> None:
        """It did not answer: what it has must be learnt anew."""
        ...

    def estranged(self) -> None:
        """The connection to the controller broke: it is not known any more whose addresses should be here."""
        ...

    def due(self, told: bool) -> float:
        """Seconds until it is to be looked at again without any event. `told`: look_around() is being called."""
        ...

    def standing(self) -> Standing: ...

    def telling(self, trouble: str) -> Telling:
        """`trouble` is why it does not answer; empty while it does."""
        ...
