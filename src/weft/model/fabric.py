"""The physical side: address pools, logical networks with their subnets, servers (MS-NCNBI 3.1.5.8, .9, .15, .19)."""

import msgspec

from weft.model.resources import Ref, Resource


class _Properties(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """All properties have a default, so that one struct serves as request, as stored form and as answer."""


class ExcludedRange(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Addresses of a pool that are never granted (state `reserved`), both ends included. Our extension."""

    first: str = ""
    last: str = ""
    reason: str = ""


class MacPoolProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.9. Start and end are fixed for life; room is added by another pool."""

    start_mac_address: str = ""
    end_mac_address: str = ""
    cool_down_seconds: int = 3600
    excluded: tuple[ExcludedRange, ...] = ()


class IpPoolProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8.2.2. Both ends included."""

    start_ip_address: str = ""
    end_ip_address: str = ""
    cool_down_seconds: int = 3600
    excluded: tuple[ExcludedRange, ...] = ()


class LogicalRouteProperties(_Properties, frozen=True):
    destination: str = ""
    next_hop: str = ""


class LogicalSubnetProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8.2. `vlan_id` 0 means untagged."""

    address_prefix: str = ""
    vlan_id: int = msgspec.field(default=0, name="vlanID")
    routes: tuple[Resource[LogicalRouteProperties], ...] = ()
    ip_pools: tuple[Resource[IpPoolProperties], ...] = ()
    dns_servers: tuple[str, ...] = ()
    default_gateways: tuple[str, ...] = ()
    is_public: bool = False


class LogicalNetworkProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8. With network virtualization it is the provider network of virtual networks."""

    network_virtualization_enabled: bool = False
    subnets: tuple[Resource[LogicalSubnetProperties], ...] = ()


class ServerConnection(_Properties, frozen=True):
    management_addresses: tuple[str, ...] = ()
    credential: Ref | None = None
    credential_type: str | None = None


class ServerIpConfiguration(_Properties, frozen=True):
    ip_address: str | None = None
    network_prefix: str | None = None
    default_gateway: str | None = None
    is_dhcp_enabled: bool = False


class ServerInterfaceProperties(_Properties, frozen=True):
    """A physical adapter (MS-NCNBI 3.1.5.15.2); `logical_subnets` names the provider subnet it is on."""

    interface_index: str = ""
    interface_name: str = ""
    interface_speed: str = ""
    admin_status: str = ""
    operational_status: str = ""
    mac: str = ""
    vlan_ids: tuple[str, ...] = ()
    ip_configuration: tuple[ServerIpConfiguration, ...] = ()
    is_bmc: bool = msgspec.field(default=False, name="isBMC")
    logical_subnets: tuple[Ref, ...] = ()


class ServerProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.15. `provider_addresses` (ours): asked for in a PUT, else granted; without prefix length."""

    connections: tuple[ServerConnection, ...] = ()
    certificate: str | None = None
    network_interfaces: tuple[Resource[ServerInterfaceProperties], ...] = ()
    model: str | None = None
    os: str | None = None
    rack_slot: str | None = None
    serial: str | None = None
    vendor: str | None = None
    auditing_enabled: tuple[str, ...] = ()
    provider_addresses: tuple[str, ...] = ()


class VirtualSubnetIdRange(_Properties, frozen=True):
    """Bounds of the VSIDs that are granted. 16777215 is accepted as end but never granted (RFC 7637 section 3.2)."""

    start_id: int = 4096
    end_id: int = 16_777_214


class VirtualNetworkManagerProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.19, the singleton `configuration`; exists from the first revision on."""

    distributed_router_state: str = "Enabled"
    network_virtualization_protocol: str = "VXLAN"
    virtual_subnet_id_range: VirtualSubnetIdRange = VirtualSubnetIdRange()
    enable_metering: bool = False
