"""What a host is told, as Hyper-V Network Virtualization names it. Two kinds of stream carry these records:

* one stream per virtual network (routing domain), the same bytes for every host that needs it:
  NetworkSettings, SubnetRecord, CustomerRoute, TunnelEndpoint, LookupRecord, PeerNetwork, SubnetOptions, GatewayRecord,
  UserRoute;
* one stream per host: ProviderAddress, NeededNetwork, PortBinding, Machine, HostSettings, AccessList, PortAccess,
  PortLimits, PortService, SegmentPort, EdgeNetwork.

A stream is a set of records by `key`; a delta puts records and removes keys. Adding goes in the order of the tags
(endpoints before lookups, networks before ports, ports before machines), removing in the reverse.
Encoded as MessagePack arrays whose first element is the tag.
"""

import msgspec

from weft.model.hypervisor import Hardware
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid

RecordKey = tuple[int | bytes, ...]
"""Tag first, then what identifies the record in its stream (names as UTF-8 bytes)."""

PackedPrefix = tuple[PackedIp, int]
"""Address and length."""


class NetworkSettings(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """How packets of this routing domain travel: `nvgre` (RFC 7637) or `vxlan` (RFC 7348)."""

    rdid: Rdid
    encapsulation: str
    resource_ref: str
    instance_id: InstanceId = InstanceId("")
    """The RDID as Hyper-V has it, a GUID."""
    scope: tuple[PackedPrefix, ...] = ()
    """What the tag VIRTUALNETWORK of an access list means here: the address spaces of the network and its peers."""

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


NetworkRecord = (
    NetworkSettings
    | SubnetRecord
    | CustomerRoute
    | TunnelEndpoint
    | LookupRecord
    | PeerNetwork
    | SubnetOptions
    | GatewayRecord
    | UserRoute
)


class ProviderAddress(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """The host's own tunnel address; `gateway` empty where its subnet names none."""

    address: PackedIp
    prefix_length: int
    gateway: PackedIp
    logical_network: str
    vlan: int = 0
    """Of its provider subnet; 0: untagged."""

    @property
    def key(self) -> RecordKey:
        return (11, self.address)


class NeededNetwork(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """The host has, or is about to have, a port in this routing domain or in one that is routed to it: its stream
    follows."""

    rdid: Rdid
    resource_ref: str
    provider_address: PackedIp = PackedIp(b"")
    """What the host sends from into a network that it has no port in; empty for the others, whose ports say it."""

    @property
    def key(self) -> RecordKey:
        return (12, self.rdid)


class PortBinding(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """An interface that this host has a port for: found by iface-id = instance_id and attached-mac = mac."""

    instance_id: InstanceId
    network_interface: str
    rdid: Rdid
    vsid: Vsid
    mac: Mac
    addresses: tuple[PackedIp, ...]
    provider_address: PackedIp
    """This host's address for its tunnels."""
    forward_to: PackedIp = PackedIp(b"")
    """While the machine moves away: where strays go once the port is no longer here; empty otherwise."""

    @property
    def key(self) -> RecordKey:
        return (13, self.instance_id.encode())


class Errand(msgspec.Struct, frozen=True, array_like=True):
    """Something that a host's hypervisor does to a machine once, with the number by which its end is told."""

    number: int
    """Never given twice."""
    kind: str
    """checkpoint, restore, deleteCheckpoint, rewriteCheckpoint, export or copy."""
    name: str = ""
    """Of the checkpoint or export; for copy the hypervisor's id of the machine that is copied."""
    id: str = ""
    """The hypervisor's own id of that checkpoint, where it is known."""
    macs: tuple[tuple[InstanceId, Mac], ...] = ()
    """rewriteCheckpoint: what its adapters shall have, static."""
    path: str = ""
    """export: the folder on the host."""


class Machine(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """What this host's hypervisor should make of a machine. A machine that bears our mark and is no longer named is
    removed from it, but for its disks; one that was only taken in is left alone."""

    machine: str
    """resourceId of the virtualMachine."""
    power: str
    """Off, Running or Saved; Incoming on the destination of a move, before it runs there; Absent where it is to be
    deleted with the files that Define made."""
    instance_ids: tuple[InstanceId, ...]
    """Its interfaces in order: eth0, eth1 ..."""
    hypervisor_id: str
    move_to: str = ""
    """Server to move the machine to now; empty unless the move is in phase `switching` and this is its source."""
    generation: int = 0
    move_address: str = ""
    """Management address of `move_to`; empty where its name is all that is known."""
    hardware: Hardware | None = None
    """What to define it from; None: the hypervisor has it, or makes it at Start as the lab does."""
    errand: Errand | None = None
    macs: tuple[Mac, ...] = ()
    """Of its interfaces, in the order of instance_ids; 0 where one has none yet."""

    @property
    def key(self) -> RecordKey:
        return (14, self.machine.encode())


class HostSettings(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """What is wanted of the host itself, beside its machines. Not in the stream where nothing is wanted. New members go
    to the end, with a default that asks for nothing."""

    dynamic_range: tuple[int, int] | None = None
    """Where its hypervisor shall draw dynamic MAC addresses from, both ends included; None: leave it as it is."""
    blank: tuple[tuple[str, str], ...] = ()
    """Checkpoints to blank (weft.core.blanking): the hypervisor's ids of machine and checkpoint, lower case."""

    @property
    def key(self) -> RecordKey:
        return (15,)


class AccessRule(msgspec.Struct, frozen=True, array_like=True):
    """An aclRule (MS-NCNBI 3.1.5.1.2), read. The lowest priority that matches a packet decides."""

    name: str
    """Its resourceId."""
    priority: int
    inbound: bool
    """Towards the guest; else from it."""
    allow: bool
    protocol: str
    """TCP, UDP, ICMPv4, ICMPv6 or All."""
    source: PackedPrefix | str
    """A prefix, or a tag: VIRTUALNETWORK, INTERNET, AZURELOADBALANCER, or * for all."""
    source_ports: tuple[int, int]
    """First and last."""
    destination: PackedPrefix | str
    destination_ports: tuple[int, int]
    logging: bool = False


class AccessList(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """An accessControlList that ports of this host are under. Tags stay tags: what they mean differs by network."""

    number: int
    """24 bits, its own for life; cookies bear it."""
    resource_ref: str
    inbound_allow: bool
    """What becomes of a packet to a guest that no rule matches."""
    outbound_allow: bool
    rules: tuple[AccessRule, ...] = ()
    """By priority."""

    @property
    def key(self) -> RecordKey:
        return (16, self.number)


class PortAccess(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """Which access lists the addresses of a port are under. A port that is under none has no such record."""

    instance_id: InstanceId
    lists: tuple[tuple[PackedIp, int, int], ...]
    """Per address, in the order of the binding's: the number of the ipConfiguration's own list and of its subnet's,
    each 0 for none. One list that is both stands once, as the ipConfiguration's."""

    @property
    def key(self) -> RecordKey:
        return (17, self.instance_id.encode())


class PortLimits(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """The portSettings of an interface (MS-NCNBI 3.1.5.11) as far as a host does anything by them; only where that is
    something."""

    instance_id: InstanceId
    spoofing: bool = False
    """The guest may send from other addresses than its own."""
    arp_guard: bool = False
    dhcp_guard: bool = False
    storm: int = 0
    """Broadcast and multicast packets a second; 0 in this and the following: no limit."""
    outbound_mbps: int = 0
    """10^6 bits a second, Ethernet header included."""
    inbound_mbps: int = 0

    @property
    def key(self) -> RecordKey:
        return (18, self.instance_id.encode())


class PortService(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """What the agent answers the guest of a port otherwise than other guests of its subnet; only where there is any."""

    instance_id: InstanceId
    dns_servers: tuple[PackedIp, ...] = ()
    """Its own, instead of the network's."""
    host_name: str = ""
    primary: tuple[PackedIp, ...] = ()
    """The addresses that DHCP gives where they are not the first of their family in PortBinding."""

    @property
    def key(self) -> RecordKey:
        return (19, self.instance_id.encode())


class SegmentPort(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Beside the PortBinding of an interface on a logical network: its VLAN on the physical network. The binding's rdid
    is 0 then and its vsid vlan_segment(vlan)."""

    instance_id: InstanceId
    logical_subnet: str
    """resourceRef of the first that the interface is in."""
    vlan: int
    """0: untagged."""
    subnets: tuple[SubnetRecord, ...] = ()
    """Those that its addresses lie in; gateway empty where the subnet names none."""
    free: bool = False
    """Unmanaged: the guest has what addresses it likes, with its own MAC."""
    leaving: bool = False
    """Its machine is moving to another host."""

    @property
    def key(self) -> RecordKey:
        return (20, self.instance_id.encode())


class EdgeRoute(msgspec.Struct, frozen=True, array_like=True):
    prefix: PackedIp
    prefix_length: int
    next_hop: PackedIp
    """Empty through a tunnel, which has one other end."""
    metric: int = 0


class EdgeLeg(msgspec.Struct, frozen=True, array_like=True):
    """A leg of an edge into a logical subnet of the physical network."""

    subnet: str
    """resourceRef."""
    vlan: int
    """0: untagged."""
    prefix: PackedIp
    prefix_length: int
    gateway: PackedIp
    """The subnet's own default gateway; empty where it names none."""
    addresses: tuple[PackedIp, ...]
    """What the edge answers for there while it carries the network."""
    routes: tuple[EdgeRoute, ...] = ()
    outbound_kbps: int = 0
    """At most; 0: unlimited."""
    inbound_kbps: int = 0
    nat: PackedIp = PackedIp(b"")
    """What outbound connections are behind on this leg; empty: the customer addresses are routed."""
    mappings: tuple[tuple[PackedIp, PackedIp], ...] = ()
    """(public address, customer address), one to one, both ways."""


class EdgeTunnel(msgspec.Struct, frozen=True, array_like=True):
    """A GRE connection of an edge (RFC 2784, key RFC 2890), IP inside."""

    name: str
    local: PackedIp
    remote: PackedIp
    vlan: int
    """Of the logical subnet that `local` is in."""
    local_length: int
    """Prefix length of that subnet."""
    gateway: PackedIp
    """Of that subnet; empty where it names none."""
    key_value: int = -1
    """-1: without a key."""
    addresses: tuple[tuple[PackedIp, int], ...] = ()
    """The edge's own inside the tunnel, with prefix length."""
    routes: tuple[EdgeRoute, ...] = ()
    outbound_kbps: int = 0
    inbound_kbps: int = 0


class EdgeNetwork(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """What this host, one of the network's gateways, does for it: it carries it if all gateways before it are dead."""

    rdid: Rdid
    resource_ref: str
    """The virtual gateway."""
    vsid: Vsid
    mac: Mac
    addresses: tuple[tuple[PackedIp, int], ...]
    """The edge's customer addresses with the prefix lengths of the gateway subnet."""
    routers: tuple[PackedIp, ...]
    """The distributed router in the gateway subnet, by which the edge reaches the other subnets."""
    prefixes: tuple[tuple[PackedIp, int], ...]
    """Of the network's subnets."""
    provider_address: PackedIp
    """This host's."""
    gateways: tuple[PackedIp, ...]
    """As in GatewayRecord."""
    legs: tuple[EdgeLeg, ...] = ()
    tunnels: tuple[EdgeTunnel, ...] = ()

    @property
    def key(self) -> RecordKey:
        return (21, self.rdid)


HostRecord = (
    ProviderAddress
    | NeededNetwork
    | PortBinding
    | Machine
    | HostSettings
    | AccessList
    | PortAccess
    | PortLimits
    | PortService
    | SegmentPort
    | EdgeNetwork
)
Record = NetworkRecord | HostRecord
