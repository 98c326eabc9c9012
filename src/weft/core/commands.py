"""What the API, the clock and the agents ask of the writer. Values only; core.decide turns them into changes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from weft.core.copy_commands import Clone, ExportMachine, ImportMachine, Restore, TakeCheckpoint
from weft.core.host_facts import GuestFact, HostFact
from weft.model.hypervisor import Hardware
from weft.model.workload import HypervisorIdentity


class Actor(msgspec.Struct, frozen=True):
    """Who asks; made in one place (api.auth). Until identities exist it is the operator on loopback."""

    name: str = "operator"
    role: str = "operator"
    tenant: str | None = None


def agent_of(server: str) -> Actor:
    """For what the controller does upon the word of a server's agent."""
    return Actor(f"agent of {server}", "agent")


class Path(msgspec.Struct, frozen=True):
    """Names a resource or child: the kind, then (child kind name, id) pairs below it. Ids as the client wrote them."""

    kind: str
    id: str
    below: tuple[tuple[str, str], ...] = ()


class Preconditions(msgspec.Struct, frozen=True):
    """If-Match and If-None-Match as sent, `*` included; None where the header is absent."""

    if_match: str | None = None
    if_none_match: str | None = None


class Put(msgspec.Struct, frozen=True):
    """Create or replace a resource or child, children included."""

    path: Path
    document: Any
    """A Resource[...] as the client sent it: read-only members ignored, instance_id and etag possibly empty."""
    when: Preconditions = Preconditions()


class Delete(msgspec.Struct, frozen=True):
    path: Path
    when: Preconditions = Preconditions()
    force: bool = False
    """Of a machine that was taken in: although it runs, and goes on running."""


class SetPower(msgspec.Struct, frozen=True):
    """Start, stop or save a machine: the committed intent. `power` is Running, Off or Saved."""

    machine: str
    power: str
    asked: bool = False
    """It is somebody's word, who knows by now what failed before: a failed errand is forgotten."""


class BeginMove(msgspec.Struct, frozen=True):
    """Phase `preparing`. `server` is the destination's resource id."""

    machine: str
    server: str
    force: bool = False


class AdvanceMove(msgspec.Struct, frozen=True):
    """To phase `switching`, `withdrawing`, `switched` (the machine's server becomes the destination), `done` or
    `failed` (it ends)."""

    machine: str
    phase: str
    generation: int
    """Of the move that is meant; another one makes the command a refusal."""


class AdvanceProviderAddresses(msgspec.Struct, frozen=True):
    """A change of a host's provider addresses to phase `switched` or `done`."""

    server: str
    phase: str
    generation: int
    """Of the change that is meant; another one makes the command a refusal."""


class NewInterface(msgspec.Struct, frozen=True):
    """An adapter of a machine that is made as a whole. What is not named is granted."""

    subnet: str = ""
    """Reference."""
    ip_address: str = ""
    mac_address: str = ""
    strategy: str = ""


class CreateMachine(msgspec.Struct, frozen=True):
    """Phase `defining`: a machine NAME with interfaces NAME-eth0 ..., granted as one. The same again answers what is
    there. On a server of `cluster` where that is named: a connected one before others, then the one with least
    machines."""

    name: str
    server: str = ""
    cluster: str = ""
    hardware: Hardware | None = None
    """None: what a hypervisor that must define it takes. A generation of 0 is its own default."""
    interfaces: tuple[NewInterface, ...] = ()
    start: bool = True
    connected: frozenset[str] = frozenset()
    """Servers, lower case, whose agent is there."""
    away: frozenset[str] = frozenset()
    """Servers, lower case, whose agent was there before and is not now."""
    silent: frozenset[str] = frozenset()
    """Servers, lower case, whose hypervisor does not answer their agent."""
    without_define: frozenset[str] = frozenset()
    """Servers, lower case, whose driver makes a machine when it starts and has no use for hardware."""
    kinds: Mapping[str, str] = {}
    """Of hypervisor, by server, lower case, as their agents say: libvirt, hyperv ..."""


class AdvanceCreation(msgspec.Struct, frozen=True):
    """To phase `starting` (the machine is Running from then on), `done`, `undoing` (Off, being removed), or `undone`
    (it goes with all that was made for it)."""

    machine: str
    phase: str
    generation: int
    """Of the creation that is meant."""
    hypervisor: HypervisorIdentity | None = None
    """As the host knows it, once it does."""
    failure: str = ""


class BeginRemoval(msgspec.Struct, frozen=True):
    """Phase `removing` of a machine that is deleted with its disks. The delete itself follows when its host has none of
    it any more."""

    machine: str
    when: Preconditions = Preconditions()


class BeginErrand(msgspec.Struct, frozen=True):
    """Ask a machine's host for something that its hypervisor does once; see weft.model.workload.Errand."""

    machine: str
    kind: str
    name: str = ""
    id: str = ""
    """The hypervisor's own of the checkpoint."""
    path: str = ""
    power: str = ""
    """What the machine is from now on; empty: what it was."""
    before: str = ""
    """What it was before the command that this is a part of."""


