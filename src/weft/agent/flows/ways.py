"""What the flow builders build from: a bound port, a way through a tunnel, addresses as flow fields. Pure values."""

import hashlib
import ipaddress
from collections.abc import Iterable

import msgspec

from weft.agent.encryption import Pair
from weft.agent.flows.actions import Action, Actions, CheckLarger, FlowId, Goto, Output, Resubmit, SetField
from weft.agent.flows.fields import (
    ETH_IPV4,
    ETH_IPV6,
    ETH_TYPE,
    IN_PORT,
    IP_DST,
    IP_SRC,
    IPV6_DST,
    IPV6_SRC,
    MARKS,
    TO_PORT,
    TOO_LARGE,
    TUN_DST,
    TUN_ID,
    TUN_IPV6_DST,
    TUN_IPV6_SRC,
    TUN_SRC,
    Category,
    DropReason,
    Field,
    Table,
    cookie,
    learnt_cookie,
)
from weft.agent.flows.flow import Match, Term, dropped, exact
from weft.agent.switch import Tunnel
from weft.model.records import PackedPrefix, PortAccess, PortBinding, PortLearning, PortLimits, ProviderAddress
from weft.model.values import Mac, PackedIp, Rdid, Vsid

TUNNEL_KINDS = {"nvgre": "gre", "vxlan": "vxlan"}
"""NetworkSettings.encapsulation to Tunnel.kind."""

_HEADERS = {"nvgre": 22, "vxlan": 30}
"""Bytes between outer and inner IP header: GRE with key (8), or UDP and VXLAN (16), and inner Ethernet (14)."""
_OUTER_IP = {4: 20, 6: 40}
_ETHERNET = 14


def mtu_for(encapsulation: str, provider_mtu: int, family: int = 4) -> int:
    """Largest inner IP packet that fits a provider network of this MTU; family (4, 6) of the provider addresses.

    1500 carries 1458 with NVGRE (RFC 7637) and 1450 with VXLAN (RFC 7348) over IPv4.
    """
    if encapsulation == "rewrite":  # headers are replaced, none is added
        return provider_mtu
    return provider_mtu - _HEADERS[encapsulation] - _OUTER_IP[family]


def under(lists: tuple[tuple[PackedIp, int, int], ...], address: bytes) -> tuple[int, int]:
    """BoundPort.under, of a PortAccess's lists."""
    kin = [one for one in lists if len(one[0]) == len(address)] or lists
    found = next((one for one in lists if one[0] == address), kin[0] if kin else None)
    return found[1:] if found is not None else (0, 0)


class BoundPort(msgspec.Struct, frozen=True):
    """A port of the switch that belongs to a binding: open."""

    number: int
    rdid: Rdid
    vsid: Vsid
    mac: Mac
    v4: tuple[int, ...]
    v6: tuple[int, ...]
    source: PackedIp = PackedIp(b"")
    """Which of the host's provider addresses its packets are sent from; empty where they are in no tunnel."""
    any_source: bool = False
    """An edge's: what comes in from outside has any source address."""
    lists: tuple[tuple[PackedIp, int, int], ...] = ()
    """Access lists by address, as PortAccess has them; empty if it is under none."""

    def under(self, address: bytes) -> tuple[int, int]:
        """The lists that a packet from or for this address is under: its own and its subnet's, 0 for none.

        One that no record names (link-local, a group's, one that was learnt) is under those of the port's first address
        of its family, or of the other where there is none."""
        return under(self.lists, address)

    limits: PortLimits | None = None
    brought_connections: bool = False
    """Its lists forbid no more than when it came here: what was begun under them elsewhere goes on."""
    learning: PortLearning | None = None
    """What its guest may bring; what it has brought is in v4 and v6."""

    @property
    def in_port(self) -> Term:
        return exact(IN_PORT, self.number)

    @property
    def spoofs(self) -> bool:
        """May its guest send from other addresses than its own?"""
        return self.limits is not None and self.limits.spoofing

    @property
    def brings(self) -> tuple[PackedPrefix, ...]:
        """Where its guest may bring addresses of. One that may send from any brings none: it needs no leave."""
        return self.learning.prefixes if self.learning is not None and not (self.spoofs or self.any_source) else ()

    def mark_of(self, address: int, size: int) -> int:
        """The cookie of what it may say under an address of so many bytes."""
        if self.learning is not None and address.to_bytes(size) in self.learning.learnt:
            return learnt_cookie(self.number, address)
        return cookie(Category.PORT, self.number)


