"""Tenants' networks: a virtual network is one routing domain, a virtual subnet one VSID (MS-NCNBI 3.1.5.18); the lists
that filter what they carry (3.1.5.1) and the tables that route it (3.1.5.10)."""

import msgspec

from weft.model.fabric import ExcludedRange
from weft.model.resources import Ref, Resource


class _Properties(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """See weft.model.fabric."""


class AddressSpace(_Properties, frozen=True):
    address_prefixes: tuple[str, ...] = ()


class DhcpOptions(_Properties, frozen=True):
    dns_servers: tuple[str, ...] = ()
    lease_seconds: int = 86_400
    """Ours: for how long a guest may keep what it was told."""


class GuestSpecifiedAddresses(_Properties, frozen=True):
    """Ours: whether guests of a subnet may use addresses of its prefix that nobody gave them ("guest specified IP")."""

    enabled: bool = False
    maximum_per_interface: int = 8
    age_seconds: int = 900
    """One that a running guest has not used for so long is released."""


class VirtualSubnetProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.18.2. `virtual_subnet_id` may be asked for (our extension); 0 means grant one."""

    address_prefix: str = ""
    access_control_list: Ref | None = None
    route_table: Ref | None = None
    encryption_enabled: bool = False
    guest_specified_addresses: GuestSpecifiedAddresses = GuestSpecifiedAddresses()
    """Ours."""
    virtual_subnet_id: int = 0
    dual_stack_subnet: Ref | None = None
    cool_down_seconds: int = 3600
    excluded: tuple[ExcludedRange, ...] = ()
    """Ours: addresses that are never granted, with the reason."""
    warn_at_percent: int = 80


class VirtualNetworkPeeringProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.18.3: one side of a peering. Its state follows from both sides: core.peerings."""

    remote_virtual_network: Ref | None = None
    allow_virtual_network_access: bool = True
    allow_forwarded_traffic: bool = False
    allow_gateway_transit: bool = False
    use_remote_gateways: bool = False
    remote_address_space: AddressSpace = AddressSpace()
    """Read-only: what the other network had when this was put. It cannot change while both have peerings."""
    remote_instance_id: str = ""
    """RDID of the network that was meant: one of the same name that was made anew is another. Never answered."""
    matched: bool = False
    """Whether the other side ever referred back: then it is Disconnected without it, else Initiated. Never answered."""


class VirtualNetworkProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.18. The instanceId is the RDID; `routing_domain_number` its 32-bit short form, never answered."""

    logical_network: Ref | None = None
    address_space: AddressSpace = AddressSpace()
    dhcp_options: DhcpOptions = DhcpOptions()
    subnets: tuple[Resource[VirtualSubnetProperties], ...] = ()
    virtual_network_peerings: tuple[Resource[VirtualNetworkPeeringProperties], ...] = ()
    network_virtualization_protocol: str = ""
    """Ours: NVGRE or VXLAN for this network alone; Rewrite: headers rewritten, no tunnel (TranslationMethodNat). Empty:
    what the virtualNetworkManager says."""
    routing_domain_number: int = 0


class AclRuleProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.1.2. Prefixes and port ranges as core.rules reads them."""

    action: str = ""
    type: str = ""
    """Inbound: towards the guest. Outbound: from it."""
    priority: int = 0
    """The lowest number that matches decides."""
    protocol: str = ""
    source_address_prefix: str = ""
    source_port_range: str = ""
    destination_address_prefix: str = ""
    destination_port_range: str = ""
    logging: str = "Enabled"
    description: str | None = None


class AccessControlListProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.1. `list_number` is its 24-bit short form in flows, kept for life and never answered."""

    acl_rules: tuple[Resource[AclRuleProperties], ...] = ()
    inbound_default_action: str = "Permit"
    outbound_default_action: str = "Permit"
    list_number: int = 0


class RouteProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.10.2. `next_hop_ip_address` goes with next hop VirtualAppliance, and with no other."""

    address_prefix: str = ""
    next_hop_type: str = ""
    next_hop_ip_address: str | None = None


class RouteTableProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.10: a tenant's own routes for the virtual subnets that name it."""

    routes: tuple[Resource[RouteProperties], ...] = ()
