"""Every packet field, register, table, priority and cookie bit that our flows use, each named once.

Called by the flow builders, the text printer, the OpenFlow codec and the fake switch. Pure. A field's value is always
an int of `bits` bits, most significant bit first, also for addresses; a mask of all ones means an exact match.
"""

import enum
import hashlib

import msgspec

_BASIC, _NX, _ERICSSON = 0x8000, 0x0001, 0x1000
"""OXM classes: OpenFlow 1.3 section 7.2.3.2, Nicira's and Ericsson's own (ovs-fields(7))."""


class Field(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A field of packet, tunnel or pipeline. Compared by identity: there is exactly one object per field."""

    name: str
    """As ovs-ofctl writes it."""
    bits: int
    form: str
    """How ovs-ofctl prints a value: dec, hex, mac, ipv4, ipv6, or frag and track, by names of value and mask."""
    oxm: tuple[int, int]
    """OXM class and field number."""

    @property
    def all_ones(self) -> int:
        return (1 << self.bits) - 1

    def __repr__(self) -> str:
        return self.name


IN_PORT = Field("in_port", 32, "dec", (_BASIC, 0))
TUN_ID = Field("tun_id", 64, "hex", (_BASIC, 38))
"""GRE key (VSID in bits 8..31, FlowID in bits 0..7: RFC 7637 section 3.2) or VXLAN's VNI."""
TUN_SRC = Field("tun_src", 32, "ipv4", (_NX, 31))
TUN_DST = Field("tun_dst", 32, "ipv4", (_NX, 32))
TUN_IPV6_SRC = Field("tun_ipv6_src", 128, "ipv6", (_NX, 109))
TUN_IPV6_DST = Field("tun_ipv6_dst", 128, "ipv6", (_NX, 110))

VSID = Field("reg0", 32, "hex", (_NX, 0))
"""Virtual subnet the packet is in; the destination's once it has been routed."""
RDID = Field("reg1", 32, "hex", (_NX, 1))
"""Routing domain of the packet; the peer's once it was routed into a peered network, else it never changes."""
OWN_PORT = Field("reg2", 32, "dec", (_NX, 2))
"""Number of the guest's port that it came from, and its conntrack zone on the way out; 0 if from elsewhere."""
REASON = Field("reg3", 32, "hex", (_NX, 3))
"""Why the packet is dropped: a DropReason, read by table DROP only."""
INTERFACE_LIST = Field("reg8", 32, "hex", (_NX, 8))
"""Number of the access list of the interface whose rules are being looked at; 0 for none."""
SUBNET_LIST = Field("reg9", 32, "hex", (_NX, 9))
"""As INTERFACE_LIST, of the virtual subnet."""
MARKS = Field("reg10", 32, "hex", (_NX, 10))
"""What has been found out of the packet, a bit each: INSIDE, TOO_LARGE, FORWARDED, REWRITTEN, SENT_ON, FOREIGN."""
TO_PORT = Field("reg11", 32, "dec", (_NX, 11))
"""Number of the guest's port that it is for, and its conntrack zone on the way in."""
FROM_HOST = Field("reg12", 32, "hex", (_NX, 12))
"""Number of the host that a copy for all comes from, where it is not to go back there (ways.number_of); else 0."""
CT_STATE = Field("ct_state", 32, "track", (_NX, 105))
"""Connection tracking's word on the packet: bits NEW to TRACKED; 0 until an action Ct has looked."""
CT_MARK = Field("ct_mark", 32, "hex", (_NX, 107))
"""Of the connection, a bit each: CUT, TAKEN_UP, CUT_BACK."""

ETH_TYPE = Field("eth_type", 16, "hex", (_BASIC, 5))
ETH_SRC = Field("eth_src", 48, "mac", (_BASIC, 4))
ETH_DST = Field("eth_dst", 48, "mac", (_BASIC, 3))
VLAN_TCI = Field("vlan_tci", 16, "hex", (_BASIC, 6))
"""802.1Q TCI; bit 12 (0x1000) is set by Open vSwitch if and only if there is a tag. On the wire it is
OXM_OF_VLAN_VID, the same for the bits that our flows match."""
IP_PROTO = Field("ip_proto", 8, "dec", (_BASIC, 10))
IP_TTL = Field("nw_ttl", 8, "dec", (_NX, 29))
"""TTL of IPv4 or hop limit of IPv6; exact match only."""
IP_FRAG = Field("ip_frag", 8, "frag", (_NX, 26))
"""Bit 0 is set in every fragment, bit 1 in all but the first, which have no transport header to match."""
IP_SRC = Field("ip_src", 32, "ipv4", (_BASIC, 11))
IP_DST = Field("ip_dst", 32, "ipv4", (_BASIC, 12))
IPV6_SRC = Field("ipv6_src", 128, "ipv6", (_BASIC, 26))
IPV6_DST = Field("ipv6_dst", 128, "ipv6", (_BASIC, 27))
TCP_SRC = Field("tcp_src", 16, "dec", (_BASIC, 13))
TCP_DST = Field("tcp_dst", 16, "dec", (_BASIC, 14))
TCP_FLAGS = Field("tcp_flags", 16, "hex", (_NX, 34))
"""The low 12 bits. OpenFlow 1.3 has no such field: dumps bear an experimenter's number for it."""
UDP_SRC = Field("udp_src", 16, "dec", (_BASIC, 15))
UDP_DST = Field("udp_dst", 16, "dec", (_BASIC, 16))
ICMP_TYPE = Field("icmp_type", 8, "dec", (_BASIC, 19))
ICMP_CODE = Field("icmp_code", 8, "dec", (_BASIC, 20))
ARP_OP = Field("arp_op", 16, "dec", (_BASIC, 21))
ARP_SHA = Field("arp_sha", 48, "mac", (_BASIC, 24))
ARP_SPA = Field("arp_spa", 32, "ipv4", (_BASIC, 22))
ARP_THA = Field("arp_tha", 48, "mac", (_BASIC, 25))
ARP_TPA = Field("arp_tpa", 32, "ipv4", (_BASIC, 23))
ICMPV6_TYPE = Field("icmpv6_type", 8, "dec", (_BASIC, 29))
ICMPV6_CODE = Field("icmpv6_code", 8, "dec", (_BASIC, 30))
ND_TARGET = Field("nd_target", 128, "ipv6", (_BASIC, 31))
ND_SLL = Field("nd_sll", 48, "mac", (_BASIC, 32))
"""Source link-layer option of a neighbour solicitation; 0 where the option is missing."""
ND_TLL = Field("nd_tll", 48, "mac", (_BASIC, 33))
ND_RESERVED = Field("nd_reserved", 32, "hex", (_ERICSSON, 1))
"""Second word of a neighbour advertisement: R, S and O in the top three bits (RFC 4861 section 4.4)."""
ND_OPTIONS_TYPE = Field("nd_options_type", 8, "dec", (_ERICSSON, 2))

NEXT_HOP = Field("reg4", 32, "hex", (_NX, 4))
"""IPv4 address of the next hop, set by table ROUTE."""
NEXT_HOP6 = Field("xxreg1", 128, "hex", (_NX, 112))
"""IPv6 address of the next hop (reg4 to reg7), set by table ROUTE."""

FIELDS: tuple[Field, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Field))
"""All of them, in the order that terms have in a match: prerequisites (eth_type, ip_proto) before what needs them."""