def host_prefix(own: ProviderAddress) -> PackedPrefix:
    """The provider subnet that an address of the host lies in."""
    return PackedIp(ipaddress.ip_network((own.address, own.prefix_length), strict=False).network_address.packed), (
        own.prefix_length
    )


def with_learnt(port: BoundPort, learning: PortLearning | None) -> BoundPort:
    """The same, with what its guest brings."""
    if learning is None:
        return port
    v4 = tuple(int.from_bytes(one) for one in learning.learnt if len(one) == 4)
    v6 = tuple(int.from_bytes(one) for one in learning.learnt if len(one) == 16)
    return msgspec.structs.replace(port, v4=(*port.v4, *v4), v6=(*port.v6, *v6), learning=learning)


def bound_port(
    binding: PortBinding,
    number: int,
    any_source: bool = False,
    access: PortAccess | None = None,
    limits: PortLimits | None = None,
) -> BoundPort:
    """Join a binding with the port number that it has now, the lists that it is under and its settings."""
    v4 = tuple(int.from_bytes(address) for address in binding.addresses if len(address) == 4)
    v6 = tuple(int.from_bytes(address) for address in binding.addresses if len(address) == 16)
    lists = access.lists if access is not None else ()
    source = binding.provider_address
    return BoundPort(number, binding.rdid, binding.vsid, binding.mac, v4, v6, source, any_source, lists, limits)


class Door(msgspec.Struct, frozen=True):
    """A local port that packets are delivered to."""

    number: int
    filtered: bool = False
    """By way of table TRACK_IN."""


def into(door: Door) -> Actions:
    """Deliver a packet, as the last thing done with it."""
    if door.filtered:
        return (SetField(TO_PORT, door.number), Goto(Table.TRACK_IN))
    return (Output(door.number),)


def into_each(doors: Iterable[Door]) -> Actions:
    """Deliver a copy to each; more may be done with the packet afterwards."""
    actions: list[Action] = []
    for door in doors:
        filtered = (SetField(TO_PORT, door.number), Resubmit(Table.TRACK_IN))
        actions += filtered if door.filtered else (Output(door.number),)
    return tuple(actions)


FORKED = CheckLarger(0xFFFF, MARKS, TOO_LARGE)
"""What stands behind it is done with a copy, for that is all that this action is here for: no frame is so large. Open
vSwitch has no other way for any kind of packet: it leaves away a clone() around a resubmit, and ct() takes only IP."""


PROBE_VSID = 0xFFF
"""Of what agents send each other by a tunnel: reserved by RFC 7637 section 3.2, so no virtual subnet has it."""


def key_is(kind: str, vsid: int) -> Term:
    """Match a received VSID by the kind of the tunnel, whatever the sender's FlowID."""
    return (TUN_ID, vsid << 8, 0xFFFF_FFFF_FFFF_FF00) if kind == "gre" else exact(TUN_ID, vsid)


def key_of(kind: str, vsid: int) -> SetField:
    """The key to send by a tunnel of this kind; for NVGRE with FlowID 0."""
    return SetField(TUN_ID, vsid << 8 if kind == "gre" else vsid)


