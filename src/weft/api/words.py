"""What the words of a body mean: values that may be written in several cases, names that vary, members not served yet.

Read by weft.api.convert. Pure. Everything here is a fact of MS-NCNBI or of its clients; the section stands beside it.
"""

from typing import Any

from weft.api import bodies
from weft.model import fabric, gateways, resources, tenancy, workload

Field = tuple[type[Any], str]
"""A struct and one of its fields (snake_case)."""

_SWITCH = ("Enabled", "Disabled")
_POLICIES = (fabric.PER_HOST, fabric.PER_HOST_IN_USE, fabric.SEVERAL, fabric.PER_VIRTUAL_SUBNET)
_NEXT_HOPS = ("", "VirtualAppliance", "VnetLocal", "VirtualNetworkGateway", "Internet", "None")

VALUES: dict[Field, tuple[str, ...]] = {
    (workload.NetworkInterfaceProperties, "private_mac_allocation_method"): ("Static", "Dynamic"),
    (workload.IpConfigurationProperties, "private_ip_allocation_method"): ("Static", "Dynamic", "Unmanaged"),
    (workload.PortSettings, "mac_spoofing_enabled"): _SWITCH,
    (workload.PortSettings, "arp_guard_enabled"): _SWITCH,
    (workload.PortSettings, "dhcp_guard_enabled"): _SWITCH,
    (workload.PortSettings, "iov_interrupt_moderation"): (
        "Off",
        "On",
        "Default",
        "Adaptive",
        "Low",
        "Medium",
        "High",
    ),
    (workload.VirtualMachineProperties, "power_state"): ("Off", "Running", "Saved"),
    (workload.NetworkInterfaceProperties, "strategy"): ("", "central", "hostRange", "random"),
    (workload.TemplateNetwork, "strategy"): ("", "central", "hostRange", "random"),
    (fabric.MacPoolProperties, "strategy"): ("central", "random", "hostRange"),
    (bodies.NewNetwork, "strategy"): ("", "central", "hostRange", "random"),
    (bodies.Clone, "addresses"): ("new", "keep"),
    (bodies.Restore, "addresses"): ("captured", "keep"),
    (bodies.Restore, "if_taken"): ("refuse", "remap"),
    (bodies.Import, "addresses"): ("keep", "new", "newIfTaken"),
    (bodies.Import, "power_state"): ("Off", "Running", "Saved"),
    (fabric.VirtualNetworkManagerProperties, "distributed_router_state"): _SWITCH,
    (fabric.VirtualNetworkManagerProperties, "network_virtualization_protocol"): ("VXLAN", "NVGRE"),
    (fabric.LogicalNetworkProperties, "provider_address_policy"): _POLICIES,
    (fabric.ServerProperties, "provider_address_policy"): ("", *_POLICIES),
    (gateways.PublicIpAddressProperties, "public_ip_allocation_method"): ("Static", "Dynamic"),
    (gateways.PublicIpAddressProperties, "public_ip_address_version"): ("IPv4", "IPv6"),
    (gateways.GatewayPoolProperties, "type"): ("s2sIPsec", "s2sGre", "forwarding", "All"),
    (gateways.NetworkConnectionProperties, "connection_type"): ("IPSec", "GRE", "L3"),
    (gateways.NetworkConnectionProperties, "connection_status"): _SWITCH,
    (tenancy.VirtualNetworkProperties, "network_virtualization_protocol"): ("", "VXLAN", "NVGRE", "Rewrite"),
    (tenancy.AccessControlListProperties, "inbound_default_action"): ("Permit", "Deny"),
    (tenancy.AccessControlListProperties, "outbound_default_action"): ("Permit", "Deny"),
    (tenancy.AclRuleProperties, "logging"): ("Enabled", "Disabled"),
    (tenancy.RouteProperties, "next_hop_type"): _NEXT_HOPS,
}
"""Words with a fixed set of values, as they are stored; read in any case."""

ASSUMED: dict[Field, tuple[str, str]] = {
    (workload.IpConfigurationProperties, "private_ip_allocation_method"): (
        "Dynamic",
        "Beside a privateIPAddress that the interface does not have it is required.",
    ),
}
"""What a word that is left out stands for, where decide has to know that it was, and what that is bound to; told by
/openapi.json."""

SYNONYMS: dict[Field, dict[str, str]] = {
    # 3.1.5.19 writes Enable and Disable, its schema Enabled
    (fabric.VirtualNetworkManagerProperties, "distributed_router_state"): {"enable": "Enabled", "disable": "Disabled"},
    # the name that New-NetVirtualizationLookupRecord has for it
    (tenancy.VirtualNetworkProperties, "network_virtualization_protocol"): {"translationmethodnat": "Rewrite"},
}

ALIASES: dict[type[Any], dict[str, str]] = {
    # bodies of the first version write `name`
    resources.ResourceMetadata: {"name": "resource_name"},
    # the table of 3.1.5.11 against its schema
    workload.PortSettings: {
        "macspoofing": "mac_spoofing_enabled",
        "arpguard": "arp_guard_enabled",
        "dhcpguard": "dhcp_guard_enabled",
    },
}
"""Other names of a member, in lower case, to its field. Differences of case need no alias."""