FIELD_ORDER = {field: place for place, field in enumerate(FIELDS)}

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
PROTO_ICMP, PROTO_IGMP, PROTO_TCP, PROTO_UDP, PROTO_ICMPV6 = 1, 2, 6, 17, 58
VLAN_PRESENT = 0x1000
GROUP_BIT = 1 << 40
IP_FRAGMENT = 1
"""Bit 0 of IP_FRAG."""
NEW, ESTABLISHED, RELATED, REPLY, INVALID, TRACKED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""Bits of CT_STATE (ovs-fields(7))."""
CUT, TAKEN_UP, CUT_BACK = 1, 2, 4
"""Bits of CT_MARK: a rule of today forbids the connection; it is TCP that was there before its state, so that nobody
here knows who began it; of such a one, a rule of today forbids what the other side sends. Never both of the cuts."""
SYN = 2
"""Bit of TCP_FLAGS."""
INSIDE, TOO_LARGE, FORWARDED, REWRITTEN, SENT_ON, FOREIGN = 0, 1, 2, 3, 4, 5
"""Bits of MARKS, by their places: the other end lies in the virtual network; no tunnel carries a packet so long; the
guest sends it on for another; its destination is a provider address already; it is a copy for all of a virtual subnet
that the old host of machines here has sent on; the end of the port at which it is filtered lies outside of the virtual
network, or may."""

IN_PORT_NUMBER = 0xFFFFFFF8
"""OFPP_IN_PORT: send back where it came from, which plain output refuses."""
INTO_TABLES = 0xFFFFFFF9
"""OFPP_TABLE: of a packet from the agent, through the tables from the first on."""
FROM_AGENT = 0xFFFFFFFD
"""OFPP_CONTROLLER: where a packet from the agent comes from, unless it pretends to be a guest's."""
MOST_PORT = 65279
"""The highest number that Open vSwitch gives to a port; the ones above mean something else."""


