"""The feed between controller and agent: MessagePack over one WebSocket, /weft/v1/feed.

The agent opens with Hello; the controller answers Welcome or Refused, then sends the host stream and one stream per
network that the host needs. A frame of a network stream is encoded once and sent as the same bytes to every host.
Each stream counts its frames (`sequence`, dense): a gap means loss, and the agent asks for that stream anew.

Protocol versions
    1   first. Members that came later stand at the end of their message, with a default that says nothing: presence and
        what follows it of MachineFact; seen and what follows it of Facts; move_address, hardware and errand of the
        record Machine; instance_id and scope of NetworkSettings; vlan and what follows it of ProviderAddress;
        provider_address of NeededNetwork; passed_over of Full and Delta; sealed of ProviderFacts. Who does not know
        them passes them over. The record HostSettings came later too: only hosts of which something is wanted are sent
        it; as SegmentPort, which only hosts with ports on logical networks are sent.
        From this note on agents pass over records whose tag they do not know (weft.wire.unknown), so new records need
        no new version; agents of before break the connection at one, and are upgraded first.
"""

import msgspec

from weft.model.hypervisor import HypervisorState
from weft.model.records import HostRecord, NetworkRecord, RecordKey
from weft.model.values import PackedIp, Rdid

PROTOCOL = 1

HANDS = "hands"
"""The messages about what another hand does: Isolate, Insist, MayRun, MayRunAnswer."""

CAPTURE = "capture"
"""The messages about captures of packets: Capture, CaptureEnd, Captured."""

HOST_UNREACHABLE = "HostUnreachable"
"""Of a Problem: the host's hypervisor does not answer its agent. A configurationState code, MS-NCNBI 2.2.4."""

DEFAULT_IN, DEFAULT_OUT = 65534, 65535
"""Stand for a rule's priority where a default action of an access list is counted: no rule has them (MS-NCNBI
3.1.5.1.2)."""

REFUSED, LOST = "servicesRefused", "packetsLost"
COUNTS = {
    REFUSED: "Questions of guests that the agent did not answer: too many, for no service, or a service failed.",
    LOST: "Packets for the agent or from it that were thrown away: too many waited, or the switch did not answer.",
}
"""Keys of Facts.counts, with what they mean."""

SERVER_WARNING = "Unknown"
"""Of a Problem: what is on the host is as it should be, and somebody ought to know of this all the same: tunnels do not
reach another host, the hypervisor is slow. MS-NCNBI has no code for it. Only the server itself has a warning of it."""

HOST_STREAM = 0
"""Stream number of the host's own records; a network's stream number is its rdid."""


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """How far the agent has a stream: all records up to this revision of this generation of the store."""

    stream: int
    revision: int


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    protocol: int
    server: str
    agent: str
    """Random id of this agent process: tells a reconnect from a second agent of the same name."""
    generation: str
    """Of the store that the cursors belong to, as the Welcome said it; empty if the agent has none."""
    cursors: tuple[Cursor, ...] = ()
    hypervisor: str = ""
    """lab, libvirt, hyperv, or empty where the agent carries out no machine verbs."""
    abilities: tuple[str, ...] = ()
    """What it understands beyond the first version: HANDS, CAPTURE."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    protocol: int
    generation: str
    server: str
    """The server's resource id as the controller spells it."""
    abilities: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """Unknown server, second agent, protocol too old. The agent keeps its data plane as it is."""

    reason: str
    retry: bool
    """True if it may pass by itself (the other agent may go away)."""


class Full(msgspec.Struct, frozen=True, array_like=True, tag="full"):
    """All records of a stream; what is not in it is gone."""

    stream: int
    sequence: int
    revision: int
    records: tuple[NetworkRecord | HostRecord, ...]
    passed_over: int = 0
    """Set by the reader: so many records were of a tag that it does not know. The sender says 0."""


class Delta(msgspec.Struct, frozen=True, array_like=True, tag="delta"):
    """What changed in a stream. The first frame after a resume carries the sequence that the next one follows."""

    stream: int
    sequence: int
    revision: int
    puts: tuple[NetworkRecord | HostRecord, ...]
    removes: tuple[RecordKey, ...] = ()
    resumed: bool = False
    """True on the first delta after a resume: it counts from the agent's cursor, whatever its sequence."""
    passed_over: int = 0
    """As of Full."""


