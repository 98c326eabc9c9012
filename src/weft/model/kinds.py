"""The collections that Weft serves: their names in URLs, which prefix they stand under, their struct, their children.

One table, read by the API (routes, answers, OpenAPI), the store (decoding rows), apply (order) and the CLI (names).
"""

from typing import Any

import msgspec

from weft.model import fabric, gateways, tenancy, workload
from weft.model.resources import Resource


class Kind(msgspec.Struct, frozen=True):
    """A collection of top-level resources or of children."""

    name: str
    """As in URLs and in files: macPools, subnets ..."""
    type: Any
    """The Resource[...] struct."""
    prefix: str = "networking"
    """`networking` or `weft`: which half of the API it is served under."""
    children: tuple["Kind", ...] = ()
    member: str = ""
    """For a child: the field of the parent's properties that holds it (snake_case)."""
    singleton: str = ""
    """For a singleton: its one resource id."""
    child_actions: bool = True
    """Whether PUT and DELETE of a child alone are served; physical adapters can only be read."""
    owner: str = ""
    """The kind below whose resources these are named, in URLs and references: virtualMachines for checkpoints. They are
    resources of their own, with the id OWNER~NAME, and may outlive their owner."""
    made_by_actions: bool = False
    """Made by an action, so PUT is not served; GET and DELETE are."""


IP_POOLS = Kind("ipPools", Resource[fabric.IpPoolProperties], member="ip_pools")
LOGICAL_ROUTES = Kind("routes", Resource[fabric.LogicalRouteProperties], member="routes")
LOGICAL_SUBNETS = Kind(
    "subnets", Resource[fabric.LogicalSubnetProperties], member="subnets", children=(IP_POOLS, LOGICAL_ROUTES)
)
VIRTUAL_SUBNETS = Kind("subnets", Resource[tenancy.VirtualSubnetProperties], member="subnets")
VIRTUAL_NETWORK_PEERINGS = Kind(
    "virtualNetworkPeerings",
    Resource[tenancy.VirtualNetworkPeeringProperties],
    member="virtual_network_peerings",
)
ACL_RULES = Kind("aclRules", Resource[tenancy.AclRuleProperties], member="acl_rules")
ROUTES = Kind("routes", Resource[tenancy.RouteProperties], member="routes")
IP_CONFIGURATIONS = Kind("ipConfigurations", Resource[workload.IpConfigurationProperties], member="ip_configurations")
SERVER_INTERFACES = Kind(
    "networkInterfaces", Resource[fabric.ServerInterfaceProperties], member="network_interfaces", child_actions=False
)

