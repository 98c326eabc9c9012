"""Of a host's stream: the ports that it has, what they are limited to and the access lists that they are under."""

import msgspec

from weft.model.records.keys import PackedPrefix, RecordKey
from weft.model.records.network import SubnetRecord
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid


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
    provider: tuple[PackedPrefix, ...] = ()
    """Of the provider subnets on the same VLAN, where its guest may not play a host."""

    @property
    def key(self) -> RecordKey:
        return (20, self.instance_id.encode())


class PortLearning(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """The guest of a port may bring addresses of its own; only where it may, or has brought some."""

    instance_id: InstanceId
    prefixes: tuple[PackedPrefix, ...] = ()
    """What they must lie in; the controller decides on each."""
    learnt: tuple[PackedIp, ...] = ()
    """Those that it has, in order. They are the port's own, beside those of the PortBinding."""
    age_seconds: int = 900
    """One that a running guest has not used for so long is to be told."""

    @property
    def key(self) -> RecordKey:
        return (22, self.instance_id.encode())
