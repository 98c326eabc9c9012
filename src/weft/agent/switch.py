"""What the agent asks of a virtual switch. Drivers: Open vSwitch (ovs/switch.py) and the behaving fake.

Facts first, changes second: whoever calls compares and asks again, level not edge. All values; no I/O here.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Protocol

import msgspec

from weft.agent.flows.actions import Actions, Output
from weft.agent.flows.fields import FROM_AGENT, Field
from weft.agent.flows.flow import Flow, FlowKey
from weft.model.values import Mac, PackedIp, Vsid

ANY = PackedIp(b"")


class Tunnel(msgspec.Struct, frozen=True):
    """A tunnel port, one of each kind: both ends and the key come from the flow, and it takes what comes to any address
    of the host."""

    kind: str
    """gre (NVGRE) or vxlan."""
    local: PackedIp = ANY
    """The one address of the host that it is for, as agents once made them; such a port is known, and replaced."""


class HostAddress(msgspec.Struct, frozen=True):
    """An address on an interface of the host itself."""

    address: PackedIp
    prefix_length: int
    device: str
    mtu: int = 1500
    """Of the device."""
    ours: bool = False
    """An agent put it there."""
    ready: bool = True
    """False while the kernel looks whether another has it (RFC 4862 section 5.4)."""


class HostRoute(msgspec.Struct, frozen=True):
    """A route of the host itself, of its kernel's main table."""

    prefix: PackedIp
    prefix_length: int
    device: str
    """Empty where packets go nowhere."""
    gateway: PackedIp = ANY
    """Empty: on the link itself."""
    source: PackedIp = ANY
    """What the host sends from by this route where nothing else says it; empty: the kernel chooses."""
    ours: bool = False
    """An agent put it there."""


class SwitchPort(msgspec.Struct, frozen=True):
    """A port of the integration bridge as the switch has it now. The bridge's own port is not listed."""

    name: str
    ofport: int
    """OpenFlow port number; valid until the port goes, not longer. 0 or less: the switch could not open it (yet)."""
    iface_id: str = ""
    """external_ids:iface-id, in lower case; empty if none."""
    attached_mac: Mac | None = None
    """external_ids:attached-mac; None if none or unreadable."""
    mtu: int = 0
    """0 if unknown."""
    mtu_of_ours: int = 0
    """MTU that an agent once asked for; 0 if none did."""
    tunnel: Tunnel | None = None
    """Set if and only if it is a tunnel port that bears our mark."""
    spare: bool = False
    """No iface-id, and external_ids:iface-status says inactive: kept for a machine to come, so nothing to report."""
    vm_id: str = ""
    """external_ids:vm-id, in lower case: which machine of the hypervisor the port is of, as libvirt writes it; empty if
    it is not said."""
    patch: bool = False
    """Our patch to the bridge of the physical network."""


class SwitchFacts(msgspec.Struct, frozen=True):
    """The switch now."""

    ports: tuple[SwitchPort, ...] = ()
    bridge: str = "br-int"
    addresses: tuple[HostAddress, ...] = ()
    """Of the host's interfaces, loopback and link-local ones left out."""
    routes: tuple[HostRoute, ...] = ()
    """Of the host, those to single addresses, link-local ones and multicast left out."""


class Peer(msgspec.Struct, frozen=True):
    """A provider address that tunnels from `local` must be able to reach from the first packet on."""

    local: PackedIp
    remote: PackedIp


class SwitchMac(msgspec.Struct, frozen=True):
    """A MAC address on one of the host's bridges, other than by a port of ours."""

    mac: int
    port: str
    bridge: str
    vlan: int = 0
    learnt: bool = False
    """From the bridge's table of learnt addresses; otherwise somebody gave it to the port (attached-mac)."""


class Announcement(msgspec.Struct, frozen=True):
    """A frame out of these ports that tells their guests which MAC a customer address has now: a gratuitous ARP reply
    (IPv4), or an unsolicited neighbour advertisement that overrides (IPv6)."""

    vsid: Vsid
    address: PackedIp
    mac: Mac
    ports: tuple[int, ...]
    """OpenFlow port numbers; one that is gone is passed over."""
    vlan: int = 0
    """With an empty address: a RARP request that shows the physical switches of this VLAN where the MAC is now."""


class SwitchMeter(msgspec.Struct, frozen=True):
    """A rate above which packets are dropped, for the flows that name it by an action Meter."""

    id: int
    unit: str
    """kbps or pktps; empty in a dump: of a form that is none of ours."""
    rate: int
    burst: int
    """Kilobits or packets that may come at once."""


class PacketIn(msgspec.Struct, frozen=True):
    """A packet that an action Controller sent to the agent."""

    frame: bytes
    """As it was then, without its checksum; short ones may be padded."""
    service: int
    in_port: int
    fields: tuple[tuple[Field, int], ...] = ()
    """Registers and tunnel fields that it had, as far as they are not 0 (four registers of an IPv6 next hop may be
    one)."""
    cookie: int = 0
    """Of the flow that sent it."""
    table: int = 0

    def field(self, wanted: Field) -> int:
        """A register or tunnel field; 0 if it was not set."""
        return next((value for field, value in self.fields if field is wanted), 0)


