"""The way out of a virtual network: public addresses, gateways and their pools, what a network asks of them
(MS-NCNBI 3.1.5.3, .4, .14, .17)."""

import msgspec

from weft.model.resources import Ref, Resource


class _Properties(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """See weft.model.fabric."""


class PublicIpAddressProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.14. Static: asked for. Dynamic: any free one of an ipPool of a logical subnet with isPublic."""

    ip_address: str | None = None
    public_ip_allocation_method: str = msgspec.field(default="Dynamic", name="publicIPAllocationMethod")
    public_ip_address_version: str = msgspec.field(default="IPv4", name="publicIPAddressVersion")
    idle_timeout_in_minutes: int = 4
    """After which a gateway is to forget a TCP connection that is idle. None does so before its kernel does, so the API
    takes no other value (weft.api.words.GATES)."""


class GatewayPoolIpConfiguration(_Properties, frozen=True):
    gre_vip_subnets: tuple[Ref, ...] = ()
    """Logical subnets from whose ipPools the outer addresses of GRE connections are granted."""
    public_ip_addresses: tuple[Ref, ...] = msgspec.field(default=(), name="publicIPAddresses")


class GatewayPoolProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.3: gateways that can stand in for each other."""

    type: str = ""
    """s2sGre, forwarding or All: which connections its gateways serve."""
    ip_configuration: GatewayPoolIpConfiguration = GatewayPoolIpConfiguration()
    redundant_gateway_count: int = 0
    """How many gateways stand by for each virtual gateway."""
    gateway_capacity_kilo_bits_per_second: int = 0
    """Of each gateway of the pool; 0 is not stated."""


class GatewayProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.4: a server that carries traffic between virtual networks and the physical network."""

    pool: Ref | None = None
    server: Ref | None = None
    """Ours, in place of virtualServer: the server whose agent does it. One gateway per server."""


class Nat(_Properties, frozen=True):
    """Ours: outbound connections of a network behind one public address."""

    enabled: bool = False
    public_ip_address: Ref | None = msgspec.field(default=None, name="publicIPAddress")


class ConnectionAddress(_Properties, frozen=True):
    ip_address: str = ""
    prefix_length: int = 0


class ConnectionRoute(_Properties, frozen=True):
    """`next_hop` only of an L3 connection; without it the first of the connection's peers."""

    destination_prefix: str = ""
    next_hop: str | None = None
    metric: int = 0


class GreConfiguration(_Properties, frozen=True):
    gre_key: str = ""
    """A number up to 4294967295 as text; empty for tunnels without a key."""


class L3Configuration(_Properties, frozen=True):
    vlan_subnet: Ref | None = None
    """The logical subnet, so the VLAN, that the gateway is in for this network."""


class NetworkConnectionProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.17.4: a leg of the network's gateway that leads outside."""

    connection_type: str = ""
    """GRE or L3. IPSec is refused."""
    outbound_kilo_bits_per_second: int = 0
    """What leaves by it at most; 0 is unlimited."""
    inbound_kilo_bits_per_second: int = 0
    ip_addresses: tuple[ConnectionAddress, ...] = ()
    """The gateway's own on this leg."""
    peer_ip_addresses: tuple[str, ...] = msgspec.field(default=(), name="peerIPAddresses")
    source_ip_address: str | None = msgspec.field(default=None, name="sourceIPAddress")
    """The near end of a GRE tunnel; granted from a greVipSubnet of the pool if not asked for."""
    destination_ip_address: str | None = msgspec.field(default=None, name="destinationIPAddress")
    """The far end of a GRE tunnel."""
    routes: tuple[ConnectionRoute, ...] = ()
    connection_status: str = "Enabled"
    gre_configuration: GreConfiguration | None = None
    l3_configuration: L3Configuration | None = None


class VirtualGatewayProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.17: what one virtual network asks of gateways. One per network."""

    gateway_pools: tuple[Ref, ...] = msgspec.field(default=(), name="GatewayPools")
    gateway_subnets: tuple[Ref, ...] = ()
    """A subnet of the network, or both of a dual-stack pair, in which the gateway has an address."""
    network_connections: tuple[Resource[NetworkConnectionProperties], ...] = ()
    nat: Nat = Nat()
    """Ours."""
    gateways: tuple[Ref, ...] = ()
    """Ours, read-only: the gateways that serve it, the one that carries its traffic first; none is `no gateway`."""
    gateway_mac_address: str = ""
    """Ours, read-only: of its port in the gateway subnet, on whichever gateway; 12 digits."""
    gateway_addresses: tuple[str, ...] = ()
    """Ours, read-only: its customer addresses, one for each of gatewaySubnets in their order."""