class Table(enum.IntEnum):
    """The pipeline in the order a packet can take it; a packet only ever goes to a higher number."""

    CLASSIFY = 0
    """Which virtual subnet and routing domain is it in? Untagged, and with the port's MAC."""
    SECURITY = 1
    """Does the guest speak for itself only?"""
    RESPOND = 2
    """ARP and neighbour discovery, answered from policy."""
    RESPOND_ND = 3
    """Second half of a neighbour advertisement: its option can be written once the type is 136."""
    TRACK_OUT = 4
    """Out of a port that an access list applies to: is it known to the port's connections?"""
    SCOPE_OUT = 5
    """Does the destination lie in the virtual network?"""
    FILTER_OUT_INTERFACE = 6
    """Outbound rules of the interface's list."""
    FILTER_OUT_SUBNET = 7
    """Outbound rules of the subnet's list."""
    COMMIT_OUT = 8
    """What both permit begins a connection, if it is of none."""
    ROUTE = 9
    """Frames for the router's MAC: longest prefix of the routing domain; the gateway answers ping."""
    NEIGHBOUR = 10
    """Next hop to MAC address, TTL."""
    OUTPUT = 11
    """Destination MAC to a local port or a tunnel."""
    ENCAP = 12
    """Is it too large for the tunnel? Out of that (TO_PORT) if not."""
    TUNNEL_SOURCE = 13
    """From a tunnel: is the outer source a host of this routing domain?"""
    DECAP = 14
    """From a tunnel: destination MAC to a local port, or onward if its machine has moved away."""
    TRACK_IN = 15
    """Into a port that an inbound list or limit applies to (TO_PORT): is it known to the port's connections?"""
    SCOPE_IN = 16
    """Does the source lie in the virtual network?"""
    FILTER_IN_SUBNET = 17
    """Inbound rules of the subnet's list."""
    FILTER_IN_INTERFACE = 18
    """Inbound rules of the interface's list."""
    DELIVER = 19
    """What both permit begins a connection, if it is of none; inbound limit; out of TO_PORT."""
    DROP = 20
    """One counter per reason."""
    TELL = 21
    """Of some reasons, what the agent tells the sender."""
    ONWARD = 22
    """Copies for all of a virtual subnet that machines have left: to the ports here, and on to those machines."""