class PacketOut(msgspec.Struct, frozen=True):
    """A frame from the agent, and what is to become of it: Output to port numbers past all tables, or
    Output(INTO_TABLES) as if it came in by `in_port`."""

    frame: bytes
    actions: Actions
    in_port: int = FROM_AGENT


def to_port(frame: bytes, number: int) -> PacketOut:
    """A frame out of one port."""
    return PacketOut(frame, (Output(number),))


class SwitchChange(msgspec.Struct, frozen=True):
    """What to do, carried out in the order of the fields; flows (puts and removes together) at
    once, and all of them but those that the switch refuses (StepFailure).

    Everything is idempotent: putting what is there and removing what is not there are no errors.
    """

    addresses_add: tuple[HostAddress, ...] = ()
    """To be put on their devices, with our mark."""
    routes_add: tuple[HostRoute, ...] = ()
    """With our mark, and a metric above every usual one; one of ours to the same prefix gives way."""
    tunnels_add: tuple[Tunnel, ...] = ()
    patch_add: tuple[PackedIp, ...] | None = None
    """Connect with the bridge of the physical network: the one that is marked so (external_ids:weft=physical), else the
    one whose own interface or port has one of these provider addresses. None: nothing to do."""
    peers: tuple[Peer, ...] = ()
    mtus: tuple[tuple[str, int], ...] = ()
    """(port name, MTU)."""
    meters: tuple[SwitchMeter, ...] = ()
    """To be so, whether they are there or not."""
    zones_flush: tuple[int, ...] = ()
    """Conntrack zones whose connections are to be forgotten."""
    puts: tuple[Flow, ...] = ()
    removes: tuple[FlowKey, ...] = ()
    """Strict: exactly this flow, and only if it bears our mark."""
    meters_remove: tuple[int, ...] = ()
    """By id. A switch takes the flows that still name one with it, so they are changed before."""
    tunnels_remove: tuple[Tunnel, ...] = ()
    routes_remove: tuple[HostRoute, ...] = ()
    """Only such as bear our mark."""
    addresses_remove: tuple[HostAddress, ...] = ()
    """Only such as bear our mark."""
    patch_remove: bool = False
    announcements: tuple[Announcement, ...] = ()
    """Sent once the flows are confirmed, and not at all if one failed. A courtesy: what becomes of it is not told."""

    def __bool__(self) -> bool:
        return self.patch_add is not None or any(getattr(self, name) for name in self.__struct_fields__)


class StepFailure(msgspec.Struct, frozen=True):
    """One step of a change that could not be carried out; the others were. Ask again later."""

    step: str
    """address, route, tunnel, patch, peer, mtu, meter or flows."""
    subject: str
    """What it concerns, in words."""
    message: str
    peer: Peer | None = None
    """The peer, where step is `peer`."""
    flow: FlowKey | None = None
    """Where step is `flows`: the one flow that the switch refused, the others are in; None if none is."""
    meter: int | None = None
    """Its id, where step is `meter`."""


class SwitchDump(msgspec.Struct, frozen=True):
    """What is in the switch, whole."""

    flows: tuple[Flow, ...] = ()
    """Flows that bear our mark."""
    drops: dict[str, int] = {}
    """Packets counted per DropReason, by its name in lower case; reasons that never occurred may be missing."""
    foreign: tuple[str, ...] = ()
    """Flows without our mark, in words."""
    meters: tuple[SwitchMeter, ...] = ()
    """All of the bridge, ours and others'."""
    counts: dict[int, tuple[int, int]] = {}
    """Packets and their bytes, Ethernet headers too, by the cookie of our flows, for the categories that somebody asks
    about (fields.COUNTED)."""


class SwitchUnavailable(Exception):
    """The switch does not answer (restarting, socket gone): try again; nothing is known of what was asked."""


class Switch(Protocol):
    """facts, macs, apply and dump raise SwitchUnavailable. They are not called concurrently; events(), packets_in() and
    send() run beside them."""

    async def facts(self) -> SwitchFacts: ...

    async def macs(self) -> tuple[SwitchMac, ...] | None:
        """Addresses on the host's other bridges, and all that any bridge has learnt; a few seconds old at most. None
        while it is not known yet what they have learnt."""
        ...

    async def apply(self, change: SwitchChange) -> tuple[StepFailure, ...]:
        """Returns when the switch has confirmed (barrier): packets that come later meet the new flows."""
        ...

    async def dump(self) -> SwitchDump: ...

    def events(self) -> AsyncIterator[None]:
        """Yields whenever facts() may have changed, and after the switch came back (its flows may be gone)."""
        ...

    def packets_in(self) -> AsyncIterator[PacketIn]:
        """What actions Controller send to the agent, in order. Some wait while nobody asks; what is more is lost and
        counted (packets_lost). For one listener."""
        ...

    @property
    def packets_lost(self) -> int:
        """Packets for the agent or from it that were thrown away since the start: there were too many, or the switch
        did not answer."""
        ...

    def send(self, packets: Iterable[PacketOut]) -> None:
        """Send frames now, without any word of what becomes of them; a port that is gone is passed over."""
        ...