MAC_POOLS = Kind("macPools", Resource[fabric.MacPoolProperties])
LOGICAL_NETWORKS = Kind("logicalNetworks", Resource[fabric.LogicalNetworkProperties], children=(LOGICAL_SUBNETS,))
VIRTUAL_NETWORK_MANAGER = Kind(
    "virtualNetworkManager", Resource[fabric.VirtualNetworkManagerProperties], singleton="configuration"
)
SERVERS = Kind("servers", Resource[fabric.ServerProperties], children=(SERVER_INTERFACES,))
CLUSTERS = Kind("clusters", Resource[fabric.ClusterProperties], prefix="weft")
ACCESS_CONTROL_LISTS = Kind("accessControlLists", Resource[tenancy.AccessControlListProperties], children=(ACL_RULES,))
ROUTE_TABLES = Kind("routeTables", Resource[tenancy.RouteTableProperties], children=(ROUTES,))
VIRTUAL_NETWORKS = Kind(
    "virtualNetworks",
    Resource[tenancy.VirtualNetworkProperties],
    children=(VIRTUAL_SUBNETS, VIRTUAL_NETWORK_PEERINGS),
)
NETWORK_INTERFACES = Kind(
    "networkInterfaces", Resource[workload.NetworkInterfaceProperties], children=(IP_CONFIGURATIONS,)
)
PUBLIC_IP_ADDRESSES = Kind("publicIPAddresses", Resource[gateways.PublicIpAddressProperties])
GATEWAY_POOLS = Kind("gatewayPools", Resource[gateways.GatewayPoolProperties])
GATEWAYS = Kind("gateways", Resource[gateways.GatewayProperties])
NETWORK_CONNECTIONS = Kind(
    "networkConnections", Resource[gateways.NetworkConnectionProperties], member="network_connections"
)
VIRTUAL_GATEWAYS = Kind("virtualGateways", Resource[gateways.VirtualGatewayProperties], children=(NETWORK_CONNECTIONS,))
VIRTUAL_MACHINES = Kind("virtualMachines", Resource[workload.VirtualMachineProperties], prefix="weft")
ADDRESS_PLANS = Kind("addressPlans", Resource[fabric.AddressPlanProperties], prefix="weft")
RESERVATIONS = Kind("reservations", Resource[fabric.ReservationProperties], prefix="weft", made_by_actions=True)
CHECKPOINTS = Kind(
    "checkpoints",
    Resource[workload.CaptureProperties],
    prefix="weft",
    owner="virtualMachines",
    made_by_actions=True,
)
EXPORTS = Kind(
    "exports", Resource[workload.CaptureProperties], prefix="weft", owner="virtualMachines", made_by_actions=True
)

KINDS: tuple[Kind, ...] = (
    VIRTUAL_NETWORK_MANAGER,
    MAC_POOLS,
    ADDRESS_PLANS,
    LOGICAL_NETWORKS,
    SERVERS,
    CLUSTERS,
    PUBLIC_IP_ADDRESSES,
    GATEWAY_POOLS,
    GATEWAYS,
    ACCESS_CONTROL_LISTS,
    ROUTE_TABLES,
    VIRTUAL_NETWORKS,
    VIRTUAL_GATEWAYS,
    RESERVATIONS,
    NETWORK_INTERFACES,
    VIRTUAL_MACHINES,
    CHECKPOINTS,
    EXPORTS,
)
"""In the order in which they refer to each other: a file is applied in it and deleted in reverse."""

GATEWAY_KINDS = frozenset(kind.name for kind in (PUBLIC_IP_ADDRESSES, GATEWAY_POOLS, GATEWAYS, VIRTUAL_GATEWAYS))
"""What a network has to lead out of it; none brings a pool or a subnet."""

BY_NAME: dict[str, Kind] = {kind.name.lower(): kind for kind in KINDS}


_BETWEEN = "~"
"""Joins an owner's id and a name; no id that a client chooses contains it."""


def owned_id(owner_id: str, name: str) -> str:
    """The id of a resource that is named below another one."""
    return f"{owner_id}{_BETWEEN}{name}"


def owner_and_name(resource_id: str) -> tuple[str, str]:
    """Both halves of an owned_id; no owner for an id of another kind."""
    owner, _, name = resource_id.rpartition(_BETWEEN)
    return owner, name


def owned_kind(owner: Kind, name: str) -> Kind | None:
    """The kind of resources named below one of `owner`, by its name in any case."""
    found = BY_NAME.get(name.lower())
    return found if found is not None and found.owner == owner.name else None


OWN_NAMES = "weft."
"""Names of checkpoints and exports that begin so are Weft's own; no client may choose one."""


def is_own(name: str) -> bool:
    """Whether a name is one of Weft's own, in any case."""
    return name.lower().startswith(OWN_NAMES)


def resource_ref(kind: Kind, resource_id: str) -> str:
    """The resourceRef of a top-level resource; those of /weft/v1 begin with /weft."""
    path = f"/{kind.name}/{resource_id}"
    if kind.owner:
        owner, name = owner_and_name(resource_id)
        path = f"/{kind.owner}/{owner}/{kind.name}/{name}"
    return f"/weft{path}" if kind.prefix == "weft" else path