class DropReason(enum.IntEnum):
    """Why a packet was dropped; the names, in lower case, are the keys of Facts.drops."""

    UNKNOWN_PORT = 0
    """The port belongs to no interface that this host was told of, or has the wrong MAC."""
    VLAN_TAGGED = 1
    SPOOFED_MAC = 2
    SPOOFED_ARP = 3
    SPOOFED_IPV4 = 4
    SPOOFED_IPV6 = 5
    SPOOFED_ND = 6
    ROUTER_ADVERTISEMENT = 7
    """Router advertisements and redirects from a guest, and fragments that could hide them."""
    ETHERTYPE = 8
    """Neither ARP, IPv4 nor IPv6."""
    DHCP = 9
    """A client's DHCP request; nothing answers it yet."""
    MULTICAST_REPORT = 10
    """IGMP, MLD: subnet multicast goes to everyone anyway."""
    ROUTER_SOLICITATION = 11
    OWN_ADDRESS = 12
    """The guest asks for its own address (duplicate detection, gratuitous ARP): silence is the right answer."""
    ARP_UNKNOWN = 13
    """An ARP request for an address without a lookup record, or an ARP reply that nobody asked for."""
    ND_UNKNOWN = 14
    NO_ROUTE = 15
    NO_RECORD = 16
    """The address lies in a routed subnet but no running machine has it."""
    TTL_EXPIRED = 17
    FOR_ROUTER = 18
    """To a gateway address, but no ping."""
    UNKNOWN_MAC = 19
    """No record for the destination MAC in this virtual subnet."""
    UNKNOWN_VSID = 20
    """From a tunnel, with a VSID that this host has no policy for."""
    WRONG_SOURCE = 21
    """From a tunnel, with an outer source that is no host of the routing domain."""
    NO_SUCH_PORT = 22
    """From a tunnel, for a MAC that is not on this host."""
    LOOP = 23
    """From a tunnel, for a machine that has moved to the very host that sent it here."""
    ACCESS_DENIED = 24
    """By an access list: a rule, or its default."""
    TRACKED_INVALID = 25
    """Of no connection and no beginning of one, where an access list applies."""
    BLOCKED_ROUTE = 26
    """The longest route says None."""
    NO_GATEWAY = 27
    """The route leads to a gateway and no gateway serves this network."""
    TOO_LARGE = 28
    """For the tunnel."""
    DHCP_GUARDED = 29
    """A guest plays DHCP server."""
    ARP_GUARDED = 30
    """ARP or neighbour discovery that the port's guard does not let through."""
    UNLEARNT = 31
    """From an address that the guest may bring but that has no record yet."""
    WRONG_VLAN = 32
    """From the physical network, with a VLAN of no network of this host."""
    NO_REWRITE = 33
    """IP rewrite without a mapping: from the provider network, for an address that stands for no machine of this host,
    or from a guest, from an address that none stands for."""
    NOT_FORWARDED = 34
    """Sent on by a guest for another, into a peered network that takes no such packets."""
    NOT_ENCRYPTED = 35
    """Of a network that is to be encrypted, to or from a host whose tunnels are not."""


COOKIE_MARK = 0x5745 << 48
"""Top 16 bits of every flow of ours ("WE"): how a fresh agent knows its flows."""
COOKIE_MARK_MASK = 0xFFFF << 48
COOKIE_DROPS = COOKIE_MARK | 0xDEAD << 16
"""Counters: the reason stands in the low 16 bits."""
COOKIE_DROPS_MASK = COOKIE_MARK_MASK | 0xFFFF_FFFF_0000


class Category(enum.IntEnum):
    """Bits 40..47 of a cookie: what the flow was made from; bits 0..39 hold its VSID, RDID, port number or rule."""

    FIXED = 0x01
    NETWORK = 0x02
    LOOKUP = 0x03
    PORT = 0x04
    RULE = 0x05
    LEARNT = 0x06
    """What a port may say under an address that its guest brought."""


COUNTED = frozenset((Category.RULE, Category.LEARNT))
"""Whose packets are counted by cookie when the flows are read."""


def cookie(category: Category, subject: int = 0) -> int:
    """The cookie of a flow of this category about `subject` (40 bits)."""
    return COOKIE_MARK | category << 40 | subject


def rule_cookie(list_number: int, priority: int) -> int:
    """Of the flows of an access list's rule: their counters are the rule's. 24 bits of list, 16 of priority."""
    return cookie(Category.RULE, list_number << 16 | priority)


def learnt_cookie(port: int, address: int) -> int:
    """Of what a port says under a learnt address: its packets show that it is in use. 16 bits of port, 24 of a hash of
    the address: the last ones of itself are those of any ::1."""
    digest = hashlib.blake2b(address.to_bytes(16), digest_size=3).digest()
    return cookie(Category.LEARNT, port << 24 | int.from_bytes(digest))