class Dropped(msgspec.Struct, frozen=True, array_like=True, tag="dropped"):
    """The host no longer needs this network's stream."""

    stream: int


class Resend(msgspec.Struct, frozen=True, array_like=True, tag="resend"):
    """Agent to controller: a gap was seen, send this stream in full."""

    stream: int


class Ack(msgspec.Struct, frozen=True, array_like=True, tag="ack"):
    """Agent to controller: applied on the switch, up to these frames."""

    applied: tuple[tuple[int, int, int], ...]
    """(stream, sequence, revision)."""


class MachineFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the hypervisor says of a machine on this host."""

    machine: str
    power: str
    generation: int = 0
    """Of the last Machine record that this answers."""
    failure: str = ""
    """Why the last verb failed; empty if it did not."""
    migrating: bool = False
    """A migration away from here is under way, or was and `power` may be of before its end."""
    presence: str = ""
    """here: the hypervisor knows the machine; gone: it did, and nobody asked it to forget it; else empty."""
    id: str = ""
    """The hypervisor's own, where it knows the machine: the one of Facts.hypervisor that this is about."""
    by_hand: bool = False
    """`power` is not what the record says and another hand made it so: the agent leaves it, the record may follow."""
    errand: int = 0
    """Number of the newest errand that has ended; 0: none that this agent knows of."""
    errand_failure: str = ""
    """Why it failed; empty if it was carried out."""
    busy: bool = False
    """The hypervisor is at something on it that may take long: it defines it, removes it, or is on an errand."""


class PortFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the switch says of a port binding: `state` is bound, absent, closed; `reason` says why it is not bound."""

    instance_id: str
    state: str
    reason: str = ""


class Problem(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Something that keeps the host from its policy; `code` is a configurationState code of MS-NCNBI 2.2.4."""

    code: str
    message: str
    instance_id: str = ""
    """Interface it concerns; empty for the whole host."""