class Way(msgspec.Struct, frozen=True):
    """How this host sends packets of a routing domain to others: through which tunnel port, and in which form."""

    tunnel: Tunnel
    number: int
    """OpenFlow number of the tunnel port."""
    mtu: int = 0
    """Largest IP packet that it carries; 0: not known, so nothing is checked."""
    source: PackedIp = PackedIp(b"")
    """The host's own provider address, which the agent's probes are sent from; guests' packets have that of their
    port."""
    sealed: frozenset[PackedIp] | None = None
    """The only hosts that anything may be sent to, since tunnels to them are encrypted; None: any."""
    taken: frozenset[Pair] = frozenset()
    """Where `sealed` is not None, the encrypted tunnels to hosts of the network: what comes by another is not taken."""
    also: tuple[int, ...] = ()
    """Numbers of other tunnel ports of this kind, to be removed: what still comes by them is taken."""

    def may_reach(self, provider_address: bytes) -> bool:
        return self.sealed is None or provider_address in self.sealed

    @property
    def in_ports(self) -> tuple[Term, ...]:
        return tuple(exact(IN_PORT, number) for number in (self.number, *self.also))

    def key_is(self, vsid: int) -> Term:
        """Match a received VSID, whatever the sender's FlowID."""
        return key_is(self.tunnel.kind, vsid)

    def key(self, vsid: int) -> SetField:
        """The key to send; for NVGRE with FlowID 0."""
        return key_of(self.tunnel.kind, vsid)

    def to(self, vsid: int, provider_address: bytes) -> Actions:
        """Tunnel the packet by way of table ENCAP, which looks whether it fits; with a FlowID where there is one (VXLAN
        has its entropy in the UDP source port). What would go in clear and must not is dropped."""
        if not self.may_reach(provider_address):
            return dropped(DropReason.NOT_ENCRYPTED)
        spread: Actions = (FlowId(),) if self.tunnel.kind == "gre" else ()
        aimed = (self.key(vsid), toward(provider_address), *spread)
        if not self.mtu:
            return (*aimed, Output(self.number))
        check = CheckLarger(self.mtu + _ETHERNET, MARKS, TOO_LARGE)
        return (check, *aimed, SetField(TO_PORT, self.number), Goto(Table.ENCAP))

    def copy_to(self, vsid: int, provider_addresses: tuple[bytes, ...]) -> Actions:
        """One copy to each that it may go to; FlowID 0."""
        provider_addresses = tuple(filter(self.may_reach, provider_addresses))
        if not provider_addresses:
            return ()
        return (
            self.key(vsid),
            *(action for address in provider_addresses for action in (toward(address), Output(self.number))),
        )


def toward(provider_address: bytes) -> SetField:
    """Aim the tunnel."""
    field = TUN_DST if len(provider_address) == 4 else TUN_IPV6_DST
    return SetField(field, int.from_bytes(provider_address))


def sent_from(provider_address: bytes) -> Actions:
    """Let a tunnel send from this address of the host; nothing if there is none."""
    if not provider_address:
        return ()
    field = TUN_SRC if len(provider_address) == 4 else TUN_IPV6_SRC
    return (SetField(field, int.from_bytes(provider_address)),)


def to_host(provider_address: bytes) -> Term:
    """Match the outer destination, one of this host's own addresses."""
    field = TUN_DST if len(provider_address) == 4 else TUN_IPV6_DST
    return exact(field, int.from_bytes(provider_address))


def from_host(provider_address: bytes) -> Term:
    """Match the outer source."""
    field = TUN_SRC if len(provider_address) == 4 else TUN_IPV6_SRC
    return exact(field, int.from_bytes(provider_address))


def number_of(provider_address: bytes) -> int:
    """A host in 32 bits: its address, or a hash of it."""
    if len(provider_address) == 4:
        return int.from_bytes(provider_address)
    return int.from_bytes(hashlib.blake2b(provider_address, digest_size=4).digest())


class Family(msgspec.Struct, frozen=True):
    """The fields of an address family."""

    eth_type: int
    source: Field
    destination: Field

    @property
    def only(self) -> Match:
        return (exact(ETH_TYPE, self.eth_type),)


IPV4 = Family(ETH_IPV4, IP_SRC, IP_DST)
IPV6 = Family(ETH_IPV6, IPV6_SRC, IPV6_DST)


def family_of(packed: bytes) -> Family:
    return IPV4 if len(packed) == 4 else IPV6


LINK_LOCAL_LENGTH = 10
LINK_LOCAL4 = 0xA9FE << 16, 16
ALL_NODES = 0xFF02 << 112 | 1
"""Of the link, RFC 4291 section 2.7.1."""
