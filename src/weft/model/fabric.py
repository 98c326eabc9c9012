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
    strategy: str = "central"
    """central: the next free address in turn. random: any free one. (hostRange comes with an addressPlan.)"""
    warn_at_percent: int = 80
    """Share of the pool that is not free from which on it warns; 0 never does."""
    drain: bool = False
    """No new grants; who holds an address of it keeps it."""
    tenant_id: str = ""
    """Only for interfaces of this tenant (resourceMetadata.tenantId); empty for all."""
    host_group: str = ""
    """Only for interfaces whose server has this hostGroup; empty for all."""
    release_inactive_after_seconds: int = 0
    """Addresses whose holder vanished outside go back after this long; 0: only by hand."""


class IpPoolProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8.2.2. Both ends included."""

    start_ip_address: str = ""
    end_ip_address: str = ""
    cool_down_seconds: int = 3600
    excluded: tuple[ExcludedRange, ...] = ()
    warn_at_percent: int = 80
    drain: bool = False


class LogicalRouteProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8.2. By which next hop hosts with a provider address in the subnet reach a destination."""

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


PER_HOST, PER_HOST_IN_USE = "perHost", "perHostInUse"
SEVERAL, PER_VIRTUAL_SUBNET = "several", "perVirtualSubnet"


class LogicalNetworkProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.8. With network virtualization it is the provider network of virtual networks."""

    network_virtualization_enabled: bool = False
    provider_address_policy: str = PER_HOST
    """Ours: how many provider addresses a host has here. perHost: one. perHostInUse: one while it has an interface of a
    virtual network or is a gateway. several: `provider_address_count`, which its virtual subnets share out.
    perVirtualSubnet: one more for each virtual subnet that has an interface on it."""
    provider_address_count: int = 1
    """Ours: with policy several."""
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


class MacRange(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Both ends included, as AA-BB-CC-DD-EE-FF."""

    first: str = ""
    last: str = ""


class AddressPlanProperties(_Properties, frozen=True):
    """A plan PREFIX + cluster digits + host digits + interface digits (hexadecimal), twelve in all: disjoint ranges of
    MAC addresses for hosts, such as 00-15-5D-[c1][c2]-[h1][v1]-[v2][v3]. Fixed while a server has a range of it.
    """

    prefix: str = "00-15-5D"
    cluster_digits: int = 2
    host_digits: int = 1
    interface_digits: int = 3
    cool_down_seconds: int = 3600
    warn_at_percent: int = 80


class ClusterProperties(_Properties, frozen=True):
    """Servers as a group, from which a new machine's server is chosen. Ours."""

    servers: tuple[Ref, ...] = ()
    failover_cluster: str = ""
    """Name of the failover cluster that they are nodes of, where they are."""


class ReservationProperties(_Properties, frozen=True):
    """Addresses held for a purpose. Made by a pool's `reserve` action; read and deleted as a resource."""

    pool: Ref | None = None
    count: int = 0
    contiguous: bool = False
    purpose: str = ""
    until: str = ""
    """RFC 3339 UTC as asked for; empty: until it is deleted. What counts is the ledger's own time, `expires`."""
    expires: float = 0.0
    request_id: str = ""
    addresses: tuple[str, ...] = ()


class Adoption(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What becomes of machines on a host that are none of ours and whose MAC addresses its hypervisor draws."""

    mode: str = "report"
    """report: named as conflicts. pin: taken in while they are off, with a static address each."""
    subnets: tuple[Ref, ...] = ()
    """Where the adapters of a machine that is taken in are, in order; the last is for the rest."""
    exceptions: tuple[str, ...] = ()
    """Names of machines to leave alone, such as templates; * and ? stand for others."""


class BlankCheckpoint(_Properties, frozen=True):
    """A checkpoint of a machine that is none of Weft's, by the hypervisor's ids. Ours."""

    machine: str = ""
    checkpoint: str = ""


class ProviderAdapter(_Properties, frozen=True):
    """Where a provider address of a server is. Ours."""

    provider_address: str = ""
    name: str = ""
    mtu: int = 0
    uplinks: tuple[str, ...] = ()
    """The adapters below, by which its packets leave."""
    offloads: tuple[str, ...] | None = None
    """What all of these do about encapsulated packets, as ethtool(8) calls it; None: they do not say."""


class TunnelEncryption(_Properties, frozen=True):
    """Whether tunnels from and to a server can be encrypted, and if not, why. Ours."""

    available: bool = False
    reason: str = ""


class ServerProviderNetwork(_Properties, frozen=True):
    """A server on its provider network, as its agent says. Ours."""

    adapters: tuple[ProviderAdapter, ...] = ()
    tunnel_encryption: TunnelEncryption = TunnelEncryption()


class ProviderAddressChange(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A host's provider addresses become others while machines are on it: made before the old ones are broken. A stored
    state, so a crash resumes it."""

    phase: str = "preparing"
    """preparing: the host is to have those that come, and others to accept them. switched: they are used; those that
    leave are still there and accepted."""
    coming: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    generation: int = 0


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
    provider_address_policy: str = ""
    """Ours: as of a logical network, for this host; empty for what the network says."""
    provider_address_count: int = 0
    """Ours: with policy several; 0 for what the network says."""
    provider_address_change: ProviderAddressChange | None = None
    """Ours, read-only: while provider addresses of the host, or of virtual subnets on it, come and leave."""
    primary_provider_addresses: tuple[str, ...] = ()
    """Ours, read-only: of several of its own in a provider network the one that the host goes by where that is not the
    lowest, since another machine had that when the policy changed."""
    host_group: str = ""
    """Ours: a name that macPools may be meant for."""
    address_plan: Ref | None = None
    """Ours: the plan that grants this host a range; `cluster_number` is its cluster in it, 0 if not given."""
    cluster_number: int | None = None
    mac_range: MacRange | None = None
    """Ours, read-only: the range granted by the plan."""
    dynamic_mac_range: MacRange | None = None
    """Ours: the range from which the host's own hypervisor draws dynamic addresses; a fact, known, seen or imported."""
    wanted_dynamic_mac_range: MacRange | None = None
    """Ours: the range that the agent lets the hypervisor draw from; None leaves it as it is."""
    twin_policy: str = ""
    """Ours: what the agent does about a machine that another hand started here beside one that uses its address: empty
    or report, disconnect, stop."""
    adoption: Adoption | None = None
    """Ours."""
    blank_checkpoints: tuple[BlankCheckpoint, ...] = ()
    """Ours: checkpoints that the agent rids of the MAC addresses that its hypervisor drew."""
    provider_network: ServerProviderNetwork | None = None
    """Ours, read-only: None until an agent has said it; one that drives Hyper-V, or is older, never does."""


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