class EndErrand(msgspec.Struct, frozen=True):
    """The host has done it, or failed."""

    machine: str
    number: int
    failure: str = ""


class RewriteCheckpoints(msgspec.Struct, frozen=True):
    """Give all checkpoints of a machine, or one, the MAC addresses that its interfaces own. Never decided: carried out
    as an errand per checkpoint (weft.control.errands)."""

    machine: str
    checkpoint: str = ""


class RenewMac(msgspec.Struct, frozen=True):
    """Give an interface of a machine another MAC address, granted or the one asked for."""

    machine: str
    interface: str
    """Resource id."""
    mac_address: str = ""
    force: bool = False
    """Also while the machine runs."""


class Failover(msgspec.Struct, frozen=True):
    """The machine's host is dead or fenced: bind it to another as it was. A move under way ends with it."""

    machine: str
    server: str


class RemoveServer(msgspec.Struct, frozen=True):
    """Delete a server that will not come back: its machines are bound to none, Off, and their addresses inactive."""

    server: str
    reason: str = ""


class MarkMachine(msgspec.Struct, frozen=True):
    """Note that a machine's host no longer knows it (`reason`), or, with an empty reason, that it does again."""

    machine: str
    reason: str = ""


class ReleaseAddress(msgspec.Struct, frozen=True):
    """An operator ends a cool-down early, or frees what an inactive holder holds (the interface goes with it)."""

    scope: str
    address: int
    reason: str


class Reserve(msgspec.Struct, frozen=True):
    """Hold addresses of a pool or subnet for a purpose. The same request id gets the same reservation."""

    pool: str
    """resourceRef."""
    count: int
    contiguous: bool = False
    purpose: str = ""
    until: float | None = None
    """Unix seconds; None: until deleted."""
    request_id: str = ""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """A MAC address that an agent sees on its switches and that no binding of ours explains."""

    mac: int
    port: str
    """Name of the port, such as vnet3, or of the machine that has it."""
    bridge: str = ""
    vlan: int = 0
    learnt: bool = False
    """From a switch's table of learnt addresses; otherwise the hypervisor put it on the port (attached-mac)."""
    off: bool = False
    """Not on a switch: `port` is a machine that the hypervisor has and that does not run, with this address."""


class NoteSeen(msgspec.Struct, frozen=True):
    """All that a server's agent sees now; what it saw before and does not see any more goes."""

    server: str
    seen: tuple[Seen, ...] = ()
    only: frozenset[int] | None = None
    """The MAC addresses that this is about, nothing is said of others; None: of all."""


class EndCoolDowns(msgspec.Struct, frozen=True):
    """Free what has cooled down by the ledger's time, at most `limit` addresses."""

    limit: int = 1000


class EndReservations(msgspec.Struct, frozen=True):
    """Give back reservations that have expired by the ledger's time, at most `limit` of them."""

    limit: int = 100


class ReleaseInactive(msgspec.Struct, frozen=True):
    """Release what inactive holders have held for longer than their pool's rule allows, at most `limit` interfaces."""

    limit: int = 100


class Steps(msgspec.Struct, frozen=True):
    """Commands as one, decided one after the other in the order given: all or nothing."""

    commands: tuple[Any, ...]


class Batch(msgspec.Struct, frozen=True):
    """Puts, deletes and MACHINE_COMMANDS as one: all or nothing, references among them resolved whatever their order.

    Machine commands come after all puts and before all deletes, in the order given.
    """

    commands: tuple[Any, ...]


MachineCommand = Steps | Clone | TakeCheckpoint | Restore | ExportMachine | ImportMachine | RenewMac | Failover
"""What one machine is asked for, decided at once; power and moves need a host's answer."""

LedgerCommand = ReleaseAddress | Reserve | NoteSeen | EndCoolDowns | EndReservations | ReleaseInactive

Command = (
    Put
    | Delete
    | SetPower
    | BeginMove
    | AdvanceMove
    | AdvanceProviderAddresses
    | CreateMachine
    | AdvanceCreation
    | BeginRemoval
    | BeginErrand
    | EndErrand
    | MachineCommand
    | MarkMachine
    | HostFact
    | GuestFact
    | RemoveServer
    | LedgerCommand
    | Batch
)


class Decision(msgspec.Struct, frozen=True):
    """What a command comes to. `outcome`: created, replaced, unchanged, deleted, done; for a Batch one per command."""

    changes: tuple[Any, ...]
    outcome: str
    resource: Any | None = None
    """The resource or child as it will be stored (with etag and instance_id); None after a delete."""
    parts: tuple["Decision", ...] = ()
    """For a Batch: the decision of each command, in the order given (their changes are all in `changes`)."""
    report: tuple[Any, ...] = ()
    """For a Restore: a Restored per interface; for a RenewMac one."""