class SeenMac(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A MAC address on one of the host's switches that no binding of ours explains; see weft.core.commands.Seen."""

    mac: int
    port: str
    bridge: str = ""
    vlan: int = 0
    learnt: bool = False


class GatewayFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What this host finds of a gateway that its networks use."""

    provider_address: PackedIp
    alive: bool


class AdapterFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where a provider address of the host is."""

    provider_address: PackedIp
    name: str
    """Of the interface that has it."""
    mtu: int
    uplinks: tuple[str, ...] = ()
    """The adapters below, by which its packets leave."""
    offloads: tuple[str, ...] | None = None
    """What all of these do about encapsulated packets, as ethtool(8) calls it: weft.agent.outside.OFFLOADS; None: they
    do not say."""


class HolderFact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Another machine on the provider network has a provider address of the host."""

    provider_address: PackedIp
    mac: str
    """As AA-BB-CC-DD-EE-FF, or words where it is not known."""
    used: bool
    """The host uses the address all the same, since it did before; else for nothing."""


class ProviderFacts(msgspec.Struct, frozen=True, array_like=True):
    """What the host says of its place on the provider network."""

    adapters: tuple[AdapterFact, ...] = ()
    """By provider address; those that are on no interface are not in it."""
    holders: tuple[HolderFact, ...] = ()
    unprobed: tuple[str, ...] = ()
    """Hosts of its networks that it does not probe, and why, in words; at most 20."""
    no_encryption: str = "its agent is older than that"
    """Why its tunnels cannot be encrypted; empty: they can."""
    in_clear: tuple[tuple[PackedIp, PackedIp], ...] = ()
    """Of networks that are to be encrypted: between which provider addresses, its own first, nothing is yet, so that
    what would go there is dropped."""
    sealed: tuple[tuple[PackedIp, tuple[PackedIp, ...]], ...] | None = None
    """Between which everything is, as its flows have it: each of its own addresses with the others', both in order.
    None: an agent of before, which says only what is not."""


class Brought(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The guest of a port of this host uses an address that nobody gave it, and may bring some."""

    instance_id: str
    address: PackedIp
    announced: int = 0
    """When it last told everybody on its subnet, in milliseconds of the host's own clock: another number is another
    announcement. 0: it only sent from it."""


class Unused(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A learnt address that a running guest here does not use, nor answers for when it is asked."""

    instance_id: str
    address: PackedIp
    aged: bool = False
    """For longer than its subnet lets it stay."""


class Facts(msgspec.Struct, frozen=True, array_like=True, tag="facts"):
    """Agent to controller: the host as it is now, whole, whenever it changes."""

    machines: tuple[MachineFact, ...] = ()
    ports: tuple[PortFact, ...] = ()
    problems: tuple[Problem, ...] = ()
    drift: tuple[str, ...] = ()
    """What was found changed by another hand and repaired, newest last, at most 50."""
    drops: dict[str, int] = {}
    """Packets dropped, by reason, since the switch started."""
    foreign: tuple[str, ...] = ()
    """Ports and flows found that are not ours and not repaired, in words."""
    seen: tuple[SeenMac, ...] = ()
    """Sorted, at most 4096."""
    looked: bool = False
    """The agent knows its ports and has looked at all bridges: `seen` is all that there is to see."""
    hypervisor: HypervisorState | None = None
    """All that the driver tells; None without one, and as long as it could not be asked."""
    hits: tuple[tuple[int, int, int], ...] = ()
    """Packets that rules of access lists decided: (number of the list, priority of the rule, packets). Default actions
    have the priorities DEFAULT_IN and DEFAULT_OUT. Told every 10 s at most."""
    gateways: tuple[GatewayFact, ...] = ()
    """By provider address: those that this host asks whether they are alive."""
    carries: tuple[Rdid, ...] = ()
    """Routing domains that this host carries as a gateway, in order."""
    hit_bytes: tuple[int, ...] = ()
    """Of `hits`, in their order: how many bytes, Ethernet headers too."""
    counts: dict[str, int] = {}
    """What else the agent counts since it started, by the names of COUNTS; those that never occurred may be missing."""
    provider: ProviderFacts | None = None
    """None where nobody asks: an agent of before, a Hyper-V host's."""
    brought: tuple[Brought, ...] = ()
    """In order; as long as they are used, and not in PortLearning."""
    unused: tuple[Unused, ...] = ()
    """In order."""


class Isolate(msgspec.Struct, frozen=True, array_like=True, tag="isolate"):
    """Controller to agent: all machines that are to be taken from the network or stopped while they run, since another
    runs lawfully with an address of theirs, and those taken from it before that may come back, since none does."""

    machines: tuple[tuple[str, str], ...] = ()
    """(the hypervisor's id; disconnect, stop or reconnect)."""


class Insist(msgspec.Struct, frozen=True, array_like=True, tag="insist"):
    """Controller to agent: carry out the record of this machine, whatever another hand has made of it."""

    machine: str


class MayRun(msgspec.Struct, frozen=True, array_like=True, tag="mayRun"):
    """Agent to controller: another hand starts a machine here just now. May it run?"""

    number: int
    """Of the question, for its answer."""
    id: str
    """The hypervisor's."""
    name: str = ""
    macs: tuple[int, ...] = ()
    comes: bool = False
    """It comes from another host, where it may run until it is here."""
    machine: str = ""
    """What our mark on it says."""


class MayRunAnswer(msgspec.Struct, frozen=True, array_like=True, tag="mayRunAnswer"):
    number: int
    refusal: str = ""
    """Why not, naming who runs with its address; empty: it may."""


class Capture(msgspec.Struct, frozen=True, array_like=True, tag="capture"):
    """Controller to agent: copy the packets of a port to me, until one of the bounds, CaptureEnd or our parting."""

    number: int
    """Of this capture, among those of the session."""
    instance_id: str
    """The port's interface."""
    seconds: float
    packets: int
    """0: any number."""
    snap: int
    """So many bytes of each packet."""
    filter: str = ""
    """As weft.core.packet_filter reads it; empty: all."""


class CaptureEnd(msgspec.Struct, frozen=True, array_like=True, tag="captureEnd"):
    number: int


class Captured(msgspec.Struct, frozen=True, array_like=True, tag="captured"):
    """Agent to controller: packets that came by, in order. The first, without any, says that it has begun."""

    number: int
    content: bytes = b""
    """Packet records of a pcap file, whole ones."""
    ended: bool = False
    """The last one."""
    failure: str = ""
    """Why it ended before its bounds, or did not begin."""


ToAgent = Welcome | Refused | Full | Delta | Dropped | Isolate | Insist | MayRunAnswer | Capture | CaptureEnd
ToController = Hello | Resend | Ack | Facts | MayRun | Captured