READ_ONLY: frozenset[Field] = frozenset(
    {
        (tenancy.VirtualNetworkProperties, "routing_domain_number"),
        (tenancy.VirtualNetworkPeeringProperties, "remote_address_space"),
        (tenancy.VirtualNetworkPeeringProperties, "remote_instance_id"),
        (tenancy.VirtualNetworkPeeringProperties, "matched"),
        (tenancy.AccessControlListProperties, "list_number"),
        (workload.NetworkInterfaceProperties, "learned_ip_addresses"),
        (workload.VirtualMachineProperties, "move"),
        (workload.VirtualMachineProperties, "inactive"),
        (workload.VirtualMachineProperties, "creation"),
        (workload.VirtualMachineProperties, "errand"),
        (workload.VirtualMachineProperties, "made_as"),
        (fabric.ServerProperties, "mac_range"),
        (fabric.ServerProperties, "provider_network"),
        (fabric.ServerProperties, "provider_address_change"),
        (fabric.ServerProperties, "primary_provider_addresses"),
        (gateways.VirtualGatewayProperties, "gateways"),
        (gateways.VirtualGatewayProperties, "gateway_mac_address"),
        (gateways.VirtualGatewayProperties, "gateway_addresses"),
    }
)
"""Fields that only Weft writes; ignored in a body."""

HIDDEN: frozenset[Field] = frozenset(
    {
        (tenancy.VirtualNetworkProperties, "routing_domain_number"),
        (tenancy.VirtualNetworkPeeringProperties, "remote_instance_id"),
        (tenancy.VirtualNetworkPeeringProperties, "matched"),
        (tenancy.AccessControlListProperties, "list_number"),
        (workload.VirtualMachineProperties, "made_as"),
        (workload.LearnedAddress, "taken_over"),
    }
)
"""Fields that are never answered."""

UNSERVED_KINDS: dict[str, str] = {}
"""Kinds of which none may be made yet, and why; they can be read, and are empty."""

UNSERVED_REFERENCES: dict[type[Any], tuple[str, ...]] = {
    workload.IpConfigurationProperties: (
        "serviceInsertion",
        "loadBalancerBackendAddressPool",
        "loadBalancerBackendAddressPools",
        "loadBalancerInboundNatRules",
    ),
    workload.NetworkInterfaceProperties: ("securityTags",),
    gateways.GatewayProperties: ("virtualServer", "networkInterfaces"),
    tenancy.VirtualSubnetProperties: ("serviceInsertion",),
    tenancy.VirtualNetworkProperties: ("encryptionCredential",),
    tenancy.AccessControlListProperties: ("securityTags",),
    tenancy.AclRuleProperties: ("sourceSecurityTags", "destinationSecurityTags"),
}
"""References to kinds that are not served yet: refused unless null or empty, since no such resource can exist."""

UNSERVED_MEMBERS: dict[type[Any], dict[str, Any]] = {
    fabric.LogicalSubnetProperties: {"accessControlList": None},
    tenancy.VirtualNetworkProperties: {"unbilledAddressRanges": ""},
    gateways.PublicIpAddressProperties: {"dnsSettings": ""},
    gateways.GatewayProperties: {"bgpConfig": ""},
    gateways.VirtualGatewayProperties: {"bgpRouters": "", "policyMaps": "", "vpnConfiguration": ""},
    gateways.NetworkConnectionProperties: {"ipSecConfiguration": ""},
}
"""Members that no struct has yet and that would change behaviour: refused unless null, empty or this value."""

EMPTY_FOR_NONE: frozenset[Field] = frozenset(
    {
        (tenancy.VirtualSubnetProperties, "access_control_list"),
        (tenancy.VirtualSubnetProperties, "route_table"),
        (workload.IpConfigurationProperties, "access_control_list"),
        (workload.IpConfigurationProperties, "public_ip_address"),
    }
)
"""References for which clients write "" or {} where they mean none."""

GATES: dict[Field, str] = {
    (workload.PortSettings, "port_flow_limit"): "no host counts the connections of a port",
    (workload.PortSettings, "iov_weight"): "adapters of machines are virtual, not parts of a physical one",
    (workload.QosSettings, "outbound_reserved_value"): "no host can promise a share of its adapter",
    (workload.QosSettings, "enable_hardware_limits"): "no host limits in hardware",
    (gateways.PublicIpAddressProperties, "idle_timeout_in_minutes"): (
        "gateways forget an idle TCP connection when their kernel does, after 5 days"
    ),
}
"""Fields whose effect on hosts is not built, with the reason that a refusal gives: only their default is taken. When a
host does it, its line goes; nothing else stands in the way."""

SERVED_VALUES: dict[Field, tuple[Any, ...]] = {
    (fabric.VirtualNetworkManagerProperties, "distributed_router_state"): ("Enabled",),
    (fabric.VirtualNetworkManagerProperties, "enable_metering"): (False,),
    # 3.1.5.15: with Disabled in the list auditing is off, whatever else is in it
    (fabric.ServerProperties, "auditing_enabled"): (
        (),
        ("Disabled",),
        ("Disabled", "Firewall"),
        ("Firewall", "Disabled"),
    ),
}
"""Fields of which only these values are served yet. arpGuard is not among them: ARP is always guarded."""
