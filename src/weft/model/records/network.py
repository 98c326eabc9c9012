"""The stream of a virtual network (routing domain): the same bytes for every host that needs it."""

import msgspec

from weft.model.records.keys import PackedPrefix, RecordKey
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid


class NetworkSettings(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """How packets of this routing domain travel: `nvgre` (RFC 7637) or `vxlan` (RFC 7348)."""

    rdid: Rdid
    encapsulation: str
    resource_ref: str
    instance_id: InstanceId = InstanceId("")
    """The RDID as Hyper-V has it, a GUID."""
    scope: tuple[PackedPrefix, ...] = ()
    """What the tag VIRTUALNETWORK of an access list means here: the address spaces of the network and its peers."""
    encrypted: bool = False
    """Tunnels carry its packets encrypted or not at all."""

    @property
    def key(self) -> RecordKey:
        return (1,)


class SubnetRecord(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A virtual subnet's prefix; the gateway address belongs to the distributed router on every host."""

    vsid: Vsid
    prefix: PackedIp
    prefix_length: int
    gateway: PackedIp

    @property
    def key(self) -> RecordKey:
        return (2, self.vsid, self.prefix)


class CustomerRoute(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A route of the routing domain; next hop all zeros means on link, whose metric is 255 as in HNV."""

    vsid: Vsid
    prefix: PackedIp
    prefix_length: int
    next_hop: PackedIp
    metric: int

    @property
    def key(self) -> RecordKey:
        return (3, self.vsid, self.prefix, self.prefix_length)


class TunnelEndpoint(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A provider address that may send tunnelled packets of this routing domain: every host with a port in it."""

    provider_address: PackedIp
    server: str = ""
    """Whose it is, by its resourceId."""
    probed: bool = True
    """Does somebody there answer probes?"""
    for_subnet: bool = False
    """It is one virtual subnet's on its host, which has one of its own beside it."""

    @property
    def key(self) -> RecordKey:
        return (4, self.provider_address)


class LookupRecord(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Where a customer address is: exists for the running holder only. Key is (VSID, customer address)."""

    vsid: Vsid
    customer_address: PackedIp
    mac: Mac
    provider_address: PackedIp

    @property
    def key(self) -> RecordKey:
        return (5, self.vsid, self.customer_address)


class PeerNetwork(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A network that this one is routed to (MS-NCNBI 3.1.5.18.3): who needs this one's stream needs that one's too."""

    rdid: Rdid
    resource_ref: str
    takes_forwarded: bool = False
    """Whether it takes packets that machines here send on for others."""

    @property
    def key(self) -> RecordKey:
        return (6, self.rdid)


LEASE_SECONDS = 1800
"""How long guests may keep what DHCP tells them, where no SubnetOptions say otherwise."""


class SubnetOptions(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """What guests of a prefix are told beside their addresses; there is none where the defaults say it."""

    vsid: Vsid
    prefix: PackedIp
    dns_servers: tuple[PackedIp, ...] = ()
    """Of the network, both families; an interface may have its own (PortService)."""
    lease_seconds: int = LEASE_SECONDS

    @property
    def key(self) -> RecordKey:
        return (7, self.vsid, self.prefix)


class GatewayRecord(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The network's way out: its edge has one MAC address and these customer addresses, whichever gateway carries it.
    Each host sends to the first of `gateways` that it finds alive. HNV knows it as a GatewayWildcard lookup record."""

    vsid: Vsid
    """The gateway subnet."""
    mac: Mac
    addresses: tuple[PackedIp, ...]
    """The edge's, one of each family that the gateway subnet has."""
    gateways: tuple[PackedIp, ...]
    """Provider addresses of the gateways' servers, in order; empty: no gateway."""

    @property
    def key(self) -> RecordKey:
        return (8,)


class UserRoute(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A route of a routeTable (MS-NCNBI 3.1.5.10), for what machines of one virtual subnet send. The longest prefix
    decides, and before a route of the system that is as long."""

    vsid: Vsid
    """Of the sender."""
    prefix: PackedIp
    prefix_length: int
    kind: str
    """VirtualAppliance, VnetLocal, VirtualNetworkGateway, Internet or None."""
    hop_vsid: Vsid = Vsid(0)
    """Virtual subnet of the next hop, or VnetLocal's own that the whole prefix lies in; 0 where there is none."""
    next_hop: PackedIp = PackedIp(b"")
    """Of VirtualAppliance, and of the gateway where the network has one; else empty."""

    @property
    def key(self) -> RecordKey:
        return (9, self.vsid, self.prefix, self.prefix_length)
